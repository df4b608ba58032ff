"""Where the candidate's commands run: on this machine, or as jobs of a cluster (`slurm.py`)."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, Protocol

from pytest_fractal.errors import HarnessError
from pytest_fractal.processes import processes
from pytest_fractal.processes.processes import Canceller, Finished
from pytest_fractal.processes.reading import ReadWatch

ExecutorName = Literal["local", "slurm"]
EXECUTORS: Final[tuple[ExecutorName, ...]] = ("local", "slurm")


@dataclass(frozen=True)
class JobOptions:
    """What a cluster is asked for, for one command; no business of a single machine."""

    lines: tuple[str, ...] = ()
    """The lines of the job's script before the command: `#SBATCH` ones, and what a shell runs."""


ANY_JOB: Final = JobOptions()
"""A job that asks for nothing of its own."""


class Executor(Protocol):
    """Runs commands for several threads at once; each call waits for its own command."""

    @property
    def description(self) -> str:
        """Where commands run, in words."""

    @property
    def width(self) -> int:
        """How many commands run at the same time."""

    @property
    def callers(self) -> int:
        """How many threads may wait for a command at the same time, and be of use."""

    @property
    def scratch(self) -> Path | None:
        """Below which folder commands have their temporary files; None for beside their own."""

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        cwd: Path,
        env: Mapping[str, str],
        timeout: float,
        room: Path,
        named: Iterable[Path] = (),
        watched: Path | None = None,
        job: JobOptions = ANY_JOB,
    ) -> Finished:
        """Run one command to its end, as `run_watched` does."""

    def refusal(self, job: JobOptions) -> str:
        """Why no such job could run here, in the words of what refuses it; empty if it could."""

    def close(self) -> None:
        """End what is still running, and start nothing more."""


class LocalExecutor:
    """Runs commands on this machine, at most `width` of them at a time.

    Their temporary files go below `scratch`, whose path must be short where that matters.
    """

    def __init__(self, width: int, scratch: Path | None = None) -> None:
        self._width = width
        self._scratch = scratch
        self._slots = threading.BoundedSemaphore(width)
        self._stopper = Canceller()

    @property
    def description(self) -> str:
        """Where commands run, in words."""
        return "on this machine"

    @property
    def width(self) -> int:
        """How many commands run at the same time."""
        return self._width

    @property
    def callers(self) -> int:
        """As many: each waits for a process of its own."""
        return self._width

    @property
    def scratch(self) -> Path | None:
        """As it was given."""
        return self._scratch

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        cwd: Path,
        env: Mapping[str, str],
        timeout: float,
        room: Path,
        named: Iterable[Path] = (),
        watched: Path | None = None,
        job: JobOptions = ANY_JOB,  # noqa: ARG002
    ) -> Finished:
        """Run one command, when a slot is free, to its end or its time limit in seconds.

        Raises `HarnessError` after `close()`.
        """
        with self._slots:
            self._check_open()
            finished = run_watched(
                argv,
                cwd=cwd,
                env=env,
                timeout=timeout,
                stopper=self._stopper,
                room=room,
                named=named,
                watched=watched,
            )
        self._check_open()
        return finished

    def refusal(self, job: JobOptions) -> str:  # noqa: ARG002
        """Nothing: a single machine asks nobody."""
        return ""

    def close(self) -> None:
        """End what is still running, and start nothing more."""
        self._stopper.stop()

    def _check_open(self) -> None:
        if self._stopper.stopped:
            raise HarnessError("the run was stopped")


def run_watched(
    argv: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout: float,
    stopper: Canceller,
    room: Path,
    named: Iterable[Path],
    watched: Path | None,
) -> Finished:
    """Run one command as `processes.run` does, and see whether it has read the file `watched`.

    This is done on the machine where the command runs: no other one sees it.
    """
    watch = ReadWatch(watched) if watched else None
    try:
        finished = processes.run(
            argv, cwd=cwd, env=env, timeout=timeout, stopper=stopper, room=room, named=named
        )
        return replace(finished, read=watch.was_read()) if watch else finished
    finally:
        if watch:
            watch.close()
