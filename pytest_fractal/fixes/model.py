"""A fix as data: terminal, reports and `--fractal-fix` all make what they need of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pytest_fractal.pointers import Keys


class Action(StrEnum):
    """What a `JsonEdit` does, in the order in which several are applied."""

    SET = "set"
    """Give the member or the item at `keys` this value; a member that is missing is added."""
    ADD = "add"
    """Add the value to the list at `keys`."""
    DROP = "drop"
    """Take the value out of the list at `keys`."""
    REMOVE = "remove"
    """Remove the member at `keys`."""
    RENAME = "rename"
    """Let the member at `keys` have the value as its key, at the same place."""


@dataclass(frozen=True)
class JsonEdit:
    """One edit to a JSON file, given by the way to its place and not by lines."""

    action: Action
    keys: Keys
    value: Any = None
    position: int | None = None
    """For what is added: before the member or item with this index; None: at the end."""


@dataclass(frozen=True)
class LineEdit:
    """Lines of a file that are replaced by others."""

    line: int
    """The first of the lines that go, from 1; without any, the one before which to add."""
    removed: tuple[str, ...]
    added: tuple[str, ...]


@dataclass(frozen=True)
class FileFix:
    """What is to be changed in one file."""

    file: str
    """As findings name files; on a finding of a verdict, relative to the author's folder."""
    json: tuple[JsonEdit, ...] = ()
    lines: tuple[LineEdit, ...] = ()
    """For a JSON file, what the edits above come to."""
    digest: str | None = None
    """The SHA-256 of the content for which the lines hold; None for a file that is made."""


@dataclass(frozen=True)
class Fix:
    """A fix that needs nobody's judgement: applied, the finding goes, and nothing else breaks."""

    files: tuple[FileFix, ...] = field(default=())
    requires: tuple[str, ...] = ()
    """What the project must depend on besides; on a finding of a verdict it is among `files`."""


def json_fix(file: str, *edits: JsonEdit) -> Fix:
    """A fix of one JSON file."""
    return Fix((FileFix(file, edits),))
