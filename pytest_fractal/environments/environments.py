"""Virtual environments: what is in one, and how an empty one is made."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Final

from packaging.utils import canonicalize_name

from pytest_fractal.environments.interpreters import Interpreter
from pytest_fractal.environments.machine_faults import fault_in_output
from pytest_fractal.errors import HarnessError
from pytest_fractal.processes import processes
from pytest_fractal.processes.processes import Finished
from pytest_fractal.processes.variables import basic_variables
from pytest_fractal.processes.watcher import remove_tree

INSTALL_LIMIT: Final = 3600.0
"""Seconds after which an installation is given up: torch on a slow line takes long."""
_OF_AN_EXTRA: Final = re.compile(r";(?!.*\bor\b).*\bextra *==")
"""A requirement that is an extra's, of which `uv pip check` does not ask."""


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


def create_bare(folder: Path, interpreter: Interpreter, *, pip: bool = False) -> Environment:
    """Make an environment without setuptools, and without pip unless it is asked for.

    Raises `HarnessError` when that fails, or when nothing in `folder` could be executed.
    """
    import virtualenv  # 40 ms that a run on nothing must not pay

    environment = nothing_yet(folder, interpreter)
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
            make_by_venv(environment, pip=pip)
    return environment


def make_by_venv(environment: Environment, *, pip: bool) -> None:
    """Make the environment by the interpreter's own `venv`. Raises `HarnessError`."""
    own = [] if pip else ["--without-pip"]
    _checked(
        [environment.interpreter.path, "-I", "-m", "venv", *own, environment.folder],
        environment,
        "an environment cannot be made",
    )


def nothing_yet(folder: Path, interpreter: Interpreter) -> Environment:
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


def _checked(argv: Sequence[str | Path], environment: Environment, complaint: str) -> None:
    finished = processes.run(
        argv,
        cwd=workplace(environment),
        env=basic_variables(),
        timeout=INSTALL_LIMIT,
    )
    if finished.returncode:
        raise HarnessError(f"{complaint}: {reason_of(finished)}")


def reason_of(finished: Finished) -> str:
    """Why a command failed, by its last words, in one line."""
    said = re.sub(r"Using Python .*", "", finished.stderr or finished.stdout)
    return " ".join(processes.last_lines(said, 3).split()) or finished.ending


def workplace(environment: Environment) -> Path:
    """An empty folder for an installer to work in: not uv's cache, and no project's."""
    folder = environment.folder.with_name(f"{environment.folder.name}-install")
    folder.mkdir(parents=True, exist_ok=True)
    # Else uv looks for settings in the folders above.
    (folder / "uv.toml").touch()
    return folder
