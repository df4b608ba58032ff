"""Virtual environments, and the two ways of filling them.

pip decides what can be installed, for it is what fractal-server runs. `uv`, the default,
has pip install the candidate's own wheel, and brings what that requires itself, which is
much faster; what uv refuses, or takes although pip would not, is left to pip. `pip` does
what the server does, to the letter: `python -m venv`, an upgrade of pip and, in 2.x, of
setuptools, `pip install WHEEL[extras]`, then the pinned versions
(`_create_venv_install_package` of 1.4.10, the script 2_pip_install.sh of 2.18.5).
"""

from __future__ import annotations

import os
import re
import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Final, Literal, Protocol

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from pytest_fractal.environments.indexes import has_index, installer_environment
from pytest_fractal.environments.install_errors import (
    FailureKind,
    explain,
    is_broken_download,
    machine_fault,
)
from pytest_fractal.environments.interpreters import Interpreter
from pytest_fractal.environments.wheels import Wheel
from pytest_fractal.errors import HarnessError
from pytest_fractal.processes import processes
from pytest_fractal.processes.processes import Finished

InstallerName = Literal["uv", "pip"]

INSTALL_LIMIT: Final = 3600.0
"""Seconds after which an installation is given up: torch on a slow line takes long."""

_SECOND_OPINION_LIMIT: Final = 600.0
"""Seconds that pip gets for what uv refuses: its search may take hours where there is none."""

