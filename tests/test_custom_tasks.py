"""Single tasks outside any package: `--fractal-task=FILE`."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Runner

from pytest_fractal.generations import VERSION_1

PAGE = """\
import argparse
import json


def my_task_function(
    # Reserved Fractal arguments
    input_paths,
    output_path,
    metadata,{component}
    # Task-specific arguments
    argument_A,
    argument_B="default_B_value",
):
    print("Here we go, we are in `my_task_function`")
    with open(f"{{output_path}}/output.txt", "w") as f:
        f.write(f"argument_A={{argument_A}}\\n")
        f.write(f"argument_B={{argument_B}}\\n")
    output_metadata_update = {update}
    return output_metadata_update


def run_fractal_task(*, task_function):
    parser = argparse.ArgumentParser()
    parser.add_argument("-j", "--json", required=True)
    parser.add_argument("--metadata-out", required=True)
    options = parser.parse_args()
    with open(options.json) as file:
        arguments = json.load(file)
    output = task_function(**arguments)
    with open(options.metadata_out, "w") as file:
        json.dump(output, file)


if __name__ == "__main__":
    run_fractal_task(task_function=my_task_function)
"""
"""The full example of the page, with a helper of its author's in place of the library's."""


def entry(command: object, **changes: Any) -> dict[str, Any]:
    """The metadata attributes of the page's example, changed; None leaves one out."""
    whole = {
        "name": "My Task",
        "command": command,
        "input_type": "Any",
        "output_type": "Any",
        "source": "my_custom_task",
        "meta": {},
        **changes,
    }
    return {key: value for key, value in whole.items() if value is not None}


def write_task(
    folder: Path, described: object, name: str = "my_task.json", **samples: Any
) -> None:
    """Describe a task in a file, with samples in `fractal_samples/` beside it."""
    text = described if isinstance(described, str) else json.dumps(described, indent=1)
    (folder / name).write_text(text)
    (folder / "fractal_samples").mkdir(exist_ok=True)
    for sample, content in samples.items():
        (folder / "fractal_samples" / f"{sample}.json").write_text(json.dumps(content))


def page(folder: Path, component: str = "", update: str = '{"nothing": "to add"}') -> Path:
    script = folder / "my_task.py"
    script.write_text(PAGE.format(component=component, update=update))
    return script


ONE = {"task": "My Task", "args": {"argument_A": 1}}
STRICT = ("--fractal-task=my_task.json", "--fractal-strict", "-v")


@pytest.fixture(autouse=True)
def without_settings(pytester: pytest.Pytester) -> None:
    """So that none above are found."""
    pytester.makeini("[pytest]\n")


def judge(pytester: pytest.Pytester, *options: str) -> tuple[pytest.RunResult, dict[str, Any]]:
    """Run strictly in this process, with a report; returns it too."""
    ran = pytester.runpytest_inprocess(*(options or STRICT), "--fractal-report=report.json")
    (candidate,) = json.loads((pytester.path / "report.json").read_text())["candidates"]
    return ran, candidate


