"""Starting a process of the candidate's, and seeing what became of it.

Every process gets a process group of its own, closed standard input, and a time
limit that ends the whole group. Its output is read to the end, however much it
prints, but only the first and last part is kept.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from pytest_fractal.errors import HarnessError
from pytest_fractal.processes import supervisor
from pytest_fractal.processes.logs import add_to_log

KEPT_BYTES: Final = 64 * 1024
"""How much of each stream is kept at its start, and as much again at its end."""

_PATIENCE: Final = 10.0
"""Seconds in which a supervisor ends what it is told to end."""

_GRACE: Final = 0.5
"""Seconds to wait for the output of processes that a command has left behind."""

PASSED_VARIABLES: Final = frozenset(
    {
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "LANG",
        "LANGUAGE",
        "TZ",
        "LD_LIBRARY_PATH",
        "DYLD_LIBRARY_PATH",
        "DYLD_FALLBACK_LIBRARY_PATH",
        "CUDA_VISIBLE_DEVICES",
        "CUDA_HOME",
        "CUDA_PATH",
        "OMP_NUM_THREADS",
    }
)
"""The caller's variables that a command may see, beside `LC_*`.

A list of what is let through, not of what is held back: a CI job's environment is
full of tokens whose names nobody can foresee.
"""


@dataclass(frozen=True)
class Finished:
    """How one process ended."""

    argv: tuple[str, ...]
    returncode: int
    """As the operating system told: negative for a signal, 127 for a program that is not there."""
    stdout: str
    stderr: str
    seconds: float
    timed_out: bool = False
    started: float = 0.0
    """When it was started, in seconds since the epoch."""
    left: tuple[str, ...] = ()
    """The command lines of processes that it left running; only seen under supervision."""
    working: tuple[str, ...] = ()
    """Those of them that did something meanwhile; the others only waited."""
    ended: int | None = None
    """When the command itself ended, in nanoseconds since the epoch; None where unseen."""
    lingered: bool = False
    """Whether a process of its was alive then, be it for a moment."""

    @property
    def ending(self) -> str:
        """The end of the process in words, such as `exit status 2`."""
        if self.timed_out:
            return f"no end within {self.seconds:.0f} s"
        if self.returncode < 0:
            try:
                name = signal.Signals(-self.returncode).name
            except ValueError:
                name = str(-self.returncode)
            return f"killed by signal {name}"
        return f"exit status {self.returncode}"


def clean_environment(scratch: Path) -> dict[str, str]:
    """The environment for a command of the candidate's: the caller's, less its secrets.

    Index and proxy settings, tokens and `PYTHON*` variables stay behind; temporary
    files go below `scratch`, which must exist.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in PASSED_VARIABLES or name.startswith("LC_")
    }
    return kept | {"TMPDIR": str(scratch)}


class _Process(subprocess.Popen[bytes]):
    """A process with a group of its own, maybe under a supervisor."""

    supervised = False

    def end(self) -> None:
        """End it with everything that it has started."""
        if self.supervised:
            # The supervisor ends what has left the group, and then itself.
            self.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.wait(_PATIENCE)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self.wait()


