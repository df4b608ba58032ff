"""What a package's authors get for their own tests, and `check_package` without pytest."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

import pytest
from conftest import OWN_TESTS, Runner, make_wheel

from pytest_fractal import BadInput, Outcome, check_package

TESTS = 6
"""How many items the tests of the good package `with_own_tests` make."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    shutil.copytree(OWN_TESTS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


OWN_AND_OURS = ("tests", "--fractal-package=.", "-v", "--fractal-select=FR101")
"""Runs both, with one build and one environment."""


@pytest.mark.usefixtures("any_environment")
def test_the_example_package_passes_its_own_tests(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    monkeypatch.chdir(project)
    ran = pytester.runpytest_inprocess(*OWN_AND_OURS)
    ran.assert_outcomes(passed=TESTS + 1)
    for name in ("make_wells", "invert_well"):
        assert f"test_a_task_refuses_empty_arguments[{name}]" in ran.stdout.str()


def test_and_so_it_does_with_workers(runner: Runner, project: Path) -> None:
    """They share the one tree, which is built once."""
    ran = runner.pytest(*OWN_AND_OURS, "-n", "2", cwd=project)
    assert ran.status == 0, ran.text
    assert re.search(rf"= {TESTS + 1} passed in", ran.out), ran.text
    for name in ("make_wells", "invert_well"):
        assert f"test_a_task_refuses_empty_arguments[{name}]" in ran.out
    assert ran.left == []


@pytest.mark.usefixtures("any_environment")
def test_what_the_fixtures_hand_out(pytester: pytest.Pytester, good_wheel: Path) -> None:
    (pytester.path / "test_own.py").write_text(
        """
import pytest

def test_a_run(fractal_package, run_fractal_task, tmp_path):
    assert fractal_package.wheel.name == "tested_tasks-1.0-py3-none-any.whl"
    assert fractal_package.environment.python.is_file()
    make, invert = fractal_package.tasks
    assert (make.slug, make.kind, invert.kind) == ("make_wells", "non_parallel", "parallel")
    run = run_fractal_task(make, {"number": 1, "prefix": "x"}, output_path=str(tmp_path))
    assert (run.returncode, run.metadata, run.timed_out) == (0, {"well": ["x_0"]}, False)
    assert run.written == '{"well": ["x_0"]}'
    assert run.seconds > 0
    assert run.argv[2] == "-j"
    assert run.stdout == ""
    assert list(tmp_path.iterdir()) == [tmp_path / "x_0"]
    refused = run_fractal_task(make, {})
    assert refused.returncode == 1
    assert "number" in refused.stderr
    assert refused.written is None and refused.metadata is None
    assert refused.folder != run.folder

def test_no_such_task(run_fractal_task):
    with pytest.raises(LookupError, match="'nope'; there are: make_wells, invert_well"):
        run_fractal_task("nope", {})
"""
    )
    ran = pytester.runpytest_inprocess(
        "test_own.py", f"--fractal-package={good_wheel}", "-m", "not fractal"
    )
    assert ran.ret == 0
    assert "2 passed" in ran.stdout.str()


USES = """
def test_package(fractal_package): assert fractal_package.tasks
def test_task(fractal_task): pass
def test_run(run_fractal_task): run_fractal_task("make_wells")
def test_other(): pass
"""


def test_without_a_package_only_those_that_need_one_fail(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(USES)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, errors=3)
    reported = "the fractal fixtures need exactly one package: --fractal-package=PACKAGE"
    # As a line of its own: under CI, pytest repeats it whole in the summary.
    assert sum(line.startswith(reported) for line in result.outlines) == 3
    assert "Traceback" not in result.stdout.str()
    assert "During handling" not in result.stdout.str()


@pytest.mark.usefixtures("any_environment")
def test_a_package_that_does_not_install_is_reported_in_one_sentence(
    pytester: pytest.Pytester,
) -> None:
    wheel = make_wheel(pytester.path, extra_metadata="Requires-Python: >=4\n")
    pytester.makepyfile(USES)
    result = pytester.runpytest_inprocess(
        ".", "-p", "no:cacheprovider", f"--fractal-package={wheel.name}", "-m", "not fractal"
    )
    outcomes = result.parseoutcomes()
    assert (outcomes["passed"], outcomes["failed"]) == (4, 1)
    result.stdout.fnmatch_lines(["*tested_tasks-1.0-py3-none-any.whl does not install: *"])
    assert "api.py" not in result.stdout.str()


def test_a_package_without_tasks_is_reported(pytester: pytest.Pytester) -> None:
    """No green by an empty parametrisation."""
    wheel = make_wheel(pytester.path, changes={"__FRACTAL_MANIFEST__.json": None})
    pytester.makepyfile("def test_task(fractal_task): pass")
    result = pytester.runpytest_inprocess(
        ".", f"--fractal-package={wheel.name}", "-k", "test_task"
    )
    assert result.parseoutcomes()["errors"] == 1
    result.stdout.fnmatch_lines(["no task can be read from the package's manifest"])


# Without pytest


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files of this process go."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.usefixtures("any_environment")
def test_check_package_returns_a_report(temporary: Path, broken_wheel: Path) -> None:
    report = check_package(broken_wheel, ignore=["FR407"])
    assert not report.passed
    (candidate,) = report.candidates
    assert (candidate.name, candidate.version) == ("tested_tasks", "1.0")
    assert [code for code, _ in candidate.findings] == ["FR301"]
    blocked = {
        verdict.code for verdict in candidate.verdicts if verdict.outcome is Outcome.BLOCKED
    }
    assert {"FR302", "FR303", "FR304"} <= blocked
    assert list(temporary.iterdir()) == []


def test_check_package_takes_the_options(temporary: Path, good_wheel: Path) -> None:
    report = check_package(good_wheel, select=["FR1"], ignore=["FR101"], strict=True, jobs=1)
    assert report.passed
    outcomes = {verdict.code: verdict.outcome for verdict in report.candidates[0].verdicts}
    assert outcomes["FR101"] is Outcome.SKIP
    assert all(code.startswith("FR1") for code in outcomes)
    kept = check_package(good_wheel, select=["FR101"], keep=True).candidates[0].folder
    assert kept is not None
    assert Path(kept).is_relative_to(temporary)


def test_check_package_refuses_bad_input(temporary: Path, good_wheel: Path) -> None:
    with pytest.raises(BadInput, match="no such folder"):
        check_package("./not-there")
    with pytest.raises(BadInput, match="no task has this slug"):
        check_package(good_wheel, select=["FR301[nope]"])
    with pytest.raises(BadInput, match="no rule has this code"):
        check_package(good_wheel, ignore=["FR999"])
    assert list(temporary.iterdir()) == []
