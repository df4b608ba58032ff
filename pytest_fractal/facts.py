"""The facts that rules judge, each of a type of its own.

A rule asks for what it needs by these types, and never sees how it was gathered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from pytest_fractal.environments.building import Built
from pytest_fractal.environments.environments import Environment
from pytest_fractal.environments.snapshots import Change
from pytest_fractal.environments.wheels import Wheel
from pytest_fractal.fixes.model import JsonEdit
from pytest_fractal.generations import Generation, ModelFault, PartKeys, Reserved
from pytest_fractal.processes.probing import Probe
from pytest_fractal.processes.processes import Finished
from pytest_fractal.processes.validation import ValidationFault
from pytest_fractal.signatures.task_function import Signature, Unreadable
from pytest_fractal.task_lists import Generator, TaskList
from pytest_fractal.verdicts import Finding, Severity


@dataclass(frozen=True)
class Build:
    """How the wheel came about."""

    kind: str
    """`source`, `wheel`, `url` or `requirement`."""
    text: str
    built: Built
    source: Path | None
    """The source tree; None for a wheel or a requirement."""
    source_manifests: tuple[PurePosixPath, ...] = ()
    """The manifests in the source tree, relative to it, the likeliest first; only sought
    where the build failed."""


@dataclass(frozen=True)
class TreeBuild:
    """The wheel that is built straight from the source tree, beside the judged one."""

    source: Path | None
    built: Built | None
    """None without a source tree."""
    wheel: Wheel
    """The judged wheel, built by way of the sdist."""
    tree_wheel: Wheel | None


@dataclass(frozen=True)
class Bundle:
    """The wheel beside the source tree that it was made from."""

    wheel: Wheel
    source: Path | None
    """None for a wheel or a requirement."""
    source_manifests: tuple[PurePosixPath, ...]
    """The manifests in the source tree, relative to it, the likeliest first."""
    generator: Generator | None = None
    """What generates a manifest; None where people write it."""


@dataclass(frozen=True)
class Installation:
    """The wheel installed in an environment of its own."""

    environment: Environment
    wheel: Wheel
    finished: Finished | None
    """How the installer ended; None where somebody else had made the environment."""
    extras: tuple[str, ...]
    pins: tuple[str, ...]
    versions: Mapping[str, str]
    """The installed distributions: normalised name -> version."""
    unmet: tuple[str, ...]
    """The installer's line for each requirement that is not met."""
    requirements: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    """What the installed distributions require: normalised name -> `Requires-Dist`."""
    dependency_lines: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Where the source tree names a dependency: normalised name -> file and line, in words.

    The empty name stands for the list itself."""


@dataclass(frozen=True)
class EnvironmentUse:
    """What a task has changed in the environment while a sample of its ran."""

    script: str
    """The path of its executable in the wheel."""
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class GeneratedManifest:
    """What a package's own generator makes of its code today."""

    text: str | None
    """The manifest, as JSON; None where it made none."""
    failure: str = ""
    """Why it made none."""


@dataclass(frozen=True)
class Task:
    """One entry of a list of tasks that is an object, good or bad."""

    index: int
    id: str
    """As it stands in node ids: the slug, made safe and unique."""
    slug: str
    """As the server makes it from the name."""
    name: str
    entry: Mapping[str, Any] = field(repr=False)
    listed: TaskList = field(repr=False)
    generation: Generation = field(repr=False)

    @cached_property
    def kind(self) -> str:
        """The kind of task, in the generation's own words."""
        return self.generation.kind(self.entry)

    @property
    def schema_version(self) -> Any:
        """The `args_schema_version` of its schemas, whatever it is."""
        return {**self.entry, **self.listed.common}.get("args_schema_version")

    @property
    def kind_words(self) -> str:
        """The kind as a sentence has it."""
        return self.kind.replace("_", "-")

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """Its commands that the entry has, in the order of their execution."""
        return tuple(Part(self, keys) for keys in self.generation.parts(self.entry))

    @cached_property
    def run_parts(self) -> tuple[Part, ...]:
        """Those of its commands that the server executes."""
        return tuple(part for part in self.parts if part.is_run)

    def finding(
        self,
        *keys: str | int,
        expected: str,
        found: str,
        hint: str,
        severity: Severity | None = None,
        edits: Iterable[JsonEdit] = (),
        generated: bool = False,
        in_code: bool = False,
        listed: str | None = None,
        releases: str | None = None,
    ) -> Finding:
        """A finding at a place within this task's entry; see `TaskList.finding`.

        The keys of the edits lead from the entry.
        """
        way = self.listed.way(self.index)
        return self.listed.finding(
            *way,
            *keys,
            expected=expected,
            found=found,
            hint=hint,
            task=self.slug,
            severity=severity,
            edits=[replace(edit, keys=(*way, *edit.keys)) for edit in edits],
            generated=generated,
            in_code=in_code,
            listed=listed,
            releases=releases,
        )


