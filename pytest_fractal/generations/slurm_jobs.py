"""The SLURM job that a server makes of a task's `meta` and of the cluster's own settings.

Facts from fractal-server 1.4.10, 2.18.5 and 2.24.2: `get_slurm_config`, `heuristics` and
`to_sbatch_preamble`. The settings are the JSON file that 1.x reads (`FRACTAL_SLURM_CONFIG_FILE`),
and the object that a resource of 2.x has (`jobs_runner_config`, formerly
`jobs_slurm_config`); they have the same keys.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, PositiveInt, ValidationError

from pytest_fractal.errors import BadInput
from pytest_fractal.files import FILE_LIMIT, read_regular
from pytest_fractal.generations.meta_keys import (
    AT_A_TIME,
    PER_JOB,
    SlurmReader,
    megabytes,
    slurm_faults,
)
from pytest_fractal.generations.protocol import ModelFault
from pytest_fractal.processes.executors import JobOptions

_OPTIONS: Final = (
    *("constraint", "gres", "gpus", "time", "account", "exclude", "nodelist", "nodes"),
)
"""What becomes an option of `sbatch` under its own name, in this order."""
_DIRECTIVE: Final = "#SBATCH"


def _memory(value: int | str) -> int:
    if (number := megabytes(value)) is None:
        raise ValueError("a number of MB, or a text such as 500M, 4G or 1T")
    return number


_Memory = Annotated[int | str, AfterValidator(_memory)]


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid")

    partition: str | None = None
    cpus_per_task: PositiveInt | None = None
    mem: _Memory | None = None
    constraint: str | None = None
    gres: str | None = None
    gpus: str | None = None
    time: str | None = None
    account: str | None = None
    exclude: str | None = None
    nodelist: str | None = None
    nodes: int | None = None
    extra_lines: list[str] | None = None
    shebang_line: str | None = None
    use_mem_per_cpu: bool = False


class _Batching(BaseModel):
    model_config = ConfigDict(extra="forbid")

    target_cpus_per_job: PositiveInt
    max_cpus_per_job: PositiveInt
    target_mem_per_job: _Memory
    max_mem_per_job: _Memory
    target_num_jobs: PositiveInt
    max_num_jobs: PositiveInt


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    default_slurm_config: _Options
    gpu_slurm_config: _Options | None = None
    batching_config: _Batching | None = None
    user_local_exports: dict[str, str] | None = None


@dataclass(frozen=True)
class ClusterSettings:
    """What a cluster's own settings ask for, of each job."""

    default: Mapping[str, Any] = field(default_factory=dict)
    gpu: Mapping[str, Any] = field(default_factory=dict)
    """What comes instead for a task that needs a GPU."""
    batching: Mapping[str, int] = field(default_factory=dict)
    exports: Mapping[str, str] = field(default_factory=dict)
    """Variables, each a path below the user's cache folder."""


NO_SETTINGS: Final = ClusterSettings()


def read_cluster_settings(path: Path) -> ClusterSettings:
    """The settings that a file holds. Raises `BadInput`, in one sentence, where it holds none."""
    try:
        file = _File.model_validate(json.loads(read_regular(path, FILE_LIMIT)))
    except OSError as error:
        raise BadInput(f"--fractal-slurm-config={path}: {error.strerror or error}") from None
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(str(key) for key in fault["loc"]) or "the file"
        raise BadInput(f"--fractal-slurm-config={path}: {place}: {fault['msg']}") from None
    except (ValueError, RecursionError) as error:
        raise BadInput(f"--fractal-slurm-config={path}: no JSON: {error}") from None

    def given(options: BaseModel | None) -> Mapping[str, Any]:
        return options.model_dump(exclude_none=True, exclude_unset=True) if options else {}

    return ClusterSettings(
        given(file.default_slurm_config),
        given(file.gpu_slurm_config),
        given(file.batching_config),
        file.user_local_exports or {},
    )


def cluster_defaults(settings: ClusterSettings) -> JobOptions:
    """The job of a command that is no task's."""
    return JobOptions(tuple(_directives("pytest-fractal", settings.default, 1)))


_NO_GPU: Final = ModelFault(
    ("needs_gpu",),
    "no needs_gpu where the cluster's settings have no gpu_slurm_config",
    "the server breaks when it looks for them",
    hint="leave it out, or judge it with the settings of a cluster that has GPUs",
)


@dataclass(frozen=True)
class SlurmJob:
    """The job of one command."""

    options: JobOptions
    faults: tuple[ModelFault, ...] = ()
    """Why the server makes no job of it; the keys lead from `meta`."""


