"""Runs one command so that nothing of it outlives the run. Started as a script of its own.

A process group ends with its members, but a daemon leaves the group: it forks twice and
begins a session of its own. On Linux this supervisor makes itself the one to whom such
orphans are handed (`PR_SET_CHILD_SUBREAPER`), so every process that the command has left
is a child or grandchild of it, and none can hide. Elsewhere it sees nothing, and the
process group is all that is ended.

Usage: python supervisor.py REPORT COMMAND...
       python supervisor.py --while-locked WANTED ALIVE COMMAND...

Ends as the command ended, and writes to the file REPORT a JSON object: `ended`, the time
in nanoseconds; `lingered`, whether a process of the command's was alive then; `left`, the
command line of each that did not end soon by itself; `working`, of those the ones that did
something meanwhile. All of them are killed, also when SIGTERM comes first. It imports little,
for it is started every time.

In the second form it keeps a server alive: for as long as some process holds a lock
(`flock`) on the file WANTED, however that process may end. Then it interrupts the command,
and ends everything. It holds a lock on the file ALIVE itself, until nothing is left.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

PR_SET_CHILD_SUBREAPER = 36
SETTLING = 1.0
"""Seconds for a child that is just ending: it waits for a pipe to be closed, or clears up."""
IDLE_TICKS = 1
"""Clock ticks (mostly of 10 ms) that a process may use in half that time and still be idle."""
HELPERS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver", "loky.")
"""Python's own helpers, which end by themselves when the process that they serve has ended."""
HELPERS_SETTLING = 20.0
"""Seconds for those: on a busy machine it may take them long."""


def adopt_orphans() -> None:
    """Become the parent of every orphan among the descendants, where the system can do that."""
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants(root: int | None = None) -> dict[int, str]:
    """The living processes below one, or below this: pid -> command line. Empty without /proc."""
    parents = {}
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", errors="replace") as file:
                    state, parent = file.read().rpartition(")")[2].split()[:2]
            except (OSError, ValueError):
                continue
            if state not in "ZX":
                parents[int(name)] = int(parent)
    found: dict[int, str] = {}
    new = {root or os.getpid()}
    while new:
        new = {pid for pid, parent in parents.items() if parent in new and pid not in found}
        found |= {pid: command_line(pid) for pid in new}
    return found


def command_line(pid: int) -> str:
    """What the process was started as, as a person would type it."""
    words: list[str] = []
    with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
        words = file.read().decode(errors="replace").split("\0")
    return " ".join(words).strip() or f"process {pid}"


def kill_all() -> None:
    """End every descendant, and those that they start meanwhile."""
    while alive := descendants():
        for pid in alive:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        reap()
        time.sleep(0.001)


def reap() -> None:
    """Take leave of the children that have ended."""
    with contextlib.suppress(OSError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def patience(left: dict[int, str]) -> float:
    """How long to wait for these processes to end by themselves, in seconds."""
    helpers = all(any(name in line for name in HELPERS) for line in left.values())
    return HELPERS_SETTLING if helpers else SETTLING


def activity(pid: int) -> tuple[str, int]:
    """The state of a process's main thread, and the clock ticks that it has used until now."""
    try:
        with open(f"/proc/{pid}/stat", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        return fields[0], int(fields[11]) + int(fields[12])
    except (OSError, ValueError, IndexError):
        return "X", 0


def is_working(pid: int, before: tuple[str, int] | None) -> bool:
    """Whether a process does something: it runs, or has used time since `before`.

    Without a `before` it is one that was started meanwhile.
    """
    state, ticks = activity(pid)
    return before is None or state in "RD" or ticks - before[1] > IDLE_TICKS


def stopped(number: int, _: object) -> None:
    """Told to stop: take everything along."""
    kill_all()
    os._exit(128 + number)


def keep(wanted: str, alive: str, command: list[str]) -> None:
    """Run a server until nobody holds the lock on `wanted` any more; never returns."""
    import fcntl
    import threading

    own = os.open(alive, os.O_RDWR | os.O_CREAT)
    fcntl.flock(own, fcntl.LOCK_EX)
    held = os.open(wanted, os.O_RDONLY)
    adopt_orphans()
    process = subprocess.Popen(command, process_group=0)

    def watch() -> None:
        # The kernel gives the lock away when its holder has ended, even by SIGKILL.
        fcntl.flock(held, fcntl.LOCK_SH)
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGINT)
        time.sleep(SETTLING)
        kill_all()

    def interrupted(*_: object) -> None:
        kill_all()

    signal.signal(signal.SIGTERM, interrupted)
    threading.Thread(target=watch, daemon=True).start()
    status = process.wait()
    kill_all()
    os._exit(status if status >= 0 else 128 - status)


def main() -> None:
    """Run the command of the arguments; never returns."""
    if sys.argv[1] == "--while-locked":
        keep(sys.argv[2], sys.argv[3], sys.argv[4:])
    report, command = sys.argv[1], sys.argv[2:]
    adopt_orphans()
    signal.signal(signal.SIGTERM, stopped)
    try:
        # A group of its own: a command may signal its group, and must not meet us there.
        process = subprocess.Popen(command, process_group=0)
    except (OSError, ValueError) as error:
        sys.stderr.write(str(error))
        sys.stderr.flush()
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)
    status = process.wait()
    ended, started = time.time_ns(), time.monotonic()
    left = descendants()
    seen: dict[str, object] = {"ended": ended, "lingered": bool(left)}
    before: dict[int, tuple[str, int]] = {}
    while left and time.monotonic() - started < patience(left):
        time.sleep(0.01)
        reap()
        left = descendants()
        if not before and time.monotonic() - started > SETTLING / 2:
            # Not from the beginning: it takes a process a moment to start.
            before = {pid: activity(pid) for pid in left}
    working = [line for pid, line in left.items() if is_working(pid, before.get(pid))]
    kill_all()
    with open(report, "w") as file:
        json.dump({**seen, "left": sorted(left.values()), "working": sorted(working)}, file)
    if status < 0:
        # End by the same signal, so that the status tells it; but leave no second core.
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(OSError):  # SIGKILL needs no leave
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


if __name__ == "__main__":
    main()
