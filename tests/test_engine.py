"""Rules need each other, and one fault is reported once: by the rule at its root.

The engine is tried with rules of the tests' own, on a wheel with two tasks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from test_samples import write_samples
from wheel_factory import candidate_of, good_manifest, make_wheel

from pytest_fractal.candidate.custom_tasks import CustomTasks
from pytest_fractal.candidate.packaged import Candidate
from pytest_fractal.engine import Check, Engine, _first_of_each
from pytest_fractal.environments.wheels import Wheel
from pytest_fractal.errors import BadInput, HarnessError
from pytest_fractal.facts import Build, Command, Part, Task, TreeBuild
from pytest_fractal.fixes.model import Action, FileFix, Fix, JsonEdit, LineEdit
from pytest_fractal.package_spec import parse_package, parse_task
from pytest_fractal.processes.executors import LocalExecutor
from pytest_fractal.pytest_plugin.suite import verdict_from_text, verdict_to_text
from pytest_fractal.report.conclusion import conclusion
from pytest_fractal.report.model import CandidateReport
from pytest_fractal.report.text import summary_lines
from pytest_fractal.rules import Rule
from pytest_fractal.rules.registry import rule
from pytest_fractal.samples.files import Sample
from pytest_fractal.samples.runs import Run
from pytest_fractal.selection import parse_codes
from pytest_fractal.server.facts import Collection
from pytest_fractal.settings import Settings
from pytest_fractal.task_lists import Manifest
from pytest_fractal.verdicts import (
    Finding,
    NotApplicable,
    NotChecked,
    Outcome,
    Severity,
    SkipKind,
    Skipped,
    SourceLocation,
    Verdict,
)

Declare = Callable[..., None]
Judged = dict[tuple[str, str | None], Verdict]


@pytest.fixture
def rules() -> dict[str, Rule]:
    """The rules that the engine is given."""
    return {}


@pytest.fixture
def declare(rules: dict[str, Rule]) -> Declare:
    """Declares a rule: its code, its judgement, its needs."""

    def declare(
        code: str,
        result: Exception | list[Finding] | Callable[[Any], list[Finding]] = (),  # type: ignore[assignment]
        *needs: str,
        about: type[Any] = Wheel,
        severity: Severity = Severity.ERROR,
        skip_reason: Callable[[Sample], Skipped | None] = lambda _: None,
    ) -> None:
        def judge(fact: Any) -> Iterator[Finding]:
            """A rule of the tests."""
            if isinstance(result, Exception):
                raise result
            yield from result(fact) if callable(result) else result

        judge.__annotations__["fact"] = about
        rule(
            code,
            f"rule-{code}",
            severity=severity,
            needs=needs,
            cite=("t",),
            fix="m",
            example="e",
            skip_reason=skip_reason,
            registry=rules,
        )(judge)

    return declare


@pytest.fixture
def engine_with(tmp_path: Path, rules: dict[str, Rule]) -> Callable[..., Engine]:
    """An engine for a wheel with the tasks `first` and `second`."""

    def engine_with(manifest: object = None, **options: Any) -> Engine:
        if manifest is None:
            manifest = good_manifest()
            (task,) = manifest["task_list"]
            manifest["task_list"] = [{**task, "name": "First"}, {**task, "name": "Second"}]
        wheel = make_wheel(tmp_path, manifest=manifest)
        spec = parse_package(str(wheel), tmp_path)
        candidate = Candidate(spec, Settings(**options), tmp_path / "facts", LocalExecutor(1))
        return Engine(candidate, rules)

    return engine_with


def judge_all(engine: Engine) -> Judged:
    return {
        (check.rule.code, check.task.slug if check.task else None): engine.verdict(check)
        for check in engine.plan()
    }


def outcomes(judged: Judged) -> dict[tuple[str, str | None], str]:
    return {key: verdict.outcome.value for key, verdict in judged.items()}


def finding(**more: Any) -> Finding:
    return Finding(expected="this", found="that", hint="fix it", **more)


def test_a_rule_passes_fails_or_warns_by_its_findings(
    declare: Declare, engine_with: Callable[..., Engine]
) -> None:
    declare("FR101")
    declare("FR102", [finding()])
    declare("FR103", [finding(severity=Severity.WARNING)])
    declare("FR104", [finding()], severity=Severity.WARNING)
    declare("FR105", [finding(severity=Severity.ERROR)], severity=Severity.WARNING)
    declare("FR106", [finding(severity=Severity.WARNING), finding()])
    judged = judge_all(engine_with())
    assert [verdict.outcome.value for verdict in judged.values()] == [
        "pass",
        "fail",
        "warn",
        "warn",
        "fail",
        "fail",
    ]
    assert len(judged["FR106", None].findings) == 2


def test_rules_about_tasks_are_judged_for_each_task(
    declare: Declare, engine_with: Callable[..., Engine]
) -> None:
    def judge(task: Task) -> list[Finding]:
        return [finding()] if task.slug == "second" else []

    declare("FR101", judge, about=Task)
    judged = judge_all(engine_with())
    assert outcomes(judged) == {("FR101", "first"): "pass", ("FR101", "second"): "fail"}
    assert judged["FR101", "second"].findings[0].task == "second"


@pytest.mark.parametrize("passed_over", ["init", "compute"])
def test_what_is_said_of_one_part_stays_where_the_rule_does_not_apply_to_the_other(
    declare: Declare, engine_with: Callable[..., Engine], passed_over: str
) -> None:
    def judge(part: Part) -> Iterator[Finding]:
        yield finding(pointer=part.keys.name)
        if part.keys.name == passed_over:
            raise NotApplicable(f"nothing more to say of {part.keys.name}")

    def only_other(part: Part) -> list[Finding]:
        if part.keys.name == passed_over:
            raise NotApplicable("it has none")
        return [finding(pointer=part.keys.name)]

    def neither(part: Part) -> list[Finding]:
        raise NotApplicable(f"no {part.keys.name}")

    declare("FR101", only_other, about=Part)
    declare("FR102", judge, about=Part)
    declare("FR103", neither, about=Part)
    declare("FR104", lambda part: only_other(part) and [], about=Part)
    compound = {"name": "Both", "executable_non_parallel": "a.py", "executable_parallel": "b.py"}
    judged = judge_all(engine_with({"manifest_version": "2", "task_list": [compound]}))
    (other,) = {"init", "compute"} - {passed_over}
    one = judged["FR101", "both"]
    assert one.outcome is Outcome.FAIL
    assert [found.pointer for found in one.findings] == [other]
    assert one.reason == f"{passed_over}: it has none"
    both = judged["FR102", "both"]
    assert both.outcome is Outcome.FAIL
    assert [found.pointer for found in both.findings] == ["init", "compute"]
    none = judged["FR103", "both"]
    assert none.outcome is Outcome.SKIP
    assert none.reason == "init: no init; compute: no compute"
    good = judged["FR104", "both"]
    assert good.outcome is Outcome.PASS
    assert good.reason == f"{passed_over}: it has none"


def test_what_waits_for_a_failed_rule_is_blocked_by_the_one_at_the_root(
    declare: Declare, engine_with: Callable[..., Engine]
) -> None:
    declare("FR101", [finding()])
    declare("FR102", [finding()], "FR101")
    declare("FR103", [finding()], "FR102", about=Task)
    declare("FR104", [], "FR103", "FR101", about=Task)
    declare("FR105")
    judged = judge_all(engine_with())
    assert outcomes(judged) == {
        ("FR101", None): "fail",
        ("FR102", None): "blocked",
        ("FR103", "first"): "blocked",
        ("FR103", "second"): "blocked",
        ("FR104", "first"): "blocked",
        ("FR104", "second"): "blocked",
        ("FR105", None): "pass",
    }
    for code in ("FR103", "FR104"):
        assert judged[code, "first"].reason == "blocked by FR101"
        assert judged[code, "first"].blockers == (judged["FR101", None],)
        assert judged[code, "first"].findings == ()


def test_every_root_is_named_once(declare: Declare, engine_with: Callable[..., Engine]) -> None:
    declare("FR101", [finding()])
    declare("FR102", [finding()])
    declare("FR103", [], "FR101", "FR102")
    declare("FR104", [], "FR103", "FR102")
    judged = judge_all(engine_with())
    assert judged["FR104", None].reason == "blocked by FR101, FR102"
    assert len(judged["FR104", None].blockers) == 2


def test_a_finding_that_names_a_task_blocks_this_task_only(
    declare: Declare, engine_with: Callable[..., Engine]
) -> None:
    declare("FR101", [finding(task="second")], about=Manifest)
    declare("FR102", [], "FR101", about=Task)
    declare("FR103", [], "FR102", about=Task)
    declare("FR104", [], "FR101", about=Manifest)
    assert outcomes(judge_all(engine_with())) == {
        ("FR101", None): "fail",
        ("FR102", "first"): "pass",
        ("FR102", "second"): "blocked",
        ("FR103", "first"): "pass",
        ("FR103", "second"): "blocked",
        ("FR104", None): "blocked",
    }


def test_a_finding_without_a_task_blocks_all_of_them(
    declare: Declare, engine_with: Callable[..., Engine]
) -> None:
    declare("FR101", [finding(task="second"), finding()])
    declare("FR102", [], "FR101", about=Task)
    judged = outcomes(judge_all(engine_with()))
    assert judged["FR102", "first"] == judged["FR102", "second"] == "blocked"


def test_a_task_does_not_block_another(
    declare: Declare, engine_with: Callable[..., Engine]
) -> None:
    declare("FR101", lambda task: [finding()] if task.slug == "first" else [], about=Task)
    declare("FR102", [], "FR101", about=Task)
    judged = outcomes(judge_all(engine_with()))
    assert judged["FR102", "first"] == "blocked"
    assert judged["FR102", "second"] == "pass"


def test_a_rule_about_the_package_waits_for_rules_about_tasks_for_every_task(
    declare: Declare, engine_with: Callable[..., Engine]
) -> None:
    declare("FR101", lambda task: [finding()] if task.slug == "second" else [], about=Task)
    declare("FR102", [], "FR101")
    judged = judge_all(engine_with())
    assert judged["FR102", None].outcome is Outcome.BLOCKED
    assert judged["FR102", None].blockers == (judged["FR101", "second"],)


def test_a_finding_is_placed_in_the_section_of_the_project_that_it_is_about(
    tmp_path: Path, declare: Declare, rules: dict[str, Rule]
) -> None:
    """What builds, or what is built: no build is started for it."""
    declare("FR001", [finding()], about=Build)
    declare("FR006", [finding()], about=TreeBuild)
    declare("FR101", [finding()])
    declare("FR102", [finding(file="task.py", line=3)])
    lines = ["[project]", 'name = "demo"', "", "[build-system]", "requires = []", ""]
    (tmp_path / "pyproject.toml").write_text("\n".join(lines))
    (tmp_path / "task.py").write_text("1\n2\n3\n")
    (tmp_path / "demo.json").write_text('{"name": "Demo", "command": "true"}')
    spec = parse_task("demo.json", tmp_path)
    candidate = CustomTasks(spec, Settings(), tmp_path / "facts", LocalExecutor(1))
    facts = (Build, TreeBuild, Wheel)
    candidate.providers = {fact: lambda: None for fact in facts}
    engine = Engine(candidate, rules)
    places = {check.rule.code: engine.verdict(check).findings[0].place for check in engine.plan()}
    assert places == {
        "FR001": SourceLocation("pyproject.toml", 4),
        "FR006": SourceLocation("pyproject.toml", 4),
        "FR101": SourceLocation("pyproject.toml", 1),
        "FR102": SourceLocation("task.py", 3),
    }


@pytest.mark.parametrize(
    ("reported", "ignored", "outcome"),
    [
        ([finding()], None, "blocked"),
        ([finding(severity=Severity.WARNING)], None, "fail"),
        ([], None, "fail"),
        ([finding()], "FR206: made by hand", "fail"),
    ],
    ids=["broken", "warned of", "kept", "ignored"],
)
def test_what_only_follows_from_a_broken_rule_is_not_reported_as_well(
    declare: Declare,
    engine_with: Callable[..., Engine],
    reported: list[Finding],
    ignored: str | None,
    outcome: str,
) -> None:
    """For the same task, and where nothing else is found; what passes is not blocked."""
    declare("FR206", lambda task: reported if task.slug == "first" else [], about=Task)
    declare("FR401", [finding(follows="FR206")], about=Task)
    declare("FR402", [finding(follows="FR206"), finding(task="first")], about=Task)
    declare("FR403", about=Task)
    judged = judge_all(engine_with(ignore=parse_codes(ignored) if ignored else ()))
    assert judged["FR401", "first"].outcome.value == outcome
    assert judged["FR401", "second"].outcome is Outcome.FAIL
    assert judged["FR402", "first"].outcome is Outcome.FAIL
    assert len(judged["FR402", "first"].findings) == (1 if outcome == "blocked" else 2)
    assert judged["FR403", "first"].outcome is Outcome.PASS
    if outcome == "blocked":
        assert judged["FR401", "first"].blockers == (judged["FR206", "first"],)


def test_of_a_very_long_line_the_beginning_is_reported(
    declare: Declare, engine_with: Callable[..., Engine]
) -> None:
    printed = f"short\n{'a' * 60_000}\nlast"
    declare("FR101", [Finding(expected="e", found=printed, hint="h")])
    (verdict,) = judge_all(engine_with()).values()
    first, long, last = verdict.findings[0].found.split("\n")
    assert (first, last) == ("short", "last")
    assert long == f"{'a' * 1000} [... 59000 more characters]"


def test_warnings_and_skips_do_not_block(
    declare: Declare, engine_with: Callable[..., Engine]
) -> None:
    declare("FR101", [finding()], severity=Severity.WARNING)
    declare("FR102", NotApplicable("nothing to judge"))
    declare("FR103", [finding(task="first"), finding(severity=Severity.WARNING)])
    declare("FR104", [], "FR101", "FR102", "FR103", about=Task)
    judged = judge_all(engine_with())
    assert judged["FR102", None].reason == "nothing to judge"
    assert outcomes(judged) == {
        ("FR101", None): "warn",
        ("FR102", None): "skip",
        ("FR103", None): "fail",
        ("FR104", "first"): "blocked",
        ("FR104", "second"): "pass",
    }


def test_strict_changes_no_verdict(declare: Declare, engine_with: Callable[..., Engine]) -> None:
    """Under `--fractal-strict` a warning fails the run; it is still reported as a warning."""
    declare("FR101", [finding()], severity=Severity.WARNING)
    declare("FR102", [], "FR101")
    assert list(outcomes(judge_all(engine_with(strict=True))).values()) == ["warn", "pass"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (HarnessError("the disk is full"), "the disk is full"),
        (BadInput("no such interpreter"), "no such interpreter"),
        (ZeroDivisionError("division by zero"), "pytest-fractal itself failed: ZeroDivisionError"),
    ],
)
def test_the_harness_own_faults_are_errors_and_block(
    declare: Declare, engine_with: Callable[..., Engine], error: Exception, reason: str
) -> None:
    declare("FR101", error)
    declare("FR102", [], "FR101")
    judged = judge_all(engine_with())
    assert outcomes(judged) == {("FR101", None): "error", ("FR102", None): "blocked"}
    assert reason in (judged["FR101", None].reason or "")
    assert judged["FR102", None].blockers == (judged["FR101", None],)


def test_an_ignored_rule_is_skipped_with_the_reason_and_blocks_all_the_same(
    declare: Declare, engine_with: Callable[..., Engine]
) -> None:
    """What cannot be judged cannot: ignoring the root does not make the rest judgeable."""
    declare("FR101", [finding()])
    declare("FR102", [], "FR101")
    declare("FR103", [finding()])
    judged = judge_all(engine_with(ignore=parse_codes("FR101,FR103")))
    assert [verdict.outcome.value for verdict in judged.values()] == ["skip", "blocked", "skip"]
    assert judged["FR101", None].reason == "on the command line"
    assert judged["FR102", None].reason == "blocked by FR101"


def test_a_rule_can_be_ignored_for_one_task(
    declare: Declare, engine_with: Callable[..., Engine]
) -> None:
    declare("FR101", [finding()], about=Task)
    judged = outcomes(judge_all(engine_with(ignore=parse_codes("FR101[first]"))))
    assert judged == {("FR101", "first"): "skip", ("FR101", "second"): "fail"}


def test_only_what_is_selected_is_planned_and_prerequisites_still_count(
    declare: Declare, engine_with: Callable[..., Engine]
) -> None:
    declare("FR101", [finding()])
    declare("FR102", [], "FR101")
    declare("FR201", [], about=Task)
    assert outcomes(judge_all(engine_with(select=parse_codes("FR102")))) == {
        ("FR102", None): "blocked"
    }
    assert outcomes(judge_all(engine_with(select=parse_codes("FR2[second]")))) == {
        ("FR201", "second"): "pass"
    }


def test_checks_are_named_and_ordered_as_declared(
    declare: Declare, engine_with: Callable[..., Engine]
) -> None:
    declare("FR101")
    declare("FR301", about=Task)
    declare("FR102")
    assert [check.name for check in engine_with().plan()] == [
        "rule-FR101",
        "rule-FR301[first]",
        "rule-FR301[second]",
        "rule-FR102",
    ]


@pytest.mark.parametrize("manifest", ["no json", [], {"task_list": []}, {}])
def test_without_tasks_there_is_one_check_of_each_rule_about_them(
    declare: Declare, engine_with: Callable[..., Engine], manifest: object
) -> None:
    declare("FR101", [finding()])
    declare("FR102", [], "FR101", about=Task)
    declare("FR103", [], about=Task)
    assert outcomes(judge_all(engine_with(manifest))) == {
        ("FR101", None): "fail",
        ("FR102", None): "blocked",
        ("FR103", None): "skip",
    }


def test_a_rule_is_judged_once_however_often_it_is_asked_for(
    declare: Declare, engine_with: Callable[..., Engine]
) -> None:
    asked: list[str] = []

    def judge(task: Task) -> list[Finding]:
        asked.append(task.slug)
        return []

    declare("FR101", judge, about=Task)
    declare("FR102", [], "FR101", about=Task)
    engine = engine_with()
    started = time.perf_counter()
    judged = judge_all(engine)
    took = time.perf_counter() - started
    assert 0 <= sum(verdict.seconds for verdict in judged.values()) <= took + 0.001
    judge_all(engine)
    assert sorted(asked) == ["first", "second"]


def test_checks_can_be_asked_for_in_any_order(
    declare: Declare, engine_with: Callable[..., Engine]
) -> None:
    """xdist hands the items out as it likes."""
    declare("FR101", [finding()])
    declare("FR102", [], "FR101")
    engine = engine_with()
    checks: list[Check] = engine.plan()
    assert [engine.verdict(check).outcome for check in reversed(checks)] == [
        Outcome.BLOCKED,
        Outcome.FAIL,
    ]


def test_a_skip_keeps_its_reason_apart_from_its_details(
    declare: Declare, engine_with: Callable[..., Engine]
) -> None:
    declare("FR101", NotChecked("it cannot be known", "line 3: a star"))
    declare("FR102")
    judged = judge_all(engine_with(ignore=parse_codes("FR102: by hand: until 2.0")))
    verdict = judged["FR101", None]
    assert (verdict.skip, verdict.cause) == (SkipKind.NOT_CHECKED, "it cannot be known")
    assert verdict.reason == "it cannot be known: line 3: a star"
    ignored = judged["FR102", None]
    assert (ignored.skip, ignored.cause) == (SkipKind.IGNORED, "by hand: until 2.0")
    said = conclusion(report_on(*judged.values()), strict=False, complete=True)
    assert said.not_checked == ["FR101: it cannot be known"]
    assert said.ignored == ["FR102: by hand: until 2.0"]


def report_on(*verdicts: Verdict) -> CandidateReport:
    return CandidateReport("demo", "1", "demo", "1", None, None, (), verdicts, (), {})


def test_a_task_to_which_nothing_applies_has_no_line() -> None:
    skipped = Verdict("FR902", "rule", "a", Outcome.SKIP, skip=SkipKind.NOT_APPLICABLE)
    passed = Verdict("FR902", "rule", "b", Outcome.PASS)
    counted = [line.split("  ")[0] for line in summary_lines(report_on(skipped, passed))]
    assert counted == ["b", "seconds"]


def test_a_verdict_travels_from_process_to_process_as_it_is() -> None:
    """All of it: values of any kind that a fix may hold, and texts that are no Unicode."""
    nested: Any = None
    for _ in range(300):
        nested = [nested]
    edits = (JsonEdit(Action.SET, ("task_list", 0), {"a": 1.5, "b": nested}, 2),)
    lines = (LineEdit(3, ("old",), ("new", "\ud800")),)
    finding = Finding(
        "expected",
        "half a pair: \ud800",
        "hint",
        line=3,
        severity=Severity.WARNING,
        follows="FR206",
        place=SourceLocation("file.py", 3),
        fix=Fix((FileFix("file.py", edits, lines, "digest"),), ("numpy",)),
        excerpt=((3, "line"),),
    )
    root = Verdict("FR101", "root", None, Outcome.FAIL, (finding,), seconds=1.5)
    verdict = Verdict(
        "FR401",
        "rule",
        "task",
        Outcome.SKIP,
        reason="why",
        blockers=(root,),
        sample="sample",
        server="2.0",
        skip=SkipKind.NOT_CHECKED,
        cause="because",
    )
    assert repr(verdict_from_text(verdict_to_text(verdict))) == repr(verdict)


def test_what_starts_a_command_is_made_once_for_all_questions_about_it(tmp_path: Path) -> None:
    """And is another one for each command, of a task with two of them too."""
    manifest = {
        "manifest_version": "2",
        "task_list": [
            {"name": "One", "executable_non_parallel": "a.py", "executable_parallel": "b.py"},
            {"name": "Other", "executable_parallel": "b.py"},
        ],
    }
    candidate = candidate_of(make_wheel(tmp_path, manifest=manifest))
    parts = [part for task in candidate.tasks for part in task.run_parts]
    probers = [candidate.commands.prober(part) for part in parts]
    assert len(set(map(id, probers))) == 3
    assert [candidate.commands.prober(part) for part in parts] == probers


# --- samples, servers and commands -------------------------------------------------------


@pytest.fixture
def engine_of(tmp_path: Path, rules: dict[str, Rule]) -> Callable[..., Engine]:
    """An engine whose facts are what they are about, for a wheel with these samples."""

    def engine_of(manifest: object = None, **samples: object) -> Engine:
        place = write_samples(tmp_path, **samples)
        wheel = make_wheel(tmp_path, manifest=manifest)
        candidate = candidate_of(wheel, samples=place)
        candidate.providers = {
            Wheel: lambda: candidate.wheel,
            Run: lambda sample: sample,
            Command: lambda part: part,
            Collection: lambda server: server,
        }
        return Engine(candidate, rules)

    return engine_of


def named(engine: Engine) -> dict[str, Verdict]:
    return {check.name: engine.verdict(check) for check in engine.plan()}


def first_step_only(sample: Any) -> list[Finding]:
    return [] if sample.previous else [finding()]


STEPS = {"steps": [{"task": "Demo task"}, {"task": "Demo task"}]}


def test_a_step_waits_for_the_step_before_it(
    declare: Declare, engine_of: Callable[..., Engine]
) -> None:
    """As a server goes no further; errors break a step, whatever its warnings say."""
    error = [finding(severity=Severity.ERROR)]
    declare("FR401", first_step_only, about=Run)
    declare("FR402", [], about=Run)
    declare(
        "FR403",
        lambda sample: error if not sample.previous else [],
        about=Run,
        severity=Severity.WARNING,
    )
    declare("FR404")
    engine = engine_of(one=STEPS)
    judged = named(engine)
    assert {name: verdict.outcome.value for name, verdict in judged.items()} == {
        "rule-FR401[demo_task-one.1]": "fail",
        "rule-FR401[demo_task-one.2]": "blocked",
        "rule-FR402[demo_task-one.1]": "pass",
        "rule-FR402[demo_task-one.2]": "blocked",
        "rule-FR403[demo_task-one.1]": "fail",
        "rule-FR403[demo_task-one.2]": "blocked",
        "rule-FR404": "pass",
    }
    blocked = judged["rule-FR402[demo_task-one.2]"]
    assert blocked.blockers == (judged["rule-FR401[demo_task-one.1]"],)
    assert (blocked.task, blocked.sample) == ("demo_task", "one.2")
    assert [check.needs_process for check in engine.plan()] == [True] * 6 + [False]


def test_a_sample_waits_for_what_is_about_its_own_run(
    declare: Declare, engine_of: Callable[..., Engine]
) -> None:
    declare("FR401", lambda sample: [finding()] if sample.name == "one" else [], about=Run)
    declare("FR402", [], "FR401", about=Run)
    declare("FR403", [finding()], skip_reason=_skipped, about=Run)
    judged = named(engine_of(one={"task": "Demo task"}, two={"task": "Demo task"}))
    assert judged["rule-FR402[demo_task-one]"].outcome is Outcome.BLOCKED
    assert judged["rule-FR402[demo_task-two]"].outcome is Outcome.PASS
    assert judged["rule-FR403[demo_task-one]"].reason == "one is not judged"
    assert judged["rule-FR403[demo_task-two]"].outcome is Outcome.FAIL


def _skipped(sample: Sample) -> Skipped | None:
    return NotChecked("one is not judged") if sample.name == "one" else None


def test_a_sample_whose_file_is_wrong_is_blocked_by_the_rule_on_files(
    declare: Declare, engine_of: Callable[..., Engine]
) -> None:
    declare("FR400", [finding()])
    declare("FR401", about=Run)
    judged = named(engine_of(good={"task": "Demo task"}, wrong={"task": "Demo task", "x": 1}))
    assert judged["rule-FR401[demo_task-wrong]"].blockers == (judged["rule-FR400"],)
    assert judged["rule-FR401[demo_task-good]"].outcome is Outcome.PASS


def test_a_task_of_which_the_server_runs_nothing_has_no_command(
    declare: Declare, engine_of: Callable[..., Engine]
) -> None:
    entry = {"name": "A", "type": "parallel", "executable_non_parallel": "task.py"}
    declare("FR301", [finding()], about=Command)
    engine = engine_of({"manifest_version": "2", "task_list": [entry]})
    verdict = named(engine)["rule-FR301[a]"]
    assert (verdict.skip, verdict.reason) == (
        SkipKind.NOT_APPLICABLE,
        "the server runs no command of the task, see FR115",
    )


@pytest.mark.parametrize(("ignored", "outcome"), [(None, "blocked"), ("FR101", "pass")])
def test_each_server_is_asked_and_what_is_ignored_keeps_none_from_it(
    declare: Declare,
    engine_of: Callable[..., Engine],
    rules: dict[str, Rule],
    monkeypatch: pytest.MonkeyPatch,
    ignored: str | None,
    outcome: str,
) -> None:
    declare("FR101", [finding()])
    declare("FR102", [], "FR101")
    declare("FR901", [], "FR101", about=Collection)
    declare("FR902", lambda server: [finding()] if server == "2.0" else [], about=Collection)
    declare("FR903", [], "FR902", about=Collection)
    monkeypatch.setattr(Candidate, "asked_servers", ("1.0", "2.0"))
    engine = engine_of()
    settings = Settings(ignore=parse_codes(ignored)) if ignored else Settings()
    engine.candidate.settings = settings
    judged = {name: verdict.outcome.value for name, verdict in named(engine).items()}
    assert judged == {
        "rule-FR101": "skip" if ignored else "fail",
        "rule-FR102": "blocked",
        "rule-FR901[1.0]": outcome,
        "rule-FR901[2.0]": outcome,
        "rule-FR902[1.0]": "pass",
        "rule-FR902[2.0]": "fail",
        "rule-FR903[1.0]": "pass",
        "rule-FR903[2.0]": "blocked",
    }
    monkeypatch.setattr(Candidate, "asked_servers", ("1.0",))
    one = Engine(engine.candidate, rules)
    (check,) = [check for check in one.plan() if check.rule.code == "FR901"]
    assert (check.name, check.server, one.verdict(check).server) == ("rule-FR901", "1.0", "1.0")


def test_where_a_fact_cannot_be_gathered_the_rule_is_skipped(
    declare: Declare, engine_with: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever else is broken."""
    declare("FR101", [finding()])
    declare("FR102", [finding()], "FR101", about=Task)
    lacking = {Task: NotChecked("pixi installs it")}
    monkeypatch.setattr(Candidate, "lacking", lambda self, fact: lacking.get(fact))
    judged = judge_all(engine_with())
    assert outcomes(judged) == {
        ("FR101", None): "fail",
        ("FR102", "first"): "skip",
        ("FR102", "second"): "skip",
    }
    assert judged["FR102", "first"].cause == "pixi installs it"