@pytest.mark.parametrize("kind", ["non-parallel", "parallel"])
def test_the_pages_full_example_is_all_green(pytester: pytest.Pytester, kind: str) -> None:
    """With `component` too; named by the default folder beside the file, and strictly."""
    parallel = kind == "parallel"
    script = page(
        pytester.path, "\n    component," if parallel else "", "{}" if parallel else "dict(a=1)"
    )
    meta = {"parallelization_level": "something"} if parallel else {}
    more = {"component": "plate.zarr/B/03/0"} if parallel else {}
    refused = {"task": "my_task", "args": {"wrong": 1}, "expect": "failure", **more}
    write_task(
        pytester.path, entry(f"python3 {script}", meta=meta), one={**ONE, **more}, two=refused
    )
    ran, candidate = judge(pytester)
    assert ran.ret == 0, ran.stdout.str()
    assert candidate["summary"] | {"pass": 0, "not-checked": 0} == dict.fromkeys(
        candidate["summary"], 0
    )
    assert (candidate["name"], candidate["version"], candidate["generation"]) == (
        "my_task.json",
        None,
        "1",
    )
    (task,) = candidate["tasks"]
    assert task == {
        "name": "My Task",
        "slug": "my_task",
        "command": ["python3", str(script)],
        "commands": {"command": ["python3", str(script)]},
        "source": "my_custom_task",
        "kind": "parallel" if parallel else "non_parallel",
    }
    passed = {verdict["code"] for verdict in candidate["verdicts"] if verdict["outcome"] == "pass"}
    assert passed >= {
        "FR106",
        "FR107",
        "FR109",
        "FR111",
        "FR112",
        "FR301",
        "FR302",
        "FR303",
        "FR304",
        "FR400",
        "FR401",
        "FR405",
        "FR406",
        "FR407",
    }
    judged = {verdict["code"] for verdict in candidate["verdicts"]}
    assert not judged & {
        "FR001",
        "FR002",
        "FR003",
        "FR004",
        "FR101",
        "FR105",
        "FR110",
        "FR113",
        "FR201",
        "FR206",
    }
    assert {run["sample"] for run in candidate["runs"]} == {None, "one", "two"}
    assert "my_task.json::sample-succeeds[my_task-one] PASSED" in ran.stdout.str()
    assert "installing" not in ran.stdout.str()


def test_the_pages_parallel_task_is_warned_of_the_keys_that_it_returns(
    pytester: pytest.Pytester,
) -> None:
    """Word for word it returns a key, with which the server overwrites the dataset's own."""
    script = page(pytester.path, "\n    component,")
    meta = {"parallelization_level": "something"}
    sample = {**ONE, "metadata": {"something": ["a", "b"]}}
    write_task(pytester.path, entry(f"python3 {script}", meta=meta), one=sample)
    ran, candidate = judge(pytester, "--fractal-task=my_task.json")
    assert ran.ret == 0, ran.stdout.str()
    warned = [
        verdict["code"]
        for verdict in candidate["verdicts"]
        if verdict["outcome"] != "skip" and verdict["outcome"] != "pass"
    ]
    assert warned == ["FR404"]


BASH = """#!/bin/bash
set -eu
[ "$1" = -j ] && [ "$3" = --metadata-out ]
grep -q '"argument_A": 1' "$2" || { echo "argument_A must be 1" >&2; exit 3; }
! grep -q '"pytest_fractal\\|not JSON' "$2" || { echo "unknown argument or no JSON" >&2; exit 4; }
echo '{"by": "bash"}' > "$4"
"""

C = r"""
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv) {
    static char text[65536];
    FILE *in, *out;
    if (argc != 5 || strcmp(argv[1], "-j") || strcmp(argv[3], "--metadata-out")) return 2;
    if (!(in = fopen(argv[2], "r"))) return 3;
    fread(text, 1, sizeof text - 1, in);
    if (!strstr(text, "\"argument_A\"") || strstr(text, "unknown")) {
        fputs("argument_A is missing, or there is an unknown one\n", stderr);
        return 4;
    }
    if (!(out = fopen(argv[4], "w"))) return 5;
    fputs("{\"by\": \"C\"}", out);
    return fclose(out) != 0;
}
"""


def command_of(folder: Path, way: str) -> str:
    """A command of each form that the page names."""
    script = page(folder)
    match way:
        case "python3":
            return f"python3 {script}"
        case "absolute interpreter":
            return shlex.join([os.path.realpath(sys.executable), str(script)])
        case "a folder with blanks":
            (folder / "my tasks").mkdir()
            return f'python3 "{script.rename(folder / "my tasks" / "my task.py")}"'
        case "executable script":
            script.write_text(f"#!{os.path.realpath(sys.executable)}\n{script.read_text()}")
            script.chmod(0o755)
            return str(script)
        case "bash":
            script = folder / "task.sh"
            script.write_text(BASH)
            script.chmod(0o755)
            return str(script)
    if (compiler := shutil.which("cc")) is None:
        pytest.skip("there is no C compiler")
    (folder / "task.c").write_text(C)
    assert (
        os.spawnv(os.P_WAIT, compiler, [compiler, "-o", f"{folder}/task", f"{folder}/task.c"]) == 0
    )
    return f"{folder}/task"


