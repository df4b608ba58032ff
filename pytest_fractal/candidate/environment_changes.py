"""What the tasks of a candidate change in the environment that they run in, and which of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from pytest_fractal.candidate.store import Fact
from pytest_fractal.environments.snapshots import Change, Snapshot
from pytest_fractal.errors import HarnessError
from pytest_fractal.facts import EnvironmentUse
from pytest_fractal.processes.commands import Start
from pytest_fractal.processes.probing import Refusals
from pytest_fractal.samples.files import Sample

if TYPE_CHECKING:
    from pytest_fractal.candidate.packaged import Candidate

_SNAPSHOT: Final = Fact[Snapshot]("snapshot", Snapshot)
_TaskStart = tuple[str, str | None, Start]
"""The id of a task, the name of the sample that it was given if any, and its start."""
_TICK: Final = 0.02
"""Seconds by which the clock of a file system may lag behind."""


class EnvironmentChanges:
    """The environment of a candidate, compared with what was installed."""

    def __init__(self, candidate: Candidate) -> None:
        self._candidate = candidate
        self._looking = threading.Lock()
        self._looked: tuple[float, tuple[Change, ...]] = (0.0, ())

    def watch(self) -> None:
        """See how the environment is, if a rule that is selected wants to know what changes."""
        candidate = self._candidate
        if any(candidate.is_wanted({EnvironmentUse}, task) for task in (None, *candidate.tasks)):
            _ = self._as_installed

    @property
    def _as_installed(self) -> Snapshot:
        """The environment before anything in it was started."""
        environment, wheel = self._candidate.environment_folder, self._candidate.wheel
        folder, package = environment.folder, environment.site_packages / wheel.package
        own = f"{package.relative_to(folder).as_posix()}/"
        return self._candidate.store.once(
            _SNAPSHOT, lambda: Snapshot.taken(folder, own, (wheel.path,))
        )

    def use(self, sample: Sample) -> EnvironmentUse:
        """What the task has changed in the environment while the sample ran, or it was probed.

        Raises `HarnessError` when it cannot be known who has changed it.
        """
        candidate, task = self._candidate, sample.task
        script = next((part.script for part in task.run_parts), "")
        executions = candidate.sample_runs.run(sample).executions
        if candidate.is_wanted({Refusals}, task):
            for part in task.run_parts:
                candidate.commands.refusals(part)  # those starts count too
        ended = max((_end(execution.start) for execution in executions), default=time.time())
        changes = self._changes(ended)
        if not changes:
            return EnvironmentUse(script, ())
        starts = list(candidate.starts())
        # What probing it has shown is reported once, with its first sample.
        is_first = candidate.sample_runs.of(task)[0] == sample
        names = {sample.name, None} if is_first else {sample.name}
        own: list[Change] = []
        for change in changes:
            running = running_at(starts, change.at)
            by = {about for about, _, _ in running}
            what = f"{change.path} in the environment was {change.kind}"
            if not by:
                raise HarnessError(f"{what} by another process than those of the tasks")
            if by == {task.id}:
                if any(name in names for _, name, _ in running):
                    own.append(change)
            elif task.id in by:
                raise HarnessError(
                    f"{what} while {' and '.join(sorted(by))} ran at the same time; "
                    "--fractal-jobs=1, without -n, tells which of them does that"
                )
        return EnvironmentUse(script, tuple(own))

    def _changes(self, since: float) -> tuple[Change, ...]:
        """What has changed in the environment, looked at after `since` or later."""
        with self._looking:
            if self._looked[0] <= since:
                now = time.time()
                self._looked = now, tuple(self._as_installed.changes())
            return self._looked[1]


def _end(start: Start) -> float:
    """When a start had ended, in seconds since the epoch."""
    return start.finished.started + start.finished.seconds


def running_at(starts: Sequence[_TaskStart], moment: float) -> Sequence[_TaskStart]:
    """The starts that ran at a moment that a file system has noted.

    Its clock ticks slowly: only where none ran right then is one meant that had just ended, or
    was about to begin.
    """
    for leeway in (0.0, _TICK):
        running = [
            (task, sample, start)
            for task, sample, start in starts
            if start.finished.started - leeway <= moment <= _end(start) + leeway
        ]
        if running:
            return running
    return ()
