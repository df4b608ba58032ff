"""A wheel is built as a release is, and the author's tree stays as it was.

The projects here bring their own build backend, so that nothing is fetched; builds
with the common backends are in `good_packages/` and `bad_packages/`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from projects import PYPROJECT, everything, git, holds, project, repository, version

from pytest_fractal.environments.building import Built, build_from_tree, build_release
from pytest_fractal.environments.environments import Environment, UvInstaller, create_bare
from pytest_fractal.environments.interpreters import find_interpreter
from pytest_fractal.environments.trees import copy_tree

Build = Callable[[Path], Built]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return create_bare(tmp_path_factory.mktemp("build") / "environment", find_interpreter(None))


@pytest.fixture
def release(environment: Environment, tmp_path: Path) -> Build:
    return lambda source: build_release(source, tmp_path / "made", environment, UvInstaller())


@pytest.fixture
def straight(environment: Environment, tmp_path: Path) -> Build:
    return lambda source: build_from_tree(
        source, tmp_path / "straight", environment, UvInstaller()
    )


def test_the_wheel_is_made_of_the_sdist(tmp_path: Path, release: Build, straight: Build) -> None:
    source = project(tmp_path / "source", {"demo/sdist_lacks.json": "{}"})
    assert holds(release(source)) == {"__init__.py", "task.py"}
    assert holds(straight(source)) == {"__init__.py", "task.py", "sdist_lacks.json"}


def test_the_source_tree_is_left_untouched(
    tmp_path: Path, release: Build, straight: Build
) -> None:
    """With the repository's own files: git refreshes its index when it is asked."""
    source = repository(project(tmp_path / "source"))
    (source / "demo" / "new.py").write_text("not committed")
    before = everything(source)
    assert version(release(source)) == version(straight(source)) == "1.2"
    assert everything(source) == before


def test_the_version_is_taken_from_the_repository(tmp_path: Path, release: Build) -> None:
    source = repository(project(tmp_path / "source"), "3.4")
    assert version(release(source)) == "3.4"


def test_what_is_changed_since_the_last_commit_counts(tmp_path: Path, release: Build) -> None:
    source = repository(project(tmp_path / "source"), "3.4")
    (source / "demo" / "task.py").write_text("print('changed')")
    assert version(release(source)) == "3.4+dirty"


def test_a_project_in_a_folder_of_a_repository_finds_it(
    tmp_path: Path, release: Build, straight: Build
) -> None:
    top = tmp_path / "top"
    source = project(top / "packages" / "demo-tasks")
    (top / "LICENSE").write_text("all rights")
    (top / "packages" / "other").mkdir()
    (top / "packages" / "other" / "data.txt").write_text("data")
    (source / "LICENSE").symlink_to("../../LICENSE")
    (source / "demo" / "data.txt").symlink_to("../../other/data.txt")
    repository(top, "5.6")
    before = everything(top)
    built = release(source)
    assert version(built) == version(straight(source)) == "5.6"
    assert holds(built) == {"__init__.py", "task.py", "data.txt"}
    assert everything(top) == before


def test_a_submodule_and_a_worktree_are_repositories_too(
    tmp_path: Path, release: Build, straight: Build
) -> None:
    origin = repository(project(tmp_path / "origin"), "7.8")
    git(origin, "worktree", "add", "-q", str(tmp_path / "worktree"))
    assert version(release(tmp_path / "worktree")) == "7.8"
    top = tmp_path / "top"
    top.mkdir()
    git(top, "init", "-q")
    git(top, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(origin), "sub")
    git(top / "sub", "fetch", "-q", "--tags")
    assert version(straight(top / "sub")) == "7.8"