def test_of_very_many_findings_those_that_weigh_most_are_listed(
    declare: Declare, engine_with: Callable[..., Engine]
) -> None:
    notes = [finding(line=number, severity=Severity.NOTE) for number in range(30)]
    warnings = [finding(line=number, severity=Severity.WARNING) for number in range(30)]
    declare("FR101", [*notes, *warnings, finding(line=99)])
    declare("FR102", [finding()] * 50)
    declare("FR103", [finding()] * 51)
    judged = judge_all(engine_with())
    verdict = judged["FR101", None]
    severities = [found.severity for found in verdict.findings]
    assert severities == [None, *[Severity.WARNING] * 30, *[Severity.NOTE] * 19]
    assert [found.line for found in verdict.findings[:3]] == [99, 0, 1]
    assert (verdict.outcome, verdict.reason) == (
        Outcome.FAIL,
        "11 more findings are not listed",
    )
    assert len(judged["FR102", None].findings) == 50
    assert judged["FR102", None].reason is None
    assert judged["FR103", None].reason == "1 more findings are not listed"


def test_what_only_older_servers_refuse_is_a_warning(
    declare: Declare, engine_with: Callable[..., Engine]
) -> None:
    declare("FR101", [finding(releases=">=2,<2.20")])
    declare("FR102", [finding(releases=">=2.20")])
    declare("FR103", [finding(releases=">=2,<2.20", severity=Severity.ERROR)])
    declare("FR104", [finding(severity=Severity.NOTE)])
    declare("FR105", [], "FR101", "FR104")
    judged = outcomes(judge_all(engine_with()))
    assert [*judged.values()] == ["warn", "fail", "fail", "pass", "pass"]


