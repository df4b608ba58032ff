"""Applying fixes to the author's files: only those that are still as they were read."""

from __future__ import annotations

import contextlib
import difflib
import errno
import os
import shutil
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

from pytest_fractal.files import FILE_LIMIT, read_regular
from pytest_fractal.fixes.json_edits import apply_edits, conflict
from pytest_fractal.fixes.lines import apply_lines
from pytest_fractal.fixes.model import FileFix, Fix, LineEdit

_NOT_YET: Final = "another fix changes the same place: run once more"


@dataclass(frozen=True)
class Change:
    """A file before and after the fixes."""

    file: str
    """Relative to the author's folder."""
    before: bytes | None
    """None: it is made."""
    after: bytes

    def diff(self) -> Iterator[str]:
        """A unified diff, as `git apply` and `patch -p1` take it."""
        old = [] if self.before is None else _lines(self.before)
        source = "/dev/null" if self.before is None else f"a/{self.file}"
        for line in difflib.unified_diff(old, _lines(self.after), source, f"b/{self.file}"):
            yield line.rstrip("\n")
            if not line.endswith("\n"):
                yield "\\ No newline at end of file"


@dataclass
class Plan:
    """What fixes come to, file by file."""

    changes: list[Change] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """What is left alone and why, in words."""


def plan_changes(home: Path, fixes: Iterable[Fix]) -> Plan:
    """What the files below `home` become by these fixes; nothing is written.

    A file that changed since it was read, or lies elsewhere, is left alone.
    """
    plan = Plan()
    for file, changes in _by_file(fixes, plan).items():
        try:
            change = _changed(home, file, changes)
        except (OSError, LookupError, ValueError) as error:
            plan.left.append(f"{file}: {getattr(error, 'strerror', None) or error}")
        else:
            if change.before != change.after:
                plan.changes.append(change)
    return plan


def write(home: Path, change: Change) -> None:
    """Write a file as a whole, or not at all. Raises `OSError`."""
    path = _inside(home, change.file)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(change.after)
        if change.before is None:
            Path(name).chmod(0o644)
        else:
            shutil.copymode(path, name)
            if read_regular(path, FILE_LIMIT) != change.before:
                raise OSError(f"{change.file} is being changed by somebody else")
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def _by_file(fixes: Iterable[Fix], plan: Plan) -> dict[str, list[FileFix]]:
    """The fixes that can be made together; of two that exclude each other, the first."""
    chosen: dict[str, list[FileFix]] = {}
    for fix in fixes:
        clashing = [
            file.file
            for file in fix.files
            if any(_clash(file, earlier) for earlier in chosen.get(file.file, ()))
        ]
        if clashing:
            plan.left += [f"{file}: {_NOT_YET}" for file in clashing]
            continue
        for edited in fix.files:
            known = chosen.setdefault(edited.file, [])
            if edited not in known:
                known.append(edited)
    return chosen


def _clash(one: FileFix, other: FileFix) -> bool:
    if one == other:
        return False
    if one.digest != other.digest or bool(one.json) != bool(other.json):
        return True
    if one.json:
        return any(conflict(edit, its) for edit in one.json for its in other.json)
    return any(
        edit != its and edit.line <= _end(its) and its.line <= _end(edit)
        for edit in one.lines
        for its in other.lines
    )


def _end(edit: LineEdit) -> int:
    return edit.line + len(edit.removed)


def _changed(home: Path, file: str, changes: list[FileFix]) -> Change:
    """The file with all changes. Raises `LookupError`, `ValueError` or `OSError`."""
    path, digest = _inside(home, file), changes[0].digest
    if digest is None:
        if os.path.lexists(path):
            raise LookupError("it is there by now")
        text = (
            apply_lines("", _together(changes)) if any(change.lines for change in changes) else ""
        )
        return Change(file, None, text.encode())
    content = read_regular(path, FILE_LIMIT)
    if sha256(content).hexdigest() != digest:
        raise LookupError("it has changed since it was read")
    text = content.decode()
    if any(change.json for change in changes):
        edits = {
            (edit.action, edit.keys, repr(edit.value)): edit
            for change in changes
            for edit in change.json
        }
        after = apply_edits(text, edits.values())
    else:
        after = apply_lines(text, _together(changes))
        if path.suffix == ".toml":
            tomllib.loads(after)
    return Change(file, content, after.encode())


def _together(changes: list[FileFix]) -> list[LineEdit]:
    return list(dict.fromkeys(edit for change in changes for edit in change.lines))


def _inside(home: Path, file: str) -> Path:
    """The path of a file below `home`. Raises `OSError` where it leads elsewhere."""
    path = home / file
    if not path.resolve().is_relative_to(home.resolve()) or path.is_symlink():
        raise OSError(errno.EPERM, "it leads out of the package's folder, or is a link")
    return path


def _lines(content: bytes) -> list[str]:
    return content.decode(errors="replace").splitlines(keepends=True)
