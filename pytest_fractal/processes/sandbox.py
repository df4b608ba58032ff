"""Walls around the candidate's processes, where bubblewrap can put them up.

Within them a process sees the system's programs and libraries, the interpreters, and what
its command line, its variables, and its arguments name, all to be read only; it writes in the
candidate's own folder of the run and in temporary places that are gone with it. It sees no
home, no other process, and nothing else of the file system. The network stays.

bubblewrap needs no privileges, but a kernel that lets users make namespaces. Where it does
not work, processes run without walls: what is left are environments of their own
(`variables`) and the supervisor.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pytest_fractal.errors import BadInput

Mode = Literal["auto", "required", "off"]
MODES: Final[tuple[Mode, ...]] = ("auto", "required", "off")

_SYSTEM: Final = (
    *("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/usr", "/etc", "/opt", "/sys"),
    *("/nix", "/gnu"),
)
"""What holds programs and libraries, and their settings."""
_PRIVATE: Final = (
    *("/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/sudoers"),
    *("/etc/sudoers.d", "/etc/ssh", "/etc/ssl/private", "/etc/krb5.keytab", "/etc/docker"),
    *("/etc/kubernetes", "/etc/wireguard", "/etc/NetworkManager"),
)
"""What may hold secrets there, and is no business of theirs."""
_SETTINGS: Final = ("/etc/pip.conf", "/etc/xdg/pip", "/etc/uv", "/etc/xdg/uv")
"""What may hold passwords of indexes; for installers alone."""
_NEVER: Final = ("/proc", "/dev", "/run", "/var/run", "/sys", "/etc", "/boot", "/root/.")
"""Where nothing is shown because an argument names it."""
_MEMORY: Final = Path("/dev/shm")
"""Memory as a folder: a good place for temporary files, and the only one below /dev."""
_DEVICES: Final = (
    *("/dev/dri", "/dev/kfd", "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"),
    *(f"/dev/nvidia{number}" for number in range(16)),
)
"""Graphics processors."""
_CAPABILITIES: Final = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETUID", "SETGID")
"""What root keeps within the walls: what concerns files and processes that it sees."""
_TRIAL: Final = 20.0
"""Seconds for the first try."""


class Sandbox:
    """The walls of one run, standing or not.

    `folder` is the run's, below which each candidate has a folder of its own; `readable` is
    what its processes may read besides.
    """

    def __init__(self, folder: Path, mode: Mode, readable: Iterable[Path] = ()) -> None:
        self.folder = folder
        self.mark = folder.name
        """By what the processes of this run are known: in all its workers the same."""
        self._mode = mode
        self._readable = {Path(path).absolute() for path in readable}
        self._writable: set[Path] = set()
        self.obstacle = "--fractal-sandbox=off" if mode == "off" else _obstacle()
        """Why they do not stand; empty when they do."""

    @property
    def stands(self) -> bool:
        """Whether there are walls."""
        return not self.obstacle

    @property
    def description(self) -> str:
        """Which walls stand, in words."""
        if self.stands:
            return "home, other processes and all other files are hidden from the package"
        return f"the package sees only variables that it needs, but all files ({self.obstacle})"

    @property
    def shared(self) -> tuple[Mode, tuple[str, ...], tuple[str, ...]]:
        """What it takes to put up the same walls on another machine."""
        readable, writable = (
            tuple(sorted(map(str, paths))) for paths in (self._readable, self._writable)
        )
        return self._mode, readable, writable

    def share(self, paths: Iterable[Path], *, write: bool = False) -> None:
        """Let the candidate's processes see these files and folders from now on."""
        (self._writable if write else self._readable).update(path.absolute() for path in paths)

    def wrap(
        self,
        argv: Sequence[str],
        *,
        room: Path,
        cwd: Path,
        env: Mapping[str, str],
        named: Iterable[Path] = (),
        writes: Iterable[Path] | None = None,
    ) -> list[str]:
        """The command that runs another one within the walls, which must stand.

        `room` is a folder of the candidate's, `named` what its arguments name, and `writes` what
        of the candidate's is seen and written; by default all.
        """
        own = self.folder / room.relative_to(self.folder).parts[0]
        view = _View()
        caches = [Path(env[name]) for name in ("UV_CACHE_DIR", "PIP_CACHE_DIR") if name in env]
        for path in (Path(sys.prefix), Path(sys.base_prefix), Path(__file__).parent):
            view.show(path)
        for path in self._readable:
            view.show(path)
            if (path / ".git" / "config").is_file():
                view.cover(path / ".git" / "config")  # logins of the remote
        for path in named:
            view.show(path)
        for path in _paths_in(argv, env):
            view.show(path)
        for cache in caches:
            with contextlib.suppress(OSError):  # pip does without; uv is given another
                cache.mkdir(parents=True, exist_ok=True)
            view.show(cache, write=True)
        for path in self._writable:
            view.show(path, write=True)
        if temporary := env.get("TMPDIR"):
            view.show(Path(temporary), write=True)
        for path in (own,) if writes is None else writes:
            view.show(path, write=True)
        view.cover(own / "facts")
        for private in (*_PRIVATE, *(() if caches else _SETTINGS)):
            view.cover(Path(private))
        copying = ["--setenv", "UV_LINK_MODE", "copy"] if "UV_CACHE_DIR" in env else []
        last = ["--remount-ro", "/", *copying, "--chdir", str(cwd)]
        return [*_base(), *view.options(), *last, "--", *argv]


