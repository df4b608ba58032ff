"""Commands that wait to become SLURM jobs, and the jobs that they have become.

Commands that ask for the same and come at the same time become one job array. One thread
submits, and one `squeue` asks about all jobs; an answer is taken as soon as it is there.
"""

from __future__ import annotations

import itertools
import os
import re
import secrets
import shlex
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pytest_fractal.errors import HarnessError
from pytest_fractal.processes import slurm_node, watcher
from pytest_fractal.processes.executors import JobOptions
from pytest_fractal.processes.processes import Finished
from pytest_fractal.processes.slurm_job import Call, Job, JobArray
from pytest_fractal.processes.slurm_programs import (
    CALL_LIMIT,
    ask_controller,
    cluster_setting,
    job_script,
    run_program,
    said_by,
)
from pytest_fractal.processes.slurm_states import known_states

JOBS: Final = watcher.JOBS
"""The folder in a run's folder where requests and answers lie."""
LARGEST_ARRAY: Final = 1000
"""How many units of a task may become one array."""

_QUIET: Final = 0.1
"""Seconds without a new command after which those that wait are submitted."""
_GATHERING: Final = 2.0
"""Seconds after which they are submitted anyway."""
_TICKS: Final = (0.05, 0.5)
"""Seconds between two looks for answers: at first, and when nothing has come for a while."""
_POLLS: Final = (2.0, 15.0)
"""Seconds between two calls of `squeue`, in the same way."""


