"""Who waited for whom."""

from __future__ import annotations

import pytest

from pytest_fractal.report.model import (
    CandidateReport,
    Report,
    RunSummary,
    Stage,
    TaskSummary,
)
from pytest_fractal.report.timeline import Bar, timeline

INIT, COMPUTE = ("python", "/x/init.py"), ("python", "/x/compute.py")


def run(
    task: str,
    sample: str | None,
    started: float,
    seconds: float,
    argv: tuple[str, ...] = INIT,
    follows: tuple[str, str] | None = None,
) -> RunSummary:
    return RunSummary(
        task, sample, (*argv, "--args-json", "a.json"), 0, seconds, False, started, "", follows
    )


@pytest.fixture
def bars() -> dict[str, Bar]:
    tasks = tuple(
        TaskSummary(name, name, name, "kind", commands, None)
        for name, commands in (("one", {"a": INIT}), ("two", {"a": INIT, "b": COMPUTE}))
    )
    candidate = CandidateReport(
        name="n",
        version="1",
        source=".",
        generation="2",
        wheel=None,
        python=None,
        tasks=tasks,
        verdicts=(),
        timings={},
        stages=(
            Stage("build", 100, 3),
            Stage("environment", 103, 1),
            Stage("install", 104, 2),
            Stage("build from the tree", 103, 9),
        ),
        runs=(
            run("one", None, 106, 1),
            run("one", None, 107.5, 1),
            run("one", "flow.1", 107, 2),
            run("one", "flow.2", 109.5, 1, follows=("one", "flow.1")),
            run("two", "plate", 110, 1),
            run("two", "plate", 111, 2, COMPUTE),
            run("two", "plate", 113, 1, COMPUTE),
        ),
    )
    reported = timeline(candidate)
    assert [bar.started for bar in reported] == sorted(bar.started for bar in reported)
    return {f"{bar.what} at {bar.started:g}": bar for bar in reported}


def test_stages_and_commands_follow_what_they_need(bars: dict[str, Bar]) -> None:
    assert {what: bar.after for what, bar in bars.items()} == {
        "build at 0": None,
        "environment at 3": "build",
        "build from the tree at 3": "build",
        "install at 4": "environment",
        "one, start 1 at 6": "install",
        "one, flow.1 at 7": "install",
        "one, start 2 at 7.5": "one, start 1",
        "one, flow.2 at 9.5": "one, flow.1",
        "two (init.py), plate at 10": "install",
        "two (compute.py), plate at 11": "two (init.py), plate",
        "two (compute.py), plate at 13": "two (init.py), plate",
    }


def test_a_wait_is_the_time_between_what_came_before_and_the_start(bars: dict[str, Bar]) -> None:
    assert bars["one, flow.1 at 7"].waited == 1
    assert bars["one, flow.2 at 9.5"].waited == 0.5
    assert bars["two (compute.py), plate at 13"].waited == 2
    assert bars["build at 0"].waited == 0


def test_the_bars_of_a_real_run_wait_for_nothing_that_comes_later(real: Report) -> None:
    reported = timeline(real.candidates[0])
    assert len(reported) == len(real.candidates[0].stages) + len(real.candidates[0].runs)
    for bar in reported:
        assert 0 <= bar.ready <= bar.started
