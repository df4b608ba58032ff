"""Finding the interpreter that the candidate is to be installed for."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from pytest_fractal.environments import about_python
from pytest_fractal.errors import BadInput
from pytest_fractal.processes import processes
from pytest_fractal.processes.variables import caller, interpreter_variables

_VERSION: Final = re.compile(r"(?:python)?(\d+(?:\.\d+){0,2})")

_MINORS: Final = tuple(f"3.{minor}" for minor in range(8, 21))
"""The minor versions that are looked for where a range is allowed."""

_START_TIMEOUT: Final = 60.0
"""Seconds that an interpreter may take to say what it is, on a slow network disk."""


@dataclass(frozen=True)
class Interpreter:
    """A Python that runs, and what its virtual environments start with."""

    path: Path
    version: str
    """Such as `3.10.13`."""
    version_info: tuple[int, int]
    """Such as `(3, 10)`."""
    setuptools: str | None = None
    """The version of setuptools that `python -m venv` installs; None from Python 3.12 on."""


def find_interpreter(wanted: str | None) -> Interpreter:
    """The interpreter that `wanted` names.

    `wanted` is a version (`3.10`, `3.10.13`, `python3.10`), the path or the name of
    an executable, or None for the Python that runs us. A version is looked for in
    PATH, then among pyenv's versions, the newest patch release first, then among
    those that uv has installed; nothing is downloaded. Raises `BadInput` when there
    is none that runs.
    """
    if wanted is None:
        return _running(sys.executable)
    version = _VERSION.fullmatch(wanted.strip())
    return _named(wanted) if version is None else _of_version(version[1])


@cache  # it stays what it is while it runs
def _running(executable: str) -> Interpreter:
    return _interpreter(about_python.about()) if executable else _named(executable)


def find_within(allowed: SpecifierSet) -> Interpreter:
    """An interpreter whose version is allowed: the one that runs us, if it will do.

    Else the lowest minor version that is found, as `find_interpreter` looks for it, since
    packages have wheels for it the sooner. Raises `BadInput` when there is none.
    """
    own = find_interpreter(None)
    if allowed.contains(own.version):
        return own
    tried = [minor for minor in _MINORS if _has_release(allowed, minor)]
    for minor in tried:
        try:
            found = find_interpreter(minor)
        except BadInput:
            continue
        if allowed.contains(found.version):
            return found
    install = f", such as with `uv python install {tried[0]}`" if tried else ""
    raise BadInput(
        f"no Python {allowed} was found in PATH, in pyenv or in uv: install one{install}"
    )


def _has_release(allowed: SpecifierSet, minor: str) -> bool:
    """Whether a release of this minor version may be allowed: its first or a late one."""
    return any(allowed.contains(f"{minor}.{patch}") for patch in (0, 99))


def _named(wanted: str) -> Interpreter:
    """The interpreter at a path, or of a name in PATH."""
    if not wanted.strip():
        raise BadInput("the interpreter is an empty text, not a version such as 3.10 or a path")
    path = Path(wanted).expanduser()
    if path.is_dir():
        raise BadInput(f"the interpreter {wanted} is a folder, not an executable")
    found = str(path) if path.exists() else shutil.which(wanted)
    if found is None:
        where = "there is no such file" if path.name != wanted else "it is no file, nor in PATH"
        raise BadInput(f"the interpreter {wanted} was not found: {where}")
    interpreter = _probe(Path(found).absolute())
    if isinstance(interpreter, str):
        raise BadInput(f"{wanted} does not run as a Python interpreter: {interpreter}")
    return interpreter


def _of_version(wanted: str) -> Interpreter:
    """The first interpreter whose version is `wanted`, or begins with it."""
    seen: dict[str, None] = {}
    for candidate in _candidates(wanted):
        interpreter = _probe(candidate)
        # What does not run is passed over: pyenv leaves a shim in PATH for every
        # version that it has, and the shims of those not chosen only fail.
        if isinstance(interpreter, str):
            continue
        if _matches(interpreter.version, wanted):
            return interpreter
        seen[interpreter.version] = None
    versions = sorted({*seen, *map(str, _pyenv_versions())}, key=Version)
    there = f"; there are {', '.join(versions)}" if versions else ""
    raise BadInput(
        f"Python {wanted} was not found: looked in PATH, among pyenv's versions in "
        f"{_pyenv_root() / 'versions'} and among those that uv has installed{there}"
    )


def _candidates(wanted: str) -> Iterator[Path]:
    """The executables that may be the wanted version, the likeliest first."""
    yield from _in_path("python" + ".".join(wanted.split(".")[:2]))
    known = _pyenv_versions()
    for version in sorted(known, reverse=True):
        if _matches(str(version), wanted):
            yield known[version]
    yield from _in_path("python3")
    yield from _in_path("python")
    yield from _uv_python(wanted)


def _in_path(name: str) -> Iterator[Path]:
    """Every executable of that name, not only the first: it may be a broken shim."""
    for folder in os.get_exec_path():
        if (found := shutil.which(name, path=folder)) is not None:
            yield Path(found).absolute()


def _pyenv_root() -> Path:
    return Path(caller.get("PYENV_ROOT") or "~/.pyenv").expanduser()


def _pyenv_versions() -> dict[Version, Path]:
    """CPython's releases that pyenv has, each with its executable."""
    known = {}
    for executable in _pyenv_root().glob("versions/*/bin/python"):
        try:
            known[Version(executable.parts[-3])] = executable
        except InvalidVersion:
            continue  # another implementation, or an environment with a name
    return known


def _uv_python(wanted: str) -> Iterator[Path]:
    """The interpreter that uv has installed itself; uv in turn stops at a broken shim in PATH."""
    from uv import find_uv_bin

    finished = processes.run(
        [
            *(find_uv_bin(), "python", "find", "--no-project", "--no-config"),
            *("--python-preference", "only-managed", "--no-python-downloads", wanted),
        ],
        cwd=Path.cwd(),
        env=interpreter_variables(),
        timeout=_START_TIMEOUT,
    )
    if finished.returncode == 0:
        yield Path(finished.stdout.strip())


def _matches(version: str, wanted: str) -> bool:
    """Whether `3.10.13` is what `3.10` asks for."""
    parts = wanted.split(".")
    return version.split(".")[: len(parts)] == parts


def _probe(executable: Path) -> Interpreter | str:
    """What the executable says of itself, or why it is no interpreter."""
    finished = processes.run(
        [executable, "-I", "-B", about_python.__file__],
        cwd=Path.cwd(),
        env=interpreter_variables(),
        timeout=_START_TIMEOUT,
    )
    if finished.returncode != 0 or finished.timed_out:
        said = finished.stderr.strip().splitlines()
        last = f", {textwrap.shorten(said[-1], 120)}" if said else ""
        return finished.ending + last
    try:
        return _interpreter(json.loads(finished.stdout))
    except (ValueError, TypeError, KeyError):
        return "it does not answer as Python does"


def _interpreter(facts: Mapping[str, Any]) -> Interpreter:
    """An interpreter by what `about_python` reports of it."""
    major, minor = map(int, facts["version"].split(".")[:2])
    return Interpreter(Path(facts["path"]), facts["version"], (major, minor), facts["setuptools"])
