"""What the pyproject.toml of a source tree says of its build. Nothing is built here.

The file is a stranger's: whatever is wrong with it is said in one sentence.
"""

from __future__ import annotations

import tarfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pytest_fractal.files import open_regular, read_regular

PYPROJECT: Final = "pyproject.toml"

PROJECT_FILES: Final = (PYPROJECT, "setup.py")
"""One of these makes a folder a project that can be built (PEP 517)."""

_SIZE_LIMIT: Final = 10_000_000
"""Bytes; no pyproject.toml that somebody wrote is a hundredth of it."""


class BadTable(ValueError):
    """What is wrong with a pyproject.toml, in one sentence."""


@dataclass(frozen=True)
class BuildSystem:
    """Who builds the project, and what has to be installed for that (PEP 517, PEP 518)."""

    requires: tuple[str, ...] = ("setuptools >= 40.8.0",)
    backend: str = "setuptools.build_meta:__legacy__"
    backend_path: tuple[str, ...] = ()


def read_project_table(tree: Path) -> Mapping[str, Any]:
    """The content of the pyproject.toml in `tree`; empty when there is none.

    Raises `BadTable`.
    """
    try:
        content = read_regular(tree / PYPROJECT, _SIZE_LIMIT)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise BadTable(f"{PYPROJECT} cannot be read: {error.strerror}") from None
    return _parsed(content)


def read_build_system(tree: Path) -> BuildSystem:
    """The table [build-system], with what holds where there is none. Raises `BadTable`."""
    table = read_project_table(tree).get("build-system", {"requires": BuildSystem.requires})
    if not isinstance(table, dict):
        raise BadTable(f"{PYPROJECT}: `build-system` is no table")
    if "requires" not in table:
        raise BadTable(f"{PYPROJECT}: [build-system] has no `requires` (PEP 518)")
    if unknown := table.keys() - {"requires", "build-backend", "backend-path"}:
        raise BadTable(f"{PYPROJECT}: [build-system] has no key {', '.join(sorted(unknown))}")
    backend = table.get("build-backend", BuildSystem.backend)
    if not isinstance(backend, str):
        raise BadTable(f"{PYPROJECT}: `build-backend` of [build-system] is no text")
    return BuildSystem(
        _texts(table["requires"], "requires"),
        backend,
        _texts(table.get("backend-path", []), "backend-path"),
    )


def is_for_pixi(tree: Path) -> bool:
    """Whether a source tree tells pixi how to install it."""
    if (tree / "pixi.toml").is_file():
        return True
    try:
        return _names_pixi(read_project_table(tree))
    except BadTable:
        return False


def is_archive_for_pixi(path: Path) -> bool:
    """Whether a file is a source archive that tells pixi how to install it."""
    try:
        with open_regular(path) as opened, tarfile.open(fileobj=opened) as archive:
            for member in archive:
                _, _, inner = member.name.removeprefix("./").partition("/")
                if inner == "pixi.toml":
                    return True
                if inner == PYPROJECT and (file := archive.extractfile(member)):
                    return _names_pixi(_parsed(file.read(_SIZE_LIMIT)))
    except (OSError, EOFError, ValueError, tarfile.TarError):
        pass
    return False


def _names_pixi(table: Mapping[str, Any]) -> bool:
    tools = table.get("tool")
    return isinstance(tools, dict) and "pixi" in tools


def _parsed(content: bytes) -> Mapping[str, Any]:
    if content.startswith(b"\xef\xbb\xbf"):
        raise BadTable(f"{PYPROJECT} begins with a byte order mark (BOM), which tomllib refuses")
    try:
        return tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        raise BadTable(f"{PYPROJECT}, line {line}: the byte 0x{byte:02x} is not UTF-8") from None
    except RecursionError:
        raise BadTable(f"{PYPROJECT} cannot be read: it is nested too deeply") from None
    except tomllib.TOMLDecodeError as error:
        raise BadTable(f"{PYPROJECT} cannot be read: {error}") from None


def _texts(value: object, key: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(entry, str) for entry in value):
        raise BadTable(f"{PYPROJECT}: `{key}` of [build-system] is no list of texts")
    return tuple(value)
