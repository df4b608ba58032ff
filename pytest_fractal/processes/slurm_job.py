"""One SLURM job for one command: what is known of it, and why it has ended."""

from __future__ import annotations

import contextlib
import re
import signal
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from pytest_fractal.files import FILE_LIMIT, read_regular
from pytest_fractal.processes.executors import JobOptions
from pytest_fractal.processes.processes import Finished, Limit, last_lines
from pytest_fractal.processes.slurm_node import (
    ANSWER,
    SEEN,
    Answer,
    Forged,
    Request,
    read_answer,
)
from pytest_fractal.processes.slurm_programs import memory_asked, run_program
from pytest_fractal.processes.slurm_states import (
    CANCELLED_STATES,
    MEMORY_STATES,
    NODE_STATES,
    TIME_STATES,
    JobState,
    accounted_state,
)

_REPORTING: Final = 60.0
"""Seconds after the end of a job in which its answer appears: NFS may take so long."""
_VANISHED: Final = 3
"""How many calls of `squeue` in a row do not know a job that is given up."""
_OVER_MEMORY: Final = re.compile(r"exceeded (?:job )?memory limit|oom.kill", re.IGNORECASE)
"""What SLURM itself writes to the output of a job that it ends for its memory,"""
_OVER_BYTES: Final = re.compile(r"exceeded memory limit \((\d+) > \d+\)")
"""and how many bytes that were."""
_ASKED: Final = {
    Limit.MEMORY: re.compile(r"#SBATCH\s+(--mem(?:-per-cpu|-per-gpu)?[= ]\S+)"),
    Limit.TIME: re.compile(r"#SBATCH\s+(--time[= ]\S+|-t ?\S+)"),
}


@dataclass(eq=False)
class Call:
    """One command that a thread waits for."""

    request: Request
    options: JobOptions
    done: threading.Event = field(default_factory=threading.Event)
    finished: Finished | None = None
    failure: str = ""

    def settle(self, finished: Finished | None, failure: str = "") -> None:
        """Hand the command's end, or why there is none, to the thread that waits for it."""
        self.finished, self.failure = finished, failure
        self.done.set()


@dataclass(eq=False)
class JobArray:
    """What was submitted by one `sbatch`: an array, be it of one job."""

    name: str
    """That of all jobs of the run."""
    folder: Path
    """Where their requests, answers and outputs lie."""
    key: bytes = field(repr=False)
    """By which answers are known to be theirs."""
    id: str
    throttle: int
    """How many of its jobs may run at a time."""
    open: dict[int, Job] = field(default_factory=dict)
    """Those whose commands are waited for, by their numbers."""

    def take_answers(self) -> bool:
        """Read the answers that are new; whether there are any."""
        happened = False
        with contextlib.suppress(OSError):
            there = {path.name for path in self.folder.iterdir()}
            for job in [*self.open.values()]:
                if job.answer is None and job.answer_file.name in there:
                    happened = True
                    job.take_answer()
        return happened


