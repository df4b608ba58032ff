"""Virtual environments, and the two ways of filling them.

pip decides what can be installed, for it is what fractal-server runs. `uv`, the default,
has pip install the candidate's own wheel, and brings what that requires itself, which is
much faster; what uv refuses, or takes although pip would not, is left to pip. `pip` does
what the server does, to the letter: `python -m venv`, an upgrade of pip and, in 2.x, of
setuptools, `pip install WHEEL[extras]`, then the pinned versions
(`_create_venv_install_package` of 1.4.10, the script 2_pip_install.sh of 2.18.5).
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Final, Literal, Protocol

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from pytest_fractal.environments.bytecode import bring_bytecode
from pytest_fractal.environments.indexes import has_index
from pytest_fractal.environments.install_errors import (
    FailureKind,
    explain,
    is_broken_download,
)
from pytest_fractal.environments.interpreters import Interpreter
from pytest_fractal.environments.logins import InstallerStart, installer_start
from pytest_fractal.environments.machine_faults import fault_in_installer, fault_in_output
from pytest_fractal.environments.wheels import Wheel
from pytest_fractal.errors import HarnessError
from pytest_fractal.processes import processes
from pytest_fractal.processes.processes import Finished
from pytest_fractal.processes.sandbox import around
from pytest_fractal.processes.variables import basic_variables, build_variables, caller
from pytest_fractal.processes.watcher import remove_tree

InstallerName = Literal["uv", "pip"]

INSTALL_LIMIT: Final = 3600.0
"""Seconds after which an installation is given up: torch on a slow line takes long."""

_SECOND_OPINION_LIMIT: Final = 600.0
"""Seconds that pip gets for what uv refuses: its search may take hours where there is none."""

_NOT_FOUND: Final = re.compile(
    r"Because (?P<name>\S+) was not found in the package registry"
    r"|No matching distribution found for (?P<requirement>[^\n]+)"
)
_PLANNED: Final = re.compile(r"^ \+ (\S+==\S+)$", re.MULTILINE)
"""What uv says that it has installed, or by `--dry-run` that it would."""
_ADDED: Final = re.compile(r"^ \+ ", re.MULTILINE)
"""The same with what comes from no index but from a place of its own."""
_OF_AN_EXTRA: Final = re.compile(r";(?!.*\bor\b).*\bextra *==")
"""A requirement that is an extra's, of which `uv pip check` does not ask."""
_UNMET: Final = re.compile(r"The package `[^`]+` requires `[^`]+`, but .+")


@dataclass(frozen=True)
class Environment:
    """A virtual environment on disk."""

    folder: Path
    interpreter: Interpreter

    @property
    def python(self) -> Path:
        """The interpreter inside the environment."""
        return self.folder / "bin" / "python"

    @property
    def log(self) -> Path:
        """What installers and builds in it print, as it comes."""
        return self.folder.with_name(f"{self.folder.name}.log")

    @property
    def scripts(self) -> Path:
        """The folder of the environment's programs."""
        return self.folder / "bin"

    @property
    def site_packages(self) -> Path:
        """Where packages are installed."""
        major, minor = self.interpreter.version_info[:2]
        return self.folder / "lib" / f"python{major}.{minor}" / "site-packages"

    def versions(self) -> dict[str, str]:
        """The installed distributions: normalised name -> version."""
        return {name: distribution.version for name, distribution in self.distributions().items()}

    def distributions(self) -> dict[str, Distribution]:
        """The installed distributions by their normalised names, if METADATA can be read."""
        found: dict[str, Distribution] = {}
        for distribution in distributions(path=[str(self.site_packages)]):
            try:
                if distribution.name:
                    found[canonicalize_name(distribution.name)] = distribution
            except UnicodeDecodeError:
                continue
        return found

    def requirements(self) -> dict[str, tuple[str, ...]]:
        """What each installed distribution requires: normalised name -> its `Requires-Dist`."""
        found = distributions(path=[str(self.site_packages)])
        return {
            canonicalize_name(distribution.name): tuple(distribution.requires or ())
            for distribution in found
            if distribution.name
        }


