"""The suite as a user meets it: node ids, options, exit status, and what it prints and leaves."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import MANIFEST, OWN_TESTS, Ran, Runner, make_wheel

WHEEL = "tested_tasks-1.0-py3-none-any.whl"
STARTS = f"{WHEEL}::command-starts[invert_well]"
TYPES = f"{WHEEL}::task-types[invert_well]"

Pytest = Callable[..., pytest.RunResult]


def manifest_with(change: Callable[[dict[str, Any]], object]) -> Mapping[str, str]:
    """A change of the wheel's manifest, for `make_wheel`."""
    manifest = json.loads((OWN_TESTS / "tested_tasks" / MANIFEST).read_text())
    change(manifest)
    return {MANIFEST: json.dumps(manifest, indent=2)}


@pytest.fixture
def suite(pytester: pytest.Pytester) -> Pytest:
    """Runs the suite in this process, in a folder with a wheel that breaks FR112 and FR113.

    Only the rules about the manifest are judged, so nothing is installed.
    """

    def spoil(manifest: dict[str, Any]) -> None:
        manifest["task_list"][1]["input_type"] = " "
        del manifest["task_list"][0]["docs_info"], manifest["task_list"][0]["docs_link"]

    make_wheel(pytester.path, changes=manifest_with(spoil))
    pytester.makeini("[pytest]\n")

    def run(*arguments: str, package: bool = True) -> pytest.RunResult:
        options = [f"--fractal-package={WHEEL}", "--fractal-select=FR1"] if package else []
        return pytester.runpytest_inprocess(*options, *arguments)

    return run


def collected(result: pytest.RunResult) -> list[str]:
    """The node ids that `--co -q` printed."""
    return [line for line in result.outlines if "::" in line]


def outcomes(ran: Ran) -> dict[str, int]:
    """How many items have which outcome, by the last line."""
    return pytest.RunResult.parse_summary_nouns(ran.out.splitlines())


# One real run, without workers and with two


@pytest.fixture(scope="module")
def runs(broken_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Ran]:
    """The whole suite on a task that does not start, by number of workers."""
    ran = {}
    for workers in (0, 2):
        folder = tmp_path_factory.mktemp(f"workers-{workers}")
        for name in ("work", "temporary"):
            (folder / name).mkdir()
        (folder / "work" / "pytest.ini").write_text("[pytest]\n")
        (folder / "work" / WHEEL).write_bytes(broken_wheel.read_bytes())
        runner = Runner(folder / "work", folder / "temporary")
        ran[workers] = runner.pytest(
            f"--fractal-package={WHEEL}",
            "-v",
            "-n",
            str(workers),
            "--junit-xml=junit.xml",
            "--fractal-report=report.json",
        )
    return ran


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_tells_what_is_broken_and_how_to_fix_it(runs: dict[int, Ran], workers: int) -> None:
    """One failure, reported in full and without a traceback; what it blocks is no failure."""
    ran = runs[workers]
    assert ran.status == 1
    lines = [
        "fractal: tested_tasks 1.0, manifest version 1, 2 tasks",
        "error[FR301] command-starts: ModuleNotFoundError: No module named 'not_there'",
        "  task:     invert_well",
        "  expected: a script that imports what it needs",
        "  fix:      add the distribution that brings the module 'not_there'",
        "  more:     pytest --fractal-explain=FR301",
        "1 fail (FR301), ",
        f"FAILED {STARTS} - FR301",
        "tested_tasks 1.0: fractal-server 1.x will collect it, but FR301 is broken in 1 of 2",
        "fix first: FR301 command-starts[invert_well]: ModuleNotFoundError",
        "not checked: ",
    ]
    assert [line for line in lines if line not in ran.out] == []
    # pytest lists what it does not know in the order in which it comes, which workers change.
    counts = re.findall(r"(\d+) (\w+)", ran.out.rpartition("= 1 failed, ")[2].partition(" in ")[0])
    assert sorted(what for _, what in counts) == ["blocked", "passed", "unchecked"]
    assert ran.out.splitlines()[-1].startswith("next: pytest --fractal-package=")
    assert "Traceback" not in ran.text
    assert "pytest_fractal/" not in ran.text
    assert "raise " not in ran.text


