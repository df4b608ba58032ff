"""Nothing of a candidate's is a command to the runner of a CI job that reads the log."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import pytest
from conftest import Runner
from wheel_factory import TASK_SOURCE, good_manifest, make_wheel

from pytest_fractal.pytest_plugin.job_log import without_commands

SAID = (
    "::error file=x::told\n"
    "   ::add-mask::fractal\n"
    "\t::stop-commands::x\n"
    "\u00a0\u3000::warning::told\n"
    "fine\r::notice::told\n"
    "##[error]told\n"
    "text ##[add-mask]fractal and ###[group]\n"
    "::set-output name=passed::true\n"
    "\x1b[31m::debug::told\n"
    "::::\n"
)
"""What a task, or any text of a package, may say."""


def commands(log: str) -> list[str]:
    """What GitHub's runner takes for commands.

    As its sources tell: in each line of a reader that ends lines at CR too, the second form
    anywhere, and the first one at the start of what is left without blanks.
    """
    lines = re.split(r"\r\n|\r|\n", log)
    return [line for line in lines if line.strip().startswith("::") or "##[" in line]


def test_no_command_is_left_of_a_text_however_it_is_cut() -> None:
    assert len(commands(SAID)) >= 8
    assert commands(without_commands(SAID)) == []
    text = "a\n ::error::b ###[x] \r::::c"
    for first, second in itertools.combinations(range(len(text) + 1), 2):
        printed = ""
        for part in (text[:first], text[first:second], text[second:]):
            line = re.split(r"[\r\n]", printed)[-1]
            printed += without_commands(part, line)
        assert commands(printed) == [], (first, second)


def test_what_is_no_command_stays_as_it_is() -> None:
    for text in (
        "pkg.whl::FR101[a::b]",
        "a::b",
        "## [x]",
        "#[x]",
        ": :",
        "::".join("abc"),
        "x\n:y",
    ):
        assert without_commands(text) == text


@pytest.fixture(scope="module")
def talking_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of two tasks that fail, and whose every text has commands in it."""
    manifest = good_manifest()
    (task,) = manifest["task_list"]
    task["name"] = "##[error]told ::error::told"
    task["docs_link"] = "no link\n::error::told"
    task["docs_info"] = 3
    other = json.loads(json.dumps(task)) | {"name": "\n::stop-commands::x\n"}
    manifest["task_list"].append(other)
    spoken = f"import os\nos.write(1, {SAID!r}.encode())\nos.write(2, {SAID!r}.encode())\n"
    source = TASK_SOURCE.replace("    options = parser", "    1 / 0\n    options = parser")
    return make_wheel(
        tmp_path_factory.mktemp("talking"),
        files={"__init__.py": "", "task.py": spoken + source.partition('"""\n')[2]},
        manifest=manifest,
    )


def test_without_a_runner_what_a_package_says_is_shown_as_it_is(
    runner: Runner, talking_wheel: Path
) -> None:
    """Else the next test would show nothing."""
    ran = runner.hermetic(talking_wheel, "-v", "-rA", "--fractal-select=FR1,FR301")
    assert ran.status == 1
    assert commands(ran.out)


@pytest.mark.parametrize(("detail", "workers"), [("-v", 0), ("-q", 0), ("-v", 2)])
def test_with_a_runner_only_findings_are_commands(
    runner: Runner, talking_wheel: Path, detail: str, workers: int
) -> None:
    ran = runner.hermetic(talking_wheel, detail, "-rA", "-n", str(workers), GITHUB_ACTIONS="true")
    assert ran.status == 1
    found = commands(ran.out)
    assert found
    for line in found:
        assert re.match(r"::(error|warning) [^:]*title=FR\d{3} [^:]*::", line), line
    assert commands(ran.err) == []


def test_an_argument_of_no_use_is_no_command_either(runner: Runner) -> None:
    ran = runner.hermetic("##[error]told", GITHUB_ACTIONS="true")
    assert ran.status == 4
    assert commands(ran.text) == []
    assert "## [error]told" in ran.err
