"""However a run ends, no process of it and no folder is left."""

from __future__ import annotations

import glob
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import Runner, make_wheel, workers_of

from pytest_fractal.processes import processes, sandbox
from pytest_fractal.processes.processes import Finished, Watch
from pytest_fractal.processes.sandbox import Mode, Sandbox, set_up, take_down
from pytest_fractal.processes.variables import task_variables
from pytest_fractal.processes.watcher import remove_tree

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="seen in /proc alone")

WALLS = [
    "off",
    pytest.param(
        "required",
        marks=pytest.mark.skipif(bool(sandbox._obstacle()), reason="no walls stand here"),
    ),
]
LIMIT = 60.0
"""Seconds in which all must be over: none is waited for if it is over before."""


def of_folder(folder: Path) -> list[str]:
    """The living processes that know of a folder, by their variables or command lines."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            known = (process / "environ").read_bytes() + command
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if (
            str(folder).encode() in known
            and state not in "ZX"
            and process.name != str(os.getpid())
        ):
            found.append(command.replace(b"\0", b" ").decode())
    return found


def assert_nothing_is_left(folder: Path) -> None:
    """Soon, for the watcher works when the run has ended."""
    deadline = time.monotonic() + LIMIT
    while (left := [*of_folder(folder), *folder.glob("pytest-fractal*")]) != []:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


# --- one command ------------------------------------------------------------------------

ESCAPES = """
import os, signal, sys, time
def daemon():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            null = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(null, stream)
            return True
        os._exit(0)
    os.wait()
    return False
def parent_of(pid):
    return int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1])
def move_on():
    # Chains of processes, each of which starts the next one and ends. Few, and with a pause:
    # where nobody reaped them, as many would soon fill the table of processes.
    for _ in range(3):
        if os.fork() == 0:
            while os.fork() == 0:
                os.setsid()
                time.sleep(0.001)
            os._exit(0)
inner = os.getppid()
outer = parent_of(inner)
"""
ATTACKS = {
    "kills the inner supervisor": "os.kill(inner, signal.SIGKILL); time.sleep(600)",
    "kills the outer supervisor": "os.kill(outer, signal.SIGKILL); time.sleep(600)",
    "kills both, the outer one first": (
        "os.kill(outer, signal.SIGKILL); os.kill(inner, signal.SIGKILL); time.sleep(600)"
    ),
    "stops both and kills them": (
        "[os.kill(pid, number) for number in (signal.SIGSTOP, signal.SIGKILL)"
        " for pid in (outer, inner)]; time.sleep(600)"
    ),
    "stops both, and ends": "os.kill(inner, signal.SIGSTOP); os.kill(outer, signal.SIGSTOP)",
    "stops the outer one, and ends": "os.kill(outer, signal.SIGSTOP)",
    "moves on all the time": "move_on(); time.sleep(600)",
    "moves on all the time, and kills both": (
        "move_on(); os.kill(outer, signal.SIGKILL); os.kill(inner, signal.SIGKILL)"
    ),
}


def attack(folder: Path, walls: Mode, program: str, limit: float) -> Finished:
    """Run a program as the candidate's, in a run of its own."""
    run = folder / "pytest-fractal-run"
    room = run / "package-0"
    room.mkdir(parents=True)
    around = Sandbox(run, walls)
    set_up(around)
    try:
        return processes.run(
            [sys.executable, "-I", "-S", "-c", ESCAPES + program],
            cwd=room,
            env=task_variables(room),
            timeout=limit,
            room=room,
        )
    finally:
        take_down(around)
        remove_tree(run)


@pytest.mark.parametrize("walls", WALLS)
@pytest.mark.parametrize("way", ATTACKS)
def test_a_command_that_attacks_its_supervisor_does_not_outlive_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, walls: Mode, way: str
) -> None:
    if way == "stops both, and ends":
        # One that is stopped may go on meanwhile, or not: either way nothing must be left.
        monkeypatch.setattr(processes, "_PATIENCE", 1.0)
    program = f"if daemon(): time.sleep(600)\n{ATTACKS[way]}"
    waits = way in ("stops both, and ends", "moves on all the time")
    # Within walls the outer one is the first process, which nobody there can kill or stop.
    waits |= walls == "required" and way == "kills the outer supervisor"
    # A stop takes a moment, in which the inner one may kill the command: then it stays stopped.
    either = walls == "off" and way == "stops both and kills them"
    finished = attack(tmp_path, walls, program, 1 if waits or either else LIMIT)
    assert either or finished.timed_out == waits
    assert_nothing_is_left(tmp_path)


@pytest.mark.parametrize("walls", WALLS)
def test_no_orphan_of_a_command_is_left_to_be_reaped_by_others(
    tmp_path: Path, walls: Mode
) -> None:
    """The init of a container may reap none: then each would take up a number for ever."""
    script = (
        "from pathlib import Path\n"
        "from pytest_fractal.processes import supervisor\n"
        "from test_left import attack\n"
        "supervisor.adopt_orphans()\n"
        f"attack(Path({str(tmp_path)!r}), {walls!r}, 'if daemon(): time.sleep(600)', {LIMIT})\n"
        "print(supervisor.children())"
    )
    argv = [sys.executable, "-c", script]
    ran = subprocess.run(argv, cwd=Path(__file__).parent, capture_output=True, text=True)
    assert ran.stdout == "set()\n", ran.stderr


# --- a run ------------------------------------------------------------------------------

