"""Starting a task's command, and seeing what it did with its arguments file.

Whether a command reads its arguments is seen on the file itself, so it works for any
language and argument parser. The file gets an access time that is older than its
modification time; under `relatime`, Linux's default, the next read of its content
moves the access time, while a mere `stat` or `exists` does not. Where the file system
keeps no access times this is found out beforehand, and the file is watched instead; what
the watch does not see leaves `Start.read` unknown.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

from pytest_fractal.processes.executors import Executor
from pytest_fractal.processes.file_watch import FileWatch
from pytest_fractal.processes.processes import Finished, clean_environment
from pytest_fractal.signatures.control_flow import is_caught

ARGUMENTS: Final = "{arguments}"
OUTPUT: Final = "{output}"

_DAY_NS: Final = 24 * 3600 * 10**9
_BOX: Final = "\u2500-\u259f"
"""The characters of which frames and progress bars are drawn."""
_DIFFERS: Final = re.compile(r"\b[0-9a-fA-F]{4,}(?:-[0-9a-fA-F]{4,})+\b|\b\w*\d\w*")
"""Ids, addresses, times and counts: words with a digit."""
_ADDRESS: Final = re.compile(r"\b0x[0-9a-fA-F]+")
_ASIDE: Final = re.compile(
    r"Exception in thread |Exception ignored |Process \S+:$|--- Logging error ---$"
)
"""What stands above a traceback that ends a thread or a child, or nothing."""
_LONGEST_SOURCE: Final = 2**20
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
        if not _words(option) <= self.words:
            return self
        return replace(self, words=self.words - _words(option) | _words(other))

    def without(self, options: Iterable[str]) -> ExitSignature:
        """The same, but for the words of some options."""
        return replace(self, words=self.words - _words(" ".join(options)))


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
    obstacle: str = ""
    """What stands in the place of the output file and is none, such as `a folder`."""

    @cached_property
    def crash(self) -> Crash | None:
        """The uncaught Python exception that it ended with, if it did.

        Python then exits with 1, and with nothing else.
        """
        crash = read_crash(self.finished.stderr) if self.finished.returncode == 1 else None
        return None if crash is not None and _was_caught(crash) else crash

    def ends_like(self, other: Start) -> bool:
        """Whether both ended in the very same uncaught exception, for the same reasons.

        All that differs are the places of the two files, and addresses in memory.
        """
        return self._exceptions is not None and self._exceptions == other._exceptions

    @cached_property
    def _exceptions(self) -> tuple[str, tuple[Frame, ...], tuple[str, ...]] | None:
        """The uncaught exception, and the first lines of all that led to it."""
        if self.crash is None:
            return None
        lines = tuple(line for line in self.finished.stderr.splitlines() if _EXCEPTION.match(line))
        return (
            self._without_places(self.output_tail),
            self.crash.frames,
            tuple(map(self._without_places, lines)),
        )

    def _without_places(self, text: str) -> str:
        for path in (self.arguments_file, self.output_file, str(Path(self.output_file).parent)):
            text = text.replace(path, "")
        return _ADDRESS.sub("", text)

    @cached_property
    def output_tail(self) -> str:
        """What it said in the end: its exception, or the last lines of its output."""
        if self.crash is not None:
            return f"{self.crash.type}: {self.crash.message}".removesuffix(": ")
        text = self.finished.stderr if self.finished.stderr.strip() else self.finished.stdout
        lines = (re.sub(rf"[{_BOX}]", " ", line).strip() for line in text.splitlines())
        return "\n".join([line for line in lines if line][-8:])

    @property
    def again(self) -> str:
        """The command line that repeats it, for a shell: with the same arguments file.

        Its output goes to a file of its own beside the first one.
        """
        fresh = str(Path(self.output_file).with_name("output-again.json"))
        argv = [fresh if word == self.output_file else word for word in self.finished.argv]
        return f"cd {shlex.quote(str(_work(Path(self.output_file).parent)))} && {shlex.join(argv)}"

    @cached_property
    def ending(self) -> ExitSignature:
        """How it ended, without what differs between any two starts."""
        status, late = self.finished.returncode, self.finished.timed_out
        text = f"{self.finished.stdout}\n{self.finished.stderr}"
        if late:
            text = ""  # where the time limit cuts an output off is chance
        elif self.crash is not None:
            text = self.output_tail
        folder = str(Path(self.arguments_file).parent)
        for path, name in (
            (self.arguments_file, ARGUMENTS),
            (self.output_file, OUTPUT),
            (folder, "{folder}"),
        ):
            # A path may be broken over two lines of a box.
            text = re.sub(rf"[\s{_BOX}]*".join(map(re.escape, path)), f" {name} ", text)
        frames = self.crash.frames if self.crash is not None else ()
        return ExitSignature(status, late, _words(_DIFFERS.sub(" ", text)), frames)


def start_command(
    command: Sequence[str],
    options: Sequence[str],
    content: bytes,
    *,
    names: tuple[str, str],
    folder: Path,
    executor: Executor,
    timeout: float,
    variables: Mapping[str, str] = {},
) -> Start:
    """Start `command` with `options` on an arguments file that holds `content`.

    `options` hold the words `{arguments}` and `{output}` where the two paths go, to files
    with these `names`. The command works in a fresh folder below `folder`, which must not
    exist yet, and sees these environment variables besides the usual ones.
    """
    work, scratch = _work(folder), folder / "tmp"
    work.mkdir(parents=True)
    scratch.mkdir()
    arguments, output = (folder / name for name in names)
    arguments.write_bytes(content)
    before = make_unread(arguments)
    watch = None if keeps_access_times(folder) else FileWatch(arguments)
    paths = {ARGUMENTS: str(arguments), OUTPUT: str(output)}
    finished = executor.run(
        [*command, *(_filled(word, paths) for word in options)],
        cwd=work,
        env=clean_environment(scratch) | dict(variables),
        timeout=timeout,
        supervision=folder / "left.json",
    )
    # A read that is not seen by the watch may have been one by way of `mmap`.
    read = was_read(arguments, before) if watch is None else watch.saw_a_read() or None
    written = None
    if output.is_file():  # a pipe would be waited for
        with suppress(OSError):
            written = output.read_text(encoding="utf-8", errors="surrogateescape")
    obstacle = ""
    if output.exists() and not output.is_file():
        obstacle = "a folder" if output.is_dir() else "neither a file nor a folder"
    return Start(finished, read, written, str(arguments), str(output), obstacle)


def _work(folder: Path) -> Path:
    return folder / "work"


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


def _was_caught(crash: Crash) -> bool:
    """Whether the traceback is one that the program printed and went on, as its source tells."""
    for frame in dict.fromkeys(crash.frames):
        source = _source(Path(frame.file))
        if source is not None and is_caught(source, frame.line, crash.type):
            return True
    return False


def _source(file: Path) -> bytes | None:
    # What a candidate prints may name anything: neither a device nor gigabytes are read.
    with suppress(OSError, ValueError):
        if file.suffix == ".py" and file.is_file() and file.stat().st_size <= _LONGEST_SOURCE:
            return file.read_bytes()
    return None


def _words(text: str) -> frozenset[str]:
    # An option `--metadata-out` may be called `metadata_out` by who refuses it.
    words = (word.replace("-", "_").strip("_") for word in re.findall(r"[\w{}-]+", text))
    return frozenset(filter(None, words))


def _filled(word: str, names: Mapping[str, str]) -> str:
    for name, value in names.items():
        word = word.replace(name, value)
    return word


def _is_file(name: str) -> bool:
    # A file of code, and not of the interpreter's own way to it.
    return not name.startswith("<") and Path(name).name != "runpy.py"
