"""What a judgement says: findings, and the verdict that they add up to."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


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
    """The rule does not apply here; the reason says why."""
    BLOCKED = "blocked"
    """A prerequisite failed; the reason says which."""
    ERROR = "error"
    """The harness failed, not the candidate."""


@dataclass(frozen=True)
class SourceLocation:
    """Where an annotation in the author's repository belongs."""

    file: str
    """Relative to the folder of the package, with `/`."""
    line: int | None = None
    column: int | None = None


@dataclass(frozen=True)
class Finding:
    """One breach of a rule, told so that its reader can fix it without other documents."""

    expected: str
    """What the rule wants, for this very place."""
    found: str
    """What is there instead."""
    hint: str
    """How to fix it: the line to add, the value to write, the command to run."""
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
    place: SourceLocation | None = field(default=None, compare=False)
    """The file in the source tree that is to be changed, as well as that is known; None
    without a source tree. It differs from `file` where that is in the wheel only."""

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
    seconds: float = field(default=0.0, compare=False)
