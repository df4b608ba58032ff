"""Copying a source tree to a place where it can be built.

Backends write into the tree that they build (`build/`, `*.egg-info`), build scripts write
where they please, and two runs at once would meet there. What is built is a copy, in which
everything is found where the author has it, and from which no way leads back.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Final

from pytest_fractal.environments.ignore_patterns import (
    GITIGNORE,
    NEUTRAL_PLACE,
    find_gitignore,
    pretend_place,
    read_patterns,
)
from pytest_fractal.environments.project_table import (
    PYPROJECT,
    BadTable,
    read_build_system,
)
from pytest_fractal.environments.repositories import (
    assume_unchanged,
    copy_repository,
    has_repository,
    tracked_paths,
)
from pytest_fractal.errors import HarnessError
from pytest_fractal.files import read_regular
from pytest_fractal.processes.sandbox import may_be_named

_LEFT_OUT: Final = frozenset(
    {
        "__pycache__",
        ".tox",
        ".nox",
        ".venv",
        ".pixi",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        "node_modules",
        ".eggs",
    }
)
_ENVIRONMENT: Final = ("pyvenv.cfg", "conda-meta")
"""What marks a folder as an environment, of venv or conda."""

_WAYS_OUT: Final = re.compile(
    rb"(?<!\.)\.\.(?!\.)|\.parent\.parent|\.parents\b|dirname\(.*dirname\(|pardir|toplevel"
)
"""How a file of the build names a folder beside the project's own."""
_READ_BY_BUILDS: Final = frozenset({".py", ".toml", ".cfg", ".in", ".txt", ".build", ".json"})

_MUCH: Final = 50_000_000
"""More bytes than the sources hold that a project shares with its neighbours by a link."""

_TAKES_IGNORED: Final = re.compile(r"artifacts|force-include|ignore-vcs|hooks")
"""Settings of hatchling's that bring in files which .gitignore leaves out."""


def copy_tree(source: Path, target: Path) -> Path:
    """Copy a project, with the repository around it, to `target`; returns its folder there.

    Caches, environments and what earlier builds left stay behind, as in a fresh clone, and
    so do folders that a backend leaves out because .gitignore does. What git tracks is
    always copied: where it is missing, a version is marked as changed. Folders beside the
    project are copied where its build seems to reach for them.

    Raises `HarnessError` for a tree that the system cannot copy.
    """
    try:
        return _Copy(source.resolve(), target).make()
    except (OSError, RuntimeError) as error:  # a loop of links is a RuntimeError in old Pythons
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            raise HarnessError(
                f"{source} cannot be copied: its folders lie too deep for the system's paths"
            ) from None
        raise HarnessError(f"{source} cannot be copied: {error}") from None


def files_below(folder: Path) -> Iterator[Path]:
    """Every file below a folder that is none of a cache, an environment or an earlier build.

    However deep it lies; folders that cannot be read are passed over.
    """
    pending = [folder]
    while pending:
        here = pending.pop()
        with suppress(OSError), os.scandir(here) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name != ".git" and not _is_left_out(Path(entry.path)):
                        pending.append(Path(entry.path))
                elif entry.is_file():
                    yield Path(entry.path)


