"""The verdict in a few words, as a badge: an SVG image, or data from which one is made."""

from __future__ import annotations

import html
import json
from typing import Final

from pytest_fractal.report.model import Report
from pytest_fractal.report.overview import pluralize
from pytest_fractal.verdicts import Outcome, Status

_LABEL: Final = "fractal"
_COLORS: Final = {
    "brightgreen": "#3c7d0e",
    "yellow": "#8a6100",
    "red": "#b3261e",
    "lightgrey": "#636363",
}
"""The names that the endpoint has for colours, and those of the image: dark, for white text."""
_NARROW: Final = frozenset("fijlrt, :1")


def message(report: Report) -> tuple[str, str]:
    """What the badge says, and the name of its colour."""
    verdicts = [verdict for candidate in report.candidates for verdict in candidate.verdicts]
    broken = len({verdict.code for verdict in verdicts if verdict.outcome is Outcome.FAIL})
    warnings = sum(verdict.outcome is Outcome.WARN for verdict in verdicts)
    if broken:
        return f"{pluralize(broken, 'rule')} broken", "red"
    if not report.complete or not verdicts:
        return "not judged", "lightgrey"
    warned = pluralize(warnings, "warning")
    unchecked = sum(verdict.status is Status.NOT_CHECKED for verdict in verdicts)
    if not report.passed:
        return (warned, "red") if report.strict and warnings else ("not judged", "lightgrey")
    if warnings:
        return f"passes, {warned}", "yellow"
    return (
        (f"passes, {unchecked} not checked", "yellow") if unchecked else ("passes", "brightgreen")
    )


def render_endpoint(report: Report) -> str:
    """What a badge service reads: https://shields.io/badges/endpoint-badge."""
    text, color = message(report)
    return (
        json.dumps({"schemaVersion": 1, "label": _LABEL, "message": text, "color": color}) + "\n"
    )


def render_image(report: Report) -> str:
    """The badge as SVG."""
    return draw(*message(report))


def draw(text: str, color: str) -> str:
    """A badge as SVG, with text that every browser fits into its field.

    `color` is a name that the endpoint has for one, such as `brightgreen`.
    """
    left, right = _width(_LABEL), _width(text)
    whole = html.escape(f"{_LABEL}: {text}")
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" \
aria-label="{whole}">
<title>{whole}</title>
<clipPath id="r"><rect width="{left + right}" height="20" rx="3"/></clipPath>
<g clip-path="url(#r)">
<rect width="{left}" height="20" fill="#444"/>
<rect x="{left}" width="{right}" height="20" fill="{_COLORS[color]}"/>
</g>
<g fill="#fff" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="11">
<text x="6" y="14" textLength="{left - 12}">{html.escape(_LABEL)}</text>
<text x="{left + 6}" y="14" textLength="{right - 12}">{html.escape(text)}</text>
</g>
</svg>
"""


def _width(text: str) -> int:
    """Pixels of a field with this text in Verdana of 11 pixels, about."""
    return 12 + round(sum(4.2 if letter in _NARROW else 7 for letter in text))
