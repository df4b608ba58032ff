"""The facts that rules judge, each of a type of its own.

A rule asks for what it needs by these types, and never sees how it was gathered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from pytest_fractal.environments.building import Built
from pytest_fractal.environments.environments import Environment
from pytest_fractal.environments.snapshots import Change
from pytest_fractal.environments.wheels import Wheel
from pytest_fractal.fixes.model import JsonEdit, json_fix
from pytest_fractal.generations import Generation, ModelFault, PartKeys, Reserved
from pytest_fractal.json_text import JsonText
from pytest_fractal.pointers import Keys, pointer
from pytest_fractal.processes.probing import Probe
from pytest_fractal.processes.processes import Finished
from pytest_fractal.processes.validation import ValidationFault
from pytest_fractal.signatures.task_function import Signature, Unreadable, read_signature
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
class Generator:
    """What generates a manifest: a list of tasks in Python, and the command that reads it."""

    command: str
    task_list: str
    """Where the list of tasks is."""
    script: str | None = None
    """The path of the script that the command runs, from where packages are installed."""

    @property
    def commands(self) -> str:
        """The lines that generate the manifest anew, below what is said before them."""
        return (
            f"\n    {self.command}"
            "\nwhere the package is installed by `pip install -e .`; or without that"
            f"\n    uv run --no-project --with-editable . {self.command}"
        )

    def instead(self, hint: str, is_enough: bool) -> str:
        """The fix of a manifest that is generated; `is_enough` says that the command does it."""
        if is_enough:
            return f"generate the manifest anew:{self.commands}\nBy hand: {hint}"
        return (
            f"{hint}; the manifest is generated: change it in {self.task_list}, or in the task, "
            f"and run{self.commands}"
        )


@dataclass(frozen=True)
class GeneratedManifest:
    """What a package's own generator makes of its code today."""

    text: str | None
    """The manifest, as JSON; None where it made none."""
    failure: str = ""
    """Why it made none."""


@dataclass(frozen=True)
class TaskList:
    """A file that lists tasks: the manifest of a package, or tasks outside any package."""

    path: str
    """Its path in the wheel, or on disk."""
    text: JsonText = field(repr=False)
    generation: Generation | None
    """None when its version is none that can be judged."""
    generator: Generator | None = None
    """What generates the file; None where people write it."""

    @property
    def entries(self) -> Sequence[Any]:
        """The entries, whatever they are."""
        raise NotImplementedError

    def way(self, index: int) -> Keys:
        """The keys that lead to the entry with this index."""
        raise NotImplementedError

    def faults(self) -> Iterator[ModelFault]:
        """Where the file is not what the server's model takes, all places at once."""
        raise NotImplementedError

    def unknown_keys(self) -> Iterator[UnknownKey]:
        """The keys that the server drops."""
        raise NotImplementedError

    @property
    def common(self) -> Mapping[str, Any]:
        """What it says of all its tasks together."""
        return {}

    def slug(self, index: int) -> str:
        """The slug of the entry with this index: of its name, or its place where that is none."""
        return self._slugs[index]

    @cached_property
    def _slugs(self) -> tuple[str, ...]:
        return tuple(self._slug(index, entry) for index, entry in enumerate(self.entries))

    def _slug(self, index: int, entry: Any) -> str:
        name = entry.get("name") if isinstance(entry, dict) else None
        if self.generation is None or not isinstance(name, str | int | float):
            return f"task_{index}"
        return self.generation.slug(str(name)) if str(name).strip() else f"task_{index}"

    def finding(
        self,
        *keys: str | int,
        expected: str,
        found: str,
        hint: str,
        task: str | None = None,
        severity: Severity | None = None,
        edits: Iterable[JsonEdit] = (),
        generated: bool = False,
        listed: str | None = None,
        releases: str | None = None,
    ) -> Finding:
        """A finding at the place to which the keys lead, or at the nearest one above it.

        `edits` fix it, with keys from the file's root. `generated` says that generating the
        file anew does; `listed` what to change before that in the list of tasks that it is
        generated from. An edit to a generated file would be lost, and is left out.
        """
        here, edits = keys, tuple(edits)
        if self.generator is not None and listed is not None:
            hint = f"in {self.generator.task_list}, {listed}; then run{self.generator.commands}"
        elif self.generator is not None:
            hint = self.generator.instead(hint, generated)
        while (place := self.text.places.get(pointer(*here))) is None and here:
            here = here[:-1]
        return Finding(
            expected=expected,
            found=found,
            hint=hint,
            file=self.path,
            pointer=pointer(*keys) or None,
            line=place.line if place else None,
            column=place.column if place else None,
            task=task,
            severity=severity,
            releases=releases,
            fix=json_fix(self.path, *edits) if edits and self.generator is None else None,
        )

    def task_of(self, keys: Sequence[str | int]) -> str | None:
        """The slug of the task into whose entry the keys lead; None when they lead elsewhere."""
        index = self._of_way.get(tuple(keys[: self._way_length]))
        return None if index is None else self.slug(index)

    @cached_property
    def _of_way(self) -> Mapping[Keys, int]:
        return {self.way(index): index for index in range(len(self.entries))}

    @cached_property
    def _way_length(self) -> int:
        return len(self.way(0)) if self.entries else 0

    def _unknown_in_entries(self, known: frozenset[str]) -> Iterator[UnknownKey]:
        for index, entry in enumerate(self.entries):
            for key in entry if isinstance(entry, dict) else ():
                if key not in known:
                    yield UnknownKey((*self.way(index), key), known, entry)