@pytest.mark.parametrize(
    "way",
    ["python3", "absolute interpreter", "a folder with blanks", "executable script", "bash", "C"],
)
def test_any_executable_command_will_do(pytester: pytest.Pytester, way: str) -> None:
    write_task(pytester.path, entry(command_of(pytester.path, way)), one=ONE)
    ran, candidate = judge(pytester)
    assert ran.ret == 0, ran.stdout.str()
    assert candidate["summary"]["fail"] == candidate["summary"]["warn"] == 0


@pytest.mark.parametrize(
    ("command", "code", "reported"),
    [
        ("no-such-program-here", "FR301", "No such file or directory: 'no-such-program-here'"),
        ("/not/there/my_task.py", "FR301", "No such file or directory"),
        ("{folder}/my_task.py", "FR301", "Permission denied"),
        ("python3 /not/there/my_task.py", "FR301", "can't open file '/not/there/my_task.py'"),
        ("python3 '{folder}/my_task.py", "FR106", "no closing quotation"),
        ("python3 {folder}/my_task.py\\", "FR106", "no escaped character"),
        ("", "FR106", "a command that is not blank"),
        (" ", "FR106", "a command that is not blank"),
        (5, "FR106", "No such file"),
        (None, "FR106", "is missing"),
        (["python3"], "FR106", "a string"),
    ],
)
def test_a_command_that_cannot_be_started_is_reported_and_blocks_the_rest(
    pytester: pytest.Pytester, command: Any, code: str, reported: str
) -> None:
    script = page(pytester.path)
    script.chmod(0o644)
    if isinstance(command, str):
        command = command.replace("{folder}", str(pytester.path))
    if command == 5:
        code = "FR301"  # numbers become text, and then there is no program `5`
    write_task(pytester.path, entry(command), one=ONE)
    ran, candidate = judge(pytester)
    assert ran.ret == 1, ran.stdout.str()
    failed = {
        verdict["code"]: verdict
        for verdict in candidate["verdicts"]
        if verdict["outcome"] == "fail"
    }
    assert set(failed) == {code}
    assert candidate["summary"]["error"] == 0
    (found,) = failed[code]["findings"]
    assert reported in " ".join((found["expected"], found["found"])), found
    outcomes = {verdict["code"]: verdict["outcome"] for verdict in candidate["verdicts"]}
    assert outcomes["FR302"] == outcomes["FR401"] == "blocked"
    if code == "FR106":
        assert candidate["runs"] == []


def test_fields_are_judged_with_pointer_and_line(pytester: pytest.Pytester) -> None:
    """All breaches at once; an unknown key warns, with the one that is meant."""
    script = page(pytester.path)
    bad = entry(f"python3 {script}", name=" ", source=None, input_type=5.5, meta=[1])
    good = entry(f"python3 {script}", name="Good", comand="x", output_type="ANY", source="s")
    write_task(pytester.path, [good, bad, "text"])
    ran, candidate = judge(pytester)
    assert ran.ret == 1
    places = {
        (verdict["code"], found["pointer"], found["line"])
        for verdict in candidate["verdicts"]
        for found in verdict["findings"]
    }
    lines = (pytester.path / "my_task.json").read_text().splitlines()
    name = next(at for at, line in enumerate(lines, 1) if '"name": " "' in line)
    unknown = next(at for at, line in enumerate(lines, 1) if '"comand"' in line)
    assert {
        ("FR106", "/1/name", name),
        ("FR106", "/1/source", name - 1),
        ("FR107", "/0/comand", unknown),
    } <= places
    assert any(code == "FR106" and where == "/2" for code, where, _ in places)
    assert "`command`" in ran.stdout.str() or "command" in ran.stdout.str()


