"""Keeping a server's process: it lives as long as whoever has asked for it, and no longer.

The one who answers for a run takes a `Lease`. Each process of the run may then start a
server; the supervisor around it watches the hold, and ends the server with everything that
it has started as soon as the hold is released or its holder has ended, by whatever signal.
So a worker of pytest-xdist can start a server that others use when that worker is gone.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from pytest_fractal.environments.indexes import installer_environment
from pytest_fractal.errors import HarnessError
from pytest_fractal.processes import sandbox, supervisor, watcher
from pytest_fractal.processes.processes import cancellable_sleep, last_lines
from pytest_fractal.processes.variables import MARK, task_variables

START_LIMIT: Final = 120.0
"""Seconds in which a server must be up: it takes three to four, on a busy machine more."""

_STOP_LIMIT: Final = 30.0
_ADDRESS: Final = re.compile(r"running on (http://127\.0\.0\.1:\d+)")
_INSTALLING: Final = re.compile(
    r"PIP_\w+|UV_\w+|SSL_CERT_\w+|REQUESTS_CA_BUNDLE|XDG_\w+"
    r"|(?i:(all|https?|no)_proxy)"
)


class Lease:
    """Keeps the servers alive that are started with the same `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._file = os.open(folder / _WANTED, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def release(self) -> None:
        """End the servers, and return when nothing of them is left."""
        os.close(self._file)
        for file in self._folder.glob(f"*{_ALIVE}"):
            with file.open() as alive:
                deadline = time.monotonic() + _STOP_LIMIT
                while not _lock(alive.fileno()) and time.monotonic() < deadline:
                    time.sleep(0.02)
        for supervising in _started.values():
            supervising.poll()  # those of this process have a parent to tell
        watcher.finish(str(self._folder))


_WANTED: Final = "wanted"
_ALIVE: Final = ".alive"


def at_last(hold: Path, argv: Sequence[str], env: Mapping[str, str]) -> None:
    """Have a command run when the hold of a folder is released, after the servers have ended."""
    file = hold / f"{secrets.token_hex(8)}{watcher.AT_LAST}"
    file.touch(0o600)
    file.write_text(json.dumps([list(argv), dict(env)]))


def _lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@dataclass(frozen=True)
class ServerProcess:
    """A program that serves, under a supervisor; it may belong to another process of the run."""

    name: str
    pid: int
    """Of its supervisor."""
    log: Path
    """All that it prints."""
    alive: Path
    """Locked while it runs."""

    def log_size(self) -> int:
        """How much it has printed until now, in bytes."""
        return self.log.stat().st_size

    def said(self, since: int = 0, count: int = 15) -> str:
        """The last lines that it has printed, after the first `since` bytes."""
        with self.log.open("rb") as file:
            file.seek(since)
            return last_lines(file.read().decode(errors="replace"), count)

    def is_at_work(self) -> bool | None:
        """Whether a process of its own is running, such as pip; None where that is not seen."""
        if not Path("/proc").is_dir():
            return None
        # The server itself is the first below the supervisor.
        return len(supervisor.descendants(self.pid)) > 1

    def has_ended(self) -> bool:
        """Whether it runs no more."""
        with self.alive.open() as alive:
            return _lock(alive.fileno())


def start(
    name: str,
    argv: Sequence[str | Path],
    *,
    folder: Path,
    hold: Path,
    env: Mapping[str, str],
) -> ServerProcess:
    """Start a program that serves while there is a `Lease` of the folder `hold`.

    `folder` is where it runs, and where it leaves its log.
    """
    log = folder / f"{name}.log"
    alive = hold / f"{secrets.token_hex(8)}{_ALIVE}"
    alive.touch()
    with log.open("ab") as output:
        process = subprocess.Popen(
            supervisor.argv("--while-locked", str(hold / _WANTED), str(alive), *map(str, argv)),
            cwd=folder,
            env={**env, MARK: f"{run.mark if (run := sandbox.around(hold)) else name}."},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _started[process.pid] = process
    return ServerProcess(name, process.pid, log, alive)


_started: Final[dict[int, subprocess.Popen[bytes]]] = {}
"""The supervisors that this process has started, each to be waited for by nobody else."""


def address(serving: ServerProcess) -> str:
    """The URL at which a server that was just started answers, as it prints when it is up.

    It was asked to take any free port, so no two servers can meet. Raises `HarnessError`
    when it ends before, or is not up within `START_LIMIT` seconds.
    """
    started = time.monotonic()
    while True:
        if found := _ADDRESS.search(serving.log.read_text(errors="replace")):
            return found[1]
        if ended(serving) or time.monotonic() - started > START_LIMIT:
            raise HarnessError(f"{serving.name} does not start: {serving.said(count=3)}")
        cancellable_sleep(0.05)


def ended(serving: ServerProcess) -> bool:
    """Whether a program that this process has started has ended."""
    return _started[serving.pid].poll() is not None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock between processes, for which a run that is being stopped waits no longer."""
    lock = FileLock(path)
    while True:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            cancellable_sleep(0.05)
        else:
            break
    try:
        yield
    finally:
        lock.release()


def server_variables(scratch: Path) -> dict[str, str]:
    """The environment of a server: what a command may see, and what its pip needs to know."""
    scratch.mkdir(parents=True, exist_ok=True)
    pip = installer_environment("pip", scratch)
    return task_variables(scratch) | {
        name: value for name, value in pip.items() if _INSTALLING.fullmatch(name)
    }
