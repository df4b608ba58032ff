"""The report as one HTML file: it needs no network, and works without its script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from importlib import resources
from importlib.metadata import version
from typing import Final

from pytest_fractal.fixes.lines import patch_lines
from pytest_fractal.report.conclusion import conclusion
from pytest_fractal.report.html_timeline import time_line
from pytest_fractal.report.markup import Markup, element
from pytest_fractal.report.model import CandidateReport, Report
from pytest_fractal.report.overview import (
    WORST_FIRST,
    Matrix,
    check_again,
    headline,
    matrix,
    metadata_rows,
    names,
    pluralize,
    title,
    to_fix,
    worst,
)
from pytest_fractal.rules import REGISTRY
from pytest_fractal.rules.registry import DOCUMENTATION
from pytest_fractal.verdicts import Finding, Severity, Status, Verdict

SIGNS: Final = {
    Status.PASS: "✓",
    Status.FAIL: "✗",
    Status.WARN: "!",
    Status.NOT_CHECKED: "○",
    Status.BLOCKED: "⊘",
    Status.ERROR: "?",
    Status.IGNORED: "~",
    Status.NOT_APPLICABLE: "–",
}
_MEANT: Final = {
    Status.PASS: "passes",
    Status.FAIL: "fails",
    Status.WARN: "warns",
    Status.NOT_CHECKED: "not checked",
    Status.BLOCKED: "blocked",
    Status.ERROR: "could not be checked",
    Status.IGNORED: "ignored",
    Status.NOT_APPLICABLE: "does not apply",
}
_FEW_TASKS: Final = 4
"""With more of them, the names of tasks stand upright in the head of the matrix."""
_OPEN: Final = 10
"""How many verdicts are unfolded from the start."""


def render(report: Report) -> str:
    """The page; nothing that a candidate has chosen can become markup or script."""
    style, script = _part("page.css"), _part("page.js")
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    heading = ", ".join(title(candidate) for candidate in report.candidates) or "nothing"
    page = element(
        "html",
        element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", http_equiv="Content-Security-Policy", content=policy),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", name="color-scheme", content="light dark"),
            element("title", f"{heading}: {headline(report)}"),
            element("style", style),
        ),
        element(
            "body",
            element("main", *_filter(report), *_candidates(report)),
            element(
                "footer",
                "Made by ",
                element("a", f"pytest-fractal {version('pytest-fractal')}", href=DOCUMENTATION),
            ),
            element("script", script),
        ),
        lang="en",
    )
    return f"<!DOCTYPE html>\n{page}\n"


def _part(name: str) -> Markup:
    text = (resources.files("pytest_fractal.report") / name).read_text("utf-8")
    return Markup(f"\n{text}")


def _digest(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"sha256-{digest}"


def _candidates(report: Report) -> Iterator[Markup]:
    if not report.candidates:
        yield element("h1", headline(report))
    for place, candidate in enumerate(report.candidates):
        yield _Page(candidate, report, f"c{place}-").section()


def _filter(report: Report) -> Iterator[Markup]:
    """What narrows the page down; the script shows it."""
    counts = {
        status: sum(
            verdict.status is status
            for candidate in report.candidates
            for verdict in candidate.verdicts
        )
        for status in WORST_FIRST
    }
    yield element(
        "search",
        element(
            "label",
            "Filter ",
            element(
                "input",
                type="search",
                id="filter",
                autocomplete="off",
                spellcheck="false",
                placeholder="rule, task or text",
            ),
        ),
        element(
            "span",
            (
                element(
                    "label",
                    element("input", type="checkbox", value=outcome.value, checked=True),
                    element("b", SIGNS[outcome], class_=f"sign {outcome}", aria_hidden="true"),
                    f" {outcome.value.replace('-', ' ')} {count}",
                )
                for outcome, count in counts.items()
                if count
            ),
            class_="outcomes",
        ),
        element("output", id="matches", for_="filter"),
        hidden=True,
    )


class _Page:
    """The part of the page that is about one candidate; ids in it begin with `prefix`."""

    def __init__(self, candidate: CandidateReport, report: Report, prefix: str) -> None:
        self._candidate = candidate
        self._alone = Report((candidate,), report.strict, report.complete)
        self._prefix = prefix
        self._names = names(candidate)
        self._matrix = matrix(candidate)
        self._ids = {
            verdict.key: f"{prefix}v{place}" for place, verdict in enumerate(candidate.verdicts)
        }

    def section(self) -> Markup:
        return element(
            "section",
            self._verdict(),
            *self._to_fix(),
            *self._checks(),
            *time_line(self._candidate),
            *self._rules(),
            *self._commands(),
            class_="candidate",
        )

    def _verdict(self) -> Markup:
        passed = self._alone.passed
        result = conclusion(self._candidate, self._alone.strict, self._alone.complete)
        outcome = Status.PASS if passed else Status.FAIL
        return element(
            "header",
            element("b", SIGNS[outcome], class_="sign", aria_hidden="true"),
            element(
                "div",
                element(
                    "h1", f"{title(self._candidate)} {'passes' if passed else 'does not pass'}"
                ),
                element("p", result.headline, class_="sentence"),
                element("p", f"Servers: {result.servers}") if result.servers else "",
                (
                    element("p", _sign(Status.NOT_CHECKED), f" not checked: {message}")
                    for message in result.not_checked
                ),
                element(
                    "dl",
                    (
                        element("div", element("dt", name), element("dd", value))
                        for name, value in metadata_rows(self._candidate)
                    ),
                ),
            ),
            class_=f"verdict {outcome}",
        )

    def _to_fix(self) -> Iterator[Markup]:
        to_be_fixed = to_fix(self._candidate, self._alone.strict)
        blocks = {id(entry.verdict): entry.blocks for entry in to_be_fixed}
        ordered = list({id(entry.verdict): entry.verdict for entry in to_be_fixed}.values())
        if ordered:
            yield element("h2", "What to fix, best in this order")
            yield element(
                "ol",
                (
                    element("li", self._problem(verdict, blocks[id(verdict)], place < _OPEN))
                    for place, verdict in enumerate(ordered)
                ),
                class_="to-fix",
            )

    def _problem(self, verdict: Verdict, blocks: int, unfolded: bool) -> Markup:
        return element(
            "details",
            element("summary", *self._heading(verdict)),
            element(
                "div",
                element("p", verdict.reason) if verdict.reason else None,
                [self._finding(found, verdict) for found in verdict.findings],
                element("p", f"{pluralize(blocks, 'other check')} blocked until this is fixed.")
                if blocks
                else None,
                element("p", "Check it again:"),
                _command(check_again(self._candidate, verdict)),
                element(
                    "p",
                    element(
                        "a", f"More about {verdict.code}", href=f"#{self._prefix}{verdict.code}"
                    ),
                ),
                id=self._id(verdict),
                tabindex="-1",
                class_="target",
            ),
            open=unfolded,
            class_=f"check {verdict.status}",
            data_outcome=verdict.status,
        )

    def _heading(self, verdict: Verdict) -> Iterator[Markup | str]:
        yield _sign(verdict.status)
        yield element("code", verdict.code)
        yield " "
        yield element("strong", verdict.rule)
        if about := self._about(verdict):
            yield " "
            yield element("span", about, class_="about")
        yield element("span", f", {_MEANT[verdict.status]}", class_="unseen")

    def _about(self, verdict: Verdict) -> str:
        name = self._names.get(verdict.task, verdict.task or "")
        sample = [f"sample {verdict.sample}"] if verdict.sample else []
        server = [f"fractal-server {verdict.server}"] if verdict.server else []
        return ", ".join([*filter(None, [name]), *sample, *server])

    def _finding(self, found: Finding, verdict: Verdict) -> Markup:
        differs = found.severity is not None and found.severity != REGISTRY[verdict.code].severity
        rows = [
            ("where", found.where),
            ("task", found.task if found.task and verdict.task is None else None),
            ("servers", f"fractal-server {found.releases}" if found.releases else None),
            ("expected", found.expected),
            ("found", found.found),
            ("fix", found.hint),
            ("patch", "\n".join(patch_lines(found.fix.files)) if found.fix else None),
            ("weighs", f"as {found.severity}" if differs else None),
        ]
        return element(
            "dl",
            (
                element("div", element("dt", name), element("dd", value, class_=name))
                for name, value in rows
                if value
            ),
            class_="finding",
        )

    def _checks(self) -> Iterator[Markup]:
        if not self._matrix.rules:
            return
        yield element("h2", "Tasks and rules", id=f"{self._prefix}matrix")
        upright = len(self._matrix.subjects) - 1 > _FEW_TASKS
        yield element(
            "div",
            element(
                "table",
                element(
                    "thead",
                    element(
                        "tr",
                        element("th", "Rule", scope="col"),
                        (
                            element(
                                "th",
                                element("span", self._names.get(subject, subject)),
                                scope="col",
                            )
                            for subject in self._matrix.subjects
                        ),
                    ),
                ),
                element("tbody", self._rows(self._matrix)),
                class_="matrix upright" if upright else "matrix",
            ),
            class_="scroll",
            tabindex="0",
            role="region",
            aria_labelledby=f"{self._prefix}matrix",
        )
        yield element(
            "p",
            (
                element("span", _sign(outcome), f" {_MEANT[outcome]}")
                for outcome in WORST_FIRST
                if self._candidate.summary.get(outcome)
            ),
            class_="legend",
        )

    def _rows(self, table: Matrix) -> Iterator[Markup]:
        family = ""
        for code, row in table.rules.items():
            begins = code[:3] != family
            family = code[:3]
            yield element(
                "tr",
                element(
                    "th",
                    element("code", code),
                    " ",
                    element("span", _rule_name(code)),
                    scope="row",
                ),
                (self._cell(code, subject, row.get(subject, ())) for subject in table.subjects),
                class_="family" if begins else None,
            )

    def _cell(self, code: str, subject: str | None, verdicts: Sequence[Verdict]) -> Markup:
        if not verdicts:
            return element("td")
        outcome = worst(verdicts)
        first = next(verdict for verdict in verdicts if verdict.status is outcome)
        is_broken = outcome in (Status.FAIL, Status.WARN, Status.ERROR)
        target = self._id(first) if is_broken else f"{self._prefix}{code}"
        name = self._names.get(subject, subject)
        several = f" ({pluralize(len(verdicts), 'sample')})" if len(verdicts) > 1 else ""
        return element(
            "td",
            element(
                "a",
                SIGNS[outcome],
                href=f"#{target}",
                aria_label=f"{code} {_rule_name(code)}, {name}: {_MEANT[outcome]}{several}",
                title=f"{name}: {_MEANT[outcome]}{several}",
            ),
            class_=outcome,
            data_outcome=" ".join(dict.fromkeys(verdict.status for verdict in verdicts)),
        )

    def _rules(self) -> Iterator[Markup]:
        if self._matrix.rules:
            yield element("h2", "The rules, one by one")
        for code, row in self._matrix.rules.items():
            verdicts = [verdict for judged in row.values() for verdict in judged]
            outcome = worst(verdicts)
            yield element(
                "details",
                element(
                    "summary",
                    _sign(outcome),
                    element("code", code),
                    " ",
                    element("strong", _rule_name(code)),
                ),
                element(
                    "div",
                    *self._rule(code, verdicts),
                    id=f"{self._prefix}{code}",
                    tabindex="-1",
                    class_="target",
                ),
                class_="check rule",
                data_outcome=" ".join(dict.fromkeys(verdict.status for verdict in verdicts)),
            )

    def _rule(self, code: str, verdicts: Sequence[Verdict]) -> Iterator[Markup]:
        rule = REGISTRY.get(code)
        if rule is not None:
            yield element("p", element("strong", rule.title))
            yield from (element("p", part) for part in rule.rationale.split("\n\n"))
            weight = "" if rule.severity is Severity.ERROR else f" (a {rule.severity.value})"
            yield element("p", f"How to fix it{weight}: {rule.fix}")
            yield element("p", element("a", f"The page of {code}", href=rule.page))
        for outcome in WORST_FIRST:
            if some := [verdict for verdict in verdicts if verdict.status is outcome]:
                yield element(
                    "p",
                    _sign(outcome),
                    element("strong", f" {_MEANT[outcome]}"),
                    ": ",
                    *self._listed(some),
                )

    def _listed(self, verdicts: Sequence[Verdict]) -> Iterator[Markup | str]:
        """What verdicts of one outcome are about; those of the same reason together."""
        groups: dict[str | None, list[Verdict]] = {}
        for verdict in verdicts:
            groups.setdefault(verdict.reason if not verdict.findings else None, []).append(verdict)
        for place, (reason, group) in enumerate(groups.items()):
            yield "; " if place else ""
            for number_, verdict in enumerate(group):
                yield ", " if number_ else ""
                is_broken = verdict.status in (Status.FAIL, Status.WARN, Status.ERROR)
                about = self._about(verdict) or "the package"
                yield element("a", about, href=f"#{self._id(verdict)}") if is_broken else about
            if reason:
                yield f" ({reason})"
            roots = {root.key: root for verdict in group for root in verdict.blockers}
            for root in roots.values():
                if (target := self._ids.get(root.key)) is not None:
                    yield " "
                    yield element("a", f"see {root.code}", href=f"#{target}")

    def _commands(self) -> Iterator[Markup]:
        runs = self._candidate.runs
        if not runs:
            return
        yield element("h2", "Command lines")
        yield element("p", "To judge this package again, in the same way:")
        yield _command(self._candidate.rerun_command)
        kept = self._candidate.folder
        yield element(
            "p",
            ("The files of this run are kept in ", element("code", kept), ".")
            if kept
            else (
                "The files of this run are gone; with ",
                element("code", "--fractal-keep"),
                " they stay, and each of these can be repeated.",
            ),
        )
        yield element(
            "details",
            element("summary", pluralize(len(runs), "process start")),
            (
                element(
                    "div",
                    element(
                        "p",
                        element("strong", self._names.get(run.task, run.task)),
                        f", sample {run.sample}" if run.sample else "",
                        f": {'time limit' if run.timed_out else f'status {run.returncode}'}, "
                        f"{run.seconds:.1f} s",
                    ),
                    _command(run.rerun_command),
                    class_="start",
                )
                for run in runs
            ),
        )

    def _id(self, verdict: Verdict) -> str:
        return self._ids[verdict.key]


def _sign(outcome: Status) -> Markup:
    return element("b", SIGNS[outcome], class_=f"sign {outcome}", aria_hidden="true")


def _command(text: str) -> Markup:
    return element(
        "div",
        element("pre", element("code", text), tabindex="0"),
        element("button", "Copy", type="button", hidden=True),
        class_="command",
    )


def _rule_name(code: str) -> str:
    return REGISTRY[code].name if code in REGISTRY else ""
