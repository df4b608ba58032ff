"""A wheel is built as a release is, and the author's tree stays as it was.

The projects here bring their own build backend, so that nothing is fetched; builds
with the common backends are in `good_packages/` and `bad_packages/`.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pytest_fractal.environments.building import Built, build_from_tree, build_release
from pytest_fractal.environments.environments import Environment, UvInstaller, create_bare
from pytest_fractal.environments.interpreters import find_interpreter
from pytest_fractal.environments.trees import copy_tree
from pytest_fractal.environments.wheels import read_wheel

BACKEND = '''
"""Packs every file of the folder; where.txt tells the steps that were taken."""
import io, os, subprocess, tarfile, zipfile
from pathlib import Path


def _version():
    if Path("PKG-INFO").exists():
        return Path("PKG-INFO").read_text().strip()
    told = subprocess.run(["git", "describe", "--tags", "--dirty"], capture_output=True, text=True)
    return told.stdout.strip().replace("-", "+", 1).replace("-", ".") or "0"


def build_sdist(folder, config_settings=None):
    name = f"demo-{_version()}"
    with tarfile.open(f"{folder}/{name}.tar.gz", "w:gz") as archive:
        for path in Path(".").rglob("*"):
            if path.is_file() and ".git" not in path.parts and "sdist_lacks" not in path.name:
                archive.add(path.resolve(), f"{name}/{path}")
        about = tarfile.TarInfo(f"{name}/PKG-INFO")
        about.size = len(_version())
        archive.addfile(about, io.BytesIO(_version().encode()))
    return f"{name}.tar.gz"


def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = f"demo-{_version()}-py3-none-any.whl"
    Path("build").mkdir()
    with zipfile.ZipFile(f"{folder}/{name}", "w") as archive:
        for path in Path("demo").rglob("*"):
            if path.is_file():
                archive.write(path)
        about = f"Metadata-Version: 2.1\\nName: demo\\nVersion: {_version()}\\n"
        archive.writestr(f"demo-{_version()}.dist-info/METADATA", about)
    return name
'''

PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""

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


def project(folder: Path, files: Mapping[str, str] | None = None, more: str = "") -> Path:
    """Write a project whose package is `demo`; `more` is added to its backend."""
    content = {
        "pyproject.toml": PYPROJECT,
        "backend.py": BACKEND + more,
        "demo/__init__.py": "",
        "demo/task.py": "print('task')",
        **(files or {}),
    }
    for path, text in content.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def git(folder: Path, *arguments: str) -> None:
    own = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(
        ["git", *who, *arguments],
        cwd=folder,
        env=os.environ | own,
        check=True,
        capture_output=True,
    )


def repository(folder: Path, tag: str = "1.2") -> Path:
    """Commit everything, and tag it."""
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "all")
    git(folder, "tag", tag)
    return folder


def everything(folder: Path) -> dict[str, tuple[int, bytes | str]]:
    """Each path below the folder, with its time of modification and its content."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mtime_ns,
            str(path.readlink()) if path.is_symlink() else path.read_bytes(),
        )
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def holds(built: Built) -> set[str]:
    assert built.failure is None
    assert built.wheel is not None
    return {path.removeprefix("demo/") for path in read_wheel(built.wheel).contents}


def version(built: Built) -> str | None:
    assert built.failure is None
    assert built.wheel is not None
    return read_wheel(built.wheel).version


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
        ({"pyproject.toml": "[build-system"}, "", "requirements", "pyproject.toml"),
        ({"pyproject.toml": "[build-system]\nrequires = 5"}, "", "requirements", "requires"),
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
