"""One mutant, and how one is made of a good package."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .bases import Base
from .manifest_variants import Way

Files = dict[str, bytes]


@dataclass(frozen=True)
class Mutant:
    """A wheel that is a good package's but for one thing."""

    what: str
    """What is mutated."""
    how: str
    base: Base
    files: Mapping[str, bytes] = field(repr=False)
    manifest: Any = field(repr=False)
    """What its manifest holds, as the server reads it; None where it is no JSON."""
    task: int | None = None
    """The position of the task that is mutated; None where it is none in particular."""
    record: bytes | None = field(default=None, repr=False)
    """What `RECORD` holds; None for what belongs to the wheel."""
    version: str | None = None
    """In the wheel's file name; None for the base's."""
    leaves_out: str | None = None
    """An argument that its jobs do not give, so that a default counts."""
    by_pip: bool = False
    """Whether the server is to install it by a real pip: what pip makes of it is the point."""

    @property
    def wheel_name(self) -> str:
        """The file name of its wheel."""
        name, version, *tags = self.base.wheel.name.split("-")
        return "-".join((name, self.version or version, *tags))

    @property
    def kind(self) -> str:
        """What is mutated and how: the same for all good packages."""
        return f"{self.what}: {self.how}"


class _Absent:
    pass


ABSENT: Final = _Absent()


def at(value: Any, way: Way) -> Any:
    for key in way:
        try:
            value = value[key]
        except (LookupError, TypeError):
            return ABSENT
    return value


def about_folder(base: Base) -> str:
    return next(path.split("/")[0] for path in base.files if ".dist-info/" in path)


def changed(base: Base, what: str, how: str, way: Way, value: Any, task: int | None) -> Mutant:
    manifest = copy.deepcopy(base.manifest)
    holder: Any = manifest
    for key in way[:-1]:
        if isinstance(holder, dict):
            holder.setdefault(key, {})
        holder = holder[key]
    holder[way[-1]] = value
    return with_manifest(base, what, how, manifest, task)


def with_manifest(base: Base, what: str, how: str, manifest: Any, task: int | None) -> Mutant:
    return with_text(base, what, how, json.dumps(manifest, indent=2).encode(), task)


def with_text(base: Base, what: str, how: str, text: bytes, task: int | None) -> Mutant:
    files = {**base.files, base.manifest_path: text}
    try:
        manifest = json.loads(text)
    except (ValueError, RecursionError):
        manifest = None
    return Mutant(what, how, base, files, manifest, task)
