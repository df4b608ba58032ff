"""The GitHub Action: its files, and its steps really executed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from actions_runner import ROOT, Job, read_outputs
from conftest import MANIFEST, OWN_TESTS, make_wheel
from filelock import FileLock

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
EVIL = "pwned"

RunAction = Callable[..., Job]


def loaded(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


def tool(name: str, *arguments: str | Path) -> None:
    """Run a checker that was installed beside this Python; it must be content."""
    command = [Path(sys.executable).with_name(name), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_files_follow_githubs_schemas() -> None:
    tool("check-jsonschema", "--builtin-schema", "vendor.github-actions", "action.yml")
    tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)


def test_an_auditor_of_workflows_finds_nothing() -> None:
    """Template injection, unpinned actions, credentials that stay, too many permissions."""
    tool("zizmor", "--offline", "--no-progress", "--quiet", "action.yml", ".github/workflows")


def test_no_expression_is_part_of_a_script() -> None:
    action = loaded(ROOT / "action.yml")
    scripts = [step["run"] for step in action["runs"]["steps"] if "run" in step]
    assert len(scripts) >= 3
    assert not any("${{" in script for script in scripts)


def test_every_input_reaches_a_step() -> None:
    action = loaded(ROOT / "action.yml")
    steps = json.dumps(action["runs"]["steps"])
    for name in action["inputs"]:
        assert f"inputs.{name} " in steps


def test_the_reusable_workflow_passes_every_input_on() -> None:
    """Each under the same name and with the same default, and none that there is not."""
    action = loaded(ROOT / "action.yml")["inputs"]
    workflow = loaded(ROOT / ".github" / "workflows" / "check-package.yml")
    inputs = workflow[True]["workflow_call"]["inputs"]  # YAML reads `on` as true
    (step,) = [step for step in workflow["jobs"]["check"]["steps"] if step["uses"] == "$/"]
    assert set(step["with"]) == set(action)
    assert set(inputs) == set(action) - {"python-version"} | {"python-versions", "runs-on"}
    for name in set(inputs) & set(action):
        assert step["with"][name] == f"${{{{ inputs.{name} }}}}"
        assert str(inputs[name]["default"]).lower() == action[name]["default"].lower()
    assert all(
        isinstance(version, str) for version in json.loads(inputs["python-versions"]["default"])
    )


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for temporary files in which the tool is installed already, by the action.

    That is done once, whichever process of xdist comes first.
    """
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "action"
    with FileLock(f"{shared}.lock"):
        if not shared.is_dir():
            job = Job(tmp_path_factory.mktemp("nothing"), shared).run({"package": "not-there/"})
            assert job.status == 4, job.log
    own = tmp_path_factory.mktemp("runner")
    (own / "pytest-fractal").mkdir()
    for made in (shared / "pytest-fractal").iterdir():
        if made.name == "cache" or made.name.startswith("tool-"):
            (own / "pytest-fractal" / made.name).symlink_to(made)
    return own


@pytest.fixture
def run_action(prepared: Path, tmp_path: Path) -> RunAction:
    """Run the action in a fresh workspace that holds what `make` puts there."""
    workspace = tmp_path / "workspace"
    workspace.mkdir()

    def run(make: Callable[[Path], object] = lambda _: None, **inputs: str) -> Job:
        make(workspace)
        for left in ("summary.md", *(f"output-{number}" for number in range(12))):
            (prepared / left).unlink(missing_ok=True)
        return Job(workspace, prepared).run(
            {name.replace("_", "-"): value for name, value in inputs.items()}
        )

    return run


def good(workspace: Path) -> None:
    shutil.copytree(ROOT / "good_packages" / "flit_src_getopt", workspace, dirs_exist_ok=True)


def bad(workspace: Path) -> None:
    source = ROOT / "bad_packages" / "FR101_setuptools_src"
    shutil.copytree(source, workspace, dirs_exist_ok=True)


