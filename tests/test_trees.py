"""A copy of a source tree has what a build needs, and no way leads from it to the author's."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from pathspec import GitIgnoreSpec
from projects import everything, git, project, repository

from pytest_fractal.environments.trees import copy_tree
from pytest_fractal.errors import HarnessError

HATCHLING = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'


def described(folder: Path) -> str:
    return git(folder, "describe", "--tags", "--dirty")


def contents(folder: Path) -> dict[str, bytes | str]:
    """As `everything`, without the times: git renews that of an object it finds."""
    return {path: content for path, (_, content) in everything(folder).items()}


def files(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(folder).parts
    }


@pytest.mark.parametrize(
    "commands",
    [
        [["commit", "-q", "--allow-empty", "-m", "x"], ["tag", "9.9"], ["branch", "-f", "main2"]],
        [["config", "user.name", "somebody"], ["remote", "add", "elsewhere", "/nowhere"]],
        [["stash", "-q", "-u"], ["checkout", "-q", "--orphan", "new"], ["rm", "-rfq", "."]],
        [["tag", "-d", "1.2"], ["reflog", "expire", "--expire=now", "--all"], ["gc", "-q"]],
        [["repack", "-adq"], ["prune", "--expire=now"], ["pack-refs", "--all"]],
        [["worktree", "add", "-q", "../more"], ["update-ref", "-d", "HEAD"]],
    ],
    ids=lambda commands: "-".join(command[0] for command in commands),
)
@pytest.mark.parametrize("place", ["clone", "worktree", "submodule", "folder"])
def test_whatever_git_does_in_the_copy_stays_there(
    tmp_path: Path, commands: Iterable[list[str]], place: str
) -> None:
    authors = tmp_path / "authors"
    top = repository(project(authors / "origin"))
    source = {
        "clone": top,
        "worktree": authors / "worktree",
        "submodule": authors / "super" / "sub",
        "folder": top / "demo",
    }[place]
    if place == "worktree":
        git(top, "worktree", "add", "-q", str(source))
    if place == "submodule":
        (authors / "super").mkdir()
        git(authors / "super", "init", "-q")
        always = ["-c", "protocol.file.allow=always"]
        git(authors / "super", *always, "submodule", "add", "-q", str(top), "sub")
    if place == "folder":
        (source / "pyproject.toml").write_text("")
    (top / "demo" / "new.py").write_text("not committed")
    git(top, "hash-object", "-w", "demo/new.py")  # an object that gc would take away
    before = contents(authors)
    copy = copy_tree(source, tmp_path / "copies" / "tree")
    for command in commands:
        git(copy, *command)
    assert contents(authors) == before


def test_hooks_of_the_author_are_not_run(tmp_path: Path) -> None:
    source = repository(project(tmp_path / "source"))
    hook = source / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path / 'ran'}\n")
    hook.chmod(0o755)
    git(source, "config", "core.hooksPath", str(hook.parent))
    copy = copy_tree(source, tmp_path / "copy")
    git(copy, "commit", "-q", "--allow-empty", "-m", "x")
    assert not (tmp_path / "ran").exists()


def test_tracked_files_are_always_there(tmp_path: Path) -> None:
    """Also those that look like a cache: without them the version would be marked as changed."""
    source = project(
        tmp_path / "source",
        {
            "demo/__pycache__/kept.txt": "",
            ".tox/notes/kept.txt": "",
            "build/lib/kept.txt": "",
            ".pixi/config.toml": "",
        },
    )
    git(source, "init", "-q")
    git(source, "add", "-f", ".")
    git(source, "commit", "-q", "-m", "all")
    git(source, "tag", "1.0")
    for left in ("demo/__pycache__/a.pyc", ".tox/py/big", "build/lib/old.py", ".pixi/envs/big"):
        (source / left).parent.mkdir(exist_ok=True)
        (source / left).write_text("left behind")
    copy = copy_tree(source, tmp_path / "copy")
    assert described(copy) == "1.0"
    assert "left behind" not in [path.read_text() for path in copy.rglob("*.*") if path.is_file()]
    assert {"demo/__pycache__/kept.txt", ".pixi/config.toml"} <= files(copy)


@pytest.mark.parametrize("mark", ["pyvenv.cfg", "conda-meta/history"])
def test_environments_are_left_behind(tmp_path: Path, mark: str) -> None:
    source = project(tmp_path / "source", {f"any/name/{mark}": "", "any/name/lib/big.so": ""})
    assert not any("name" in path for path in files(copy_tree(source, tmp_path / "copy")))


@pytest.mark.parametrize(
    ("pyproject", "there"),
    [
        (HATCHLING, False),
        (HATCHLING + '[tool.hatch.build]\nartifacts = ["*.bin"]\n', True),
        (HATCHLING + '[tool.hatch.build.hooks.custom]\npath = "make.py"\n', True),
        (HATCHLING + '[project]\nreadme = "data/README.md"\n', True),
        (HATCHLING.replace("hatchling", "setuptools"), True),
    ],
)
def test_an_ignored_folder_is_left_behind_where_the_backend_does(
    tmp_path: Path, pyproject: str, there: bool
) -> None:
    ignored = {".gitignore": "/data/\n", "data/README.md": "", "demo/data/kept.bin": ""}
    source = project(tmp_path / "source", {"pyproject.toml": pyproject, **ignored})
    copied = files(copy_tree(source, tmp_path / "copy"))
    assert ("data/README.md" in copied) is there
    assert "demo/data/kept.bin" in copied


def test_what_is_generated_and_ignored_is_copied(tmp_path: Path) -> None:
    source = project(tmp_path / "source", {".gitignore": "_version.py", "demo/_version.py": ""})
    repository(source)
    assert "demo/_version.py" in files(copy_tree(source, tmp_path / "copy"))


@pytest.mark.parametrize(
    "patterns", ["build/", "tmp", "**/tmp/**", "cop*", "*e/", "/x*\n*[a-z]*/"]
)
def test_the_place_of_a_copy_matches_no_pattern(tmp_path: Path, patterns: str) -> None:
    source = repository(project(tmp_path / "source", {".gitignore": patterns + "\n"}))
    copy = copy_tree(source, tmp_path / "build" / "tmp" / "copy of" / "[x] tree")
    lines = (copy / ".gitignore").read_text().splitlines()
    assert not GitIgnoreSpec.from_lines(lines).match_file(str(copy))
    assert described(copy) == "1.2"


def test_a_pattern_for_everything_goes_on_matching(tmp_path: Path) -> None:
    """Then hatchling ignores the file wherever the project lies."""
    source = project(tmp_path / "source", {".gitignore": "*\n!demo\n"})
    copy = copy_tree(source, tmp_path / "copy")
    assert (copy / ".gitignore").read_text() == "*\n!demo\n"


def test_the_ignore_file_of_a_repository_holds_for_a_project_in_it(tmp_path: Path) -> None:
    source = project(tmp_path / "top" / "packages" / "demo")
    (tmp_path / "top" / ".gitignore").write_text(f"{tempfile.gettempdir().strip('/')}\n*.json")
    repository(tmp_path / "top")
    copy = copy_tree(source, tmp_path / "copy" / "tree")
    lines = (copy.parents[1] / ".gitignore").read_text().splitlines()
    assert GitIgnoreSpec.from_lines(lines).match_file("demo/a.json")
    assert not GitIgnoreSpec.from_lines(lines).match_file(str(copy))
    assert described(copy) == "1.2"


@pytest.mark.parametrize(
    ("way", "there"),
    [
        ("open('../other/data.txt')", True),
        ("Path(__file__).parents[1]", True),
        ("'git', 'rev-parse', '--show-toplevel'", True),
        ("print('...')", False),
    ],
)
def test_folders_beside_the_project_are_copied_where_its_build_names_them(
    tmp_path: Path, way: str, there: bool
) -> None:
    top = tmp_path / "top"
    source = project(top / "demo-tasks", {"setup.py": way})
    (top / "other").mkdir()
    (top / "other" / "data.txt").write_text("data")
    (top / "LICENSE").write_text("all rights")
    repository(top)
    (top / "other" / ".venv").mkdir()
    (top / "other" / ".venv" / "big").write_text("big")
    before = everything(top)
    copy = copy_tree(source, tmp_path / "copy")
    beside = {"LICENSE", "other/data.txt"} if there else {"LICENSE"}
    assert {path for path in files(copy.parent) if "demo-tasks" not in path} == beside
    if there:
        (copy / "../other/data.txt").write_text("changed")
    assert everything(top) == before
    assert described(copy) == "1.2" + ("-dirty" if there else "")


def test_links_lead_to_copies(tmp_path: Path) -> None:
    """A build that writes through a link writes into the copy."""
    top = tmp_path / "top"
    source = project(top / "demo-tasks")
    (top / "shared").mkdir()
    (top / "shared" / "data.txt").write_text("data")
    (tmp_path / "outside.txt").write_text("data")
    (source / "beside").symlink_to("../shared")
    (source / "absolute.py").symlink_to(source / "demo" / "task.py")
    (source / "around.py").symlink_to("../../top/demo-tasks/demo/task.py")
    (source / "outside.txt").symlink_to("../../outside.txt")
    (source / "circle").symlink_to("circle")
    (source / "nowhere").symlink_to("no/where")
    repository(top)
    before = everything(tmp_path)
    copy = copy_tree(source, tmp_path / "copies" / "copy")
    assert described(copy) == "1.2"
    for path in ("beside/data.txt", "absolute.py", "around.py", "outside.txt"):
        (copy / path).write_text("changed")
    after = everything(tmp_path)
    assert {path: after[path] for path in before} == before


def test_the_repository_of_a_submodule_within_is_copied_too(tmp_path: Path) -> None:
    origin = repository(project(tmp_path / "origin"), "7.8")
    top = project(tmp_path / "top")
    git(top, "init", "-q")
    git(top, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(origin), "sub")
    git(top, "add", "-A")
    git(top, "commit", "-q", "-m", "all")
    git(top, "tag", "1.0")
    copy = copy_tree(top, tmp_path / "copy")
    assert described(copy) == "1.0"
    assert git(copy / "sub", "log", "--format=%s") == "all"
    (top / "sub" / "demo" / "task.py").write_text("changed")
    assert described(copy_tree(top, tmp_path / "second")) == described(top) == "1.0-dirty"


def test_a_shallow_clone_and_a_worktree_of_a_bare_repository(tmp_path: Path) -> None:
    origin = repository(project(tmp_path / "origin"), "1.0")
    git(origin, "commit", "-q", "--allow-empty", "-m", "second")
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{origin}", "shallow")
    copy = copy_tree(tmp_path / "shallow", tmp_path / "copies" / "shallow")
    assert git(copy, "rev-list", "--count", "HEAD") == "1"
    git(tmp_path, "clone", "-q", "--bare", str(origin), "bare")
    git(tmp_path / "bare", "worktree", "add", "-q", str(tmp_path / "tree"))
    assert described(copy_tree(tmp_path / "tree", tmp_path / "copies" / "tree")).startswith(
        "1.0-1"
    )


def test_times_are_kept_so_that_git_reads_no_file_again(tmp_path: Path) -> None:
    source = repository(project(tmp_path / "source"))
    copy = copy_tree(source, tmp_path / "copy")
    (copy / "demo" / "task.py").write_bytes(b"".ljust((copy / "demo/task.py").stat().st_size))
    stat = (source / "demo" / "task.py").stat()
    # A change that only reading the file would show.
    os.utime(copy / "demo" / "task.py", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    old = stat.st_mtime_ns - 10**10
    for tree in (source, copy):
        os.utime(tree / "demo" / "task.py", ns=(old, old))
    git(source, "update-index", "--refresh")
    copied = copy_tree(source, tmp_path / "second")
    (copied / "demo" / "task.py").write_bytes(b"".ljust(stat.st_size))
    os.utime(copied / "demo" / "task.py", ns=(old, old))
    assert described(copied) == "1.2"


@pytest.mark.parametrize("content", [b"gitdir: \xff\xfe\x00/x", b"\xff" * 100, b"", b"gitdir: ."])
def test_a_git_file_that_leads_nowhere_is_no_repository(tmp_path: Path, content: bytes) -> None:
    source = project(tmp_path / "source")
    (source / ".git").write_bytes(content)
    assert "demo/task.py" in files(copy_tree(source, tmp_path / "copy"))


def test_odd_things_in_a_tree_are_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = project(tmp_path / "a #1 50% so")
    os.mkfifo(source / "demo" / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(source)
        server.bind("socket")
    (source / os.fsdecode(b"latin-\xe9.txt")).write_text("")
    deep = source
    for _ in range(600):
        deep /= "d"
        deep.mkdir()
    (deep / "end.txt").write_text("")
    copy = copy_tree(source, tmp_path / "copy #2 50% so")
    inner = deep.relative_to(source) / "end.txt"
    assert (copy / inner).is_file()
    assert (copy / os.fsdecode(b"latin-\xe9.txt")).is_file()


def test_a_tree_that_cannot_be_copied_is_reported_in_a_sentence(tmp_path: Path) -> None:
    source = project(tmp_path / "source")
    here = Path.cwd()
    try:
        os.chdir(source)
        for _ in range(25):  # beyond what a path can name
            os.mkdir("d" * 200)  # noqa: PTH102
            os.chdir("d" * 200)
    finally:
        os.chdir(here)
    with pytest.raises(HarnessError, match=r"source cannot be copied: its folders lie too deep"):
        copy_tree(source, tmp_path / "copy")


def test_a_folder_beside_the_project_is_copied_where_a_link_leads_to_it(tmp_path: Path) -> None:
    source = project(tmp_path / ".work" / "source")
    shared = tmp_path / ".work" / "shared"
    (shared / "deep").mkdir(parents=True)
    for name in ("one.py", "deep/two.py", ".env"):
        (shared / name).write_text("x")
    (source / "demo" / "shared").symlink_to("../../shared")
    before = everything(tmp_path)
    copy = copy_tree(source, tmp_path / "copies" / "copy")
    assert {"demo/shared/one.py", "demo/shared/deep/two.py"} == {
        path for path in files(copy) if "shared" in path
    }
    (copy / "demo" / "shared" / "one.py").write_text("changed")
    after = everything(tmp_path)
    assert {path: after[path] for path in before} == before


def test_a_link_brings_nothing_hidden_and_nothing_of_the_system_into_the_copy(
    tmp_path: Path,
) -> None:
    """What a stranger's tree may want to have copied past the walls."""
    source = project(tmp_path / "home" / "source")
    key = tmp_path / "home" / ".ssh" / "key"
    key.parent.mkdir()
    key.write_text("x")
    for name, target in (("key", "../.ssh/key"), ("keys", "../.ssh"), ("all", "../..")):
        (source / name).symlink_to(target)
    (source / "users").symlink_to(os.path.relpath("/etc/passwd", source))
    copy = copy_tree(source, tmp_path / "copies" / "copy")
    leads = {name: (copy / name).readlink() for name in ("key", "keys", "users")}
    assert leads == {"key": key, "keys": key.parent, "users": Path("/etc/passwd")}
    assert (copy / "all").readlink() == tmp_path
