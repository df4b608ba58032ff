"""A command's process ends when it should, leaves nothing running, and sees no secrets."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_fractal.errors import HarnessError
from pytest_fractal.processes import processes
from pytest_fractal.processes.executors import LocalExecutor
from pytest_fractal.processes.processes import KEPT_BYTES, Canceller, Finished
from pytest_fractal.processes.variables import task_variables

LONG = 600.0
"""Seconds that no test waits for: who does not end before is ended by the time limit."""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return task_variables(tmp_path)


def run_python(code: str, folder: Path, timeout: float = LONG) -> Finished:
    return processes.run(
        [sys.executable, "-c", code], cwd=folder, env=task_variables(folder), timeout=timeout
    )


def is_held(file: Path) -> bool:
    """Whether a living process holds the lock of this file."""
    import fcntl

    with file.open("a") as own:
        try:
            fcntl.flock(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


HOLDER = """
import fcntl, os, subprocess, sys, time
lock = open("lock", "a")
fcntl.flock(lock, fcntl.LOCK_EX)
"""
"""Holds a lock; its children inherit it, and so it is free when the last has ended."""


def test_output_and_status_come_back(tmp_path: Path) -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    finished = run_python(code, tmp_path)
    assert (finished.returncode, finished.stdout, finished.stderr) == (3, "out\n", "err\n")
    assert finished.ending == "exit status 3"
    assert not finished.timed_out


def test_a_signal_is_reported_by_its_name(tmp_path: Path) -> None:
    finished = run_python("import os; os.kill(os.getpid(), 11)", tmp_path)
    assert finished.returncode == -11
    assert finished.ending == "killed by signal SIGSEGV"


def test_the_time_limit_ends_grandchildren_too(tmp_path: Path) -> None:
    grandchild = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grandchild!r}])"
    code = HOLDER + (
        "os.set_inheritable(lock.fileno(), True)\n"
        f"subprocess.run([sys.executable, '-c', {child!r}], close_fds=False)\n"
    )
    finished = run_python(code, tmp_path, timeout=2)
    assert finished.timed_out
    assert finished.ending == "no end within 2 s"
    assert not is_held(tmp_path / "lock")


def test_what_it_leaves_in_its_group_is_ended_with_it(tmp_path: Path) -> None:
    code = HOLDER + (
        "os.set_inheritable(lock.fileno(), True)\n"
        "subprocess.Popen(['sleep', '600'], close_fds=False)\n"
    )
    finished = run_python(code, tmp_path)
    assert (finished.returncode, finished.timed_out) == (0, False)
    assert not is_held(tmp_path / "lock")


def test_a_daemon_that_holds_the_pipe_does_not_hold_us(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    code = (
        "import pathlib, subprocess; print('said', flush=True)\n"
        "child = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        "pathlib.Path('pid').write_text(str(child.pid))\n"
    )
    try:
        finished = run_python(code, tmp_path)
        assert (finished.returncode, finished.stdout) == (0, "said\n")
    finally:
        os.kill(int(pid.read_text()), 9)


def test_what_was_printed_is_read_also_where_the_log_is_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that is behind when the process ends goes on to the end of the pipe."""
    monkeypatch.setattr(processes, "add_to_log", lambda *_: time.sleep(1))
    script = "import time; print('first', flush=True); time.sleep(0.3); print('last')"
    finished = processes.run(
        [sys.executable, "-S", "-c", script],
        cwd=tmp_path,
        env=task_variables(tmp_path),
        timeout=60,
        log=tmp_path / "log",
    )
    assert finished.stdout.split() == ["first", "last"]


def test_of_a_long_output_the_first_and_the_last_part_are_kept(tmp_path: Path) -> None:
    code = (
        "import sys; print('first')\n"
        "for _ in range(500): sys.stdout.write('x' * 100_000)\n"
        "print('last')\n"
    )
    out = run_python(code, tmp_path).stdout
    assert out.startswith("first\n")
    assert out.endswith("xlast\n")
    assert "bytes left out" in out
    assert len(out) < 4 * KEPT_BYTES


