"""Finding out, with few process starts, whether a command can be run by Fractal.

Starting a real task costs seconds, nearly all of it imports, so each start must serve
as many rules as it can, and none is made for a rule that nobody asked for:

1. `Prober.probe`: one start as Fractal makes it, on arguments that a task should refuse:
   they lack what Fractal supplies and hold one that nobody knows. That the file is read
   shows that the command starts, takes the options and reads the arguments (FR301-FR303);
   how it ends shows whether it refuses them (FR304). They also hold a value for everything
   else that the schema has: what pydantic refuses of those, it lists beside the two
   (FR206). A command that hangs, or that a signal or a failed import ends before it reads,
   needs no more than this one.
2. `Prober.refusals`: one start on a file that is not JSON (FR304). Tasks that leave the
   reading to one function of their package or of a library, as the tracebacks of both
   starts tell, share it.
3. Where the first refusal does not tell which of its two reasons it had, one start for
   each reason that is still open. Only an exception is taken at its word, and only where
   it does not merely repeat what it was given: a log may name anything. Where the start
   on good arguments and an unknown one ends in an exception about something else, one
   more start, without the unknown argument, shows whether that had any part in it.
4. Where all of these end in one and the same exception, two more, on no arguments and on
   all that the schema has, show whether any arguments would change it (FR305).
5. `Prober.options`: where a command that reads its arguments may have refused the second
   option, it is started in other ways (`Invocation`) to find out (FR302): two, and one more
   and good arguments where it may have refused what they are to rule out.

So a package whose tasks validate their arguments with pydantic, which tells all reasons
at once, costs one start a task, and one more. A plain function called with `**arguments`
costs another: Python names the unknown argument alone. A command whose arguments
file stays unread is started in up to ten other ways, to find out what it would take (FR302),
and how it treats an option that cannot exist. Where the file system keeps no access times, a
command that tells contents apart is seen to read, at one start more for each "does it
read?"; a failing one is trusted to, if it fails otherwise with an option that cannot exist.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
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
    """What the first start of a command has shown; where that failed and read nothing, others."""

    flags: tuple[str, str]
    first: Start
    """As Fractal starts it, on arguments that should be refused."""
    reads: bool
    """Whether the first start read its arguments file."""
    attempts: tuple[Attempt, ...] = ()
    """Other ways that were tried, in this order."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """What the first start was given."""
    lacks: tuple[str, ...] = ()
    """The required arguments that it was not given."""

    @property
    def reading_invocation(self) -> Invocation | None:
        """Another way, by which the command does read its arguments, though not by Fractal's."""
        reading = (attempt.invocation for attempt in self.attempts if attempt.reads)
        return None if self.reads else next(reading, None)

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


@dataclass(frozen=True)
class OptionProbe(Probe):
    """The same, with all that it takes to tell whether the two options are taken."""

    whole: Start | None = None
    """A start on good arguments, all that the schema has, where it was needed."""

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


@dataclass(frozen=True)
class Refusals:
    """What a command does with arguments that it should refuse."""

    cases: tuple[Case, ...] = ()
    """What should be refused; only of a command that reads its arguments."""
    alike: tuple[Start, ...] = ()
    """Starts on arguments of different kinds, all ended in one exception, where all are."""


Starter = Callable[[bytes, Sequence[str]], Start]
SharedStarter = Callable[[str, bytes, Sequence[str]], Start]


