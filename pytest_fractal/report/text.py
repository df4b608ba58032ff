"""What a person reads in a terminal: failures, summaries, and the rules themselves."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator

from pytest_fractal.report.model import CandidateReport
from pytest_fractal.rules import REGISTRY
from pytest_fractal.verdicts import Finding, Outcome, Severity, Verdict

WIDTH = 96


def verdict_text(verdict: Verdict) -> str:
    """A verdict that is not good, with all that it takes to fix the package."""
    rule = REGISTRY[verdict.code]
    sample = f"-{verdict.sample}" if verdict.sample else ""
    about = f" [{verdict.task}{sample}]" if verdict.task else ""
    lines = [f"{verdict.code} {verdict.rule}{about}: {rule.title}"]
    if verdict.reason:
        lines += ["", f"  {verdict.reason}"]
    for blocker in verdict.blockers:
        lines += ["", *textwrap.indent(verdict_text(blocker), "  ").splitlines()]
    for found in verdict.findings:
        lines += ["", *_finding_lines(found)]
    if verdict.findings:
        lines += ["", *_wrapped("why", rule.rationale)]
        lines += _wrapped("see", "; ".join(rule.cite))
        lines += _wrapped("more", f"pytest --fractal-explain={verdict.code}\n{rule.page}")
    return "\n".join(lines)


def _finding_lines(found: Finding) -> Iterator[str]:
    if found.where:
        yield from _wrapped("where", found.where)
    if found.task:
        yield from _wrapped("task", found.task)
    yield from _wrapped("expected", found.expected)
    yield from _wrapped("found", found.found)
    yield from _wrapped("fix", found.hint)


def _wrapped(label: str, text: str) -> Iterator[str]:
    """A labelled text; lines of its own stay as they are, for they may be code to paste."""
    paragraphs = text.splitlines() or [""]
    lead = f"  {label + ':':<10}"
    for number, paragraph in enumerate(paragraphs):
        before = lead if number == 0 else " " * len(lead)
        if len(paragraphs) > 1:
            yield before + paragraph
        else:
            yield from textwrap.wrap(
                paragraph,
                WIDTH,
                initial_indent=before,
                subsequent_indent=" " * len(lead),
                break_long_words=False,
                break_on_hyphens=False,
            ) or [before.rstrip()]


def header_lines(report: CandidateReport) -> list[str]:
    """What is judged, in two lines."""
    version = f" {report.version}" if report.version else ""
    generation = f", generation {report.generation}" if report.generation else ""
    tasks = f", {len(report.tasks)} tasks" if report.generation else ""
    lines = [f"fractal: {report.name}{version}{generation}{tasks}, from {report.source}"]
    if report.wheel:
        lines.append(f"         {report.wheel}, Python {report.python}")
    return lines


def summary_lines(report: CandidateReport) -> Iterator[str]:
    """One line for the package and one for each task, then the seconds by stage."""
    groups: dict[str | None, list[Verdict]] = {None: []}
    groups |= {task.id: [] for task in report.tasks}
    for verdict in report.verdicts:
        groups.setdefault(verdict.task, []).append(verdict)
    names = {task.id: task.name for task in report.tasks}
    labels = {key: "the package" if key is None else names.get(key, key) for key in groups}
    width = min(max(map(len, labels.values()), default=0), 48)
    for key, verdicts in groups.items():
        if verdicts:
            yield f"{labels[key][:48]:<{width}}  {_counts(verdicts)}"
    stages = "  ".join(f"{stage} {seconds:.1f} s" for stage, seconds in report.timings.items())
    yield f"{'seconds':<{width}}  {stages}, {len(report.runs)} process starts"


def warning_lines(report: CandidateReport) -> Iterator[str]:
    """Each warning and note in short: they pass, so nothing else would show them."""
    for verdict in report.verdicts:
        for found in verdict.findings:
            light = verdict.outcome in (Outcome.WARN, Outcome.PASS)
            if light or found.severity is Severity.WARNING:
                about = f" [{found.task}]" if found.task else ""
                where = f" {found.where}:" if found.where else ""
                yield f"{verdict.code}{about}{where} expected {found.expected},"
                yield f"      found {found.found}"
                yield f"      fix: {found.hint}"


def repeat_lines(report: CandidateReport) -> Iterator[str]:
    """For each run that did not end as expected, the command line that repeats it.

    Where only some of its components failed, those; the files must have been kept.
    """
    bad = (Outcome.FAIL, Outcome.WARN)
    for task, sample in dict.fromkeys(
        (verdict.task, verdict.sample)
        for verdict in report.verdicts
        if verdict.sample and verdict.outcome in bad
    ):
        runs = [run for run in report.runs if (run.task, run.sample) == (task, sample)]
        failed = [run for run in runs if run.returncode or run.timed_out]
        for run in failed or runs:
            yield f"to repeat {task}-{sample}:"
            yield f"  {run.again}"


def _counts(verdicts: Iterable[Verdict]) -> str:
    counts = Counter(verdict.outcome for verdict in verdicts)
    parts = []
    for outcome in Outcome:
        codes = [verdict.code for verdict in verdicts if verdict.outcome is outcome]
        if codes:
            listed = f" ({', '.join(dict.fromkeys(codes))})"
            telling = outcome in (Outcome.FAIL, Outcome.WARN, Outcome.ERROR)
            parts.append(f"{counts[outcome]} {outcome.value}{listed if telling else ''}")
    return ", ".join(parts)


def rules_table() -> str:
    """All rules, a line each."""
    width = max(len(rule.name) for rule in REGISTRY.values())
    lines = []
    for rule in REGISTRY.values():
        letter = rule.severity.letter
        lines.append(f"{rule.code}  {letter}  {rule.name:<{width}}  {rule.title}")
    letters = (
        "E: an error fails. W: a warning fails under --fractal-strict. N: a note never fails."
    )
    return "\n".join([*lines, "", letters])