@pytest.mark.parametrize(
    "size", [0, 1, KEPT_BYTES - 1, KEPT_BYTES, KEPT_BYTES + 1, 2 * KEPT_BYTES]
)
def test_an_output_that_fits_is_kept_whole(tmp_path: Path, size: int) -> None:
    code = f"import sys; sys.stdout.write('0123456789' * {size // 10} + 'y' * {size % 10})"
    out = run_python(code, tmp_path).stdout
    assert out == "0123456789" * (size // 10) + "y" * (size % 10)


def test_bytes_that_are_no_text_do_not_matter(tmp_path: Path) -> None:
    code = "import sys; sys.stdout.buffer.write(bytes(range(256)))"
    assert run_python(code, tmp_path).stdout.startswith("\x00\x01")


def test_standard_input_is_at_its_end(tmp_path: Path) -> None:
    assert run_python("import sys; print(repr(sys.stdin.read()))", tmp_path).stdout == "''\n"


def test_no_terminal_is_left_to_ask(tmp_path: Path) -> None:
    code = "open('/dev/tty')"
    assert "OSError" in run_python(code, tmp_path).stderr


def test_secrets_of_the_caller_stay_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = (
        "PIP_INDEX_URL",
        "UV_INDEX_URL",
        "UV_PUBLISH_TOKEN",
        "GITHUB_TOKEN",
        "SOME_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "HTTPS_PROXY",
        "https_proxy",
        "PYTHONPATH",
        "PYTHONHOME",
        "PYTHONSTARTUP",
        "PYTEST_ADDOPTS",
        "VIRTUAL_ENV",
        "PASSWORD",
    )
    for name in secrets:
        monkeypatch.setenv(name, "hush-hush")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    # Python itself sets some: look at what `env` was given.
    given = processes.run(
        ["/usr/bin/env"], cwd=tmp_path, env=task_variables(tmp_path), timeout=LONG
    ).stdout
    seen = dict(line.split("=", 1) for line in given.splitlines())
    assert "hush-hush" not in given
    assert seen["LC_ALL"] == "C.UTF-8"
    assert seen["CUDA_VISIBLE_DEVICES"] == "1"
    assert seen["TMPDIR"] == str(tmp_path)
    assert seen["PATH"] == os.environ["PATH"]


def test_a_program_that_is_not_there_gives_127(tmp_path: Path, env: dict[str, str]) -> None:
    finished = processes.run(["/no/such/program", "-j"], cwd=tmp_path, env=env, timeout=LONG)
    assert finished.returncode == 127
    assert "/no/such/program" in finished.stderr


def test_a_script_without_its_interpreter_gives_127(tmp_path: Path, env: dict[str, str]) -> None:
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    assert processes.run([script], cwd=tmp_path, env=env, timeout=LONG).returncode == 127


def test_a_file_that_may_not_be_executed_gives_126(tmp_path: Path, env: dict[str, str]) -> None:
    file = tmp_path / "file"
    file.write_text("hello")
    finished = processes.run([file], cwd=tmp_path, env=env, timeout=LONG)
    assert finished.returncode == 126
    assert "Permission" in finished.stderr


def test_a_nul_in_an_argument_gives_126(tmp_path: Path, env: dict[str, str]) -> None:
    finished = processes.run(["true", "a\0b"], cwd=tmp_path, env=env, timeout=LONG)
    assert finished.returncode == 126
    assert "null" in finished.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists what is open")
@pytest.mark.parametrize("argv", [["true", "a\0b"], ["no such folder to work in"]])
def test_what_cannot_be_started_leaves_nothing_open(
    tmp_path: Path, env: dict[str, str], argv: list[str]
) -> None:
    """Neither the socket to its supervisor, nor the pipe for what is private."""
    cwd = tmp_path if "\0" in argv[-1] else tmp_path / "none"
    before = os.listdir("/proc/self/fd")  # noqa: PTH208 - one that lists itself
    for _ in range(3):
        finished = processes.run(
            argv, cwd=cwd, env=env, timeout=LONG, room=tmp_path, private=b"secret"
        )
        assert finished.returncode in (126, 127)
    assert len(os.listdir("/proc/self/fd")) == len(before)  # noqa: PTH208


def test_an_interrupt_while_waiting_ends_the_group(tmp_path: Path, env: dict[str, str]) -> None:
    class Interrupt(BaseException):
        pass

    class Interrupting(Canceller):
        @contextlib.contextmanager
        def watching(self, process: subprocess.Popen[bytes]) -> Iterator[None]:
            raise Interrupt
            yield

    code = HOLDER + "time.sleep(600)\n"
    with pytest.raises(Interrupt):
        processes.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env=env,
            timeout=LONG,
            stopper=Interrupting(),
        )
    assert not is_held(tmp_path / "lock")