@pytest.mark.parametrize(
    ("text", "status", "reported"),
    [
        ("{,}", 4, "my_task.json:1: it is not JSON"),
        ('{\n"name": "a",\n"name": "b"}', 4, 'my_task.json:3: the key "name" stands here again'),
        ("5", 4, "a task is described by an object"),
        ("[]", 4, "a task is described by an object"),
        ("", 4, "my_task.json:1: it is not JSON"),
    ],
)
def test_a_file_that_describes_no_task_is_refused(
    pytester: pytest.Pytester, text: str, status: int, reported: str
) -> None:
    write_task(pytester.path, text)
    ran = pytester.runpytest_inprocess("--fractal-task=my_task.json")
    assert ran.ret == status, ran.stdout.str()
    assert reported in ran.stderr.str()
    assert len(ran.stderr.str().strip().splitlines()) == 1


def test_several_files_share_a_folder_of_samples(
    runner: Runner, pytester: pytest.Pytester
) -> None:
    """Each takes its own; a sample of none breaks FR400. The ini twin, `-n 2` and pasted ids."""
    script = page(pytester.path)
    write_task(pytester.path, entry(f"python3 {script}"), "my_task.json", one=ONE)
    other = entry(f"python3 {script}", name="Other", source="other")
    third = entry(f"python3 {script}", name="Third", source="third")
    steps = [{**ONE, "task": "Other"}, {**ONE, "task": "third"}]
    write_task(pytester.path, [other, third], "others.json", chain={"steps": steps})
    (pytester.path / "pytest.ini").write_text(
        "[pytest]\nfractal_task =\n    my_task.json\n    others.json\n"
    )
    ran = runner.pytest("-v", "-n", "2", "--fractal-select=FR401", cwd=pytester.path)
    assert ran.status == 0, ran.text
    for node in (
        "my_task.json::sample-succeeds[my_task-one]",
        "others.json::sample-succeeds[other-chain.1]",
        "others.json::sample-succeeds[third-chain.2]",
    ):
        assert f"PASSED {node}" in ran.out
    assert "3 passed" in ran.out
    one = pytester.runpytest_inprocess(
        "--fractal-task=others.json", "--fractal-samples=fractal_samples"
    )
    assert one.ret == 1, one.stdout.str()
    reported = " ".join(one.stdout.str().split())
    assert 'error[FR400] sample-is-usable: "My Task" --> fractal_samples/one.json:1' in reported
    assert "expected: the name of a task fix: write one of: other, third" in reported
    pasted = pytester.runpytest_inprocess(
        "--fractal-task=my_task.json",
        "--fractal-task=others.json",
        "others.json::sample-succeeds[third-chain.2]",
    )
    assert "1 passed" in pasted.stdout.str()


def test_the_hermetic_command_takes_tasks(runner: Runner) -> None:
    write_task(runner.folder, entry(f"python3 {page(runner.folder)}"), one=ONE)
    ran = runner.hermetic("--fractal-task=my_task.json", "--fractal-select=FR401")
    assert ran.status == 0, ran.text
    assert ran.left == []
    assert "1 passed" in ran.out


def test_the_fixtures_work_for_them(pytester: pytest.Pytester) -> None:
    """`fractal_samples` as the author wrote them; `component=` by name."""
    script = page(pytester.path, "\n    component,", '{"component": component}')
    meta = {"parallelization_level": "well"}
    write_task(
        pytester.path, entry(f"python3 {script}", meta=meta), one={**ONE, "component": "w/1"}
    )
    (pytester.path / "test_own.py").write_text(
        """
import pytest

SAMPLES = {"small": {"argument_A": 1}, "large": {"argument_A": 1000, "argument_B": "b"}}

def test_what_is_there(fractal_samples, fractal_package):
    (sample,) = fractal_samples
    assert (sample.name, sample.task.name, sample.args) == ("one", "My Task", {"argument_A": 1})
    assert (sample.expect, sample.reserved) == ("success", {"component": "w/1"})
    with pytest.raises(Exception, match="have no wheel"):
        fractal_package.wheel

@pytest.mark.parametrize("name", SAMPLES)
def test_sample(run_fractal_task, name, tmp_path):
    run = run_fractal_task("My Task", SAMPLES[name], component="w/2", output_path=str(tmp_path))
    assert run.returncode == 0, run.stderr
    assert run.metadata == {"component": "w/2"}
    assert f"argument_A={SAMPLES[name]['argument_A']}" in (tmp_path / "output.txt").read_text()
"""
    )
    ran = pytester.runpytest_inprocess(
        "test_own.py", "--fractal-task=my_task.json", "-m", "not fractal"
    )
    assert ran.ret == 0, ran.stdout.str()
    assert "3 passed" in ran.stdout.str()


