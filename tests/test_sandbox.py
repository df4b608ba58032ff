"""What a process sees within the walls, and what it does not."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Runner
from projects import git, project, repository, version

from pytest_fractal.environments.repositories import object_folders
from pytest_fractal.package_spec import parse_package
from pytest_fractal.processes import processes, sandbox
from pytest_fractal.processes.sandbox import Sandbox, paths_named, set_up, take_down
from pytest_fractal.processes.variables import task_variables
from pytest_fractal.session import Session
from pytest_fractal.settings import Settings

needs_walls = pytest.mark.skipif(
    bool(sandbox._obstacle()), reason=f"no walls: {sandbox._obstacle()}"
)

LOOK = """
import json, os, sys
def can(path, mode):
    try:
        with open(path, mode):
            return True
    except OSError:
        return False
print(json.dumps({
    "read": [path for path in sys.argv[1:] if can(path, "rb")],
    "write": [path for path in sys.argv[1:] if can(path, "r+b")],
    "processes": len([name for name in os.listdir("/proc") if name.isdigit()]),
    "here": os.getcwd(),
    "root": can("/written", "wb"),
}))
"""


@pytest.fixture
def base(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A fresh folder: where temporary files of tests are, or where a test says."""
    with tempfile.TemporaryDirectory(dir=getattr(request, "param", tmp_path)) as folder:
        yield Path(folder)


@pytest.fixture
def walls(base: Path) -> Iterator[Sandbox]:
    """Walls around a run with a candidate, its facts, and another candidate."""
    run = base / "pytest-fractal-run"
    for name in ("package-0/facts/fact", "package-0/work/own", "package-1/other", "servers/hold"):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text("x")
    around = Sandbox(run, "auto", [base / "readable"])
    set_up(around)
    yield around
    take_down(around)


def look(walls: Sandbox, *paths: Path, named: list[Path] | None = None) -> dict[str, Any]:
    room = walls.folder / "package-0" / "work"
    # Not by their whole paths: what a command line names is shown.
    asked = [os.path.relpath(path, room) for path in paths]
    finished = processes.run(
        [sys.executable, "-I", "-S", "-c", LOOK, *asked],
        cwd=room,
        env=task_variables(room),
        timeout=60,
        room=room,
        named=named or [],
    )
    assert finished.returncode == 0, finished.stderr
    reported: dict[str, Any] = json.loads(finished.stdout)
    for key in ("read", "write"):
        reported[key] = {Path(os.path.normpath(room / path)) for path in reported[key]}
    return reported


@needs_walls
@pytest.mark.parametrize("base", ["/tmp", "/dev/shm"], indirect=True)
def test_only_what_is_needed_is_seen(walls: Sandbox, base: Path) -> None:
    run = walls.folder
    own, fact = run / "package-0/work/own", run / "package-0/facts/fact"
    hidden = [fact, run / "package-1/other", run / "servers/hold", base / "file"]
    shown = [base / "readable/data", base / "named/data"]
    for path in (*hidden, *shown):
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    home = Path.home() / f".pytest-fractal-trial-{os.getpid()}"
    home.write_text("x")
    try:
        reported = look(walls, own, home, *hidden, *shown, named=[base / "named"])
    finally:
        home.unlink()
    assert reported["read"] == {own, *shown}
    assert reported["write"] == {own}
    assert reported["processes"] <= 6
    assert not reported["root"]
    assert reported["here"] == str(own.parent)
    assert fact.read_text() == "x"


@needs_walls
def test_what_a_test_shares_can_be_written(walls: Sandbox, tmp_path: Path) -> None:
    file = tmp_path / "of the test" / "file"
    file.parent.mkdir()
    file.write_text("x")
    assert look(walls, file)["read"] == set()
    walls.share([file.parent], write=True)
    assert look(walls, file)["write"] == {file}


@needs_walls
def test_no_folder_is_made_for_a_setting_that_names_none(
    walls: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`PIP_NO_CACHE_DIR=1` is no folder of a cache, and the current folder the author's."""
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    room = walls.folder / "package-0"
    env = {"PIP_CACHE_DIR": str(tmp_path / "cache"), "PIP_NO_CACHE_DIR": "1"}
    walls.wrap(["pip"], room=room, cwd=room, env=env)
    assert list((tmp_path / "project").iterdir()) == []
    assert (tmp_path / "cache").is_dir()


@needs_walls
def test_a_link_is_seen_where_it_is_and_where_it_leads(walls: Sandbox, tmp_path: Path) -> None:
    file, link = tmp_path / "real" / "file", tmp_path / "link"
    file.parent.mkdir()
    file.write_text("x")
    link.symlink_to(file.parent)
    assert look(walls, file, link / "file", named=[link / "file"])["read"] == {file, link / "file"}


def test_arguments_let_nothing_hidden_be_seen(tmp_path: Path) -> None:
    seen, hidden = tmp_path / "data", tmp_path / ".ssh"
    seen.mkdir()
    hidden.mkdir()
    (hidden / "key").write_text("x")
    (tmp_path / "harmless").symlink_to(hidden / "key")
    arguments = {
        "zarr_url": f"{seen}/new.zarr",
        "more": [{"a": str(hidden / "key")}, str(tmp_path / "harmless"), "/etc/passwd"],
        "text": "/no/such/folder/at all",
        "nul": "/\0",
    }
    assert paths_named(json.dumps(arguments).encode()) == [seen]
    assert paths_named(b"no json") == []


def test_the_header_says_which_walls_stand(runner: Runner, good_wheel: Path) -> None:
    arguments = (good_wheel, "--fractal-select=FR101")
    off = runner.hermetic(*arguments, "--fractal-sandbox=off").out
    assert "sees only variables that it needs, but all files (--fractal-sandbox=off)" in off
    reported = runner.hermetic(*arguments).out
    if sandbox._obstacle():
        assert f"but all files ({sandbox._obstacle()})" in reported
    else:
        assert "home, other processes and all other files are hidden from the package" in reported


@needs_walls
@pytest.mark.parametrize("kind", ["worktree", "submodule", "clone by reference"])
def test_a_build_sees_the_objects_of_a_repository_that_lie_elsewhere(
    tmp_path: Path, kind: str
) -> None:
    origin = repository(project(tmp_path / "origin"), "7.8")
    source = tmp_path / "top" / "source"
    source.parent.mkdir()
    match kind:
        case "worktree":
            git(origin, "worktree", "add", "-q", str(source))
        case "submodule":
            git(source.parent, "init", "-q")
            add = ("submodule", "add", "-q", str(origin), "source")
            git(source.parent, "-c", "protocol.file.allow=always", *add)
            git(source, "fetch", "-q", "--tags")
        case _:
            git(source.parent, "clone", "-q", "--shared", str(origin), "source")
    session = Session([parse_package(str(source), tmp_path)], Settings(), tmp_path)
    with contextlib.closing(session):
        (candidate,) = (engine.candidate for engine in session.engines.values())
        assert version(candidate.builds.release.built) == "7.8"


def test_a_repository_shows_no_folder_that_is_nothing_of_gits(tmp_path: Path) -> None:
    """A tree of a stranger's can name any: keys in a home."""
    origin = repository(project(tmp_path / "origin"), "7.8")
    source = repository(project(tmp_path / "source"), "1.0")
    keys = tmp_path / "keys"
    keys.mkdir()
    objects = origin / ".git" / "objects"
    (source / ".git" / "objects" / "info" / "alternates").write_text(f"{keys}\n{objects}\n")
    assert {*object_folders(source)} == {objects, source / ".git" / "objects"}
