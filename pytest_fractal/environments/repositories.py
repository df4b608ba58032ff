"""A git repository of a copy's own: what git tells there, and nothing of the author's at stake.

Versions and lists of files are often taken from git, and a build script may run any
command of git's. So a copy of a source tree gets the references, the index and the
settings of the author's repository, and borrows its objects (`objects/info/alternates`), of
which git changes nothing: it renews the time of one that it would have written again. A
commit, a tag or a setting made there stays there. Logins are not copied.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from pytest_fractal.processes.variables import git_variables

_OF_ALL: Final = ("config", "packed-refs", "refs", "reftable", "shallow", "info")
"""What the worktrees of a repository share, less its objects, hooks and logs."""
_OF_ONE: Final = ("HEAD", "index", "config.worktree")
"""What each worktree has of its own."""


_SETTINGS: Final = """
[core]
	bare = false
	worktree = "{worktree}"
	hooksPath = /dev/null
	fsmonitor = false
	trustctime = false
	checkStat = minimal
[gc]
	auto = 0
[maintenance]
	auto = false
"""
"""The last word in the copy's settings. Its files have the times of the author's, but not
their inodes: compared by those, each would be read anew."""


_SECTION: Final = re.compile(rb"\s*\[\s*([\w.-]+)")
_OF_LOGINS: Final = frozenset({b"credential", b"http", b"include", b"includeif"})
"""Sections that hold logins, or name files that do; what a build may ask of git needs none."""
_LOGIN: Final = re.compile(rb"(?<=://)[^/\s\"@]+@")


def has_repository(folder: Path) -> bool:
    """Whether git finds a repository in this very folder."""
    return _folders(folder) is not None


def object_folders(folder: Path) -> list[Path]:
    """Where the objects lie of the repository in this very folder, with those that it borrows.

    A worktree, a submodule and a clone by reference have them in a repository elsewhere.
    """
    folders = _folders(folder)
    found: list[Path] = []
    pending = [] if folders is None else [folders[1] / "objects"]
    while pending:
        objects = pending.pop().resolve()
        if objects in found or not (objects / "pack").is_dir():  # it is nothing of git's
            continue
        found.append(objects)
        with suppress(OSError, ValueError):
            lines = _text(objects / "info" / "alternates").splitlines()
            pending += [objects / line for line in lines if line and not line.startswith("#")]
    return found


def copy_repository(source: Path, copy: Path) -> bool:
    """Give the folder `copy` a repository like that of `source`; False where that has none.

    A worktree, a submodule and a shallow clone become repositories that stand alone.
    """
    folders = _folders(source)
    if folders is None:
        return False
    own, common = folders
    made = copy / ".git"
    (made / "objects" / "info").mkdir(parents=True)
    (made / "refs").mkdir()
    objects = f"{(common / 'objects').resolve()}\n"
    (made / "objects" / "info" / "alternates").write_bytes(os.fsencode(objects))
    shared_indices = [path.name for path in own.glob("sharedindex.*")]
    for folder, names in ((common, _OF_ALL), (own, (*_OF_ONE, *shared_indices))):
        for name in names:
            if (folder / name).is_dir():
                _copy_folder(folder / name, made / name)
            elif (folder / name).is_file():
                shutil.copy2(folder / name, made / name)
    worktree = str(copy).replace("\\", "\\\\").replace('"', '\\"')
    for name in ("config", "config.worktree"):
        if (path := made / name).is_file():
            added = _SETTINGS.format(worktree=worktree)
            path.write_bytes(_without_logins(path.read_bytes()) + os.fsencode(added))
    return True


def _without_logins(settings: bytes) -> bytes:
    """A file of git's settings less what signs in to a server: a build gets no secrets."""
    kept, section = [], b""
    for line in settings.splitlines(keepends=True):
        if heading := _SECTION.match(line):
            section = heading[1].lower()
        if section not in _OF_LOGINS:
            kept.append(_LOGIN.sub(b"", line))
    return b"".join(kept)


def tracked_paths(folder: Path) -> frozenset[str]:
    """What the index of the repository in `folder` lists; nothing without git."""
    listed = _git(folder, "ls-files", "-z")
    return frozenset(map(os.fsdecode, filter(None, listed.split(b"\0"))))


def assume_unchanged(folder: Path, paths: Iterable[str]) -> None:
    """Let git take these paths in `folder` for unchanged, whatever is there."""
    given = b"".join(os.fsencode(path) + b"\0" for path in paths)
    if given:
        _git(folder, "update-index", "-z", "--assume-unchanged", "--stdin", given=given)


def _folders(place: Path) -> tuple[Path, Path] | None:
    """The git folder of a worktree, and the one that all worktrees share."""
    own = place / ".git"
    try:
        if own.is_file():  # of a worktree or a submodule
            own = place / _text(own).removeprefix("gitdir:").strip()
        common = own
        if (own / "commondir").is_file():
            common = own / _text(own / "commondir").strip()
        found = (own / "HEAD").is_file() and (common / "objects").is_dir()
    except (OSError, ValueError):
        return None
    return (own, common) if found else None


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return os.fsdecode(file.read(65536))


def _copy_folder(source: Path, target: Path) -> None:
    for path, _, names in os.walk(source):
        folder = target / Path(path).relative_to(source)
        folder.mkdir(exist_ok=True)
        for name in names:
            file = Path(path, name)
            # Not what another git is just writing, or has taken away meanwhile.
            with suppress(FileNotFoundError):
                if file.suffix != ".lock" and file.is_file():
                    shutil.copy2(file, folder / name)


def _git(folder: Path, *arguments: str, given: bytes = b"") -> bytes:
    """What git prints; nothing where it fails or is not there, as it then will for the backend."""
    try:
        finished = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env=git_variables(),
            input=given,
            capture_output=True,
        )
    except OSError:
        return b""
    return finished.stdout
