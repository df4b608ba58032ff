"""Finding out, with few process starts, whether a command can be run by Fractal.

Starting a real task costs seconds, nearly all of it imports, so each start must serve
as many rules as it can:

1. One start as Fractal makes it, on arguments that a task should refuse: they lack
   what Fractal supplies and hold one that nobody knows. That the file is read shows that
   the command starts, takes the options and reads the arguments (FR301-FR303); how it
   ends shows whether it refuses them (FR304). They also hold a value for everything else
   that the schema tells of: what pydantic refuses of those, it lists beside the two
   (FR206). A command that hangs, or that a signal or a failed import ends before it reads,
   needs no more than this one.
2. One start on a file that is not JSON (FR304). Tasks that leave the reading to one
   function of their package or of a library, as the tracebacks of both starts tell, share it.
3. Where the first refusal does not tell which of its two reasons it had, one start for
   each reason that is still open. Only an exception is taken at its word, and only where
   it does not merely repeat what it was given: a log may name anything. Where the start
   on good arguments and an unknown one ends in an exception about something else, one
   more start, without the unknown argument, shows whether that had any part in it.
4. Where all of these end in one and the same exception, two more, on no arguments and on
   all that the schema tells of, show whether any arguments would change it (FR305).

So a package whose tasks validate their arguments with pydantic, which tells all reasons
at once, costs one start a task, and one more. A plain function called with `**arguments`
costs another: Python tells of the unknown argument alone. Only a command whose
arguments file stays unread, or that may have refused the second option, is started
in other ways (`Invocation`) to find out what it would take, and how it treats an option
that cannot exist: two ways for one that reads, and one more and good arguments where it
may have refused what they are to rule out; up to ten for one that does not.
Where the file system keeps no access times, a command that tells contents apart is seen
to read, at one start more for each "does it read?"; a failing one is trusted to, if it
fails otherwise with an option that cannot exist.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from pytest_fractal.processes.commands import ARGUMENTS, OUTPUT, Start
from pytest_fractal.processes.tracebacks import Crash

UNKNOWN: Final = "pytest_fractal_unknown_argument"
IMPOSSIBLE: Final = "--pytest-fractal-no-such-option"
_NOT_JSON: Final = b'{"this is": not JSON'

_ECHO: Final = re.compile(rf"""['"]?{UNKNOWN}['"]?\s*[:=]\s*0""")
"""The unknown argument as a part of all arguments, which an exception may repeat."""
_USAGE: Final = re.compile(r"\b(usage|options?|arguments?|argv)\b", re.IGNORECASE)

CaseKind = Literal["not-json", "lacking", "unknown"]


@dataclass(frozen=True)
class Invocation:
    """One way of handing the two paths to a command."""

    options: tuple[str, ...]
    """With `{arguments}` and `{output}` for the paths."""

    @property
    def words(self) -> str:
        """The way as one would type it."""
        return " ".join(self.options).replace(ARGUMENTS, "ARGS.json").replace(OUTPUT, "OUT.json")


@dataclass(frozen=True)
class Attempt:
    """A start in another invocation than Fractal's."""

    invocation: Invocation
    start: Start
    reads: bool


@dataclass(frozen=True)
class Case:
    """A start on arguments of one kind that a task should refuse."""

    kind: CaseKind
    start: Start
    real: bool = False
    """Whether the arguments are good but for this: then the task may really run."""
    twin: Start | None = None
    """A start on the same arguments without this one mistake, where it was needed."""

    @property
    def goes_unnoticed(self) -> bool:
        """Whether the mistake had no part in how the command ended."""
        return self.twin is not None and self.twin.ending == self.start.ending


