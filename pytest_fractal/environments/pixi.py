"""What pixi brings to the environment of a source tree beside what pip would."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from packaging.utils import canonicalize_name

_TABLES: Final = ("dependencies", "host-dependencies", "run-dependencies", "pypi-dependencies")
_TOOLS: Final = frozenset({"python", "pip", "setuptools", "wheel", "uv", "hatchling"})
"""They are in every environment, or bring nothing that a task imports."""


def brought_by_pixi(tree: Path, project: str) -> frozenset[str]:
    """The packages that pixi's tables ask for, less the project itself and usual tools.

    Read from `pixi.toml` and from `[tool.pixi]` of `pyproject.toml`, with all features and
    targets; empty where there is neither.
    """
    found: set[str] = set()
    for file, path in (("pixi.toml", ()), ("pyproject.toml", ("tool", "pixi"))):
        try:
            table: Any = tomllib.loads((tree / file).read_text("utf-8"))
        except (OSError, ValueError):
            continue
        for key in path:
            table = table.get(key) if isinstance(table, dict) else None
        if isinstance(table, dict):
            found.update(canonicalize_name(name) for name in _names(table))
    return frozenset(found - _TOOLS - {canonicalize_name(project)})


def _names(table: Mapping[str, Any]) -> Iterator[str]:
    for name in _TABLES:
        if isinstance(wanted := table.get(name), dict):
            yield from wanted
    for group in ("feature", "target", "package"):
        inner = table.get(group)
        for part in [inner, *inner.values()] if isinstance(inner, dict) else ():
            if isinstance(part, dict) and part is not table:
                yield from _names(part)