@pytest.mark.parametrize("workers", [0, 2])
def test_where_nobody_looks_no_line_moves(runs: dict[int, Ran], workers: int) -> None:
    """In a log file, control characters would only be in the way."""
    assert not {letter for letter in runs[workers].text if ord(letter) < 32} - {"\n"}


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_leaves_nothing_behind(runs: dict[int, Ran], workers: int) -> None:
    """Also after a failure."""
    assert runs[workers].left == []


def test_workers_judge_the_same_items_with_the_same_verdicts(runs: dict[int, Ran]) -> None:
    words = "[A-Z]+(?: [A-Z]+)*"  # such as DOES NOT APPLY

    def reported(workers: int) -> dict[str, str]:
        return {
            (match[1] or match[4]): (match[2] or match[3])
            for match in re.finditer(
                rf"^({WHEEL}::\S+) ({words})|^\[gw\d\] .*?({words}) ({WHEEL}::\S+)",
                runs[workers].out,
                re.MULTILINE,
            )
        }

    alone = reported(0)
    assert alone[STARTS] == "FAILED"
    assert alone[f"{WHEEL}::accepts-arguments[invert_well]"] == "BLOCKED"
    assert alone[f"{WHEEL}::accepts-arguments[make_wells]"] == "PASSED"
    assert alone[f"{WHEEL}::manifest-in-wheel"] == "PASSED"
    assert alone[f"{WHEEL}::samples-match-schema[make_wells-made]"] == "NOT CHECKED"
    assert reported(2) == alone


def report_of(ran: Ran) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((ran.folder / "report.json").read_text("utf-8"))
    return report


@pytest.mark.parametrize("workers", [0, 2])
def test_the_json_report_has_its_form(runs: dict[int, Ran], workers: int) -> None:
    report = report_of(runs[workers])
    assert {"report_version", "candidates", "passed"} <= set(report)
    assert (report["report_version"], report["passed"]) == (2, False)
    (candidate,) = report["candidates"]
    assert {
        "name",
        "version",
        "source",
        "generation",
        "wheel",
        "python",
        "tasks",
        "verdicts",
        "runs",
        "summary",
        "timings",
    } <= set(candidate)
    assert (candidate["version"], candidate["source"]) == ("1.0", WHEEL)
    assert (candidate["generation"], candidate["wheel"]) == ("1", WHEEL)
    keys = {
        "tasks": {"name", "slug", "kind", "command", "source"},
        "verdicts": {"code", "rule", "task", "sample", "outcome", "skip", "findings", "seconds"},
        "runs": {"task", "sample", "argv", "returncode", "seconds", "timed_out"},
    }
    for name, expected in keys.items():
        assert all(expected <= set(entry) for entry in candidate[name])
    assert [(task["slug"], task["kind"]) for task in candidate["tasks"]] == [
        ("make_wells", "non_parallel"),
        ("invert_well", "parallel"),
    ]
    assert list(candidate["summary"]) == [
        "pass",
        "fail",
        "warn",
        "not-checked",
        "blocked",
        "error",
        "ignored",
    ]
    assert (candidate["summary"]["fail"], candidate["summary"]["blocked"]) == (1, 7)
    counted = [verdict for verdict in candidate["verdicts"] if verdict["skip"] != "not-applicable"]
    assert sum(candidate["summary"].values()) == len(counted)
    assert list(candidate["timings"]) == ["build", "environment", "install", "runs"]
    (failed,) = [verdict for verdict in candidate["verdicts"] if verdict["outcome"] == "fail"]
    assert (failed["code"], failed["rule"]) == ("FR301", "command-starts")
    assert (failed["task"], failed["reason"]) == ("invert_well", None)
    (finding,) = failed["findings"]
    assert {"where", "expected", "found", "hint"} <= set(finding)
    assert "not_there" in finding["found"]


def test_the_json_report_is_the_same_with_workers(runs: dict[int, Ran]) -> None:
    """But for times and paths, and for who of two tasks was first to make a shared start."""

    def timeless(value: Any) -> Any:
        if isinstance(value, dict):
            unstable = {"seconds", "timings", "command", "commands", "runs", "stages"}
            return {key: timeless(inner) for key, inner in value.items() if key not in unstable}
        return [timeless(inner) for inner in value] if isinstance(value, list) else value

    alone, shared = report_of(runs[0]), report_of(runs[2])
    assert timeless(alone) == timeless(shared)
    starts = [len(report["candidates"][0]["runs"]) for report in (alone, shared)]
    assert starts[0] == starts[1]