def check_mode(mode: str) -> None:
    """Raise `BadInput` for a mode that there is not, or for required walls that cannot stand."""
    if mode not in MODES:
        raise BadInput(f"{mode}: no such sandbox; choose {', '.join(MODES)}")
    if mode == "required" and (obstacle := _obstacle()):
        raise BadInput(f"--fractal-sandbox=required: {obstacle}")


_standing: Final[dict[Path, Sandbox]] = {}


def set_up(sandbox: Sandbox) -> None:
    """Put the candidate's processes of a run within these walls from now on."""
    _standing[sandbox.folder] = sandbox


def take_down(sandbox: Sandbox) -> None:
    """Forget the walls of a run that is over."""
    _standing.pop(sandbox.folder, None)


def around(room: Path) -> Sandbox | None:
    """The walls of the run to which a folder belongs; None for a folder of no run."""
    return next((_standing[path] for path in (room, *room.parents) if path in _standing), None)


def paths_named(content: bytes) -> list[Path]:
    """The absolute paths in a JSON text that are there, or the folders they would be made in.

    None that is hidden, or the system's: whoever writes the arguments may want to see secrets.
    """
    try:
        waiting: list[Any] = [json.loads(content)]
    except (ValueError, RecursionError):
        return []
    found: dict[Path, None] = {}
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str) and value.startswith("/") and "\0" not in value:
            path = Path(os.path.normpath(value))
            places = (path, path.parent)
            found |= dict.fromkeys([place for place in places if _exists(place)][:1])
    return list(filter(may_be_named, found))


class _View:
    """What is seen within the walls."""

    def __init__(self) -> None:
        self._shown: dict[Path, bool] = {}
        self._covered: list[Path] = []
        self._links: dict[Path, str] = {}
        self._asked: set[tuple[Path, bool]] = set()
        home = _home()
        self._never = frozenset((home, *home.parents))

    def show(self, path: Path, *, write: bool = False) -> None:
        """Let a file or folder be seen: where it is, and where a link to it is."""
        if (path, write) in self._asked:
            return  # many words name the same
        self._asked.add((path, write))
        top = path.parts[1:2]
        if top == ("proc",) or (top == ("dev",) and not _in_memory(path)):
            return  # the walls have their own
        real = self._follow(path)
        if real not in self._never and _exists(real):
            self._shown[real] = self._shown.get(real, False) or write

    def cover(self, path: Path) -> None:
        """Let what is there look empty."""
        if path.exists() and os.access(path, os.R_OK):
            self._covered.append(path.resolve())

    def options(self) -> Iterator[str]:
        """The options of bubblewrap, for folders before what is in them."""
        mounts: list[tuple[Path, tuple[str, ...]]] = []
        for path, write in self._shown.items():
            if write or not self._is_shown(path, but=path):
                mounts.append((path, ("--bind" if write else "--ro-bind", str(path), str(path))))
        for path in self._covered:
            if self._is_shown(path):
                way = ("--tmpfs",) if path.is_dir() else ("--ro-bind", "/dev/null")
                mounts.append((path, (*way, str(path))))
        for path, target in self._links.items():
            if not self._is_shown(path):
                mounts.append((path, ("--symlink", target, str(path))))
        for _, options in sorted(mounts, key=lambda mount: len(mount[0].parts)):
            yield from options

    def _is_shown(self, path: Path, but: Path | None = None) -> bool:
        above = (path, *path.parents)
        return any(folder in self._shown and folder != but for folder in above) or any(
            str(folder) in _SYSTEM for folder in above
        )

    def _follow(self, path: Path) -> Path:
        """Where a path leads; the links on the way are seen as well."""
        followed = ""
        # Texts, since this is done for each part of some fifty paths before each process.
        parts = os.path.normpath(path).split("/")[::-1]
        for _ in range(1000):
            if not parts:
                break
            if not (name := parts.pop()):
                continue
            place = f"{followed}/{name}"
            try:
                target = os.readlink(place)  # noqa: PTH115
            except OSError:
                followed = place
                continue
            self._links[Path(place)] = target
            there = os.path.normpath(f"{followed}/{target}" if target[0] != "/" else target)
            followed, parts = "", [*parts, *there.split("/")[::-1]]
        return Path(followed or "/")


