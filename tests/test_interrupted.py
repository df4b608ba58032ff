"""However a run ends: its reports say no more than was judged, and the next one clears up."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Runner, command_line, make_wheel, workers_of

from pytest_fractal import check_package
from pytest_fractal.processes import watcher
from pytest_fractal.processes.processes import Canceller
from pytest_fractal.processes.supervisor import descendants
from pytest_fractal.processes.watcher import remove_tree
from pytest_fractal.session import Session, remove_left_runs
from pytest_fractal.settings import Settings

LIMIT = 90.0


@pytest.fixture(scope="module")
def endless(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """To judge a task that takes very long: one check is soon made, and one is not.

    It belongs to no package, so that it is started at once.
    """
    folder = tmp_path_factory.mktemp("endless")
    script = folder / "endless.py"
    script.write_text("import time\ntime.sleep(600)\n")
    task = {
        **{"name": "Endless", "command": f"python3 {script}", "source": "endless"},
        **{"input_type": "Any", "output_type": "Any", "meta": {}},
    }
    (folder / "task.json").write_text(json.dumps(task))
    return f"--fractal-task={folder / 'task.json'}", "--fractal-select=FR106,FR301"


def until(seen: Callable[[], object]) -> Any:
    """What is seen in the end; it must be within the limit."""
    started = time.monotonic()
    while not (found := seen()):
        assert time.monotonic() - started < LIMIT, "it is never seen"
        time.sleep(0.05)
    return found


def sleeps(process: subprocess.Popen[str]) -> bool:
    """Whether a task has begun to take long."""
    lines = [command_line(pid) for pid in descendants(process.pid)]
    return any("endless.py" in line and "supervisor.py" not in line for line in lines)


def reports(folder: Path) -> list[Path]:
    return [folder / f"report{suffix}" for suffix in (".json", ".badge.json", ".html", ".md")]


def says_no_more_than_was_judged(folder: Path) -> None:
    """None of the reports that were written calls the run complete, or passed."""
    report, badge, page, summary = reports(folder)
    if report.exists():
        reported = json.loads(report.read_text())
        assert (reported["complete"], reported["passed"]) == (False, False)
    if badge.exists():
        assert json.loads(badge.read_text())["message"] == "not judged"
    if page.exists():
        assert "interrupted" in page.read_text()
    if summary.exists():
        assert "interrupted" in summary.read_text()


@pytest.mark.parametrize(
    ("workers", "pause"),
    [
        (0, 0.0),
        (0, 0.3),
        (2, 0.3),
        # pytest-xdist waits for 10 seconds for the workers that this leaves.
        pytest.param(2, 0.0, marks=pytest.mark.slow),
    ],
)
def test_a_second_interrupt(
    runner: Runner, endless: tuple[str, str], workers: int, pause: float
) -> None:
    asked = [f"--fractal-report={path}" for path in reports(runner.folder)]
    process = runner.start(*runner.argv(*endless, f"-n{workers}", *asked))
    until(lambda: sleeps(process))
    for _ in range(2):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(pause)
    ran = runner.finish(process)
    assert ran.status not in (0, 1), ran.text
    says_no_more_than_was_judged(runner.folder)


def test_an_interrupt_does_not_keep_a_run_from_ending_its_commands(
    good_wheel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else Python would wait at its exit for what waits for them."""
    stop, ended = Canceller.stop, []

    def interrupted_stop(own: Canceller) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        stop(own)
        ended.append(own)

    monkeypatch.setattr(Canceller, "stop", interrupted_stop)
    check_package(good_wheel, select=["FR106"])
    assert ended
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_a_run_that_cannot_end_its_commands_exits_all_the_same(
    runner: Runner, endless: tuple[str, str]
) -> None:
    """As after an interrupt just before it would: what watches its processes ends them."""
    program = """
import sys, pytest
from pytest_fractal.session import Session
Session.close = lambda self: None
sys.exit(pytest.main(sys.argv[1:]))
"""
    options = ("-p", "no:cacheprovider", *endless)
    process = runner.start(sys.executable, "-c", program, *options)
    until(lambda: sleeps(process))
    below = descendants(process.pid)
    process.send_signal(signal.SIGINT)
    assert runner.finish(process).status == pytest.ExitCode.INTERRUPTED
    until(lambda: not any(map(command_line, below)))
    until(lambda: runner.left() == [])


