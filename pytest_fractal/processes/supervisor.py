"""Runs one command so that nothing of it outlives the run. Started in a process of its own.

A process group ends with its members, but a daemon leaves the group: it forks twice and
begins a session of its own. On Linux this supervisor makes itself the one to whom such
orphans are handed (`PR_SET_CHILD_SUBREAPER`), so every process that the command has left
is a child or grandchild of it, and none can hide. Elsewhere it sees nothing, and the
process group of the command is all that is ended.

Its arguments (`argv` makes the whole command line) are one of

    CHANNEL[,HANDED] COMMAND...
    --while-locked WANTED ALIVE COMMAND...

CHANNEL is the number of an open descriptor: a socket whose other end is the caller's; HANDED
that of another one, which the command inherits. On the socket the supervisor writes a line
with a JSON object when all is over: `status`, how the command ended; `ended`, the time in
nanoseconds; `lingered`, whether a process of the command's was alive then; `left`, the
command line of each that did not end soon by itself. All of them are killed, also when
SIGTERM comes first, or the caller ends, by whatever signal.

It is two processes, one the parent of the other: a command may kill either of them, and the
other one ends what it has started. It imports little, for it is started every time.

In the second form it keeps a server alive: for as long as some process holds a lock
(`flock`) on the file WANTED, however that process may end. Then it interrupts the command,
and ends everything. It holds a lock on the file ALIVE itself, until nothing is left.
"""

from __future__ import annotations

import _thread
import errno
import os
import sys
import time

# What else is imported, such as contextlib, threading, or the enumerations of signal, takes as
# long as Python needs to start.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Collection, Iterator
    from typing import NoReturn
else:
    try:
        import _signal as signal
    except ImportError:  # another implementation of Python
        import signal

PR_SET_DUMPABLE = 4
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
SETTLING = 1.0
"""Seconds for a child that is just ending: it waits for a pipe to be closed, or clears up."""
IDLE_TICKS = 1
"""Clock ticks (mostly of 10 ms) that a process may use in half that time and still be idle."""
HELPERS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver", "loky.")
"""Python's own helpers, which end by themselves when the process that they serve has ended."""
HELPERS_SETTLING = 20.0
"""Seconds for those: on a busy machine it may take them long."""
REPORTED = 50
"""How many of the processes that were left are reported, each by so many letters times ten."""
SWEEPING = 10.0
"""Seconds after which processes that start others faster than they can be ended are given up."""
LOOKS = 10
"""How often in a row no process must be seen until it is believed that there is none."""

LAUNCH = (
    "import os, sys; file = sys.argv.pop(1); sys.path.append(os.path.dirname(file)); "
    "import supervisor; supervisor.main()"
)
"""Imports this module by its file: a script would be compiled anew at each start."""

_groups: list[int] = []
"""The process groups of the commands that were started here."""


class suppress:
    """What contextlib has by this name."""

    def __init__(self, *kinds: type[BaseException]) -> None:
        self._kinds = kinds

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is not None and issubclass(kind, self._kinds)


def argv(*arguments: str) -> list[str]:
    """The command line of a supervisor with these arguments."""
    return [sys.executable, "-I", "-S", "-c", LAUNCH, __file__, *arguments]


def control(option: int, value: int) -> None:
    """Ask something of the kernel for this process (`prctl`), where it can be asked."""
    with suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def adopt_orphans() -> None:
    """Become the parent of every orphan among the descendants, where the system can do that."""
    control(PR_SET_CHILD_SUBREAPER, 1)


def end_with_parent() -> None:
    """Be killed when the process that started this one is, where the system can do that."""
    control(PR_SET_PDEATHSIG, signal.SIGKILL)


def hide() -> None:
    """Keep other processes of this user, unless it is root, out of this one's memory.

    Its environment, too, and its open files.
    """
    control(PR_SET_DUMPABLE, 0)


def living() -> dict[int, int]:
    """The parents of all living processes, by number. Empty without /proc."""
    found = {}
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", errors="replace") as file:
                    state, parent = file.read().rpartition(")")[2].split()[:2]
            except (OSError, ValueError):
                continue
            if state not in "ZX":
                found[int(name)] = int(parent)
    return found


def descendants(root: int | None = None) -> set[int]:
    """The living processes below one, or below this. Empty without /proc."""
    parents = living()
    found: set[int] = set()
    new = {root or os.getpid()}
    while new:
        new = {pid for pid, parent in parents.items() if parent in new} - found
        found |= new
    return found