@dataclass(frozen=True)
class Probe:
    """What the starts of one command have shown."""

    flags: tuple[str, str]
    first: Start
    """As Fractal starts it, on arguments that should be refused."""
    reads: bool
    """Whether the first start read its arguments file."""
    attempts: tuple[Attempt, ...] = ()
    """Other ways that were tried, in this order."""
    cases: tuple[Case, ...] = ()
    """What should be refused; only of a command that reads its arguments."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """What the first start was given."""
    lacks: tuple[str, ...] = ()
    """The required arguments that it was not given."""
    whole: Start | None = None
    """A start on good arguments, all that the schema tells of, where it was needed."""
    alike: tuple[Start, ...] = ()
    """Starts on arguments of different kinds, all ended in one exception, where all are."""

    @property
    def reading_invocation(self) -> Invocation | None:
        """Another way, by which the command does read its arguments, though not by Fractal's."""
        reading = (attempt.invocation for attempt in self.attempts if attempt.reads)
        return None if self.reads else next(reading, None)

    @property
    def refuses_output_option(self) -> bool:
        """Whether the option for the output file is refused, though the other one is taken."""
        alone = self._attempt(_alone(self.flags))
        if not self.reads and alone is not None and alone.reads:
            return True
        impossible = self._attempt(_impossible(self.flags)[1])
        if impossible is None or not self._as_impossible(1):
            return False
        if self.reads:
            return alone is not None and self._blames_output_option(alone)
        return not self._as_impossible(0) and IMPOSSIBLE in impossible.start.output_tail

    def _blames_output_option(self, alone: Attempt) -> bool:
        """Whether the refusal by a command that has read its arguments is about the option."""
        by_place = self._attempt(_impossible(self.flags)[0])
        if by_place is not None and by_place.reads:
            return False  # the second word is the file, whatever the first one is called
        if self.whole is not None and self.whole.ending != self.first.ending:
            return False  # with other arguments, the same options lead elsewhere
        return alone.start.ending != self.first.ending

    @property
    def refuses_options(self) -> bool:
        """Whether an option is refused: treated as an impossible one, or another way is taken.

        A command that ends the same whatever it is given refuses its options if it says so.
        """
        if self.reads:
            return self.refuses_output_option
        if self.reading_invocation is not None:
            return True
        if not self.attempts or not (self._as_impossible(0) or self._as_impossible(1)):
            return False
        return not self.ends_all_alike or self._is_about_options

    @property
    def ends_before_options(self) -> bool:
        """Whether it fails before it reads, in the same way whatever the options."""
        failed = self.first.finished.returncode != 0 and not self.first.finished.timed_out
        if self.reads or not failed or self.reading_invocation is not None:
            return False
        return self.ends_all_alike and not self._is_about_options

    @property
    def ends_all_alike(self) -> bool:
        """Whether it ended in the same way however its options were written."""
        # Some repeat what they were given.
        given = {word for attempt in self.attempts for word in attempt.invocation.options}
        end = self.first.ending.without(given)
        return all(attempt.start.ending.without(given) == end for attempt in self.attempts)

    @property
    def _is_about_options(self) -> bool:
        """Whether the end is about options, of a command that ends the same with any."""
        first, impossible = self.first, self._attempt(_impossible(self.flags)[0])
        if impossible is not None and IMPOSSIBLE in impossible.start.output_tail:
            return True
        if first.crash is not None:
            return first.crash.type == "KeyError" and first.crash.message.startswith("'-")
        return _USAGE.search(first.output_tail) is not None

    def _attempt(self, invocation: Invocation) -> Attempt | None:
        return next(
            (attempt for attempt in self.attempts if attempt.invocation == invocation), None
        )

    def _as_impossible(self, place: int) -> bool:
        """Whether it ended as it does when this option is replaced by an impossible one."""
        impossible = self._attempt(_impossible(self.flags)[place])
        if impossible is None:
            return False
        end = impossible.start.ending.renamed(IMPOSSIBLE, self.flags[place])
        if IMPOSSIBLE not in impossible.start.output_tail:
            return end == self.first.ending
        # Who names the option that it refuses may suggest another that looks like it.
        return end == replace(self.first.ending, words=self.first.ending.words & end.words)


Starter = Callable[[bytes, Sequence[str]], Start]
SharedStarter = Callable[[str, bytes, Sequence[str]], Start]


