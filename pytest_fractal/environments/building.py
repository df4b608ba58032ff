"""Building a wheel from a source tree, the way a release is built.

`python -m build` makes the sdist first and the wheel from the sdist, in an
environment of its own; so does this, by the same library. The candidate's tree is
copied before: backends write into it (`build/`, `*.egg-info`), and two runs at once
would meet there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tomllib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from build import BuildBackendException, BuildException, ProjectBuilder

from pytest_fractal.environments.environments import Environment, Installer
from pytest_fractal.errors import HarnessError
from pytest_fractal.processes import processes
from pytest_fractal.processes.processes import Finished, last_lines
from pytest_fractal.processes.variables import build_variables, git_variables

PROJECT_FILES: Final = ("pyproject.toml", "setup.py")
"""One of these makes a folder a project that can be built (PEP 517)."""

BUILD_LIMIT: Final = 3600.0
"""Seconds after which a backend is given up."""

_ANSWER_LIMIT: Final = 10_000_000
"""Bytes of what a hook answers: requirements, or the name of a file."""

_LEFT_OUT: Final = frozenset(
    {
        "__pycache__",
        ".tox",
        ".nox",
        ".venv",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        "node_modules",
        ".eggs",
    }
)

Stage = Literal["requirements", "sdist", "wheel"]


def is_for_pixi(tree: Path) -> bool:
    """Whether a source tree tells pixi how to install it."""
    if (tree / "pixi.toml").is_file():
        return True
    try:
        return _is_pixi_project((tree / "pyproject.toml").read_text("utf-8"))
    except (OSError, ValueError):
        return False


def is_archive_for_pixi(path: Path) -> bool:
    """Whether a file is a source archive that tells pixi how to install it."""
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                _, _, inner = member.name.removeprefix("./").partition("/")
                if inner == "pixi.toml":
                    return True
                if inner == "pyproject.toml" and (file := archive.extractfile(member)):
                    return _is_pixi_project(file.read().decode())
    except (OSError, ValueError, tarfile.TarError):
        pass
    return False


def _is_pixi_project(text: str) -> bool:
    return "pixi" in tomllib.loads(text).get("tool", {})


@dataclass(frozen=True)
class BuildFailure:
    """Why there is no wheel."""

    stage: Stage
    message: str
    """The backend's or the installer's own last words."""


@dataclass(frozen=True)
class Built:
    """What a build gave: one wheel, or the reason why not."""

    wheel: Path | None
    failure: BuildFailure | None = None


def build_release(
    source: Path, folder: Path, environment: Environment, installer: Installer
) -> Built:
    """Build the sdist of `source`, and the wheel from that sdist, below `folder`.

    `environment` is a bare one, into which the build requirements are installed.
    Raises `HarnessError` when the network fails.
    """
    tree = copy_tree(source, folder / "sdist-tree")
    try:
        sdist = _Project(tree, environment, installer).build("sdist", folder / "sdist")
        unpacked = _unpack(sdist, folder / "wheel-tree")
        wheel = _Project(unpacked, environment, installer).build("wheel", folder / "wheel")
    except _Failed as failed:
        return Built(None, failed.failure)
    return Built(wheel)


def build_from_tree(
    source: Path, folder: Path, environment: Environment, installer: Installer
) -> Built:
    """Build the wheel straight from `source`, as `pip install .` does."""
    tree = copy_tree(source, folder / "tree")
    try:
        return Built(_Project(tree, environment, installer).build("wheel", folder / "tree-wheel"))
    except _Failed as failed:
        return Built(None, failed.failure)


def copy_tree(source: Path, target: Path) -> Path:
    """Copy a project to a place where it can be built; returns the project's folder there.

    Caches, environments and what earlier builds left stay behind, as in a fresh clone.
    A project in a repository finds the repository around it, since versions and file
    lists are often taken from git; the folders beside the project's own are links.
    """
    source = source.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    top = next((place for place in (source, *source.parents) if (place / ".git").exists()), source)
    original, copy = top, target
    for part in source.relative_to(top).parts:
        copy.mkdir()
        for neighbour in original.iterdir():
            if neighbour.name in (part, ".git"):
                continue
            if neighbour.is_dir():
                (copy / neighbour.name).symlink_to(neighbour)
            elif neighbour.is_file():
                # Not a link: backends put a repository's .gitignore into the sdist.
                shutil.copy2(neighbour, copy / neighbour.name)
        original, copy = original / part, copy / part
    shutil.copytree(source, copy, symlinks=True, ignore=_left_out, copy_function=_copy_file)
    for path in copy.rglob("*"):
        if path.is_symlink() and not path.exists():
            # It led out of what was copied, if it led anywhere.
            there = (source / path.relative_to(copy)).resolve()
            if there.exists():
                path.unlink()
                path.symlink_to(there)
    if (top / ".git").exists():
        _copy_repository(top, target, source.relative_to(top))
    return copy


def _copy_repository(top: Path, copy: Path, project: Path) -> None:
    """Let git find in `copy` the repository of `top`, of which `project` alone was copied.

    The objects are the repository's own. The index is a copy: git writes into it even
    when it is only asked for a version.
    """
    repository, own = top / ".git", copy / ".git"
    if repository.is_file():  # of a worktree or a submodule
        repository = top / repository.read_text().removeprefix("gitdir:").strip()
    own.unlink(missing_ok=True)
    own.mkdir()
    for path in repository.iterdir():
        if path.is_dir():
            (own / path.name).symlink_to(path.resolve())
        elif path.is_file() and path.suffix != ".lock":
            shutil.copy2(path, own / path.name)
    if (own / "commondir").is_file():
        common = repository / (own / "commondir").read_text().strip()
        (own / "commondir").write_text(f"{common.resolve()}\n")
    # Run beside the copy: within it, git would follow this very setting of a submodule.
    _git(copy.parent, "config", "--file", str(own / "config"), "--unset", "core.worktree")
    if project.parts:
        # What was not copied has not been deleted: versions would be marked as changed.
        elsewhere = _git(copy, "ls-files", "-z", "--", ".", f":(exclude){project.as_posix()}")
        _git(copy, "update-index", "-z", "--assume-unchanged", "--stdin", given=elsewhere)


def _git(folder: Path, *arguments: str, given: bytes = b"") -> bytes:
    """What git prints; nothing where it fails or is not there, as it then will for the backend."""
    try:
        finished = subprocess.run(
            ["git", *arguments], cwd=folder, env=git_variables(), input=given, capture_output=True
        )
    except OSError:
        return b""
    return finished.stdout


class _Failed(Exception):
    def __init__(self, stage: Stage, message: str) -> None:
        super().__init__(message)
        self.failure = BuildFailure(stage, message)


class _Project:
    """One source tree and its backend, run in an environment of its own."""

    def __init__(self, tree: Path, environment: Environment, installer: Installer) -> None:
        self._environment = environment
        self._installer = installer
        self._last: Finished | None = None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._builder = ProjectBuilder(tree, str(environment.python), self._run)
        except BuildException as error:
            raise _Failed("requirements", str(error)) from None

    def build(self, kind: Literal["sdist", "wheel"], folder: Path) -> Path:
        """Build one distribution into `folder`, which must hold nothing else then."""
        folder.mkdir(parents=True)
        try:
            self._require(self._builder.build_system_requires)
            self._require(self._builder.get_requires_for_build(kind))
            self._builder.build(kind, folder)
        except (BuildBackendException, BuildException) as error:
            raise _Failed(kind, self._output_tail(error)) from None
        made = sorted(folder.iterdir())
        if len(made) != 1:
            names = ", ".join(path.name for path in made) or "nothing"
            raise _Failed(kind, f"the backend made {names}, where one {kind} was asked for")
        return made[0]

    def _require(self, requirements: set[str]) -> None:
        if not requirements:
            return
        finished = self._installer.install(self._environment, sorted(requirements))
        if finished.returncode:
            raise _Failed("requirements", last_lines(finished.stderr or finished.stdout))

    def _run(
        self,
        cmd: Sequence[str],
        cwd: str | None = None,
        extra_environ: Mapping[str, str] | None = None,
    ) -> None:
        """Run one hook of the backend; `build` looks at the result itself."""
        scratch = self._environment.folder.with_name("build-home")
        scratch.mkdir(exist_ok=True)
        env = build_variables(scratch)
        path = os.pathsep.join([str(self._environment.scripts), env.get("PATH", os.defpath)])
        *hook, folder = cmd
        # The folder in which the hook is told what to do, and answers: in the run's own.
        control, asked = Path(folder), scratch / Path(folder).name
        shutil.move(control, asked)
        try:
            self._last = processes.run(
                [*hook, asked],
                cwd=Path(cwd or "."),
                env={**env, "PATH": path, **(extra_environ or {})},
                timeout=BUILD_LIMIT,
                room=scratch,
                log=self._environment.log,
            )
        finally:
            control.mkdir()
        answer = asked / "output.json"
        if answer.is_file() and answer.stat().st_size <= _ANSWER_LIMIT:  # a pipe would block
            shutil.copyfile(answer, control / answer.name)
        if self._last.timed_out:
            raise HarnessError(f"the build was given up after {BUILD_LIMIT:.0f} s")
        if self._last.returncode:
            raise subprocess.CalledProcessError(self._last.returncode, cmd)

    def _output_tail(self, error: Exception) -> str:
        if self._last is None or not self._last.returncode:
            return str(error)
        return last_lines(self._last.stderr) or last_lines(self._last.stdout) or str(error)


def _unpack(sdist: Path, folder: Path) -> Path:
    folder.mkdir()
    try:
        with tarfile.open(sdist) as archive:
            archive.extractall(folder, filter="data")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise _Failed("sdist", f"{sdist.name} cannot be unpacked: {error}") from None
    tops = [path for path in folder.iterdir() if path.is_dir()]
    if len(tops) != 1:
        raise _Failed("sdist", f"{sdist.name} does not hold exactly one folder")
    return tops[0]


def _left_out(folder: str, names: list[str]) -> set[str]:
    here = Path(folder)
    return {
        name
        for name in names
        if name in _LEFT_OUT
        or (name == ".git" and (here / name).is_dir())
        or name.endswith(".egg-info")
        or (here / name / "pyvenv.cfg").is_file()
        or (name == "build" and (here / name / "lib").is_dir())
    }


def _copy_file(source: str, target: str) -> None:
    # Sockets and pipes of a running program are not part of a project.
    if Path(source).is_file():
        shutil.copy2(source, target)