@dataclass(frozen=True)
class Prober:
    """Finds out about one command, by as many starts as what is asked for takes."""

    start: Starter
    """Starts it on a content of its arguments file, with these options."""
    shared: SharedStarter
    """The same, unless another task has been started with this key."""
    script: str
    """The file that is started."""
    package_folder: str
    """Where its package lies; with a separator at the end."""
    library_folder: str
    """Where what it requires is installed, likewise."""
    flags: tuple[str, str]
    wrong_invocations: Iterable[tuple[str, ...]]
    """Ways in which commands take the two paths by mistake."""
    schema: Mapping[str, Any]
    reserved: Mapping[str, Any]
    """Those of the complete arguments that Fractal supplies."""
    complete: Mapping[str, Any]
    """Arguments with which the task could run."""
    every: Mapping[str, Any]
    """A value for each argument of the task's own."""
    takes_unknown: bool
    """Whether arguments outside its schema are welcome."""

    def probe(self) -> Probe:
        """Whether it starts, and reads its arguments."""
        first = self.start(self._content, self._options)
        finished = first.finished
        reads = first.read
        if reads is None:
            # No access times here. A failing command is trusted to have read, unless it fails
            # just so with an option that it cannot know: many say the same of any content.
            reads = finished.returncode != 0 and not self._ends_as_with_an_impossible_option(first)
            reads = reads or self._tells_contents_apart(first, self._options)
        if not reads:
            # How a failing one treats its options tells whether it gets that far.
            attempts = self._other_ways(first) if finished.returncode else ()
            return Probe(self.flags, first, reads=False, attempts=tuple(attempts))
        arguments = self._first_arguments
        lacks = tuple(name for name in self._required if name not in arguments)
        return Probe(self.flags, first, reads=True, arguments=arguments, lacks=lacks)

    def options(self, probe: Probe) -> OptionProbe:
        """Whether it takes the two options."""
        first = probe.first
        known = OptionProbe(**vars(probe))
        if not probe.reads:
            return replace(known, attempts=probe.attempts or tuple(self._other_ways(first)))
        if not self._refuses(first) or first.output is not None:
            return known
        if self._names_unknown(first) or self._names_required(first):
            return known
        attempts = [
            self._attempt(_alone(self.flags)),
            self._attempt(_impossible(self.flags)[1]),
        ]
        known = replace(known, attempts=tuple(attempts))
        if not known.refuses_output_option:
            return known
        attempts.append(self._attempt(_impossible(self.flags)[0]))
        whole = None if attempts[-1].reads else self.start(self._whole_content, self._options)
        return replace(known, attempts=tuple(attempts), whole=whole)

    def refusals(self, probe: Probe) -> Refusals:
        """What it does with arguments that it should refuse."""
        if not probe.reads:
            return Refusals()
        if probe.first.finished.timed_out:
            # It may be at work, unless it has not been given what it needs.
            missing: CaseKind = "lacking" if self._required else "unknown"
            hangs = bool(self._required) or not self.takes_unknown
            return Refusals((Case(missing, probe.first),) if hangs else ())
        cases = tuple(self._cases(probe.first))
        return Refusals(cases, self._all_alike(probe.first, cases))

    @property
    def _options(self) -> tuple[str, ...]:
        return self.flags[0], ARGUMENTS, self.flags[1], OUTPUT

    @property
    def _required(self) -> Sequence[str]:
        required = self.schema.get("required")
        if not isinstance(required, list):
            return []
        return [name for name in required if isinstance(name, str)]

    @cached_property
    def _first_arguments(self) -> Mapping[str, Any]:
        left_out = {name for name in self.reserved if name not in self.every}
        if not left_out.intersection(self._required):
            left_out.update(self._required)
        arguments = {name: value for name, value in self.every.items() if name not in left_out}
        return arguments if self.takes_unknown else {**arguments, UNKNOWN: 0}

    @property
    def _content(self) -> bytes:
        return _encoded(self._first_arguments)

    @property
    def _whole_content(self) -> bytes:
        return _encoded({**self.complete, **self.every})

    def _attempt(self, invocation: Invocation) -> Attempt:
        other = self.start(self._content, invocation.options)
        if other.read is not None:
            return Attempt(invocation, other, other.read)
        return Attempt(invocation, other, self._tells_contents_apart(other, invocation.options))

    def _other_ways(self, first: Start) -> Iterator[Attempt]:
        """The ways in which a command that has not read is started besides."""
        if first.finished.returncode in (126, 127) or first.finished.returncode < 0:
            return
        if first.crash is not None and first.crash.raised_by_import:
            return
        for invocation in _invocations(self.flags, self.wrong_invocations):
            attempt = self._attempt(invocation)
            yield attempt
            if attempt.reads or attempt.start.finished.timed_out:
                return

    def _tells_contents_apart(self, start: Start, ways: Sequence[str]) -> bool:
        return start.output is not None or start.ending != self.start(_NOT_JSON, ways).ending

    def _ends_as_with_an_impossible_option(self, first: Start) -> bool:
        other = self.start(self._content, _impossible(self.flags)[0].options)
        return other.ending.renamed(IMPOSSIBLE, self.flags[0]) == first.ending

    def _refuses(self, first: Start) -> bool:
        return first.finished.returncode != 0 and not first.finished.timed_out

    def _names_unknown(self, first: Start) -> bool:
        return _names(_reason(first), [UNKNOWN])

    def _names_required(self, first: Start) -> bool:
        reason = _reason(first)
        named = _names(reason, [*self._required, *self.reserved])
        return named and not _names(reason, self.flags)

    def _cases(self, first: Start) -> Iterator[Case]:
        refused, names_unknown = self._refuses(first), self._names_unknown(first)
        yield Case("not-json", self._on_no_json(first))
        if self._required:
            settled = not refused or self.takes_unknown or self._names_required(first)
            yield Case("lacking", first if settled else self.start(b"{}", self._options))
        if not self.takes_unknown:
            if not refused or names_unknown:
                yield Case("unknown", first)
                return
            alien = self.start(_encoded({**self.complete, UNKNOWN: 0}), self._options)
            # An exception about something else, in a command that does look at its arguments.
            other = alien.crash is not None and not self._names_unknown(alien)
            other = other and alien.ending != first.ending
            twin = self.start(_encoded(self.complete), self._options) if other else None
            yield Case("unknown", alien, real=True, twin=twin)

    def _on_no_json(self, first: Start) -> Start:
        folders = (self.package_folder, self.library_folder)
        crash, reader = first.crash, _reader(first.crash, folders)
        if reader is not None and crash is not None and crash.frames[0].file == self.script:
            common = self.shared(reader, _NOT_JSON, self._options)
            if self.script in common.finished.argv:
                return common  # it was made by this command
            # What a library calls in the package may be another function for each task.
            reads_itself = reader.startswith(self.package_folder) or not _comes_back(
                common.crash, self.package_folder
            )
            if _reader(common.crash, folders) == reader and reads_itself:
                return common
        return self.start(_NOT_JSON, self._options)

    def _all_alike(self, first: Start, cases: Iterable[Case]) -> tuple[Start, ...]:
        crash = first.crash
        if crash is None or self._names_unknown(first):
            return ()
        is_missing = crash.type == "ValidationError" or "missing" in crash.message
        if is_missing and self._names_required(first):
            return ()
        tried = [first, *(case.start for case in cases if case.kind != "not-json")]
        for content in (b"{}", self._whole_content):
            if not all(start.ends_like(first) for start in tried):
                return ()
            tried.append(self.start(content, self._options))
        return tuple(tried) if tried[-1].ends_like(first) else ()


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