def test_a_good_package_passes_and_its_wheel_is_reported(
    run_action: RunAction, module: Any
) -> None:
    job = run_action(good)
    assert job.status == 0, job.log
    assert job.outputs["passed"] == "true"
    assert job.outputs["failed-rules"] == ""
    report = json.loads(Path(job.outputs["report"]).read_text("utf-8"))
    assert report["passed"]
    wheel = Path(job.outputs["wheel"])
    assert wheel.is_file()
    assert wheel.name == report["candidates"][0]["wheel"]
    (artifact,) = job.used["actions/upload-artifact"]
    assert artifact["path"] == job.outputs["folder"]
    assert re.fullmatch(r"pytest-fractal-[\w.-]+-Linux-[0-9a-f]{6}", artifact["name"])
    assert {path.name for path in Path(artifact["path"]).iterdir()} == {
        *module.REPORTS,
        "junit.xml",
    }
    assert "Nuclei&#95;Tools 0.4 passes" in job.summary
    assert (Path(job.used["actions/cache"][0]["path"]) / "uv").is_dir()
    assert sorted(path.name for path in job.workspace.iterdir()) == sorted(
        path.name for path in (ROOT / "good_packages" / "flit_src_getopt").iterdir()
    )


def test_a_bad_package_fails_and_its_reports_are_kept_all_the_same(run_action: RunAction) -> None:
    job = run_action(bad, select="FR1")
    assert job.status == 1, job.log
    assert job.outputs["passed"] == "false"
    assert job.outputs["failed-rules"] == "FR101"
    assert Path(job.outputs["wheel"]).is_file()
    assert "package-data" in job.log
    (artifact,) = job.used["actions/upload-artifact"]
    assert (Path(artifact["path"]) / "report.json").is_file()
    assert "package-data" in job.summary
    assert re.search(r"^::error .*file=.*FR101", job.log, re.M)


def test_downloads_are_kept_by_what_the_project_requires(run_action: RunAction) -> None:
    """Another requirement is another key, with the same beginning to fall back on.

    That is decided before anything is judged, and no rule is called FR999.
    """

    def project(requires: str) -> Callable[[Path], object]:
        return lambda folder: (folder / "pyproject.toml").write_text(f"dependencies = {requires}")

    def cache(requires: str) -> dict[str, str]:
        return run_action(project(requires), select="FR999").used["actions/cache"][0]

    first = cache("[]")
    assert cache("[]") == first
    other = cache('["numpy"]')
    assert other["key"] != first["key"]
    assert other["restore-keys"] == first["restore-keys"]
    assert first["key"].startswith(first["restore-keys"])
    assert "py3.11" in first["key"]


def test_a_wheel_by_pattern_with_select_ignore_and_more_arguments(run_action: RunAction) -> None:
    job = run_action(
        lambda folder: make_wheel(folder / "dist"),
        package="dist/*.whl",
        select="FR0\nFR101, FR205",
        ignore="FR002,FR005",
        extra_args="-q '--deselect=a b' --fractal-timeout 60",
    )
    assert job.status == 0, job.log
    (wheel,) = (job.workspace / "dist").iterdir()
    assert job.outputs["wheel"] == str(wheel)
    report = json.loads(Path(job.outputs["report"]).read_text("utf-8"))
    verdicts = report["candidates"][0]["verdicts"]
    codes = {verdict["code"] for verdict in verdicts if verdict["outcome"] == "pass"}
    assert codes >= {"FR003", "FR004", "FR101", "FR205"}
    assert not codes & {"FR002", "FR005", "FR301"}


def test_warnings_fail_where_strict_is_true(run_action: RunAction) -> None:
    def undocumented(folder: Path) -> None:
        manifest = json.loads((OWN_TESTS / "tested_tasks" / MANIFEST).read_text("utf-8"))
        for task in manifest["task_list"]:
            task["docs_info"] = task["docs_link"] = None
        make_wheel(folder / "dist", changes={MANIFEST: json.dumps(manifest)})

    relaxed = run_action(undocumented, package="dist/*.whl", select="FR113")
    assert (relaxed.status, relaxed.outputs["failed-rules"]) == (0, "")
    strict = run_action(package="dist/*.whl", select="FR113", strict="true")
    assert (strict.status, strict.outputs["failed-rules"]) == (1, "FR113")


