"""Whether a process has read a file: seen on the file, whatever language the process is of.

On Linux inotify reports every read of the file's content (`IN_ACCESS`), on any file system
and whatever its mount options are, and of every opening, which reads nothing yet. What is
mapped into memory is not read in that sense, but moves the access time. So does a read: the
file gets an access time that is older than its modification time, and under `relatime`,
Linux's default, the next read moves it, while a mere `stat` or `exists` does not. Where
neither way shows a read, which is tried beforehand, the answer stays open.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_DAY_NS: Final = 24 * 3600 * 10**9
_IN_ACCESS: Final = 0x001
_IN_OPEN: Final = 0x020
_EVENT: Final = struct.Struct("iIII")
"""`struct inotify_event`: watch, mask, cookie, and the length of the name that follows."""
_FLAGS: Final = os.O_NONBLOCK | os.O_CLOEXEC


class ReadWatch:
    """Watches one file from now on, which must not have been read since it was written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._shows_access = _shows_access(path.parent)
        self._shows_time = keeps_access_times(path.parent)
        self._before = make_unread(path)
        self._queue = _watch(path) if self._shows_access else None

    def was_read(self) -> bool | None:
        """Whether the content was read since; None where that cannot be seen. Ends the watch.

        A file that was moved or deleted counts as read: whoever does that has seen it.
        """
        queue, self._queue = self._queue, None
        events = _events(queue) if queue is not None else 0
        try:
            same = self._path.stat().st_atime_ns == self._before
        except OSError:
            return True
        if events & _IN_ACCESS or not same:
            return True
        if self._shows_time:
            return False
        # Opened, but not read: it may have been mapped into memory.
        return False if queue is not None and not events & _IN_OPEN else None

    def close(self) -> None:
        """End the watch, also where nobody asked it: a user may have but 128 of them."""
        if self._queue is not None:
            os.close(self._queue)
            self._queue = None


def make_unread(path: Path) -> int:
    """Give a file an access time older than its modification; returns it, in nanoseconds."""
    modified = path.stat().st_mtime_ns
    accessed = modified - _DAY_NS
    os.utime(path, ns=(accessed, modified))
    # Some file systems keep fewer digits than they are given.
    return path.stat().st_atime_ns


def keeps_access_times(folder: Path) -> bool:
    """Whether the file system of `folder` shows by its access time that a file was read."""
    with _trial(folder) as trial:
        before = make_unread(trial)
        trial.read_bytes()
        return trial.stat().st_atime_ns != before


def _shows_access(folder: Path) -> bool:
    """Whether inotify reports reads in `folder`: not on every system that has it."""
    with _trial(folder) as trial:
        queue = _watch(trial)
        if queue is None:
            return False
        trial.read_bytes()
        return bool(_events(queue) & _IN_ACCESS)


@contextlib.contextmanager
def _trial(folder: Path) -> Iterator[Path]:
    trial = folder / ".trial-of-reading"
    trial.write_bytes(b"?")
    try:
        yield trial
    finally:
        trial.unlink()


def _watch(path: Path) -> int | None:
    """A descriptor of inotify's that reports what is done with a file; None where there is none.

    The number of those that a user may have is limited, and others use them too.
    """
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    queue = int(libc.inotify_init1(_FLAGS))
    if queue < 0:
        return None
    if libc.inotify_add_watch(queue, os.fsencode(path), _IN_ACCESS | _IN_OPEN) < 0:
        os.close(queue)
        return None
    return queue


def _events(queue: int) -> int:
    """All that was done since, as one mask; the descriptor is closed."""
    seen = 0
    try:
        while True:
            data = os.read(queue, 65536)
            at = 0
            while at < len(data):
                _, mask, _, length = _EVENT.unpack_from(data, at)
                seen |= mask
                at += _EVENT.size + length
    except BlockingIOError:
        return seen
    finally:
        os.close(queue)
