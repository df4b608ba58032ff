"""Facts gathered once, for every thread and every process of one test run.

pytest-xdist starts each worker as a process of its own, and each would build and
install the candidate again. So the workers share a folder: whoever needs a fact first
gathers it under a lock and leaves it there; the others wait and read. Without workers
nothing is written: facts stay in memory.

The candidate's processes run as the same user, and may write into that folder. What they
write is never taken for a fact: each file carries a message authentication code (HMAC),
made with a key that is only in the memory of the run's own processes, of the fact, its
name and the candidate. A file that fails it ends in a `HarnessError`: to gather the fact
anew would let whoever wrote it choose when that happens, and in which folder.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import hmac
import os
import secrets
import shutil
import stat
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from pytest_fractal.candidate.codec import Undecodable, decode, encode
from pytest_fractal.errors import BadInput, HarnessError, describe_os_error
from pytest_fractal.files import MEBIBYTE, read_regular, replacing
from pytest_fractal.processes.processes import cancellable_sleep

T = TypeVar("T")

_LIMIT: Final = 1024 * MEBIBYTE
"""The largest file of a fact that is read. Ours are kilobytes, but for large outputs."""
_LOOK: Final = 0.01
"""Seconds between two looks whether another process has let go of a lock."""


@dataclass(frozen=True)
class Fact(Generic[T]):
    """What is kept: under which name, and of which type."""

    name: str
    type: Any
    """The `type[T]`, or another annotation that `codec` can read."""
    shared: bool = True
    """Whether other processes read it; else each gathers its own."""

    def of(self, *subject: str | bytes) -> Fact[T]:
        """The same fact about one of several subjects."""
        return Fact(f"{self.name}-{digest(*subject)}", self.type, self.shared)


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


@dataclass(frozen=True)
class _Head:
    """What is kept beside the value."""

    error: str | None
    message: str
    span: Span


_ERRORS: Final[Mapping[str, type[BadInput | HarnessError]]] = {
    kind.__name__: kind for kind in (BadInput, HarnessError)
}


@dataclass(frozen=True)
class Sharing:
    """Where processes of one run share facts, and by which key they know their own."""

    folder: Path
    """Private to the user."""
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)


class Store:
    """Facts about one candidate, each gathered at most once.

    With a `sharing` they are kept in files of its folder, for all stores with the same one;
    without, in this object's memory alone, until `share` is called.
    """

    def __init__(self, sharing: Sharing | None = None) -> None:
        self._known: dict[str, _Entry[Any]] = {}
        self._facts: dict[str, tuple[Fact[Any], frozenset[str]]] = {}
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._guard = threading.Lock()
        self._sharing: Sharing | None = None
        if sharing is not None:
            self.share(sharing)

    def share(self, sharing: Sharing) -> None:
        """Share facts from now on, those that are known already too."""
        sharing.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._sharing = sharing
        for name, entry in self._known.items():
            fact, without = self._facts[name]
            if fact.shared:
                self._write(sharing, fact, entry, without)

    def once(
        self, fact: Fact[T], gather: Callable[[], T], given: Mapping[str, Any] | None = None
    ) -> T:
        """The value of `gather()`, which runs in one thread of one process only.

        `given` are fields of the value that every asker has: they are not kept in files.
        `BadInput` and `HarnessError` are remembered and raised again for every
        asker, and so is an `OSError`, as a `HarnessError`; anything else is a bug of
        ours and is not kept.
        """
        entry: _Entry[T] = self._known.get(fact.name) or self._ask(fact, gather, given or {})
        if entry.error is not None:
            raise entry.error
        return entry.value  # type: ignore[return-value]

    def span(self, name: str) -> Span | None:
        """When the fact was gathered, waiting for others included; None if it never was."""
        if (entry := self._known.get(name)) is not None:
            return entry.span
        with contextlib.suppress(HarnessError):
            if (text := self._text(name)) is not None:
                return _head(text).span
        return None

    def has(self, fact: Fact[Any]) -> bool:
        """Whether it was gathered, by anyone."""
        return fact.name in self._known or (
            self._sharing is not None and os.path.lexists(_file(self._sharing, fact.name))
        )

    def peek(self, fact: Fact[T], given: Mapping[str, Any] | None = None) -> T | None:
        """What was gathered, by anyone; None when nothing was, or not yet."""
        with contextlib.suppress(HarnessError):
            entry = self._known.get(fact.name) or self._read(fact, given or {})
            return None if entry is None or entry.error is not None else entry.value
        return None

    def values(self, fact: Fact[T]) -> list[T]:
        """What was gathered, by anyone, about all its subjects (`Fact.of`)."""
        prefix = f"{fact.name}-"
        names = {name for name in list(self._known) if name.startswith(prefix)}
        if self._sharing is not None:
            names |= {path.stem for path in self._sharing.folder.glob(f"{prefix}*{_SUFFIX}")}
        found = (self.peek(Fact[T](name, fact.type)) for name in sorted(names))
        return [value for value in found if value is not None]

    def forged(self) -> list[Path]:
        """The files of facts that are not what was written: another process has changed them."""
        found = []
        for file in sorted(self._sharing.folder.glob(f"*{_SUFFIX}")) if self._sharing else ():
            try:
                self._text(file.stem)
            except HarnessError:
                found.append(file)
        return found

    def _ask(self, fact: Fact[T], gather: Callable[[], T], given: Mapping[str, Any]) -> _Entry[T]:
        with self._guard:
            lock = self._locks[fact.name]
        with lock:
            known: _Entry[T] | None = self._known.get(fact.name)
            if known is None:
                known = self._shared(fact, gather, given)
                # The fact first: whoever shares what is known needs it.
                self._facts[fact.name] = fact, frozenset(given)
                self._known[fact.name] = known
            return known

    def _shared(
        self, fact: Fact[T], gather: Callable[[], T], given: Mapping[str, Any]
    ) -> _Entry[T]:
        if self._sharing is None or not fact.shared:
            return _gathered(gather)
        with _locked(self._sharing.folder / f"{fact.name}.lock"):
            known = self._read(fact, given)
            if known is None:
                known = _gathered(gather)
                self._write(self._sharing, fact, known, frozenset(given))
            return known

    def _write(
        self, sharing: Sharing, fact: Fact[T], entry: _Entry[T], without: frozenset[str]
    ) -> None:
        kind = type(entry.error).__name__ if entry.error is not None else None
        head = encode(_Head(kind, str(entry.error or ""), entry.span))
        payload = f"{head}\n{encode(entry.value, without)}".encode()
        file = _file(sharing, fact.name)
        # Never through what somebody may have put there; a name that nobody can foresee.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with (
                replacing(file) as partial,
                os.fdopen(os.open(partial, flags, 0o600), "wb") as written,
            ):
                written.write(_code(sharing, fact.name, payload) + b"\n" + payload)
        except OSError as error:
            raise HarnessError(f"a fact cannot be kept: {describe_os_error(error)}") from None

    def _read(self, fact: Fact[T], given: Mapping[str, Any]) -> _Entry[T] | None:
        if not fact.shared or (text := self._text(fact.name)) is None:
            return None
        head = _head(text)
        if head.error is not None:
            return _Entry(None, _ERRORS[head.error](head.message), head.span)
        try:
            value: T = decode(fact.type, text[1], given)
        except Undecodable as error:  # it is our own: a bug
            raise HarnessError(f"the fact {fact.name} cannot be read: {error}") from None
        return _Entry(value, None, head.span)

    def _text(self, name: str) -> tuple[bytes, bytes] | None:
        """The two lines of a file that is our own; None without one."""
        if self._sharing is None:
            return None
        file = _file(self._sharing, name)
        try:
            code, _, payload = read_regular(file, _LIMIT, follow=False).partition(b"\n")
        except FileNotFoundError:
            return None
        except OSError:
            code, payload = b"", b""
        if not hmac.compare_digest(code, _code(self._sharing, name, payload)):
            raise HarnessError(
                f"{file} was changed by another process: by the candidate's build, by one of its "
                "tasks, or by somebody else on this machine"
            )
        head, _, value = payload.partition(b"\n")
        return head, value


def digest(*parts: str | bytes) -> str:
    """A short name for these texts, alike in every process."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part.encode(errors="replace") if isinstance(part, str) else part)
        whole.update(b"\0")
    return whole.hexdigest()[:16]


