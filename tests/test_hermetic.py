"""The hermetic command: nothing of the folder that it is called in has a say."""

from __future__ import annotations

import os
import re
import shutil
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from conftest import MANIFEST, OWN_TESTS, Runner, make_wheel

from pytest_fractal.__main__ import _split

HOSTILE = {
    "pytest.ini": "[pytest]\naddopts = -k nothing --no-such-option\n",
    "conftest.py": "raise RuntimeError('conftest.py was read')\n",
    "tests/conftest.py": "def pytest_collection_modifyitems(items): items[:] = []\n",
    "interferes.py": "def pytest_collection_modifyitems(items): items[:] = []\n",
    "interferes-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: interferes\nVersion: 1.0\n",
    "interferes-1.0.dist-info/entry_points.txt": "[pytest11]\ninterferes = interferes\n",
} | {
    f"{name}.py": f"raise RuntimeError('{name}.py of the folder was imported')\n"
    for name in ("json", "pytest", "jsonschema", "tempfile", "pathlib", "sitecustomize")
}


@pytest.fixture
def hostile(runner: Runner) -> Path:
    """A source tree whose folder does what it can to make the suite pass or crash."""
    folder = runner.folder / "hostile"
    shutil.copytree(OWN_TESTS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name, content in HOSTILE.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
    return folder


@pytest.mark.parametrize("workers", [0, 2])
def test_a_hostile_folder_changes_nothing(
    runner: Runner, hostile: Path, good_wheel: Path, workers: int
) -> None:
    """`python -m` puts the folder first on the path, and its workers would do it again."""
    judged = (
        [good_wheel, "--fractal-select=FR1"]
        if workers
        else [".", "--fractal-select=FR0,FR1,FR301"]
    )
    ran = runner.command(
        sys.executable,
        "-m",
        "pytest_fractal",
        *judged,
        "-n",
        str(workers),
        cwd=hostile,
        PYTEST_ADDOPTS="-k nothing",
        PYTEST_PLUGINS="interferes",
    )
    assert ran.status == 0, ran.text
    assert re.search(r"= \d+ passed(, \d+ unchecked)? in", ran.out), ran.text
    assert "no tests ran" not in ran.out
    assert "pytest-fractal" not in " ".join(path.name for path in hostile.iterdir())
    assert ran.left == []


def test_an_installed_plugin_has_no_say(runner: Runner, hostile: Path, broken_wheel: Path) -> None:
    """It would switch everything off, as it does with plain pytest."""
    plugins = runner.folder / "plugins"
    plugins.mkdir()
    for name in HOSTILE:
        if name.startswith("interferes"):
            (plugins / name).parent.mkdir(exist_ok=True)
            shutil.copy(hostile / name, plugins / name)
    arguments = ["--fractal-select=FR101", "--no-header"]
    plain = runner.pytest(
        f"--fractal-package={broken_wheel}", *arguments, PYTHONPATH=path_with(plugins)
    )
    assert plain.status == 5, plain.text
    hermetic = runner.hermetic(broken_wheel, *arguments, PYTHONPATH=path_with(plugins))
    assert hermetic.status == 0, hermetic.text
    assert "1 passed" in hermetic.out


def path_with(folder: Path) -> str:
    """A `PYTHONPATH` with this folder in it."""
    return os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))


def test_a_failure_fails(runner: Runner) -> None:
    wheel = make_wheel(runner.folder, changes={MANIFEST: None})
    ran = runner.hermetic(wheel, "-k", "FR101 or FR102", "-q")
    assert ran.status == 1
    assert "1 fail (FR101), 1 blocked" in ran.out
    assert "warnings summary" not in ran.out
    assert "Traceback" not in ran.text


@pytest.mark.parametrize("package", ["dist/*.whl", "./dist/../dist/*.whl"])
def test_paths_start_at_the_current_folder(runner: Runner, good_wheel: Path, package: str) -> None:
    dist = runner.folder / "dist"
    dist.mkdir()
    shutil.copy(good_wheel, dist)
    ran = runner.hermetic(package, "--fractal-select", "FR101", "--fractal-report", "r.json")
    assert ran.status == 0, ran.text
    assert (runner.folder / "r.json").is_file()


def test_node_ids_and_several_packages_work(runner: Runner) -> None:
    for number in range(2):
        make_wheel(runner.folder, f"tasks_{number}")
    names = [f"tasks_{number}-1.0-py3-none-any.whl" for number in range(2)]
    ran = runner.hermetic(*names, f"{names[1]}::valid-meta[make_wells]", "-v")
    assert ran.status == 0, ran.text
    assert f"{names[1]}::valid-meta[make_wells] PASSED" in ran.out
    assert "1 passed" in ran.out


def test_usage_and_questions(runner: Runner) -> None:
    ran = runner.hermetic("--help")
    assert ran.status == 0
    assert "usage: pytest-fractal [PACKAGE ...]" in ran.text
    assert "--fractal-select" in ran.text
    reported = runner.hermetic("--version").out
    assert reported.startswith(f"pytest-fractal {version('pytest-fractal')} (pytest ")
    assert "FR301" in runner.hermetic("--fractal-rules").out
    assert "FR301 command-starts" in runner.hermetic("--fractal-explain", "FR301").out
    ran = runner.hermetic("no-such-folder/")
    assert (ran.status, ran.text.strip()) == (4, "ERROR: no-such-folder/: no such folder")


def test_without_a_package_it_is_the_current_folder(runner: Runner) -> None:
    ran = runner.hermetic("-q")
    assert ran.status == 4
    assert ran.text.startswith("ERROR: .: this folder is no Python project")


@pytest.mark.parametrize(
    ("words", "packages"),
    [
        (["--log-file", "x", "."], ["."]),
        (["-qk", "command-starts", "."], ["."]),
        (["-kx", "."], ["."]),
        (["-n", "2", "a", "--tb", "no", "b"], ["a", "b"]),
        (["--fractal-select", "FR1", "dist/x.whl"], ["dist/x.whl"]),
        (["--fractal-server", "."], ["."]),
        (["--fractal-find-pins", "."], ["."]),
        (["--fractal-fix", "."], ["."]),
        (["-q", ".", "-k"], ["."]),
        (["--maxfail", "1", ".", "--fractal-keep"], ["."]),
        ([".", "x.whl::has-docs[blur]"], ["."]),
    ],
)
def test_pytests_own_parser_says_which_words_are_packages(
    words: list[str], packages: list[str]
) -> None:
    found, others = _split(words)
    assert found == packages
    assert [word for word in words if word not in packages] == [
        word.removesuffix("=").removesuffix("=apply") for word in others
    ]
