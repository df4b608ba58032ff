"""pytest-fractal and a real fractal-server agree: a part that fits into every run.

The whole: `python -m tests.agreement`.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from pytest_fractal.machinery.environments import Environment
from pytest_fractal.rules import REGISTRY
from pytest_fractal.server import version1
from pytest_fractal.server.environment import server_environment

from . import document
from .bases import GOOD, build_bases
from .grounds import GROUNDS
from .mutants import chosen
from .outputs import outputs
from .server import Answer, Does
from .suite import Row, breaches, cases_of_mutants, judge_cases, judge_outputs
from .tool import Judged

PARTS = ("flit_src_getopt", "pdm_nested_function_elsewhere", "poetry_src_shell")
"""Good packages that need nothing installed, and build quickly."""
MUTANTS = 150
OUTPUTS = 30


@pytest.fixture(scope="module")
def server() -> Environment:
    """An environment with the real server, which is kept between runs."""
    return server_environment(version1.recipe(version1.DEFAULT))


@pytest.fixture(scope="module")
def rows(server: Environment, tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """Both judgements of mutants of all sorts, drawn by lot, but the same ones each time."""
    work = tmp_path_factory.mktemp("mutants")
    bases = build_bases([folder for folder in GOOD if folder.name in PARTS], work / "bases")
    mutants = random.Random(4).sample(chosen(bases, 1), MUTANTS)
    cases = list(cases_of_mutants(mutants, work / "wheels", server))
    return judge_cases(cases, server, work / "judged")


def test_tool_and_server_agree_on_mutants(rows: list[Row]) -> None:
    assert breaches(rows) == []
    assert len(rows) == MUTANTS


def test_the_mutants_meet_every_way_in_which_a_server_can_end(rows: list[Row]) -> None:
    assert {row.server.does for row in rows} == set(Does)
    assert any(row.is_rejection for row in rows)


def test_tool_and_server_agree_on_what_tasks_write(server: Environment, tmp_path: Path) -> None:
    chosen_outputs = random.Random(4).sample(list(outputs()), OUTPUTS)
    rows = judge_outputs(chosen_outputs, server, tmp_path)
    assert breaches(rows) == []
    assert len(rows) == OUTPUTS
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


def test_every_ground_is_of_a_rule_and_stands_in_the_document() -> None:
    page = document.PAGE.read_text("utf-8")
    assert set(GROUNDS) <= set(REGISTRY)
    assert "**none**" not in page
    assert "What is at odds with the law: nothing." in page


def test_the_counts_in_the_readme_are_those_of_the_document() -> None:
    readme = document.README.read_text("utf-8")
    counts = readme.partition(document.BEGIN)[2].partition(document.END)[0].strip()
    assert counts.startswith("| candidates")
    assert counts in document.PAGE.read_text("utf-8")
