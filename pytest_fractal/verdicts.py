"""What a judgement says: findings, and the verdict that they add up to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Final

from pytest_fractal.fixes.model import Fix


class Severity(StrEnum):
    """How much a finding weighs: an `error` fails, a `warning` only under `--fractal-strict`.

    A `note` never does: it says what could not be checked, and how it could.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    @property
    def letter(self) -> str:
        """As tables have it: E, W or N."""
        return self.value[0].upper()


class Outcome(StrEnum):
    """The verdict of one rule on one subject."""

    PASS = "pass"
    FAIL = "fail"
    WARN = "warn"
    SKIP = "skip"
    """Not judged; the verdict's `skip` says of which kind, its reason why."""
    BLOCKED = "blocked"
    """A prerequisite failed; the reason says which."""
    ERROR = "error"
    """The harness failed, not the candidate."""


class SkipKind(StrEnum):
    """Why a rule was not judged, and so what the reader has to think of it."""

    NOT_APPLICABLE = "not-applicable"
    """The rule says nothing about such a package, task or sample. Nobody need know."""
    NOT_CHECKED = "not-checked"
    """Something that it takes is missing, such as a sample: the rule may be broken."""
    IGNORED = "ignored"
    """The user ignores the rule."""


class Skipped(Exception):
    """Raised where a rule is not judged. The message is the reason, with its details if any."""

    kind: ClassVar[SkipKind]

    def __init__(self, reason: str, details: str = "") -> None:
        super().__init__(f"{reason}: {details}" if details else reason)
        self.reason = reason

    def of(self, part: str) -> Skipped:
        """The same of one part of a task alone; `reason` stays as it is."""
        named = type(self)(f"{part}: {self}")
        named.reason = self.reason
        return named


class NotApplicable(Skipped):
    """The rule says nothing about such a package, task or sample."""

    kind = SkipKind.NOT_APPLICABLE


class NotChecked(Skipped):
    """Something is missing that it takes to judge: a sample, an environment, a readable source."""

    kind = SkipKind.NOT_CHECKED


class Ignored(Skipped):
    """The user ignores the rule; the message is the user's reason."""

    kind = SkipKind.IGNORED


class Status(StrEnum):
    """An outcome as people read it: the kinds of skips stand apart."""

    PASS = "pass"
    FAIL = "fail"
    WARN = "warn"
    NOT_CHECKED = "not-checked"
    BLOCKED = "blocked"
    ERROR = "error"
    IGNORED = "ignored"
    NOT_APPLICABLE = "not-applicable"


@dataclass(frozen=True)
class SourceLocation:
    """Where an annotation in the author's repository belongs."""

    file: str
    """Relative to the folder of the package, with `/`."""
    line: int | None = None
    column: int | None = None


_MOST_OF_A_FIX: Final = 240
"""Characters of it in a heading."""


def _in_a_line(hint: str) -> str:
    """A fix as one line, what it quotes in backticks; its first line where that is too long."""
    lines = [line for line in hint.strip().splitlines() if line.strip()]
    whole = " ".join(f"`{line.strip()}`" if line[:1].isspace() else line for line in lines)
    if len(lines) < 2 or len(whole) <= _MOST_OF_A_FIX:
        return whole.rstrip(".:")
    return f"{lines[0].rstrip('.:')} ..."


@dataclass(frozen=True)
class Finding:
    """One breach of a rule, with all that its reader needs to fix it."""

    expected: str
    """What the rule wants, for this very place."""
    found: str
    """What is there instead."""
    hint: str
    """The fix: the line to add, the value to write, the command to run."""
    file: str | None = None
    """The file to look at: a path in the wheel, or relative to the source tree."""
    pointer: str | None = None
    """The JSON pointer (RFC 6901) of the place within `file`."""
    line: int | None = None
    """The line of the place within `file`, from 1."""
    column: int | None = None
    """The column of the place within its line, from 1."""
    task: str | None = None
    """The slug of the one task that is concerned; None: all of them."""
    severity: Severity | None = None
    """Where this finding weighs other than its rule says."""
    releases: str | None = None
    """The releases of fractal-server that it concerns, such as `>=2,<2.20`; None: all of those
    that read this version of the manifest. What older ones alone refuse is a warning."""
    follows: str | None = field(default=None, compare=False)
    """The code of a rule about the task whose breach, if it is broken, is the cause of this: then
    that is reported, and this is not."""
    place: SourceLocation | None = field(default=None, compare=False)
    """The file in the source tree that is to be changed, as well as that is known; None
    without a source tree. It differs from `file` where that is in the wheel only."""

    fix: Fix | None = field(default=None, compare=False)
    """The fix as edits, where it is plain what is to be done."""
    excerpt: tuple[tuple[int, str], ...] = field(default=(), compare=False)
    """Lines of the file around `line`, each with its number, to show where it is."""

    @property
    def breach(self) -> str:
        """What is wrong and how to fix it, in a line: `No module named 'skimage': add ...`."""
        found = (self.found.strip().splitlines() or [""])[0].rstrip(".:")
        fix = _in_a_line(self.hint)
        return f"{found}: {fix}" if found else fix

    @property
    def where(self) -> str:
        """The place in words: file, line and JSON pointer, as far as they are known."""
        place = self.file or ""
        if self.line is not None:
            place += f":{self.line}"
            if self.column is not None:
                place += f":{self.column}"
        if self.pointer:
            place += f" at {self.pointer}" if place else self.pointer
        return place


Key = tuple[str, str | None, str | None, str | None]
"""Code, task, sample and the version of a server: what there is one verdict for."""


@dataclass(frozen=True)
class Verdict:
    """One rule's judgement of one subject: the whole package, or one of its tasks."""

    code: str
    rule: str
    task: str | None
    outcome: Outcome
    findings: tuple[Finding, ...] = ()
    reason: str | None = None
    """Why it is `skip`, `blocked` or `error`."""
    blockers: tuple[Verdict, ...] = ()
    """For `blocked`: the failed verdicts at the root of it."""
    sample: str | None = None
    server: str | None = None
    """The version of the fractal-server that was asked; None for a rule that asks none."""
    skip: SkipKind | None = None
    """For `skip`: of which kind it is."""
    cause: str = field(default="", compare=False)
    """For `skip`: the reason less its details; verdicts of one cause are listed together."""
    seconds: float = field(default=0.0, compare=False)

    @property
    def key(self) -> Key:
        """What there is one verdict for."""
        return self.code, self.task, self.sample, self.server

    @property
    def status(self) -> Status:
        """The outcome; for a skip, its kind."""
        if self.outcome is Outcome.SKIP:
            return Status(self.skip or SkipKind.NOT_APPLICABLE)
        return Status(self.outcome)


def first_names(names: Sequence[str], most: int) -> str:
    """So many of these names, and how many more there are: `a, b and 3 more`."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