class Installer(Protocol):
    """Makes environments and installs into them."""

    def create(self, folder: Path, interpreter: Interpreter) -> Environment:
        """Make a fresh environment as the server would, with what it upgrades in there.

        Raises `HarnessError` when that fails.
        """

    def install(self, environment: Environment, requirements: Sequence[str]) -> Finished:
        """Install what the requirements say; the caller looks at how it ended.

        Raises `HarnessError` when the machine, the network or the index is to blame.
        """

    def install_wheel(
        self, environment: Environment, wheel: Wheel, extras: Sequence[str]
    ) -> Finished:
        """Install the candidate's wheel with its extras into a fresh environment; the same."""


class UvInstaller:
    """Has pip install the wheel, and uv what it requires; environments are virtualenv's.

    `upgraded` is what a server upgrades in a fresh environment before it installs; with
    `caches`, pip gets the bytecode that earlier runs have made of it.
    """

    def __init__(self, upgraded: Sequence[str] = (), *, caches: bool = True) -> None:
        self._upgraded = tuple(upgraded)
        self._caches = caches

    def create(self, folder: Path, interpreter: Interpreter) -> Environment:
        """Make one with virtualenv, and with the setuptools that the server's would have."""
        environment = create_bare(folder, interpreter)
        tools = [name for name in self._upgraded if name != "pip"]
        if interpreter.setuptools and "setuptools" not in tools:
            # The server's `python -m venv` brings the setuptools that is bundled with the
            # interpreter, often one that still has `pkg_resources`; packages rely on it.
            tools.append(f"setuptools=={interpreter.setuptools}")
        finished = self._upgrade(environment, ["pip", *tools])
        if finished.returncode:
            # An index of its own may have no pip; the one that virtualenv brings is as new.
            environment = create_bare(folder, interpreter, pip=True)
            finished = self._upgrade(environment, tools)
        if finished.returncode:
            raise HarnessError(
                f"{' and '.join(tools)}, which the server's environments begin with, cannot be "
                f"installed: {_reason(finished)}"
            )
        if self._caches:
            bring_bytecode(environment.python, interpreter, environment.site_packages)
        return environment

    def _upgrade(self, environment: Environment, requirements: Sequence[str]) -> Finished:
        if not requirements:
            return Finished((), 0, "", "", 0.0)
        wanted = ("--upgrade", "--", *requirements)
        # pip and setuptools have wheels, but for an index of somebody's own: then no plan is
        # needed to tell whether code of others would run.
        tried = _uv_pip(
            environment,
            "install",
            "--no-build",
            "--python",
            environment.python,
            *wanted,
            walled=False,
            asks_index=True,
        )
        return _whole(_uv_install(environment, *wanted) if tried.returncode else tried)

    def install(self, environment: Environment, requirements: Sequence[str]) -> Finished:
        """Let uv install; see `Installer` for what it raises."""
        return _whole(_uv_install(environment, "--", *requirements))

    def install_wheel(
        self, environment: Environment, wheel: Wheel, extras: Sequence[str]
    ) -> Finished:
        """Let pip install the wheel alone, uv what it requires; pip has the last word."""
        own = _pip_install(environment, "--no-deps", "--no-compile", str(wheel.path), alone=True)
        if not own.returncode and any(path.startswith("pip/") for path in wheel.contents):
            own = run_pip(environment, "--version")  # it may have replaced pip itself
        if own.returncode or not wheel.requires_anything:
            return own
        wanted = f"{wheel.name}{_bracketed(extras)}=={wheel.version}"
        rest = _uv_install(environment, "--", wanted)
        if not rest.returncode and not _pip_would_refuse(environment):
            return rest
        self.create(environment.folder, environment.interpreter)
        decided = _pip_install(
            environment,
            "--no-compile",
            f"{wheel.path}{_bracketed(extras)}",
            limit=_SECOND_OPINION_LIMIT,
        )
        if decided.returncode and rest.returncode:
            kind = explain(decided, environment.interpreter.version).kind
            if decided.timed_out or kind in (FailureKind.REQUIREMENTS, FailureKind.OTHER):
                return rest  # uv says better which requirements exclude each other
        return decided


