"""What a candidate asks a real server: to collect its wheel, and to run its samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from packaging.requirements import Requirement

from pytest_fractal.candidate.store import Fact
from pytest_fractal.samples.files import Sample
from pytest_fractal.samples.runs import Run
from pytest_fractal.server.comparing import differences, moved
from pytest_fractal.server.facts import Collected, Collection, ListedTask, ServerRun
from pytest_fractal.server.servers import Server, ServerRelease

if TYPE_CHECKING:
    from pytest_fractal.candidate.packaged import Candidate

_COLLECTION: Final = Fact[Collection]("collection", Collection)
_SERVER_RUN: Final = Fact[ServerRun]("server-run", ServerRun)
"""About each sample."""
_SLACK: Final = 60.0
"""Seconds that a server may take for a job beside the tasks' own time."""


class OnServer:
    """A server of a candidate's own, and what it does with the candidate."""

    def __init__(self, candidate: Candidate) -> None:
        self._candidate = candidate

    @property
    def release(self) -> ServerRelease:
        """The fractal-server to ask. Raises `BadInput` when it takes no such manifest."""
        listed = self._candidate.task_list
        generation = listed.generation.version if listed and listed.generation else None
        return ServerRelease.chosen(self._candidate.settings.server or "", generation)

    @property
    def server(self) -> Server:
        """A running server of this candidate's own, which ends with the run."""
        release, candidate = self.release, self._candidate
        folder, database = candidate.folder / "server", candidate.settings.database
        return candidate.store.once(
            Fact("server", release.kind),
            lambda: release.start(folder, candidate.servers, database),
        )

    @property
    def collection(self) -> Collection:
        """What the server made of the wheel."""
        server = self.server
        return self._candidate.store.once(
            _COLLECTION, lambda: _collection(server, self._candidate)
        )

    def run(self, sample: Sample) -> ServerRun:
        """What came of running a sample, or the workflow that ends with it, on the server."""
        candidate = self._candidate
        server, collected = self.server, self.collection.collected
        here = candidate.run(sample)
        return candidate.store.once(
            _SERVER_RUN.of(sample.task.id, sample.name),
            lambda: _server_run(server, candidate, collected, here),
        )


def _collection(server: Server, candidate: Candidate) -> Collection:
    """Let the server collect the wheel, with the extras, pins and interpreter of the run."""
    pins = {}
    for text in candidate.settings.pins:
        pin = Requirement(text)
        pins[pin.name] = next(iter(pin.specifier)).version
    interpreter = candidate.interpreter
    version = ".".join(map(str, interpreter.version_info))
    collected = server.collect(
        candidate.wheel.path,
        extras=candidate.spec.extras,
        pins=pins,
        python=(version, interpreter.path),
    )
    places = {str(candidate.environment_folder.folder): collected.environment}
    reported = tuple(
        ListedTask(
            task.name,
            {
                part.keys.command: moved(" ".join(candidate.argv(part)), places)
                for part in task.parts
            },
            candidate.source_of(task, collected.python),
        )
        for task in candidate.tasks
    )
    return Collection(collected, reported)


def _server_run(
    server: Server,
    candidate: Candidate,
    collected: Collected,
    here: Run,
) -> ServerRun:
    """Let the server run a sample, or the workflow that ends with it.

    `here` is what came of it without a server; paths are written as they are there.
    """
    sample = here.sample
    steps = tuple(chain(sample))
    folder = server.folder / "samples" / sample.workflow
    for step in steps:
        candidate.sample_runs.place_data(step, folder)
    job = server.job(steps, folder)
    starts = max(1, len(here.executions)) * len(steps)
    ran = server.run(job, collected, _SLACK + candidate.settings.timeout * starts)
    if ran.outcome != "done":
        return ran
    own = str(candidate.sample_runs.folder_of(sample))
    dataset = moved(
        {key: value for key, value in ran.dataset.items() if key not in job.given},
        {str(folder): own, collected.environment: str(candidate.environment_folder.folder)},
    )
    dataset |= {key: here.dataset[key] for key in job.given if key in here.dataset}
    varying: tuple[str, ...] = ()
    if any(differences(here.dataset, dataset)):
        other = candidate.folder / "again" / sample.workflow
        second = moved(candidate.sample_runs.run_again(sample, other).dataset, {str(other): own})
        varying = tuple(difference.pointer for difference in differences(here.dataset, second))
    return replace(ran, dataset=dataset, varying=varying)


def chain(sample: Sample) -> Iterator[Sample]:
    """The steps of the workflow that ends with a sample, the first one first."""
    if sample.previous is not None:
        yield from chain(sample.previous)
    yield sample
