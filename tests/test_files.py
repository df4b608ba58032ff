"""Whatever stands in the place of a file: nothing is waited for, and not all of it is read."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import OWN_TESTS, Runner, make_wheel

from pytest_fractal.environments.wheels import read_wheel
from pytest_fractal.errors import BadInput
from pytest_fractal.files import (
    FILE_LIMIT,
    NotRegular,
    TooLarge,
    open_regular,
    read_regular,
    size_words,
)
from pytest_fractal.processes.commands import start_command
from pytest_fractal.processes.executors import LocalExecutor


def make_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the whole path may be too long for a socket
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)


OTHERS: dict[str, Callable[[Path], object]] = {
    "a named pipe": os.mkfifo,
    "a folder": Path.mkdir,
    "a socket": make_socket,
    "a link to itself": lambda path: path.symlink_to(path),
    "a device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("what", OTHERS)
def test_what_is_no_file_is_reported_at_once(tmp_path: Path, what: str) -> None:
    OTHERS[what](tmp_path / "file")
    with pytest.raises(NotRegular, match=f"it is {what}, not a file"):
        read_regular(tmp_path / "file", 100)


def test_a_link_is_followed_only_where_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("content")
    (tmp_path / "link").symlink_to("there")
    assert read_regular(tmp_path / "link", 100) == b"content"
    with pytest.raises(NotRegular, match="a link"):
        read_regular(tmp_path / "link", 100, follow=False)


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    assert read_regular(tmp_path / "file", 10) == b"0123456789"
    with pytest.raises(TooLarge, match="it has 10 bytes, more than 9 bytes"):
        read_regular(tmp_path / "file", 9)
    os.truncate(tmp_path / "file", 3 << 30)
    with pytest.raises(TooLarge, match="it has 3072 MB, more than 64 MB"):
        read_regular(tmp_path / "file", 64 << 20)


def test_a_file_without_a_size_is_read_up_to_the_limit_too() -> None:
    """What the kernel makes as it is read has size 0."""
    assert read_regular(Path("/proc/self/status"), 10_000)
    with pytest.raises(TooLarge):
        read_regular(Path("/proc/self/status"), 10)


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(NotRegular), open_regular(tmp_path / "pipe"):
            pass
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 bytes"), (20_000, "20 kB"), (3 << 30, "3072 MB")]
)
def test_sizes_in_words(size: int, words: str) -> None:
    assert size_words(size) == words


def started(folder: Path, script: str) -> tuple[str | None, str]:
    start = start_command(
        [sys.executable, "-c", script],
        ("{output}",),
        b"{}",
        names=("arguments.json", "output.json"),
        folder=folder / "run",
        executor=LocalExecutor(1),
        timeout=60,
    )
    assert start.finished.returncode == 0, start.finished.stderr
    return start.output, start.obstacle


@pytest.mark.parametrize(
    ("does", "obstacle"),
    [
        ("os.mkfifo(out)", "a named pipe, which the server cannot read"),
        ("os.mkdir(out)", "a folder, which the server cannot read"),
        ("os.symlink(out, out)", "a link to itself, which the server cannot read"),
        ("os.symlink('/dev/zero', out)", "a device, which the server cannot read"),
        (
            "open(out, 'w').truncate(3 << 30)",
            "3072 MB, larger than the 64 MB that an output may have here",
        ),
        ("pass", ""),
    ],
)
def test_an_output_that_cannot_be_read_is_reported(
    tmp_path: Path, does: str, obstacle: str
) -> None:
    assert started(tmp_path, f"import os, sys; out = sys.argv[1]; {does}") == (None, obstacle)


def test_a_large_output_is_read_up_to_the_limit(tmp_path: Path) -> None:
    script = f"import sys; open(sys.argv[1], 'w').write(' ' * {FILE_LIMIT})"
    output, obstacle = started(tmp_path, script)
    assert output is not None
    assert (len(output), obstacle) == (FILE_LIMIT, "")


@pytest.mark.parametrize("what", OTHERS)
def test_what_is_no_file_is_no_wheel(tmp_path: Path, what: str) -> None:
    wheel = tmp_path / "demo-1.0-py3-none-any.whl"
    OTHERS[what](wheel)
    with pytest.raises(BadInput, match=f"not a wheel: it is {what}"):
        read_wheel(wheel)


# What the user gives


def test_a_sample_that_is_no_file_is_a_finding(runner: Runner) -> None:
    wheel = make_wheel(runner.folder)
    samples = runner.folder / "samples"
    samples.mkdir()
    for number, make in enumerate(OTHERS.values()):
        make(samples / f"sample_{number}.json")
    ran = runner.pytest(
        f"--fractal-package={wheel}",
        f"--fractal-samples={samples}",
        "--fractal-select=FR400,FR401",
        "-q",
    )
    assert ran.status == 1, ran.text
    assert "error[FR400] sample-is-usable" in ran.text
    for number, what in enumerate(OTHERS):
        assert f"samples/sample_{number}.json" in ran.words
        assert f"it cannot be read: it is {what}, not a file" in ran.words
    assert "Traceback" not in ran.text
    assert ran.left == []


@pytest.mark.parametrize("what", ["a named pipe", "a link to itself"])
@pytest.mark.usefixtures("any_environment")
def test_a_samples_folder_that_is_none_is_one_sentence(
    pytester: pytest.Pytester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    tree = pytester.path / "project"
    package = tree / "tested_tasks"
    package.mkdir(parents=True)
    for path in (OWN_TESTS / "tested_tasks").iterdir():
        if path.is_file():
            (package / path.name).write_bytes(path.read_bytes())
    (tree / "pyproject.toml").write_bytes((OWN_TESTS / "pyproject.toml").read_bytes())
    OTHERS[what](tree / "fractal_samples")
    ran = pytester.runpytest_inprocess("--fractal-package=project", "-q")
    assert ran.ret == 4
    assert f"samples are read from a folder, and this is {what}" in ran.stderr.str()
    assert list(temporary.iterdir()) == []
