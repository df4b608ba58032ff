"""Ends what a run has left when the run itself was killed. Started as a script of its own.

Usage: python watcher.py MARK FOLDER KEEP [SCRATCH], with a pipe as standard input.

The other end of the pipe is held by the process that answers for the run, and by nobody
else: the kernel closes it, however that process may end. Then the supervisors, which watch
pipes of their own, end what they have started. The watcher cancels the jobs that the run has on
a cluster, where it has some, waits for the supervisors, ends every process that still has a
MARK of the run in its environment, has done what was left to be done at last, and removes the
folder SCRATCH, and the FOLDER unless KEEP is 1.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
import time

if __name__ == "__main__":
    sys.path.append(os.path.dirname(os.path.abspath(__file__)))
    import supervisor  # type: ignore[import-not-found]
else:
    from pytest_fractal.processes import supervisor

PATIENCE = 15.0
"""Seconds in which the supervisors end what they have started."""
AT_LAST = ".last"
"""The suffix of files that hold a command to be run when all processes have ended."""
LIMIT = 30.0
"""Seconds for each of those."""
JOBS = "jobs"
"""The folder in the run's that is there when it had jobs on a cluster, called as the folder is."""
LOCK = "lock"
"""The file in the run's folder that is locked for as long as the run lasts."""
OUTAGE = 120.0
"""Seconds in which a controller of the cluster that does not answer is asked again."""

DEEP = 250
"""Characters of a path below which folders are looked into where they are."""


def main() -> None:
    """Wait for the end of the run, and see to it that nothing is left."""
    mark, folder, keep, *scratch = sys.argv[1:]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")
    supervisor.hide()
    while os.read(0, 4096):
        pass
    if os.path.isdir(os.path.join(folder, JOBS)):
        cancel_jobs(os.path.basename(folder), OUTAGE)
    began = time.monotonic()
    while any(supervisor.marked(mark)) and time.monotonic() - began < PATIENCE:
        time.sleep(0.05)
    supervisor.kill_marked(mark)
    finish(os.path.join(folder, "servers"))
    for path in scratch if keep == "1" else [folder, *scratch]:
        remove_run(path)


def cancel_jobs(name: str, patience: float = 0.0) -> None:
    """Cancel this user's jobs with this name, and wait for their end.

    A controller has `patience` seconds to answer. Until its end, a job writes into the folder of
    its run.
    """
    chosen = (f"--user={os.geteuid()}", f"--name={name}")
    deadline = time.monotonic() + patience
    while _output("scancel", *chosen) is None:
        if time.monotonic() > deadline:
            return
        time.sleep(2)
    deadline = time.monotonic() + PATIENCE
    while _output("squeue", "--noheader", *chosen) and time.monotonic() < deadline:
        time.sleep(0.1)


def _output(*argv: str) -> str | None:
    """What a program of SLURM's prints; None where it fails, or does not answer."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            timeout=LIMIT,
            check=True,
        ).stdout
    return None


def finish(hold: str) -> None:
    """Run the commands that were to be run at last, each of them once."""
    names = os.listdir(hold) if os.path.isdir(hold) else []
    for name in sorted(names):
        if name.endswith(AT_LAST):
            path = os.path.join(hold, name)
            with contextlib.suppress(OSError, ValueError, subprocess.SubprocessError):
                with open(path, encoding="utf-8") as file:
                    argv, env = json.load(file)
                os.unlink(path)
                subprocess.run(
                    argv,
                    env={"PATH": os.environ.get("PATH", os.defpath), **env},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    timeout=LIMIT,
                    check=False,
                )


def remove_run(folder: str | os.PathLike[str]) -> None:
    """Remove a run's folder. While something stays, so does its lock: the next run goes on."""
    remove_tree(folder, last=LOCK)


def remove_tree(folder: str | os.PathLike[str], *, last: str = "") -> None:
    """Remove a folder with everything in it: read-only folders, and thousands in each other.

    What cannot be removed stays, and so does the file called `last` in it then. A folder deep
    below is moved up to the top before it is looked into, so that no path grows too long, and
    nothing recurses.
    """
    top = os.fspath(folder)
    kept = os.path.join(top, last)
    waiting, found = [top], []
    moved = 0
    while waiting:
        here = waiting.pop()
        found.append(here)
        try:
            mode = os.lstat(here).st_mode
            if not stat.S_ISDIR(mode):
                continue
            if mode & stat.S_IRWXU != stat.S_IRWXU:
                os.chmod(here, stat.S_IRWXU)
            with os.scandir(here) as entries:
                inside = list(entries)
        except OSError:
            continue
        for entry in inside:
            path = entry.path
            with contextlib.suppress(OSError):
                if not entry.is_dir(follow_symlinks=False):
                    if path != kept:
                        os.unlink(path)
                    continue
                if len(path) > DEEP:
                    os.chmod(path, stat.S_IRWXU)  # else it may not be moved
                    moved += 1
                    path = os.path.join(top, f".removing-{os.getpid()}-{moved}")
                    os.rename(entry.path, path)
                waiting.append(path)
    for here in reversed(found):  # those inside others come after them
        with contextlib.suppress(OSError):
            if here == top and os.listdir(top) == [last]:
                os.unlink(kept)
            os.rmdir(here)


if __name__ == "__main__":
    main()