def probe_command(
    start: Starter,
    shared: SharedStarter,
    *,
    script: str,
    package_folder: str,
    library_folder: str,
    flags: tuple[str, str],
    wrong_invocations: Iterable[tuple[str, ...]],
    schema: Mapping[str, Any],
    reserved: Mapping[str, Any],
    complete: Mapping[str, Any],
    every: Mapping[str, Any],
    takes_unknown: bool,
) -> Probe:
    """Find out about one command.

    `start(content, options)` starts it; `shared(key, content, options)` starts it unless
    another task has been started with this key. `script` is the file that is started,
    `package_folder` where its package lies, `library_folder` where what it requires is
    installed; both end with a separator. `complete` are arguments with which the
    task could run, `reserved` those of them that Fractal supplies, `every` a value for each
    argument of the task's own; `wrong_invocations` are ways in which commands take the two paths
    by mistake; `takes_unknown` says that arguments outside its schema are welcome.
    """
    required = _required(schema)
    options = (flags[0], ARGUMENTS, flags[1], OUTPUT)
    left_out = {name for name in reserved if name not in every}
    if not left_out.intersection(required):
        left_out.update(required)
    arguments = {name: value for name, value in every.items() if name not in left_out}
    if not takes_unknown:
        arguments[UNKNOWN] = 0
    lacks = tuple(name for name in required if name not in arguments)
    content = _encoded(arguments)

    def attempt(invocation: Invocation) -> Attempt:
        other = start(content, invocation.options)
        if other.read is not None:
            return Attempt(invocation, other, other.read)
        return Attempt(invocation, other, tells_contents_apart(other, invocation.options))

    def tells_contents_apart(one: Start, ways: Sequence[str]) -> bool:
        return one.output is not None or one.ending != start(_NOT_JSON, ways).ending

    def ends_as_with_an_impossible_option() -> bool:
        other = start(content, _impossible(flags)[0].options)
        return other.ending.renamed(IMPOSSIBLE, flags[0]) == first.ending

    first = start(content, options)
    finished = first.finished
    reads = first.read
    if reads is None:
        # No access times here. A failing command is trusted to have read, unless it fails
        # just so with an option that it cannot know: many say the same of any content.
        reads = finished.returncode != 0 and not ends_as_with_an_impossible_option()
        reads = reads or tells_contents_apart(first, options)
    if not reads:
        if finished.returncode in (126, 127) or finished.returncode < 0:
            return Probe(flags, first, reads=False)
        if first.crash is not None and first.crash.raised_by_import:
            return Probe(flags, first, reads=False)
        attempts = []
        for invocation in _invocations(flags, wrong_invocations):
            attempts.append(attempt(invocation))
            if attempts[-1].reads or attempts[-1].start.finished.timed_out:
                break
        return Probe(flags, first, reads=False, attempts=tuple(attempts))

    missing: CaseKind = "lacking" if required else "unknown"
    if finished.timed_out:
        # It may be at work, unless it has not been given what it needs.
        hangs = (Case(missing, first),) if required or not takes_unknown else ()
        return Probe(flags, first, reads=True, cases=hangs, arguments=arguments, lacks=lacks)

    refused = finished.returncode != 0
    reason = _reason(first)
    names_unknown = _names(reason, [UNKNOWN])
    names_required = _names(reason, [*required, *reserved]) and not _names(reason, flags)
    attempts = []
    whole: Start | None = None
    if refused and not (names_unknown or names_required) and first.output is None:
        attempts = [attempt(_alone(flags)), attempt(_impossible(flags)[1])]
        if Probe(flags, first, reads=True, attempts=tuple(attempts)).refuses_output_option:
            attempts.append(attempt(_impossible(flags)[0]))
            if not attempts[-1].reads:
                whole = start(_encoded({**complete, **every}), options)

    def cases() -> Iterator[Case]:
        yield Case("not-json", on_no_json())
        if required:
            settled = not refused or takes_unknown or names_required
            yield Case("lacking", first if settled else start(b"{}", options))
        if not takes_unknown:
            if not refused or names_unknown:
                yield Case("unknown", first)
                return
            alien = start(_encoded({**complete, UNKNOWN: 0}), options)
            # An exception about something else, in a command that does look at its arguments.
            other = alien.crash is not None and not _names(_reason(alien), [UNKNOWN])
            other = other and alien.ending != first.ending
            twin = start(_encoded(complete), options) if other else None
            yield Case("unknown", alien, real=True, twin=twin)

    def on_no_json() -> Start:
        folders = (package_folder, library_folder)
        reader = _reader(first.crash, folders)
        if reader is not None and first.crash is not None and first.crash.frames[0].file == script:
            common = shared(reader, _NOT_JSON, options)
            if script in common.finished.argv:
                return common  # it was made by this command
            # What a library calls in the package may be another function for each task.
            reads_itself = reader.startswith(package_folder) or not _comes_back(
                common.crash, package_folder
            )
            if _reader(common.crash, folders) == reader and reads_itself:
                return common
        return start(_NOT_JSON, options)

    found = tuple(cases())

    def all_alike() -> tuple[Start, ...]:
        crash = first.crash
        if crash is None or names_unknown:
            return ()
        if names_required and (crash.type == "ValidationError" or "missing" in crash.message):
            return ()
        tried = [first, *(case.start for case in found if case.kind != "not-json")]
        for content in (b"{}", _encoded({**complete, **every})):
            if not all(start.ends_like(first) for start in tried):
                return ()
            tried.append(start(content, options))
        return tuple(tried) if tried[-1].ends_like(first) else ()

    return Probe(
        flags,
        first,
        reads=True,
        attempts=tuple(attempts),
        cases=found,
        arguments=arguments,
        lacks=lacks,
        whole=whole,
        alike=all_alike(),
    )