@pytest.mark.parametrize("workers", [0, 2])
def test_junit_xml_has_every_item(runs: dict[int, Ran], workers: int) -> None:
    cases = list(ET.parse(runs[workers].folder / "junit.xml").iter("testcase"))
    assert len(cases) == len(report_of(runs[workers])["candidates"][0]["verdicts"])
    (failed,) = [case for case in cases if case.find("failure") is not None]
    assert failed.get("name") == "command-starts[invert_well]"
    failure = failed.find("failure")
    assert failure is not None
    assert "No module named 'not_there'" in (failure.text or "")
    statuses = [
        element.get("value")
        for element in cases[0].iter("property")
        if element.get("name") == "fractal-status"
    ]
    assert len(statuses) == 1


def test_junit_xml_tells_of_warnings(suite: Pytest, pytester: pytest.Pytester) -> None:
    assert suite("-k", "FR113", "--junit-xml=junit.xml").ret == 0
    reported = [
        {element.get("name"): element.get("value") or "" for element in case.iter("property")}
        for case in ET.parse(pytester.path / "junit.xml").iter("testcase")
    ]
    (warned,) = [line for line in reported if line["fractal-status"] == "warn"]
    assert warned["fractal-warning"].startswith("FR113: neither docs_info nor docs_link: add ")


# Choosing items


def test_collecting_prints_the_node_ids(suite: Pytest) -> None:
    result = suite("--collect-only", "-q")
    ids = collected(result)
    assert f"{WHEEL}::manifest-in-wheel" in ids
    assert TYPES in ids
    assert len(ids) == len(set(ids))
    assert result.ret == 0
    suite("--collect-only").stdout.fnmatch_lines(["*CheckItem task-types[[]invert_well[]]*"])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-k", "FR112 and invert_well"], [TYPES]),
        (["-k", "task-types and wells"], [f"{WHEEL}::task-types[make_wells]"]),
        (["-m", "fractal", "-k", "FR101"], [f"{WHEEL}::manifest-in-wheel"]),
        (["-m", "not fractal"], []),
        ([TYPES], [TYPES]),
        ([TYPES, f"{WHEEL}::manifest-in-wheel"], [f"{WHEEL}::manifest-in-wheel", TYPES]),
        (["-k", "FR112", "--deselect", TYPES], [f"{WHEEL}::task-types[make_wells]"]),
        (["--fractal-select=FR112[invert_well]"], [TYPES]),
        (["--fractal-select=fr112"], [f"{WHEEL}::task-types[make_wells]", TYPES]),
    ],
)
def test_items_are_chosen(suite: Pytest, arguments: Sequence[str], expected: list[str]) -> None:
    """By keyword, marker, pasted node id, deselection, and by the plugin's own option."""
    result = suite(*arguments, "--collect-only", "-q")
    assert collected(result) == expected
    assert result.ret == (0 if expected else 5)