_NOT_FOUND: Final = re.compile(
    r"Because (?P<name>\S+) was not found in the package registry"
    r"|No matching distribution found for (?P<requirement>[^\n]+)"
)
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

    `upgraded` is what a server upgrades in a fresh environment before it installs.
    """

    def __init__(self, upgraded: Sequence[str] = ()) -> None:
        self._upgraded = tuple(upgraded)

    def create(self, folder: Path, interpreter: Interpreter) -> Environment:
        """See `Installer`."""
        environment = create_bare(folder, interpreter, pip=True)
        tools = [name for name in self._upgraded if name != "pip"]
        if interpreter.setuptools and "setuptools" not in tools:
            # The server's `python -m venv` brings the setuptools that is bundled with the
            # interpreter, often one that still has `pkg_resources`; packages rely on it.
            tools.append(f"setuptools=={interpreter.setuptools}")
        finished = self._upgrade(environment, ["pip", *tools])
        if finished.returncode:
            # An index of its own may have no pip; the one that virtualenv brings is as new.
            finished = self._upgrade(environment, tools)
        if finished.returncode:
            raise HarnessError(
                f"{' and '.join(tools)}, which the server's environments begin with, cannot be "
                f"installed: {_reason(finished)}"
            )
        return environment

    def _upgrade(self, environment: Environment, requirements: Sequence[str]) -> Finished:
        if not requirements:
            return Finished((), 0, "", "", 0.0)
        return _whole(_uv_install(environment, "--upgrade", "--", *requirements))

    def install(self, environment: Environment, requirements: Sequence[str]) -> Finished:
        """See `Installer`."""
        return _whole(_uv_install(environment, "--", *requirements))

    def install_wheel(
        self, environment: Environment, wheel: Wheel, extras: Sequence[str]
    ) -> Finished:
        """See `Installer`."""
        own = _pip_install(environment, "--no-deps", "--no-compile", str(wheel.path))
        if not own.returncode and any(path.startswith("pip/") for path in wheel.contents):
            own = run_pip(environment, "--version")  # it may have replaced pip itself
        if own.returncode or not wheel.requires_anything:
            return own
        wanted = f"{wheel.name}{_bracketed(extras)}=={wheel.version}"
        rest = _uv_install(environment, "--", wanted)
        if not rest.returncode and not _pip_would_refuse(environment):
            return rest
        shutil.rmtree(environment.folder)
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

    def __init__(self, upgraded: Sequence[str] = ()) -> None:
        self._upgraded = tuple(upgraded)

    def create(self, folder: Path, interpreter: Interpreter) -> Environment:
        """See `Installer`."""
        environment = Environment(folder, interpreter)
        _check_executable(environment)
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
        """See `Installer`."""
        return _pip_install(environment, *requirements)

    def install_wheel(
        self, environment: Environment, wheel: Wheel, extras: Sequence[str]
    ) -> Finished:
        """See `Installer`."""
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

    environment = Environment(folder, interpreter)
    _check_executable(environment)
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
        except (RuntimeError, SystemExit):
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


def _check_executable(environment: Environment) -> None:
    """Raise `HarnessError` where the system runs no program and loads no library."""
    parent = next(place for place in environment.folder.parents if place.exists())
    if hasattr(os, "ST_NOEXEC") and os.statvfs(parent).f_flag & os.ST_NOEXEC:
        raise HarnessError(
            f"{parent} is on a file system that is mounted noexec, where no compiled module can "
            "be loaded: set TMPDIR to a folder elsewhere"
        )


def unmet_requirements(environment: Environment) -> tuple[str, ...]:
    """What `uv pip check` says of the environment: one line for each unmet requirement.

    What else it says, of tags and broken files, is no requirement.
    """
    finished = processes.run(
        [*_uv(), "pip", "check", "--python", environment.python],
        cwd=_workplace(environment),
        env=_variables("uv", environment),
        timeout=INSTALL_LIMIT,
    )
    if fault := machine_fault(finished, "uv"):
        raise HarnessError(fault)
    lines = (line.strip() for line in finished.stderr.splitlines())
    return tuple(line for line in lines if _UNMET.fullmatch(line))


def run_pip(environment: Environment, *words: str) -> Finished:
    """Run another command of the environment's own pip.

    Raises `HarnessError` when the machine is to blame for its failure.
    """
    return _installing([environment.python, "-m", "pip", *words], "pip", environment)


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
    return _installing(
        [
            environment.python,
            *("-m", "pip", "download", "--no-deps", "--no-input", *options, "--dest"),
            folder,
            requirement,
        ],
        "pip",
        environment,
    )


def check_index(environment: Environment, requirement: str) -> Finished:
    """Ask the package index for a requirement; nothing is installed.

    pip says of an index that does not answer what it says of one that has nothing. Raises
    `HarnessError` when the index cannot be asked.
    """
    return _uv_install(environment, "--dry-run", "--no-deps", "--reinstall", "--", requirement)


def _uv() -> list[str]:
    from uv import find_uv_bin

    return [str(find_uv_bin())]


def _uv_install(environment: Environment, *words: str) -> Finished:
    return _installing(
        [*_uv(), "pip", "install", "--python", environment.python, *words], "uv", environment
    )


def _whole(finished: Finished) -> Finished:
    """The same. Raises `HarnessError` where the index is to blame for a file that is no wheel."""
    if is_broken_download(finished):
        raise HarnessError(
            f"the package index hands out a file that is no wheel: {_reason(finished)}"
        )
    return finished


def _pip_install(environment: Environment, *words: str, limit: float | None = None) -> Finished:
    return _installing(
        [environment.python, "-m", "pip", "install", "--no-input", *words],
        "pip",
        environment,
        limit,
    )


def _installing(
    argv: Sequence[str | Path],
    installer: InstallerName,
    environment: Environment,
    limit: float | None = None,
) -> Finished:
    finished = processes.run(
        argv,
        cwd=_workplace(environment),
        env=_variables(installer, environment),
        timeout=limit or INSTALL_LIMIT,
        log=environment.log,
    )
    if limit is not None and finished.timed_out:
        return finished
    if fault := machine_fault(finished, installer) or _empty_index(finished, environment):
        raise HarnessError(fault)
    return finished


def _empty_index(finished: Finished, environment: Environment) -> str | None:
    """Whether the index is to blame for what was not found, for it has nothing at all."""
    if not finished.returncode or "--dry-run" in finished.argv or not has_index():
        return None
    missing = _NOT_FOUND.search(finished.stderr)
    if missing is None:
        return None
    # pip takes an index that refuses to answer for one that has nothing; uv says which.
    name = missing["name"] or missing["requirement"].split(" (")[0]
    if not check_index(environment, name).returncode:
        return None
    if not check_index(environment, "pip").returncode:
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


def _variables(installer: InstallerName, environment: Environment) -> dict[str, str]:
    variables = installer_environment(installer)
    if installer == "pip":
        variables["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    elif not variables.get("UV_CACHE_DIR") and not _is_writable(_uv_cache()):
        variables["UV_CACHE_DIR"] = str(_workplace(environment) / "cache")
    return variables


def _uv_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "uv"


def _is_writable(folder: Path) -> bool:
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return os.access(there, os.W_OK | os.X_OK)


def _bracketed(extras: Sequence[str]) -> str:
    return f"[{','.join(extras)}]" if extras else ""


def _checked(argv: Sequence[str | Path], environment: Environment, complaint: str) -> None:
    finished = processes.run(
        argv,
        cwd=_workplace(environment),
        env=_variables("pip", environment),
        timeout=INSTALL_LIMIT,
    )
    if finished.returncode:
        raise HarnessError(f"{complaint}: {_reason(finished)}")


def _reason(finished: Finished) -> str:
    said = re.sub(r"Using Python .*", "", finished.stderr or finished.stdout)
    return " ".join(processes.last_lines(said, 3).split()) or finished.ending
