"""On which lines of the source tree a package says what it depends on."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name


def dependency_lines(home: Path) -> dict[str, str]:
    """Normalised name of a dependency -> its line in words, such as `pyproject.toml, line 9`.

    The empty name stands for the list itself. Nothing where another file has it,
    such as setup.py.
    """
    for file, read in (("pyproject.toml", _pyproject), ("setup.cfg", _setup_cfg)):
        try:
            text = (home / file).read_text("utf-8")
            found = {name: f"{file}, line {line}" for name, line in read(text)}
        except (OSError, ValueError):
            continue
        if found:
            return found
    return {}


def _pyproject(text: str) -> Iterator[tuple[str, int]]:
    settings: dict[str, Any] = tomllib.loads(text)
    lines = text.splitlines()
    project = settings.get("project")
    declared = project.get("dependencies") if isinstance(project, dict) else None
    if isinstance(declared, list):
        yield from _listed(lines, "dependencies", [d for d in declared if isinstance(d, str)])
        return
    header = next((n for n, line in enumerate(lines) if _is_poetry(line)), -1)
    if header < 0:
        return
    yield "", header + 1
    for number, line in enumerate(lines[header + 1 :], header + 2):
        if line.lstrip().startswith("["):
            return
        if named := re.match(r"\s*\"?([\w.-]+)\"?\s*=", line):
            yield canonicalize_name(named[1]), number


def _setup_cfg(text: str) -> Iterator[tuple[str, int]]:
    lines = text.splitlines()
    start = next((n for n, x in enumerate(lines) if x.startswith("install_requires")), -1)
    if start < 0:
        return
    declared = [lines[start].partition("=")[2]]
    for line in lines[start + 1 :]:
        if line and not line[0].isspace():
            break
        declared.append(line)
    yield from _listed(lines, "install_requires", [entry.strip() for entry in declared])


def _listed(lines: list[str], key: str, declared: list[str]) -> Iterator[tuple[str, int]]:
    """The line of a list, and of each requirement in it, which come in their order."""
    start = next((n for n, line in enumerate(lines) if line.lstrip().startswith(key)), -1)
    if start < 0:
        return
    yield "", start + 1
    for text in declared:
        try:
            name = canonicalize_name(Requirement(text).name)
        except InvalidRequirement:
            continue
        number = next((n for n in range(start, len(lines)) if text in lines[n]), None)
        if number is not None:
            yield name, number + 1


def _is_poetry(line: str) -> bool:
    return line.replace(" ", "").startswith("[tool.poetry.dependencies]")
