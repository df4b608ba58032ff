"""The good packages as what mutants are made of: a wheel, its manifest, and jobs to run."""

from __future__ import annotations

import json
import shutil
import tomllib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Protocol

from pytest_fractal.candidate.packaged import Candidate
from pytest_fractal.environments.environments import Environment
from pytest_fractal.environments.installers import INSTALLERS
from pytest_fractal.environments.interpreters import Interpreter
from pytest_fractal.environments.wheels import MANIFEST_NAME
from pytest_fractal.generations import GENERATIONS, Generation
from pytest_fractal.generations.samples_v2 import first_dataset
from pytest_fractal.package_spec import parse_package
from pytest_fractal.processes.executors import LocalExecutor
from pytest_fractal.samples.files import Sample, placed
from pytest_fractal.samples.ome_zarr import OME_ZARR, unpack_ome_zarr
from pytest_fractal.settings import Settings

from .manifest_variants import VARIANTS, Variant

ROOT: Final = Path(__file__).parents[2]
GOOD: Final = tuple(sorted(path for path in ROOT.glob("good_packages/*") if path.is_dir()))
BAD: Final = tuple(sorted(path for path in ROOT.glob("bad_packages/*") if path.is_dir()))


def generation_of(folder: Path) -> str:
    """Which servers take the package in a folder: the version of its manifest, if it has one."""
    found = (path for path in folder.rglob(f"*{MANIFEST_NAME}*") if path.is_file())
    return "2" if any(b'"manifest_version": "2"' in path.read_bytes() for path in found) else "1"


def has_options(folder: Path) -> bool:
    """Whether it is what a bad package is installed with that breaks its rule: extras, pins."""
    expected = tomllib.loads((folder / "expected.toml").read_text())
    return not expected.keys().isdisjoint({"extras", "pins"})


class Job(Protocol):
    """What a sample or a workflow of the package's author becomes on a server."""

    @property
    def name(self) -> str:
        """Of the sample or workflow; empty where the job is only a part of that."""

    @property
    def tasks(self) -> tuple[int, ...]:
        """The position in the manifest of each step's task."""

    def asked(self, manifest: object, folder: Path) -> dict[str, Any]:
        """As the server's script takes it, for tasks as `manifest` has them."""


@dataclass(frozen=True)
class Job1:
    """See `Job`. Metadata and paths are the dataset's, components those that samples name."""

    name: str
    steps: tuple[tuple[int, Mapping[str, Any], str | None], ...]
    """Task, arguments and component."""
    input_paths: tuple[str, ...]
    meta: Mapping[str, Any]

    @property
    def tasks(self) -> tuple[int, ...]:
        """See `Job`."""
        return tuple(task for task, _, _ in self.steps)

    def asked(self, manifest: object, folder: Path) -> dict[str, Any]:
        """See `Job`. A component is listed under the level that its task has."""
        meta = dict(self.meta)
        for task, _, component in self.steps:
            if component is not None and (level := _level(manifest, task)):
                meta[level] = [component]
        job = {
            "steps": [{"task": task, "args": args} for task, args, _ in self.steps],
            "input_paths": list(self.input_paths),
            "output_path": "{tmp}/output",
            "meta": meta,
        }
        filled: dict[str, Any] = placed(job, {"tmp": str(folder)})
        return filled


@dataclass(frozen=True)
class Job2:
    """See `Job`. The images are those with which the first step begins."""

    name: str
    samples: tuple[Sample, ...]

    @property
    def tasks(self) -> tuple[int, ...]:
        """See `Job`."""
        return tuple(sample.task.index for sample in self.samples)

    def asked(self, manifest: object, folder: Path) -> dict[str, Any]:
        """See `Job`."""
        first = self.samples[0]
        if any(sample.named_data for sample in self.samples):
            unpack_ome_zarr(folder / OME_ZARR)
        given = placed(first.reserved, first.places(folder))
        try:
            dataset = first_dataset(first.task.entry, given, folder)
        except (ValueError, AttributeError):  # input types that are none
            dataset = first_dataset({}, given, folder)
        return {
            "steps": [
                {"task": sample.task.index, "init": {}, "compute": {}}
                | {
                    part.keys.name: placed(sample.args_of(part), sample.places(folder))
                    for part in sample.task.run_parts
                }
                for sample in self.samples
            ],
            "zarr_dir": dataset.zarr_dir,
            "images": [image.value for image in dataset.images],
        }


