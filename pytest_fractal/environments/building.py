"""Building a wheel from a source tree, the way a release is built.

`python -m build` makes the sdist first and the wheel from the sdist, in an environment of
its own; so does this, on a copy of the tree. Each hook of the backend is a process under
supervision with a time limit, and of what it leaves nothing but regular files is opened.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from pytest_fractal.environments import backend_hook
from pytest_fractal.environments.environments import (
    Environment,
    Installer,
    install_planned,
    planned,
)
from pytest_fractal.environments.ignore_patterns import GITIGNORE, pretend_place
from pytest_fractal.environments.machine_faults import fault_in_build
from pytest_fractal.environments.project_table import BadTable, read_build_system
from pytest_fractal.environments.repositories import has_repository
from pytest_fractal.environments.sdists import BadSdist, unpack
from pytest_fractal.environments.trees import copy_tree
from pytest_fractal.environments.wheels import check_whole
from pytest_fractal.errors import BadInput, HarnessError
from pytest_fractal.files import is_regular, read_regular
from pytest_fractal.processes import processes
from pytest_fractal.processes.processes import Finished, last_lines
from pytest_fractal.processes.variables import build_variables

BUILD_LIMIT: Final = 3600.0
"""Seconds after which a hook of a backend is given up: compiling takes long on some machines."""

_RESULT_LIMIT: Final = 1_000_000
"""Bytes of what a hook gives back: a file name, or some requirements."""

_NOTHING: Final = object()

_EXCEPTION: Final = re.compile(r"[A-Za-z_][\w.]*(?::|$)")
"""The line of a traceback that names it."""

_REPLACED: Final = re.compile(r"^ [-~] ", re.MULTILINE)
"""What uv says where it takes out what was installed before."""

Stage = Literal["settings", "requirements", "sdist", "wheel"]
Kind = Literal["sdist", "wheel"]
"""What a backend makes."""


@dataclass(frozen=True)
class BuildFailure:
    """Why there is no wheel."""

    stage: Stage
    message: str
    """The backend's or the installer's own last words."""
    timed_out: bool = False
    """Whether it was given up."""


@dataclass(frozen=True)
class Built:
    """What a build gave: one wheel, or the reason why not."""

    wheel: Path | None
    failure: BuildFailure | None = None
    given: tuple[str, ...] = ()
    """What its environment had been given when it was made."""


Plans = dict[tuple[str, ...], tuple[str, ...]]
"""What a bare environment was given for some requirements: `name==version` each."""


class BuildEnvironment:
    """An environment in which hooks run, bare at first, and what it was given until now.

    Candidates have environments of their own, as what runs in one can change it; in `plans`
    they share the answers of the index.
    """

    def __init__(
        self, environment: Environment, installer: Installer, plans: Plans | None = None
    ) -> None:
        self.environment = environment
        self.given: set[str] = set()
        self._installer = installer
        self._plans = {} if plans is None else plans

    def require(self, requirements: Sequence[str]) -> Finished | None:
        """Install requirements; None where all of them are there.

        Raises `HarnessError` when the machine or the network fails.
        """
        wanted = set(requirements)
        if wanted <= self.given:
            return None
        finished = self._install(sorted(wanted))
        if finished.returncode == 0:
            if _REPLACED.search(finished.stderr):
                self.given.clear()
            self.given |= wanted
        return finished

    def _install(self, wanted: Sequence[str]) -> Finished:
        if self.given:
            return self._installer.install(self.environment, wanted)
        key = (str(self.environment.interpreter.path), *wanted)
        if done := install_planned(self.environment, self._plans.get(key, ())):
            return done
        finished = self._installer.install(self.environment, wanted)
        if finished.returncode == 0:
            self._plans[key] = planned(finished)
        return finished


def build_release(
    source: Path, folder: Path, environment: BuildEnvironment, limit: float = BUILD_LIMIT
) -> Built:
    """Build the sdist of `source`, and the wheel from that sdist, below `folder`.

    `limit` counts seconds for each of them, with what the backend is asked before. Raises
    `HarnessError` when the machine or the network fails.
    """
    try:
        tree = copy_tree(source, folder / "copy" / "tree")
        project = _Project(tree, folder, environment, limit)
        sdist = project.build("sdist", folder / "sdist")
        tree = _unpack(sdist, folder)
        project = _Project(tree, folder, environment, limit)
        wheel = project.build("wheel", folder / "wheel")
        return Built(wheel, given=tuple(sorted(environment.given)))
    except _Failed as failed:
        return Built(None, failed.failure)


def build_from_tree(
    source: Path, folder: Path, environment: BuildEnvironment, limit: float = BUILD_LIMIT
) -> Built:
    """Build the wheel straight from `source`, as `pip install .` does."""
    try:
        tree = copy_tree(source, folder / "copy" / "tree")
        project = _Project(tree, folder, environment, limit)
        return Built(project.build("wheel", folder / "wheel"))
    except _Failed as failed:
        return Built(None, failed.failure)


def _unpack(sdist: Path, folder: Path) -> Path:
    """Unpack an sdist as if it were where `python -m build` does that."""
    place = Path(tempfile.mkdtemp(prefix="build-via-sdist-", dir=folder))
    try:
        tree = unpack(sdist, place / "unpacked")
    except BadSdist as error:
        raise _Failed("sdist", str(error)) from None
    if is_regular(tree / GITIGNORE):
        reference = Path(tempfile.gettempdir(), place.name, tree.name)
        pretend_place(tree / GITIGNORE, tree, str(reference))
    return tree


def _read_result(file: Path) -> Any:
    """What a hook has returned; `_NOTHING` where that is not what `backend_hook` writes."""
    try:
        return json.loads(read_regular(file, _RESULT_LIMIT))
    except (OSError, ValueError, RecursionError):
        return _NOTHING


def _exception_first(said: str) -> str:
    """What a failed process said at its end; of a traceback, the exception first."""
    lines = said.split("\n")
    frames = [number for number, line in enumerate(lines) if line.startswith('  File "')]
    after = frames[-1] + 1 if frames else len(lines)
    raised = next((n for n in range(after, len(lines)) if not lines[n][:1].isspace()), 0)
    if raised == 0 or not _EXCEPTION.match(lines[raised]):
        return said
    return "\n".join([*lines[raised:], *lines[:raised]])


class _Failed(Exception):
    def __init__(self, stage: Stage, message: str, timed_out: bool = False) -> None:
        super().__init__(message)
        self.failure = BuildFailure(stage, message, timed_out)


class _Project:
    """One source tree and its backend, whose hooks run in an environment of their own."""

    def __init__(
        self, tree: Path, folder: Path, environment: BuildEnvironment, limit: float
    ) -> None:
        self._tree = tree
        self._folder = folder
        self._bench = environment
        self._environment = environment.environment
        self._limit = limit
        try:
            self._system = read_build_system(tree)
        except BadTable as error:
            raise _Failed("settings", str(error)) from None

    def build(self, kind: Kind, folder: Path) -> Path:
        """Build one distribution into `folder`, which must not be there yet."""
        folder.mkdir()
        self._require(self._system.requires)
        more = self._call_hooks(kind, folder, sorted(self._bench.given))
        if more:
            self._require(more)
            self._call_hooks(kind, folder, None)
        made = sorted(folder.iterdir())
        if len(made) != 1:
            names = ", ".join(path.name for path in made) or "nothing"
            raise _Failed(kind, f"the backend made {names}, where one {kind} was asked for")
        if not is_regular(made[0]):
            raise _Failed(kind, f"the backend made {made[0].name}, which is not a regular file")
        if kind == "wheel":
            try:
                check_whole(made[0])
            except BadInput as error:
                message = str(error).removeprefix(f"{made[0].parent}{os.sep}")
                raise _Failed(kind, message) from None
        return made[0]

    def _require(self, requirements: Sequence[str]) -> None:
        finished = self._bench.require(requirements)
        if finished is not None and finished.returncode:
            raise self._failed("requirements", finished)

    def _call_hooks(self, kind: Kind, folder: Path, given: Sequence[str] | None) -> list[str]:
        """Let the backend build, if it needs no more than was given; else what it asks for.

        With None for what was given it is not asked.
        """
        call = {
            "backend": self._system.backend,
            "backend_path": self._system.backend_path,
            "kind": kind,
            "folder": str(folder),
            "given": given,
        }
        asking, building = f"get_requires_for_build_{kind}", f"build_{kind}"
        asked, made = self._folder / f"{asking}.json", self._folder / f"{building}.json"
        finished = processes.run(
            [self._environment.python, backend_hook.__file__, asked, made, json.dumps(call)],
            cwd=self._tree,
            env=self._variables(),
            timeout=self._limit,
            room=self._folder,
            # Not the environment in which the wheel is to be installed, or is already.
            writes=(self._folder, self._environment.folder),
            log=self._environment.log,
        )
        if finished.returncode and not finished.timed_out:
            raise self._failed(kind, finished)
        more = [] if given is None else _read_result(asked)
        hook = asking if more is _NOTHING and not os.path.lexists(made) else building
        if finished.timed_out:
            raise _Failed(kind, f"{hook} did not end within {self._limit:g} s", timed_out=True)
        if more is not _NOTHING:
            if not isinstance(more, list) or not all(isinstance(entry, str) for entry in more):
                raise _Failed(kind, f"{asking} gave no list of requirements")
            if not set(more) <= set(given or ()):
                return more
            if _read_result(made) is not _NOTHING:
                return []
        raise _Failed(kind, f"{hook} ended without a result")

    def _variables(self) -> dict[str, str]:
        home = self._folder / "home"
        home.mkdir(exist_ok=True)
        variables = build_variables(home)
        paths = [str(self._environment.scripts), variables.get("PATH", "")]
        return variables | {
            "PATH": os.pathsep.join(filter(None, paths)),
            # A project without a repository must not find one around this folder.
            "GIT_CEILING_DIRECTORIES": str(self._folder),
        }

    def _failed(self, stage: Stage, finished: Finished) -> _Failed:
        """The failure of a process; raises `HarnessError` where the machine is to blame."""
        stderr = _without_our_frames(finished.stderr)
        said = last_lines(stderr) or last_lines(finished.stdout) or finished.ending
        in_repository = has_repository(self._tree)
        fault = fault_in_build(said, self._variables(), uses_git=in_repository)
        if fault:
            raise HarnessError(f"the build failed: {fault} ({last_lines(said, 1).strip()})")
        # Where the copy lies is of no use to anybody.
        said = said.replace(f"{self._tree}{os.sep}", "").replace(str(self._tree), "the folder")
        return _Failed(stage, _exception_first(said))


_FRAME: Final = re.compile(
    r'  File "(?P<file>[^"\n]{1,4096})", line \d+, in [^\n]*\n(?:    [^\n]*\n)*'
)
_EMPTY: Final = re.compile(r"^Traceback \(most recent call last\):\n(?=\S)", re.MULTILINE)
_OURS: Final = ("<frozen importlib", "importlib/__init__.py", Path(backend_hook.__file__).name)


def _without_our_frames(stderr: str) -> str:
    """An output without the lines of a traceback that lead from our script to the backend."""

    def kept(frame: re.Match[str]) -> str:
        return "" if any(name in frame["file"] for name in _OURS) else frame[0]

    return _EMPTY.sub("", _FRAME.sub(kept, stderr))