@dataclass(frozen=True)
class PackagedTask(Task):
    """A task of a package, whose executables lie in the wheel."""

    wheel: Wheel = field(repr=False)

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The commands that its entry names, each with the wheel that it lies in."""
        return tuple(
            PackagedPart(self, keys, self.wheel) for keys in self.generation.parts(self.entry)
        )


@dataclass(frozen=True)
class Part:
    """One command of a task, as the task's entry has it. Most tasks have one."""

    task: Task
    keys: PartKeys

    @property
    def is_run(self) -> bool:
        """Whether the server executes it for a task of this kind."""
        return self.keys in self.task.generation.runs(self.task.kind)

    @property
    def is_parallel(self) -> bool:
        """Whether it runs once for each unit of work, and by the rules of parallel tasks."""
        return self.keys.is_parallel

    @property
    def words(self) -> str:
        """What it is, in a sentence: a parallel task, or the init part of a compound one."""
        kind = self.task.kind_words
        return (
            f"{kind} task"
            if len(self.task.parts) == 1
            else (f"{self.keys.name} part of a {kind} task")
        )

    @property
    def meta(self) -> Any:
        """The `meta`, whatever it is; None when there is none."""
        return self.task.entry.get(self.keys.meta)

    @property
    def has_schema(self) -> bool:
        """Whether its schema is there, and an object."""
        return isinstance(self.task.entry.get(self.keys.args_schema), dict)

    @property
    def schema(self) -> Mapping[str, Any]:
        """The JSON Schema of its arguments; empty when it is no object."""
        value = self.task.entry.get(self.keys.args_schema)
        return value if isinstance(value, dict) else {}

    @property
    def reserved(self) -> Reserved:
        """The arguments that Fractal supplies to it."""
        return self.task.generation.reserved(self.task.kind, self.keys)

    @property
    def script(self) -> str:
        """What to look into when the command misbehaves."""
        return str(self.task.entry.get(self.keys.command, ""))

    @property
    def takes_any_keyword(self) -> bool:
        """Whether its function is known to take arguments of any name."""
        return False

    def schema_finding(
        self,
        *keys: str | int,
        expected: str,
        found: str,
        hint: str,
        severity: Severity | None = None,
        edits: Iterable[JsonEdit] = (),
        in_code: bool = False,
    ) -> Finding:
        """A finding at a place within its schema, from which the keys of the edits lead too.

        `in_code` says that the code is to be changed: generating the schema anew is not enough.
        """
        way = self.keys.args_schema
        return self.task.finding(
            way,
            *keys,
            expected=expected,
            found=found,
            hint=hint,
            severity=severity,
            edits=[replace(edit, keys=(way, *edit.keys)) for edit in edits],
            generated=True,
            in_code=in_code,
        )


@dataclass(frozen=True)
class PackagedPart(Part):
    """A command whose executable lies in the wheel."""

    wheel: Wheel = field(repr=False)

    @property
    def executable(self) -> str:
        """The path of the script below the package's folder; empty when it is no text."""
        value = self.task.entry.get(self.keys.executable)
        return value if isinstance(value, str) else ""

    @property
    def script(self) -> str:
        """The path of the executable in the wheel."""
        return f"{self.wheel.package}/{self.executable}"

    @property
    def takes_any_keyword(self) -> bool:
        """Whether the function has `**kwargs`; False where its signature cannot be read."""
        return isinstance(self.signature, Signature) and self.signature.takes_any_keyword

    @cached_property
    def signature(self) -> Signature | Unreadable:
        """The signature of the function that the executable runs, or why it cannot be known."""
        try:
            return self.wheel.signatures.of(self.executable)
        except Unreadable as reason:
            return reason


@dataclass(frozen=True)
class Command:
    """What Fractal executes for a task, or a part of it, and what its starts have shown."""

    part: Part
    argv: tuple[str, ...]
    probe: Probe
    installation: Installation | None
    """None for a task outside any package."""
    misplaced: Mapping[str, str] = field(default_factory=dict)
    """Words of it that name a file beside the list of tasks, where it does not run: with the
    absolute path of each."""


@dataclass(frozen=True)
class Validation:
    """What a task's own pydantic models said of arguments made from its schema."""

    faults: tuple[ValidationFault, ...]
    arguments: Mapping[str, Any]
    """What it was given."""
    command_started: bool = True
    """False where no command is started, or nothing could be installed."""


@dataclass(frozen=True)
class ClusterRefusal:
    """Something of a task for which a cluster would refuse its job."""

    keys: tuple[str, ...] | None
    """The way from `meta`, none where all of it is refused together; None: the task's name."""
    words: str
    """What SLURM says."""
    lines: tuple[str, ...]
    """The lines of the job's script that it is about."""


@dataclass(frozen=True)
class ClusterAnswer:
    """What a cluster says of the job that a server would submit for a command."""

    part: Part
    faults: tuple[ModelFault, ...] = ()
    """Why the server itself makes no job of it; the keys lead from `meta`."""
    refusals: tuple[ClusterRefusal, ...] = ()

    def value(self, refusal: ClusterRefusal) -> Any:
        """What stands in the entry where something is refused."""
        if refusal.keys is None:
            return self.part.task.name
        value = self.part.meta
        for key in refusal.keys:
            value = value[key]
        return value