def _alone(flags: tuple[str, str]) -> Invocation:
    return Invocation((flags[0], ARGUMENTS))


def _impossible(flags: tuple[str, str]) -> tuple[Invocation, Invocation]:
    """Fractal's invocation, with one of its options replaced by one that cannot exist."""
    return (
        Invocation((IMPOSSIBLE, ARGUMENTS, flags[1], OUTPUT)),
        Invocation((flags[0], ARGUMENTS, IMPOSSIBLE, OUTPUT)),
    )


def _invocations(
    flags: tuple[str, str], mistaken: Iterable[tuple[str, ...]]
) -> Iterator[Invocation]:
    """Ways in which commands are written by mistake, the likeliest first, and wrong ones."""
    yield _alone(flags)
    yield from map(Invocation, mistaken)
    yield Invocation((ARGUMENTS, OUTPUT))
    yield Invocation((ARGUMENTS,))
    yield from _impossible(flags)
    yield Invocation(())


def _required(schema: Mapping[str, Any]) -> list[str]:
    required = schema.get("required")
    if not isinstance(required, list):
        return []
    return [name for name in required if isinstance(name, str)]


def _reason(start: Start) -> str:
    """What an exception gives as the reason of a refusal; empty where there is none."""
    if start.crash is None:
        return ""
    # `rich` breaks lines where it likes.
    return _ECHO.sub("", " ".join(start.output_tail.split()))


def _names(text: str, words: Iterable[str]) -> bool:
    return any(re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) for word in words)


def _reader(crash: Crash | None, folders: tuple[str, ...]) -> str | None:
    """The function in one of the folders to which a script leaves the reading.

    A script that appears once, at the top of the traceback, has handed everything to the
    function below it. None where that is not so, or not known.
    """
    if crash is None or len(crash.frames) < 2:
        return None
    script, reader, *rest = (frame.file for frame in crash.frames)
    if not reader.startswith(folders) or script in (reader, *rest):
        return None
    return f"{reader}:{crash.frames[1].name}"


def _comes_back(crash: Crash | None, package_folder: str) -> bool:
    """Whether a traceback leads from the script to a library, and back to the package."""
    frames = crash.frames[1:] if crash is not None else ()
    return any(frame.file.startswith(package_folder) for frame in frames)


def _encoded(arguments: Mapping[str, Any]) -> bytes:
    return json.dumps(arguments, indent=2).encode()