class Canceller:
    """Ends processes from another thread: those of `bind_canceller`, and those given it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[_Process] = set()
        self.stopped = False

    @contextlib.contextmanager
    def watching(self, process: _Process) -> Iterator[None]:
        """End this process if `stop` is called meanwhile, or was called before."""
        with self._lock:
            self._running.add(process)
            if self.stopped:
                process.end()
        try:
            yield
        finally:
            with self._lock:
                self._running.discard(process)

    def stop(self) -> None:
        """End what is running, and whatever is started from now on."""
        with self._lock:
            self.stopped = True
            for process in self._running:
                process.end()


_thread = threading.local()


def bind_canceller(stopper: Canceller) -> None:
    """Let `stopper` end what the calling thread runs from now on."""
    _thread.stopper = stopper


def cancellable_sleep(seconds: float) -> None:
    """Sleep. Raises `HarnessError` when the calling thread is to end what it does."""
    time.sleep(seconds)
    stopper: Canceller | None = getattr(_thread, "stopper", None)
    if stopper is not None and stopper.stopped:
        raise HarnessError("the run was stopped")


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout: float | None,
    stopper: Canceller | None = None,
    supervision: Path | None = None,
    log: Path | None = None,
) -> Finished:
    """Run one command to its end, or to the time limit of `timeout` seconds.

    When it returns, no process of the command's group is alive. With a file for the
    `supervision` no process of the command's is alive at all, and what it had left
    running is told. What it prints is added to the file `log` as well, as it comes. A
    program that cannot be started gives status 127 (not there) or 126 (not executable),
    as a shell would, with the reason as its standard error.
    """
    command = tuple(str(word) for word in argv)
    epoch = time.time()
    started = time.monotonic()
    try:
        process = _Process(
            [*_supervisor(supervision), *command] if supervision else command,
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        status = 127 if isinstance(error, FileNotFoundError) else 126
        return Finished(command, status, "", str(error), 0.0, started=epoch)
    except ValueError as error:  # a NUL in an argument
        return Finished(command, 126, "", str(error), 0.0, started=epoch)
    process.supervised = supervision is not None
    assert process.stdout is not None
    assert process.stderr is not None
    readers = [_Reader(process.stdout, log), _Reader(process.stderr, log)]
    timed_out = False
    stopper = stopper or getattr(_thread, "stopper", None) or Canceller()
    try:
        with stopper.watching(process):
            # Not wait(timeout), which looks every 50 ms whether the process has ended.
            waiter = threading.Thread(target=process.wait, daemon=True)
            waiter.start()
            waiter.join(timeout)
            timed_out = waiter.is_alive()
    finally:
        # Also on an interrupt: nothing of the candidate's survives the run.
        seconds = time.monotonic() - started
        process.end()
    stdout, stderr = (reader.text() for reader in readers)
    returncode = -signal.SIGKILL if timed_out else process.returncode
    seen = _seen(supervision) if supervision else {}
    return Finished(
        command,
        returncode,
        stdout,
        stderr,
        seconds,
        timed_out,
        epoch,
        tuple(seen.get("left", ())),
        tuple(seen.get("working", ())),
        seen.get("ended"),
        seen.get("lingered", False),
    )


def _supervisor(report: Path) -> tuple[str, ...]:
    """The command that runs another one and tells in `report` what it leaves behind."""
    return (sys.executable, "-I", "-S", supervisor.__file__, str(report))


def _seen(report: Path) -> Mapping[str, Any]:
    """What the supervisor has told; nothing when the time was up before the command ended."""
    try:
        seen: Mapping[str, Any] = json.loads(report.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return seen


class _Reader:
    """Reads a pipe in a thread; keeps its first and last `KEPT_BYTES`, and logs it."""

    def __init__(self, pipe: IO[bytes], log: Path | None) -> None:
        self._pipe = pipe
        self._log = log
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self._dropped = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            for chunk in _chunks(self._pipe):
                with self._lock:
                    self._keep(chunk)
                if self._log is not None:
                    add_to_log(self._log, chunk)
        with contextlib.suppress(OSError):
            self._pipe.close()

    def _keep(self, chunk: bytes) -> None:
        room = KEPT_BYTES - len(self._head)
        self._head += chunk[:room]
        rest = chunk[max(room, 0) :]
        if not rest:
            return
        self._tail.append(rest)
        self._tail_size += len(rest)
        while self._tail_size - len(self._tail[0]) >= KEPT_BYTES:
            gone = len(self._tail.popleft())
            self._tail_size -= gone
            self._dropped += gone

    def text(self) -> str:
        # A process that left the group may hold the pipe open for ever.
        self._thread.join(_GRACE)
        with self._lock:
            middle = f"\n[... {self._dropped} bytes left out ...]\n" if self._dropped else ""
            tail = b"".join(self._tail)
            head = bytes(self._head)
        return head.decode(errors="replace") + middle + tail.decode(errors="replace")


def last_lines(text: str, count: int = 15) -> str:
    """The last lines of an output that are not blank: where programs say what went wrong."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return "\n".join(lines[-count:])


def _chunks(pipe: IO[bytes]) -> Iterator[bytes]:
    while chunk := os.read(pipe.fileno(), 65536):
        yield chunk
