"""The line that tells what is being done: on a terminal, and nowhere else."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pyte
import pytest
from conftest import OWN_TESTS, Runner, make_wheel

from pytest_fractal.pytest_plugin.status_line import LiveLine

COLUMNS, LINES = 100, 40


@pytest.fixture
def slow_wheel(tmp_path: Path) -> Path:
    """A wheel whose commands take longer than the line takes to notice."""
    script = (OWN_TESTS / "tested_tasks" / "make_wells.py").read_text()
    return make_wheel(
        tmp_path / "slow", changes={"make_wells.py": f"import time\ntime.sleep(1)\n{script}"}
    )


def on_terminal(runner: Runner, *arguments: str | Path, **variables: str) -> tuple[list[str], str]:
    """What could be seen on a terminal, line by line, until the end; and what was sent to it."""
    ours, theirs = pty.openpty()
    os.set_inheritable(theirs, True)
    env = {name: value for name, value in os.environ.items() if name not in ("CI", "COLUMNS")}
    env |= {"TERM": "xterm-256color", "TMPDIR": str(runner.temporary)} | variables
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    process = subprocess.Popen(
        [str(word) for word in runner.argv(*arguments)],
        cwd=runner.folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=env,
        start_new_session=True,
    )
    os.close(theirs)
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.Stream(screen)
    seen: list[str] = []
    sent = ""
    for chunk in _read(ours):
        sent += chunk
        # Drawn anew with each move of the cursor, as the eye would see it.
        for part in chunk.replace("\x1b8", "\x1b8\0").split("\0"):
            stream.feed(part)
            seen += [
                line.rstrip() for line in screen.display if line.rstrip() not in seen[-LINES:]
            ]
    assert process.wait(60) == 0, sent
    final = [line.rstrip() for line in screen.display if line.strip()]
    return [*dict.fromkeys(seen), "FINAL", *final], sent


def _read(terminal: int) -> Iterator[str]:
    while True:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # everybody has gone
            chunk = b""
        if not chunk:
            os.close(terminal)
            return
        yield chunk.decode(errors="replace")


@pytest.mark.parametrize("workers", [(), ("-n", "2"), ("-v",)], ids=["alone", "xdist", "verbose"])
def test_a_terminal_shows_what_is_being_done_and_is_clean_at_the_end(
    runner: Runner, slow_wheel: Path, workers: tuple[str, ...]
) -> None:
    seen, sent = on_terminal(
        runner, f"--fractal-package={slow_wheel}", "--fractal-select=FR301", *workers
    )
    moving, final = seen[: seen.index("FINAL")], seen[seen.index("FINAL") :]
    reported = [line for line in moving if line.startswith("fractal: ")]
    # The line is drawn five times a second, and reading the wheel may be done before.
    begun = re.compile("fractal: (making the environment of|installing) tested_tasks\\b.*")
    assert any(begun.fullmatch(line) for line in reported), reported
    # How many have ended when the line is first drawn is a matter of the machine.
    counted = re.compile("fractal: [01] of 2 commands have run, tested_tasks")
    assert any(counted.fullmatch(line) for line in reported), reported
    assert not [line for line in final if "commands have run" in line or "reading" in line]
    assert not [line for line in final if "making the environment" in line]
    assert any("passed" in line for line in final)
    assert "\x1b8" in sent


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [(("-q",), {}), ((), {"CI": "true"}), ((), {"TERM": "dumb"}), (("-s",), {})],
    ids=["quiet", "ci", "dumb", "uncaptured"],
)
def test_no_line_moves_where_it_is_not_wanted(
    runner: Runner, good_wheel: Path, arguments: tuple[str, ...], variables: dict[str, str]
) -> None:
    _, sent = on_terminal(
        runner, f"--fractal-package={good_wheel}", "--fractal-select=FR1", *arguments, **variables
    )
    assert "\x1b8" not in sent
    assert "\x1bD" not in sent


@pytest.fixture
def terminal() -> Iterator[tuple[LiveLine, pyte.Screen, pyte.Stream, int]]:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    screen = pyte.Screen(80, 5)
    live = LiveLine(writing)
    yield live, screen, pyte.Stream(screen), reading
    live.hide()
    os.close(reading)
    os.close(writing)


def shown(screen: pyte.Screen, stream: pyte.Stream, reading: int, wanted: str) -> bool:
    """Whether the screen comes to show this."""
    for _ in range(200):
        try:
            stream.feed(os.read(reading, 65536).decode())
        except BlockingIOError:
            time.sleep(0.02)
        if any(wanted in line for line in screen.display):
            return True
    return False


def test_the_line_leaves_the_cursor_where_it_was_also_at_the_end_of_the_screen(
    terminal: tuple[LiveLine, pyte.Screen, pyte.Stream, int],
) -> None:
    live, screen, stream, reading = terminal
    stream.feed("1\r\n2\r\n3\r\n4\r\nabc")
    live.show(lambda: "doing this")
    assert shown(screen, stream, reading, "doing this")
    assert [line.rstrip() for line in screen.display] == ["2", "3", "4", "abc", "doing this"]
    stream.feed("def")
    live.hide()
    stream.feed(os.read(reading, 65536).decode())
    assert [line.rstrip() for line in screen.display] == ["2", "3", "4", "abcdef", ""]


def test_nothing_is_drawn_while_others_write(
    terminal: tuple[LiveLine, pyte.Screen, pyte.Stream, int],
) -> None:
    live, screen, stream, reading = terminal
    live.show(lambda: "doing this")
    assert shown(screen, stream, reading, "doing this")
    with live.paused():
        stream.feed(os.read(reading, 65536).decode())
        assert "".join(screen.display).strip() == ""
        time.sleep(0.5)
        with pytest.raises(BlockingIOError):
            os.read(reading, 65536)
    assert shown(screen, stream, reading, "doing this")


@pytest.mark.parametrize("text", ["x" * 500, "試" * 100, "a\u0301" * 300])
def test_a_line_never_takes_more_than_one(
    terminal: tuple[LiveLine, pyte.Screen, pyte.Stream, int], text: str
) -> None:
    live, screen, stream, reading = terminal
    live.show(lambda: text)
    assert shown(screen, stream, reading, "…")
    assert sum(bool(line.strip()) for line in screen.display) == 1


def test_without_a_terminal_nobody_is_asked() -> None:
    live = LiveLine(None)
    live.show(lambda: pytest.fail("asked"))
    with live.paused():
        pass
    live.hide()