def command_line(pid: int) -> str:
    """What the process was started as, as a person would type it."""
    words: list[str] = []
    with suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
        words = file.read(4096).decode(errors="replace").split("\0")
    return " ".join(words).strip() or f"process {pid}"


def children() -> set[int]:
    """The children of this process, also those that have ended. Empty without /proc."""
    found: set[int] = set()
    try:
        for thread in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{thread}/children") as file:
                found.update(map(int, file.read().split()))
    except OSError:  # a kernel without such files
        return {pid for pid, parent in living().items() if parent == os.getpid()}
    return found


def kill_all() -> None:
    """End every descendant, and those that they start meanwhile.

    Whoever loses its parent becomes a child of this process. So it ends its children until it
    has none: looking for them takes less time than a process needs to start another one and to
    end, while a search through all processes finds only what such a chain has left behind.
    """
    if not os.path.isdir("/proc"):
        signal_each(_groups, os.killpg, signal.SIGKILL)
    known: set[int] = set()
    while found := children():
        signal_each(found, os.kill, signal.SIGKILL)
        reap()
        if found == known:
            time.sleep(0.001)
        known = found


def kill_marked(variable: str) -> None:
    """End every process whose environment began with a variable that begins like this.

    Such were started by a supervisor that has been killed. Without /proc none is found. Each
    is killed as soon as it is seen, for it may start another one and end; and that none is
    seen once does not show that there is none.
    """
    began = time.monotonic()
    unseen = 0
    while unseen < LOOKS and time.monotonic() - began < SWEEPING:
        unseen += 1
        for pid in marked(variable):
            signal_each([pid], os.kill, signal.SIGKILL)
            unseen = 0


def signal_each(
    numbers: Collection[int], send: Callable[[int, int], None], number: signal.Signals
) -> None:
    """Send a signal to processes or to groups, of which some may be gone."""
    for process_id in numbers:
        with suppress(OSError):
            send(process_id, number)


def marked(variable: str) -> Iterator[int]:
    """The other living processes that were started with a variable that begins like this.

    The youngest come first.
    """
    wanted = b"\0" + variable.encode()
    names = os.listdir("/proc") if os.path.isdir("/proc") else ()
    for pid in sorted((int(name) for name in names if name.isdigit()), reverse=True):
        with suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
            if wanted in b"\0" + file.read() and pid != os.getpid():
                yield pid


def reap() -> None:
    """Take leave of the children that have ended."""
    with suppress(OSError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def wait_for(child: int) -> int | None:
    """Wait until a child has ended; returns its status, negative for a signal.

    None where another thread, which ends everything, has taken leave of it. Orphans that end
    meanwhile are reaped: a command may leave thousands, and the system has but so many numbers
    for processes.
    """
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, 0)
            if pid == child:
                return os.waitstatus_to_exitcode(status)
    return None


def patience(left: Collection[int]) -> float:
    """How long to wait for these processes to end by themselves, in seconds."""
    helpers = all(any(name in command_line(pid) for name in HELPERS) for pid in left)
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
    """On a signal that stops it: kill everything, and exit."""
    kill_all()
    os._exit(128 + number)


def when_closed(descriptor: int, end: Callable[[], None]) -> None:
    """Call `end` as soon as nobody holds the other end of a pipe or socket any more."""

    def watch() -> None:
        with suppress(OSError):
            while os.read(descriptor, 4096):
                pass
        end()

    _thread.start_new_thread(watch, ())


def end_by(status: int) -> NoReturn:
    """End as a process has ended, whose status is negative for a signal."""
    if status < 0:
        # End by the same signal, so that the status tells it; but leave no second core.
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with suppress(OSError):  # SIGKILL needs no leave
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status if status >= 0 else 128 - status)


def keep(wanted: str, alive: str, command: list[str]) -> NoReturn:
    """Run a server until nobody holds the lock on `wanted` any more; never returns."""
    import fcntl

    own = os.open(alive, os.O_RDWR | os.O_CREAT)
    fcntl.flock(own, fcntl.LOCK_EX)
    held = os.open(wanted, os.O_RDONLY)
    adopt_orphans()
    hide()
    child = start(command)

    def watch() -> None:
        # The kernel gives the lock away when its holder has ended, even by SIGKILL.
        fcntl.flock(held, fcntl.LOCK_SH)
        with suppress(OSError):
            os.killpg(child, signal.SIGINT)
        time.sleep(SETTLING)
        kill_all()

    def interrupted(*_: object) -> None:
        kill_all()

    signal.signal(signal.SIGTERM, interrupted)
    _thread.start_new_thread(watch, ())
    status = wait_for(child) or 0
    kill_all()
    os._exit(status if status >= 0 else 128 - status)