@pytest.mark.parametrize(
    ("package", "extras", "argument"),
    [
        (".", "gpu", ".[gpu]"),
        ("dist/x-1-py3-none-any.whl", "a,b", "dist/x-1-py3-none-any.whl[a,b]"),
        ("x-1-py3-none-any.whl", "a", "x-1-py3-none-any.whl[a]"),
        ("name==1.2", "a", "name[a]==1.2"),
        ("name >= 1, < 2", "a,b", "name[a,b] >= 1, < 2"),
        ("name", "a", "name[a]"),
    ],
)
def test_extras_stand_where_pip_would_write_them(
    module: Any, package: str, extras: str, argument: str
) -> None:
    assert module._with_extras(package, extras) == argument


@pytest.fixture(scope="module")
def module() -> Any:
    import importlib.util

    spec = importlib.util.spec_from_file_location(
        "fractal_action", ROOT / ".github" / "action" / "run.py"
    )
    assert spec is not None
    assert spec.loader is not None
    loaded_module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = loaded_module
    spec.loader.exec_module(loaded_module)
    return loaded_module


SHELL = f'"; touch {EVIL}; "$(touch {EVIL})`touch {EVIL}`'
"""Runs something where it is part of a script, without quotes or with double ones."""
QUOTED = f"'; touch {EVIL} #"
FORGED = f"x\ntouch {EVIL}\nfailed-rules=none"
ODD = "::error::x ünïcödé ☃ ${{ github.token }} $GITHUB_OUTPUT \x1b[2J"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("package", value) for value in (SHELL + QUOTED, FORGED, "--help", ODD)),
        ("package", "--fractal-ignore=FR1"),
        *((name, SHELL + QUOTED) for name in ("extras", "select", "ignore")),
        *((name, f"--help\n{SHELL}{QUOTED}") for name in ("extras", "pins")),
        ("version", "--help"),
        *((name, FORGED) for name in ("samples", "version")),
    ],
)
def test_a_hostile_input_is_refused_in_a_sentence(
    run_action: RunAction, name: str, value: str
) -> None:
    """It never runs, is never an option, and passes nothing."""
    job = run_action(good, **{name: value})
    assert job.status == 4, job.log
    assert job.outputs["passed"] == "false"
    assert job.outputs["failed-rules"] == ""
    assert "Traceback" not in job.log
    assert "pytest-fractal has judged nothing" in job.summary
    assert "::error title=pytest-fractal::" in job.log
    assert not [*job.workspace.rglob(EVIL), *job.temporary.rglob(EVIL)]


@pytest.mark.parametrize("value", [SHELL, QUOTED, FORGED, "-p no:fractal", "--help", ODD])
def test_hostile_arguments_run_nothing_and_do_not_pass(run_action: RunAction, value: str) -> None:
    """What is allowed here are arguments, but nothing judged is nothing passed."""
    job = run_action(good, package="nothing-here/", extra_args=value)
    assert job.status, job.log
    assert job.outputs["passed"] == "false"
    assert "Traceback" not in job.log
    assert "pytest-fractal has judged nothing" in job.summary
    assert not [*job.workspace.rglob(EVIL), *job.temporary.rglob(EVIL)]


@pytest.mark.parametrize("value", ["yes please", "1; touch pwned"])
def test_strict_is_true_or_false(run_action: RunAction, value: str) -> None:
    job = run_action(good, strict=value)
    assert job.status == 4
    assert "neither true nor false" in job.summary


def test_a_version_is_installed_in_place_of_this_ref(run_action: RunAction) -> None:
    job = run_action(good, version="0.0.1.dev999")
    assert job.status == 4
    assert "pip could not install pytest-fractal[server]==0.0.1.dev999" in job.summary
    assert "actions/upload-artifact" not in job.used


def test_an_output_cannot_be_forged_by_its_value(
    module: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "output"
    monkeypatch.setenv("GITHUB_OUTPUT", str(file))
    value = "a\npassed=true\npassed<<EOF\ntrue\nEOF\n"
    module._output(wheel=value, passed="false")
    assert read_outputs(file) == {"wheel": value, "passed": "false"}


def test_a_python_that_is_not_there_fails_before_anything_runs(tmp_path: Path) -> None:
    job = Job(tmp_path, tmp_path / "temporary", python=lambda _: None)
    job.run({"python-version": f"$(touch {EVIL})"})
    assert job.status == 1
    assert job.outputs["passed"] == "false"
    assert not list(tmp_path.rglob(EVIL))