def _paths_in(argv: Sequence[str], env: Mapping[str, str]) -> Iterator[Path]:
    """What a command line and its variables name, with the installation of each program."""
    words = [re.sub(r"\[[^\[\]/]*\]$", "", word) for word in argv]
    for name, value in env.items():
        if name not in ("HOME", "TMPDIR") and not name.endswith("_CACHE_DIR"):
            words += re.split(r"[\s,]+" if "://" in value else r"[\s,:]+", value)
    for word in dict.fromkeys(words):
        if word.startswith("file:"):
            word = url2pathname(urlsplit(word).path)
        if not word.startswith("/") or not _exists(Path(word)):
            continue
        path = Path(os.path.normpath(word))
        yield path
        for place in (path, path.resolve()):
            folder = place if place.is_dir() else place.parent
            if folder.name in ("bin", "sbin") and folder.parent.name != ".local":
                yield folder.parent


def may_be_named(path: Path) -> bool:
    """Whether what names a path lets it be seen: no setting of the system's, nothing hidden."""
    real = path.resolve()
    hidden = any(part.startswith(".") for part in real.parts)
    barred = any(str(place) in _NEVER for place in (real, *real.parents))
    return not hidden and (not barred or _in_memory(real))


def _in_memory(path: Path) -> bool:
    """Whether a path is of a folder in memory: not of all of them, which are not the walls'."""
    return _MEMORY in path.parents


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _home() -> Path:
    try:
        return Path.home().resolve()
    except RuntimeError:
        return Path("/nonexistent")


@functools.cache
def _base() -> tuple[str, ...]:
    """The options of bubblewrap that are the same for all processes."""
    options = [str(shutil.which("bwrap")), "--die-with-parent", "--unshare-ipc"]
    # The supervisor is the first process within. The init of its own that bubblewrap would start
    # ends after bubblewrap: whoever is init outside would have to take leave of it, at each start.
    options += ["--unshare-pid", "--as-pid-1"]
    if os.geteuid() == 0:
        options += ["--cap-drop", "ALL"]
        for name in _CAPABILITIES:
            options += ["--cap-add", f"CAP_{name}"]
    for folder in _SYSTEM:
        if Path(folder).is_symlink():
            options += ["--symlink", str(Path(folder).readlink()), folder]
        elif Path(folder).is_dir():
            options += ["--ro-bind", folder, folder]
    options += ["--proc", "/proc", "--dev", "/dev"]
    for device in _DEVICES:
        options += ["--dev-bind-try", device, device]
    resolver = Path("/etc/resolv.conf").resolve()  # often in /run
    if resolver.is_file() and not resolver.is_relative_to("/etc"):
        options += ["--ro-bind", str(resolver), str(resolver)]
    return (*options, "--tmpfs", "/tmp", "--tmpfs", "/var/tmp")


@functools.cache
def _obstacle() -> str:
    """Why bubblewrap puts up no walls here; empty when it does."""
    if sys.platform != "linux":
        return "only Linux has such walls"
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed, the program bwrap"
    try:
        tried = subprocess.run(
            [*_base(), "--", "true"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TRIAL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bubblewrap does not work here: {error}"
    if tried.returncode:
        said = " ".join(tried.stderr.split()) or f"exit status {tried.returncode}"
        return f"bubblewrap does not work here: {said}"
    return ""
