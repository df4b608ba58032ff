"""Running samples as the server runs tasks, and keeping what came of it.

Where the words and rules differ between generations, the generation is asked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_fractal.facts import Part, Task
from pytest_fractal.machinery.commands import Start
from pytest_fractal.sample_files import Sample, placed
from pytest_fractal.samples import make_arguments


@dataclass(frozen=True)
class Execution:
    """One start of a task's command on a sample; a parallel task has one for each component."""

    component: str | None
    arguments: Mapping[str, Any] = field(repr=False)
    start: Start


@dataclass(frozen=True)
class Run:
    """A sample, run as the server would."""

    sample: Sample
    executions: tuple[Execution, ...]
    trouble: str | None
    """Why nothing could be started, in the words of what the server does then."""
    metadata: Mapping[str, Any] = field(repr=False)
    """The dataset's metadata afterwards, which the next step of a workflow sees."""
    output_path: str
    """Which the next step has too, and as its only input path."""
    changed: tuple[str, ...] = ()
    """What was written after its last command had ended, by processes that it had left."""

    @property
    def succeeded(self) -> bool:
        """Whether every execution ended with status 0 in time."""
        return self.trouble is None and all(
            execution.start.finished.returncode == 0 and not execution.start.finished.timed_out
            for execution in self.executions
        )

    @property
    def refused(self) -> bool:
        """Whether an execution ended with a status above 0, neither by a signal nor too late."""
        return any(
            execution.start.finished.returncode > 0 and not execution.start.finished.timed_out
            for execution in self.executions
        )


@dataclass(frozen=True)
class Sampling:
    """The samples of a task."""

    task: Task
    samples: tuple[Sample, ...]
    """Those that its author supplies."""
    made_arguments: Mapping[str, Any]
    """The task's own arguments, made from its schema."""


@dataclass(frozen=True)
class Filled:
    """A sample with every argument that the task is given."""

    sample: Sample
    parts: tuple[tuple[Part, Mapping[str, Any]], ...]
    """The arguments of each of its commands."""


Launch = Callable[[Mapping[str, Any], Path], Start]
"""Starts the task's command on these arguments, in a folder of its own."""


def filled_arguments(sample: Sample, folder: Path, part: Part) -> dict[str, Any]:
    """The arguments of a sample with those that Fractal supplies, as a schema must take them."""
    places = {"samples": str(sample.file.parent), "tmp": str(folder)}
    made = make_arguments(part.schema)
    task = part.task
    return {
        **task.generation.reserved_values(task.kind, part.keys, folder / "output", made),
        **placed({**sample.reserved, **sample.args_of(part)}, places),
    }


def run_sample(
    sample: Sample, previous: Run | None, folder: Path, launch: Launch, width: int
) -> Run:
    """Run one sample, or one step of a workflow after `previous`.

    `folder` is the `{tmp}` of the sample, which the steps of a workflow share; `width`
    says how many components run at the same time.
    """
    generation, kind = sample.task.generation, sample.task.kind
    places = {"samples": str(sample.file.parent), "tmp": str(folder)}
    given = placed(sample.reserved, places)
    before = {**(previous.metadata if previous else {}), **given.get("metadata", {})}
    output_path = previous.output_path if previous else str(folder / "output")
    shared = {
        **generation.reserved_values(kind, sample.task.run_parts[0].keys, folder / "output", {}),
        "input_paths": [output_path if previous else str(folder / "input")],
        "output_path": output_path,
        **given,
        "metadata": before,
    }
    output_path = shared["output_path"]
    for name in ("input", "output"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    components, trouble = generation.components(sample.task.entry, before, given.get("component"))
    if trouble is not None:
        return Run(sample, (), trouble, before, output_path)
    seen = generation.seen_metadata(sample.task.name, kind, before)
    args = placed(sample.args, places)

    def execute(numbered: tuple[int, str | None]) -> Execution:
        number, component = numbered
        own = {} if component is None else {"component": component}
        arguments = {**shared, "metadata": seen, **args, **own}
        return Execution(
            component, arguments, launch(arguments, folder / "runs" / f"{sample.name}-{number}")
        )

    pool = ThreadPoolExecutor(max(1, width))
    try:
        executions = tuple(pool.map(execute, enumerate(components)))
    finally:
        # Not waiting: on Ctrl-C the commands go on until the executor is closed.
        pool.shutdown(wait=False, cancel_futures=True)
    outputs = [_loaded(execution.start.output) for execution in executions]
    changed = tuple(_changed(executions, Path(output_path), but=folder / "runs"))
    metadata = generation.merged(kind, before, outputs)
    return Run(sample, executions, None, metadata, output_path, changed)


def _loaded(output: str | None) -> Mapping[str, Any]:
    """What the server would take from an output; what it cannot take counts as nothing."""
    try:
        value = json.loads(output or "null")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _changed(executions: Sequence[Execution], output_path: Path, but: Path) -> Iterator[str]:
    """What was written below the output path when all commands had ended, `but` left out.

    Only sought where a command has left a process. Components share the output path, so
    what one of them leaves is told apart from the others' work only after the last has
    ended.
    """
    finished = [execution.start.finished for execution in executions]
    ends = [one.ended for one in finished if one.ended is not None]
    if len(ends) < len(finished) or not any(one.lingered for one in finished):
        return
    for execution, end in zip(executions, ends, strict=True):
        if _changed_at(output := Path(execution.start.output_file)) > end:
            yield output.name
    for path, folders, files in os.walk(output_path):
        here = Path(path)
        folders[:] = [name for name in folders if here / name != but]
        for name in files:
            if _changed_at(here / name) > max(ends):
                yield str((here / name).relative_to(output_path))


def _changed_at(path: Path) -> int:
    """When a file or its name was changed, in nanoseconds since the epoch; 0 without one."""
    try:
        return path.lstat().st_ctime_ns
    except OSError:
        return 0