class _Copy:
    """One copy. Paths are relative to the top of the repository, or of the project alone."""

    def __init__(self, source: Path, target: Path) -> None:
        top = next(filter(has_repository, (source, *source.parents)), None)
        self._in_repository = top is not None
        self._top = top or source
        self._project = source.relative_to(self._top).as_posix()
        self._target = target
        self._gitignore = find_gitignore(source, top or Path(source.anchor))
        """As hatchling looks for it: beyond a project that is in no repository."""
        self._place = f"{NEUTRAL_PLACE}/{self._project}"
        self._tracked: frozenset[str] = frozenset()
        self._with_tracked: set[str] = set()
        self._links: list[str] = []
        self._changed: set[str] = set()
        """What is not in the copy as the repository has it, through no doing of the author's."""

    def make(self) -> Path:
        source, copy = self._top / self._project, self._target / self._project
        self._target.mkdir(parents=True)
        if self._in_repository:
            copy_repository(self._top, self._target)
            self._tracked = tracked_paths(self._target)
            self._with_tracked = _folders_of(self._tracked)
        if self._project != ".":
            self._copy_beside(_reaches_out(source))
        self._copy_folder(self._project, self._ignored_by_backend(source))
        for link in self._links:  # which grows meanwhile
            self._lead_link(link)
        self._move_gitignore(copy)
        if self._in_repository:
            self._hide_changes()
        return copy

    def _copy_beside(self, reaches_out: bool) -> None:
        """Copy the files in the folders above the project, and maybe the folders beside it."""
        ignored = read_patterns(find_gitignore(self._top, self._top)).match_file
        for folder in reversed(PurePosixPath(self._project).parents):
            (self._target / folder).mkdir(exist_ok=True)
            for entry in _entries(self._top / folder):
                path = (folder / entry.name).as_posix()
                if PurePosixPath(self._project).is_relative_to(path) or entry.name == ".git":
                    continue
                if not entry.is_dir(follow_symlinks=False):
                    self._copy_file(path)
                elif reaches_out and not _is_left_out(Path(entry.path)):
                    self._copy_folder(path, ignored)

    def _copy_folder(self, start: str, ignored: Callable[[str], bool] = lambda _: False) -> None:
        """Copy a folder; where `ignored` says so of one in it, only what is tracked there."""
        pending = [(start, False)]
        while pending:
            folder, tracked_only = pending.pop()
            (self._target / folder).mkdir(exist_ok=True)
            for entry in _entries(self._top / folder):
                path = entry.name if folder == "." else f"{folder}/{entry.name}"
                if entry.name == ".git":
                    if folder != ".":
                        copy_repository(self._top / folder, self._target / folder)
                elif entry.is_dir(follow_symlinks=False):
                    left_out = (
                        tracked_only or _is_left_out(Path(entry.path)) or ignored(f"{path}/")
                    )
                    if not left_out or path in self._with_tracked:
                        pending.append((path, left_out))
                elif not tracked_only or path in self._tracked:
                    self._copy_file(path)

    def _copy_file(self, path: str) -> None:
        original, copy = self._top / path, self._target / path
        if original.is_symlink():
            if not copy.is_symlink():
                copy.symlink_to(original.readlink())
                self._links.append(path)
        elif original.is_file():  # no socket or pipe of a running program
            shutil.copy2(original, copy)

    def _lead_link(self, path: str) -> None:
        """Let a link lead to the copy of what it led to; where there is none, to what it was."""
        link = self._target / path
        text = link.readlink()
        try:
            there = (self._top / path).resolve(strict=True)
        except (OSError, RuntimeError):
            return  # it leads nowhere, or in a circle
        if there.is_relative_to(self._top):
            inner = there.relative_to(self._top).as_posix()
            copy = self._target / inner
            if not os.path.lexists(copy):
                copy.parent.mkdir(parents=True, exist_ok=True)
                (self._copy_folder if there.is_dir() else self._copy_file)(inner)
            if text.is_absolute() or not link.exists():
                link.unlink()
                link.symlink_to(copy)
                self._changed.add(path)
        elif not text.is_absolute():
            link.unlink()
            if there.is_file() and self._may_be_seen(there):
                shutil.copy2(there, link)
            elif self._may_be_copied(there):
                _copy_plain(there, link)
            else:  # what of it is seen, the walls decide
                link.symlink_to(there)
            self._changed.add(path)

    def _may_be_seen(self, there: Path) -> bool:
        """Whether a link of the tree, which a stranger may have written, may show what is there.

        As of what arguments name: nothing hidden, as keys in `.ssh` are, nor the system's own.
        """
        shared = Path(os.path.commonpath((there, self._top)))
        if any(part.startswith(".") for part in there.relative_to(shared).parts):
            return False
        return shared != Path(shared.anchor) or may_be_named(there)

    def _may_be_copied(self, there: Path) -> bool:
        """Whether a folder out of the tree that a link leads to is sources beside the project.

        Not data, of which there may be too much; nor anything farther away, which a stranger's
        tree has no business with.
        """
        if self._top.parent not in there.parents or not self._may_be_seen(there):
            return False
        return sum(file.stat().st_size for file in files_below(there)) < _MUCH

    def _ignored_by_backend(self, project: Path) -> Callable[[str], bool]:
        """Which folders the backend surely takes nothing from, since .gitignore names them.

        Of the backends only hatchling decides by the file itself, if no setting says
        otherwise; it reads patterns as relative to the project, wherever the file lies.
        """
        patterns = read_patterns(self._gitignore)
        try:
            text = read_regular(project / PYPROJECT, 1_000_000).decode()
            backend = read_build_system(project).backend
        except (OSError, ValueError):
            return lambda _: False
        if (
            backend != "hatchling.build"
            or _TAKES_IGNORED.search(text)
            or (project / "hatch.toml").exists()
            or patterns.match_file(self._place)
        ):
            return lambda _: False

        def ignored(path: str) -> bool:
            inner = os.path.relpath(path, self._project)
            return patterns.match_file(f"{inner}/") and PurePosixPath(inner).name not in text

        return ignored

    def _move_gitignore(self, copy: Path) -> None:
        """Let .gitignore mean what it means in a clone at any place that it does not name."""
        if self._gitignore is None:
            return
        if not self._gitignore.is_relative_to(self._top):
            shutil.copy2(self._gitignore, self._target.parent / GITIGNORE)
        own = find_gitignore(copy, self._target.parent)
        if own is not None and pretend_place(own, copy, self._place):
            self._changed.add(os.path.relpath(own, self._target))

    def _hide_changes(self) -> None:
        top, target = f"{self._top}{os.sep}", f"{self._target}{os.sep}"
        missing = {
            path
            for path in self._tracked
            if not os.path.lexists(target + path) and os.path.lexists(top + path)
        }
        assume_unchanged(self._target, sorted(missing | (self._changed & self._tracked)))


def _copy_plain(source: Path, target: Path) -> None:
    """Copy the files below a folder, but nothing hidden and no links."""
    for file in files_below(source):
        inner = file.relative_to(source)
        if not file.is_symlink() and not any(part.startswith(".") for part in inner.parts):
            (target / inner).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target / inner)


def _folders_of(paths: Iterable[str]) -> set[str]:
    """All folders above these files; there may be a hundred thousand of those."""
    found = {"."}
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in found:
            found.add(folder)
            folder = folder.rpartition("/")[0]
    return found


def _is_left_out(folder: Path) -> bool:
    name = folder.name
    return (
        name in _LEFT_OUT
        or name.endswith(".egg-info")
        or (name == "build" and (folder / "lib").is_dir())
        or any(os.path.lexists(folder / mark) for mark in _ENVIRONMENT)
    )


def _reaches_out(project: Path) -> bool:
    """Whether a file that the build of a project reads names the folders beside it."""
    try:
        paths = read_build_system(project).backend_path
    except BadTable:
        return False
    for folder in (project, *(project / path for path in paths)):
        for file in folder.iterdir() if folder.is_dir() else ():
            if file.suffix in _READ_BY_BUILDS and file.is_file():
                with suppress(OSError):
                    if _WAYS_OUT.search(read_regular(file, 1_000_000)):
                        return True
    return False


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return list(entries)
