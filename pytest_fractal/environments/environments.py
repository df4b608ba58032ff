"""Virtual environments, and the two ways of filling them.

`uv` does the work by default. `pip` does what fractal-server 1.4.10 does, to the
letter: `python -m venv`, `pip install --upgrade pip`, `pip install WHEEL[extras]`,
then the pinned versions one by one (its `_create_venv_install_package`).
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Final, Literal, Protocol

from packaging.utils import canonicalize_name

from pytest_fractal.environments.interpreters import Interpreter
from pytest_fractal.environments.logins import InstallerStart, installer_start
from pytest_fractal.errors import HarnessError
from pytest_fractal.processes import processes
from pytest_fractal.processes.processes import Finished
from pytest_fractal.processes.sandbox import around
from pytest_fractal.processes.variables import basic_variables, build_variables

InstallerName = Literal["uv", "pip"]

INSTALL_LIMIT: Final = 3600.0
"""Seconds after which an installation is given up: torch on a slow line takes long."""

_NO_NETWORK: Final = re.compile(
    r"dns error|error sending request|failed to lookup address|could not connect"
    r"|tunnel error|client error \(Connect\)|network is unreachable|connection refused"
    r"|failed to establish a new connection|temporary failure in name resolution"
    r"|name or service not known|max retries exceeded|ProxyError|ConnectTimeout"
    r"|read timed out|connection reset by peer|network connectivity is disabled",
    re.IGNORECASE,
)


_SEEDS: Final = frozenset({"pip", "setuptools", "wheel"})
"""What a fresh environment holds."""
_PLANNED: Final = re.compile(r"^ \+ ([\w.-]+==[\w.!+-]+)$", re.MULTILINE)
"""A package in uv's plan, other than one whose file or URL was named."""


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
        found = distributions(path=[str(self.site_packages)])
        return {
            canonicalize_name(distribution.name): distribution.version
            for distribution in found
            if distribution.name
        }


class Installer(Protocol):
    """Makes environments and installs into them."""

    def create(self, folder: Path, interpreter: Interpreter) -> Environment:
        """Make a fresh environment with pip, and with setuptools where `python -m venv` has it.

        Raises `HarnessError` when that fails.
        """

    def install(self, environment: Environment, requirements: Sequence[str]) -> Finished:
        """Install what the requirements say; the caller looks at how it ended.

        Raises `HarnessError` when the network is to blame.
        """


class UvInstaller:
    """Installs with uv, into environments that virtualenv makes."""

    def create(self, folder: Path, interpreter: Interpreter) -> Environment:
        """See `Installer`."""
        environment = create_bare(folder, interpreter, pip=True)
        if interpreter.setuptools:
            # The server's `python -m venv` brings the setuptools that is bundled with the
            # interpreter, often one that still has `pkg_resources`; packages rely on it.
            finished = self.install(environment, [f"setuptools=={interpreter.setuptools}"])
            if finished.returncode:
                raise HarnessError(f"setuptools cannot be installed: {_reason(finished)}")
        return environment

    def install(self, environment: Environment, requirements: Sequence[str]) -> Finished:
        """See `Installer`."""
        wanted: list[str | Path] = ["--python", environment.python, "--", *requirements]
        walls = around(environment.folder)
        if walls is None or not walls.stands or not _SEEDS.issuperset(environment.versions()):
            return _uv_pip(["install", *wanted], environment.log)
        # Within walls uv has to copy what it otherwise links from its cache, which takes
        # several times as long. So code of others runs there alone, in making the plan; and
        # where wheels are all that the plan needs, they are unpacked outside.
        plan = _uv_pip(["install", "--dry-run", *wanted], environment.log)
        if plan.returncode:
            return plan
        pins = _home(environment.log) / "plan.txt"
        pins.write_text("".join(f"{pin}\n" for pin in _PLANNED.findall(plan.stderr)))
        finished = _uv_pip(
            ["install", "--no-build", "--constraint", pins, *wanted], environment.log, walled=False
        )
        if finished.returncode:
            return _uv_pip(["install", *wanted], environment.log)
        return finished


