"""Facts gathered once, for every thread and every process of one test run.

pytest-xdist starts each worker as a process of its own, and each would build and
install the candidate again. The store is a folder that they share: whoever needs a
fact first gathers it under a lock and leaves it there; the others wait and read.
"""

from __future__ import annotations

import pickle
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from filelock import FileLock

from pytest_fractal.errors import BadInput, HarnessError

T = TypeVar("T")


@dataclass(frozen=True)
class Span:
    """When something was done."""

    started: float
    """In seconds since the epoch."""
    seconds: float


@dataclass(frozen=True)
class _Entry(Generic[T]):
    value: T | None
    error: BadInput | HarnessError | None
    span: Span


class Store:
    """A folder of facts, each gathered at most once.

    The folder must be private to the user: facts are kept as pickles.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._known: dict[str, _Entry[Any]] = {}

    def once(self, key: str, gather: Callable[[], T]) -> T:
        """The value of `gather()`, which runs in one thread of one process only.

        `BadInput` and `HarnessError` are remembered and raised again for every
        asker, and so is an `OSError`, as a `HarnessError`; anything else is a bug of
        ours and is not kept.
        """
        entry: _Entry[T] = self._known.get(key) or self._shared(key, gather)
        self._known[key] = entry
        if entry.error is not None:
            raise entry.error
        return entry.value  # type: ignore[return-value]

    def span(self, key: str) -> Span | None:
        """When `key` was gathered, waiting for other facts included; None if it never was."""
        entry = self._known.get(key) or self._read(key)
        return None if entry is None else entry.span

    def has(self, key: str) -> bool:
        """Whether `key` was gathered, by anyone."""
        return key in self._known or (self.folder / f"{key}.pickle").exists()

    def peek(self, key: str) -> Any:
        """What was gathered under `key`, by anyone; None when nothing was, or not yet."""
        entry = self._known.get(key) or self._read(key)
        return None if entry is None or entry.error is not None else entry.value

    def values(self, prefix: str) -> list[Any]:
        """What was gathered, by anyone, under the keys that begin with `prefix`."""
        keys = sorted(path.stem for path in self.folder.glob(f"{prefix}*.pickle"))
        entries = [entry for key in keys if (entry := self._read(key)) is not None]
        return [entry.value for entry in entries if entry.error is None]

    def _shared(self, key: str, gather: Callable[[], T]) -> _Entry[T]:
        with FileLock(self.folder / f"{key}.lock"):
            if (known := self._read(key)) is not None:
                return known
            epoch, started = time.time(), time.monotonic()
            value: T | None = None
            error: BadInput | HarnessError | None = None
            try:
                value = gather()
            except (BadInput, HarnessError) as caught:
                error = caught
            except shutil.Error as caught:  # tells of many files; the first one is enough
                error = HarnessError(str(caught.args[0][0][2]))
            except OSError as caught:  # an unreadable file, a full disk
                error = HarnessError(str(caught))
            entry = _Entry(value, error, Span(epoch, time.monotonic() - started))
            target = self.folder / f"{key}.pickle"
            partial = target.with_suffix(".partial")
            partial.write_bytes(pickle.dumps(entry))
            partial.rename(target)
            return entry

    def _read(self, key: str) -> _Entry[Any] | None:
        try:
            entry: _Entry[Any] = pickle.loads((self.folder / f"{key}.pickle").read_bytes())
        except FileNotFoundError:
            return None
        return entry
