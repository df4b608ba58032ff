"""The environment that a fractal-server is installed in: made once, and kept for later runs.

It is never pytest's own: fractal-server 1.x needs pydantic 1. It lies in the user's cache
folder (`$XDG_CACHE_HOME`, else `~/.cache`), where several runs may ask for it at once.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from pytest_fractal.environments.environments import Environment, create_bare
from pytest_fractal.environments.installers import UvInstaller
from pytest_fractal.environments.installing import run_pip
from pytest_fractal.environments.interpreters import Interpreter, find_interpreter, find_within
from pytest_fractal.errors import BadInput
from pytest_fractal.files import cache_folder
from pytest_fractal.processes import processes
from pytest_fractal.server import releases
from pytest_fractal.server.process import locked

_RECIPE: Final = 3
"""Counted up whenever what is made below changes."""

_NAME: Final = "fractal-server"


def server_environment(
    version: str, finish: Callable[[Environment], None] = lambda _: None
) -> Environment:
    """The environment with this fractal-server in it, which is made if there is none.

    `finish` is done once, when everything is installed; it raises `HarnessError` when it
    fails. Raises `BadInput` when there is no fitting interpreter, or no such version on the
    index, and `HarnessError` when the network or the disk is to blame.
    """
    interpreter = server_interpreter(version)
    python = ".".join(map(str, interpreter.version_info))
    root = cache_folder() / f"{_NAME}-{version}-py{python}-{_RECIPE}"
    beside = releases.span_of(version).beside

    def make(environment: Environment) -> None:
        create_bare(environment.folder, environment.interpreter)
        requirements: Sequence[str] = (f"{_NAME}=={version}", *beside)
        finished = UvInstaller().install(environment, requirements)
        if finished.returncode:
            said = " ".join(processes.last_lines(finished.stderr, 4).split())
            raise BadInput(f"--fractal-server: {_NAME} {version} cannot be installed: {said}")
        finish(environment)

    return _kept(root, interpreter, make)


def server_interpreter(version: str) -> Interpreter:
    """An interpreter that this fractal-server runs on, by its own `Requires-Python`.

    Pytest's own if it will do. Raises `BadInput` when there is none, or no such version.
    """
    known = releases.is_known(version)
    allowed = releases.span_of(version).python if known else _requires_python(version)
    try:
        return find_within(allowed)
    except BadInput as error:
        raise BadInput(
            f"--fractal-server: {_NAME} {version} runs on Python {allowed}, and {error}"
        ) from None


def offered_versions() -> Sequence[str] | None:
    """All versions of fractal-server on the package index, but pre-releases.

    None where nobody knows: the index does not answer as one does that has the package.
    Raises `HarnessError` when the network is to blame.
    """
    words = ("--json", "--ignore-requires-python", "--retries", "1", "--timeout", "15", _NAME)
    finished = run_pip(_asking(), "index", "versions", *words)
    try:
        return list(map(str, json.loads(finished.stdout)["versions"]))
    except (ValueError, LookupError, TypeError):
        return None


def installed_versions() -> Sequence[str]:
    """The versions that were installed in earlier runs."""
    ready = cache_folder().glob(f"{_NAME}-*-py*-{_RECIPE}/{_READY}")
    return [path.parent.name.removeprefix(f"{_NAME}-").split("-")[0] for path in ready]


_READY: Final = "ready"
"""The file beside an environment that is complete."""


def _kept(
    root: Path, interpreter: Interpreter, make: Callable[[Environment], None]
) -> Environment:
    environment = Environment(root / "environment", interpreter)
    root.mkdir(parents=True, exist_ok=True)
    with locked(root / "lock"):
        ready = root / _READY
        if not (ready.is_file() and environment.python.exists()):
            shutil.rmtree(environment.folder, ignore_errors=True)
            make(environment)
            ready.touch()
    return environment


def _asking() -> Environment:
    """An environment whose pip asks the index."""
    interpreter = find_interpreter(None)
    python = ".".join(map(str, interpreter.version_info))

    def make(environment: Environment) -> None:
        create_bare(environment.folder, environment.interpreter, pip=True)

    return _kept(cache_folder() / f"index-py{python}-{_RECIPE}", interpreter, make)


def _requires_python(version: str) -> SpecifierSet:
    """What a release says that it runs on. It never changes, so it is asked for once.

    Raises `BadInput` when the index has no such release.
    """
    file = cache_folder() / f"{_NAME}-{version}-requires-python"
    if not file.is_file():
        words = ("--no-input", "--no-deps", "--ignore-requires-python", "--report", "-")
        finished = run_pip(
            _asking(), "install", "--dry-run", "--quiet", *words, f"{_NAME}=={version}"
        )
        try:
            (found,) = json.loads(finished.stdout)["install"]
            required = str(found["metadata"].get("requires_python") or "")
            SpecifierSet(required)
        except (ValueError, LookupError, TypeError, InvalidSpecifier):
            raise BadInput(
                f"--fractal-server={version}: the package index has no {_NAME} {version}"
            ) from None
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(required)
    return SpecifierSet(file.read_text())