def test_a_line_of_a_thousand_characters_is_whole(
    declare: Declare, engine_with: Callable[..., Engine]
) -> None:
    declare("FR101", [Finding(expected="e", found="a" * 1000, hint="h")])
    (verdict,) = judge_all(engine_with()).values()
    assert verdict.findings[0].found == "a" * 1000


@pytest.mark.parametrize(
    ("share", "seconds", "expected"),
    [
        (0.0, {}, "abcd"),
        (0.5, {}, "cdab"),
        (0.99, {}, "dabc"),
        (0.0, {"a": 1, "b": 3, "c": 2}, "dbca"),
        (0.25, {"a": 1, "b": 3, "c": 2}, "bcad"),
    ],
)
def test_what_takes_long_is_begun_first(
    declare: Declare,
    engine_of: Callable[..., Engine],
    share: float,
    seconds: dict[str, float],
    expected: str,
) -> None:
    """What nobody knows takes longest; and workers begin at different tasks."""
    manifest = good_manifest()
    (entry,) = manifest["task_list"]
    manifest["task_list"] = [{**entry, "name": name} for name in "abcd"]
    declare("FR100")
    declare("FR301", about=Command)
    declare("FR302", about=Command)
    declare("FR401", about=Run, skip_reason=_only_b)
    engine = engine_of(manifest, one={"task": "a"}, two={"task": "b"})
    first = _first_of_each(engine.plan(), share, seconds)
    names = [f"rule-FR301[{name}]" for name in expected]
    assert [check.name for check in first] == [*names, "rule-FR401[b-two]"]


