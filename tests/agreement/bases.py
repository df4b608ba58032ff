"""The good packages as what mutants are made of: a wheel, its manifest, and jobs to run."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from pytest_fractal.candidate import Candidate
from pytest_fractal.machinery.environments import INSTALLERS, Environment
from pytest_fractal.machinery.executors import LocalExecutor
from pytest_fractal.machinery.interpreters import Interpreter
from pytest_fractal.machinery.wheels import MANIFEST_NAME
from pytest_fractal.sample_files import Sample, placed
from pytest_fractal.settings import Settings, parse_package

ROOT: Final = Path(__file__).parents[2]
GOOD: Final = tuple(sorted(path for path in ROOT.glob("good_packages/*") if path.is_dir()))
BAD: Final = tuple(sorted(path for path in ROOT.glob("bad_packages/*") if path.is_dir()))


@dataclass(frozen=True)
class Step:
    """One task of a job: its position in the manifest, and its own arguments."""

    task: int
    args: Mapping[str, Any]
    component: str | None


@dataclass(frozen=True)
class Job:
    """What a sample or a workflow of the package's author becomes on a server."""

    steps: tuple[Step, ...]
    input_paths: tuple[str, ...]
    meta: Mapping[str, Any]

    def asked(self, manifest: object, folder: Path) -> dict[str, Any]:
        """As the server's script takes it, for tasks as `manifest` has them.

        Of the dataset's metadata the author of a sample says little: where he names a
        component, it is listed under the level that its task has.
        """
        places = {"tmp": str(folder)}
        meta = dict(self.meta)
        for step in self.steps:
            if step.component is not None and (level := _level(manifest, step.task)):
                meta[level] = [step.component]
        return {
            "steps": [
                {"task": step.task, "args": placed(step.args, places)} for step in self.steps
            ],
            "input_paths": placed(list(self.input_paths), places),
            "output_path": str(folder / "output"),
            "meta": placed(meta, places),
        }


@dataclass(frozen=True)
class Base:
    """A package that all is well with."""

    name: str
    """Of its folder in `good_packages/`."""
    folder: Path
    wheel: Path
    files: Mapping[str, bytes] = field(repr=False)
    """The wheel's content, in its order."""
    manifest_path: str
    """Of the first manifest that the server would find; empty where there is none."""
    jobs: tuple[Job, ...]
    requirements: tuple[str, ...]

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What the manifest holds."""
        value = json.loads(self.files[self.manifest_path])
        assert isinstance(value, dict)
        return value

    @property
    def package(self) -> str:
        """The import folder."""
        return self.manifest_path.removesuffix(f"/{MANIFEST_NAME}")

    def job_of(self, task: int | None) -> tuple[Job, ...]:
        """The first job in which a task takes part; the first of all where none is meant."""
        return tuple(
            job
            for job in self.jobs
            if task is None or any(step.task == task for step in job.steps)
        )[:1]

    def task_of_kind(self, parallel: bool) -> int | None:
        """The position of the first task of a kind that has a job."""
        for index in range(len(self.manifest["task_list"])):
            if bool(_level(self.manifest, index)) is parallel and self.job_of(index):
                return index
        return None


def candidate_of(path: Path, folder: Path, **settings: Any) -> Candidate:
    """The candidate that a path names; its facts are kept in `folder`."""
    return Candidate(
        parse_package(str(path), path.parent), Settings(**settings), folder, LocalExecutor(1)
    )


def build_bases(folders: Iterable[Path], work: Path) -> list[Base]:
    """Build each of these packages once, two at a time. All of them must build."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda folder: _build(folder, work / folder.name), folders))


def requirements_folders(base: Base, work: Path, interpreter: Interpreter) -> tuple[str, ...]:
    """Where what the package requires is installed, for an interpreter; empty for nothing.

    The wheel itself is not: a mutant that lacks a module must not find it there.
    """
    if not base.requirements:
        return ()
    environment = Environment(work / f"requirements-{base.name}", interpreter)
    if not environment.folder.exists():
        installer = INSTALLERS["uv"]()
        installer.create(environment.folder, interpreter)
        finished = installer.install(environment, base.requirements)
        assert finished.returncode == 0, finished.stderr
    return (str(environment.site_packages),)


def read_files(wheel: Path) -> dict[str, bytes]:
    """The content of a wheel, in its order, folders left out."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        return {name: archive.read(name) for name in names}


def write_files(path: Path, files: Mapping[str, bytes]) -> Path:
    """Write a wheel with this content, in this order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def _build(folder: Path, work: Path) -> Base:
    candidate = candidate_of(folder, work)
    wheel = candidate.build.built.wheel
    assert wheel is not None, f"{folder.name} does not build"
    content = candidate.wheel
    return Base(
        name=folder.name,
        folder=folder,
        wheel=wheel,
        files=read_files(wheel),
        manifest_path=next(iter(content.manifests), ""),
        jobs=tuple(_jobs(candidate.samples, folder / "fractal_samples")),
        requirements=tuple(
            str(requirement)
            for requirement in content.requirements
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        ),
    )


def _jobs(samples: Sequence[Sample], folder: Path) -> Iterator[Job]:
    workflows: dict[str, list[Sample]] = {}
    for sample in samples:
        if sample.expect == "success":
            workflows.setdefault(sample.workflow, []).append(sample)
    for steps in workflows.values():
        if any("component" in step.reserved for step in steps[1:]):
            # A server runs a task for all components that the metadata list.
            steps = [step for step in steps if "component" not in step.reserved]
        first = steps[0].reserved
        places = {"samples": str(folder)}
        yield Job(
            tuple(_step(step, places) for step in steps),
            tuple(placed(first.get("input_paths", ["{tmp}/input"]), places)),
            placed(first.get("metadata", {}), places),
        )


def _step(sample: Sample, places: Mapping[str, str]) -> Step:
    component = sample.reserved.get("component")
    return Step(sample.task.index, placed(sample.args, places), component)


def _level(manifest: object, task: int) -> str | None:
    try:
        level = manifest["task_list"][task]["meta"]["parallelization_level"]  # type: ignore[index]
    except (LookupError, TypeError):
        return None
    return level if isinstance(level, str) else None
