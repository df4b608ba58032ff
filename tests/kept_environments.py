"""Environments for tests that need just any: each kind is made once, and copied from then on.

Everything that happens in them is real: backends build there, tasks run there. A wheel is
installed by uv, which takes a tenth of pip's time, and by pip where uv refuses it. Tests about
making environments, about what pip takes, and about what an index hands out, do without.
"""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from filelock import FileLock

from pytest_fractal.environments import installers
from pytest_fractal.environments.building import BuildEnvironment
from pytest_fractal.environments.environments import Environment, make_by_venv
from pytest_fractal.environments.installers import UvInstaller
from pytest_fractal.environments.installing import pip_install, uv_pip
from pytest_fractal.environments.interpreters import Interpreter
from pytest_fractal.processes.processes import Finished


class KeptEnvironments:
    """Those of a session of pytest, in a folder that all its workers share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)

    def bring(self, environment: Environment, kind: object, make: Callable[[], bool]) -> bool:
        """Fill the folder of an environment; whether it was filled from one that was kept.

        `make` does it the first time, and says whether what it made is worth keeping.
        """
        subject = f"{environment.interpreter.path} {environment.interpreter.version} {kind}"
        kept = self._folder / hashlib.sha256(subject.encode()).hexdigest()[:16]
        with FileLock(f"{kept}.lock"):
            if not kept.exists():
                if make():
                    partial = kept.with_suffix(".partial")
                    _copy(environment.folder, partial)
                    partial.rename(kept)
                return False
        _copy(kept, environment.folder)
        return True

    @contextlib.contextmanager
    def handed_out(self, *, pip: bool = False) -> Iterator[None]:
        """Let runs in this process take environments from those that are kept.

        `pip` says whether it is pip that installs wheels in them, as always.
        """
        create, require = UvInstaller.create, BuildEnvironment.require

        def kept_create(own: UvInstaller, folder: Path, interpreter: Interpreter) -> Environment:
            environment = Environment(folder, interpreter)
            if folder.exists():  # made anew, since something is wrong with the first
                return create(own, folder, interpreter)
            kind = ("to install into", own._upgraded, own._caches)
            self.bring(environment, kind, lambda: bool(create(own, folder, interpreter)))
            return environment

        def kept_require(own: BuildEnvironment, requirements: Sequence[str]) -> Finished | None:
            if own.given or not requirements:
                return require(own, requirements)
            made: list[Finished | None] = []

            def make() -> bool:
                made.append(finished := require(own, requirements))
                return finished is not None and finished.returncode == 0

            if not self.bring(own.environment, ("to build in", *sorted(requirements)), make):
                return made[0]
            own.given |= set(requirements)
            return None

        with pytest.MonkeyPatch.context() as patch, self.venvs_handed_out():
            patch.setattr(UvInstaller, "create", kept_create)
            patch.setattr(BuildEnvironment, "require", kept_require)
            if not pip:
                patch.setattr(installers, "pip_install", _install)
            yield

    @contextlib.contextmanager
    def venvs_handed_out(self) -> Iterator[None]:
        """Let them take what `python -m venv` makes, with the pip that an interpreter brings."""

        def kept_venv(environment: Environment, *, pip: bool) -> None:
            def make() -> bool:
                make_by_venv(environment, pip=pip)
                return True

            self.bring(environment, ("venv", pip), make)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(installers, "make_by_venv", kept_venv)
            yield


def _install(
    environment: Environment, *words: str, limit: float | None = None, alone: bool = False
) -> Finished:
    """Let uv install a wheel `alone`, and pip whatever else, and what uv refuses."""
    if alone:
        wanted = ("--no-build", "--no-deps", "--python", environment.python, "--", words[-1])
        finished = uv_pip(environment, "install", *wanted, walled=False)
        if finished.returncode == 0:
            return finished
    return pip_install(environment, *words, limit=limit, alone=alone)


def _copy(source: Path, target: Path) -> None:
    """Copy an environment, whose programs name it in their first line."""
    target.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", f"{source}/.", target], check=True)
    programs = [path for path in (target / "bin").iterdir() if not path.is_symlink()]
    for program in programs:
        first, end, rest = program.read_bytes().partition(b"\n")
        if first.startswith(b"#!/") and first.endswith(b"/bin/python"):
            program.write_bytes(f"#!{target}/bin/python".encode() + end + rest)