@dataclass(frozen=True)
class Base:
    """A package that all is well with."""

    name: str
    """Of its folder in `good_packages/`."""
    samples: Path | None
    """The folder of its samples."""
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
        return tuple(job for job in self.jobs if task is None or task in job.tasks)[:1]

    @property
    def generation(self) -> Generation:
        """Of its manifest."""
        return GENERATIONS[str(self.manifest["manifest_version"])]

    @property
    def variant(self) -> Variant:
        """What there is to mutate."""
        return VARIANTS[self.generation.version]

    def task_of_kind(self, kind: str) -> int | None:
        """The position of the first task of a kind that has a job."""
        for index, task in enumerate(self.manifest["task_list"]):
            if self.generation.kind(task) == kind and self.job_of(index):
                return index
        return None


def candidate_of(path: Path, folder: Path, **settings: Any) -> Candidate:
    """The candidate that a path names; its facts are kept in `folder`.

    What an interrupted run has left there is removed: its facts are signed by a key that is gone.
    """
    shutil.rmtree(folder, ignore_errors=True)
    return Candidate(
        parse_package(str(path), path.parent), Settings(**settings), folder, LocalExecutor(1)
    )


def build_bases(folders: Sequence[Path], work: Path) -> list[Base]:
    """Build each of these packages once, two at a time. All of them must build."""
    with ThreadPoolExecutor(2) as pool:
        candidates = [candidate_of(folder, work / folder.name) for folder in folders]
        return list(pool.map(read_base, candidates, (folder.name for folder in folders)))


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


def write_files(path: Path, files: Mapping[str, bytes], record: bytes | None = None) -> Path:
    """Write a wheel with this content, in this order, and the `RECORD` that belongs to it.

    With `record`, that is its `RECORD`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    place = next((name for name in files if name.endswith(".dist-info/RECORD")), None)
    listed = "".join(f'"{name}",,\n' for name in files).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, (record or listed) if name == place else content)
    return path


def read_base(candidate: Candidate, name: str) -> Base:
    """The base that a candidate makes."""
    wheel = candidate.builds.release.built.wheel
    assert wheel is not None, f"{name} does not build"
    content = candidate.wheel
    return Base(
        name=name,
        samples=candidate.sample_runs.folder,
        wheel=wheel,
        files=read_files(wheel),
        manifest_path=next(iter(content.manifests), ""),
        jobs=tuple(_jobs(candidate.sample_runs.usable)),
        requirements=tuple(
            str(requirement)
            for requirement in content.requirements
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        ),
    )


def _jobs(samples: Sequence[Sample]) -> Iterator[Job]:
    workflows: dict[str, list[Sample]] = {}
    for sample in samples:
        if sample.expect == "success":
            workflows.setdefault(sample.workflow, []).append(sample)
    for workflow, steps in workflows.items():
        whole = True
        if any("component" in step.reserved for step in steps[1:]):
            # A server runs a task for all components that the metadata list.
            steps, whole = [step for step in steps if "component" not in step.reserved], False
        if "component" in steps[0].reserved:
            whole = False  # it stands in the metadata there
        name = workflow if whole else ""
        if steps[0].task.generation.version == "1":
            yield _job_1(name, steps, {"samples": str(steps[0].file.parent)})
        else:
            yield Job2(name, tuple(steps))


def _job_1(name: str, samples: Sequence[Sample], places: Mapping[str, str]) -> Job:
    first = placed(samples[0].reserved, places)
    return Job1(
        name,
        tuple(
            (step.task.index, placed(step.args, places), step.reserved.get("component"))
            for step in samples
        ),
        tuple(first.get("input_paths", ["{tmp}/input"])),
        first.get("metadata", {}),
    )


def _level(manifest: object, task: int) -> str | None:
    try:
        level = manifest["task_list"][task]["meta"]["parallelization_level"]  # type: ignore[index]
    except (LookupError, TypeError):
        return None
    return level if isinstance(level, str) else None