class JobQueue:
    """Has commands run as jobs, at most `width` of them at a time.

    `folder` is the run's, on a file system that all nodes see; its name is that of all jobs.
    """

    def __init__(self, width: int, folder: Path) -> None:
        self._width = width
        self._folder = folder
        self._key = secrets.token_bytes(32)
        self._numbers = itertools.count()
        self._lock = threading.Condition()
        self._waiting: list[Call] = []
        self._submitting: Sequence[Call] = ()
        self._first = self._last = 0.0
        self._arrays: list[JobArray] = []
        self._stopped = False
        self._why = "the run was stopped"
        self._thread: threading.Thread | None = None
        self._most: int | None = None

    # What follows runs in threads that wait for commands.

    def run(self, call: Call) -> Finished:
        """Wait for a command's end. Raises `HarnessError` where the cluster knows of none."""
        with self._lock:
            if self._stopped:
                raise HarnessError(self._why)
            now = time.monotonic()
            self._first = self._first if self._waiting else now
            self._last = now
            self._waiting.append(call)
            if self._thread is None:
                self._thread = threading.Thread(target=self._attend, name="slurm", daemon=True)
                self._thread.start()
            self._lock.notify_all()
        call.done.wait()
        if call.finished is None:
            raise HarnessError(call.failure)
        return call.finished

    def pause(self) -> None:
        """Wait for a moment. Raises `HarnessError` when the queue is closed meanwhile."""
        with self._lock:
            self._lock.wait_for(lambda: self._stopped, _POLLS[0])
            if self._stopped:
                raise _Stopped(self._why)

    def close(self) -> None:
        """Cancel every job of this queue's, and start nothing more."""
        with self._lock:
            self._stopped = True
            self._lock.notify_all()
        if self._thread is not None:
            self._thread.join(CALL_LIMIT)

    # What follows runs in the one thread that talks to the cluster.

    def _attend(self) -> None:
        tick, poll, polled = _TICKS[0], _POLLS[0], time.monotonic()
        try:
            while True:
                with self._lock:
                    idle = not self._waiting and not self._arrays
                    if not self._stopped:
                        self._lock.wait(None if idle else tick)
                    if self._stopped:
                        break
                if idle:
                    polled = time.monotonic()  # nothing can be known of jobs that are new
                happened = self._submit_waiting() | self._take_answers()
                if happened:
                    self._widen()
                due = time.monotonic() - polled > poll
                asked_now = time.monotonic() - polled < _TICKS[1]
                if self._arrays and (due or self._is_state_wanted()) and not asked_now:
                    happened |= self._poll()
                    polled = time.monotonic()
                    poll = _POLLS[0] if happened else min(poll * 1.5, _POLLS[1])
                tick = _TICKS[0] if happened else min(tick * 1.2, _TICKS[1])
        except _Stopped:
            pass
        except Exception as error:
            self._why = " ".join(str(error).split()) or type(error).__name__
        finally:
            self._cancel()
            self._give_up()

    def _submit_waiting(self) -> bool:
        """Submit what waits, as far as jobs may run; commands that ask for the same together."""
        with self._lock:
            now = time.monotonic()
            if not self._waiting:
                return False
            if now - self._last < _QUIET and now - self._first < _GATHERING:
                return False
            if (free := self._free) < 1:
                return False
            options = self._waiting[0].options
            alike = [call for call in self._waiting if call.options == options]
            alike = alike[: self._array_limit]
            taken = set(map(id, alike))
            self._waiting = [call for call in self._waiting if id(call) not in taken]
            self._submitting = alike
        self._submit(options, alike, min(free, len(alike)))
        self._submitting = ()
        return True

    @property
    def _free(self) -> int:
        """How many more jobs may run."""
        return self._width - sum(min(array.throttle, len(array.open)) for array in self._arrays)

    @property
    def _array_limit(self) -> int:
        if self._most is None:
            size = cluster_setting("MaxArraySize")
            most = int(size) - 1 if size.isdigit() else LARGEST_ARRAY
            self._most = min(most, LARGEST_ARRAY) or 1
        return self._most

    def _submit(self, options: JobOptions, calls: Sequence[Call], throttle: int) -> None:
        folder = self._folder / JOBS / f"{os.getpid()}-{next(self._numbers)}"
        folder.mkdir(parents=True)
        for number, call in enumerate(calls):
            slurm_node.write_request(self._key, folder, number, call.request)
        node = [sys.executable, "-I", "-m", slurm_node.__name__, str(folder)]
        ended = ask_controller(
            [
                *("sbatch", "--parsable", f"--job-name={self._folder.name}", "--no-requeue"),
                *("--export=ALL", f"--chdir={folder}", "--input=/dev/null"),
                *(f"--output={folder}/%a.log", f"--error={folder}/%a.log"),
                *("--open-mode=append", f"--array=0-{len(calls) - 1}%{throttle}"),
            ],
            self._wait,
            job_script(options, [f"exec {shlex.join(node)}"]),
            {slurm_node.KEY: self._key.hex()},
        )
        known = re.fullmatch(r"(\d+)(?:;.*)?", ended.stdout.strip())
        if known is None:
            said = said_by(ended.stderr or ended.stdout) or f"exit status {ended.returncode}"
            for call in calls:
                call.settle(None, f"sbatch takes no job: {said}")
            return
        array = JobArray(self._folder.name, folder, self._key, known[1], throttle)
        array.open |= {number: Job(call, number, array) for number, call in enumerate(calls)}
        self._arrays.append(array)

    def _wait(self) -> None:
        """Wait for a controller; jobs go on without one, and what they answer is taken."""
        self._take_answers()
        self.pause()

    def _widen(self) -> None:
        """Let arrays have what no command waits for any more."""
        for array in self._arrays:
            with self._lock:
                more = 0 if self._waiting else min(self._free, len(array.open) - array.throttle)
            if more > 0:
                array.throttle += more
                throttle = f"ArrayTaskThrottle={array.throttle}"
                run_program(["scontrol", "update", f"jobid={array.id}", throttle])

    def _take_answers(self) -> bool:
        """Read the answers that are new."""
        happened = False
        for array in self._arrays:
            happened |= array.take_answers()
        self._forget_ended()
        return happened

    def _is_state_wanted(self) -> bool:
        """Whether it matters how SLURM says that a job has ended whose answer is there."""
        return any(job.answer for array in self._arrays for job in array.open.values())

    def _poll(self) -> bool:
        """Ask about all jobs at once."""
        states = known_states(self._folder.name, self._wait)
        if states is None:
            return False
        happened = False
        now = time.monotonic()
        for array in self._arrays:
            for job in [*array.open.values()]:
                happened |= job.update(states.get(job.id), now)
        self._forget_ended()
        return happened

    def _forget_ended(self) -> None:
        self._arrays = [array for array in self._arrays if array.open]

    def _give_up(self) -> None:
        with self._lock:
            self._stopped = True
            calls = [*self._waiting, *self._submitting]
            calls += [job.call for array in self._arrays for job in array.open.values()]
            self._waiting, self._submitting, self._arrays = [], (), []
        for call in calls:
            call.settle(None, self._why)

    def _cancel(self) -> None:
        """Cancel the jobs of this queue that have not ended."""
        if ids := [array.id for array in self._arrays if array.open]:
            run_program(["scancel", f"--user={os.geteuid()}", *ids])


class _Stopped(HarnessError):
    """The queue was closed while a controller was waited for."""
