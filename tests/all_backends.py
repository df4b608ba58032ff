"""Every build backend in one environment, for builds in quick succession."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from zipfile import ZipFile

from build import ProjectBuilder
from uv import find_uv_bin

from pytest_fractal.environments.indexes import installer_environment
from pytest_fractal.environments.sdists import unpack

# Most of a build's time goes into starting Python and importing the backend: this does
# it once, and forks for every hook that `build` calls.
SERVER = """
import gc, json, os, runpy, sys, traceback
from importlib.metadata import entry_points
import setuptools.build_meta, setuptools.config._apply_pyprojecttoml
import setuptools.config._validate_pyproject
import hatchling.bridge.app, hatchling.build, hatchling.builders.wheel, hatchling.builders.sdist
import hatchling.metadata.core
import poetry.core.masonry.api, poetry.core.factory, poetry.core.masonry.builders.sdist
import poetry.core.masonry.builders.wheel, poetry.core.masonry.metadata, poetry.core.json
import poetry.core.packages.project_package, poetry.core.packages.directory_dependency
import poetry.core.packages.file_dependency, poetry.core.poetry, poetry.core.pyproject.tables
import poetry.core.spdx.helpers, poetry.core.vcs.git, poetry.core.masonry.utils.module
import flit_core.buildapi, pdm.backend, pdm.backend.wheel, pdm.backend.sdist
for command in entry_points(group="distutils.commands"):
    command.load()
gc.disable()  # each child would copy the pages of what it looks through
for line in sys.stdin:
    log, cwd, argv, environ = json.loads(line)
    child = os.fork()
    if not child:
        status = 1
        try:
            out = os.open(log, os.O_WRONLY | os.O_CREAT)
            os.dup2(out, 1), os.dup2(out, 2)
            os.chdir(cwd)
            os.environ.update(environ)
            sys.argv = argv
            runpy.run_path(argv[0], run_name="__main__")
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(status)
    print(os.waitpid(child, 0)[1], flush=True)
"""


class Backends:
    """Every build backend, in one environment, so that no build needs one of its own."""

    def __init__(self, folder: Path) -> None:
        uv, env = find_uv_bin(), installer_environment("uv")
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, folder], check=True, env=env)
        self.python = str(folder / "bin" / "python")
        names = ("setuptools", "hatchling", "poetry-core", "flit_core", "pdm-backend", "uv_build")
        subprocess.run(
            [uv, "pip", "install", "-q", "--python", self.python, *names], check=True, env=env
        )
        path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        self.server = subprocess.Popen(
            [self.python, "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PATH": path},
        )

    def run(
        self,
        cmd: Sequence[str],
        cwd: str | None = None,
        extra_environ: Mapping[str, str] | None = None,
    ) -> None:
        """Run one hook; `build` calls this."""
        assert self.server.stdin
        assert self.server.stdout
        _, *argv = cmd
        log = Path(f"{cwd}.log")
        order = json.dumps([str(log), cwd, argv, dict(extra_environ or {})])
        print(order, file=self.server.stdin, flush=True)
        assert self.server.stdout.readline() == "0\n", log.read_text()

    def build(self, tree: Path, scratch: Path) -> tuple[set[str], set[str]]:
        """The files of the sdist, and of the wheel that is built from it, as releases are."""
        shutil.copytree(tree, scratch / "tree")
        sdist = self._project(scratch / "tree").build("sdist", scratch / "sdist")
        unpacked = unpack(Path(sdist), scratch / "unpacked")
        files = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*")}
        wheel = self._project(unpacked).build("wheel", scratch / "wheel")
        return files, set(ZipFile(wheel).namelist())

    def _project(self, folder: Path) -> ProjectBuilder:
        return ProjectBuilder(folder, python_executable=self.python, runner=self.run)
