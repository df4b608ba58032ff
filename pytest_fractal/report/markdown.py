"""The report as Markdown, for the summary of a CI job: the verdict first."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from typing import Final

from pytest_fractal.fixes.lines import patch_lines
from pytest_fractal.report.conclusion import conclusion
from pytest_fractal.report.model import CandidateReport, Report
from pytest_fractal.report.overview import (
    Matrix,
    check_again,
    escape_control_chars,
    headline,
    matrix,
    metadata_rows,
    names,
    pluralize,
    title,
    worst,
)
from pytest_fractal.report.problems import Problem, problems
from pytest_fractal.rules import REGISTRY
from pytest_fractal.verdicts import Status, first_names

SIGNS: Final = {
    Status.PASS: "✅",
    Status.FAIL: "❌",
    Status.WARN: "⚠️",
    Status.NOT_CHECKED: "⚪",
    Status.BLOCKED: "⛔",
    Status.ERROR: "💥",
    Status.IGNORED: "🔕",
    Status.NOT_APPLICABLE: "➖",
}
_LEGEND: Final = (
    "✅ passes, ❌ fails, ⚠️ warns, ⛔ blocked by what fails, ⚪ not checked, "
    "➖ does not apply, 🔕 ignored, "
    "💥 could not be checked"
)
_SHOWN: Final = 5
"""How many findings are shown in full before the rest is folded."""
_IN_FULL: Final = 50
"""How many are shown in full at all: a job's summary must stay below 1 MiB."""
_SUBJECTS: Final = 8
"""How many tasks of one problem are listed."""
_PLACES: Final = 3
"""How many of its places."""
_LONGEST: Final = 4000
"""Characters of one text."""
_MARKS: Final = re.compile(r"[\\`*_\[\]|~$@]|:(?=//)|(?<=www)\.")
"""What would begin something within a line: also an address that becomes a link by itself."""


def render(report: Report) -> str:
    """The report as Markdown; what the candidate has chosen stays text, whatever it holds."""
    blocks = [block for candidate in report.candidates for block in _candidate(candidate, report)]
    if not blocks:
        blocks = [f"## {SIGNS[Status.FAIL]} {_plain(headline(report))}"]
    return "\n\n".join(blocks) + "\n"


def _candidate(candidate: CandidateReport, report: Report) -> Iterator[str]:
    alone = Report((candidate,), report.strict, report.complete)
    if alone.passed:
        yield f"## {SIGNS[Status.PASS]} {_plain(title(candidate))} passes"
    else:
        yield f"## {SIGNS[Status.FAIL]} {_plain(title(candidate))} does not pass"
    known = " · ".join(f"{name} {_plain(value)}" for name, value in metadata_rows(candidate))
    result = conclusion(candidate, report.strict, report.complete)
    yield f"**{_plain(result.headline)}** · {known}"
    if result.servers:
        yield f"Servers: {_plain(result.servers)}"
    if result.not_checked:
        sign = SIGNS[Status.NOT_CHECKED]
        yield "\n".join(
            f"- {sign} not checked: {_plain(message)}" for message in result.not_checked
        )
    found = problems(candidate, report.strict)
    if found:
        yield "### What to fix next"
        written = [_problem(candidate, problem) for problem in found[:_IN_FULL]]
        yield from written[:_SHOWN]
        rest = written[_SHOWN:] + [_line(problem) for problem in found[_IN_FULL:]]
        if rest:
            yield _folded(f"{len(rest)} more", *rest)
    table = matrix(candidate)
    telling = [
        code
        for code, row in table.rules.items()
        if not {worst(judged) for judged in row.values()} <= {Status.PASS, Status.NOT_APPLICABLE}
    ]
    if telling:
        yield "### Tasks and rules"
        yield _table(candidate, table, telling)
        yield _LEGEND
    if table.rules:
        yield _folded(
            "All checks", _table(candidate, table, list(table.rules), across=False), _LEGEND
        )
    yield _folded("Where the time went", *_times(candidate))


