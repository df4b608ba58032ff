"""Starting a task's command, and seeing what it did with its arguments file.

Whether a command reads its arguments is seen on the file itself, so it works for any
language and argument parser. The file gets an access time that is older than its
modification time; under `relatime`, Linux's default, the next read of its content
moves the access time, while a mere `stat` or `exists` does not. Where the file system
keeps no access times this is found out beforehand, and `Start.read` stays unknown.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from pytest_fractal.machinery.executors import Executor
from pytest_fractal.machinery.processes import Finished, clean_environment

ARGUMENTS: Final = "{arguments}"
OUTPUT: Final = "{output}"

_DAY_NS: Final = 24 * 3600 * 10**9
_TRACEBACK: Final = "Traceback (most recent call last)"
_FRAME: Final = re.compile(r'^ *File "(?P<file>.+?)", line (?P<line>\d+)(?:, in (?P<name>.+))?$')
_EXCEPTION: Final = re.compile(
    r"^(?P<type>(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Warning|Interrupt|Exit|NotFound|Iteration))"
    r"(?:: (?P<message>.*))?$"
)


@dataclass(frozen=True)
class Frame:
    """One line of a Python traceback."""

    file: str
    line: int
    name: str


@dataclass(frozen=True)
class Crash:
    """The exception that ended a Python program, as its traceback tells."""

    type: str
    """The name of the exception, without its module."""
    message: str
    """Its text, which may have several lines."""
    frames: tuple[Frame, ...]

    @property
    def headline(self) -> str:
        """The exception as the first line of its text has it."""
        first = self.message.partition("\n")[0]
        return f"{self.type}: {first}" if first else self.type

    @property
    def raised_by_import(self) -> bool:
        """Whether a module failed while it was imported, for whatever reason."""
        return (
            self.type in {"ImportError", "ModuleNotFoundError"}
            or self.type in {"SyntaxError", "IndentationError", "TabError"}
            or any(frame.name == "<module>" for frame in self.frames[1:])
        )


@dataclass(frozen=True)
class Start:
    """One start of a command, and what became of it."""

    finished: Finished
    read: bool | None
    """Whether the content of the arguments file was read; None where that cannot be seen."""
    output: str | None
    """What was written to the output file; None when there is none."""
    arguments_file: str
    output_file: str

    @cached_property
    def crash(self) -> Crash | None:
        """The uncaught Python exception that it ended with, if it did."""
        return read_crash(self.finished.stderr) if self.finished.returncode else None

    @cached_property
    def last_words(self) -> str:
        """What it said in the end: its exception, or the last lines of its output."""
        if self.crash is not None:
            return f"{self.crash.type}: {self.crash.message}"
        text = self.finished.stderr if self.finished.stderr.strip() else self.finished.stdout
        return "\n".join([line.rstrip() for line in text.splitlines() if line.strip()][-8:])

    @cached_property
    def behaviour(self) -> tuple[int, bool, str]:
        """How it ended, without what differs between any two starts."""
        text = self.finished.stdout + "\n" + self.finished.stderr
        for path, name in ((self.arguments_file, ARGUMENTS), (self.output_file, OUTPUT)):
            text = text.replace(path, name)
        text = re.sub(r"0x[0-9a-fA-F]+|\d+", "0", text)
        return self.finished.returncode, self.finished.timed_out, text


def start_command(
    command: Sequence[str],
    options: Sequence[str],
    content: bytes,
    *,
    folder: Path,
    executor: Executor,
    timeout: float,
) -> Start:
    """Start `command` with `options` on an arguments file that holds `content`.

    `options` hold the words `{arguments}` and `{output}` where the two paths go. The
    command works in a fresh folder below `folder`, which must not exist yet.
    """
    work, scratch = folder / "work", folder / "tmp"
    work.mkdir(parents=True)
    scratch.mkdir()
    arguments, output = folder / "arguments.json", folder / "output.json"
    arguments.write_bytes(content)
    before = make_unread(arguments)
    names = {ARGUMENTS: str(arguments), OUTPUT: str(output)}
    finished = executor.run(
        [*command, *(_filled(word, names) for word in options)],
        cwd=work,
        env=clean_environment(scratch),
        timeout=timeout,
    )
    read = was_read(arguments, before) if keeps_access_times(folder) else None
    try:
        written = output.read_text(encoding="utf-8", errors="replace")
    except OSError:
        written = None
    return Start(finished, read, written, str(arguments), str(output))


def make_unread(path: Path) -> int:
    """Give a file an access time older than its modification; returns it, in nanoseconds."""
    modified = path.stat().st_mtime_ns
    accessed = modified - _DAY_NS
    os.utime(path, ns=(accessed, modified))
    # Some file systems keep fewer digits than they are given.
    return path.stat().st_atime_ns


def was_read(path: Path, before: int) -> bool:
    """Whether the content of a file was read since `make_unread` returned `before`."""
    try:
        return path.stat().st_atime_ns != before
    except OSError:
        return True  # moved or deleted: whoever does that has seen it


def keeps_access_times(folder: Path) -> bool:
    """Whether the file system of `folder` shows that a file was read."""
    trial = folder / ".access-time"
    trial.write_bytes(b"?")
    before = make_unread(trial)
    trial.read_bytes()
    seen = was_read(trial, before)
    trial.unlink()
    return seen


def read_crash(stderr: str) -> Crash | None:
    """The last Python traceback in an output; None when there is none.

    A syntax error in the script itself comes without the usual headline. Tracebacks
    that `rich` has drawn end with the exception too, though their frames are lost.
    """
    lines = stderr.rstrip().splitlines()
    headline = max((i for i, line in enumerate(lines) if _TRACEBACK in line), default=None)
    frames: list[Frame] = []
    for at, line in enumerate(lines):
        if at < (headline or 0):
            continue
        if frame := _FRAME.match(line):
            frames.append(Frame(frame["file"], int(frame["line"]), frame["name"] or "<module>"))
            continue
        if headline is None and not frames:
            continue
        if exception := _EXCEPTION.match(line):
            message = "\n".join([exception["message"] or "", *lines[at + 1 :]]).rstrip()
            return Crash(exception["type"].rpartition(".")[2], message, tuple(frames))
    if headline is None:
        return None
    # An exception class with an unusual name: the first line that is not indented.
    for at, line in enumerate(lines[headline + 1 :], headline + 1):
        if line and not line[0].isspace() and line[0].isalpha():
            name, _, message = line.partition(": ")
            message = "\n".join([message, *lines[at + 1 :]]).rstrip()
            return Crash(name.rpartition(".")[2], message, tuple(frames))
    return None


def _filled(word: str, names: Mapping[str, str]) -> str:
    for name, value in names.items():
        word = word.replace(name, value)
    return word