@pytest.mark.parametrize("command", ["python3 my_task.py", "python3 ./my_task.py", "./my_task.py"])
def test_a_relative_path_is_reported_with_the_absolute_one(
    pytester: pytest.Pytester, command: str
) -> None:
    """A command runs in a folder of its own; one start shows that the file is not found."""
    script = page(pytester.path)
    write_task(pytester.path, entry(command))
    ran, candidate = judge(pytester, "--fractal-task=my_task.json", "--fractal-select=FR3")
    (broken,) = [verdict for verdict in candidate["verdicts"] if verdict["outcome"] == "fail"]
    (found,) = broken["findings"]
    assert (broken["code"], len(candidate["runs"])) == ("FR301", 1), ran.stdout.str()
    fixed = found["hint"].partition('"command": ')[2]
    assert str(script) in os.path.normpath(json.loads(fixed).split()[-1])
    if command.startswith("python3"):
        write_task(pytester.path, entry(json.loads(fixed)))
        assert (
            pytester.runpytest_inprocess("--fractal-task=my_task.json", "--fractal-select=FR3").ret
            == 0
        )


def test_a_relative_path_that_the_command_finds_is_nobodys_business(
    pytester: pytest.Pytester,
) -> None:
    """A word may be called like a file beside the description, and be no path at all."""
    script = page(pytester.path)
    (pytester.path / "fast").write_text("")
    script.write_text(
        script.read_text().replace(
            'parser.add_argument("-j"',
            ('parser.add_argument("mode")\n    parser.add_argument("-j"'),
        )
    )
    write_task(pytester.path, entry(f"python3 {script} fast"))
    ran = pytester.runpytest_inprocess("--fractal-task=my_task.json", "--fractal-select=FR3")
    assert ran.ret == 0, ran.stdout.str()


def test_the_fix_of_a_script_for_a_description_says_what_to_write(
    pytester: pytest.Pytester,
) -> None:
    script = page(pytester.path)
    ran = pytester.runpytest_inprocess("--fractal-task=my_task.py")
    assert (ran.ret, "Traceback" in ran.stderr.str() + ran.stdout.str()) == (4, False)
    written = ran.stderr.str().split("write my_task.json with ")[1].split(" and give ")[0]
    described = json.loads(written)
    assert set(described) == {"name", "command", "input_type", "output_type", "source", "meta"}
    write_task(pytester.path, described)
    assert str(script) in described["command"]
    ran = pytester.runpytest_inprocess("--fractal-task=my_task.json", "--fractal-select=FR1,FR3")
    assert ran.ret == 0, ran.stdout.str()


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        ({}, []),
        ({"version": None}, ["version"]),
        ({"args_schema_version": None}, ["args_schema_version"]),
        ({"version": "1", "args_schema": None, "docs_info": None, "docs_link": None}, []),
        ({"version": ""}, ["version"]),
        ({"__pydantic_self__": 1}, ["__pydantic_self__"]),
        ({"self": 1}, []),
    ],
)
def test_null_is_refused_where_the_server_refuses_it(
    changes: dict[str, object], keys: list[str]
) -> None:
    """As `POST /api/v1/task/` of 1.4.10 answered."""
    faults = VERSION_1.custom_faults({**entry("python3 task.py"), **changes})
    assert [fault.keys for fault in faults] == [(key,) for key in keys]