def tell(channel: int, seen: dict[str, object]) -> None:
    """Write a line to the caller, unless it has ended."""
    if seen.get("left"):
        import json

        line = json.dumps(seen)
    else:  # numbers, truth values and empty lists
        line = ", ".join(f'"{name}": {str(value).lower()}' for name, value in seen.items())
        line = f"{{{line}}}"
    with suppress(OSError):
        os.write(channel, line.encode() + b"\n")


def start(command: list[str], handed: Collection[int] = ()) -> int:
    """Start a command in a group of its own; returns the number of the process.

    It inherits what is handed to it, the standard streams, and nothing else. Raises `OSError`
    or `ValueError` when it cannot be started.
    """
    for descriptor in handed:
        os.set_inheritable(descriptor, True)
    name = command[0]
    if not name:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
    folders = [""] if os.sep in name else os.get_exec_path()
    refused: OSError | None = None
    for folder in folders:
        path = os.path.join(folder, name)
        try:
            child = os.posix_spawn(
                path,
                command,
                os.environ,
                setpgroup=0,
                # What Python ignores for itself.
                setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
            )
        except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
            if refused is None or isinstance(error, PermissionError):
                refused = type(error)(error.errno, error.strerror, name)
            continue
        _groups.append(child)
        return child
    raise refused or FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)


def supervise(channel: int, handed: list[int], command: list[str]) -> NoReturn:
    """Run a command to its end, report it, and end what it has left; never returns."""
    try:
        # A group of its own: a command may signal its group, and must not meet us there.
        child = start(command, handed)
    except (OSError, ValueError) as error:
        sys.stderr.write(str(error))
        sys.stderr.flush()
        refusal = 127 if isinstance(error, FileNotFoundError) else 126
        tell(channel, {"status": refusal})
        os._exit(refusal)
    status = wait_for(child)
    if status is None:  # how it ended is not known; whoever has ended it ends this, too
        time.sleep(SWEEPING)
        os._exit(1)
    ended, started = time.time_ns(), time.monotonic()
    left = descendants()
    lingered = bool(left)
    before: dict[int, tuple[str, int]] = {}
    while left and time.monotonic() - started < patience(left):
        time.sleep(0.01)
        reap()
        left = descendants()
        if not before and time.monotonic() - started > SETTLING / 2:
            # Not from the beginning: it takes a process a moment to start.
            before = {pid: activity(pid) for pid in left}
    working = [pid for pid in left if is_working(pid, before.get(pid))]
    remaining, at_work = (
        sorted(command_line(pid)[: 10 * REPORTED] for pid in list(process_ids)[:REPORTED])
        for process_ids in (left, working)
    )
    kill_all()
    seen = {
        "status": status,
        "ended": ended,
        "lingered": lingered,
        "left": remaining,
        "working": at_work,
    }
    tell(channel, seen)
    end_by(status)


def main() -> NoReturn:
    """Run the command of the arguments; never returns."""
    if sys.argv[1] == "--while-locked":
        keep(sys.argv[2], sys.argv[3], sys.argv[4:])
    (channel, *handed), command = map(int, sys.argv[1].split(",")), sys.argv[2:]
    os.set_inheritable(channel, False)
    signal.signal(signal.SIGTERM, stopped)
    adopt_orphans()
    hide()
    below, above = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(above)
        adopt_orphans()
        when_closed(below, lambda: stopped(signal.SIGKILL, None))
        supervise(channel, handed, command)
    os.close(below)

    def end(number: int = signal.SIGKILL, _: object = None) -> None:
        kill_all()
        if not os.path.isdir("/proc"):
            os.close(above)  # the other one knows the command's group
            os.waitpid(child, 0)
        os._exit(128 + number)

    signal.signal(signal.SIGTERM, end)
    when_closed(channel, end)
    try:
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except ChildProcessError:  # `end` was there first, and will end this
        time.sleep(SWEEPING)
        os._exit(1)
    kill_all()
    end_by(status)
