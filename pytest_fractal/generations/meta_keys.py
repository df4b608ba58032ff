"""The keys of `meta` that a server's runners read, and which values break a job.

Facts from fractal-server 1.4.10, 2.18.5 and 2.24.2: `get_slurm_config`, `heuristics` and
`to_sbatch_preamble` for SLURM, and how the local runners divide by `parallel_tasks_per_job`.
All other keys are stored and never read. What jobs they come to says `slurm_jobs.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from pytest_fractal.generations.protocol import ModelFault, ModelFaultKind
from pytest_fractal.json_text import shown

AT_A_TIME: Final = "parallel_tasks_per_job"
ABOVE_ZERO: Final = "a whole number above 0"
PER_JOB: Final = "tasks_per_job"
_FAILS: Final = "jobs with it fail on SLURM"
_AMOUNT: Final = "a whole number of MB above 0, or a text such as 500M, 4G or 1T"
_MEMORY: Final = re.compile(r"(\d+)(M*|G*|T*)")
_MEGABYTES: Final = {"": 1, "M": 1, "G": 10**3, "T": 10**6}
_INTEGER: Final = TypeAdapter(int)


@dataclass(frozen=True)
class SlurmReader:
    """How a server reads `meta` for a job on SLURM."""

    whole: Callable[[Any], int | None]
    """The whole number that its model makes of a value; None where it refuses."""
    texts: tuple[str, ...]
    """The options of `sbatch` that are handed on as they are."""
    turns_into_text: bool
    """Whether those may be numbers and booleans, and are left out when empty or 0."""
    batches_always: bool
    """Whether the tasks of a job are counted for a command that runs once, too."""
    checks_needs_gpu: bool
    drops_shared_time: bool
    """Whether a time limit is left out where several units of work share a job."""
    nodes_since: str | None = None
    """The release that began to read `nodes`, as a whole number."""
    refuse_boolean_memory: str | None = None
    """The releases that take no `mem` that is true; to all others that is 1 MB."""


def slurm_faults(
    meta: Mapping[str, Any], reader: SlurmReader, *, is_parallel: bool
) -> Iterator[ModelFault]:
    """What makes jobs fail on a SLURM cluster. All are `coerced`: a local runner takes them."""
    batches = is_parallel or reader.batches_always

    def fault(
        key: str,
        expected: str,
        why: str = _FAILS,
        kind: ModelFaultKind = ModelFaultKind.WRONG,
        releases: str | None = None,
    ) -> ModelFault:
        found = f"{shown(meta[key])}: {why}"
        return ModelFault((key,), expected, found, coerced=True, kind=kind, releases=releases)

    if "cpus_per_task" in meta and (whole_by_int(meta["cpus_per_task"]) or 0) < 1:
        yield fault("cpus_per_task", ABOVE_ZERO)
    if "mem" in meta:
        memory, releases = megabytes(meta["mem"]), reader.refuse_boolean_memory
        # For a command that runs once, 0 gets to `sbatch`, to which it is all of a node's.
        if memory is None or memory < 0 or (memory == 0 and batches):
            yield fault("mem", _AMOUNT)
        elif meta["mem"] is True and releases is not None:
            yield fault("mem", _AMOUNT, f"{_FAILS}, or ask for 1 MB", releases=releases)
    for key in reader.texts:
        value = meta.get(key)
        is_number = reader.turns_into_text and (not value or isinstance(value, int | float))
        if not (isinstance(value, str | None) or is_number):
            yield fault(key, "a text, as an option of `sbatch` has it")
    if meta.get("account") is not None:
        yield fault(
            "account",
            "no account: each user's settings tell it",
            kind=ModelFaultKind.UNWANTED,
        )
    if "extra_lines" in meta and not _are_lines(meta["extra_lines"], reader):
        yield fault("extra_lines", "a list of texts, each a line for the script of `sbatch`")
    if reader.checks_needs_gpu and not _is_flag(meta.get("needs_gpu", False)):
        yield fault("needs_gpu", "true or false")
    nodes = meta.get("nodes")
    if reader.nodes_since and nodes is not None and reader.whole(nodes) is None:
        yield fault("nodes", "a whole number", f"{_FAILS} since {reader.nodes_since}")
    if not isinstance(meta.get("partition"), str | None):
        yield fault(
            "partition",
            "no partition",
            "the server's own settings tell it",
            kind=ModelFaultKind.UNWANTED,
        )
    yield from _batching_faults(meta, reader, batches=batches)


def _batching_faults(
    meta: Mapping[str, Any], reader: SlurmReader, *, batches: bool
) -> Iterator[ModelFault]:
    """How many tasks make a job: two numbers that belong together (`heuristics`)."""
    counts: dict[str, int] = {}
    for key in (PER_JOB, AT_A_TIME):
        number = 0 if meta.get(key) is None else reader.whole(meta[key])
        if number is None or (number < 0 and batches):
            yield ModelFault((key,), ABOVE_ZERO, f"{shown(meta[key])}: {_FAILS}", coerced=True)
            return
        counts[key] = number
    there = [key for key, number in counts.items() if number]
    if batches and len(there) == 1:
        (missing,) = counts.keys() - there
        yield ModelFault(
            (there[0],),
            f"{missing} beside it, or neither of the two",
            f"{shown(meta[there[0]])} without {missing}: {_FAILS}",
            coerced=True,
            hint=f'add "{missing}", {ABOVE_ZERO}: how many tasks make one job'
            if missing == PER_JOB
            else f'add "{missing}", {ABOVE_ZERO}: how many tasks of a job run at a time',
        )


def whole_by_int(value: Any) -> int | None:
    """The whole number that Python's `int`, and so pydantic 1, makes of a JSON value."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def whole_by_model(value: Any) -> int | None:
    """The whole number that pydantic 2 makes of a JSON value."""
    try:
        return _INTEGER.validate_python(value)
    except ValidationError:
        return None


def megabytes(value: Any) -> int | None:
    """What `mem` comes to; None where the server cannot read it.

    A unit may stand there several times, for the server strips it as letters; `true` is 1.
    """
    if isinstance(value, str):
        read = _MEMORY.fullmatch(value)
        return int(read[1]) * _MEGABYTES[read[2][:1]] if read else None
    return int(value) if isinstance(value, int) else None


def _are_lines(value: Any, reader: SlurmReader) -> bool:
    types = str | int | float if reader.turns_into_text else str
    return isinstance(value, list) and all(isinstance(line, types) for line in value)


def _is_flag(value: Any) -> bool:
    is_word = isinstance(value, str) and value.lower() in ("true", "false")
    return isinstance(value, bool) or is_word