class PipInstaller:
    """Installs as fractal-server does: with the environment's own, upgraded pip.

    `upgraded` is what the server upgrades in a fresh environment before it installs.
    """

    def __init__(self, upgraded: Sequence[str] = (), *, caches: bool = True) -> None:  # noqa: ARG002
        self._upgraded = tuple(upgraded)

    def create(self, folder: Path, interpreter: Interpreter) -> Environment:
        """Make one by `python -m venv`, and upgrade in it what the server does."""
        environment = _nothing_yet(folder, interpreter)
        _make_by_venv(environment, pip=True)
        if self._upgraded:
            finished = _pip_install(environment, "--upgrade", *self._upgraded)
            if finished.returncode:
                raise HarnessError(
                    f"{' and '.join(self._upgraded)}, which the server upgrades first, cannot be "
                    f"installed: {_reason(finished)}"
                )
        return environment

    def install(self, environment: Environment, requirements: Sequence[str]) -> Finished:
        """Let pip install; see `Installer` for what it raises."""
        return _pip_install(environment, *requirements)

    def install_wheel(
        self, environment: Environment, wheel: Wheel, extras: Sequence[str]
    ) -> Finished:
        """Let pip install the wheel and what it requires, in one call."""
        finished = self.install(environment, [f"{wheel.path}{_bracketed(extras)}"])
        return finished if finished.returncode else run_pip(environment, "--version")


INSTALLERS: Final[Mapping[InstallerName, type[UvInstaller] | type[PipInstaller]]] = {
    "uv": UvInstaller,
    "pip": PipInstaller,
}


