"""pytest-fractal and a real fractal-server agree: a part that fits into every run.

The server is asked once for each generation. What the tool says is then judged again with each
shared rule sabotaged, to see that the law notices. The whole: `python -m tests.agreement`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from pytest_fractal.rules import REGISTRY
from pytest_fractal.server import postgres
from pytest_fractal.server.servers import ServerRelease
from pytest_fractal.verdicts import Finding, Outcome, Severity, Verdict

from . import document
from .accepted_rejections import ACCEPTED
from .bases import GOOD
from .gathering import FAMILIES, bases
from .mutants import mutants_of
from .server import Answer, Does
from .shared_rules import MUTANTS, OUTPUTS, TAKEN
from .suite import Case, Judge, OutputsCase, Row, ask, breaches, cases_of_mutants, judge_case
from .tool import STATIC, Judged, ToolError, reported

STARTING = {"FR301"}
"""The rules that take commands of all tasks to be started."""
PARTS = {"1": ("flit_src_getopt",), "2": ()}
"""Good packages that need nothing installed, and build quickly."""


@dataclass(frozen=True)
class Ordinary:
    """The ordinary part of one generation, with what its server was seen to do."""

    judge: Judge
    cases: tuple[Case, ...]
    answers: tuple[Answer, ...]
    outputs: OutputsCase

    def rows(self, *kinds: str, statically: bool = False) -> list[Row]:
        """Both judgements of the mutants of these kinds; of all, if none is named."""
        return [
            judge_case(case, answer, self.judge, statically=statically)
            for case, answer in zip(self.cases, self.answers, strict=True)
            if not kinds or f"{case.what}: {case.how}" in kinds
        ]


@pytest.fixture(scope="module", params=["1", "2"])
def ordinary(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ordinary:
    """A real server of each generation, in an environment that is kept between runs."""
    generation = str(request.param)
    if generation == "2" and (reason := postgres.why_none()):
        pytest.skip(f"PostgreSQL cannot be started here: {reason}")
    (release,) = ServerRelease.chosen("", generation)
    environment = release.environment()
    judge = Judge(release, environment, tmp_path_factory.mktemp("agreement"))
    good = [folder for folder in GOOD if folder.name in PARTS[generation]]
    (base,) = bases(generation, good, judge.work / "bases")
    kinds = {*MUTANTS[generation].values(), *TAKEN}
    mutants = [mutant for mutant in mutants_of(base) if mutant.kind in kinds]
    cases = tuple(cases_of_mutants(mutants, judge.work / "wheels", environment))
    family = FAMILIES[generation]
    kinds = {*OUTPUTS[generation].values(), *TAKEN}
    written = [output for output in family.outputs() if f"{output.what}: {output.how}" in kinds]
    outputs = OutputsCase(family, written, judge)
    judge.ask([case.asked for case in (*cases, outputs.case)])  # of one server
    return Ordinary(judge, cases, tuple(ask(cases, judge)), outputs)


def test_tool_and_server_agree_on_mutants(ordinary: Ordinary) -> None:
    rows = ordinary.rows()
    assert breaches(rows) == []
    refused = {row.kind for row in rows if row.tool.fails and not row.is_taken}
    assert refused == {*MUTANTS[ordinary.judge.generation].values()}
    assert {row.kind for row in rows if row.is_taken} == {TAKEN[0]}


def test_tool_and_server_agree_on_what_tasks_write(ordinary: Ordinary) -> None:
    rows = ordinary.outputs.rows()
    assert breaches(rows) == []
    refused = {row.kind for row in rows if row.tool.fails and not row.is_taken}
    assert refused == {*OUTPUTS[ordinary.judge.generation].values()}
    assert any(row.server.does is Does.TAKES for row in rows)


def unnoticed(
    ordinary: Ordinary, monkeypatch: pytest.MonkeyPatch, codes: Iterable[str]
) -> list[str]:
    """The rules of which the law does not tell that they have gone blind."""
    found = []
    for code in codes:
        with monkeypatch.context() as patch:
            sabotage(patch, code, always=False)
            try:
                kind = MUTANTS[ordinary.judge.generation][code]
                rows = ordinary.rows(kind, statically=code in STATIC)
            except ToolError:  # a rule that needs the blind one finds nothing to judge
                continue
            if not breaches(rows):
                found.append(code)
    return found


def test_a_mutant_that_escapes_its_rule_breaks_the_law(
    ordinary: Ordinary, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = {*MUTANTS[ordinary.judge.generation]}
    if ordinary.judge.generation == "2":
        codes -= STARTING  # generation 1 shows that it is noticed, in a third of the time
    assert unnoticed(ordinary, monkeypatch, codes) == []


@pytest.mark.slow
def test_a_mutant_that_escapes_a_rule_about_starts_breaks_the_law(
    ordinary: Ordinary, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert unnoticed(ordinary, monkeypatch, STARTING) == []


def test_an_output_that_escapes_its_rule_breaks_the_law(
    ordinary: Ordinary, monkeypatch: pytest.MonkeyPatch
) -> None:
    unnoticed = []
    for code in OUTPUTS[ordinary.judge.generation]:
        with monkeypatch.context() as patch:
            sabotage(patch, code, always=False)
            if not breaches(ordinary.outputs.rows()):
                unnoticed.append(code)
    assert unnoticed == []


def test_a_rule_that_refuses_all_breaks_the_law(
    ordinary: Ordinary, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = OUTPUTS[ordinary.judge.generation]
    unnoticed = []
    for code in (*STATIC, *written):
        with monkeypatch.context() as patch:
            sabotage(patch, code, always=True)
            rows = ordinary.outputs.rows() if code in written else ordinary.rows(TAKEN[0])
            if not any("FALSE REJECT" in line for line in breaches(rows)):
                unnoticed.append(code)
    assert unnoticed == []


def sabotage(patch: pytest.MonkeyPatch, code: str, *, always: bool) -> None:
    """Let a rule fail everything, or nothing."""

    def judge(*facts: Any) -> Iterator[Finding]:
        if always:
            yield Finding(expected="nothing of the kind", found="it", hint="none")

    patch.setitem(REGISTRY, code, replace(REGISTRY[code], judge=judge, severity=Severity.ERROR))


def test_the_law_is_broken_by_a_false_accept_and_by_a_failure_that_is_not_accepted() -> None:
    takes, refuses = Answer(Does.TAKES, ""), Answer(Does.REFUSES, "422")
    passes, fails = Judged((), (), ""), Judged(("FR901",), (), "it is odd")
    assert breaches([Row("name", "null", "a", passes, refuses)])
    assert breaches([Row("name", "null", "a", fails, takes)])
    assert not breaches([Row("name", "null", "a", passes, takes)])
    assert not breaches([Row("name", "null", "a", fails, refuses)])


def test_a_rejection_is_accepted_for_its_own_kind_alone() -> None:
    takes, fails = Answer(Does.TAKES, ""), Judged(("FR108",), (), "no tasks")
    assert not breaches([Row("task_list", "an empty list", "a", fails, takes)])
    assert breaches([Row("task_list", "a list of texts", "a", fails, takes)])


def test_what_was_not_run_and_a_task_that_is_not_listed_are_not_taken() -> None:
    passes = Judged((), (), "")
    assert breaches([Row("name", "a", "a", passes, Answer(Does.LISTS_TOO_FEW, "1"))])
    assert not Row("name", "a", "a", passes, Answer(Does.COLLECTS, "")).is_run


def test_a_refusal_for_another_reason_breaks_the_law() -> None:
    kind = MUTANTS["1"]["FR106"].split(": ")
    refuses = Answer(Does.REFUSES, "422")
    own, other = Judged(("FR106", "FR201"), (), ""), Judged(("FR201",), (), "")
    assert not breaches([Row(kind[0], kind[1], "a", own, refuses, generation="1")])
    (line,) = breaches([Row(kind[0], kind[1], "a", other, refuses, generation="1")])
    assert "OTHER REASON" in line


def test_tasks_and_metadata_that_differ_break_the_law() -> None:
    listed = Answer(Does.TAKES, "", ({"name": "T", "source": "s:t"},), ({"well": ["A"]},))
    alike = Judged((), (), "", (("T", "s:t"),), {"plate": {"well": ["A"]}})
    assert not breaches([Row("name", "null", "a", alike, listed, ("plate",))])
    for judged in (
        Judged((), (), "", (("T", "s:u"),), {"plate": {"well": ["A"]}}),
        Judged((), (), "", (("T", "s:t"),), {"plate": {"well": []}}),
    ):
        (line,) = breaches([Row("name", "null", "a", judged, listed, ("plate",))])
        assert "DIFFERENCE" in line


def test_each_release_has_a_column_of_its_own_and_where_they_differ_is_marked() -> None:
    takes, freezes = Answer(Does.TAKES, ""), Answer(Does.FREEZES, "ongoing for ever")
    passes, fails = Judged((), (), ""), Judged(("FR109",), (), "twice")
    alike = Row("name", "null", "a", fails, freezes)
    older = [alike, Row("names", "differ by a blank", "a", passes, takes)]
    newer = [alike, Row("names", "differ by a blank", "a", fails, freezes)]
    several = [
        document.Results("2", "2.18.5", older, []),
        document.Results("2", "2.24.2", newer, []),
    ]
    page = list(document.page(several))
    assert page[0] == "# Agreement with fractal-server 2.18.5 and fractal-server 2.24.2"
    assert "| all | 2 | 2 |" in page
    assert "| taken by both | 1 | 0 |" in page
    assert "What is at odds with the law: nothing." in page
    assert "| null | 1 | fails FR109 | freezes | freezes | ongoing for ever |" in page
    marked = (
        "| * differ by a blank | 1 | 2.18.5: passes; 2.24.2: fails FR109 | takes it | freezes |"
    )
    assert any(line.startswith(marked) for line in page)


def test_a_finding_counts_for_the_releases_that_it_concerns() -> None:
    def judged(releases: str, severity: Severity | None, release: str) -> tuple[str, ...]:
        found = Finding("one", "two", "rename", severity=severity, releases=releases)
        verdict = Verdict("FR109", "unique-tasks", None, Outcome.FAIL, (found,))
        return reported([verdict], release).fails

    assert judged(">=2.23.3", None, "2.24.2") == ("FR109",)
    assert judged(">=2.23.3", None, "2.18.5") == ()
    assert judged(">=2,<2.20", Severity.WARNING, "2.18.5") == ("FR109",)
    assert judged(">=2,<2.20", Severity.WARNING, "2.24.2") == ()
    assert judged(">=2.23.2", Severity.NOTE, "2.24.2") == ()


def test_every_accepted_rejection_is_of_a_rule_and_of_no_kind_at_large() -> None:
    assert {accepted.code for accepted in ACCEPTED} <= set(REGISTRY)
    for accepted in ACCEPTED:
        assert not re.fullmatch(accepted.kinds, "anything: at all"), accepted


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
