"""Finding out, with few process starts, whether a command can be run by Fractal.

Starting a real task costs seconds, nearly all of it imports, so each start must serve
as many rules as it can:

1. One start as Fractal makes it, on arguments that a task should refuse: they lack
   what is required and hold one that nobody knows. That the file is read shows that
   the command starts, takes the options and reads the arguments (FR301-FR303); how it
   ends shows whether it refuses them (FR304). A command that does not start needs no
   more than this one.
2. One start on a file that is not JSON (FR304). Tasks that leave the reading to one
   function of their package, as the traceback of the first start tells, share it.
3. Where the first refusal does not tell which of its two reasons it had, one start for
   each reason that is still open. Python's own `TypeError` for an unknown keyword
   settles both: a function called with `**arguments` refuses a missing one too.

So an ordinary package costs one start a task, and one more. Only a command whose
arguments file stays unread, or that may have refused the second option, is started
in other ways (`Manner`) to find out what it would take, and how it treats an option
that cannot exist.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from pytest_fractal.machinery.commands import ARGUMENTS, OUTPUT, Crash, Start

UNKNOWN: Final = "pytest_fractal_unknown_argument"
IMPOSSIBLE: Final = "--pytest-fractal-no-such-option"
_NOT_JSON: Final = b'{"this is": not JSON'

CaseKind = Literal["not-json", "lacking", "unknown", "lacking-and-unknown"]


@dataclass(frozen=True)
class Manner:
    """One way of handing the two paths to a command."""

    options: tuple[str, ...]
    """With `{arguments}` and `{output}` for the paths."""

    @property
    def words(self) -> str:
        """The way as one would type it."""
        return " ".join(self.options).replace(ARGUMENTS, "ARGS.json").replace(OUTPUT, "OUT.json")


@dataclass(frozen=True)
class Case:
    """A start on arguments of one kind that a task should refuse."""

    kind: CaseKind
    start: Start
    real: bool = False
    """Whether the arguments are good but for this: then the task may really run."""


@dataclass(frozen=True)
class Probe:
    """What the starts of one command have shown."""

    first: Start
    """As Fractal starts it, on arguments that should be refused."""
    reads: bool
    """Whether the first start read its arguments file."""
    manners: tuple[tuple[Manner, Start, bool], ...] = ()
    """Other ways that were tried, in this order, and whether each read the file."""
    cases: tuple[Case, ...] = ()
    """What should be refused; only of a command that reads its arguments."""

    def reading_manner(self) -> Manner | None:
        """Another way, by which the command does read its arguments."""
        return next((manner for manner, _, reads in self.manners if reads), None)

    @property
    def refuses_output_option(self) -> bool:
        """Whether the option for the output file is refused, though the other one is taken."""
        flag, option = self.first.finished.argv[-4], self.first.finished.argv[-2]
        tried = {manner.options: (start, reads) for manner, start, reads in self.manners}
        alone, reads_alone = tried.get((flag, ARGUMENTS), (None, False))
        if not self.reads:
            return reads_alone
        impossible, _ = tried.get((flag, ARGUMENTS, IMPOSSIBLE, OUTPUT), (None, False))
        if alone is None or impossible is None:
            return False
        status, timed_out, text = impossible.behaviour
        as_impossible = (status, timed_out, text.replace(IMPOSSIBLE, option))
        return self.first.behaviour == as_impossible and self.first.behaviour != alone.behaviour

    @property
    def depends_on_options(self) -> bool:
        """Whether the command ended otherwise when it was given other options."""
        return any(start.behaviour != self.first.behaviour for _, start, _ in self.manners)


Starter = Callable[[bytes, Sequence[str]], Start]
SharedStarter = Callable[[str, bytes, Sequence[str]], Start]


def probe_command(
    start: Starter,
    shared: SharedStarter,
    *,
    script: str,
    package_folder: str,
    flags: tuple[str, str],
    schema: Mapping[str, Any],
    reserved: Mapping[str, Any],
    complete: Mapping[str, Any],
    takes_unknown: bool,
) -> Probe:
    """Find out about one command.

    `start(content, options)` starts it; `shared(key, content, options)` starts it unless
    another task has been started with this key. `complete` are arguments with which the
    task could run, `reserved` those of them that Fractal supplies; `takes_unknown` says
    that arguments outside its schema are welcome.
    """
    required = _required(schema)
    options = (flags[0], ARGUMENTS, flags[1], OUTPUT)
    content = b"{}" if takes_unknown else _encoded({UNKNOWN: 0})
    first = start(content, options)

    def reads(one: Start, ways: Sequence[str]) -> bool:
        if one.read is not None:
            return one.read
        # No access times here: a command that reads tells two contents apart.
        return one.output is not None or one.behaviour != start(_NOT_JSON, ways).behaviour

    if not reads(first, options):
        if first.finished.returncode in (0, 126, 127) or first.finished.timed_out:
            return Probe(first, reads=False)
        if first.crash is not None and first.crash.raised_by_import:
            return Probe(first, reads=False)
        tried = []
        for manner in _manners(flags):
            other = start(content, manner.options)
            tried.append((manner, other, reads(other, manner.options)))
            if tried[-1][2]:
                break
        return Probe(first, reads=False, manners=tuple(tried))

    told = _told(first)
    names_unknown, names_required = UNKNOWN in told, _names(told, [*required, *reserved])
    tried = []
    refused = first.finished.returncode != 0
    if refused and not (names_unknown or names_required) and first.output is None:
        for last in ((), (IMPOSSIBLE, OUTPUT)):
            manner = Manner((flags[0], ARGUMENTS, *last))
            other = start(content, manner.options)
            tried.append((manner, other, reads(other, manner.options)))

    def cases() -> Iterator[Case]:
        reader = _reader(first.crash, script, package_folder)
        if reader is None:
            yield Case("not-json", start(_NOT_JSON, options))
        else:
            yield Case("not-json", shared(reader, _NOT_JSON, options))
        if not refused:
            if required or not takes_unknown:
                kind: CaseKind = "unknown" if not required else "lacking-and-unknown"
                yield Case("lacking" if takes_unknown else kind, first)
            return
        called = names_unknown and "unexpected keyword argument" in told
        if required and not takes_unknown:
            yield Case("lacking", first if names_required or called else start(b"{}", options))
        if not takes_unknown and not names_unknown:
            filled = _encoded({**complete, UNKNOWN: 0})
            yield Case("unknown", start(filled, options), real=True)

    return Probe(first, reads=True, manners=tuple(tried), cases=tuple(cases()))


def _manners(flags: tuple[str, str]) -> Iterator[Manner]:
    """Ways in which commands are written by mistake, the likeliest first."""
    yield Manner((flags[0], ARGUMENTS))
    yield Manner(("--json", ARGUMENTS, flags[1], OUTPUT))
    yield Manner((f"--json={ARGUMENTS}", f"{flags[1]}={OUTPUT}"))
    yield Manner((f"--json={ARGUMENTS}",))
    yield Manner(("--args-json", ARGUMENTS, "--out-json", OUTPUT))
    yield Manner((ARGUMENTS, OUTPUT))
    yield Manner((ARGUMENTS,))
    yield Manner((IMPOSSIBLE, ARGUMENTS))


def _required(schema: Mapping[str, Any]) -> list[str]:
    required = schema.get("required")
    if not isinstance(required, list):
        return []
    return [name for name in required if isinstance(name, str)]


def _told(start: Start) -> str:
    """What a refusal gives as its reason: not what was logged on the way."""
    return start.last_words


def _names(text: str, words: Iterable[str]) -> bool:
    return any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text) for word in words)


def _reader(crash: Crash | None, script: str, package_folder: str) -> str | None:
    """The function of the package to which the script leaves the reading; None if it is not told.

    A script that appears once, at the top of the traceback, has handed everything to the
    function below it.
    """
    if crash is None or len(crash.frames) < 2:
        return None
    top, reader, *rest = crash.frames
    inside = reader.file.startswith(package_folder) and reader.file != script
    if top.file != script or not inside or any(frame.file == script for frame in rest):
        return None
    return f"{reader.file}:{reader.name}"


def _encoded(arguments: Mapping[str, Any]) -> bytes:
    return json.dumps(arguments, indent=2).encode()
