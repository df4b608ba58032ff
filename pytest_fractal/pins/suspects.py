"""Which distributions may have drifted, by the traceback of a task that does not start."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Final

from packaging.utils import canonicalize_name

from pytest_fractal.environments.environments import Environment
from pytest_fractal.processes.tracebacks import Crash

MOST_SUSPECTS: Final = 4
_REQUIRES: Final = re.compile(r"([\w.-]+) requires ([\w.-]+) ")
_MODULE: Final = re.compile(
    r"from '([\w.]+)'|module '([\w.]+)' has no|No module named '?([\w.]+)|\bimport ([\w.]+)"
)


def module_owners(environment: Environment) -> Mapping[str, str]:
    """Which distribution brings each top-level module, by the RECORDs: module -> its name."""
    owners: dict[str, str] = {}
    for name, distribution in environment.distributions().items():
        for file in distribution.files or ():
            top = PurePosixPath(str(file)).parts[0]
            if not top.endswith((".dist-info", ".data")) and top != "..":
                owners.setdefault(top.partition(".")[0], name)
    return owners


def suspects(
    crash: Crash, owners: Mapping[str, str], installed: Mapping[str, str], own: str
) -> tuple[str, ...]:
    """The distributions that a failed import names, the likeliest first; none of `own`.

    That is what its message names, and then whose code was being imported, the innermost
    first; who calls the package's own code has no part in what that imports. Where the
    message says who requires whom, the one that requires comes first: it is the newer one,
    for it was not held back.
    """
    found = dict.fromkeys(filter(None, _named(crash, owners, installed, own)))
    return tuple(name for name in found if name in installed and name != own)[:MOST_SUSPECTS]


def _named(
    crash: Crash, owners: Mapping[str, str], installed: Mapping[str, str], own: str
) -> Iterator[str | None]:
    if says := _REQUIRES.match(crash.message):
        names = [canonicalize_name(name) for name in says.groups()]
        if all(name in installed for name in names):
            yield from names
    for names_module in _MODULE.finditer(crash.message):
        module = next(filter(None, names_module.groups())).partition(".")[0]
        yield owners.get(module)
    for frame in reversed(crash.frames):
        _, there, path = frame.file.rpartition("site-packages/")
        top = path.partition("/")[0].partition(".")[0]
        owner = owners.get(top) if there and top not in sys.stdlib_module_names else None
        if owner == own:
            return
        yield owner
