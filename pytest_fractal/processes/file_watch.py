"""Seeing that a file is read where its file system keeps no access times, by Linux's inotify."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Final

_IN_ACCESS: Final = 0x1
_IN_NONBLOCK: Final = os.O_NONBLOCK | os.O_CLOEXEC


class FileWatch:
    """A watch on one file, from when it is made until it is asked.

    A file that is read by way of `mmap` is not seen, and nothing is where there is no inotify.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = -1
        try:
            library = ctypes.CDLL(None, use_errno=True)
            self._descriptor = library.inotify_init1(_IN_NONBLOCK)
            if self._descriptor >= 0:
                library.inotify_add_watch(self._descriptor, os.fsencode(path), _IN_ACCESS)
        except (AttributeError, OSError):
            pass

    def saw_a_read(self) -> bool:
        """Whether the content of the file was read; ends the watch."""
        if self._descriptor < 0:
            return False
        try:
            return bool(os.read(self._descriptor, 4096))
        except OSError:
            return False
        finally:
            os.close(self._descriptor)
            self._descriptor = -1