def test_the_variables_of_a_git_hook_mean_nothing(
    tmp_path: Path, release: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = repository(project(tmp_path / "other"), "1.0")
    source = repository(project(tmp_path / "source"), "2.0")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
    before = everything(other)
    assert version(release(source)) == "2.0"
    assert everything(other) == before


def test_links_lead_where_they_led(tmp_path: Path, release: Build) -> None:
    source = project(tmp_path / "source")
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "one.json").write_text("{}")
    (source / "demo" / "relative.json").symlink_to("../../shared/one.json")
    (source / "demo" / "absolute.json").symlink_to(tmp_path / "shared" / "one.json")
    (source / "demo" / "inside.py").symlink_to("task.py")
    (source / "demo" / "dangling").symlink_to("nowhere")
    assert holds(release(source)) == {
        "__init__.py",
        "task.py",
        "relative.json",
        "absolute.json",
        "inside.py",
    }


def test_what_earlier_builds_and_tools_left_stays_behind(tmp_path: Path) -> None:
    source = project(
        tmp_path / "source",
        {
            "build/lib/demo/old.py": "",
            "demo.egg-info/SOURCES.txt": "",
            ".tox/a": "",
            "my-env/pyvenv.cfg": "",
            "demo/__pycache__/a.pyc": "",
            "demo/build/keep.py": "",
        },
    )
    os.mkfifo(source / "pipe")
    copy = copy_tree(source, tmp_path / "copy")
    assert {str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file()} == {
        "pyproject.toml",
        "backend.py",
        "demo/__init__.py",
        "demo/task.py",
        "demo/build/keep.py",
    }


@pytest.mark.parametrize(
    ("files", "more", "stage", "message"),
    [
        ({}, "raise RuntimeError('broken at import')", "sdist", "broken at import"),
        ({}, "def build_sdist(*_): raise RuntimeError('no sdist today')", "sdist", "no sdist"),
        ({}, "def build_wheel(*_): raise RuntimeError('no wheel today')", "wheel", "no wheel"),
        ({}, "def build_wheel(*_): raise SystemExit(3)", "wheel", ""),
        ({}, "def build_wheel(*_): os.kill(os.getpid(), 9)", "wheel", ""),
        ({}, "def build_sdist(*_): return 'demo-1.tar.gz'", "sdist", "made nothing"),
        (
            {},
            "_sdist = build_sdist\n"
            "def build_sdist(folder, *_):\n"
            "    Path(folder, 'second.txt').touch()\n"
            "    return _sdist(folder)",
            "sdist",
            "made demo-0.tar.gz, second.txt, where one sdist was asked for",
        ),
        (
            {},
            "def build_sdist(folder, *_):\n"
            "    Path(folder, 'demo-1.tar.gz').write_bytes(b'no archive')\n"
            "    return 'demo-1.tar.gz'",
            "sdist",
            "demo-1.tar.gz cannot be unpacked",
        ),
        (
            {},
            "def build_sdist(folder, *_):\n"
            "    with tarfile.open(f'{folder}/demo-1.tar.gz', 'w:gz') as archive:\n"
            "        archive.add('pyproject.toml', '../outside.toml')\n"
            "    return 'demo-1.tar.gz'",
            "sdist",
            "demo-1.tar.gz cannot be unpacked",
        ),
        (
            {},
            "def build_sdist(folder, *_):\n"
            "    tarfile.open(f'{folder}/demo-1.tar.gz', 'w:gz').close()\n"
            "    return 'demo-1.tar.gz'",
            "sdist",
            "does not hold exactly one folder",
        ),
        ({"pyproject.toml": "[build-system"}, "", "settings", "pyproject.toml"),
        ({"pyproject.toml": "[build-system]\nrequires = 5"}, "", "settings", "requires"),
        (
            {"pyproject.toml": PYPROJECT.replace('"backend"', '"none.such"')},
            "",
            "sdist",
            "none",
        ),
        (
            {"pyproject.toml": PYPROJECT.replace("[]", '["???"]')},
            "",
            "requirements",
            "???",
        ),
    ],
)
def test_a_build_that_fails_says_where_and_why(
    tmp_path: Path, release: Build, files: Mapping[str, str], more: str, stage: str, message: str
) -> None:
    built = release(project(tmp_path / "source", files, more))
    assert built.wheel is None
    assert built.failure is not None
    assert built.failure.stage == stage
    assert message in built.failure.message
    assert built.failure.message.strip()
    assert not (tmp_path / "outside.toml").exists()
