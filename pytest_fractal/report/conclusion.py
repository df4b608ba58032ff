"""What a run comes to: what a server will do, what was not checked, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pytest_fractal.generations import GENERATIONS
from pytest_fractal.report.model import CandidateReport
from pytest_fractal.report.overview import pluralize
from pytest_fractal.report.problems import Problem, problems
from pytest_fractal.report.servers import sentence, server_ranges
from pytest_fractal.rules import REGISTRY
from pytest_fractal.rules.subjects import Scope
from pytest_fractal.verdicts import Status, Verdict

Mood = Literal["good", "bad", "unsure"]

_UNJUDGED: Final = (Status.BLOCKED, Status.ERROR, Status.IGNORED)
"""With these nobody knows whether the rule holds."""
_OR_BREAKS_JOBS: Final = frozenset({"FR111", "FR115", "FR116"})
"""Of what breaks these the server collects some, and then jobs fail."""


@dataclass(frozen=True)
class Conclusion:
    """The result of a run on one candidate, for people."""

    headline: str
    """`fractal-server 2.x will collect it; 0 errors, 3 warnings`."""
    mood: Mood
    fix_first: Problem | None
    """The error that blocks most; None without errors."""
    not_checked: Sequence[str]
    """What was not checked and why, a sentence for each reason."""
    ignored: Sequence[str]
    """What the user ignores, and why."""
    notes: Sequence[str]
    """What could be better, and never fails."""
    next_command: str
    """What to type next."""
    servers: str = ""
    """Which releases of fractal-server take it, in a line; empty where that is not known."""


def conclusion(report: CandidateReport, strict: bool, complete: bool) -> Conclusion:
    """Sum up the verdicts on one candidate; `complete` says that the run came to its end."""
    found = problems(report, strict)
    errors = [problem for problem in found if problem.heavy]
    said, mood = _server_verdict(report, complete)
    counts = f"{pluralize(len(errors), 'error')}, {pluralize(len(found) - len(errors), 'warning')}"
    return Conclusion(
        f"{said}; {counts}",
        "bad" if errors else mood,
        max(errors, key=_urgency, default=None),
        list(_reasons(report, Status.NOT_CHECKED)),
        list(_reasons(report, Status.IGNORED)),
        [
            f"{verdict.code} {verdict.rule}: {found.breach}"
            for verdict in report.verdicts
            if verdict.status is Status.PASS
            for found in verdict.findings
        ],
        _next_command(report, found),
        sentence(server_ranges(report)) if complete else "",
    )


def _urgency(problem: Problem) -> tuple[bool, int]:
    """What a run on a sample shows has its reason elsewhere more often than not: it comes last."""
    rule = REGISTRY[problem.verdict.code]
    return rule.scope is not Scope.SAMPLE, problem.blocks


def _server_verdict(report: CandidateReport, complete: bool) -> tuple[str, Mood]:
    """What the servers that read this version of the manifest do with the package."""
    server = f"fractal-server {report.generation}.x" if report.generation else "fractal-server"
    failed = [verdict for verdict in report.verdicts if verdict.status is Status.FAIL]
    refused = [verdict for verdict in failed if _decides(verdict)]
    if refused:
        certain = any(verdict.code not in _OR_BREAKS_JOBS for verdict in refused)
        does = "refuse it" if certain else "refuse it, or jobs with its tasks will fail"
        return f"{server} will {does} ({_codes(refused)})", "bad"
    if not complete or not report.verdicts:
        return f"the run was interrupted: not known whether {server} takes it", "unsure"
    unknown = [verdict for verdict in report.verdicts if verdict.status is Status.ERROR]
    deciding = {rule.code for rule in REGISTRY.values() if rule.decides_collection}
    unjudged = [
        verdict for verdict in report.verdicts if _decides(verdict) and verdict.status in _UNJUDGED
    ]
    if unjudged:
        return f"not known whether {server} takes it ({_codes(unjudged)} not judged)", "unsure"
    if not deciding <= {verdict.code for verdict in report.verdicts}:
        if failed:
            return f"of the selected rules, {_broken(failed)}", "bad"
        if unknown:
            return f"of the selected rules, {_codes(unknown)} could not be judged", "unsure"
        return "the selected rules hold, the others were not judged", "good"
    known = GENERATIONS.get(report.generation or "")
    refuses = ""
    if known is not None and known.refused_by:
        refuses = f"; {known.refused_by} refuses manifest version {known.version}"
    if failed:
        tasks = dict.fromkeys(verdict.task for verdict in failed if verdict.task)
        which = f" in {len(tasks)} of {pluralize(len(report.tasks), 'task')}" if tasks else ""
        return f"{server} will collect it, but {_broken(failed)}{which}{refuses}", "bad"
    if unknown:
        missing = f"but {_codes(unknown)} could not be judged"
        return f"{server} will collect it, {missing}{refuses}", "unsure"
    return f"{server} will collect it{refuses}", "good"


def _reasons(report: CandidateReport, status: Status) -> Iterator[str]:
    """The rules with this status by their reasons: `FR401 of 1 of 2 tasks: there is no sample`."""
    reasons: dict[str, list[Verdict]] = {}
    for verdict in report.verdicts:
        if verdict.status is status and verdict.reason:
            reasons.setdefault(verdict.cause or verdict.reason, []).append(verdict)
    for reason, verdicts in reasons.items():
        tasks = dict.fromkeys(verdict.task for verdict in verdicts if verdict.task)
        of = f" of {len(tasks)} of {pluralize(len(report.tasks), 'task')}" if tasks else ""
        yield f"{_codes(verdicts)}{of}: {reason}"


def _next_command(report: CandidateReport, found: Sequence[Problem]) -> str:
    """What brings most: the fixes, what is left of the errors, first samples, or a new run."""
    errors = [problem for problem in found if problem.heavy]
    fixes = [part.finding for problem in found for part in problem.parts if part.finding]
    if any(finding.fix for finding in fixes):
        return report.rerun_command if report.fixed else f"{report.rerun_command} --fractal-fix"
    if errors:
        codes = ",".join(dict.fromkeys(problem.verdict.code for problem in errors))
        return f"{report.rerun_command} --fractal-select={codes}"
    if any(verdict.code == "FR407" and verdict.findings for verdict in report.verdicts):
        return f"{report.rerun_command} --fractal-new-samples"
    return report.rerun_command


def _decides(verdict: Verdict) -> bool:
    return verdict.code in REGISTRY and REGISTRY[verdict.code].decides_collection


def _broken(verdicts: Iterable[Verdict]) -> str:
    """`FR301 is broken`, or `FR301, FR302 are broken`."""
    codes = _codes(verdicts)
    return f"{codes} {'are' if ',' in codes else 'is'} broken"


def _codes(verdicts: Iterable[Verdict]) -> str:
    return ", ".join(dict.fromkeys(verdict.code for verdict in verdicts))
