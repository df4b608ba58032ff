"""A wheel holds what `python -m build` puts into it, whatever the backend and .gitignore."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from conftest import MANIFEST
from projects import git, repository

from pytest_fractal.environments.building import (
    BuildEnvironment,
    Built,
    build_from_tree,
    build_release,
)
from pytest_fractal.environments.environments import Environment, create_bare
from pytest_fractal.environments.installers import UvInstaller
from pytest_fractal.environments.interpreters import find_interpreter

PROJECT = '[project]\nname = "demo-tasks"\nversion = "1.2"\n'
DYNAMIC = '[project]\nname = "demo-tasks"\ndynamic = ["version"]\n'


def system(backend: str, *requires: str) -> str:
    return f'[build-system]\nrequires = {[*requires]}\nbuild-backend = "{backend}"\n'


HATCHLING = system("hatchling.build", "hatchling") + PROJECT
SETUPTOOLS = system("setuptools.build_meta", "setuptools")

BACKENDS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "hatchling": (HATCHLING, {}),
    "hatchling, generated and ignored": (
        HATCHLING.replace(PROJECT, DYNAMIC)
        + '[tool.hatch.version]\nsource = "vcs"\n'
        + '[tool.hatch.build.hooks.vcs]\nversion-file = "demo_tasks/_version.py"\n',
        {".gitignore": "_version.py\n"},
    ),
    "hatchling, ignored json": (HATCHLING, {".gitignore": "*.json\n"}),
    "hatchling, ignored json and the names of folders": (
        HATCHLING,
        {".gitignore": "*.json\nbuild/\nmade/\ncopy/\ntree/\nunpacked/\n"},
    ),
    "hatchling, brought into the sdist": (
        HATCHLING
        + f'[tool.hatch.build.targets.sdist.force-include]\n"demo_tasks/{MANIFEST}" = '
        + f'"demo_tasks/{MANIFEST}"\n',
        {".gitignore": "*.json\n"},
    ),
    "hatchling, brought into the sdist, and its folder": (
        HATCHLING
        + f'[tool.hatch.build.targets.sdist.force-include]\n"demo_tasks/{MANIFEST}" = '
        + f'"demo_tasks/{MANIFEST}"\n',
        {".gitignore": "*.json\nbuild-via-*/\n"},
    ),
    "hatchling, all ignored but": (
        HATCHLING,
        {".gitignore": "*\n!*/\n!*.py\n!*.toml\n!.gitignore\n"},
    ),
    "setuptools": (SETUPTOOLS + PROJECT + '[tool.setuptools]\npackages = ["demo_tasks"]\n', {}),
    "setuptools, with data": (
        SETUPTOOLS
        + PROJECT
        + '[tool.setuptools]\npackages = ["demo_tasks"]\n'
        + '[tool.setuptools.package-data]\ndemo_tasks = ["*.json", "**/*.json"]\n',
        {".gitignore": "*.json\n"},
    ),
    "setuptools, by git": (
        system("setuptools.build_meta", "setuptools", "setuptools-scm")
        + DYNAMIC
        + '[tool.setuptools]\npackages = ["demo_tasks"]\n'
        + '[tool.setuptools_scm]\nversion_file = "demo_tasks/_version.py"\n',
        {".gitignore": "_version.py\nnotes/\n"},
    ),
    "setup.py": (
        "",
        {
            "pyproject.toml": system("setuptools.build_meta:__legacy__", "setuptools"),
            "setup.py": "from setuptools import setup\n"
            "setup(name='demo-tasks', version='1.2', packages=['demo_tasks'],\n"
            "      include_package_data=True)\n",
            "MANIFEST.in": "recursive-include demo_tasks *.json\n",
        },
    ),
    "poetry": (
        system("poetry.core.masonry.api", "poetry-core")
        + '[tool.poetry]\nname = "demo-tasks"\nversion = "1.2"\ndescription = ""\nauthors = []\n',
        {".gitignore": "extra.json\nnotes/\n"},
    ),
    "flit": (
        system("flit_core.buildapi", "flit_core") + PROJECT + 'description = "d"\n',
        {".gitignore": "extra.json\n"},
    ),
    "pdm": (system("pdm.backend", "pdm-backend") + PROJECT, {".gitignore": "extra.json\n"}),
    "uv": (
        system("uv_build", "uv_build") + PROJECT + '[tool.uv.build-backend]\nmodule-root = ""\n',
        {".gitignore": "extra.json\n"},
    ),
}

TREE = {
    "demo_tasks/__init__.py": "",
    f"demo_tasks/{MANIFEST}": "{}",
    "demo_tasks/data/extra.json": "{}",
    "demo_tasks/data/notes/kept.json": "{}",
    "tests/test_it.py": "",
    "notes/big.json": "{}",
    "README.md": "",
}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """All backends, and `build`: nothing is installed for one project alone."""
    folder = tmp_path_factory.mktemp("backends") / "environment"
    environment = create_bare(folder, find_interpreter(None))
    backends = (
        "build",
        "flit_core",
        "hatch-vcs",
        "hatchling",
        "pdm-backend",
        "poetry-core",
        "setuptools",
        "setuptools-scm",
        "uv_build",
    )
    finished = UvInstaller().install(environment, backends)
    assert finished.returncode == 0, finished.stderr
    return environment


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_wheel_is_that_of_python_build(
    tmp_path: Path, environment: Environment, backend: str
) -> None:
    pyproject, files = BACKENDS[backend]
    source = tmp_path / "source"
    for path, text in ({"pyproject.toml": pyproject} | TREE | dict(files)).items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_text(text)
    repository(source)
    before = git(source, "status", "--porcelain", "--ignored")
    reference = tmp_path / "reference"
    shutil.copytree(source, reference)
    subprocess.run(
        [
            environment.python,
            *("-m", "build", "--no-isolation", "--skip-dependency-check"),
            *("--outdir", tmp_path / "out", reference),
        ],
        env=os.environ | {"PATH": f"{environment.scripts}:{os.environ['PATH']}"},
        check=True,
        capture_output=True,
    )
    built = build_release(source, tmp_path / "made", BuildEnvironment(environment, UvInstaller()))
    assert built.failure is None
    assert built.wheel is not None
    (wheel,) = (tmp_path / "out").glob("*.whl")
    assert built.wheel.name == wheel.name
    assert contents(built.wheel) == contents(wheel)
    (sdist,) = (tmp_path / "out").glob("*.tar.gz")
    (ours,) = (tmp_path / "made" / "sdist").iterdir()
    assert names(ours) == names(sdist)
    assert git(source, "status", "--porcelain", "--ignored") == before


def contents(wheel: Path) -> dict[str, bytes]:
    """What a wheel holds, less the list of its files."""
    with zipfile.ZipFile(wheel) as archive:
        return {path: archive.read(path) for path in archive.namelist() if "RECORD" not in path}


def names(sdist: Path) -> list[str]:
    with tarfile.open(sdist) as archive:
        return sorted(element.name for element in archive if element.isfile())


@pytest.mark.parametrize(
    ("pattern", "build"),
    [
        ("build/", build_release),
        ("t?p", build_release),
        ("pytest-*/", build_release),
        ("tmp/", build_from_tree),
    ],
)
def test_an_ignored_file_is_left_out_wherever_it_is_built(
    tmp_path: Path, environment: Environment, pattern: str, build: object
) -> None:
    """Although hatchling ignores a .gitignore that names a folder above the project."""
    source = tmp_path / "source"
    files = {"pyproject.toml": HATCHLING, ".gitignore": f"{pattern}\n*.json\n"} | TREE
    for path, text in files.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_text(text)
    place = tmp_path / "tmp" / "build" / "package-0" / "build"
    assert callable(build)
    built: Built = build(source, place, BuildEnvironment(environment, UvInstaller()))
    assert built.wheel is not None
    assert not any(path.endswith(".json") for path in contents(built.wheel))
