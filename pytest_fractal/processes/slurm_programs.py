"""SLURM's programs: how they are called, and the scripts that are handed to `sbatch`."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from pytest_fractal.errors import BadInput, HarnessError
from pytest_fractal.processes.executors import JobOptions
from pytest_fractal.processes.variables import cluster_variables

CALL_LIMIT: Final = 60.0
"""Seconds for a call of one of SLURM's programs."""
_OUTAGE: Final = 300.0
"""Seconds for which a controller that does not answer is waited for."""

_MEMORY: Final = re.compile(r"\s--mem[= ](\d+)([KMGT]?)\b")
_WAITS: Final = re.compile(r"\s(?:--wait\b|-W\b)")
"""What would keep `sbatch` from returning before its job has ended."""
_UNCONFIGURED: Final = re.compile(r"fatal: .*\bconfiguration (?:source|file)")


def run_program(
    argv: Sequence[str], script: str = "", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one of SLURM's programs; one that does not answer or cannot be started has failed."""
    try:
        return subprocess.run(
            argv,
            input=script,
            env={**cluster_variables(), "LC_ALL": "C.UTF-8", **(env or {})},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=CALL_LIMIT,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(argv, 1, "", f"no answer within {CALL_LIMIT:.0f} s")
    except OSError as error:
        return subprocess.CompletedProcess(argv, 1, "", str(error))


def ask_controller(
    argv: Sequence[str],
    wait: Callable[[], object],
    script: str = "",
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program that asks the controller, again and again while none answers.

    `wait` is called in between, and may raise. Raises `HarnessError` where no controller answers
    for minutes.
    """
    failing_since: float | None = None
    while True:
        ended = run_program(argv, script, env)
        # One that knows of no cluster at all will never get an answer.
        if ended.returncode == 0 or _UNCONFIGURED.search(ended.stderr):
            return ended
        if run_program(["scontrol", "ping"]).returncode == 0:
            return ended
        failing_since = failing_since or time.monotonic()
        if time.monotonic() - failing_since > _OUTAGE:
            raise HarnessError(
                f"no controller of SLURM has answered for {_OUTAGE / 60:.0f} minutes: "
                f"{said_by(ended.stderr)}"
            )
        wait()


def cluster_setting(name: str) -> str:
    """A setting of the cluster's; empty where it tells none."""
    config = run_program(["scontrol", "show", "config"]).stdout
    found = re.search(rf"^{name}\s*=\s*(\S+)", config, re.M)
    return found[1] if found else ""


def check_installed() -> None:
    """Raise `BadInput` where SLURM's programs are not installed, or look for no such file."""
    missing = [name for name in ("sbatch", "squeue", "scancel") if shutil.which(name) is None]
    if missing:
        raise BadInput(
            f"--fractal-executor=slurm: there is no {missing[0]} here, by which jobs reach SLURM"
        )
    conf = cluster_variables().get("SLURM_CONF")
    if conf and not Path(conf).is_file():  # they would look for it for a minute
        raise BadInput(f"--fractal-executor=slurm: SLURM_CONF={conf}: no such file")


def job_script(job: JobOptions, commands: Sequence[str]) -> str:
    """The script of a job: what it asks for, and then these lines of shell."""
    return "\n".join(["#!/bin/sh", *directives(job), *commands, ""])


def directives(job: JobOptions) -> Iterator[str]:
    """The `#SBATCH` lines, but for those that have `sbatch` wait until the job ends."""
    return (line for line in _lines(job) if line.startswith("#SBATCH") and not _WAITS.search(line))


def memory_asked(job: JobOptions) -> int:
    """How many bytes a job asks for; 0 where it does not say, or wants all of a node."""
    asked = 0
    for line in directives(job):
        if (found := _MEMORY.search(line)) is not None:
            asked = int(found[1]) << (10 * ("KMGT".index(found[2] or "M") + 1))
    return asked


def shell_lines(job: JobOptions) -> Iterator[str]:
    """What a package has a shell run: within the walls, as everything of the package's."""
    return (line for line in _lines(job) if not line.startswith("#SBATCH"))


def _lines(job: JobOptions) -> Iterator[str]:
    return (line for text in job.lines for line in text.splitlines())


def said_by(said: str) -> str:
    """What a program of SLURM's said, in one line and without its own name."""
    lines = (
        re.sub(r"^(?:sbatch|squeue): (?:(?:error|fatal): )?", "", line)
        for line in said.splitlines()
    )
    kept = [line.strip() for line in lines if line.strip() and not line.startswith("Try ")]
    return "; ".join(dict.fromkeys(kept))
