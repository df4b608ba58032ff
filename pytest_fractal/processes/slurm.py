"""Commands as jobs of a SLURM cluster, each with what its task asks for.

A job runs `slurm_node.py` on its node, which runs the command under the same supervisor and
within the same walls as on this machine, and leaves its answer in the run's folder.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from pytest_fractal.errors import BadInput, HarnessError
from pytest_fractal.processes import sandbox
from pytest_fractal.processes.executors import ANY_JOB, JobOptions
from pytest_fractal.processes.processes import Finished
from pytest_fractal.processes.slurm_job import Call
from pytest_fractal.processes.slurm_node import Request, Walls
from pytest_fractal.processes.slurm_programs import (
    ask_controller,
    check_installed,
    cluster_setting,
    job_script,
    said_by,
    shell_lines,
)
from pytest_fractal.processes.slurm_queue import LARGEST_ARRAY, JobQueue
from pytest_fractal.processes.variables import cluster_variables

_CHECK: Final = 60.0
"""Seconds for the job that looks at the run's folder."""

_LOOKING: Final = 'for path; do test -e "$path" || echo "$path"; done'


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
        self._queue = JobQueue(width, folder)
        self._refusals: dict[JobOptions, str] = {}

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
        return LARGEST_ARRAY

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
        return self._queue.run(Call(request, job))

    def refusal(self, job: JobOptions) -> str:
        """Why the cluster takes no such job, in SLURM's words; empty if it does."""
        if job not in self._refusals:
            asked = ["sbatch", "--test-only"]
            ended = ask_controller(asked, self._queue.pause, job_script(job, []))
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
            finished = self._queue.run(Call(request, self._defaults))
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
        self._queue.close()


def _walls(room: Path) -> Walls | None:
    run = sandbox.around(room)
    return Walls(str(run.folder), *run.shared) if run is not None else None
