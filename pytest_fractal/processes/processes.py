"""Starting a process of the candidate's, and seeing what became of it.

Every process gets a process group of its own, closed standard input, and a time
limit that ends the whole group. Its output is read to the end, however much it
prints, but only the first and last part is kept.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Final

from pydantic import TypeAdapter

from pytest_fractal.errors import HarnessError
from pytest_fractal.processes import sandbox, supervisor, watcher
from pytest_fractal.processes.logs import add_to_log
from pytest_fractal.processes.variables import MARK, cluster_variables

KEPT_BYTES: Final = 64 * 1024
"""How much of each stream is kept at its start, and as much again at its end."""

PRIVATE: Final = "{private}"
"""In a command: the file from which it reads what nobody else may know."""

_PATIENCE: Final = 10.0
"""Seconds in which a supervisor ends what it is asked to end."""

_GRACE: Final = 0.5
"""Seconds to wait for the output of processes that a command has left behind."""


class Limit(StrEnum):
    """What a scheduler ends a job for, when the job takes more of it than it asked for."""

    MEMORY = "memory"
    TIME = "time"


@dataclass(frozen=True)
class Finished:
    """How one process ended."""

    argv: tuple[str, ...]
    returncode: int
    """The system's status: negative for a signal, 127 for a program that is not there."""
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
    read: bool | None = None
    """Whether it has read the file that was watched; None where that is unseen, or none was."""
    limit: Limit | None = None
    """For what a scheduler has ended it; None where none has."""
    job: str = ""
    """The scheduler's job in words: its number, its node, what it asked for and what it used."""
    excess: str = ""
    """What memory it was seen to have beyond what its job asked for, though nothing ended it."""

    @property
    def ending(self) -> str:
        """The end of the process in words, such as `exit status 2`."""
        if self.limit is Limit.MEMORY:
            return f"killed by SLURM, for it took more memory than its job has ({self.job})"
        if self.limit is Limit.TIME:
            return f"killed by SLURM at the time limit of its job ({self.job})"
        if self.timed_out:
            return f"no end within {self.seconds:.0f} s"
        if self.returncode < 0:
            try:
                name = signal.Signals(-self.returncode).name
            except ValueError:
                name = str(-self.returncode)
            return f"killed by signal {name}"
        return f"exit status {self.returncode}"