LEAVES = ESCAPES + (
    "if daemon(): time.sleep(600)\n"
    "open('started', 'w').close()\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "time.sleep(600)\n"
)


def begin(runner: Runner, workers: int, *arguments: str) -> subprocess.Popen[str]:
    """Begin a run on a package whose tasks leave a daemon, and do not end."""
    wheel = make_wheel(runner.folder, changes={"invert_well.py": LEAVES, "make_wells.py": LEAVES})
    options = (f"--fractal-package={wheel}", "--fractal-select=FR301", "-n", str(workers))
    return runner.start(*runner.argv(*options, *arguments))


def wait_for_a_task(runner: Runner, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + LIMIT
    # Path.glob fails on folders that a running installer removes.
    pattern = f"{runner.temporary}/pytest-fractal-*/package-0/**/started"
    while not glob.glob(pattern, recursive=True):  # noqa: PTH207
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("walls", WALLS)
def test_a_run_that_is_killed_leaves_nothing(runner: Runner, walls: str) -> None:
    assert_nothing_is_left_when_killed(runner, 0, walls)


def test_a_run_that_is_killed_leaves_nothing_of_its_workers(runner: Runner) -> None:
    assert_nothing_is_left_when_killed(runner, 2, "auto")


def assert_nothing_is_left_when_killed(runner: Runner, workers: int, walls: str) -> None:
    process = begin(runner, workers, f"--fractal-sandbox={walls}")
    wait_for_a_task(runner, process)
    process.kill()
    process.communicate()
    assert_nothing_is_left(runner.temporary)


@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT", "SIGTERM"])
def test_a_second_signal_leaves_nothing_either(runner: Runner, name: str) -> None:
    (runner.folder / "task.py").write_text(LEAVES)
    task = {
        **{"name": "Task", "command": f"python3 {runner.folder}/task.py", "source": "task"},
        **{"input_type": "Any", "output_type": "Any", "meta": {}},
    }
    (runner.folder / "task.json").write_text(json.dumps(task))
    process = runner.start(*runner.argv("--fractal-task=task.json", "--fractal-select=FR301"))
    wait_for_a_task(runner, process)
    process.send_signal(getattr(signal, name))
    time.sleep(0.05)
    process.send_signal(getattr(signal, name))
    assert runner.finish(process).status != 0
    assert_nothing_is_left(runner.temporary)


def test_a_worker_that_is_killed_leaves_nothing(runner: Runner) -> None:
    """xdist begins another one in its place; then the run is ended."""
    process = begin(runner, 1)
    wait_for_a_task(runner, process)
    os.kill(workers_of(process)[0], signal.SIGKILL)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert runner.finish(process).status != 0
    assert_nothing_is_left(runner.temporary)


def end_at_random(runner: Runner, seed: int) -> None:
    """Send one signal or two, to the run or to its group, at random moments."""
    chance = random.Random(seed)
    names = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL]
    process = begin(runner, chance.choice([0, 2]))
    to_all = chance.choice([False, True])
    for longest in (8.0, 0.5)[: chance.choice([1, 2])]:
        time.sleep(chance.uniform(0, longest))
        if process.poll() is None:
            (os.killpg if to_all else os.kill)(process.pid, chance.choice(names))
    runner.finish(process)
    assert_nothing_is_left(runner.temporary)


@pytest.mark.parametrize("seed", range(2))
def test_signals_at_random_moments_leave_nothing(runner: Runner, seed: int) -> None:
    end_at_random(runner, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 32))
def test_thirty_signals_at_random_moments_leave_nothing(runner: Runner, seed: int) -> None:
    end_at_random(runner, seed)


# --- folders ----------------------------------------------------------------------------


def nest(folder: Path, depth: int) -> None:
    """Make folders within each other, deeper than any path can say."""
    here = os.getcwd()  # noqa: PTH109
    folder.mkdir()
    try:
        os.chdir(folder)
        for number in range(depth):
            Path("file").write_text("x")
            Path("deeper").mkdir()
            os.chdir("deeper")
            if number % 500 == 0:
                Path("..", "file").chmod(0o400)
    finally:
        os.chdir(here)


def test_thousands_of_folders_in_each_other_are_removed(tmp_path: Path) -> None:
    nest(tmp_path / "deep", 3000)
    remove_tree(tmp_path / "deep")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_removed_and_links_are_not_followed(tmp_path: Path) -> None:
    folder, outside = tmp_path / "folder", tmp_path / "outside"
    (folder / "a" / "b").mkdir(parents=True)
    outside.mkdir()
    (outside / "kept").write_text("x")
    (folder / "a" / "link").symlink_to(outside)
    (folder / "a" / "b" / "file").write_text("x")
    os.mkfifo(folder / "pipe")
    for path in (folder / "a" / "b", folder / "a"):
        path.chmod(0o500)
    remove_tree(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["outside"]
    assert (outside / "kept").is_file()
    remove_tree(tmp_path / "not there")


@pytest.mark.parametrize("keep", [False, True])
def test_the_watcher_removes_the_folder_unless_it_is_kept(tmp_path: Path, keep: bool) -> None:
    folder = tmp_path / "run"
    (folder / "package-0").mkdir(parents=True)
    scratch = tmp_path / "scratch"
    (scratch / "0").mkdir(parents=True)
    Watch("run", folder, keep, scratch).close()
    assert folder.exists() == keep
    assert not scratch.exists()
