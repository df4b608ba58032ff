"""Whether a file was read is seen on any file system, also one without access times."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from wheel_factory import TASK_SOURCE, make_wheel, verdicts

from pytest_fractal.errors import HarnessError
from pytest_fractal.processes import reading
from pytest_fractal.processes.commands import start_command
from pytest_fractal.processes.executors import LocalExecutor
from pytest_fractal.processes.reading import ReadWatch, keeps_access_times


def look(file: Path) -> None:
    assert file.exists()
    assert file.stat().st_size == 2
    assert os.access(file, os.R_OK)
    assert [entry.name for entry in os.scandir(file.parent)] == [file.name]


def read(file: Path) -> None:
    assert file.read_text() == "{}"


def read_in_a_process(file: Path) -> None:
    subprocess.run([sys.executable, "-c", f"open({str(file)!r}).read()"], check=True)


def copy(file: Path) -> None:
    subprocess.run(["cp", file, file.with_name("copy")], check=True)


def map_into_memory(file: Path) -> None:
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert mapped[:2] == b"{}"


def open_and_close(file: Path) -> None:
    file.open().close()


def delete(file: Path) -> None:
    file.unlink()


def move(file: Path) -> None:
    file.rename(file.with_name("moved"))


WAYS: dict[Callable[[Path], None], bool] = {
    look: False,
    open_and_close: False,
    read: True,
    read_in_a_process: True,
    copy: True,
    map_into_memory: True,
    delete: True,
    move: True,
}


def watched(folder: Path, way: Callable[[Path], None]) -> bool | None:
    file = folder / "arguments.json"
    file.write_text("{}")
    watch = ReadWatch(file)
    way(file)
    return watch.was_read()


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_read_is_seen_and_a_look_is_none(tmp_path: Path, way: Callable[[Path], None]) -> None:
    if not keeps_access_times(tmp_path):
        pytest.skip("this file system keeps no access times")
    assert watched(tmp_path, way) is WAYS[way]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_the_access_time_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: Callable[[Path], None]
) -> None:
    """As on macOS, or where a user has used up what inotify gives."""
    if not keeps_access_times(tmp_path):
        pytest.skip("this file system keeps no access times")
    monkeypatch.setattr(reading, "_watch", lambda _: None)
    assert watched(tmp_path, way) is WAYS[way]


@pytest.fixture
def noatime(tmp_path: Path) -> Iterator[Path]:
    """A file system that keeps no access times."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "noatime", "tmpfs", str(folder)]
    if sys.platform != "linux" or subprocess.run(mounting, capture_output=True).returncode:
        pytest.skip("a file system can be mounted by root alone")
    try:
        assert not keeps_access_times(folder)
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.fixture
def inotify_alone(noatime: Path) -> Path:
    """A file system without access times, where inotify tells of reads."""
    if not reading._shows_access(noatime):
        pytest.skip("inotify tells of no reads here, or other processes have used it up")
    return noatime


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_without_access_times_only_a_mapping_stays_open(
    inotify_alone: Path, way: Callable[[Path], None]
) -> None:
    """It cannot be known from a file that was opened and closed again."""
    wanted = None if way in (map_into_memory, open_and_close) else WAYS[way]
    assert watched(inotify_alone, way) is wanted


def test_without_access_times_and_inotify_all_stays_open(
    noatime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_watch", lambda _: None)
    assert watched(noatime, read) is None


def test_a_task_that_never_reads_its_arguments_is_found_without_access_times(
    inotify_alone: Path,
) -> None:
    ignoring = TASK_SOURCE.replace(
        "arguments = json.loads(Path(options.json).read_text())", "arguments = {}"
    ).replace("json.dumps(main(**arguments))", '"{}"')
    assert ignoring.count("read_text") == 0
    wheel = make_wheel(inotify_alone, files={"__init__.py": "", "task.py": ignoring})
    (found,) = verdicts(wheel, "FR303")
    assert found.outcome == "fail", found
    (good,) = verdicts(make_wheel(inotify_alone, "good"), "FR303")
    assert good.outcome == "pass", good


def opened() -> int:
    return len(list(Path("/proc/self/fd").glob("*")))


def test_the_watch_leaves_nothing(tmp_path: Path) -> None:
    before = opened()
    watched(tmp_path, read)
    assert [path.name for path in tmp_path.iterdir()] == ["arguments.json"]
    assert opened() == before


def test_a_start_that_fails_leaves_no_watch(tmp_path: Path) -> None:
    """A user may have but 128 of them, for all processes."""
    executor = LocalExecutor(1)
    executor.close()
    before = opened()
    with pytest.raises(HarnessError, match="the run was stopped"):
        start_command(
            [sys.executable],
            (),
            b"{}",
            names=("arguments.json", "output.json"),
            folder=tmp_path / "run",
            executor=executor,
            timeout=60,
        )
    assert opened() == before
