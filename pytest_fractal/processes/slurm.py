"""Commands as jobs of a SLURM cluster, each with what its task asks for.

A job runs `slurm_node.py` on its node, which runs the command under the same supervisor and
within the same walls as on this machine, and leaves its answer in the run's folder. Commands
that ask for the same and come at the same time become one job array. One thread submits, and
one `squeue` asks about all jobs; an answer is taken as soon as it is there.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import secrets
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from pytest_fractal.errors import BadInput, HarnessError
from pytest_fractal.files import FILE_LIMIT, read_regular
from pytest_fractal.processes import sandbox, slurm_node, watcher
from pytest_fractal.processes.executors import ANY_JOB, JobOptions
from pytest_fractal.processes.processes import Finished, Limit, last_lines
from pytest_fractal.processes.slurm_node import ANSWER, KEY, SEEN, Answer, Forged, Request, Walls
from pytest_fractal.processes.slurm_programs import (
    CALL_LIMIT,
    check_installed,
    cluster_setting,
    is_unconfigured,
    job_script,
    memory_asked,
    run_program,
    said_by,
    shell_lines,
)
from pytest_fractal.processes.variables import cluster_variables

JOBS: Final = watcher.JOBS
"""The folder in a run's folder where requests and answers lie."""

_QUIET: Final = 0.1
"""Seconds without a new command after which those that wait are submitted."""
_GATHERING: Final = 2.0
"""Seconds after which they are submitted anyway."""
_TICKS: Final = (0.05, 0.5)
"""Seconds between two looks for answers: at first, and when nothing has come for a while."""
_POLLS: Final = (2.0, 15.0)
"""Seconds between two calls of `squeue`, in the same way."""
_REPORTING: Final = 60.0
"""Seconds after the end of a job in which its answer appears: NFS may take so long."""
_VANISHED: Final = 3
"""How many calls of `squeue` in a row do not know a job that is given up."""
_OUTAGE: Final = 300.0
"""Seconds for which a controller that does not answer is waited for."""
_CALLERS: Final = 1000
"""How many units of a task may become one array."""
_CHECK: Final = 60.0
"""Seconds for the job that looks at the run's folder."""

_LOOKING: Final = 'for path; do test -e "$path" || echo "$path"; done'

_MEMORY_STATES: Final = frozenset({"OUT_OF_MEMORY"})
_TIME_STATES: Final = frozenset({"TIMEOUT", "DEADLINE"})
_NODE_STATES: Final = frozenset({"NODE_FAIL", "BOOT_FAIL", "LAUNCH_FAILED"})
_ENDED_STATES: Final = (
    frozenset({"COMPLETED", "FAILED", "CANCELLED", "PREEMPTED", "REVOKED", "SPECIAL_EXIT"})
    | _MEMORY_STATES
    | _TIME_STATES
    | _NODE_STATES
)
"""The states of a job that has ended (squeue(1), "JOB STATE CODES")."""
_NEVER: Final = frozenset(
    {
        *("BadConstraints", "PartitionTimeLimit", "PartitionNodeLimit", "InvalidAccount"),
        *("InvalidQOS", "JobHeldUser", "DependencyNeverSatisfied", "AccountNotAllowed"),
    }
)
"""The reasons for which a job never starts, however long it waits ("JOB REASON CODES")."""
_OVER_MEMORY: Final = re.compile(r"exceeded (?:job )?memory limit|oom.kill", re.IGNORECASE)
"""What SLURM itself writes to the output of a job that it ends for its memory,"""
_OVER_BYTES: Final = re.compile(r"exceeded memory limit \((\d+) > \d+\)")
"""and how many bytes that were."""
_ASKED: Final = {
    Limit.MEMORY: re.compile(r"#SBATCH\s+(--mem(?:-per-cpu|-per-gpu)?[= ]\S+)"),
    Limit.TIME: re.compile(r"#SBATCH\s+(--time[= ]\S+|-t ?\S+)"),
}


@dataclass(eq=False)
class _Call:
    """One command that a thread waits for."""

    request: Request
    job: JobOptions
    done: threading.Event = field(default_factory=threading.Event)
    finished: Finished | None = None
    failure: str = ""

    def settle(self, finished: Finished | None, failure: str = "") -> None:
        self.finished, self.failure = finished, failure
        self.done.set()


