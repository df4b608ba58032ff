"""pytest-fractal and a real fractal-server agree: a part that fits into every run.

The whole: `python -m tests.agreement`.
"""

from __future__ import annotations

import random

import pytest

from pytest_fractal.rules import REGISTRY
from pytest_fractal.server import postgres
from pytest_fractal.server.servers import ServerRelease

from . import document
from .__main__ import FAMILIES, bases
from .bases import GOOD
from .grounds import GROUNDS
from .mutants import chosen
from .server import Answer, Does
from .suite import Judge, Row, breaches, cases_of_mutants, judge_cases, judge_outputs
from .tool import Judged

PARTS = {"1": ("flit_src_getopt", "poetry_src_shell"), "2": ()}
"""Good packages that need nothing installed, and build quickly."""
MUTANTS = {"1": 90, "2": 40}
OUTPUTS = {"1": 16, "2": 16}


@pytest.fixture(scope="module", params=["1", "2"])
def judge(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Judge:
    """A real server of each generation, in an environment that is kept between runs."""
    generation = str(request.param)
    if generation == "2" and (reason := postgres.why_none()):
        pytest.skip(f"PostgreSQL cannot be started here: {reason}")
    environment = ServerRelease.chosen("", generation).environment()
    return Judge(generation, environment, tmp_path_factory.mktemp("agreement"))


def test_tool_and_server_agree_on_mutants(judge: Judge) -> None:
    good = [folder for folder in GOOD if folder.name in PARTS[judge.generation]]
    mutants = chosen(bases(judge.generation, good, judge.work / "bases"), 1)
    # By lot, but the same ones each time.
    some = random.Random(4).sample(mutants, MUTANTS[judge.generation])
    cases = list(cases_of_mutants(some, judge.work / "wheels", judge.environment))
    rows = judge_cases(cases, judge)
    assert breaches(rows) == []
    assert len(rows) == MUTANTS[judge.generation]
    assert {row.server.does for row in rows} >= {Does.TAKES, Does.FAILS, Does.FREEZES}
    assert any(row.is_rejection for row in rows)


def test_tool_and_server_agree_on_what_tasks_write(judge: Judge) -> None:
    family = FAMILIES[judge.generation]
    some = random.Random(4).sample(list(family.outputs()), OUTPUTS[judge.generation])
    rows = judge_outputs(family, some, judge)
    assert breaches(rows) == []
    assert len(rows) == OUTPUTS[judge.generation]
    assert {row.server.does for row in rows} >= {Does.TAKES, Does.JOB_FAILS}


def test_the_law_is_broken_by_a_false_accept_and_by_a_failure_without_ground() -> None:
    takes, refuses = Answer(Does.TAKES, ""), Answer(Does.REFUSES, "422")
    passes, fails = Judged((), (), ""), Judged(("FR901",), (), "it is odd")
    with_ground = Judged(("FR201",), (), "no schema")
    assert breaches([Row("name", "null", "a", passes, refuses)])
    assert breaches([Row("name", "null", "a", fails, takes)])
    assert not breaches([Row("name", "null", "a", passes, takes)])
    assert not breaches([Row("name", "null", "a", fails, refuses)])
    assert not breaches([Row("name", "null", "a", with_ground, takes)])


def test_tasks_and_metadata_that_are_not_told_alike_break_the_law() -> None:
    listed = Answer(Does.TAKES, "", ({"name": "T", "source": "s:t"},), ({"well": ["A"]},))
    alike = Judged((), (), "", (("T", "s:t"),), {"well": ["A"]})
    assert not breaches([Row("name", "null", "a", alike, listed)])
    for other in (
        Judged((), (), "", (("T", "s:u"),), {"well": ["A"]}),
        Judged((), (), "", (("T", "s:t"),), {"well": []}),
    ):
        (line,) = breaches([Row("name", "null", "a", other, listed)])
        assert "DIFFERENCE" in line


def test_every_ground_is_of_a_rule() -> None:
    assert set(GROUNDS) <= set(REGISTRY)


@pytest.mark.parametrize("generation", sorted(document.PAGES))
def test_the_page_tells_of_no_breach_and_the_readme_has_its_counts(generation: str) -> None:
    page = document.PAGES[generation].read_text("utf-8")
    assert "**none**" not in page
    assert "What is at odds with the law: nothing." in page
    begin, end = document.marks(generation)
    readme = document.README.read_text("utf-8")
    counts = readme.partition(begin)[2].partition(end)[0].strip()
    assert counts.startswith("| candidates")
    assert counts in page