@pytest.mark.parametrize("path", ["below/" + WHEEL, WHEEL, "./" + WHEEL])
def test_a_node_id_is_found_from_a_folder_below(
    suite: Pytest, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Printed from the root folder, typed from where one is."""
    (pytester.path / "below").mkdir()
    shutil.move(pytester.path / WHEEL, pytester.path / "below")
    monkeypatch.chdir(pytester.path / "below")
    suite(f"{path}::task-types[invert_well]").assert_outcomes(failed=1)


def test_last_failed_runs_the_failed_ones(suite: Pytest) -> None:
    """Names with brackets are found again."""
    assert suite().parseoutcomes()["failed"] == 1
    again = suite("--lf", "-v")
    outcomes = again.parseoutcomes()
    assert outcomes.pop("deselected") > 10
    assert outcomes == {"failed": 1}
    again.stdout.fnmatch_lines([f"{TYPES.replace('[', '[[]', 1)} FAILED*"])


def test_failed_first_and_stop_at_the_first(suite: Pytest) -> None:
    assert suite("-x").parseoutcomes()["passed"] > 1
    again = suite("--ff", "-x").parseoutcomes()
    assert again == {"failed": 1}


def test_a_pasted_node_id_of_a_folder_and_of_a_requirement(pytester: pytest.Pytester) -> None:
    """A folder's ids begin with its project file, a requirement's with its text."""
    from pytest_fractal.package_spec import parse_package

    project = pytester.path / "project"
    project.mkdir()
    (project / "pyproject.toml").touch()
    assert parse_package(".[gpu]", project).anchor(project) == "pyproject.toml"
    assert (
        parse_package("project", pytester.path).anchor(pytester.path) == "project/pyproject.toml"
    )
    assert parse_package("name[gpu]==1.2", project).anchor(project) == "name==1.2"


def test_several_packages_are_judged_in_one_run(suite: Pytest, pytester: pytest.Pytester) -> None:
    make_wheel(pytester.path, "other_tasks")
    other = "other_tasks-1.0-py3-none-any.whl"
    result = suite(f"--fractal-package={other}", "--fractal-select=FR112")
    result.assert_outcomes(failed=1, passed=3)
    result.stdout.fnmatch_lines(["*fractal: tested_tasks 1.0*", "*fractal: other_tasks 1.0*"])
    result = suite(f"--fractal-package={other}", f"{other}::task-types[invert_well]")
    result.assert_outcomes(passed=1)


# How it looks


@pytest.mark.parametrize("arguments", [["-q"], ["-v"], ["--no-header"], ["-p", "no:terminal"]])
def test_ways_of_printing_do_not_change_the_verdicts(
    suite: Pytest, pytester: pytest.Pytester, arguments: list[str]
) -> None:
    result = suite(*arguments, "--fractal-report=report.json")
    assert result.ret == 1
    report = json.loads((pytester.path / "report.json").read_text())
    summary = report["candidates"][0]["summary"]
    assert (summary["fail"], summary["warn"], summary["error"]) == (1, 1, 0)
    assert result.outlines[:1] == [] or "no:terminal" not in arguments


def test_a_warning_passes_and_is_reported(suite: Pytest) -> None:
    result = suite("--fractal-select=FR113", "-v")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "*has-docs[[]make_wells[]] WARNED*",
            "warning[[]FR113[]] has-docs: *",
            "*task: *make_wells",
            "*fix: *",
            "*1 passed, 1 warned*",
        ]
    )


def test_strict_makes_warnings_fail(suite: Pytest) -> None:
    result = suite("--fractal-select=FR113", "--fractal-strict")
    assert result.ret == 1
    result.assert_outcomes(failed=1, passed=1)


def test_a_rule_is_ignored_for_one_task(suite: Pytest) -> None:
    result = suite("--fractal-ignore=FR112[invert_well]")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["ignored: FR112 of 1 of 2 tasks: on the command line"])


# What is blocked


@pytest.fixture
def without_manifest(pytester: pytest.Pytester) -> Pytest:
    """Runs the suite on a wheel that has no manifest, which blocks nearly everything."""
    make_wheel(pytester.path, changes={MANIFEST: None})

    def run(*arguments: str) -> pytest.RunResult:
        return pytester.runpytest_inprocess(f"--fractal-package={WHEEL}", *arguments)

    return run


def test_one_failure_blocks_the_rest(without_manifest: Pytest) -> None:
    result = without_manifest("--fractal-select=FR1,FR201,FR209")
    counts = result.parseoutcomes()
    assert counts["failed"] == 1
    assert counts["blocked"] > 15
    assert "passed" not in counts
    assert result.ret == 1


def test_a_blocked_rule_fails_when_its_blocker_is_not_chosen(without_manifest: Pytest) -> None:
    """Nothing else in the run would be red: its failure shows what the blocker found."""
    result = without_manifest("-k", "FR102")
    result.assert_outcomes(failed=1, deselected=result.parseoutcomes()["deselected"])
    result.stdout.fnmatch_lines(
        [
            "error[[]FR101[]] manifest-in-wheel: *",
            "*expected:*",
            "*fix:*",
            "FAILED *::manifest-at-package-root - FR102*",
        ]
    )


def test_a_rule_that_only_an_ignored_one_blocks_does_not_fail(without_manifest: Pytest) -> None:
    result = without_manifest("--fractal-select=FR101,FR102", "--fractal-ignore=FR101")
    assert result.parseoutcomes() == {"ignored": 1, "blocked": 1}


def test_nothing_chosen_is_status_5(suite: Pytest) -> None:
    assert suite("-k", "nothing").ret == 5


# Questions about rules


def test_the_rules_are_listed_and_explained(suite: Pytest) -> None:
    listed = suite("--fractal-rules", package=False)
    assert listed.ret == 0
    listed.stdout.fnmatch_lines(["FR301  E  command-starts *", "FR304  W  *"])
    reported = suite("--fractal-explain=fr301", package=False)
    assert reported.ret == 0
    reported.stdout.fnmatch_lines(
        ["FR301 command-starts  error", "Why", "How to fix it", "*/FR301/"]
    )


# The ini file


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pytest.ini", "[pytest]\n{}"),
        ("pyproject.toml", "[tool.pytest.ini_options]\n{}"),
        ("pyproject.toml", "[tool.pytest]\n{}"),
    ],
)
def test_a_package_in_the_ini_file_is_judged_beside_the_tests(
    pytester: pytest.Pytester, name: str, content: str
) -> None:
    make_wheel(pytester.path)
    toml = name.endswith("toml")
    value = f'["{WHEEL}"]' if toml else WHEEL
    select = '"FR101"' if toml else "FR101"
    settings = f"fractal_package = {value}\nfractal_select = {select}\nfractal_timeout = 60\n"
    (pytester.path / name).write_text(content.format(settings))
    pytester.makepyfile("def test_of_the_author(): pass")
    pytester.runpytest_inprocess().assert_outcomes(passed=2)


@pytest.mark.usefixtures("suite")
def test_workers_take_a_package_from_the_ini_file_and_a_pasted_node_id(
    runner: Runner, pytester: pytest.Pytester
) -> None:
    pytester.makeini(f"[pytest]\nfractal_package = {WHEEL}\n")
    pytester.makepyfile(test_own="def test_of_the_author(): pass")
    ran = runner.pytest("test_own.py", TYPES, "-n2", cwd=pytester.path)
    assert outcomes(ran) == {"passed": 1, "failed": 1}


def test_a_path_on_the_command_line_runs_that_alone(pytester: pytest.Pytester) -> None:
    """As an editor runs one test: with a package in the ini file, nothing is built for it."""
    make_wheel(pytester.path)
    pytester.makeini(f"[pytest]\nfractal_package = {WHEEL}\nfractal_select = FR101\n")
    test = pytester.makepyfile(
        test_one="""
        def test_of_the_author(): pass
        def test_with_the_package(fractal_package): assert fractal_package.tasks
        """
    )
    alone = pytester.runpytest_inprocess(f"{test.name}::test_of_the_author")
    alone.assert_outcomes(passed=1)
    assert "fractal:" not in alone.stdout.str()
    pytester.runpytest_inprocess(test).assert_outcomes(passed=2)


def test_every_option_has_an_ini_twin(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    make_wheel(pytester.path)
    pytester.makeini(
        f"""
        [pytest]
        fractal_package = {WHEEL}
        fractal_python = 3
        fractal_pin =
            pip==1.0
            wheel==1.0
        fractal_installer = pip
        fractal_select = FR101,FR113
        fractal_ignore =
            FR113: written by hand until 2.0
            FR2: another reason
        fractal_strict = true
        fractal_timeout = 12.5
        fractal_jobs = 3
        fractal_report =
            one.json
            two.json
        fractal_keep = true
        """
    )
    pytester.makeconftest(
        """
        def pytest_sessionfinish(session):
            suite = session.config.pluginmanager.get_plugin("fractal-suite")
            print("SETTINGS", suite.session.settings)
        """
    )
    pytester.makepyfile("def test_nothing(): pass")
    result = pytester.runpytest_inprocess("-rs", "-s")
    assert result.parseoutcomes() == {"passed": 2, "ignored": 2}
    result.stdout.fnmatch_lines(
        ["kept: *", "ignored: FR113 of 2 of 2 tasks: written by hand until 2.0"]
    )
    (settings,) = [line for line in result.outlines if "SETTINGS" in line]
    for part in [
        "python='3'",
        "pins=('pip==1.0', 'wheel==1.0')",
        "installer='pip'",
        "strict=True",
        "timeout=12.5",
        "jobs=3",
        "keep=True",
    ]:
        assert part in settings
    assert (pytester.path / "one.json").is_file()
    assert (pytester.path / "two.json").is_file()
    assert [path.name for path in tmp_path.glob("pytest-fractal-*")] != []


def test_an_ignore_in_the_ini_file_needs_a_reason(
    suite: Pytest, pytester: pytest.Pytester
) -> None:
    pytester.makeini("[pytest]\nfractal_ignore = FR112\n")
    result = suite()
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: fractal_ignore: FR112 has no reason; write *"])


# The author's own folder


@pytest.fixture
def project(runner: Runner) -> Path:
    """A copy of the package with its own tests, and a conftest.py that cannot be imported."""
    folder = runner.folder / "project"
    shutil.copytree(OWN_TESTS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "tests" / "conftest.py").write_text("import not_there\n")
    (folder / "conftest.py").write_text("import not_there\n")
    with (folder / "pyproject.toml").open("a") as file:
        file.write(
            'addopts = "--strict-markers --strict-config --import-mode=importlib"\n'
            'filterwarnings = ["error"]\nxfail_strict = true\n'
        )
    return folder


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_two_runs_at_once_on_a_source_tree_that_has_tests(runner: Runner, project: Path) -> None:
    """The author's tests are not looked at, strict settings do no harm, the tree is untouched."""
    before = files_below(project)
    with ThreadPoolExecutor() as pool:
        ran = list(
            pool.map(
                lambda _: runner.pytest(
                    "--fractal-package=.", "--fractal-select=FR001,FR1", cwd=project
                ),
                range(2),
            )
        )
    for run in ran:
        assert run.status == 0, run.text
        assert re.search(r"= \d+ passed(, \d+ unchecked)? in", run.out), run.text
    assert files_below(project) == before
    assert runner.left() == []


# Interrupted


def is_running(pid: str) -> bool:
    """Whether there is such a process that is not merely waiting to be collected by init."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", pid], capture_output=True, text=True).stdout
    return state.strip()[:1] not in ("", "Z")


@pytest.mark.parametrize(
    ("sign", "workers"), [(signal.SIGINT, 0), (signal.SIGINT, 2), (signal.SIGTERM, 0)]
)
def test_an_interrupted_run_ends_soon_and_leaves_nothing(
    runner: Runner, tmp_path: Path, sign: signal.Signals, workers: int
) -> None:
    """Ctrl-C and the end of a CI job: no process, no folder, and a report that says no."""
    started = tmp_path / "started"
    script = (
        "import os, subprocess, time\n"
        'child = subprocess.Popen(["sleep", "300"])\n'
        f"with open({str(started)!r}, 'a') as file: print(os.getpid(), child.pid, file=file)\n"
        "time.sleep(300)\n"
    )
    wheel = make_wheel(tmp_path / "slow", changes={"invert_well.py": script})
    process = runner.start(
        *runner.argv(
            f"--fractal-package={wheel}",
            "--fractal-select=FR301[invert_well]",
            *("-n", str(workers)),
            "--fractal-report=report.json",
            "--fractal-sandbox=off",  # so that it can tell that it has begun
        )
    )
    deadline = time.monotonic() + 60
    while not (started.is_file() and started.read_text().endswith("\n")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, sign)
    asked = time.monotonic()
    ran = runner.finish(process)
    assert time.monotonic() - asked < 30
    assert ran.status == 2, ran.text
    assert ran.left == []
    assert [pid for pid in started.read_text().split() if is_running(pid)] == []
    assert json.loads((runner.folder / "report.json").read_text())["passed"] is False


@pytest.mark.usefixtures("any_environment")
def test_keep_keeps_and_says_where(
    pytester: pytest.Pytester, good_wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ran = pytester.runpytest_inprocess(
        f"--fractal-package={good_wheel}", "--fractal-keep", "--fractal-select=FR301", "-q"
    )
    assert ran.ret == 0
    (line,) = [line for line in ran.outlines if line.startswith("kept: ")]
    folder = Path(line.removeprefix("kept: "))
    assert (folder / "environment" / "bin" / "python").exists()
    assert list((folder / "runs" / "make_wells").rglob("*args.json"))