class PipInstaller:
    """Installs as fractal-server does: with the environment's own, upgraded pip."""

    def create(self, folder: Path, interpreter: Interpreter) -> Environment:
        """See `Installer`."""
        _checked([interpreter.path, "-I", "-m", "venv", folder], "an environment cannot be made")
        environment = Environment(folder, interpreter)
        upgraded = _pip(environment, ["install", "--upgrade", "pip"])
        if upgraded.returncode:
            raise HarnessError(f"pip cannot be upgraded: {_reason(upgraded)}")
        return environment

    def install(self, environment: Environment, requirements: Sequence[str]) -> Finished:
        """See `Installer`."""
        return _pip(environment, ["install", "--no-input", *requirements])


INSTALLERS: Final[Mapping[InstallerName, type[Installer]]] = {
    "uv": UvInstaller,
    "pip": PipInstaller,
}


def create_bare(folder: Path, interpreter: Interpreter, *, pip: bool = False) -> Environment:
    """Make an environment without setuptools, and without pip unless it is asked for."""
    import virtualenv  # 40 ms that a run on nothing must not pay

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
            own = [] if pip else ["--without-pip"]
            _checked(
                [interpreter.path, "-I", "-m", "venv", *own, folder],
                "an environment cannot be made",
            )
    return Environment(folder, interpreter)


def unmet_requirements(environment: Environment) -> tuple[str, ...]:
    """What `uv pip check` says of the environment: one line for each unmet requirement."""
    finished = processes.run(
        [*_uv(), "pip", "check", "--python", environment.python],
        cwd=environment.folder,
        env=build_variables(_home(environment.log)),
        timeout=INSTALL_LIMIT,
        room=environment.folder,
    )
    lines = finished.stderr.splitlines()
    return tuple(line.strip() for line in lines if line.startswith("The package"))


def download(environment: Environment, requirement: str, folder: Path) -> Finished:
    """Fetch the file of a requirement, without what it depends on, as the server does."""
    return _pip(
        environment, ["download", "--no-deps", "--no-input", "--dest", folder, requirement]
    )


def check_index(environment: Environment, requirement: str) -> None:
    """Raise `HarnessError` when the package index cannot be asked for a requirement.

    pip says of an index that does not answer what it says of one that has nothing.
    """
    _uv_pip(
        ["install", "--dry-run", "--no-deps", "--python", environment.python, "--", requirement],
        environment.log,
    )


def _uv() -> list[str]:
    from uv import find_uv_bin

    return [str(find_uv_bin())]


def _uv_pip(arguments: Sequence[str | Path], log: Path, *, walled: bool = True) -> Finished:
    start = installer_start("uv", _home(log))
    return _installing([*_uv(), *start.options, "pip", *arguments], start, log, walled=walled)


def _pip(environment: Environment, arguments: Sequence[str | Path]) -> Finished:
    start = installer_start("pip", _home(environment.log))
    return _installing([*start.pip(environment.python), *arguments], start, environment.log)


def _installing(
    argv: Sequence[str | Path], start: InstallerStart, log: Path, *, walled: bool = True
) -> Finished:
    finished = processes.run(
        argv,
        cwd=Path(sys.prefix),
        env=start.variables,
        timeout=INSTALL_LIMIT,
        room=log.parent,
        walled=walled,
        named=start.places,
        private=start.private,
        log=log,
    )
    if finished.returncode and (lost := _NO_NETWORK.search(finished.stderr)):
        raise HarnessError(
            f"the package index cannot be reached ({lost[0].lower()}): "
            "look at the network, the proxy and the index settings of pip and uv"
        )
    return finished


def _home(log: Path) -> Path:
    """The home of installers, beside their log: they run code of what they build."""
    folder = log.with_suffix(".home")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _checked(argv: Sequence[str | Path], complaint: str) -> None:
    finished = processes.run(
        argv, cwd=Path(sys.prefix), env=basic_variables(), timeout=INSTALL_LIMIT
    )
    if finished.returncode:
        raise HarnessError(f"{complaint}: {_reason(finished)}")


def _reason(finished: Finished) -> str:
    return processes.last_lines(finished.stderr or finished.stdout, 3) or finished.ending
