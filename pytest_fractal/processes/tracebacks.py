"""What a Python program says when it ends: its traceback, and what two of its ends have alike.

The text is the candidate's, and of any form: each expression here takes time in proportion
to its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

_DIFFERS: Final = re.compile(r"\b[0-9a-fA-F]{4,}(?:-[0-9a-fA-F]{4,})+\b|\b\w*\d\w*")
"""Ids, addresses, times and counts: words with a digit."""
_ADDRESS: Final = re.compile(r"\b0x[0-9a-fA-F]+")
_ASIDE: Final = re.compile(
    r"Exception in thread |Exception ignored |Process \S+:$|--- Logging error ---$"
)
"""What stands above a traceback that ends a thread or a child, or nothing."""
_TRACEBACK: Final = "Traceback (most recent call last)"
_FRAME: Final = re.compile(
    r'^ *File "(?P<file>.+?)", line (?P<line>\d{1,9})(?:, in (?P<name>.+))?$'
)
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
        # A script that is run by `python -m` has frames of the interpreter's above it.
        files = [frame for frame in self.frames if _is_file(frame.file)]
        return self.cannot_import or any(frame.name == "<module>" for frame in files[1:])

    @property
    def cannot_import(self) -> bool:
        """Whether Python did not find what to import, or could not compile it."""
        if self.type in {"SyntaxError", "IndentationError", "TabError"}:
            # Not text that the program itself compiles, as `ast.literal_eval` does.
            return bool(self.frames) and _is_file(self.frames[-1].file)
        return self.type in {"ImportError", "ModuleNotFoundError"}


@dataclass(frozen=True)
class ExitSignature:
    """The end of a command, as far as two starts that do the same agree in it."""

    status: int
    timed_out: bool
    words: frozenset[str]
    """What it said: without paths, numbers and ids, and without an order, which sets,
    threads and progress bars change. Of an uncaught exception, nothing but its text."""
    frames: tuple[Frame, ...]
    """Where that exception was raised."""

    def renamed(self, option: str, other: str) -> ExitSignature:
        """The same, had the command been given the option `other` in place of `option`."""
        if not words_of(option) <= self.words:
            return self
        return replace(self, words=self.words - words_of(option) | words_of(other))

    def without(self, options: Iterable[str]) -> ExitSignature:
        """The same, but for the words of some options."""
        return replace(self, words=self.words - words_of(" ".join(options)))


def read_crash(stderr: str) -> Crash | None:
    """The last Python traceback in an output; None when there is none.

    A syntax error in the script itself comes without the usual headline. Tracebacks
    that `rich` has drawn end with the exception too, though their frames are lost.
    """
    lines = _without_asides(stderr.rstrip().splitlines())
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


def _without_asides(lines: Sequence[str]) -> list[str]:
    """An output without the tracebacks that did not end the program."""
    kept: list[str] = []
    skipping = False
    for number, line in enumerate(lines):
        if _ASIDE.match(line) and _TRACEBACK in "".join(lines[number + 1 : number + 2]):
            skipping = True
        elif skipping:
            # The traceback ends with the exception, the first line that is not indented.
            skipping = line[:1].isspace() or _TRACEBACK in line
        else:
            kept.append(line)
    return kept


def exception_lines(stderr: str) -> tuple[str, ...]:
    """The first line of each exception in an output: all that led to the last one."""
    return tuple(line for line in stderr.splitlines() if _EXCEPTION.match(line))


def without_addresses(text: str) -> str:
    """A text less the addresses of objects in memory."""
    return _ADDRESS.sub("", text)


def words_of(text: str) -> frozenset[str]:
    """The words of a text, with `_` for `-` in them."""
    # An option `--metadata-out` may be called `metadata_out` by who refuses it.
    words = (word.replace("-", "_").strip("_") for word in re.findall(r"[\w{}-]+", text))
    return frozenset(filter(None, words))


def without_differences(text: str) -> str:
    """A text less what differs between any two starts of a program."""
    return _DIFFERS.sub(" ", text)


def _is_file(name: str) -> bool:
    # A file of code, and not of the interpreter's own way to it.
    return not name.startswith("<") and Path(name).name != "runpy.py"
