"""Lists of tasks: the manifest of a package, and files of tasks outside any package."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from pytest_fractal.fixes.model import JsonEdit, json_fix
from pytest_fractal.generations import Generation, ModelFault
from pytest_fractal.json_text import JsonText
from pytest_fractal.pointers import Keys, pointer
from pytest_fractal.verdicts import Finding, Severity


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
        in_code: bool = False,
        listed: str | None = None,
        releases: str | None = None,
    ) -> Finding:
        """A finding at the place to which the keys lead, or at the nearest one above it.

        `edits` fix it, with keys from the file's root. `generated` says that generating the
        file anew does, unless it is `in_code`: then the task's code has to change before that.
        `listed` says what to change before it in the list of tasks that the file is generated
        from. An edit to a generated file would be lost, and is left out.
        """
        here, edits = keys, tuple(edits)
        if self.generator is not None and listed is not None:
            hint = f"in {self.generator.task_list}, {listed}; then run{self.generator.commands}"
        elif self.generator is not None and in_code:
            hint = f"{hint}; then generate the manifest anew:{self.generator.commands}"
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