def test_closing_an_executor_ends_what_runs_and_refuses_more(
    tmp_path: Path, env: dict[str, str]
) -> None:
    executor = LocalExecutor(2)
    os.mkfifo(tmp_path / "running")
    code = HOLDER + "open('running', 'w').write('yes'); time.sleep(600)\n"

    def run() -> Finished:
        return executor.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env=env,
            timeout=LONG,
            room=tmp_path,
        )

    with ThreadPoolExecutor() as threads:
        running = threads.submit(run)
        assert (tmp_path / "running").read_text() == "yes"  # waits until it runs
        executor.close()
        with pytest.raises(HarnessError, match="stopped"):
            running.result()
    assert not is_held(tmp_path / "lock")
    with pytest.raises(HarnessError, match="stopped"):
        run()
    executor.close()


def test_closing_an_executor_lets_those_who_wait_for_a_slot_go(
    tmp_path: Path, env: dict[str, str]
) -> None:
    executor = LocalExecutor(1)
    os.mkfifo(tmp_path / "running")
    code = "import os; open('running', 'w').write('yes'); import time; time.sleep(600)"

    def run(_: int) -> Finished:
        return executor.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env=env,
            timeout=LONG,
            room=tmp_path,
        )

    with ThreadPoolExecutor(3) as threads:
        started = [threads.submit(run, number) for number in range(3)]
        assert (tmp_path / "running").read_text() == "yes"
        executor.close()
        for future in started:
            with pytest.raises(HarnessError):
                future.result()


@pytest.mark.parametrize("width", [1, 3])
def test_an_executor_runs_just_so_many_at_a_time(
    tmp_path: Path, env: dict[str, str], width: int
) -> None:
    """Each command waits until `width` of them run together, and none sees more."""
    executor = LocalExecutor(width)
    assert executor.width == width
    code = f"""
import os, pathlib, sys, time
own = pathlib.Path(sys.argv[1])
(own / "here").touch()
while len(list(pathlib.Path(".").glob("*/here"))) + len(list(pathlib.Path(".").glob("*/done"))) \\
        < {width}:
    time.sleep(0.01)
print(len(list(pathlib.Path(".").glob("*/here"))))
os.rename(own / "here", own / "done")
"""

    def run(number: int) -> Finished:
        (tmp_path / str(number)).mkdir()
        return executor.run(
            [sys.executable, "-c", code, str(number)],
            cwd=tmp_path,
            env=env,
            timeout=60,
            room=tmp_path / str(number),
        )

    with ThreadPoolExecutor(8) as threads:
        runs = list(threads.map(run, range(8)))
    assert [run.returncode for run in runs] == [0] * 8
    assert max(int(run.stdout) for run in runs) == width


def test_threads_that_read_outputs_end(tmp_path: Path) -> None:
    before = threading.active_count()
    for _ in range(5):
        run_python("print('x' * 10**6)", tmp_path)
    assert threading.active_count() <= before
