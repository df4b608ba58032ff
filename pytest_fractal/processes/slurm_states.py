"""What SLURM says of jobs: those that it still knows, and those that are only accounted for."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from pytest_fractal.processes.slurm_programs import ask_controller, run_program

MEMORY_STATES: Final = frozenset({"OUT_OF_MEMORY"})
TIME_STATES: Final = frozenset({"TIMEOUT", "DEADLINE"})
NODE_STATES: Final = frozenset({"NODE_FAIL", "BOOT_FAIL", "LAUNCH_FAILED"})
CANCELLED_STATES: Final = frozenset({"CANCELLED", "PREEMPTED", "REVOKED"})
_ENDED_STATES: Final = (
    frozenset({"COMPLETED", "FAILED", "SPECIAL_EXIT"})
    | MEMORY_STATES
    | TIME_STATES
    | NODE_STATES
    | CANCELLED_STATES
)
"""The states of a job that has ended (squeue(1), "JOB STATE CODES")."""
_NEVER: Final = frozenset(
    {
        *("BadConstraints", "PartitionTimeLimit", "PartitionNodeLimit", "InvalidAccount"),
        *("InvalidQOS", "JobHeldUser", "DependencyNeverSatisfied", "AccountNotAllowed"),
    }
)
"""The reasons for which a job never starts, however long it waits ("JOB REASON CODES")."""


class JobState(NamedTuple):
    """How a job is, in SLURM's own words; empty where it says nothing."""

    code: str = ""
    """Such as `RUNNING`."""
    reason: str = ""
    node: str = ""
    ran: str = ""
    """For how long."""

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it will run any more."""
        return self.code in _ENDED_STATES

    @property
    def never_starts(self) -> bool:
        """Whether it waits for what will not come."""
        return self.code == "PENDING" and self.reason in _NEVER


def known_states(name: str, wait: Callable[[], object]) -> Mapping[str, JobState] | None:
    """How all jobs of a name are, by their ids; None where SLURM says nothing.

    See `ask_controller` for `wait`.
    """
    asked = ["squeue", "--noheader", "--array", "--states=all", f"--user={os.geteuid()}"]
    asked += [f"--name={name}", "--format=%i|%T|%r|%N|%M"]
    ended = ask_controller(asked, wait)
    if ended.returncode:
        return None
    states = {}
    for line in ended.stdout.splitlines():
        job, code, reason, node, ran = (*line.strip().split("|"), "", "", "", "")[:5]
        states[job] = JobState(code, reason, node, ran)
    return states


def accounted_state(name: str, job: str) -> JobState:
    """How a job is by the accounting, which may know it when no controller does any more."""
    asked = ["sacct", "--noheader", "--parsable2", "--allocations"]
    asked += [f"--name={name}", f"--jobs={job}", "--format=State,Elapsed,NodeList"]
    code, ran, node = (*run_program(asked).stdout.strip().split("|"), "", "")[:3]
    return JobState(code.partition(" ")[0], "", node, ran)  # of "CANCELLED by 0"