@dataclass
class _Element:
    """A task of a job array."""

    call: _Call
    number: int
    answer: Answer | None = None
    state: str = ""
    reason: str = ""
    node: str = ""
    ran: str = ""
    """For how long, as SLURM writes it."""
    ended: float | None = None
    """When it was first seen to have ended."""
    missed: int = 0
    """How many calls of `squeue` have not told of it."""


@dataclass
class _Batch:
    """What was submitted by one `sbatch`: an array, be it of one task."""

    folder: Path
    id: str
    throttle: int
    open: dict[int, _Element]

    def id_of(self, element: _Element) -> str:
        """As `squeue` prints it."""
        return f"{self.id}_{element.number}"


class SlurmExecutor:
    """Runs commands as SLURM jobs, at most `width` of them at a time.

    `folder` is the run's, on a file system that all nodes see; its name is that of all jobs of
    the run. `defaults` is what a command asks for that says nothing. Raises `BadInput` where
    SLURM is not installed.
    """

    def __init__(self, width: int, folder: Path, defaults: JobOptions = ANY_JOB) -> None:
        check_installed()
        self._width = width
        self._folder = folder
        self._defaults = defaults
        self._key = secrets.token_bytes(32)
        self._numbers = itertools.count()
        self._lock = threading.Condition()
        self._waiting: list[_Call] = []
        self._submitting: Sequence[_Call] = ()
        self._first = self._last = 0.0
        self._batches: list[_Batch] = []
        self._stopped = False
        self._why = "the run was stopped"
        self._thread: threading.Thread | None = None
        self._refusals: dict[JobOptions, str] = {}
        self._most: int | None = None

    @property
    def description(self) -> str:
        """Where commands run, in words."""
        return f"as jobs of the SLURM cluster {cluster_setting('ClusterName') or 'without a name'}"

    @property
    def width(self) -> int:
        """How many commands run at the same time."""
        return self._width

    @property
    def callers(self) -> int:
        """As many as may become one array, whatever of it runs at a time."""
        return _CALLERS

    @property
    def scratch(self) -> Path:
        """In the run's folder: a node has a /tmp of its own."""
        return self._folder / "tmp"

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
        """Run one command as a job, to its end. `timeout` counts from its start on the node.

        Raises `HarnessError` after `close()`, and where the cluster is to blame: its controller
        does not answer, it refuses the job, a node fails, somebody else cancels the job, or it
        vanishes.
        """
        job = self._defaults if job is ANY_JOB else job
        request = Request(
            tuple(map(str, argv)),
            str(cwd),
            dict(env),
            timeout,
            str(room),
            tuple(map(str, named)),
            str(watched) if watched else None,
            tuple(shell_lines(job)),
            _walls(room),
        )
        return self._wait(_Call(request, job))

    def refusal(self, job: JobOptions) -> str:
        """Why the cluster takes no such job, in SLURM's words; empty if it does."""
        if job not in self._refusals:
            ended = self._ask(["sbatch", "--test-only"], job_script(job, []))
            self._refusals[job] = said_by(ended.stderr or ended.stdout) if ended.returncode else ""
        return self._refusals[job]

    def check(self, paths: Iterable[Path]) -> None:
        """See by one job that a node sees the run's folder, and these paths.

        Raises `BadInput`, with one sentence, where it does not, or where no job is taken.
        """
        if refused := self.refusal(self._defaults):
            raise BadInput(f"--fractal-executor=slurm: the cluster takes no job: {refused}")
        request = Request(
            ("/bin/sh", "-c", _LOOKING, "sh", *map(str, paths)),
            str(self._folder),
            dict(cluster_variables()),
            _CHECK,
            str(self._folder),
            (),
            None,
            (),
            None,
        )
        try:
            finished = self._wait(_Call(request, self._defaults))
        except HarnessError as error:
            raise BadInput(
                f"{self._folder}: the nodes of the cluster must see the folder of the run and "
                f"{sys.executable}, and the job that was to see them failed: {error}; "
                "--fractal-folder=DIR names a folder on a file system that they share"
            ) from None
        if missing := finished.stdout.split("\n")[0]:
            raise BadInput(f"{missing}: the nodes of the cluster do not see it ({finished.job})")

    def close(self) -> None:
        """Cancel every job of this executor's, and start nothing more."""
        with self._lock:
            self._stopped = True
            self._lock.notify_all()
        if self._thread is not None:
            self._thread.join(CALL_LIMIT)

    # What follows runs in threads that wait for commands.

    def _wait(self, call: _Call) -> Finished:
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

    # What follows runs in the one thread that talks to the cluster.

    def _attend(self) -> None:
        tick, poll, polled = _TICKS[0], _POLLS[0], time.monotonic()
        try:
            while True:
                with self._lock:
                    idle = not self._waiting and not self._batches
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
                if self._batches and (due or self._is_state_wanted()) and not asked_now:
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
            job = self._waiting[0].job
            alike = [call for call in self._waiting if call.job == job][: self._array_limit]
            taken = set(map(id, alike))
            self._waiting = [call for call in self._waiting if id(call) not in taken]
            self._submitting = alike
        self._submit(job, alike, min(free, len(alike)))
        self._submitting = ()
        return True

    @property
    def _free(self) -> int:
        """How many more jobs may run."""
        return self._width - sum(min(batch.throttle, len(batch.open)) for batch in self._batches)

    def _widen(self) -> None:
        """Let arrays have what no command waits for any more."""
        for batch in self._batches:
            with self._lock:
                more = 0 if self._waiting else min(self._free, len(batch.open) - batch.throttle)
            if more > 0:
                batch.throttle += more
                told = f"ArrayTaskThrottle={batch.throttle}"
                run_program(["scontrol", "update", f"jobid={batch.id}", told])

    def _submit(self, job: JobOptions, calls: Sequence[_Call], throttle: int) -> None:
        folder = self._folder / JOBS / f"{os.getpid()}-{next(self._numbers)}"
        folder.mkdir(parents=True)
        for number, call in enumerate(calls):
            slurm_node.write_request(self._key, folder, number, call.request)
        node = [sys.executable, "-I", "-m", slurm_node.__name__, str(folder)]
        ended = self._ask(
            [
                *("sbatch", "--parsable", f"--job-name={self._folder.name}", "--no-requeue"),
                *("--export=ALL", f"--chdir={folder}", "--input=/dev/null"),
                *(f"--output={folder}/%a.log", f"--error={folder}/%a.log"),
                *("--open-mode=append", f"--array=0-{len(calls) - 1}%{throttle}"),
            ],
            job_script(job, [f"exec {shlex.join(node)}"]),
            {KEY: self._key.hex()},
            self._take_answers,
        )
        known = re.fullmatch(r"(\d+)(?:;.*)?", ended.stdout.strip())
        if known is None:
            said = said_by(ended.stderr or ended.stdout) or f"exit status {ended.returncode}"
            for call in calls:
                call.settle(None, f"sbatch takes no job: {said}")
            return
        elements = {number: _Element(call, number) for number, call in enumerate(calls)}
        self._batches.append(_Batch(folder, known[1], throttle, elements))

    @property
    def _array_limit(self) -> int:
        if self._most is None:
            told = cluster_setting("MaxArraySize")
            self._most = min(int(told) - 1 if told.isdigit() else _CALLERS, _CALLERS) or 1
        return self._most

    def _take_answers(self) -> bool:
        """Read the answers that are new."""
        happened = False
        for batch in self._batches:
            with contextlib.suppress(OSError):
                there = {path.name for path in batch.folder.iterdir()}
                for element in [*batch.open.values()]:
                    if element.answer is None and f"{element.number}{ANSWER}" in there:
                        happened = True
                        self._read(batch, element)
        self._forget_ended()
        return happened

    def _read(self, batch: _Batch, element: _Element) -> None:
        try:
            element.answer = slurm_node.read_answer(self._key, batch.folder, element.number)
        except Forged:
            self._fail(batch, element, "has left an answer that it has not written itself")
            return
        if not _asks_why(element.answer):
            self._settle(batch, element)

    def _is_state_wanted(self) -> bool:
        """Whether it matters how SLURM says that a job has ended whose answer is there."""
        return any(element.answer for batch in self._batches for element in batch.open.values())

    def _poll(self) -> bool:
        """Ask about all jobs at once."""
        states = self._states()
        if states is None:
            return False
        happened = False
        now = time.monotonic()
        for batch in self._batches:
            for element in [*batch.open.values()]:
                told = states.get(batch.id_of(element))
                if told is None:
                    element.missed += 1
                    if element.missed >= _VANISHED:
                        happened = True
                        self._vanish(batch, element, now)
                    continue
                element.missed = 0
                happened |= told[0] != element.state
                element.state, element.reason, element.node, element.ran = told
                if element.state == "PENDING" and element.reason in _NEVER:
                    self._fail(batch, element, f"will never be started: {element.reason}")
                elif element.state in _ENDED_STATES:
                    self._end(batch, element, now)
        self._forget_ended()
        return happened

    def _states(self) -> dict[str, tuple[str, str, str, str]] | None:
        """What `squeue` says of all jobs of the run; None where it says nothing."""
        asked = ["squeue", "--noheader", "--array", "--states=all", f"--user={os.geteuid()}"]
        asked += [f"--name={self._folder.name}", "--format=%i|%T|%r|%N|%M"]
        ended = self._ask(asked, meanwhile=self._take_answers)
        if ended.returncode:
            return None
        states = {}
        for line in ended.stdout.splitlines():
            job, state, reason, node, ran = (*line.strip().split("|"), "", "", "", "")[:5]
            states[job] = (state, reason, node, ran)
        return states

    def _end(self, batch: _Batch, element: _Element, now: float) -> None:
        """Judge a job that SLURM says has ended."""
        element.ended = element.ended or now
        since = now - element.ended
        if element.answer is None and _exists(batch.folder / f"{element.number}{ANSWER}"):
            self._read(batch, element)
            if element.number not in batch.open:
                return
        state, log = element.state, self._log(batch, element)
        if state in _MEMORY_STATES or _OVER_MEMORY.search(log):
            self._settle(batch, element, Limit.MEMORY)
        elif state in _TIME_STATES:
            self._settle(batch, element, Limit.TIME)
        elif state in _NODE_STATES:
            self._fail(batch, element, f"was lost with its node ({element.reason})")
        elif state in ("CANCELLED", "PREEMPTED", "REVOKED"):
            after = f", after {element.ran}" if element.ran else ""
            self._fail(batch, element, f"was {state.lower()} by somebody else{after}")
        elif element.answer is not None:
            self._settle(batch, element)
        elif since > (_REPORTING if state == "COMPLETED" else _REPORTING / 4):
            said = f": {last_lines(log, 1)}" if log.strip() else f" ({element.reason})"
            self._fail(batch, element, f"has ended as {state}, and left no answer{said}")

    def _vanish(self, batch: _Batch, element: _Element, now: float) -> None:
        """A job of which no controller knows any more, though the accounting may."""
        asked = ["sacct", "--noheader", "--parsable2", "--allocations"]
        asked += [f"--name={self._folder.name}", f"--jobs={batch.id_of(element)}"]
        asked += ["--format=State,Elapsed,NodeList"]
        state, ran, node = (*run_program(asked).stdout.strip().split("|"), "", "")[:3]
        state = state.partition(" ")[0]  # of "CANCELLED by 0"
        if state in _ENDED_STATES:
            element.state, element.ran, element.node = state, ran, node
            self._end(batch, element, now)
        elif _OVER_MEMORY.search(self._log(batch, element)):
            self._settle(batch, element, Limit.MEMORY)
        elif element.answer is not None and not element.answer.told_to_end:
            self._settle(batch, element)
        else:
            self._fail(batch, element, "has vanished: SLURM knows no such job any more")

    def _settle(self, batch: _Batch, element: _Element, limit: Limit | None = None) -> None:
        """Hand a command's end to the thread that waits for it."""
        answer = element.answer
        if limit is None and answer is not None and answer.finished is None:
            self._fail(batch, element, f"could not run the command: {answer.failure}")
            return
        known = answer.finished if answer is not None and answer.finished is not None else None
        finished = known or Finished(
            element.call.request.argv,
            -signal.SIGKILL,
            "",
            self._log(batch, element),
            0.0,
            started=time.time(),
        )
        words, excess = self._words_of(batch, element, limit), ""
        asked, used = memory_asked(element.call.job), answer.memory if answer else 0
        if limit is None and asked and used > asked:
            excess = f"{words} asked for {asked >> 20} MB, and was seen to have {used >> 20} MB"
        element.call.settle(replace(finished, limit=limit, job=words, excess=excess))
        batch.open.pop(element.number, None)

    def _fail(self, batch: _Batch, element: _Element, why: str) -> None:
        if element.state not in _ENDED_STATES:
            run_program(["scancel", batch.id_of(element)])
        words = self._words_of(batch, element, None)
        element.call.settle(None, f"{words} {why}")
        batch.open.pop(element.number, None)

    def _words_of(self, batch: _Batch, element: _Element, limit: Limit | None) -> str:
        answer = element.answer
        node = (answer.node if answer else "") or element.node
        words = f"SLURM job {batch.id_of(element)}" + (f" on node {node}" if node else "")
        if limit is None:
            return words
        asked = [
            found[1] for line in element.call.job.lines for found in _ASKED[limit].finditer(line)
        ]
        said = asked[-1] if asked else f"no {limit} of its own, but the default of the partition"
        words += f", which asked for {said}"
        if limit is Limit.TIME and element.ran:
            words += f", and ran for {element.ran}"
        if limit is Limit.MEMORY and (used := self._memory(batch, element)):
            words += f", and was seen to have {used >> 20} MB"
        return words

    def _memory(self, batch: _Batch, element: _Element) -> int:
        told = element.answer.memory if element.answer else 0
        with contextlib.suppress(OSError, ValueError):
            file = batch.folder / f"{element.number}{SEEN}"
            told = max(told, int(read_regular(file, 100, follow=False)))
        return max(told, *map(int, _OVER_BYTES.findall(self._log(batch, element))), 0)

    def _log(self, batch: _Batch, element: _Element) -> str:
        with contextlib.suppress(OSError):
            file = batch.folder / f"{element.number}.log"
            return read_regular(file, FILE_LIMIT, follow=False).decode(errors="replace")
        return ""

    def _forget_ended(self) -> None:
        self._batches = [batch for batch in self._batches if batch.open]

    def _give_up(self) -> None:
        with self._lock:
            self._stopped = True
            calls = [*self._waiting, *self._submitting]
            calls += [element.call for batch in self._batches for element in batch.open.values()]
            self._waiting, self._submitting, self._batches = [], (), []
        for call in calls:
            call.settle(None, self._why)

    def _cancel(self) -> None:
        """Cancel the jobs of this executor that have not ended."""
        if ids := [batch.id for batch in self._batches if batch.open]:
            run_program(["scancel", f"--user={os.geteuid()}", *ids])

    # SLURM's programs.

    def _ask(
        self,
        argv: Sequence[str],
        script: str = "",
        env: Mapping[str, str] | None = None,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> subprocess.CompletedProcess[str]:
        """Call a program, again and again while no controller answers.

        Jobs go on without one, and what they answer is taken `meanwhile`. Raises `HarnessError`
        where none does for minutes.
        """
        failing_since: float | None = None
        while True:
            ended = run_program(argv, script, env)
            if ended.returncode == 0 or is_unconfigured(ended.stderr):
                return ended
            if run_program(["scontrol", "ping"]).returncode == 0:
                return ended
            failing_since = failing_since or time.monotonic()
            if time.monotonic() - failing_since > _OUTAGE:
                raise HarnessError(
                    f"no controller of SLURM has answered for {_OUTAGE / 60:.0f} minutes: "
                    f"{said_by(ended.stderr)}"
                )
            meanwhile()
            with self._lock:
                self._lock.wait_for(lambda: self._stopped, _POLLS[0])
                if self._stopped:
                    raise _Stopped(self._why)


class _Stopped(HarnessError):
    """The run was stopped while a controller was waited for."""


def _walls(room: Path) -> Walls | None:
    run = sandbox.around(room)
    return Walls(str(run.folder), *run.shared) if run is not None else None


def _asks_why(answer: Answer) -> bool:
    """Whether a command may have been ended by SLURM, which then tells why."""
    finished = answer.finished
    killed = finished is not None and finished.returncode < 0 and not finished.timed_out
    return answer.told_to_end or killed


def _exists(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return path.is_file()
    return False
