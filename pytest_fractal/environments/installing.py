"""Calls of uv and pip, in an environment and within walls."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Final, Literal

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from pytest_fractal.environments.environments import (
    INSTALL_LIMIT,
    Environment,
    reason_of,
    workplace,
)
from pytest_fractal.environments.indexes import has_index
from pytest_fractal.environments.install_errors import (
    is_broken_download,
)
from pytest_fractal.environments.logins import InstallerStart, installer_start
from pytest_fractal.environments.machine_faults import fault_in_installer
from pytest_fractal.environments.wheels import Wheel
from pytest_fractal.errors import HarnessError
from pytest_fractal.processes import processes
from pytest_fractal.processes.processes import Finished
from pytest_fractal.processes.sandbox import around
from pytest_fractal.processes.variables import build_variables, caller

InstallerName = Literal["uv", "pip"]

_NOT_FOUND: Final = re.compile(
    r"Because (?P<name>\S+) was not found in the package registry"
    r"|No matching distribution found for (?P<requirement>[^\n]+)"
)


_PLANNED: Final = re.compile(r"^ \+ (\S+==\S+)$", re.MULTILINE)
"""What uv says that it has installed, or by `--dry-run` that it would."""


_ADDED: Final = re.compile(r"^ \+ ", re.MULTILINE)
"""The same with what comes from no index but from a place of its own."""


_UNMET: Final = re.compile(r"The package `[^`]+` requires `[^`]+`, but .+")


def unmet_requirements(environment: Environment) -> tuple[str, ...]:
    """What `uv pip check` says of the environment: one line for each unmet requirement.

    What else it says, of tags and broken files, is no requirement.
    """
    finished = processes.run(
        [*_uv(), "pip", "check", "--python", environment.python],
        cwd=workplace(environment),
        env=build_variables(_home(environment)),
        timeout=INSTALL_LIMIT,
        room=environment.folder.parent,
    )
    if fault := fault_in_installer(finished, "uv"):
        raise HarnessError(fault)
    lines = (line.strip() for line in finished.stderr.splitlines())
    return tuple(line for line in lines if _UNMET.fullmatch(line))


def run_pip(environment: Environment, *words: str) -> Finished:
    """Run another command of the environment's own pip.

    Raises `HarnessError` when the machine is to blame for its failure.
    """
    return _pip(environment, words)


def pip_would_refuse(environment: Environment) -> bool:
    """Whether uv has installed what pip passes over or refuses.

    pip takes no Requires-Dist that the standard does not allow, such as `x (>=1.*)`, no
    METADATA that is not UTF-8, and no release whose Requires-Python excludes the
    interpreter, of which uv passes over the upper bound.
    """
    there = environment.distributions()
    if len(there) < sum(1 for _ in environment.site_packages.glob("*.dist-info")):
        return True
    python = environment.interpreter.version
    for distribution in there.values():
        try:
            for line in distribution.requires or ():
                Requirement(line)
        except InvalidRequirement:
            return True
        try:
            allowed = SpecifierSet(distribution.metadata["Requires-Python"] or "")
        except InvalidSpecifier:
            continue  # pip warns of it
        if not allowed.contains(python, prereleases=True):
            return True
    return False


def download(environment: Environment, requirement: str, folder: Path, *options: str) -> Finished:
    """Fetch the file of a requirement, without what it depends on, as the server does."""
    words: list[str | Path] = [
        "download",
        "--no-deps",
        "--no-input",
        *options,
        "--dest",
        folder,
        requirement,
    ]
    return _pip(environment, words)


def check_index(environment: Environment, requirement: str) -> Finished:
    """Ask the package index for a requirement; nothing is installed.

    pip says of an index that does not answer what it says of one that has nothing. Raises
    `HarnessError` when the index cannot be asked.
    """
    wanted = ("--python", environment.python, "--no-deps", "--reinstall", "--", requirement)
    return uv_pip(environment, "install", "--dry-run", *wanted, asks_index=True)


def would_install(
    environment: Environment, wheel: Wheel, extras: Sequence[str], before: date
) -> dict[str, str] | None:
    """What uv would install for a wheel of the releases that were there before a day.

    `environment` holds nothing of it. None where the index does not tell when its files came,
    or where what it had then does not fit. Raises `HarnessError` when it cannot be asked.
    """
    wanted = f"{wheel.path}{bracketed(extras)}"
    python = ("--python", environment.python)
    days = ("--exclude-newer", before.isoformat())
    finished = uv_pip(environment, "install", "--dry-run", *python, *days, "--", wanted)
    if finished.returncode:
        return None
    pins = (pin.partition("==") for pin in _PLANNED.findall(finished.stderr))
    return {canonicalize_name(name): version for name, _, version in pins}


def _uv() -> list[str]:
    from uv import find_uv_bin

    return [str(find_uv_bin())]


def uv_install(environment: Environment, *words: str) -> Finished:
    """Install with uv.

    Within walls uv has to copy what it otherwise links from its cache, which takes several
    times as long. So code of others runs there alone, in making the plan; and where wheels
    are all that the plan needs, they are unpacked outside. Where these are in uv's cache, the
    index is not asked again.
    """
    wanted: tuple[str | Path, ...] = ("--python", environment.python, *words)
    walls = around(environment.folder)
    if walls is None or not walls.stands:
        return uv_pip(environment, "install", *wanted)
    plan = uv_pip(environment, "install", "--dry-run", *wanted)
    if plan.returncode:
        return plan
    if done := install_planned(environment, planned(plan)):
        return done
    # Not in the home: what runs within walls may put a link there.
    with tempfile.NamedTemporaryFile("w", prefix="pytest-fractal-", suffix=".txt") as pins:
        pins.writelines(f"{pin}\n" for pin in _PLANNED.findall(plan.stderr))
        pins.flush()
        fixed = ("install", "--no-build", "--constraint", pins.name, *wanted)
        finished = uv_pip(environment, *fixed, walled=False)
    return uv_pip(environment, "install", *wanted) if finished.returncode else finished


def planned(finished: Finished) -> tuple[str, ...]:
    """What uv has installed, or would: `name==version` each; none where an index has not all."""
    pins = tuple(_PLANNED.findall(finished.stderr))
    return pins if len(pins) == len(_ADDED.findall(finished.stderr)) else ()


def install_planned(environment: Environment, pins: Sequence[str]) -> Finished | None:
    """Install these, and nothing that they require, from uv's cache; None where it lacks one.

    No code of others runs: only wheels are unpacked.
    """
    if not pins:
        return None
    options = ("--offline", "--no-build", "--no-deps", "--python", environment.python)
    with contextlib.suppress(HarnessError):  # whoever asks the index tells what is wrong
        finished = uv_pip(environment, "install", *options, "--", *pins, walled=False)
        return None if finished.returncode else finished
    return None


def uv_pip(
    environment: Environment, *words: str | Path, walled: bool = True, asks_index: bool = False
) -> Finished:
    """Run `uv pip`, within the walls unless it is not to run code of others."""
    start = installer_start("uv", _home(environment))
    argv = [*_uv(), *start.options, "pip", *words]
    return _installing(argv, start, "uv", environment, walled=walled, asks_index=asks_index)


def with_whole_reason(finished: Finished) -> Finished:
    """The same. Raises `HarnessError` where the index is to blame for a file that is no wheel."""
    if is_broken_download(finished):
        raise HarnessError(
            f"the package index hands out a file that is no wheel: {reason_of(finished)}"
        )
    return finished


def pip_install(
    environment: Environment, *words: str, limit: float | None = None, alone: bool = False
) -> Finished:
    """Run `pip install`, which has so many seconds; `alone` as in `_pip`."""
    return _pip(environment, ["install", "--no-input", *words], limit, alone=alone)


def _pip(
    environment: Environment,
    words: Sequence[str | Path],
    limit: float | None = None,
    *,
    alone: bool = False,
) -> Finished:
    """Run pip; `alone` where it has no use for other programs.

    Without a build it starts some all the same, `lsb_release` and `rustc`, to tell an index of
    the machine.
    """
    start = installer_start("pip", _home(environment))
    if alone:
        start = replace(start, variables={**start.variables, "PATH": str(environment.scripts)})
    return _installing([*start.pip(environment.python), *words], start, "pip", environment, limit)


def _installing(
    argv: Sequence[str | Path],
    start: InstallerStart,
    installer: InstallerName,
    environment: Environment,
    limit: float | None = None,
    *,
    walled: bool = True,
    asks_index: bool = False,
) -> Finished:
    """Run an installer; `asks_index` if that is done to find out whether the index is empty.

    Raises `HarnessError` when the machine, the network or the index is to blame.
    """
    finished = processes.run(
        argv,
        cwd=workplace(environment),
        env=_with_own(start.variables, installer, environment),
        timeout=limit or INSTALL_LIMIT,
        room=environment.folder.parent,
        walled=walled,
        named=start.places,
        private=start.private,
        log=environment.log,
    )
    if limit is not None and finished.timed_out:
        return finished
    fault = fault_in_installer(finished, installer)
    if fault is None and not asks_index:
        fault = _empty_index(finished, environment)
    if fault is not None:
        raise HarnessError(fault)
    return finished


def _empty_index(finished: Finished, environment: Environment) -> str | None:
    """Whether the index is to blame for what was not found, for it has nothing at all."""
    if not finished.returncode or not has_index():
        return None
    missing = _NOT_FOUND.search(finished.stderr)
    if missing is None:
        return None
    # pip takes an index that refuses to answer for one that has nothing; uv says which.
    name = missing["name"] or missing["requirement"].split(" (")[0]
    if canonicalize_name(name) == "pip":
        return None  # an index of somebody's own may do without
    if not all(check_index(environment, asked).returncode for asked in (name, "pip")):
        return None
    return (
        f"the package index has neither {name} nor pip, as if it were empty: look at the index "
        "settings of pip and uv"
    )


def _home(environment: Environment) -> Path:
    """The home of installers: they run code of what they build."""
    folder = environment.folder.with_name(f"{environment.folder.name}-home")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _with_own(
    variables: Mapping[str, str], installer: InstallerName, environment: Environment
) -> dict[str, str]:
    """The variables of an installer, with what this machine makes necessary."""
    if installer == "pip":
        return {**variables, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    cache = variables.get("UV_CACHE_DIR")
    if not _is_writable(Path(cache) if cache else _uv_cache()):
        return {**variables, "UV_CACHE_DIR": str(workplace(environment) / "cache")}
    return dict(variables)


def _uv_cache() -> Path:
    return Path(caller.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "uv"


def _is_writable(folder: Path) -> bool:
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return os.access(there, os.W_OK | os.X_OK)


def bracketed(extras: Sequence[str]) -> str:
    """Extras as they stand behind a name; empty for none."""
    return f"[{','.join(extras)}]" if extras else ""
