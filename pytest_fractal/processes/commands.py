"""Starting a task's command, and seeing what it did with its arguments file.

Whether a command reads its arguments is seen on the file itself, so it works for any
language and argument parser (`reading.py`). Where it cannot be seen, `Start.read` stays
unknown.
"""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from pytest_fractal.files import FILE_LIMIT, NotRegular, TooLarge, read_regular
from pytest_fractal.processes.executors import ANY_JOB, Executor, JobOptions
from pytest_fractal.processes.processes import Finished
from pytest_fractal.processes.sandbox import paths_named
from pytest_fractal.processes.tracebacks import (
    Crash,
    ExitSignature,
    Frame,
    exception_lines,
    read_crash,
    without_addresses,
    without_differences,
    words_of,
)
from pytest_fractal.processes.variables import task_variables
from pytest_fractal.processes.watcher import remove_tree
from pytest_fractal.signatures.control_flow import is_caught

_LONGEST_SOURCE: Final = 2**20
ARGUMENTS: Final = "{arguments}"
OUTPUT: Final = "{output}"

_BOX: Final = "\u2500-\u259f"
"""The characters of which frames and progress bars are drawn."""
_DRAWN: Final = re.compile(f"[{_BOX}]")
_GAPS: Final = re.compile(rf"[\s{_BOX}]")


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
    """Why there is no `output` though something is there, such as `a folder, which ...`."""

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
        lines = exception_lines(self.finished.stderr)
        return (
            self._without_places(self.output_tail),
            self.crash.frames,
            tuple(map(self._without_places, lines)),
        )

    def _without_places(self, text: str) -> str:
        for path in (self.arguments_file, self.output_file, str(Path(self.output_file).parent)):
            text = text.replace(path, "")
        return without_addresses(text)

    @cached_property
    def output_tail(self) -> str:
        """What it said in the end: its exception, or the last lines of its output."""
        if self.crash is not None:
            return f"{self.crash.type}: {self.crash.message}".removesuffix(": ")
        text = self.finished.stderr if self.finished.stderr.strip() else self.finished.stdout
        lines = (_DRAWN.sub(" ", line).strip() for line in text.splitlines())
        return "\n".join([line for line in lines if line][-8:])

    @property
    def rerun_command(self) -> str:
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
            text = text.replace(path, f" {name} ")
            # It may be broken over two lines of a box, which takes long to look for.
            if _GAPS.sub("", path) in _GAPS.sub("", text):
                text = re.sub(rf"{_GAPS.pattern}*".join(map(re.escape, path)), f" {name} ", text)
        frames = self.crash.frames if self.crash is not None else ()
        return ExitSignature(status, late, words_of(without_differences(text)), frames)


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
    cache_variable: str | None = None,
    job: JobOptions = ANY_JOB,
) -> Start:
    """Start `command` with `options` on an arguments file that holds `content`.

    `options` hold the words `{arguments}` and `{output}` where the two paths go, to files
    with these `names`. The command works in a fresh folder below `folder`, which must not
    exist yet, and sees these environment variables besides the usual ones. Its temporary
    files are removed when it has ended. The `cache_variable` names a folder which is not
    there yet, but which it may make.
    """
    work = _work(folder)
    work.mkdir(parents=True)
    temporary = _temporary(executor.scratch or folder)
    arguments, output = (folder / name for name in names)
    arguments.write_bytes(content)
    paths = {ARGUMENTS: str(arguments), OUTPUT: str(output)}
    try:
        finished = executor.run(
            [*command, *(_filled(word, paths) for word in options)],
            cwd=work,
            env=task_variables(temporary) | _cache(cache_variable, temporary) | dict(variables),
            timeout=timeout,
            room=folder,
            named=paths_named(content),
            watched=arguments,
            job=job,
        )
    finally:
        remove_tree(temporary)
    written, obstacle = _output(output)
    return Start(finished, finished.read, written, str(arguments), str(output), obstacle)


def _cache(variable: str | None, folder: Path) -> dict[str, str]:
    """Where the server has a task's cache, below a folder of the user's."""
    return {variable: str(folder / "fractal" / ".fractal_cache")} if variable else {}


def _output(file: Path) -> tuple[str | None, str]:
    """What a command has written to its output file, or what stands in the way of reading it."""
    try:
        content = read_regular(file, FILE_LIMIT)
    except NotRegular as error:
        return None, f"{error.what}, which the server cannot read"
    except TooLarge as error:
        return None, f"{error.there}, larger than the {error.limit} that an output may have here"
    except OSError:
        return None, ""
    return content.decode("utf-8", "surrogateescape"), ""


def _temporary(base: Path) -> Path:
    """A fresh folder below `base` for a command's temporary files.

    There is a digit in its name: two starts that tell it end alike.
    """
    base.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="0", dir=base))


def _work(folder: Path) -> Path:
    return folder / "work"


def _filled(word: str, names: Mapping[str, str]) -> str:
    for name, value in names.items():
        word = word.replace(name, value)
    return word


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
        if file.suffix == ".py":
            return read_regular(file, _LONGEST_SOURCE)
    return None
