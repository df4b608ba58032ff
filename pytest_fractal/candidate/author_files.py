"""The files of a candidate as its author knows them, in the folder that they work in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath


class AuthorFiles:
    """The files below an author's folder; none where there is no such folder.

    `named` says which of them are known by another name: how they were given.
    """

    def __init__(self, home: Path | None, named: Mapping[str, str] | None = None) -> None:
        self._home = home
        self._named = named or {}

    def own(self, file: str) -> str | None:
        """The file of the author's that a finding about `file` is shown at; None for none."""
        return self._named.get(file) or self._in_tree(file)

    def located(self, file: str) -> str:
        """A path in the wheel as the author knows it: where the source tree has that file."""
        if self._home is not None and Path(file).is_relative_to(self._home):
            return str(Path(file).relative_to(self._home))
        return file if Path(file).is_absolute() else self._in_tree(file) or file

    def _in_tree(self, file: str) -> str | None:
        """A path in the wheel, or on disk, relative to the author's folder; None if not there."""
        if self._home is None:
            return None
        for place in (PurePosixPath(file), PurePosixPath("src", file)):
            if os.path.isfile(self._home / place):  # noqa: PTH113 - false for an impossible name
                return Path(os.path.relpath(self._home / place, self._home)).as_posix()
        return None
