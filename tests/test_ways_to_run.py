"""A package is judged however the tool was installed: by uv, pipx or pip, from nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from uv import find_uv_bin

PACKAGE = ROOT / "good_packages" / "hatchling_src_typer"
UV = find_uv_bin()
PYTHON = ("--python", sys.executable)

WAYS = {
    "uvx": [UV, "tool", "run", *PYTHON, "--from", str(ROOT), "pytest-fractal"],
    "uv run": [UV, "run", "--no-project", *PYTHON, "--with", str(ROOT), "pytest-fractal"],
    "uv tool install": ["{folder}/bin/pytest-fractal"],
    "pipx run": ["{folder}/venv/bin/pipx", "run", "--spec", str(ROOT), "pytest-fractal"],
    "pip install": ["{folder}/venv/bin/pytest-fractal"],
    "pytest": ["{folder}/venv/bin/pytest"],
}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_source_tree_is_judged_however_the_command_was_installed(
    tmp_path: Path, way: str
) -> None:
    """uv, for one, works in no folder inside its own cache, where uvx puts a tool."""
    env = os.environ | {
        "UV_TOOL_DIR": str(tmp_path / "tools"),
        "UV_TOOL_BIN_DIR": str(tmp_path / "bin"),
        "PIPX_HOME": str(tmp_path / "pipx"),
        "PIPX_DEFAULT_PYTHON": sys.executable,
    }
    if "{folder}/venv" in WAYS[way][0]:
        what = "pipx" if way == "pipx run" else str(ROOT)
        for command in (
            [UV, "venv", *PYTHON, "--seed", "venv"],
            ["venv/bin/python", "-m", "pip", "install", "-q", what],
        ):
            subprocess.run(command, cwd=tmp_path, env=env, check=True, capture_output=True)
    if way == "uv tool install":
        command = [UV, "tool", "install", *PYTHON, str(ROOT)]
        subprocess.run(command, cwd=tmp_path, env=env, check=True, capture_output=True)
    words = [word.format(folder=tmp_path) for word in WAYS[way]]
    package = f"--fractal-package={PACKAGE}" if way == "pytest" else str(PACKAGE)
    ran = subprocess.run(
        [*words, package, "--fractal-select=FR001,FR002,FR301"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "4 passed" in ran.stdout