def test_a_worker_that_is_killed(runner: Runner, endless: tuple[str, str]) -> None:
    """The check that it was making has no verdict, also where another worker makes the rest."""
    asked = [f"--fractal-report={path}" for path in reports(runner.folder)]
    process = runner.start(
        *runner.argv(
            *endless,
            "-n1",
            "--fractal-timeout=3",
            "--max-worker-restart=0",
            *asked,
        )
    )
    (worker,) = until(lambda: workers_of(process))
    until(lambda: sleeps(process))
    os.kill(worker, signal.SIGKILL)
    ran = runner.finish(process)
    assert ran.status not in (0, 5), ran.text
    assert "have no verdict" in ran.out
    for path in reports(runner.folder):
        assert path.exists()
    says_no_more_than_was_judged(runner.folder)


def test_a_run_that_stops_at_the_first_failure_is_not_complete(
    pytester: pytest.Pytester,
) -> None:
    wheel = make_wheel(pytester.path, changes={"__FRACTAL_MANIFEST__.json": "{}"})
    reported = pytester.path / "report.json"
    options = (
        f"--fractal-package={wheel}",
        "--fractal-select=FR1",
        f"--fractal-report={reported}",
    )
    assert pytester.runpytest_inprocess(*options, "-x").ret == 1
    assert json.loads(reported.read_text())["complete"] is False
    whole = pytester.runpytest_inprocess(*options)
    assert whole.ret == 1
    assert json.loads(reported.read_text())["complete"] is True
    assert "have no verdict" not in whole.stdout.str()


# The files of reports


def report_to(pytester: pytest.Pytester, wheel: Path, file: str) -> tuple[int, str]:
    """Judge little and report to a file; the exit status, and all that is printed."""
    ran = pytester.runpytest_inprocess(
        f"--fractal-package={wheel}", "--fractal-select=FR1", f"--fractal-report={file}"
    )
    return int(ran.ret), ran.stdout.str() + ran.stderr.str()


def test_a_report_that_names_a_folder_is_one_sentence(
    pytester: pytest.Pytester, good_wheel: Path
) -> None:
    pytester.mkdir("report.json")
    status, text = report_to(pytester, good_wheel, "report.json")
    assert status == 4
    assert "report.json: this is a folder; a report is written to a file" in text
    assert "Traceback" not in text


def test_the_folder_of_a_report_is_made(pytester: pytest.Pytester, good_wheel: Path) -> None:
    assert report_to(pytester, good_wheel, "a/b/report.md")[0] == 0
    assert (pytester.path / "a" / "b" / "report.md").is_file()


def test_a_report_that_cannot_be_written_is_one_sentence(
    pytester: pytest.Pytester, good_wheel: Path
) -> None:
    (pytester.path / "file").touch()
    status, text = report_to(pytester, good_wheel, "file/r.json")
    assert status in (3, 4), text
    assert "file/r.json: the report cannot be written: " in text
    assert "INTERNALERROR" not in text


# What killed runs leave


def test_what_a_killed_run_has_left_is_removed_by_the_next(
    runner: Runner, endless: tuple[str, str], good_wheel: Path
) -> None:
    process = runner.start(*runner.argv(*endless))
    until(lambda: sleeps(process))
    inside = list(descendants(process.pid))
    process.kill()
    process.communicate()
    for pid in inside:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    assert len(runner.left()) == 1
    ran = runner.pytest(f"--fractal-package={good_wheel}", "--fractal-select=FR1", "-q")
    assert ran.status == 0, ran.text
    assert ran.left == []


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def run_folder(temporary: Path, name: str = "left") -> Path:
    folder = temporary / f"pytest-fractal-{name}"
    (folder / "package-0").mkdir(parents=True)
    (folder / "lock").touch()
    return folder


