"""Where the candidate's commands run. Today: on this machine, some at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from pytest_fractal.errors import HarnessError
from pytest_fractal.processes import processes
from pytest_fractal.processes.processes import Canceller, Finished


class Executor(Protocol):
    """Runs commands for several threads at once; each call waits for its own command."""

    @property
    def width(self) -> int:
        """How many commands run at the same time."""

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        cwd: Path,
        env: Mapping[str, str],
        timeout: float,
        room: Path,
        named: Iterable[Path] = (),
    ) -> Finished:
        """Run one command to its end, as `processes.run` does."""

    def close(self) -> None:
        """End what is still running, and start nothing more."""


class LocalExecutor:
    """Runs commands on this machine, at most `width` of them at a time."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._slots = threading.BoundedSemaphore(width)
        self._stopper = Canceller()

    @property
    def width(self) -> int:
        """How many commands run at the same time."""
        return self._width

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        cwd: Path,
        env: Mapping[str, str],
        timeout: float,
        room: Path,
        named: Iterable[Path] = (),
    ) -> Finished:
        """Run one command, when a slot is free, to its end or its time limit in seconds.

        `room` and `named` mean what they mean to `processes.run`.

        Raises `HarnessError` after `close()`.
        """
        with self._slots:
            self._check_open()
            finished = processes.run(
                argv,
                cwd=cwd,
                env=env,
                timeout=timeout,
                stopper=self._stopper,
                room=room,
                named=named,
            )
        self._check_open()
        return finished

    def close(self) -> None:
        """End what is still running, and start nothing more."""
        self._stopper.stop()

    def _check_open(self) -> None:
        if self._stopper.stopped:
            raise HarnessError("the run was stopped")
