"""Where in the author's repository a finding belongs, for annotations there.

A finding is about the wheel, a process or an installation; what its reader
changes is a file of the source tree.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from weakref import WeakKeyDictionary

from pytest_fractal.candidate.packaged import Candidate
from pytest_fractal.environments.project_table import PROJECT_FILES
from pytest_fractal.files import FILE_LIMIT, read_regular
from pytest_fractal.verdicts import Finding, SourceLocation

_PROJECT = ("project", "tool.poetry", "metadata")
_BUILD = ("build-system",)
_LARGEST = 10_000_000
"""Bytes of a file of which lines are shown."""
_WIDEST = 500
"""Characters of such a line."""


def place_of(candidate: Candidate, found: Finding, builds: bool) -> SourceLocation | None:
    """The place of a finding in the source tree; None where there is no tree.

    Its own file where the tree has that; else the entry of its task in the list of
    tasks; else the section of the project file that is about the build, where `builds`
    says so, or about the project.
    """
    home = candidate.home
    if home is None:
        return None
    own = candidate.author_files.own(found.file) if found.file is not None else None
    if own is not None and (own not in PROJECT_FILES or found.line is not None):
        return SourceLocation(own, found.line, found.column)
    return _of_task(candidate, found.task) or _of_project(home, builds)


def excerpt_of(candidate: Candidate, found: Finding) -> tuple[tuple[int, str], ...]:
    """The line of a finding and the one before it, each with its number; empty if unknown."""
    if found.file is None or found.line is None:
        return ()
    lines = _lines_of(candidate, found.file)
    if not 0 < found.line <= len(lines):
        return ()
    first = max(found.line - 1, 1)
    return tuple((number, lines[number - 1][:_WIDEST]) for number in range(first, found.line + 1))


def _lines_of(candidate: Candidate, file: str) -> tuple[str, ...]:
    """The lines of a file of the source tree, or of the wheel's manifest; none of a huge one."""
    listed = candidate.task_list
    if candidate.home is not None and (path := candidate.home / file).is_file():
        return _read_lines(path, path.stat().st_mtime_ns)
    if candidate.has_wheel and listed is not None and file == listed.path:
        if candidate not in _MANIFESTS:
            content = candidate.wheel.read(file)[:_LARGEST]
            _MANIFESTS[candidate] = tuple(content.decode(errors="replace").splitlines())
        return _MANIFESTS[candidate]
    return ()


_MANIFESTS: WeakKeyDictionary[Candidate, tuple[str, ...]] = WeakKeyDictionary()
"""The lines of the manifests in wheels, which many findings may be about."""


@lru_cache(8)
def _read_lines(path: Path, _: int) -> tuple[str, ...]:
    """The lines of a file as it was when it was last changed, at this time."""
    try:
        return tuple(read_regular(path, _LARGEST).decode(errors="replace").splitlines())
    except OSError:
        return ()


def _of_task(candidate: Candidate, slug: str | None) -> SourceLocation | None:
    listed = candidate.task_list
    for task in candidate.tasks:
        if listed is not None and slug in (task.slug, task.id):
            entry = task.finding(expected="", found="", hint="")
            file = candidate.author_files.own(listed.path)
            return SourceLocation(file, entry.line, entry.column) if file else None
    return None


def _of_project(home: Path, builds: bool) -> SourceLocation | None:
    for name in (*PROJECT_FILES, "setup.cfg"):
        if (home / name).is_file():
            return SourceLocation(name, _section(home / name, _BUILD if builds else _PROJECT))
    return None


def _section(file: Path, names: tuple[str, ...]) -> int:
    """The line on which the first of these sections begins; 1 where there is none."""
    try:
        lines = read_regular(file, FILE_LIMIT).decode("utf-8", "replace").splitlines()
    except OSError:
        return 1
    for name in names:
        header = re.compile(rf"\s*\[\s*{re.escape(name)}\s*\]")
        for number, line in enumerate(lines, 1):
            if header.match(line):
                return number
    return 1
