"""The headline of a run says no more than was judged."""

from __future__ import annotations

import pytest

from pytest_fractal.report.conclusion import conclusion
from pytest_fractal.report.model import CandidateReport, TaskSummary
from pytest_fractal.rules import REGISTRY
from pytest_fractal.verdicts import Finding, Outcome, Verdict

COLLECTION = {code: Outcome.PASS for code, rule in REGISTRY.items() if rule.decides_collection}


def headline(outcomes: dict[str, Outcome]) -> tuple[str, str]:
    """What is said of a run with these verdicts, and in which mood."""
    verdicts = [
        Verdict(
            code,
            REGISTRY[code].name,
            "blur" if code == "FR301" else None,
            outcome,
            (Finding("this", "that", "fix it"),) if outcome is Outcome.FAIL else (),
        )
        for code, outcome in outcomes.items()
    ]
    tasks = (TaskSummary("Blur", "blur", "blur", "parallel", {}, None),)
    report = CandidateReport("demo", "1", "demo", "1", None, None, tasks, tuple(verdicts), (), {})
    said = conclusion(report, strict=False, complete=True)
    return said.headline.partition(";")[0], said.mood


@pytest.mark.parametrize(
    ("outcomes", "said", "mood"),
    [
        (
            {"FR301": Outcome.PASS},
            "the selected rules hold, the others were not judged",
            "good",
        ),
        ({"FR301": Outcome.ERROR}, "of the selected rules, FR301 could not be judged", "bad"),
        (
            {"FR301": Outcome.FAIL, "FR302": Outcome.ERROR},
            "of the selected rules, FR301 is broken",
            "bad",
        ),
        (
            {"FR001": Outcome.ERROR},
            "not known whether fractal-server 1.x takes it (FR001 not judged)",
            "bad",
        ),
        (COLLECTION, "fractal-server 1.x will collect it", "good"),
        (
            COLLECTION | {"FR301": Outcome.ERROR},
            "fractal-server 1.x will collect it, but FR301 could not be judged",
            "bad",
        ),
        (
            COLLECTION | {"FR301": Outcome.FAIL, "FR302": Outcome.ERROR},
            "fractal-server 1.x will collect it, but FR301 is broken in 1 of 1 task",
            "bad",
        ),
    ],
)
def test_a_headline_says_no_more_than_was_judged(
    outcomes: dict[str, Outcome], said: str, mood: str
) -> None:
    assert headline(outcomes) == (said, mood)


@pytest.mark.parametrize(
    ("fix", "reported"),
    [
        ("add it.", "no: add it"),
        (
            "Add to the end of a.toml\n    [x]\n    y = 1",
            "no: Add to the end of a.toml `[x]` `y = 1`",
        ),
        ("In a.toml, replace\n    x\nby\n    y", "no: In a.toml, replace `x` by `y`"),
        ("add to its end:\n" + "    line\n" * 60, "no: add to its end ..."),
        ("x" * 300, f"no: {'x' * 300}"),
    ],
)
def test_a_fix_of_several_lines_in_a_heading(fix: str, reported: str) -> None:
    assert Finding(expected="", found="no", hint=fix).breach == reported
