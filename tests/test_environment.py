"""`--fractal-environment`: a package is judged as it is installed where somebody else put it."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from conftest import OWN_TESTS, Runner

from pytest_fractal import BadInput, Outcome, check_package

NAME = "tested-tasks"


def environment(folder: Path, *packages: str | Path) -> Path:
    for command in (
        ["venv", "-q", "--python", sys.executable, str(folder)],
        ["pip", "install", "-q", "--python", str(folder / "bin/python"), *map(str, packages)],
    ):
        subprocess.run([sys.executable, "-m", "uv", *command], check=True)
    return folder


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, good_wheel: Path) -> Path:
    """An environment with a good package in it."""
    return environment(tmp_path_factory.mktemp("installed") / "env", good_wheel)


def listing(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): path.lstat().st_ctime_ns
        for path in sorted(folder.rglob("*"))
    }


def test_it_is_judged_as_it_is_installed_and_nothing_is_written(
    runner: Runner, installed: Path
) -> None:
    before = listing(installed)
    samples = OWN_TESTS / "fractal_samples"
    ran = runner.pytest(
        f"--fractal-package={NAME}==1.0",
        f"--fractal-environment={installed}",
        f"--fractal-samples={samples}",
        "--fractal-report=report.json",
        "-rs",
    )
    assert ran.status == 0, ran.text
    assert listing(installed) == before
    (candidate,) = json.loads((runner.folder / "report.json").read_text())["candidates"]
    skipped = {
        verdict["code"]: verdict["reason"]
        for verdict in candidate["verdicts"]
        if verdict["outcome"] == "skip" and verdict["task"] is None
    }
    assert skipped == {
        "FR001": f"nothing is built: it is judged as it is installed in {installed}",
        "FR002": f"nothing is installed: it is judged as it is in {installed}",
        "FR006": f"nothing is built: it is judged as it is installed in {installed}",
        "FR210": "the package brings nothing that generates its manifest",
    }
    assert (candidate["name"], candidate["version"], candidate["wheel"]) == (
        "tested_tasks",
        "1.0",
        None,
    )
    judged = {verdict["code"] for verdict in candidate["verdicts"] if verdict["outcome"] == "pass"}
    assert {"FR003", "FR005", "FR101", "FR110", "FR206", "FR301", "FR302", "FR401"} <= judged
    for task in candidate["tasks"]:
        assert task["command"][0] == str(installed / "bin" / "python")


def test_what_is_broken_there_is_reported(tmp_path: Path, broken_wheel: Path) -> None:
    folder = environment(tmp_path / "env", broken_wheel)
    (report,) = check_package(NAME, environment=folder, select=["FR1", "FR3"], jobs=1).candidates
    assert {(code, found.task) for code, found in report.findings} == {("FR301", "invert_well")}


def test_a_source_tree_is_looked_up_by_its_projects_name(installed: Path) -> None:
    (report,) = check_package(OWN_TESTS, environment=installed, jobs=1).candidates
    assert report.findings == ()
    runs = {verdict.outcome for verdict in report.verdicts if verdict.code == "FR401"}
    assert Outcome.PASS in runs, "its samples are run"


def test_an_editable_installation_is_judged_where_it_lies(tmp_path: Path) -> None:
    """As pixi installs the project itself."""
    tree = tmp_path / "tree"
    shutil.copytree(OWN_TESTS, tree, ignore=shutil.ignore_patterns("__pycache__"))
    folder = environment(tmp_path / "env", "-e", tree)
    script = tree / "tested_tasks" / "invert_well.py"
    script.write_text(f"import not_there\n{script.read_text()}")
    (report,) = check_package(tree, environment=folder, select=["FR1", "FR3"], jobs=1).candidates
    assert {(code, found.task) for code, found in report.findings} == {("FR301", "invert_well")}
    assert [task.command[1] for task in report.tasks] == [
        str(tree / "tested_tasks" / name) for name in ("make_wells.py", "invert_well.py")
    ]
    assert not list(tree.rglob("__pycache__"))


@pytest.mark.parametrize(
    ("package", "message"),
    [
        (
            "tested_task",
            "tested_task is not among the 1 packages that are installed in this "
            "environment; did you mean tested-tasks?",
        ),
        ("tested-tasks==2.0", "it has tested-tasks 1.0, not tested-tasks==2.0"),
        ("tested-tasks>1.0,<3", "it has tested-tasks 1.0, not tested-tasks<3,>1.0"),
    ],
)
def test_what_is_not_installed_is_reported(installed: Path, package: str, message: str) -> None:
    with pytest.raises(BadInput) as reported:
        check_package(package, environment=installed)
    assert str(reported.value) == f"{installed}: {message}"


def test_what_is_no_environment_is_reported_in_a_sentence(
    pytester: pytest.Pytester, installed: Path, good_wheel: Path
) -> None:
    (pytester.path / "empty" / ".pixi" / "envs" / "default" / "bin").mkdir(parents=True)
    (pytester.path / "nothing").mkdir()
    python = pytester.path / "empty" / ".pixi" / "envs" / "default" / "bin" / "python"
    python.write_text("#!/bin/sh\nexit 3\n")
    python.chmod(0o755)
    nameless = pytester.path / "nameless"
    nameless.mkdir()
    (nameless / "setup.py").write_text("from setuptools import setup\nsetup(name='x' * 2)\n")
    for package, options, message in (
        (NAME, ["nowhere"], "nowhere: no such folder"),
        (NAME, ["nothing"], "nothing: no environment, for it has no bin/python"),
        (NAME, ["empty"], "no bin/python; there is one in"),
        (NAME, [str(python.parents[1])], "does not run as a Python interpreter: exit status 3"),
        (str(good_wheel), [str(installed)], "a wheel gets an environment of its own"),
        (str(nameless), [str(installed)], "give it: --fractal-package=NAME"),
        (
            NAME,
            [str(installed), "--fractal-python=3.11"],
            "--fractal-environment and --fractal-python exclude each other",
        ),
        (
            NAME,
            [str(installed), "--fractal-pin=numpy==1.0"],
            "--fractal-environment and --fractal-pin exclude each other",
        ),
    ):
        ran = pytester.runpytest_inprocess(
            f"--fractal-package={package}", f"--fractal-environment={options[0]}", *options[1:]
        )
        assert ran.ret == 4, options
        text = ran.stdout.str() + ran.stderr.str()
        assert message in " ".join(text.split()), text
        assert "Traceback" not in text


def test_the_ini_file_can_name_it(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, installed: Path
) -> None:
    (pytester.path / "env").symlink_to(installed)
    ini = pytester.makeini("[pytest]\nfractal_environment = env\n")
    inner = pytester.mkdir("inner")
    monkeypatch.chdir(inner)
    pytester.runpytest_inprocess(
        f"--fractal-package={NAME}",
        "--fractal-select=FR301",
        f"--rootdir={pytester.path}",
        "-c",
        str(ini),
    ).assert_outcomes(passed=2)


PIXI = """
[build-system]
requires = ["flit_core >=3.9,<4"]
build-backend = "flit_core.buildapi"

