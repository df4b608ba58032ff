"""What the formats for people have in common: in what order they tell what."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pytest_fractal.report.model import CandidateReport, Report
from pytest_fractal.verdicts import Finding, Severity, Status, Verdict

WORST_FIRST: Final = (
    Status.ERROR,
    Status.FAIL,
    Status.WARN,
    Status.BLOCKED,
    Status.NOT_CHECKED,
    Status.PASS,
    Status.IGNORED,
    Status.NOT_APPLICABLE,
)
"""Which status stands for several."""

_CONTROL: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
"""What would move a terminal's cursor, turn text around, or make XML ill-formed."""


def escape_control_chars(text: str) -> str:
    r"""A text that shows its control characters as escapes, such as `\x1b`, instead of obeying."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text.replace("\r\n", "\n"))


def headline(report: Report) -> str:
    """The result in a few words: `2 rules broken, 1 warning`."""
    verdicts = [verdict for candidate in report.candidates for verdict in candidate.verdicts]
    by_outcome: dict[Status, list[Verdict]] = {}
    for verdict in verdicts:
        by_outcome.setdefault(verdict.status, []).append(verdict)
    broken = {verdict.code for verdict in by_outcome.get(Status.FAIL, ())}
    parts = [
        pluralize(len(broken), "rule") + " broken" if broken else "",
        pluralize(len(by_outcome.get(Status.ERROR, ())), "check") + " could not be made"
        if Status.ERROR in by_outcome
        else "",
        pluralize(len(by_outcome.get(Status.WARN, ())), "warning")
        if Status.WARN in by_outcome
        else "",
        pluralize(len(by_outcome.get(Status.BLOCKED, ())), "check") + " blocked"
        if Status.BLOCKED in by_outcome
        else "",
        pluralize(len(by_outcome.get(Status.NOT_CHECKED, ())), "check") + " not made"
        if Status.NOT_CHECKED in by_outcome
        else "",
    ]
    counted = ", ".join(part for part in parts if part)
    if not report.complete:
        return f"interrupted: {counted}" if counted else "interrupted"
    if not verdicts:
        return "nothing was judged"
    return counted or f"{pluralize(len(verdicts), 'check')} passed"


def pluralize(count: int, noun: str) -> str:
    """A count with its noun."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


@dataclass(frozen=True)
class ToFix:
    """One finding, or a check that could not be made, with what hangs on it."""

    verdict: Verdict
    finding: Finding | None
    """None where the harness failed: the reason is the verdict's."""
    heavy: bool
    """Whether it fails; else it is a warning."""
    blocks: int
    """How many checks are blocked by its verdict."""


def to_fix(candidate: CandidateReport, strict: bool) -> tuple[ToFix, ...]:
    """What is to be fixed, in the order in which that is best done: warnings last.

    The order of the rules is that of their prerequisites, so what blocks comes first; what
    blocks and was not selected itself comes before all.
    """
    blocked = Counter(root.key for verdict in candidate.verdicts for root in verdict.blockers)
    judged = {verdict.key for verdict in candidate.verdicts}
    unselected = {
        root.key: root
        for verdict in candidate.verdicts
        for root in verdict.blockers
        if root.key not in judged
    }
    found = [
        ToFix(
            verdict,
            finding,
            strict or _weighs(verdict, finding),
            blocked[verdict.key],
        )
        for verdict in (*unselected.values(), *candidate.verdicts)
        if verdict.status is not Status.PASS  # a note is nothing to fix
        for finding in (verdict.findings or ((None,) if verdict.status is Status.ERROR else ()))
    ]
    return tuple(sorted(found, key=lambda one: not one.heavy))


def _weighs(verdict: Verdict, finding: Finding | None) -> bool:
    """Whether a finding fails, of itself."""
    if finding is None or finding.severity is None:
        return verdict.status in (Status.FAIL, Status.ERROR)
    return finding.severity is Severity.ERROR


def check_again(candidate: CandidateReport, verdict: Verdict) -> str:
    """The command line that makes one check again."""
    about = f"[{verdict.task}]" if verdict.task else ""
    return f"{candidate.rerun_command} {shlex.quote(f'--fractal-select={verdict.code}{about}')}"


@dataclass(frozen=True)
class Matrix:
    """The checks by rule and by what they are about."""

    subjects: Sequence[str | None]
    """The ids of the tasks; None, in front, is the package."""
    rules: Mapping[str, Mapping[str | None, Sequence[Verdict]]]
    """The verdicts by code and subject; a task with several samples has several."""


def matrix(candidate: CandidateReport) -> Matrix:
    """Sort the verdicts of a candidate into rows and columns."""
    rules: dict[str, dict[str | None, list[Verdict]]] = {}
    tasks: dict[str | None, None] = dict.fromkeys(task.id for task in candidate.tasks)
    for verdict in candidate.verdicts:
        rules.setdefault(verdict.code, {}).setdefault(verdict.task, []).append(verdict)
        if verdict.task is not None:
            tasks.setdefault(verdict.task)
    return Matrix((None, *tasks), rules)


def worst(verdicts: Sequence[Verdict]) -> Status:
    """The outcome that stands for several."""
    return min((verdict.status for verdict in verdicts), key=WORST_FIRST.index)


def names(candidate: CandidateReport) -> Mapping[str | None, str]:
    """What to call the subjects of verdicts."""
    return {None: "the package", **{task.id: task.name for task in candidate.tasks}}


def title(candidate: CandidateReport) -> str:
    """What is judged: name and version."""
    return f"{candidate.name} {candidate.version}" if candidate.version else candidate.name


def metadata_rows(candidate: CandidateReport) -> Iterator[tuple[str, str]]:
    """What else is known of the candidate, each with its name."""
    yield "from", candidate.source
    if candidate.wheel:
        yield "wheel", candidate.wheel
    if candidate.generation:
        yield "manifest version", candidate.generation
    if candidate.python:
        yield "Python", candidate.python