def _problem(candidate: CandidateReport, problem: Problem) -> str:
    verdict, found = problem.verdict, problem.finding
    sign = SIGNS[Status.ERROR if found is None else Status.FAIL if problem.heavy else Status.WARN]
    lines = [f"#### {sign} {_rule(verdict.code)} {_plain(verdict.rule)}"]
    subjects = problem.subjects
    about = []
    if subjects:
        listed = first_names([*map(_code, subjects)], _SUBJECTS)
        about.append(f"{'task' if len(subjects) == 1 else 'tasks'} {listed}")
    about += map(_code, problem.places[:_PLACES])
    if len(problem.places) > _PLACES:
        about.append(f"{len(problem.places) - _PLACES} more places")
    about += [f"blocks {pluralize(problem.blocks, 'other check')}"] if problem.blocks else []
    if about:
        lines.append(" · ".join(about))
    if found is None:
        lines.append(_labelled("could not be checked", verdict.reason or ""))
    else:
        lines += [
            _labelled("Expected", found.expected),
            _labelled("Found", found.found),
            _labelled("Fix", found.hint),
        ]
        if found.fix is not None:
            lines.append(_fence("\n".join(patch_lines(found.fix.files)), "diff"))
    lines.append(_folded("Check it again", _fence(check_again(candidate, verdict), "sh")))
    return "\n\n".join(lines)


def _line(problem: Problem) -> str:
    where = f" {_code(problem.places[0])}" if problem.places else ""
    return f"- {_rule(problem.verdict.code)} {_plain(', '.join(problem.subjects[:1]))}{where}"


def _table(
    candidate: CandidateReport, table: Matrix, codes: Sequence[str], *, across: bool = True
) -> str:
    """Rules and subjects; `across` says that the rules are the columns."""
    called = names(candidate)
    subjects = [
        subject
        for subject in table.subjects
        if any(table.rules[code].get(subject) for code in codes)
    ]
    grid = {
        (code, subject): SIGNS[worst(some)] if (some := table.rules[code].get(subject)) else ""
        for code in codes
        for subject in subjects
    }
    columns = [_plain(called.get(subject, subject or "")) for subject in subjects]
    if across:
        rows = [
            [name, *(grid[code, subject] for code in codes)]
            for name, subject in zip(columns, subjects, strict=True)
        ]
        return _rows(["", *map(_rule, codes)], rows)
    rows = [
        [f"{_rule(code)} {_plain(_name(code))}", *(grid[code, subject] for subject in subjects)]
        for code in codes
    ]
    return _rows(["", *columns], rows)


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *[":-:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _times(candidate: CandidateReport) -> Iterator[str]:
    stages = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in candidate.timings.items())
    yield f"{stages}; {pluralize(len(candidate.runs), 'process start')}"
    slowest = sorted(candidate.runs, key=lambda run: -run.seconds)[:10]
    if slowest:
        yield _rows(
            ["slowest starts", "sample", "seconds", "ended with"],
            [
                [
                    _plain(run.task),
                    _plain(run.sample or ""),
                    f"{run.seconds:.1f}",
                    "time limit" if run.timed_out else str(run.returncode),
                ]
                for run in slowest
            ],
        )


def _name(code: str) -> str:
    return REGISTRY[code].name if code in REGISTRY else ""


def _rule(code: str) -> str:
    return f"[{code}]({REGISTRY[code].page})" if code in REGISTRY else code


def _labelled(label: str, text: str) -> str:
    if "\n" in text.strip():
        return f"**{label}:**\n\n{_fence(text)}"
    return f"**{label}:** {_plain(text)}"


def _folded(summary: str, *blocks: str) -> str:
    inner = "\n\n".join(blocks)
    return f"<details><summary>{summary}</summary>\n\n{inner}\n\n</details>"


def _plain(text: str) -> str:
    """Text on one line that is nothing but text to Markdown: its marks are HTML's references."""
    text = html.escape(" ".join(_clipped(text).split()), quote=False)
    return _MARKS.sub(lambda mark: f"&#{ord(mark[0])};", text)


def _code(text: str) -> str:
    return f"<code>{_plain(text)}</code>"


def _fence(text: str, language: str = "") -> str:
    """A block of code, in a fence that the text cannot close."""
    text = _clipped(text)
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _clipped(text: str) -> str:
    text = escape_control_chars(text[: 2 * _LONGEST + 2])  # a line's end of two is one then
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
