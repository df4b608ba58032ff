"""Whatever a command leaves running is seen, and is dead after the run."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from pytest_fractal.processes import processes
from pytest_fractal.processes.processes import Canceller, Finished
from pytest_fractal.processes.variables import task_variables

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="seen in /proc alone")

STAY = """
import os, signal, sys, time
def stay():
    # Says who it is, closes its pipes as a daemon does, and stays.
    fd = os.open(f"pids/{os.getpid()}", os.O_CREAT)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    time.sleep(600)
def started(count=1):
    while len(os.listdir("pids")) < count:
        time.sleep(0.01)
"""

LEAVES = {
    "double fork": """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        stay()
    os._exit(0)
os.wait()
started()
""",
    "setsid": """
if os.fork() == 0:
    os.setsid()
    stay()
started()
""",
    "nohup": """
open("stay.py", "w").write('''
import os, time
open(f"pids/{os.getpid()}", "w").close()
time.sleep(600)
''')
os.system(f"nohup {sys.executable} stay.py >/dev/null 2>&1 &")
started()
""",
    "ignores SIGTERM": """
if os.fork() == 0:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    stay()
started()
""",
    "a chain of five, each of which starts the next": """
for number in range(5):
    if os.fork() != 0:
        break
    os.setsid()
else:
    stay()
if number:
    stay()
started(5)
""",
    "five that are replaced when they end": """
def keep(number):
    while True:
        pid = os.fork()
        if pid == 0:
            stay()
        os.wait()
for number in range(5):
    if os.fork() == 0:
        os.setsid()
        open(f"pids/{os.getpid()}", "w").close()
        keep(number)
started(10)
""",
    "holds the output open": """
if os.fork() == 0:
    open(f"pids/{os.getpid()}", "w").close()
    time.sleep(600)
started()
""",
}


def run(
    folder: Path, program: str, timeout: float | None = 60, stopper: Canceller | None = None
) -> Finished:
    """Run a Python program under supervision."""
    (folder / "pids").mkdir()
    return processes.run(
        [sys.executable, "-I", "-S", "-c", STAY + program],
        cwd=folder,
        env=task_variables(folder),
        timeout=timeout,
        stopper=stopper,
        room=folder,
    )


def living(folder: Path) -> list[str]:
    """The processes that have said who they are, and are alive still."""
    return [path.name for path in (folder / "pids").iterdir() if alive(int(path.name))]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


@pytest.mark.parametrize("way", LEAVES)
def test_what_a_command_leaves_is_reported_and_dead(tmp_path: Path, way: str) -> None:
    finished = run(tmp_path, LEAVES[way])
    assert finished.returncode == 0, finished.stderr
    assert finished.lingered
    assert len(finished.left) >= (5 if "five" in way else 1)
    assert all("python" in line for line in finished.left)  # the command line of each
    assert living(tmp_path) == []


@pytest.mark.parametrize(
    ("does", "works"),
    [
        ("time.sleep(600)", False),
        ("while True: pass", True),
        ("while True: os.path.exists('/')", True),
        ("while True: os.close(os.open('w', os.O_CREAT)); os.unlink('w')", True),
        ("threading.Thread(target=spin).start(); time.sleep(600)", True),
        ("signal.pause()", False),
    ],
)
def test_a_process_at_work_is_distinguished_from_one_that_waits(
    tmp_path: Path, does: str, works: bool
) -> None:
    program = f"""
import threading
def spin():
    while True: pass
if os.fork() == 0:
    os.setsid()
    open(f"pids/{{os.getpid()}}", "w").close()
    {does}
started()
"""
    finished = run(tmp_path, program)
    assert len(finished.left) == 1
    assert finished.working == (finished.left if works else ())
    assert living(tmp_path) == []


@pytest.mark.parametrize("way", ["double fork", "ignores SIGTERM"])
def test_it_is_dead_too_when_the_time_is_up(tmp_path: Path, way: str) -> None:
    finished = run(tmp_path, f"{LEAVES[way]}\nstay()", timeout=2)
    assert finished.timed_out
    assert living(tmp_path) == []
    assert list((tmp_path / "pids").iterdir()) != []


def test_it_is_dead_too_when_the_run_is_stopped(tmp_path: Path) -> None:
    """As on Ctrl-C, which closes the pool from another thread."""
    stopper = Canceller()
    os.mkfifo(tmp_path / "ready")

    def stop() -> None:
        (tmp_path / "ready").read_bytes()  # waits for the command to have left a daemon
        stopper.stop()

    thread = threading.Thread(target=stop, daemon=True)
    thread.start()
    program = f"""{LEAVES["double fork"]}
open(f"pids/{{os.getpid()}}", "w").close()
open("ready", "w").close()
time.sleep(600)
"""
    finished = run(tmp_path, program, None, stopper)
    thread.join()
    assert finished.returncode == 128 + signal.SIGTERM
    assert len(list((tmp_path / "pids").iterdir())) == 2
    assert living(tmp_path) == []


def test_what_ends_before_the_command_is_reaped_meanwhile(tmp_path: Path) -> None:
    """Else a long run of short-lived daemons would use up all numbers of processes."""
    program = """
