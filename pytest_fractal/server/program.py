"""`fractalctl`, the program of every fractal-server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pytest_fractal.environments.environments import Environment
from pytest_fractal.errors import HarnessError
from pytest_fractal.processes import processes
from pytest_fractal.server import process
from pytest_fractal.server.process import ServerProcess

# What the console script does, but everybody can see a command line: a password comes by a
# variable.
_WITH_VARIABLES: Final = """
import os, sys
from importlib.metadata import distribution
sys.argv[1:] = [os.path.expandvars(argument) for argument in sys.argv[1:]]
scripts = distribution("fractal-server").entry_points
next(script for script in scripts if script.name == "fractalctl").load()()
"""


def run_program(
    environment: Environment, folder: Path, env: Mapping[str, str], *arguments: str
) -> None:
    """Run a command of the program in `folder`. Raises `HarnessError` when it fails.

    `$NAME` in an argument stands for the variable of that name.
    """
    finished = processes.run(
        [environment.python, "-c", _WITH_VARIABLES, *arguments],
        cwd=folder,
        env=env,
        timeout=process.START_LIMIT,
    )
    if finished.returncode:
        reason = processes.last_lines(finished.stderr or finished.stdout, 2)
        raise HarnessError(f"fractal-server cannot be set up: {reason}")


def start_server(
    environment: Environment, version: str, folder: Path, hold: Path, env: Mapping[str, str]
) -> tuple[ServerProcess, str]:
    """Start it in `folder` on a free port; gives its process and its URL when it is up."""
    serving = process.start(
        f"fractal-server {version}",
        [environment.scripts / "fractalctl", "start", "--port", "0"],
        folder=folder,
        hold=hold,
        env=env,
    )
    return serving, process.address(serving)