def test_a_folder_whose_run_goes_on_is_left_alone(temporary: Path, tmp_path: Path) -> None:
    session = Session([], Settings(), tmp_path)
    try:
        other = Session([], Settings(), tmp_path)
        assert other.folder != session.folder
        other.close()
        assert session.folder.is_dir()
        assert not other.folder.exists()
    finally:
        session.close()
    assert list(temporary.iterdir()) == []


def test_temporary_files_of_commands_have_a_short_path_and_go_with_the_run(
    temporary: Path, tmp_path: Path
) -> None:
    """A socket below TMPDIR has room for a hundred bytes of path, however long the run's own."""
    base = tmp_path / ("long" * 20)
    base.mkdir()
    for keep in (False, True):
        session = Session([], Settings(folder=base, keep=keep), tmp_path)
        scratch = session.executor.scratch
        assert scratch is not None
        assert len(str(scratch)) < 40
        remove_left_runs(base)
        assert scratch.is_dir()  # its run goes on
        session.close()
        assert not scratch.exists()
        assert session.folder.exists() == keep


def test_a_folder_that_is_to_be_kept_is_left_alone(temporary: Path, tmp_path: Path) -> None:
    session = Session([], Settings(keep=True), tmp_path)
    session.close()
    remove_left_runs()
    assert session.folder.is_dir()


def test_folders_that_are_no_runs_are_left_alone(temporary: Path) -> None:
    left = run_folder(temporary)
    (temporary / "pytest-fractal-elsewhere").mkdir()
    (temporary / "theirs").mkdir()
    (temporary / "theirs" / "lock").touch()
    (temporary / "pytest-fractal-link").symlink_to(temporary / "theirs")
    (temporary / "pytest-fractal-file").touch()
    piped = run_folder(temporary, "pipe")
    (piped / "lock").unlink()
    os.mkfifo(piped / "lock")
    remove_left_runs()
    assert not left.exists()
    assert sorted(path.name for path in temporary.iterdir()) == [
        "pytest-fractal-elsewhere",
        "pytest-fractal-file",
        "pytest-fractal-link",
        "pytest-fractal-pipe",
        "theirs",
    ]
    assert (temporary / "theirs" / "lock").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_left_alone(temporary: Path) -> None:
    folder = run_folder(temporary)
    os.chown(folder, 65534, 65534)
    remove_left_runs()
    assert folder.is_dir()


def test_a_lock_that_a_child_holds_too_counts(temporary: Path) -> None:
    """The kernel keeps it for as long as one of those lives that have it."""
    folder = run_folder(temporary)
    with (folder / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        child = subprocess.Popen(["sleep", "60"], pass_fds=[lock.fileno()])
    remove_left_runs()
    assert folder.is_dir()
    child.kill()
    child.wait()
    remove_left_runs()
    assert not folder.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_the_next_run_removes_what_could_not_be_removed_at_once(temporary: Path) -> None:
    """A file system is mounted in the folder, for the process that removes it alone."""
    folder = run_folder(temporary)
    (folder / "removable").touch()
    removing = f"from {watcher.__name__} import remove_run; remove_run({str(folder)!r})"
    subprocess.run(
        [
            *("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"'),
            *(folder / "package-0", sys.executable, "-c", removing),
        ],
        check=True,
    )
    assert sorted(path.name for path in folder.iterdir()) == ["lock", "package-0"]
    remove_left_runs()
    assert not folder.exists()


# Removing


def deep(folder: Path, levels: int) -> None:
    here = os.open(folder, os.O_RDONLY)
    for level in range(levels):
        os.mkdir(name := f"level-{level}", dir_fd=here)
        with os.fdopen(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here), "w"):
            pass
        further = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = further
    os.close(here)


def test_folders_of_any_depth_are_removed(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    deep(tmp_path / "run", 3000)
    remove_tree(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_what_is_read_only_is_removed_and_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    folder = tmp_path / "run" / "a" / "b"
    folder.mkdir(parents=True)
    (folder / "link").symlink_to(tmp_path / "mine")
    (folder / "file").touch()
    for path in (folder, folder.parent, tmp_path / "run"):
        path.chmod(0)
    remove_tree(tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert (tmp_path / "mine" / "file").exists()