def ended():
    found = 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            state, parent = open(f"/proc/{name}/stat").read().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        found += state == "Z" and int(parent) == os.getppid()
    return found
reading, writing = os.pipe()
for _ in range(50):
    if os.fork() == 0:
        os._exit(0 if os.fork() else 1)
    os.wait()
os.close(writing)
os.read(reading, 1)  # until the last of them has ended
while ended():
    time.sleep(0.01)
"""
    finished = run(tmp_path, program)
    assert not finished.timed_out
    assert (finished.returncode, finished.left) == (0, ()), finished.stderr


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSEGV", "SIGTERM", "SIGINT", "SIGABRT", "SIGPIPE"])
def test_a_signal_is_distinguished_from_a_status(tmp_path: Path, name: str) -> None:
    number = int(getattr(signal, name))
    finished = run(
        tmp_path,
        f"signal.signal({number}, signal.SIG_DFL)\nos.kill(os.getpid(), {number})"
        if name != "SIGKILL"
        else "os.kill(os.getpid(), 9)",
    )
    assert finished.ending == f"killed by signal {name}", finished.stderr
    assert finished.stderr == ""


@pytest.mark.parametrize("status", [0, 1, 2, 126, 127, 137, 255])
def test_a_status_is_handed_on(tmp_path: Path, status: int) -> None:
    finished = run(tmp_path, f"print('out'); print('err', file=sys.stderr); sys.exit({status})")
    assert (finished.returncode, finished.stdout, finished.stderr) == (status, "out\n", "err\n")
    assert (finished.left, finished.lingered) == ((), False)
    assert finished.ended is not None


@pytest.mark.parametrize(
    ("command", "status", "reported"),
    [
        (["not-there"], 127, "No such file or directory: 'not-there'"),
        (["/not/there"], 127, "No such file"),
        (["/"], 126, "Permission denied"),
        ([""], 126, "Permission denied"),
        (["./script"], 126, "Exec format error: './script'"),
    ],
)
def test_a_command_that_cannot_be_started(
    tmp_path: Path, command: list[str], status: int, reported: str
) -> None:
    (tmp_path / "script").write_text("echo a script that does not say what runs it\n")
    (tmp_path / "script").chmod(0o755)
    finished = processes.run(
        command,
        cwd=tmp_path,
        env=task_variables(tmp_path),
        timeout=60,
        room=tmp_path,
    )
    assert finished.returncode == status
    assert reported in finished.stderr
    assert "Traceback" not in finished.stderr


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux")
def test_a_command_inherits_no_file_and_no_signal_of_the_supervisor(tmp_path: Path) -> None:
    """Python ignores SIGPIPE for itself alone; what nohup has it ignore is for commands too."""
    own = {signal.SIGPIPE, signal.SIGXFSZ}
    ignoring = {one for one in signal.valid_signals() if signal.getsignal(one) is signal.SIG_IGN}
    looks = "cat /proc/$$/status; ls /proc/$$/fd"
    finished = processes.run(
        ["sh", "-c", looks],
        cwd=tmp_path,
        env=task_variables(tmp_path),
        timeout=60,
        room=tmp_path,
    )
    lines = finished.stdout.splitlines()
    assert lines[-3:] == ["0", "1", "2"]
    (mask,) = (int(line.split()[1], 16) for line in lines if line.startswith("SigIgn"))
    ignored = {number for number in range(1, 32) if mask >> (number - 1) & 1}  # 32 on: libc's
    assert ignored == ignoring - own


INNOCENT = {
    "a thread pool that ends before the exit": """
from concurrent.futures import ThreadPoolExecutor
pool = ThreadPoolExecutor(4)
for number in range(8):
    pool.submit(time.sleep, 0.05)
""",
    "multiprocessing with its resource tracker": """
import multiprocessing
from multiprocessing import shared_memory
if __name__ == "__main__":
    memory = shared_memory.SharedMemory(create=True, size=8)
    memory.close()
    memory.unlink()
""",
    "a fork server": """
import multiprocessing.forkserver
multiprocessing.forkserver.ensure_running()
""",
    "a process pool that is waited for": """
import concurrent.futures, multiprocessing
context = multiprocessing.get_context("fork")
with concurrent.futures.ProcessPoolExecutor(2, context) as pool:
    assert list(pool.map(abs, [-1, -2])) == [1, 2]
""",
    "a child that ends a moment later": """
if os.fork() == 0:
    time.sleep(0.1)
    os._exit(0)
""",
}


@pytest.mark.parametrize("way", INNOCENT)
def test_what_ends_by_itself_is_not_blamed(way: str) -> None:
    # Not in pytest's folder: the path of a socket may have no more than 108 bytes.
    with tempfile.TemporaryDirectory() as folder:
        finished = run(Path(folder), INNOCENT[way])
    assert finished.returncode == 0, finished.stderr
    assert finished.left == ()