_SUFFIX: Final = ".json"


def _file(sharing: Sharing, name: str) -> Path:
    return sharing.folder / f"{name}{_SUFFIX}"


def _code(sharing: Sharing, name: str, payload: bytes) -> bytes:
    # Bound to the candidate, whose folder has its name, and to the fact.
    subject = f"{sharing.folder.name}/{name}\n".encode()
    return hmac.new(sharing.key, subject + payload, hashlib.sha256).hexdigest().encode()


def _head(text: tuple[bytes, bytes]) -> _Head:
    head: _Head = decode(_Head, text[0])
    return head


def _gathered(gather: Callable[[], T]) -> _Entry[T]:
    epoch, started = time.time(), time.monotonic()
    value: T | None = None
    error: BadInput | HarnessError | None = None
    try:
        value = gather()
    except (BadInput, HarnessError) as caught:
        error = caught
    except shutil.Error as caught:  # names many files; the first one is enough
        error = HarnessError(str(caught.args[0][0][2]))
    except OSError as caught:  # an unreadable file, a full disk
        error = HarnessError(describe_os_error(caught))
    return _Entry(value, error, Span(epoch, time.monotonic() - started))


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock between processes; a run that is being stopped waits for it no longer."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        lock = os.open(path, flags, 0o600)
    except OSError as error:
        raise HarnessError(f"{path} cannot be locked: {error.strerror}") from None
    try:
        if not stat.S_ISREG(os.fstat(lock).st_mode):
            raise HarnessError(f"{path} was changed by another process")
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    raise HarnessError(f"{path} cannot be locked: {error.strerror}") from None
            cancellable_sleep(_LOOK)
        yield
    finally:
        os.close(lock)
