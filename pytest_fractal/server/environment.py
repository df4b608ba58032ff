"""The environment that a fractal-server is installed in: made once, and kept for later runs.

It is never pytest's own: fractal-server 1.x needs pydantic 1. It lies in the user's cache
folder (`$XDG_CACHE_HOME`, else `~/.cache`), where several runs may ask for it at once.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pytest_fractal.environments.environments import Environment, UvInstaller, create_bare
from pytest_fractal.environments.interpreters import Interpreter, find_interpreter
from pytest_fractal.errors import BadInput
from pytest_fractal.processes import processes
from pytest_fractal.server.process import locked

_RECIPE: Final = 2
"""Counted up whenever what is made below changes."""


@dataclass(frozen=True)
class Recipe:
    """How to make the environment of one version."""

    version: str
    """Of fractal-server, such as `1.4.10`."""
    requirements: tuple[str, ...]
    """What to install beside it."""
    pythons: tuple[str, ...]
    """The versions of Python that it works with, the preferred one first."""
    finish: Callable[[Environment], None] = lambda _: None
    """Done once, when everything is installed; raises `HarnessError` when it fails."""


def server_environment(recipe: Recipe) -> Environment:
    """The environment with this fractal-server in it, which is made if there is none.

    Raises `BadInput` when there is no fitting interpreter, or no such version on the index,
    and `HarnessError` when the network or the disk is to blame.
    """
    interpreter = _interpreter(recipe)
    python = ".".join(map(str, interpreter.version_info))
    root = cache_folder() / f"fractal-server-{recipe.version}-py{python}-{_RECIPE}"
    environment = Environment(root / "environment", interpreter)
    root.mkdir(parents=True, exist_ok=True)
    with locked(root / "lock"):
        ready = root / "ready"
        if not (ready.is_file() and environment.python.exists()):
            shutil.rmtree(environment.folder, ignore_errors=True)
            _make(environment, recipe)
            ready.touch()
    return environment


def cache_folder() -> Path:
    """Where environments of servers are kept."""
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser() / "pytest-fractal"


def _interpreter(recipe: Recipe) -> Interpreter:
    """Pytest's own if it will do, for that is there; else the first that is found."""
    own = find_interpreter(None)
    if ".".join(map(str, own.version_info)) in recipe.pythons:
        return own
    for version in recipe.pythons:
        try:
            return find_interpreter(version)
        except BadInput:
            continue
    raise BadInput(
        f"fractal-server {recipe.version} runs on Python {' or '.join(recipe.pythons)}, and none "
        f"of these was found in PATH, in pyenv or in uv: install one, such as with "
        f"`uv python install {recipe.pythons[0]}`"
    )


def _make(environment: Environment, recipe: Recipe) -> None:
    create_bare(environment.folder, environment.interpreter)
    requirements: Sequence[str] = (f"fractal-server=={recipe.version}", *recipe.requirements)
    finished = UvInstaller().install(environment, requirements)
    if finished.returncode:
        said = " ".join(processes.last_lines(finished.stderr, 4).split())
        raise BadInput(
            f"--fractal-server: fractal-server {recipe.version} cannot be installed: {said}"
        )
    recipe.finish(environment)