def make_slurm_job(
    name: str,
    meta: Mapping[str, Any],
    reader: SlurmReader,
    settings: ClusterSettings,
    *,
    is_parallel: bool,
    units: int | None,
    cache: PurePath,
) -> SlurmJob:
    """The job that a server makes for the task with this name.

    `units` is for how many units of work at a time; None for as many as the server puts into
    one job. `cache` is the user's cache folder.
    """
    # What the server drops does no harm, nor does here what only older ones refuse.
    faults = [
        fault
        for fault in slurm_faults(meta, reader, is_parallel=is_parallel)
        if fault.keys != ("partition",) and fault.releases is None
    ]
    broken = {fault.keys[0] for fault in faults}
    wanted = {key: value for key, value in meta.items() if key not in broken}
    values = dict(settings.default)
    if _needs_gpu(wanted.get("needs_gpu", False), reader):
        values |= settings.gpu
        if settings.default and not settings.gpu and not reader.checks_needs_gpu:
            faults.append(_NO_GPU)
    if "cpus_per_task" in wanted:
        values["cpus_per_task"] = int(wanted["cpus_per_task"])
    if "mem" in wanted:
        values["mem"] = megabytes(wanted["mem"]) or 0
    for key in reader.texts:
        value = wanted.get(key)
        if value if reader.turns_into_text else value is not None:
            values[key] = str(value)
    if reader.nodes_since and wanted.get("nodes") is not None:
        values["nodes"] = reader.whole(wanted["nodes"])
    lines = [*values.get("extra_lines", ()), *map(str, wanted.get("extra_lines", ()))]
    at_a_time = _at_a_time(wanted, values, reader, settings.batching)
    if is_parallel or reader.batches_always:
        faults += _beyond(values, at_a_time, settings.batching)
    units = 1 if not is_parallel else at_a_time if units is None else units
    made = [
        *_directives(name, values, units, drops_shared_time=reader.drops_shared_time),
        # Those of `sbatch` come first, and none comes twice.
        *sorted(dict.fromkeys(lines), key=lambda line: not line.startswith(_DIRECTIVE)),
        *(f"export {key}={cache / value}" for key, value in settings.exports.items()),
    ]
    return SlurmJob(JobOptions(tuple(made)), tuple(faults))


def _directives(
    name: str, values: Mapping[str, Any], units: int, *, drops_shared_time: bool = False
) -> Iterator[str]:
    cpus = values.get("cpus_per_task", 1)
    if "partition" in values:
        yield f"{_DIRECTIVE} --partition={values['partition']}"
    yield f"{_DIRECTIVE} --ntasks={units}"
    yield f"{_DIRECTIVE} --cpus-per-task={cpus}"
    if "mem" in values and values.get("use_mem_per_cpu"):
        yield f"{_DIRECTIVE} --mem-per-cpu={values['mem'] // cpus}M"
    elif "mem" in values:
        yield f"{_DIRECTIVE} --mem={units * values['mem']}M"
    yield f"{_DIRECTIVE} --job-name={name.replace(' ', '_')}"
    for key in _OPTIONS:
        # The 1.x servers leave the time out where several units share it.
        if key in values and not (key == "time" and units > 1 and drops_shared_time):
            yield f"{_DIRECTIVE} --{key}={values[key]}"


def _needs_gpu(value: Any, reader: SlurmReader) -> bool:
    if reader.checks_needs_gpu:
        return value is True or str(value).lower() == "true"
    return bool(value)


def _beyond(
    values: Mapping[str, Any], at_a_time: int, batching: Mapping[str, int]
) -> Iterator[ModelFault]:
    """What is more than the cluster's settings let one job have."""
    for key, limit in (("cpus_per_task", "max_cpus_per_job"), ("mem", "max_mem_per_job")):
        if key not in values or values[key] * at_a_time <= batching.get(limit, math.inf):
            continue
        unit = " MB" if key == "mem" else ""
        most, value = f"{batching[limit]}{unit}", f"{values[key]}{unit}"
        alone = values[key] > batching[limit]
        yield ModelFault(
            (key if alone else AT_A_TIME,),
            f"at most {most} in a job, the {limit} of the cluster's settings",
            f"{value if alone else f'{at_a_time} times {value}'}: the server makes no job of it",
            hint=f"ask for at most {most}" if alone else "let fewer run at a time",
        )


def _at_a_time(
    meta: Mapping[str, Any],
    values: Mapping[str, Any],
    reader: SlurmReader,
    batching: Mapping[str, int],
) -> int:
    """How many units the server runs at a time in one job, of a task that has many."""
    per_job, at_a_time = (
        0 if meta.get(key) is None else reader.whole(meta[key]) or 0
        for key in (PER_JOB, AT_A_TIME)
    )
    if per_job and at_a_time:
        return min(per_job, at_a_time)
    cpus, memory = values.get("cpus_per_task", 1), values.get("mem", 0)
    if not batching or not memory:
        return 1
    by_cpus: int = batching["target_cpus_per_job"] // cpus
    by_memory: int = batching["target_mem_per_job"] // memory
    return max(1, min(by_cpus, by_memory))
