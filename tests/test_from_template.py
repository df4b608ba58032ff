"""A package that fractal-tasks-template has rendered goes from red to green by what is printed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).with_name("from_template") / "project"
SCRIPTS = Path(sys.executable).parent
TASKS = {"threshold_segmentation", "gaussian_blur", "region_props_features"}


class Author:
    """A new user in a package's folder, who types what the last run has printed."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self._env = os.environ | {
            "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": "80",
            **{f"GIT_{role}_NAME": "A. Author" for role in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{role}_EMAIL": "author@example.org" for role in ("AUTHOR", "COMMITTER")},
            "GIT_CEILING_DIRECTORIES": str(folder.parent),
        }
        self._home = home
        self.said = ""

    def types(self, line: str) -> int:
        """Run a command line; returns its status."""
        done = subprocess.run(
            line, shell=True, cwd=self.folder, env=self._env, capture_output=True, text=True
        )
        self.said = done.stdout + done.stderr
        return done.returncode

    def judges(self, *options: str) -> dict[tuple[str, str | None], dict[str, Any]]:
        """The verdicts, by code and task."""
        report = self._home / "report.json"
        self.types(" ".join(["pytest-fractal", *options, f"--fractal-report={report}"]))
        (candidate,) = json.loads(report.read_text())["candidates"]
        return {(verdict["code"], verdict["task"]): verdict for verdict in candidate["verdicts"]}

    def printed(self, start: str) -> list[str]:
        """The lines to type that the last run has printed, of those that start so."""
        return [found[0].strip() for found in re.finditer(rf"^ {{16}}{start}.*$", self.said, re.M)]


def outcomes(
    verdicts: dict[tuple[str, str | None], dict[str, Any]], code: str
) -> dict[str | None, str]:
    return {
        task: verdict["outcome"] for (known, task), verdict in verdicts.items() if known == code
    }


@pytest.mark.slow
def test_the_template_goes_from_red_to_green_by_commands_that_are_printed(tmp_path: Path) -> None:
    """And its tasks run on the sample data, without a sample that anybody has written."""
    shutil.copytree(PROJECT, tmp_path / "my-project")
    author = Author(tmp_path / "my-project", tmp_path)

    verdicts = author.judges("--fractal-select=FR0,FR1")
    assert outcomes(verdicts, "FR001") == {None: "fail"}
    commands = author.printed("git ")
    assert [line.split()[1] for line in commands] == ["init", "add", "commit", "tag"]
    for line in commands:
        assert author.types(line) == 0, author.said

    verdicts = author.judges("--fractal-select=FR0,FR1")
    assert outcomes(verdicts, "FR114") == dict.fromkeys(TASKS, "fail")
    (line,) = author.printed("uv run ")
    assert author.types(line) == 0, author.said

    verdicts = author.judges()
    assert {verdict["outcome"] for verdict in verdicts.values()} == {"pass", "skip"}, author.said
    for code in ("FR404", "FR405", "FR408"):
        assert outcomes(verdicts, code) == dict.fromkeys(TASKS, "pass")
    assert "fractal-server 2.x will collect it" in author.said
    last = author.said.splitlines()[-1]
    assert last == "next: pytest-fractal . --fractal-new-samples"

    assert author.types(last.removeprefix("next: ")) == 0, author.said
    assert {path.stem for path in (author.folder / "fractal_samples").iterdir()} == TASKS
    verdicts = author.judges("--fractal-select=FR208,FR4")
    assert outcomes(verdicts, "FR401") == dict.fromkeys(TASKS, "pass"), author.said
    assert {verdict["outcome"] for verdict in verdicts.values()} == {"pass", "skip"}, author.said
