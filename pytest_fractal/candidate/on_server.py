"""What a candidate asks a real server: to collect its wheel, and to run its samples."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from packaging.requirements import Requirement

from pytest_fractal.candidate.store import Fact, digest
from pytest_fractal.samples.files import Sample
from pytest_fractal.samples.runs import Run
from pytest_fractal.server.comparing import differences, moved
from pytest_fractal.server.facts import Collected, Collection, ListedTask, ServerRun
from pytest_fractal.server.servers import Server, ServerRelease

if TYPE_CHECKING:
    from pytest_fractal.candidate.packaged import Candidate

_RELEASES: Final = Fact[tuple[ServerRelease, ...]]("releases", tuple[ServerRelease, ...])
_SERVER: Final = "server"
_COLLECTION: Final = Fact[Collection]("collection", Collection)
"""About each release."""
_SERVER_RUN: Final = Fact[ServerRun]("server-run", ServerRun)
"""About each sample and release."""
_SLACK: Final = 60.0
"""Seconds that a server may take for a job beside the tasks' own time."""


class OnServer:
    """Servers of a candidate's own, one of each release, and what they do with the candidate."""

    def __init__(self, candidate: Candidate) -> None:
        self._candidate = candidate

    @cached_property
    def releases(self) -> tuple[ServerRelease, ...]:
        """The releases of fractal-server to ask.

        Raises `BadInput` when one takes no such manifest.
        """
        listed = self._candidate.task_list
        generation = listed.generation.version if listed and listed.generation else None
        asked = self._candidate.settings.server or ""
        return self._candidate.store.once(
            _RELEASES, lambda: ServerRelease.chosen(asked, generation)
        )

    @property
    def stages(self) -> Mapping[str, str]:
        """The facts whose gathering takes its time, by their names, and what that is called."""
        several = len(self.releases) > 1
        stages = {}
        for release in self.releases:
            which = f" {release.version}" if several else ""
            stages[self._server_fact(release).name] = f"server{which} start"
            stages[_COLLECTION.of(release.version).name] = f"collection by the server{which}"
        return stages

    def server(self, version: str) -> Server:
        """A running server of this candidate's own, which ends with the run."""
        candidate = self._candidate
        release = next(release for release in self.releases if release.version == version)
        folder, database = candidate.folder / f"server-{version}", candidate.settings.database
        return candidate.store.once(
            self._server_fact(release),
            lambda: release.start(folder, candidate.servers, database),
        )

    def _server_fact(self, release: ServerRelease) -> Fact[Server]:
        return Fact[Server](_SERVER, release.kind).of(release.version)

    def collection(self, version: str) -> Collection:
        """What the server made of the wheel."""
        server = self.server(version)
        return self._candidate.store.once(
            _COLLECTION.of(version), lambda: _collection(server, self._candidate)
        )

    def run(self, sample: Sample, version: str) -> ServerRun:
        """What came of running a sample, or the workflow that ends with it, on the server."""
        candidate = self._candidate
        server, collected = self.server(version), self.collection(version).collected
        here = candidate.sample_runs.run(sample)
        return candidate.store.once(
            _SERVER_RUN.of(sample.task.id, sample.name, version),
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
                part.keys.command: moved(" ".join(candidate.commands.argv(part)), places)
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
    folder = server.folder / "samples" / _folder_name(sample.workflow)
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
        other = candidate.folder / f"again-{server.name.split()[-1]}" / sample.workflow
        second = moved(candidate.sample_runs.run_again(sample, other).dataset, {str(other): own})
        varying = tuple(difference.pointer for difference in differences(here.dataset, second))
    return replace(ran, dataset=dataset, varying=varying)


def _folder_name(workflow: str) -> str:
    """A name of characters that newer releases take in the path of a dataset."""
    return workflow if re.fullmatch(r"[A-Za-z0-9_.-]+", workflow) else digest(workflow)


def chain(sample: Sample) -> Iterator[Sample]:
    """The steps of the workflow that ends with a sample, the first one first."""
    if sample.previous is not None:
        yield from chain(sample.previous)
    yield sample