def _only_b(sample: Sample) -> Skipped | None:
    return None if sample.task.slug == "b" else NotApplicable("not of b")


def test_what_runs_ahead_is_judged_once_and_ends(
    declare: Declare, engine_of: Callable[..., Engine]
) -> None:
    asked: list[str] = []

    def judge(part: Part) -> list[Finding]:
        asked.append(part.task.slug)
        return []

    declare("FR301", judge, about=Command)
    declare("FR302", judge, about=Command)
    engine = engine_of()
    engine.drain()
    engine.run_ahead(engine.plan(), 2)
    engine.drain()
    assert asked == ["demo_task"]
    assert named(engine)["rule-FR301[demo_task]"].outcome is Outcome.PASS
    assert asked == ["demo_task", "demo_task"], "what the first has begun serves both"
    engine.close()


def test_of_several_causes_only_those_that_are_ignored_keep_no_server_from_being_asked(
    declare: Declare, engine_of: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    declare("FR101", [finding()])
    declare("FR102", [finding()])
    declare("FR103", [], "FR101", "FR102")
    declare("FR901", [], "FR103", about=Collection)
    monkeypatch.setattr(Candidate, "asked_servers", ("2.0",))
    engine = engine_of()
    engine.candidate.settings = Settings(ignore=parse_codes("FR101"))
    assert named(engine)["rule-FR901"].reason == "blocked by FR102"
