"""Opening files that somebody else may have put there, or may be replacing; and replacing them.

A pipe, a device or a link in the place of a file must neither be waited for nor lead
elsewhere, and a file of any size must not fill the memory.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

MEBIBYTE: Final = 2**20
FILE_LIMIT: Final = 64 * MEBIBYTE
"""The largest file of a user's or a task's that is read: samples, settings, outputs."""


class NotRegular(OSError):
    """What is there is no regular file; `what` says what it is, such as `a named pipe`."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(errno.EINVAL, f"it is {what}, not a file", str(path))
        self.what = what


class TooLarge(OSError):
    """The file is larger than it may be: `there` and `limit` are the sizes in words."""

    def __init__(self, path: Path, there: int, limit: int) -> None:
        self.there, self.limit = size_words(there), size_words(limit)
        super().__init__(errno.EFBIG, f"it has {self.there}, more than {self.limit}", str(path))


@contextlib.contextmanager
def open_regular(path: Path, *, follow: bool = True) -> Iterator[IO[bytes]]:
    """Open a regular file for reading, and never wait for anything else in its place.

    Without `follow`, a link is not followed. Raises `OSError`, which is `NotRegular`, with
    words for a sentence, when something else than a file is there.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    try:
        descriptor = os.open(path, flags if follow else flags | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise NotRegular(path, "a link to itself" if follow else "a link") from None
        if error.errno in (errno.ENXIO, errno.EOPNOTSUPP):
            raise NotRegular(path, "a socket") from None
        raise
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise NotRegular(path, kind_of(mode))
        file = os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise
    with file:
        yield file


def read_regular(path: Path, limit: int, *, follow: bool = True) -> bytes:
    """The content of a regular file of at most `limit` bytes.

    Raises `OSError` as `open_regular` does, and `TooLarge` for a larger file: before it is
    read, and where it grows meanwhile.
    """
    with open_regular(path, follow=follow) as file:
        size = os.fstat(file.fileno()).st_size
        content = b"" if size > limit else file.read(limit + 1)
        if size > limit or len(content) > limit:
            raise TooLarge(path, max(size, len(content)), limit)
        return content


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file to write, which then takes the place of `path`: whole, or not at all.

    It lies beside it, with a name that nobody can foresee.
    """
    partial = path.with_name(f"{path.stem}.{secrets.token_hex(8)}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def by_use(folder: Path, pattern: str) -> list[Path]:
    """The files in a folder and below, the one that was used last at the end."""
    found = []
    for path in folder.rglob(pattern):
        with contextlib.suppress(OSError):  # another run may remove it
            found.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(found)]


def cache_folder() -> Path:
    """Where what later runs can use is kept. No process of a candidate sees it within walls."""
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser() / "pytest-fractal"


def kind_of(mode: int) -> str:
    """What there is by its mode, in words such as `a folder`."""
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a named pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFLNK: "a link",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
        stat.S_IFREG: "a file",
    }
    return kinds.get(stat.S_IFMT(mode), "neither a file nor a folder")


def size_words(size: int) -> str:
    """A size in words, such as `64 MB`."""
    if size < 10_000:
        return f"{size} bytes"
    if size < 10 * MEBIBYTE:
        return f"{size / 1024:.0f} kB"
    return f"{size / MEBIBYTE:.0f} MB"


def is_regular(path: Path) -> bool:
    """Whether a file is there itself: no folder, no link, no pipe."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):
        return False