@dataclass(eq=False)
class Job:
    """One job of an array."""

    call: Call
    number: int
    array: JobArray
    answer: Answer | None = None
    """What it has left, where SLURM is still to say how it has ended."""
    _state: JobState = field(default_factory=JobState, init=False)
    _ended: float | None = field(default=None, init=False)
    """When it was first seen to have ended."""
    _missed: int = field(default=0, init=False)
    """How many calls of `squeue` in a row have not listed it."""

    @property
    def id(self) -> str:
        """As `squeue` prints it."""
        return f"{self.array.id}_{self.number}"

    @property
    def answer_file(self) -> Path:
        """Where it leaves its answer."""
        return self.array.folder / f"{self.number}{ANSWER}"

    def take_answer(self) -> None:
        """Read the answer that is there, and settle the command unless SLURM is to be asked."""
        try:
            self.answer = read_answer(self.array.key, self.array.folder, self.number)
        except Forged:
            self._fail("has left an answer that it has not written itself")
            return
        if not _asks_why(self.answer):
            self._settle()

    def update(self, state: JobState | None, now: float) -> bool:
        """Take in how SLURM says that it is, None where it knows no such job; whether that is new.

        Settles the command where that is its end.
        """
        if state is None:
            self._missed += 1
            if self._missed < _VANISHED:
                return False
            self._vanish(now)
            return True
        self._missed = 0
        is_new = state.code != self._state.code
        self._state = state
        if state.never_starts:
            self._fail(f"will never be started: {state.reason}")
        elif state.has_ended:
            self._end(now)
        return is_new

    def _end(self, now: float) -> None:
        """Judge a job that SLURM says has ended."""
        self._ended = self._ended or now
        since = now - self._ended
        if self.answer is None and _exists(self.answer_file):
            self.take_answer()
            if self.number not in self.array.open:
                return
        (code, reason, _, ran), log = self._state, self._log()
        if code in MEMORY_STATES or _OVER_MEMORY.search(log):
            self._settle(Limit.MEMORY)
        elif code in TIME_STATES:
            self._settle(Limit.TIME)
        elif code in NODE_STATES:
            self._fail(f"was lost with its node ({reason})")
        elif code in CANCELLED_STATES:
            after = f", after {ran}" if ran else ""
            self._fail(f"was {code.lower()} by somebody else{after}")
        elif self.answer is not None:
            self._settle()
        elif since > (_REPORTING if code == "COMPLETED" else _REPORTING / 4):
            said = f": {last_lines(log, 1)}" if log.strip() else f" ({reason})"
            self._fail(f"has ended as {code}, and left no answer{said}")

    def _vanish(self, now: float) -> None:
        """A job of which no controller knows any more, though the accounting may."""
        state = accounted_state(self.array.name, self.id)
        if state.has_ended:
            self._state = state._replace(reason=self._state.reason)
            self._end(now)
        elif _OVER_MEMORY.search(self._log()):
            self._settle(Limit.MEMORY)
        elif self.answer is not None and not self.answer.asked_to_end:
            self._settle()
        else:
            self._fail("has vanished: SLURM knows no such job any more")

    def _settle(self, limit: Limit | None = None) -> None:
        """Settle the command by the answer, or as killed for a limit of the job's."""
        answer = self.answer
        if limit is None and answer is not None and answer.finished is None:
            self._fail(f"could not run the command: {answer.failure}")
            return
        known = answer.finished if answer is not None else None
        finished = known or Finished(
            self.call.request.argv,
            -signal.SIGKILL,
            "",
            self._log(),
            0.0,
            started=time.time(),
        )
        words, excess = self._words(limit), ""
        asked, used = memory_asked(self.call.options), answer.memory if answer else 0
        if limit is None and asked and used > asked:
            excess = f"{words} asked for {asked >> 20} MB, and was seen to have {used >> 20} MB"
        self.call.settle(replace(finished, limit=limit, job=words, excess=excess))
        self.array.open.pop(self.number, None)

    def _fail(self, why: str) -> None:
        """Say why nothing is known of the command's end, which is the cluster's fault."""
        if not self._state.has_ended:
            run_program(["scancel", self.id])
        self.call.settle(None, f"{self._words()} {why}")
        self.array.open.pop(self.number, None)

    def _words(self, limit: Limit | None = None) -> str:
        """The job in words, with what it asked for and had of what it was ended for."""
        node = (self.answer.node if self.answer else "") or self._state.node
        words = f"SLURM job {self.id}" + (f" on node {node}" if node else "")
        if limit is None:
            return words
        asked = [
            found[1] for line in self.call.options.lines for found in _ASKED[limit].finditer(line)
        ]
        said = asked[-1] if asked else f"no {limit} of its own, but the default of the partition"
        words += f", which asked for {said}"
        if limit is Limit.TIME and self._state.ran:
            words += f", and ran for {self._state.ran}"
        if limit is Limit.MEMORY and (used := self._memory()):
            words += f", and was seen to have {used >> 20} MB"
        return words

    def _memory(self) -> int:
        """The most bytes that it was seen to have; 0 where nobody has seen it."""
        most = self.answer.memory if self.answer else 0
        with contextlib.suppress(OSError, ValueError):
            file = self.array.folder / f"{self.number}{SEEN}"
            most = max(most, int(read_regular(file, 100, follow=False)))
        return max(most, *map(int, _OVER_BYTES.findall(self._log())), 0)

    def _log(self) -> str:
        """What it, and SLURM about it, have printed."""
        with contextlib.suppress(OSError):
            file = self.array.folder / f"{self.number}.log"
            return read_regular(file, FILE_LIMIT, follow=False).decode(errors="replace")
        return ""


def _asks_why(answer: Answer) -> bool:
    """Whether a command may have been ended by SLURM, which then says why."""
    finished = answer.finished
    killed = finished is not None and finished.returncode < 0 and not finished.timed_out
    return answer.asked_to_end or killed


def _exists(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return path.is_file()
    return False
