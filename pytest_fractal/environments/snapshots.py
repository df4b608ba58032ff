"""What has changed in an environment since it was made, without reading it all again."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from pytest_fractal.files import MEBIBYTE, read_regular

Stamp = tuple[int, int, int, int, int]
"""Of a file: inode, size, and in nanoseconds when it was modified and changed; its links."""

_HASHED: Final = 16 * MEBIBYTE
"""The largest file that is hashed."""
_BYTECODE: Final = "__pycache__"


class ChangeKind(StrEnum):
    """What has become of a file."""

    CHANGED = "changed"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True)
class Change:
    """A file that is not as it was."""

    path: str
    """Relative to the environment's folder, with `/`; that of a file elsewhere is absolute."""
    kind: ChangeKind
    at: float
    """When, in seconds since the epoch; of a file that was removed, when its folder changed."""


@dataclass(frozen=True)
class Snapshot:
    """An environment at a moment, bytecode left out."""

    folder: Path
    files: Mapping[str, Stamp] = field(repr=False)
    hashes: Mapping[str, str] = field(repr=False)
    """Of the files that are watched most closely: SHA-256."""
    others: tuple[str, ...] = ()
    """The files elsewhere among them."""

    @classmethod
    def taken(cls, folder: Path, closely: str, others: tuple[Path, ...] = ()) -> Snapshot:
        """Of the environment in `folder`, and of other files.

        Files whose path in the environment begins with `closely` are hashed.
        """
        files = dict(_files(folder))
        elsewhere = tuple(str(path) for path in others if path.exists())
        hashes = {}
        for path, seen in files.items():
            if path.startswith(closely) and (found := _hash(folder / path, seen)):
                hashes[path] = found
        for path in elsewhere:
            files[path] = _stamp(os.lstat(path))
        return cls(folder, files, hashes, elsewhere)

    def changes(self) -> Iterator[Change]:
        """What is not as it was."""
        now = dict(_files(self.folder))
        for path in self.others:
            if os.path.lexists(path):
                now[path] = _stamp(os.lstat(path))
        records: Mapping[str, str] | None = None
        for path, seen in now.items():
            before = self.files.get(path)
            if before is None:
                yield Change(path, ChangeKind.ADDED, seen[3] / 1e9)
            elif before[:3] != seen[:3]:
                yield Change(path, ChangeKind.CHANGED, seen[3] / 1e9)
            elif before[3] != seen[3]:
                # Its inode was changed, maybe to hide that its content was. A file that an
                # installer has linked from its cache changes so with every other environment.
                if before[4] == seen[4] == 1:
                    yield Change(path, ChangeKind.CHANGED, seen[3] / 1e9)
                    continue
                if records is None:
                    records = {**self._recorded(now), **self.hashes}
                known = records.get(path)
                if known is not None and _hash(self.folder / path, seen) not in (None, known):
                    yield Change(path, ChangeKind.CHANGED, seen[3] / 1e9)
        for path in self.files.keys() - now.keys():
            yield Change(path, ChangeKind.REMOVED, _folder_changed(self.folder / path))

    def _recorded(self, now: Mapping[str, Stamp]) -> Mapping[str, str]:
        """The hashes in the RECORDs that are as they were."""
        found = {}
        for path, seen in now.items():
            if path.endswith(".dist-info/RECORD") and self.files.get(path) == seen:
                root = path.rpartition("/")[0].rpartition("/")[0]
                for line in read_regular(self.folder / path, _HASHED).decode().splitlines():
                    name, _, rest = line.partition(",sha256=")
                    code = rest.partition(",")[0]
                    if code:
                        own = os.path.normpath(f"{root}/{name}".replace('"', ""))
                        found[own] = base64.urlsafe_b64decode(f"{code}=").hex()
        return found


def _files(folder: Path) -> Iterator[tuple[str, Stamp]]:
    """All that is no folder, by its path below this one."""
    waiting = [""]
    while waiting:
        here = waiting.pop()
        try:
            with os.scandir(folder / here) as entries:
                for entry in entries:
                    path = f"{here}/{entry.name}" if here else entry.name
                    if entry.is_dir(follow_symlinks=False):
                        if entry.name != _BYTECODE:
                            waiting.append(path)
                    else:
                        yield path, _stamp(entry.stat(follow_symlinks=False))
        except FileNotFoundError:
            continue  # removed meanwhile
        except PermissionError:
            continue


def _stamp(seen: os.stat_result) -> Stamp:
    return seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_nlink


def _hash(file: Path, seen: Stamp) -> str | None:
    """The hash of a file; None where it is too large, or no file."""
    if seen[1] > _HASHED:
        return None
    try:
        return hashlib.sha256(read_regular(file, _HASHED, follow=False)).hexdigest()
    except OSError:
        return None


def _folder_changed(path: Path) -> float:
    """When the nearest folder that is left of a path was changed."""
    for folder in path.parents:
        try:
            seen = folder.lstat()
        except OSError:
            continue
        if stat.S_ISDIR(seen.st_mode):
            return seen.st_mtime_ns / 1e9
    return 0.0