def create_bare(folder: Path, interpreter: Interpreter, *, pip: bool = False) -> Environment:
    """Make an environment without setuptools, and without pip unless it is asked for.

    Raises `HarnessError` when that fails, or when nothing in `folder` could be executed.
    """
    import virtualenv  # 40 ms that a run on nothing must not pay

    environment = _nothing_yet(folder, interpreter)
    seeds = ["--no-setuptools"] if pip else ["--no-seed"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            virtualenv.cli_run(
                [
                    str(folder),
                    "-p",
                    str(interpreter.path),
                    "--activators",
                    "",
                    "--no-periodic-update",
                    *seeds,
                ],
                setup_logging=False,
            )
        except (RuntimeError, SystemExit) as error:
            if fault := fault_in_output(str(error), "virtualenv"):
                raise HarnessError(fault) from None
            # An interpreter that is too old for virtualenv knows how to do it itself.
            _make_by_venv(environment, pip=pip)
    return environment


def _make_by_venv(environment: Environment, *, pip: bool) -> None:
    own = [] if pip else ["--without-pip"]
    _checked(
        [environment.interpreter.path, "-I", "-m", "venv", *own, environment.folder],
        environment,
        "an environment cannot be made",
    )


def _nothing_yet(folder: Path, interpreter: Interpreter) -> Environment:
    """An environment that is still to be made, where it can be used once it is.

    A build that ran before may have put something there for the tasks to find.
    """
    environment = Environment(folder, interpreter)
    _check_executable(environment)
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        remove_tree(folder)
    return environment


def _check_executable(environment: Environment) -> None:
    """Raise `HarnessError` where the system runs no program and loads no library."""
    parent = next(place for place in environment.folder.parents if place.exists())
    if hasattr(os, "ST_NOEXEC") and os.statvfs(parent).f_flag & os.ST_NOEXEC:
        raise HarnessError(
            f"{parent} is on a file system that is mounted noexec, where no compiled module can "
            "be loaded: set TMPDIR to a folder elsewhere"
        )


def requires_anything(requirements: Mapping[str, Sequence[str]]) -> bool:
    """Whether something that is installed may require something, extras left out."""
    return not all(_OF_AN_EXTRA.search(line) for lines in requirements.values() for line in lines)


def unmet_requirements(environment: Environment) -> tuple[str, ...]:
    """What `uv pip check` says of the environment: one line for each unmet requirement.

    What else it says, of tags and broken files, is no requirement.
    """
    finished = processes.run(
        [*_uv(), "pip", "check", "--python", environment.python],
        cwd=_workplace(environment),
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


def _pip_would_refuse(environment: Environment) -> bool:
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
    return _uv_pip(environment, "install", "--dry-run", *wanted, asks_index=True)


def would_install(
    environment: Environment, wheel: Wheel, extras: Sequence[str], before: date
) -> dict[str, str] | None:
    """What uv would install for a wheel of the releases that were there before a day.

    `environment` holds nothing of it. None where the index does not tell when its files came,
    or where what it had then does not fit. Raises `HarnessError` when it cannot be asked.
    """
    wanted = f"{wheel.path}{_bracketed(extras)}"
    python = ("--python", environment.python)
    days = ("--exclude-newer", before.isoformat())
    finished = _uv_pip(environment, "install", "--dry-run", *python, *days, "--", wanted)
    if finished.returncode:
        return None
    planned = (pin.partition("==") for pin in _PLANNED.findall(finished.stderr))
    return {canonicalize_name(name): version for name, _, version in planned}


def _uv() -> list[str]:
    from uv import find_uv_bin

    return [str(find_uv_bin())]


def _uv_install(environment: Environment, *words: str) -> Finished:
    """Install with uv.

    Within walls uv has to copy what it otherwise links from its cache, which takes several
    times as long. So code of others runs there alone, in making the plan; and where wheels
    are all that the plan needs, they are unpacked outside. Where these are in uv's cache, the
    index is not asked again.
    """
    wanted: tuple[str | Path, ...] = ("--python", environment.python, *words)
    walls = around(environment.folder)
    if walls is None or not walls.stands:
        return _uv_pip(environment, "install", *wanted)
    plan = _uv_pip(environment, "install", "--dry-run", *wanted)
    if plan.returncode:
        return plan
    if done := install_planned(environment, planned(plan)):
        return done
    # Not in the home: what runs within walls may put a link there.
    with tempfile.NamedTemporaryFile("w", prefix="pytest-fractal-", suffix=".txt") as pins:
        pins.writelines(f"{pin}\n" for pin in _PLANNED.findall(plan.stderr))
        pins.flush()
        fixed = ("install", "--no-build", "--constraint", pins.name, *wanted)
        finished = _uv_pip(environment, *fixed, walled=False)
    return _uv_pip(environment, "install", *wanted) if finished.returncode else finished


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
        finished = _uv_pip(environment, "install", *options, "--", *pins, walled=False)
        return None if finished.returncode else finished
    return None


def _uv_pip(
    environment: Environment, *words: str | Path, walled: bool = True, asks_index: bool = False
) -> Finished:
    start = installer_start("uv", _home(environment))
    argv = [*_uv(), *start.options, "pip", *words]
    return _installing(argv, start, "uv", environment, walled=walled, asks_index=asks_index)


def _whole(finished: Finished) -> Finished:
    """The same. Raises `HarnessError` where the index is to blame for a file that is no wheel."""
    if is_broken_download(finished):
        raise HarnessError(
            f"the package index hands out a file that is no wheel: {_reason(finished)}"
        )
    return finished


def _pip_install(
    environment: Environment, *words: str, limit: float | None = None, alone: bool = False
) -> Finished:
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
        cwd=_workplace(environment),
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


def _workplace(environment: Environment) -> Path:
    """An empty folder for an installer to work in: not uv's cache, and no project's."""
    folder = environment.folder.with_name(f"{environment.folder.name}-install")
    folder.mkdir(parents=True, exist_ok=True)
    # Else uv looks for settings in the folders above.
    (folder / "uv.toml").touch()
    return folder


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
        return {**variables, "UV_CACHE_DIR": str(_workplace(environment) / "cache")}
    return dict(variables)


def _uv_cache() -> Path:
    return Path(caller.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "uv"


def _is_writable(folder: Path) -> bool:
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return os.access(there, os.W_OK | os.X_OK)


def _bracketed(extras: Sequence[str]) -> str:
    return f"[{','.join(extras)}]" if extras else ""


def _checked(argv: Sequence[str | Path], environment: Environment, complaint: str) -> None:
    finished = processes.run(
        argv,
        cwd=_workplace(environment),
        env=basic_variables(),
        timeout=INSTALL_LIMIT,
    )
    if finished.returncode:
        raise HarnessError(f"{complaint}: {_reason(finished)}")


def _reason(finished: Finished) -> str:
    said = re.sub(r"Using Python .*", "", finished.stderr or finished.stdout)
    return " ".join(processes.last_lines(said, 3).split()) or finished.ending
