"""The samples of a candidate: its author's, those that are made, and what came of running them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_fractal.candidate.command_starts import launch
from pytest_fractal.candidate.store import Fact
from pytest_fractal.errors import BadInput
from pytest_fractal.facts import Task
from pytest_fractal.files import kind_of
from pytest_fractal.packaging_hints.backends import build_backend
from pytest_fractal.processes.commands import Start
from pytest_fractal.samples.files import Sample, SampleFiles, read_samples
from pytest_fractal.samples.generated import make_arguments
from pytest_fractal.samples.ome_zarr import (
    OME_ZARR,
    name_in_data,
    unpack_ome_zarr,
)
from pytest_fractal.samples.runs import (
    FirstSample,
    PackageSamples,
    ResolvedArguments,
    Run,
    resolve_arguments,
    run_sample,
)

if TYPE_CHECKING:
    from pytest_fractal.candidate.packaged import Candidate

RUN: Final = Fact[Run]("run", Run)
"""About each sample."""

SAMPLE_FOLDERS: Final = ("fractal_samples", "tests/fractal_samples")
"""Where an author's samples may lie; the first that is there counts."""


class SampleRuns:
    """The samples of one candidate, and their runs."""

    def __init__(self, candidate: Candidate) -> None:
        self._candidate = candidate
        self._made: dict[str, Sample] = {}

    @property
    def folder(self) -> Path | None:
        """Where its samples lie, or would."""
        settings, home = self._candidate.settings, self._candidate.home
        if settings.samples is not None:
            return Path(os.path.realpath(settings.samples))
        if home is None:
            return None
        there = (home / name for name in SAMPLE_FOLDERS)
        folder = next((path for path in there if path.is_dir()), home / self._first_folder)
        return Path(os.path.realpath(folder))

    @property
    def _first_folder(self) -> str:
        """The folder for a first sample.

        Not beside the package where setuptools looks for packages by itself: it takes two
        folders there for two packages, and refuses to build; but leaves out `tests`.
        """
        beside, in_tests = SAMPLE_FOLDERS
        tree = self._candidate.spec.tree
        if tree is None or not self._candidate.has_wheel:
            return beside
        is_flat = (tree / self._candidate.wheel.package).is_dir()
        return in_tests if is_flat and build_backend(tree) == "setuptools" else beside

    @cached_property
    def files(self) -> SampleFiles:
        """What the author's files of samples hold, and what is wrong with them.

        Raises `BadInput` where the user names a folder that has none.
        """
        folder, settings = self.folder, self._candidate.settings
        if folder is None or not os.path.lexists(folder):
            return SampleFiles()
        if not folder.is_dir():
            what = "a link to itself" if folder.is_symlink() else kind_of(folder.stat().st_mode)
            raise BadInput(f"{folder}: samples are read from a folder, and this is {what}")
        is_bare = not any(folder.glob("*.json"))
        if settings.samples and is_bare and not settings.new_samples:
            raise BadInput(f"{settings.samples}: no sample is in it: no file *.json")
        if not self._candidate.tasks:
            return SampleFiles()  # the verdicts tell why there are none
        elsewhere = {
            name
            for sibling in self._candidate.siblings
            if sibling.sample_runs.folder == folder
            for task in sibling.tasks
            for name in (task.name, task.slug, task.id)
        }
        return read_samples(folder, self._candidate.tasks, elsewhere)

    @property
    def usable(self) -> tuple[Sample, ...]:
        """The samples that the author supplies, less those that cannot be used."""
        return tuple(sample for sample in self.files.samples if sample.is_usable)

    def of(self, task: Task) -> tuple[Sample, ...]:
        """The author's samples of a task; for want of any, one that is made from the schema.

        Also those that cannot be used: their checks are blocked.
        """
        return self._own.get(task.id) or (self._made_for(task),)

    @cached_property
    def _own(self) -> Mapping[str, tuple[Sample, ...]]:
        """The author's samples by the ids of their tasks."""
        own: dict[str, tuple[Sample, ...]] = {}
        for sample in self.files.samples:
            own[sample.task.id] = (*own.get(sample.task.id, ()), sample)
        return own

    def _made_for(self, task: Task) -> Sample:
        if task.id not in self._made:
            file = self._candidate.folder / "made.json"
            given = task.generation.made_sample(task.kind, task.entry, f"{{{OME_ZARR}}}")
            self._made[task.id] = Sample(
                "made", file, task, _made_arguments(task), reserved=given, made=True
            )
        return self._made[task.id]

    @property
    def all(self) -> PackageSamples:
        """The samples of all tasks, and first ones for those that have none."""
        files, folder, tasks = self.files, self.folder, self._candidate.tasks
        tried = {sample.task.id for sample in files.samples if sample.expect == "success"}
        first = []
        for task in tasks:
            if task.id not in tried:
                given = task.generation.made_sample(task.kind, task.entry, f"{{{OME_ZARR}}}")
                value = {"task": task.name, "args": _made_arguments(task), **given}
                first.append(FirstSample(task, value))
        return PackageSamples(
            files.samples,
            files.problems,
            tuple(first),
            len(tasks),
            self._candidate.author_files.located(str(folder)) if folder else None,
        )

    def arguments(self, sample: Sample) -> ResolvedArguments:
        """A sample with every argument that its task is given."""
        folder = self.folder_of(sample)
        return ResolvedArguments(
            sample,
            tuple(
                (part, resolve_arguments(sample, folder, part)) for part in sample.task.run_parts
            ),
        )

    def run(self, sample: Sample) -> Run:
        """What came of running a sample, after the steps before it in its workflow."""
        candidate = self._candidate
        previous = self.run(sample.previous) if sample.previous else None

        for part in sample.task.run_parts if candidate.pixi.brings_more else ():
            candidate.commands.started(part)  # it may need pixi to start at all

        def gather() -> Run:
            _ = candidate.needed_installation
            return self._run_in(self.folder_of(sample), sample, previous)

        # Every process has read the sample itself.
        run = candidate.store.once(run_fact(sample), gather, {"sample": sample})
        for execution in run.executions:
            candidate.pixi.check("the task", execution.start)
        return run

    def run_again(self, sample: Sample, folder: Path) -> Run:
        """Run a sample, and the steps before it, once more in a `folder` that is its `{tmp}`."""
        previous = self.run_again(sample.previous, folder) if sample.previous else None
        return self._run_in(folder, sample, previous)

    def _run_in(self, folder: Path, sample: Sample, previous: Run | None) -> Run:
        """Run a sample after the step before it; `folder` is its `{tmp}`."""
        self.place_data(sample, folder)
        runs = folder.with_name(f"{folder.name}-runs") / sample.name
        start = partial(launch, self._candidate)
        return run_sample(sample, previous, folder, runs, start, self._candidate.executor.callers)

    def place_data(self, sample: Sample, folder: Path) -> None:
        """Put the sample data that a sample names into the folder that is its `{tmp}`.

        What later steps of its workflow name comes with it: by then a task may have put
        something of its own there, or have removed what it was given.
        """
        if sample.named_data:
            steps = [step for step in self.files.samples if step.file == sample.file] or [sample]
            names = frozenset[str]().union(*(step.named_data for step in steps))
            unpack_ome_zarr(folder / OME_ZARR, names)

    def folder_of(self, sample: Sample) -> Path:
        """The `{tmp}` of a sample."""
        if sample.made:
            return self._candidate.folder / "made" / sample.task.id
        return self._candidate.folder / "samples" / sample.workflow

    def starts(self) -> Iterator[tuple[Sample, Start]]:
        """The process starts until now, each with the sample that it was made on."""
        for task in self._candidate.tasks:
            for sample in self.of(task):
                run = self._candidate.store.peek(run_fact(sample), {"sample": sample})
                for execution in run.executions if run is not None else ():
                    yield sample, execution.start


def run_fact(sample: Sample) -> Fact[Run]:
    """Under which the store keeps what came of running a sample."""
    return RUN.of(sample.task.id, sample.name)


def _made_arguments(task: Task) -> Mapping[str, Any]:
    """The task's own arguments, made from its schemas."""
    made = {
        part.keys.name: {
            name: value
            for name, value in make_arguments(part.schema, name_in_data).items()
            if name not in part.reserved.all
        }
        for part in task.run_parts
    }
    return made if len(made) > 1 else next(iter(made.values()), {})