class _Process(subprocess.Popen[bytes]):
    """A process with a group of its own, maybe under a supervisor, maybe within walls."""

    supervised = False
    walled = False

    def end(self) -> None:
        """End it with everything that it has started."""
        if self.walled and self.poll() is None:
            # The kernel ends all that is within the walls when the first process there ends;
            # the one around them ends after that, and when it has, there is nothing to look for.
            within = [pid for pid, above in supervisor.living().items() if above == self.pid]
            supervisor.signal_each(within, os.kill, signal.SIGKILL)
        elif self.supervised:
            # The supervisor ends what has left the group, and then itself. It may be stopped.
            self.terminate()
            self.send_signal(signal.SIGCONT)
        if self.supervised:
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
    room: Path | None = None,
    named: Iterable[Path] = (),
    writes: Iterable[Path] | None = None,
    walled: bool = True,
    private: bytes = b"",
    log: Path | None = None,
) -> Finished:
    """Run one command to its end, or to the time limit of `timeout` seconds.

    When it returns, no process of the command's group is alive. Whatever runs code of the
    candidate's is given a `room`: the folder of the run below which it is at home. Then no
    process of the command's is alive at all, what it had left running is reported, and where the
    run has walls, and it is not to be without them, it sees and writes nothing but what it
    needs (`sandbox`), such as what is `named` in its arguments. Of the candidate's own folder it
    sees and writes all, or nothing but what `writes` lists. What it prints is added to the
    file `log` as well, as it comes. A program that cannot be started gives status 127 (not
    there) or 126 (not executable), as a shell would, with the reason as its standard error.
    Raises `HarnessError` when the walls cannot be set up.

    The word `PRIVATE` in the command is replaced by the name of a file that can be read once,
    and holds what is `private`: that is in no variable, and in no file that stays.
    """
    command = tuple(str(word) for word in argv)
    epoch = time.time()
    started = time.monotonic()
    supervision = _Supervision(room, named, writes, walled) if room else None
    if supervision and private:
        command = supervision.hand_over(command, private)
    try:
        process = _Process(
            supervision.around(command, cwd, env) if supervision else command,
            cwd=cwd,
            env=env if supervision is None else {**env, MARK: supervision.mark},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            pass_fds=supervision.passed if supervision else (),
        )
    except (OSError, ValueError) as error:  # a ValueError: there is a NUL in an argument
        if supervision:
            supervision.give_up()
        status = 127 if isinstance(error, FileNotFoundError) else 126
        return Finished(command, status, "", str(error), 0.0, started=epoch)
    finally:
        if supervision:
            supervision.begun()
    process.supervised = supervision is not None
    process.walled = supervision is not None and supervision.walled
    assert process.stdout is not None
    assert process.stderr is not None
    readers = [_Reader(process.stdout, log), _Reader(process.stderr, log)]
    timed_out = False
    stopper = stopper or getattr(_thread, "stopper", None) or Canceller()
    try:
        with stopper.watching(process):
            # Not wait(timeout), which looks every 50 ms whether the process has ended.
            wait = supervision.wait if supervision else process.wait
            waiter = threading.Thread(target=wait, daemon=True)
            waiter.start()
            waiter.join(timeout)
            timed_out = waiter.is_alive()
    finally:
        # Also on an interrupt: nothing of the candidate's survives the run.
        seconds = time.monotonic() - started
        if supervision and supervision.has_reported:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE)
        process.end()
        if supervision:
            supervision.close()
    stdout, stderr = (reader.text() for reader in readers)
    seen = supervision.seen if supervision else _Seen()
    if process.walled and seen.status is None and (failure := _WALLS.search(stderr)):
        raise HarnessError(
            f"the sandbox cannot be set up: {failure[1]}; --fractal-sandbox=off goes without"
        )
    returncode = process.returncode if seen.status is None else seen.status
    if process.walled and seen.status is None and returncode > _BY_SIGNAL:
        returncode = _BY_SIGNAL - returncode
    return Finished(
        command,
        -signal.SIGKILL if timed_out else returncode,
        stdout,
        stderr,
        seconds,
        timed_out,
        epoch,
        seen.left,
        seen.working,
        seen.ended,
        seen.lingered,
    )


_BY_SIGNAL: Final = 128
"""What bubblewrap, like a shell, adds to the number of a signal."""
_WALLS: Final = re.compile(r"\Abwrap: (.+)")


@dataclass(frozen=True)
class _Seen:
    """What a supervisor has reported; nothing when it was ended before the command."""

    status: int | None = None
    ended: int | None = None
    lingered: bool = False
    left: tuple[str, ...] = ()
    working: tuple[str, ...] = ()


