"""Where the candidate's commands run. Today: on this machine, some at a time."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from pytest_fractal.errors import HarnessError
from pytest_fractal.machinery import processes
from pytest_fractal.machinery.processes import Finished


class Executor(Protocol):
    """Runs commands for several threads at once; each call waits for its own command."""

    @property
    def width(self) -> int:
        """How many commands run at the same time."""

    def run(
        self, argv: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str], timeout: float
    ) -> Finished:
        """Run one command to its end, as `processes.run` does."""

    def close(self) -> None:
        """End what is still running, and start nothing more."""


class LocalExecutor:
    """Runs commands on this machine, at most `width` of them at a time."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._slots = threading.BoundedSemaphore(width)
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._closed = False

    @property
    def width(self) -> int:
        """How many commands run at the same time."""
        return self._width

    def run(
        self, argv: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str], timeout: float
    ) -> Finished:
        """Run one command, when a slot is free, to its end or its time limit in seconds.

        Raises `HarnessError` after `close()`.
        """
        started: list[subprocess.Popen[bytes]] = []

        def register(process: subprocess.Popen[bytes]) -> None:
            with self._lock:
                started.append(process)
                self._running.add(process)
                if self._closed:
                    processes.kill_group(process)

        with self._slots:
            if self._closed:
                raise HarnessError("the run was stopped")
            try:
                finished = processes.run(
                    argv, cwd=cwd, env=env, timeout=timeout, on_start=register
                )
            finally:
                with self._lock:
                    self._running.difference_update(started)
        if self._closed:
            raise HarnessError("the run was stopped")
        return finished

    def close(self) -> None:
        """End what is still running, and start nothing more."""
        with self._lock:
            self._closed = True
            for process in self._running:
                processes.kill_group(process)
