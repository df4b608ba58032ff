"""The time line of the HTML page: what was done when."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_fractal.report.markup import Markup, element
from pytest_fractal.report.model import CandidateReport
from pytest_fractal.report.timeline import Bar, timeline


def time_line(candidate: CandidateReport) -> Iterator[Markup]:
    """What was done when, as a table with bars; nothing where nothing was started."""
    bars = timeline(candidate)
    if not bars:
        return
    whole = max(bar.ended for bar in bars) or 1.0
    yield element("h2", "Time line")
    yield element(
        "p",
        f"{whole:.1f} s in all. A light bar is a wait for its turn: what came before was "
        "done, and other commands were run.",
    )
    yield element(
        "table",
        element(
            "thead",
            element(
                "tr",
                (
                    element("th", head, scope="col", class_=class_)
                    for head, class_ in (
                        ("What", None),
                        ("After", "after"),
                        ("Began", "began"),
                        ("Seconds", None),
                        ("When", "when"),
                    )
                ),
            ),
        ),
        element("tbody", (_bar(bar, whole) for bar in bars)),
        class_="timeline",
    )


def _bar(bar: Bar, whole: float) -> Markup:
    def part(value: float) -> str:
        return f"{100 * value / whole:.2f}%"

    drawn = [
        element("rect", x=part(bar.ready), width=part(bar.waited), y=5, height=4, class_="waits")
        if bar.waited > whole / 500
        else None,
        element(
            "rect",
            x=part(bar.started),
            width=part(max(bar.seconds, whole / 400)),
            y=1,
            height=12,
            rx=2,
        ),
    ]
    waited = f", waited {bar.waited:.1f} s" if bar.waited >= 0.05 else ""
    return element(
        "tr",
        element("th", bar.what, scope="row"),
        element("td", f"{bar.after or ''}{waited}", class_="after"),
        element("td", f"{bar.started:.1f}", class_="number began"),
        element("td", f"{bar.seconds:.1f}", class_="number"),
        element(
            "td",
            element(
                "svg",
                element("title", f"{bar.what}: {bar.ending or 'done'}"),
                *drawn,
                width="100%",
                height=14,
                role="img",
            ),
            class_="when",
        ),
        class_=f"{bar.kind} bad" if bar.bad else bar.kind,
    )