class _Supervision:
    """The supervisor around one process, and the socket to it.

    The socket is the one thing that it writes to: nothing of what it tells is a file, which
    the candidate's processes could write. As soon as the other end of it is closed, however
    this process may end, the supervisor ends everything.
    """

    _numbers = itertools.count()

    def __init__(
        self, room: Path, named: Iterable[Path], writes: Iterable[Path] | None, walled: bool
    ) -> None:
        self._room = room
        self._named = named
        self._writes = writes
        run = sandbox.around(room)
        self._sandbox = run if run is not None and run.stands and walled else None
        self.mark = f"{run.mark if run else 'alone'}.{os.getpid()}.{next(self._numbers)}"
        self._ours, self._theirs = socket.socketpair()
        self._line = b""
        self._private: int | None = None

    def hand_over(self, command: Sequence[str], private: bytes) -> tuple[str, ...]:
        """Let the command read this, once, from a pipe; returns it with the pipe's name."""
        self._private, filled = os.pipe()
        os.write(filled, private)  # less than a pipe holds
        os.close(filled)
        name = f"/dev/fd/{self._private}"
        return tuple(name if word == PRIVATE else word for word in command)

    @property
    def walled(self) -> bool:
        """Whether there are walls around it."""
        return self._sandbox is not None

    @property
    def passed(self) -> tuple[int, ...]:
        """The descriptors that the supervisor inherits."""
        handed = () if self._private is None else (self._private,)
        return (self._theirs.fileno(), *handed)

    @property
    def has_reported(self) -> bool:
        """Whether all is over."""
        return self._line.endswith(b"\n")

    def around(self, command: Sequence[str], cwd: Path, env: Mapping[str, str]) -> Sequence[str]:
        """The command that runs another one within supervisor and walls."""
        passed = ",".join(map(str, self.passed))
        inner = supervisor.argv(passed, *command)
        if self._sandbox is None:
            return inner
        return self._sandbox.wrap(
            inner, room=self._room, cwd=cwd, env=env, named=self._named, writes=self._writes
        )

    def begun(self) -> None:
        """Leave to the supervisor what it has inherited."""
        self._theirs.close()
        if self._private is not None:
            os.close(self._private)

    def give_up(self) -> None:
        """Close our end where no supervisor could be started."""
        self._ours.close()

    def wait(self) -> None:
        """Wait until it has reported how the command ended, or has ended itself."""
        with contextlib.suppress(OSError):
            while not self.has_reported and len(self._line) < KEPT_BYTES:
                if not (chunk := self._ours.recv(65536)):
                    return
                self._line += chunk

    def close(self) -> None:
        """End what a supervisor has left that was itself killed."""
        if not self.has_reported:
            self._ours.settimeout(_PATIENCE)  # one half of it may be at work yet
            self.wait()
        self._ours.close()
        if not self.has_reported:
            supervisor.kill_marked(f"{MARK}={self.mark}\0")

    @property
    def seen(self) -> _Seen:
        """What it has reported."""
        try:
            return _SEEN.validate_json(self._line)
        except ValueError:
            return _Seen()


_SEEN: Final = TypeAdapter(_Seen)


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
        # A process that left the group may hold the pipe open for ever, or fill it for ever. But
        # what is in it is read: on a busy machine, or a slow disk, the thread may be behind.
        deadline = time.monotonic() + _PATIENCE
        while self._thread.is_alive() and time.monotonic() < deadline:
            self._thread.join(_GRACE)
            if not _is_filled(self._pipe):
                break
        with self._lock:
            middle = f"\n[... {self._dropped} bytes left out ...]\n" if self._dropped else ""
            tail = b"".join(self._tail)
            head = bytes(self._head)
        return head.decode(errors="replace") + middle + tail.decode(errors="replace")


class Watch:
    """A watcher beside this process, which answers for a run (`watcher.py`).

    However this process ends, no process with the `mark` of the run is left, nor the folder
    `scratch`, nor the run's `folder` unless it is to be kept.
    """

    def __init__(self, mark: str, folder: Path, keep: bool, scratch: Path | None = None) -> None:
        self._watcher = subprocess.Popen(
            [
                *(sys.executable, "-I", "-S", watcher.__file__),
                *(f"{MARK}={mark}.", folder, str(int(keep))),
                *([scratch] if scratch else []),
            ],
            env=cluster_variables(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def close(self) -> None:
        """Tell it that the run is over, and wait until it has seen to that."""
        assert self._watcher.stdin is not None
        self._watcher.stdin.close()
        self._watcher.wait()


def last_lines(text: str, count: int = 15) -> str:
    """The last lines of an output that are not blank: where programs say what went wrong."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return "\n".join(lines[-count:])


def _is_filled(pipe: IO[bytes]) -> bool:
    """Whether there is something in a pipe that nobody has read."""
    try:
        return bool(select.select([pipe], [], [], 0)[0])
    except (OSError, ValueError):  # closed, for it was read to its end
        return False


def _chunks(pipe: IO[bytes]) -> Iterator[bytes]:
    while chunk := os.read(pipe.fileno(), 65536):
        yield chunk