[project]
name = "tested-tasks"
version = "1.0"
description = "Installed by pixi"
dependencies = ["pytest-fractal-not-on-any-index"]
"""


@pytest.fixture
def pixi_tree(tmp_path: Path) -> Path:
    """A project that needs what only pixi would find."""
    tree = tmp_path / "pixi"
    shutil.copytree(OWN_TESTS, tree, ignore=shutil.ignore_patterns("__pycache__"))
    (tree / "pyproject.toml").write_text(PIXI)
    return tree


@pytest.mark.usefixtures("any_environment")
def test_a_package_that_only_pixi_installs_is_passed_over_with_the_way_out(
    pixi_tree: Path,
) -> None:
    (pixi_tree / "pyproject.toml").write_text(f"{PIXI}\n[tool.pixi.workspace]\nchannels = []\n")
    (report,) = check_package(pixi_tree, jobs=1).candidates
    assert [code for code, _ in report.findings] == []
    reasons = {verdict.code: verdict.reason for verdict in report.verdicts}
    for code in ("FR002", "FR005", "FR301", "FR302", "FR401"):
        assert reasons[code] is not None
        assert "installs only through pixi" in str(reasons[code])
        assert "--fractal-environment=" in str(reasons[code])
    passed = {verdict.code for verdict in report.verdicts if verdict.outcome is Outcome.PASS}
    assert {"FR001", "FR101", "FR106", "FR110", "FR202", "FR206"} <= passed


@pytest.mark.usefixtures("any_environment")
def test_a_file_of_pixis_own_tells_the_same(pixi_tree: Path) -> None:
    (pixi_tree / "pixi.toml").write_text("[workspace]\nchannels = []\n")
    (report,) = check_package(pixi_tree, select=["FR002"]).candidates
    (verdict,) = report.verdicts
    assert (verdict.code, verdict.outcome) == ("FR002", Outcome.SKIP)
    assert "installs only through pixi" in str(verdict.reason)
    assert "--fractal-environment=" in str(verdict.reason)


@pytest.mark.parametrize(
    ("table", "module", "fails"),
    [
        ("[tool.pixi.dependencies]\nilastik-core = '*'\n", "ilastik", False),
        ("[tool.pixi.feature.gpu.pypi-dependencies]\nx = '*'\n", "ilastik", False),
        ("[tool.pixi.dependencies]\nilastik-core = '*'\n", "tested_tasks.lost", True),
        ("[tool.pixi.dependencies]\npython = '3.11.*'\n", "ilastik", True),
        ("[tool.pixi.workspace]\nchannels = []\n", "ilastik", True),
    ],
)
@pytest.mark.usefixtures("any_environment")
def test_a_module_that_pixi_may_bring_is_not_checked(
    pixi_tree: Path, table: str, module: str, fails: bool
) -> None:
    """But one of the package's own is missing there too."""
    project = PIXI.replace('"pytest-fractal-not-on-any-index"', "")
    (pixi_tree / "pyproject.toml").write_text(f"{project}\n{table}")
    script = pixi_tree / "tested_tasks" / "invert_well.py"
    script.write_text(f"import {module}\n{script.read_text()}")
    (report,) = check_package(pixi_tree, select=["FR301", "FR401"], jobs=2).candidates
    broken = {(code, found.task) for code, found in report.findings}
    assert broken == ({("FR301", "invert_well")} if fails else set())
    (verdict,) = (
        verdict
        for verdict in report.verdicts
        if (verdict.code, verdict.task) == ("FR301", "invert_well")
    )
    assert fails or "--fractal-environment=" in str(verdict.reason)


@pytest.mark.usefixtures("any_environment")
def test_without_pixi_the_same_package_fails(pixi_tree: Path) -> None:
    (report,) = check_package(pixi_tree, select=["FR002"], jobs=1).candidates
    assert [code for code, _ in report.findings] == ["FR002"]


def test_a_release_for_pixi_names_the_way_out(pytester: pytest.Pytester) -> None:
    text = b"[tool.pixi.workspace]\nchannels = []\n"
    with tarfile.open(pytester.path / "my_tasks-1.0.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo("my_tasks-1.0/pyproject.toml")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text))
    ran = pytester.runpytest_inprocess("--fractal-package=my_tasks-1.0.tar.gz")
    assert ran.ret == 4
    reported = ran.stdout.str() + ran.stderr.str()
    assert "a release for pixi" in reported
    assert "--fractal-environment=FOLDER/.pixi/envs/default" in reported
