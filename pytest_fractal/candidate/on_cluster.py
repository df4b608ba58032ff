"""What a SLURM cluster is asked for the commands of a candidate, and what it says of that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pytest_fractal.errors import HarnessError
from pytest_fractal.facts import ClusterAnswer, ClusterRefusal, Part
from pytest_fractal.generations.slurm_jobs import SlurmJob, make_slurm_job
from pytest_fractal.processes.executors import ANY_JOB, JobOptions

if TYPE_CHECKING:
    from pytest_fractal.candidate.packaged import Candidate


def job_options(candidate: Candidate, part: Part) -> JobOptions:
    """What a start of a command asks for: as much as the server asks for one unit of work."""
    if candidate.settings.executor == "local":
        return ANY_JOB
    return _job(candidate, part, part.task.name, _meta(part), units=1).options


def ask_cluster(candidate: Candidate, part: Part) -> ClusterAnswer:
    """What the cluster says of the job that the server would submit for a command.

    Raises `HarnessError` where it takes no job of anybody's.
    """
    meta = _meta(part)
    job = _job(candidate, part, part.task.name, meta)
    if job.faults:
        return ClusterAnswer(part, job.faults)
    words = candidate.executor.refusal(job.options)
    return ClusterAnswer(part, (), tuple(_blamed(candidate, part, words)) if words else ())


def _blamed(candidate: Candidate, part: Part, words: str) -> Iterator[ClusterRefusal]:
    """Which keys of `meta` a cluster refuses, seen by asking for each of them alone."""
    meta, name = _meta(part), part.task.name

    def lines(meta: Mapping[str, Any], name: str = "task") -> tuple[str, ...]:
        return _job(candidate, part, name, meta).options.lines

    def refused(meta: Mapping[str, Any], name: str = "task") -> str:
        return candidate.executor.refusal(JobOptions(lines(meta, name)))

    if basic := refused({}):
        raise HarnessError(
            f"the cluster takes no job, whatever `meta` says: {basic}; --fractal-slurm-config "
            "tells how jobs are submitted there"
        )
    if (why := refused({}, name)) and not refused(meta):
        yield ClusterRefusal(None, why, _beside(lines({}, name), lines({})))
        return
    alone = {key: refused({key: meta[key]}) for key in meta}
    found = {key: why for key, why in alone.items() if why}
    if not found:  # each would do, but not all together
        found = {
            key: words
            for key in meta
            if lines(meta) != lines(_without(meta, key)) and not refused(_without(meta, key))
        }
    for key, why in found.items():
        yield ClusterRefusal((key,), why, _beside(lines(meta), lines(_without(meta, key))))
    if not found:
        yield ClusterRefusal((), words, _beside(lines(meta), lines({})))


def _beside(lines: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    return tuple(line for line in lines if line not in others)


def _without(meta: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    return {name: value for name, value in meta.items() if name != key}


def _meta(part: Part) -> Mapping[str, Any]:
    return part.meta if isinstance(part.meta, dict) else {}


def _job(
    candidate: Candidate,
    part: Part,
    name: str,
    meta: Mapping[str, Any],
    units: int | None = None,
) -> SlurmJob:
    return make_slurm_job(
        name,
        meta,
        part.task.generation.slurm,
        candidate.settings.cluster,
        is_parallel=part.keys.is_parallel,
        units=units,
        cache=candidate.folder / "home" / ".fractal_cache",
    )
