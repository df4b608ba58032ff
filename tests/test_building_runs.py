"""Whole runs on source trees that are odd, or built where things are odd."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import OWN_TESTS, ROOT, Runner
from projects import project

from pytest_fractal import Outcome, check_package
from pytest_fractal.environments.environments import create_bare
from pytest_fractal.environments.installers import UvInstaller
from pytest_fractal.environments.interpreters import find_interpreter

DEBIAN = Path("/usr/bin/python3")
BUILDS = "--fractal-select=FR001,FR006"


def test_a_warning_of_a_backend_is_no_concern_of_pytest(runner: Runner) -> None:
    """Neither an error, where the author's settings make errors of warnings, nor reported."""
    more = """
import warnings
warnings.warn("seen by nobody")
warnings.warn("nor this", DeprecationWarning)
"""
    tree = project(runner.folder / "tree", more=more)
    (runner.folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    ran = runner.pytest(f"--fractal-package={tree}", BUILDS)
    assert ran.status == 0, ran.text
    assert "2 passed" in ran.out
    assert "seen by nobody" not in ran.text
    assert "warnings summary" not in ran.out


def test_the_limit_of_a_build_is_an_option(runner: Runner) -> None:
    more = "import time\ndef build_wheel(*_): time.sleep(1000)"
    tree = project(runner.folder / "tree", more=more)
    ran = runner.pytest(f"--fractal-package={tree}", BUILDS, "--fractal-build-timeout=2")
    assert ran.status == 1, ran.text
    assert "build_wheel did not end within 2 s" in ran.words
    assert "--fractal-build-timeout=SECONDS" in ran.words
    (runner.folder / "pytest.ini").write_text("[pytest]\nfractal_build_timeout = 0\n")
    ran = runner.pytest(f"--fractal-package={tree}", BUILDS)
    assert ran.status == 4
    assert "a time limit of 0 s is of no use" in ran.err


@pytest.mark.parametrize(
    "content",
    [b"name = 'caf\xe9'", b"a = " + b"[" * 5000, b"[tool]\npixi = 5\n[[build-system]]"],
    ids=["latin-1", "brackets", "tables"],
)
def test_settings_that_cannot_be_read_are_a_verdict(tmp_path: Path, content: bytes) -> None:
    tree = project(tmp_path / "tree")
    (tree / "pyproject.toml").write_bytes(content)
    (candidate,) = check_package(tree).candidates
    outcomes = {verdict.code: verdict.outcome for verdict in candidate.verdicts}
    assert outcomes["FR001"] is Outcome.FAIL
    assert Outcome.ERROR not in outcomes.values()
    ((code, found),) = candidate.findings
    assert code == "FR001"
    assert "fix pyproject.toml: TOML in UTF-8" in found.hint


def test_an_odd_tree_is_judged(runner: Runner) -> None:
    tree = runner.folder / "a #1 50% so"
    shutil.copytree(OWN_TESTS, tree)
    (tree / ".git").write_bytes(b"\xff\xfe")
    (tree / "circle").symlink_to("circle")
    os.mkfifo(tree / "pipe")
    deep = tree
    for _ in range(600):
        deep /= "d"
        deep.mkdir()
    ran = runner.hermetic(tree, "--fractal-select=FR001,FR006,FR1")
    shutil.rmtree(tree / "d")
    assert ran.status == 0, ran.text
    assert " fail" not in ran.out


def test_a_tree_that_cannot_be_copied_is_an_error_and_no_verdict(runner: Runner) -> None:
    tree = project(runner.folder / "tree")
    here = Path.cwd()
    try:
        os.chdir(tree)
        for _ in range(25):
            os.mkdir("d" * 200)  # noqa: PTH102
            os.chdir("d" * 200)
    finally:
        os.chdir(here)
    ran = runner.hermetic(tree, BUILDS)
    assert ran.status == 1, ran.text
    assert "its folders lie too deep for the system's paths" in ran.words
    assert "1 error (FR001)" in ran.out
    assert ran.left == []


def test_a_disk_that_is_full_is_not_the_packages_fault(runner: Runner) -> None:
    tree = project(runner.folder / "tree")
    (tree / "demo" / "weights.bin").write_bytes(os.urandom(20_000_000))
    with mounted(runner.temporary, "size=30m"):
        ran = runner.hermetic(tree, BUILDS)
    assert ran.status == 1, ran.text
    assert "No space left on device" in ran.words
    assert "1 error (FR001)" in ran.out


def test_a_folder_that_runs_no_programs_is_not_the_packages_fault(runner: Runner) -> None:
    """Reported before anything is built: where an environment cannot work, no build can."""
    with mounted(runner.temporary, "noexec"):
        ran = runner.hermetic(project(runner.folder / "tree"), BUILDS)
    assert ran.status == 1, ran.text
    assert f"{runner.temporary}/pytest-fractal-" in ran.words
    assert "is on a file system that is mounted noexec" in ran.words
    assert "set TMPDIR to a folder elsewhere" in ran.words
    assert "1 error (FR001)" in ran.out


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """A file system of its own at a folder, on machines that let one be made."""
    argv: list[str | Path] = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
    if subprocess.run(argv, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_the_main_job_runs_on_the_first_releases_of_python_311(
    runner: Runner, tmp_path: Path
) -> None:
    """Such as Debian 12's, whose tarfile knows no filters."""
    old = "import sys; sys.exit(not (3, 11, 0) <= sys.version_info < (3, 11, 4))"
    if not DEBIAN.exists() or subprocess.run([DEBIAN, "-c", old]).returncode:
        pytest.skip("there is no such interpreter")
    environment = create_bare(tmp_path / "environment", find_interpreter(str(DEBIAN)))
    installed = UvInstaller().install(environment, [str(ROOT)])
    assert installed.returncode == 0, installed.stderr
    tree = f"--fractal-package={project(runner.folder / 'tree')}"
    ran = runner.command(environment.python, "-m", "pytest", BUILDS, tree)
    assert ran.status == 0, ran.text
    assert "2 passed" in ran.out
