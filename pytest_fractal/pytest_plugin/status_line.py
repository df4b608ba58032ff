"""A line on a terminal that tells what is being done, while others write above it."""

from __future__ import annotations

import contextlib
import os
import threading
import unicodedata
from collections.abc import Callable, Iterator
from typing import Final

_EVERY: Final = 0.2
"""Seconds between two looks at what is being done."""
_BELOW: Final = "\x1bD\x1b[A\x1b7\x1b[B\r\x1b[2K"
"""See that there is a line below the cursor's, remember the cursor, go there and empty it."""
_BACK: Final = "\x1b8"


class LiveLine:
    """The line below the cursor, drawn by a thread of its own.

    The cursor returns to where it was, so whoever writes next need not know of it; but it
    must be gone before somebody begins a line: see `paused`. Without a `terminal`, a file
    descriptor, nothing is drawn.
    """

    def __init__(self, terminal: int | None) -> None:
        self._terminal = terminal
        self._lock = threading.RLock()
        self._ask: Callable[[], str] = str
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._drawn = ""

    @property
    def visible(self) -> bool:
        """Whether there is a terminal to draw on."""
        return self._terminal is not None

    def show(self, ask: Callable[[], str]) -> None:
        """Show what `ask` answers, now and again, until `hide`."""
        self._ask = ask
        if self._terminal is not None and self._thread is None:
            self._stopped.clear()
            self._thread = threading.Thread(target=self._redraw, daemon=True)
            self._thread.start()

    def hide(self) -> None:
        """Show nothing any more."""
        self._stopped.set()
        with self._lock:
            self._erase()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the terminal to somebody else meanwhile."""
        with self._lock:
            self._erase()
            yield

    def _redraw(self) -> None:
        while not self._stopped.is_set():
            text = self._ask()
            with self._lock:
                if not self._stopped.is_set() and text != self._drawn:
                    self._draw(text)
            self._stopped.wait(_EVERY)

    def _draw(self, text: str) -> None:
        assert self._terminal is not None
        try:
            columns = os.get_terminal_size(self._terminal).columns
        except OSError:
            columns = 80
        shown = f"\x1b[2m{_cut(text, columns - 1)}\x1b[0m" if text else ""
        self._write(f"{_BELOW}{shown}{_BACK}")
        self._drawn = text

    def _erase(self) -> None:
        if self._drawn:
            self._draw("")

    def _write(self, text: str) -> None:
        assert self._terminal is not None
        with contextlib.suppress(OSError):  # the terminal was closed
            os.write(self._terminal, text.encode(errors="replace"))


def _cut(text: str, columns: int) -> str:
    """As much of a text as fits: East Asian characters take two columns, accents none."""
    width = 0
    kept: list[str] = []
    for letter in text:
        if not unicodedata.combining(letter):
            width += 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        if width > columns:
            return "".join(kept[:-1]) + "…"
        kept.append(letter)
    return "".join(kept)
