"""What processes print, added to a file of a limited size."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from pathlib import Path
from typing import Final

LOG_LIMIT: Final = 10_000_000
"""Bytes that a log may have: the first half of it is kept, and the newest."""

_lock: Final = threading.Lock()


def add_to_log(path: Path, chunk: bytes, limit: int = LOG_LIMIT) -> None:
    """Add to a log, and take out of its middle what is too much.

    A log that cannot be written, or is no file any more, is none: the process goes on.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    with contextlib.suppress(OSError), _lock:
        descriptor = os.open(path, flags, 0o600)
        with os.fdopen(descriptor, "rb+", buffering=0) as log:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return
            log.write(chunk)
            size = log.seek(0, os.SEEK_END)
            if size <= limit:
                return
            # Cut to less than the limit, so that not every chunk moves the end again.
            log.seek(size - limit // 4)
            end = log.read()
            log.truncate(limit // 2)
            log.write(b"\n[... left out ...]\n" + end)