@dataclass(frozen=True)
class UnknownKey:
    """A key that the server drops."""

    keys: Keys
    known: frozenset[str]
    """The keys that it reads at this place."""
    there: Mapping[str, Any]
    """The object that has the key."""


@dataclass(frozen=True)
class Manifest(TaskList):
    """The manifest that Fractal would read out of the wheel."""

    @property
    def value(self) -> Mapping[str, Any]:
        """The manifest's object; empty when it is no object."""
        return self.text.value if isinstance(self.text.value, dict) else {}

    @property
    def entries(self) -> Sequence[Any]:
        """The entries of `task_list`, whatever they are; empty when it is no list."""
        entries = self.value.get("task_list")
        return entries if isinstance(entries, list) else ()

    def way(self, index: int) -> Keys:
        """The keys that lead to an entry, from the root of the manifest."""
        return "task_list", index

    def faults(self) -> Iterator[ModelFault]:
        """Where the model of the manifest refuses it."""
        assert self.generation is not None
        return self.generation.faults(self.value)

    def unknown_keys(self) -> Iterator[UnknownKey]:
        """Keys that the models of manifest and task do not have."""
        assert self.generation is not None
        for key in self.value:
            if key not in self.generation.manifest_keys:
                yield UnknownKey((key,), self.generation.manifest_keys, self.value)
        yield from self._unknown_in_entries(self.generation.task_keys)

    @property
    def common(self) -> Mapping[str, Any]:
        """What all tasks share: the manifest itself."""
        return self.value


@dataclass(frozen=True)
class CustomTaskList(TaskList):
    """Tasks outside any package: an object as it would be posted to the server, or a list."""

    @property
    def entries(self) -> Sequence[Any]:
        """The entries of the list, or the one object."""
        return self.text.value if isinstance(self.text.value, list) else [self.text.value]

    def way(self, index: int) -> Keys:
        """The keys that lead to an entry; none where the file holds one object."""
        return (index,) if isinstance(self.text.value, list) else ()

    def faults(self) -> Iterator[ModelFault]:
        """Where the model of a posted task refuses an entry."""
        assert self.generation is not None
        for index, entry in enumerate(self.entries):
            for fault in self.generation.custom_faults(entry):
                yield replace(fault, keys=(*self.way(index), *fault.keys))

    def unknown_keys(self) -> Iterator[UnknownKey]:
        """Keys that the model of a posted task does not have."""
        assert self.generation is not None
        return self._unknown_in_entries(self.generation.custom_keys)


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
        """Its commands that the entry tells of, in the order of their execution."""
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
    """One command of a task, as the task's entry tells of it. Most tasks have one."""

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
    ) -> Finding:
        """A finding at a place within its schema, from which the keys of the edits lead too."""
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
            return read_signature(self.wheel.contents, self.wheel.package, self.executable)
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
