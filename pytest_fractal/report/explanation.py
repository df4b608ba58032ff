"""One rule in a terminal, for a person who has just met it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from pytest_fractal.rules import REGISTRY, Rule
from pytest_fractal.rules.observed import observations
from pytest_fractal.rules.subjects import Scope
from pytest_fractal.verdicts import Severity

_WIDEST: Final = 96
"""Columns: longer lines are hard to read."""
_NARROWEST: Final = 40
_STYLES: Final = {"title": "1", "error": "1;31", "warning": "1;33", "head": "1;36", "code": "32"}
"""The codes with which a terminal shows the parts of an explanation."""


_SUBJECTS: Final = {
    Scope.PACKAGE: "once for the package",
    Scope.TASK: "for each task",
    Scope.SAMPLE: "for each sample of each task",
}


def explanation(rule: Rule, width: int, *, colored: bool = False) -> str:
    """All that is known of a rule, in lines of at most `width` columns but for addresses."""
    width = max(_NARROWEST, min(width, _WIDEST))

    def marked(text: str, style: str) -> str:
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if colored else text

    heading = f"{rule.code} {rule.name}"
    lines = [f"{marked(heading, 'title')}  {marked(rule.severity, rule.severity.value)}"]
    lines += _wrapped(rule.title, width, "")
    for head, parts, style in _sections(rule):
        lines += ["", marked(head, "head")]
        for part in parts:
            rendered = (
                _wrapped(part, width, "  ") if style is None else [f"  {marked(part, style)}"]
            )
            lines += rendered
    return "\n".join(lines)


def _sections(rule: Rule) -> Iterator[tuple[str, Sequence[str], str | None]]:
    yield "Why", rule.rationale.split("\n\n"), None
    yield "For example", [rule.example], None
    yield "How to fix it", [rule.fix], None
    if seen := observations().get(rule.code):
        yield (
            "What real servers did",
            [
                f"fractal-server {earlier.server}, given {earlier.package}: {earlier.reaction}."
                for earlier in seen
            ],
            None,
        )
    yield "How it is judged", list(_judging(rule)), None
    server = " --fractal-server" if rule.asks_server else ""
    alone = f"pytest --fractal-package=. --fractal-select={rule.code}{server}"
    yield "To judge by this rule alone", [alone], "code"
    yield (
        "To ignore it, in pyproject.toml",
        ["[tool.pytest.ini_options]", f'fractal_ignore = ["{rule.code}: the reason"]'],
        "code",
    )
    yield "Where it is written down", rule.cite, None
    yield "Its page, with packages that break it", [rule.page], None


def _judging(rule: Rule) -> Iterator[str]:
    subject = _SUBJECTS[rule.scope]
    weight = {
        Severity.ERROR: "a breach fails",
        Severity.WARNING: "a breach is a warning, and fails under --fractal-strict",
        Severity.NOTE: "a breach is a note, and never fails",
    }[rule.severity]
    yield f"It is judged {subject}; {weight}."
    if rule.needs:
        yield f"It is blocked where one of these is broken: {_listed(rule.needs)}."
    needing = [code.code for code in REGISTRY.values() if rule.code in code.needs]
    if needing:
        yield f"A breach of it blocks {_listed(needing)}."


def _listed(codes: Sequence[str]) -> str:
    return ", ".join(f"{code} {REGISTRY[code].name}" for code in codes)


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    """A paragraph; an address is never broken."""
    return textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
