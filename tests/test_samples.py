"""Samples: reading them, every misuse of them, and arguments made from a schema."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Runner
from wheel_factory import candidate_of, good_manifest, make_wheel, verdicts

from pytest_fractal import check_package
from pytest_fractal.report.json_file import render
from pytest_fractal.samples.generated import make_arguments
from pytest_fractal.verdicts import Outcome

pytestmark = pytest.mark.usefixtures("any_environment")

TASK = '''\
"""Writes down what it is given, and answers with its argument `answer`."""

import argparse
import json
import re
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("-j", "--json", required=True)
parser.add_argument("--metadata-out", required=True)
options = parser.parse_args()
arguments = json.loads(Path(options.json).read_text())


def main(*, input_paths, output_path, metadata, seen=None, answer=None, component=None):
    if seen:
        Path(seen).write_text(json.dumps(arguments))
    Path(options.metadata_out).write_text(json.dumps(answer or {}))


main(**arguments)
'''


def manifest() -> dict[str, Any]:
    """A manifest of two tasks, `First task` and the parallel `Each well`."""
    whole = good_manifest()
    (entry,) = whole["task_list"]
    properties = entry["args_schema"]["properties"]
    del properties["threshold"]
    properties |= {"seen": {"type": "string"}, "answer": {"type": "object"}}
    first = {**entry, "name": "First task"}
    schema = {
        **entry["args_schema"],
        "properties": {**properties, "component": {"type": "string"}},
        "required": [*entry["args_schema"]["required"], "component"],
    }
    each = {
        **entry,
        "name": "Each well",
        "meta": {"parallelization_level": "well"},
        "args_schema": schema,
    }
    return {**whole, "task_list": [first, each]}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_wheel(
        tmp_path_factory.mktemp("samples"),
        files={"__init__.py": "", "task.py": TASK},
        manifest=manifest(),
    )


def write_samples(folder: Path, **samples: object) -> Path:
    """Write samples as JSON, or texts as they are, into a fresh folder `samples`."""
    place = folder / "samples"
    place.mkdir(parents=True)
    for name, sample in samples.items():
        text = sample if isinstance(sample, str) else json.dumps(sample, indent=1)
        (place / f"{name}.json").write_text(text)
    return place


def judged(wheel: Path, samples: Path, *codes: str) -> dict[str, Any]:
    """What the report says of a wheel with these samples."""
    report = check_package(wheel, samples=samples, select=codes)
    (candidate,) = json.loads(render(report))["candidates"]
    return dict(candidate)


# Samples that cannot be used: findings of FR400, with file, line and fix


def problems(wheel: Path, folder: Path) -> list[tuple[int | None, str, str, str, str | None]]:
    """What FR400 says of a folder: line, expected, found, fix and task of each finding."""
    (verdict,) = verdicts(wheel, "FR400", samples=folder)
    assert verdict.outcome is (Outcome.FAIL if verdict.findings else Outcome.PASS)
    assert all(found.file and found.file.startswith(str(folder)) for found in verdict.findings)
    return [
        (found.line, found.expected, found.found, found.hint, found.task)
        for found in verdict.findings
    ]


NO_JSON = "strict JSON, in UTF-8"
KEYS = "no key but args, component, expect, input_paths, metadata, output_path, task"
OWN = "the task's own arguments alone"
ABSOLUTE = "an absolute path"


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        ('{"task": "First task",\n "args": {,}}', [(2, NO_JSON, "it is not JSON: ")]),
        ("", [(1, NO_JSON, "it is not JSON: ")]),
        ("[]", [(1, "an object", "[]")]),
        (
            '{\n"task": "first_task",\n"task": "each_well"}',
            [(3, NO_JSON, 'the key "task" stands here again')],
        ),
        ('{"task": "First task", "args": {"x":\nNaN}}', [(2, NO_JSON, "NaN is not JSON")]),
        ('{"args": {}}', [(1, "a sample that names its `task`", "none")]),
        ('{\n"task": "nope"}', [(2, "the name of a task", '"nope"')]),
        ('{\n"task": ["First task"]}', [(2, "the name of a task", '["First task"]')]),
        ('{\n"task": "-"}', [(2, "the name of a task", '"-"')]),
        (
            '{\n"task": "nope",\n"arguments": {}}',
            [(2, "the name of a task", '"nope"'), (3, KEYS, '"arguments"')],
        ),
        (
            '{"task": "First task",\n"args": {\n"metadata": {},\n"component": ""}}',
            [(3, OWN, "'metadata', which Fractal"), (4, OWN, "'component', which Fractal")],
        ),
        ('{"task": "First task",\n"arguments": {}}', [(2, KEYS, '"arguments"')]),
        ('{"task": "First task",\n"args": []}', [(2, "an object", "[]")]),
        (
            '{"task": "First task",\n"expect": "fail"}',
            [(2, '"success" or "failure"', '"fail"')],
        ),
        (
            '{"task": "First task",\n"input_paths": "x"}',
            [(2, "a list with an absolute path", '"x"')],
        ),
        (
            '{"task": "First task",\n"input_paths": []}',
            [(2, "a list with an absolute path", "[]")],
        ),
        (
            '{"task": "First task",\n"input_paths": [1, "",\n"images", "{samples}/x"]}',
            [(2, ABSOLUTE, "1"), (2, ABSOLUTE, '""'), (3, ABSOLUTE, '"images"')],
        ),
        ('{"task": "First task",\n"output_path": "out"}', [(2, ABSOLUTE, '"out"')]),
        ('{"task": "First task",\n"metadata": []}', [(2, "an object", "[]")]),
        (
            '{"task": "First task",\n"metadata": {"a": {"\\ud800": 1}}}',
            [(2, "texts that the server can store", "the character '\\ud800'")],
        ),
        (
            '{"task": "First task", "args": {\n"seen": "\\udfff"}}',
            [(2, "texts that the server can store", "the character '\\udfff'")],
        ),
        ('{"task": "each_well",\n"component": 5}', [(2, "a text", "5")]),
        (
            '{"task": "each_well",\n"component": "it\'s"}',
            [(2, "a component that the server can make a file name of", "has the character")],
        ),
        (
            '{"task": "First task",\n"component": "a"}',
            [(2, "no component for a non-parallel task", '"a"')],
        ),
        ('{\n"steps": []}', [(2, "a list of samples, not empty", "[]")]),
        ('{\n"steps": {}}', [(2, "a list of samples, not empty", "{}")]),
        (
            '{"steps": [{"task": "First task"}],\n"expect": "failure"}',
            [(2, "no key but steps", '"expect"')],
        ),
        ('{"steps": [\n"First task"]}', [(2, "an object", '"First task"')]),
        (
            '{"steps": [\n{"args": {}},\n{"task": "First task", "arg": {}}]}',
            [(2, "a sample that names its `task`", "none"), (3, KEYS, '"arg"')],
        ),
        (
            '{"steps": [{"task": "First task", "expect": "failure"},\n{"task": "First task"}]}',
            [(2, "no step after one that expects failure", "one: the server")],
        ),
    ],
)
def test_a_sample_that_cannot_be_used_is_reported_with_file_and_line(
    tmp_path: Path, wheel: Path, sample: str, expected: list[tuple[int, str, str]]
) -> None:
    folder = write_samples(tmp_path, bad=sample, good={"task": "First task"})
    reported = problems(wheel, folder)
    assert [(line, wanted) for line, wanted, *_ in reported] == [
        (line, wanted) for line, wanted, _ in expected
    ]
    for (_, _, found, fix, _), (_, _, part) in zip(reported, expected, strict=True):
        assert part in found
        assert fix


def test_the_fix_names_what_to_write(tmp_path: Path, wheel: Path) -> None:
    folder = write_samples(
        tmp_path,
        a={"task": "nope"},
        b={"task": "First task", "arg": {}},
        c={"task": "First task", "args": {"metadata": {}}},
        d={"task": "First task", "args": {"component": ""}},
    )
    assert [(fix, task) for *_, fix, task in problems(wheel, folder)] == [
        ("write one of: first_task, each_well", None),
        ("rename it to 'args'", "first_task"),
        ("move 'metadata' out of `args`, beside it", "first_task"),
        ("move 'component' out of `args`, beside it", "first_task"),
    ]


@pytest.mark.parametrize(
    "name", ["First task", "first_task", "FIRST TASK", "first-task", " First  Task", "first.Task"]
)
def test_a_task_is_named_in_any_case_and_with_any_separators(
    tmp_path: Path, wheel: Path, name: str
) -> None:
    assert problems(wheel, write_samples(tmp_path, one={"task": name})) == []


def test_a_name_that_may_mean_two_tasks_means_the_one_that_is_written_so(tmp_path: Path) -> None:
    whole = manifest()
    for task, name in zip(whole["task_list"], ("Find wells", "find-wells"), strict=True):
        task["name"] = name
    wheel = make_wheel(tmp_path, files={"__init__.py": "", "task.py": TASK}, manifest=whole)
    folder = write_samples(
        tmp_path,
        exact={"task": "find-wells", "component": "a"},  # for the parallel one alone
        slug={"task": "find_wells"},
        vague={"task": "FIND WELLS"},
    )
    ((_, expected, found, _, _),) = problems(wheel, folder)
    assert expected == "the name of one task"
    assert found == '"FIND WELLS", which may be Find wells or find-wells'


def test_what_a_server_would_refuse_may_be_in_a_sample_that_expects_failure(
    tmp_path: Path, wheel: Path
) -> None:
    """Only in arguments, which the task is to refuse as well."""
    bad = {"task": "First task", "args": {"seen": "\ud800"}, "expect": "failure"}
    assert problems(wheel, write_samples(tmp_path, one=bad)) == []


def test_a_sample_that_cannot_be_used_blocks_its_own_checks_alone(
    tmp_path: Path, wheel: Path
) -> None:
    """All other verdicts are reported, and nothing of it is run."""
    samples = write_samples(
        tmp_path,
        bad={"task": "First task", "argz": {"seen": "{tmp}/seen"}},
        broken="{",
        chain={"steps": [{"task": "First task"}, {"task": "Each well", "component": 5}]},
        good={"task": "First task"},
    )
    candidate = judged(wheel, samples, "FR1", "FR208", "FR4")
    outcomes = {
        (verdict["code"], verdict["task"], verdict["sample"]): verdict["outcome"]
        for verdict in candidate["verdicts"]
    }
    assert outcomes["FR401", "first_task", "good"] == "pass"
    assert outcomes["FR400", None, None] == "fail"
    assert outcomes["FR407", None, None] == "pass"
    for code in ("FR208", "FR401", "FR402", "FR403", "FR405"):
        for task, sample in (("first_task", "bad"), ("first_task", "chain.1")):
            assert outcomes[code, task, sample] == "blocked"
    assert outcomes["FR401", "each_well", "chain.2"] == "blocked"
    assert {outcome for key, outcome in outcomes.items() if key[0].startswith("FR1")} == {
        "pass",
        "skip",
    }
    assert {run["sample"] for run in candidate["runs"]} == {None, "good"}
    (verdict,) = (verdict for verdict in candidate["verdicts"] if verdict["code"] == "FR400")
    assert [found["where"].rpartition("/samples/")[2] for found in verdict["findings"]] == [
        "bad.json:3 at /argz",
        "broken.json:1:2",
        "chain.json:8 at /steps/1/component",
    ]


@pytest.mark.parametrize(
    ("make", "reported"),
    [
        (lambda place: None, "samples: no such folder"),
        (lambda place: place.write_text("{}"), "samples: no such folder"),
        (lambda place: place.mkdir(), "samples: no sample is in it: no file *.json"),
    ],
)
def test_a_folder_that_cannot_be_used_is_reported(
    pytester: pytest.Pytester, wheel: Path, make: Any, reported: str
) -> None:
    make(pytester.path / "samples")
    result = pytester.runpytest_inprocess(
        f"--fractal-package={wheel}", "--fractal-samples=samples"
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.errlines if line.strip()]
    assert reported in line


def test_files_that_are_none_and_names_that_are_taken_are_reported(
    tmp_path: Path, wheel: Path
) -> None:
    folder = write_samples(
        tmp_path, **{"a": {"steps": [{"task": "First task"}]}, "a.1": {"task": "First task"}}
    )
    (folder / "x.json").mkdir()
    reported = [(expected, found) for _, expected, found, _, _ in problems(wheel, folder)]
    assert reported == [
        ("a name of its own", "the sample a.1 is in a.1.json too"),
        ("a JSON file", "it cannot be read: it is a folder, not a file"),
    ]


def test_where_there_is_no_manifest_the_verdicts_tell_and_not_the_samples(
    pytester: pytest.Pytester,
) -> None:
    """Else an author would read of a task that is not there, and not why."""
    broken = make_wheel(pytester.path, manifest="{")
    write_samples(pytester.path, one={"task": "First task"})
    result = pytester.runpytest_inprocess(
        f"--fractal-package={broken}", "--fractal-samples=samples", "--fractal-select=FR1"
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["error[[]FR104[]] manifest-is-json*"])


def test_the_last_step_of_a_workflow_is_the_last_that_expects_success(
    tmp_path: Path, wheel: Path
) -> None:
    """A server is asked once, when all has been done that it is to do."""
    good, refused = {"task": "First task"}, {"task": "First task", "expect": "failure"}
    folder = write_samples(
        tmp_path, one=good, two={"steps": [good, good]}, three={"steps": [good, good, refused]}
    )
    candidate = candidate_of(wheel, samples=folder)
    last = {sample.name: sample.last for sample in candidate.sample_runs.usable}
    assert last == {
        "one": True,
        "two.1": False,
        "two.2": True,
        "three.1": False,
        "three.2": True,
        "three.3": True,
    }


# Every form, and where the folder is named


@pytest.mark.parametrize("twin", ["option", "pytest.ini", "pyproject.toml"])
def test_name_or_slug_and_placeholders_wherever_the_folder_is_named(
    pytester: pytest.Pytester, wheel: Path, twin: str
) -> None:
    """{samples} and {tmp} are replaced in nested values; both are absolute paths."""
    where = [{"path": "{samples}/images", "deep": [["{tmp}/x"], {"plain": "{other}", "n": 3}]}]
    write_samples(
        pytester.path,
        **{
            "by name": {"task": "First task", "args": {"answer": {"at": where}}},
            "slug": {
                "task": "first_task",
                "input_paths": ["{samples}", "{tmp}/in"],
                "metadata": {"at": "{tmp}"},
            },
        },
    )
    argument = ["--fractal-samples=samples"] if twin == "option" else []
    if twin == "pytest.ini":
        (pytester.path / "pytest.ini").write_text("[pytest]\nfractal_samples = samples\n")
    if twin == "pyproject.toml":
        (pytester.path / "pyproject.toml").write_text(
            '[tool.pytest.ini_options]\nfractal_samples = "samples"\n'
        )
    result = pytester.runpytest_inprocess(
        f"--fractal-package={wheel}",
        "--fractal-select=FR401,FR208",
        "--fractal-keep",
        "--fractal-folder=.",
        "--fractal-report=report.json",
        *argument,
    )
    assert result.ret == 0, result.outlines
    (candidate,) = json.loads((pytester.path / "report.json").read_text())["candidates"]
    runs = {
        run["sample"]: json.loads(Path(run["argv"][3]).read_text())
        for run in candidate["runs"]
        if run["sample"]
    }
    samples = str(pytester.path / "samples")
    (place,) = runs["by_name"]["answer"]["at"]
    assert place["path"] == f"{samples}/images"
    ((fresh,), rest) = place["deep"]
    assert Path(fresh).parent.is_dir()
    assert rest == {"plain": "{other}", "n": 3}
    one = runs["slug"]
    assert one["input_paths"] == [samples, f"{one['metadata']['at']}/in"]
    assert one["output_path"] == f"{one['metadata']['at']}/output"


def test_reports_name_task_and_sample_and_are_the_same_with_workers(
    runner: Runner, wheel: Path
) -> None:
    """The report has `sample` in verdicts and runs."""
    chain = [{"task": "First task", "args": {"answer": {"well": ["w/1"]}}}, {"task": "Each well"}]
    samples = write_samples(
        runner.folder,
        alone={"task": "First task"},
        chain={"steps": chain},
        **{"odd [name]::x": {"task": "First task"}},
    )
    ran = runner.pytest(
        f"--fractal-package={wheel}",
        "--fractal-samples=samples",
        "--fractal-report=report.json",
        "--fractal-select=FR4",
        "-n2",
    )
    assert ran.status == 0, ran.text
    assert ran.left == []
    (by_workers,) = json.loads((runner.folder / "report.json").read_text())["candidates"]
    keys = []
    for candidate in (judged(wheel, samples, "FR4"), by_workers):
        keys.append([(v["code"], v["task"], v["sample"]) for v in candidate["verdicts"]])
        runs = sorted((r["task"], r["sample"]) for r in candidate["runs"] if r["sample"])
        assert runs == [
            ("each_well", "chain.2"),
            ("first_task", "alone"),
            ("first_task", "chain.1"),
            ("first_task", "odd__name___x"),
        ]
    assert keys[0] == keys[1]
    first = [key for key in keys[0] if key[0] == "FR401"]
    assert first == [
        ("FR401", "first_task", "alone"),
        ("FR401", "first_task", "chain.1"),
        ("FR401", "first_task", "odd__name___x"),
        ("FR401", "each_well", "chain.2"),
    ]


def test_a_sample_is_selected_by_a_pasted_node_id_and_by_its_name(
    pytester: pytest.Pytester, wheel: Path
) -> None:
    chain = [{"task": "First task", "args": {"answer": {"well": ["w/1"]}}}, {"task": "Each well"}]
    write_samples(pytester.path, alone={"task": "First task"}, chain={"steps": chain})
    options = (f"--fractal-package={wheel}", "--fractal-samples=samples")
    listed = pytester.runpytest_inprocess(*options, "--co", "-q").outlines
    (pasted,) = [line for line in listed if "sample-succeeds[each_well-chain.2]" in line]
    pytester.runpytest_inprocess(*options, pasted).assert_outcomes(passed=1)
    named = pytester.runpytest_inprocess(*options, "-k", "FR402 and chain", "--co", "-q")
    assert "metadata-written[each_well-chain.2]" in named.stdout.str()
    assert "[first_task-alone]" not in named.stdout.str()


def test_a_sample_against_the_schema_names_place_expected_and_found(
    tmp_path: Path, wheel: Path
) -> None:
    """FR208, with the JSON pointer and the line; also for a reserved argument and for a step."""
    samples = write_samples(
        tmp_path,
        kind='{"task": "First task",\n "args": {\n  "seen": 5}}',
        chain='{"steps": [{"task": "First task"},\n{"task": "First task",\n"args": {"more": 1}}]}',
        refused={"task": "First task", "args": {"seen": 5}, "expect": "failure"},
    )
    candidate = judged(wheel, samples, "FR208", "FR406")
    by = {(v["code"], v["sample"]): v for v in candidate["verdicts"]}
    (found,) = by["FR208", "kind"]["findings"]
    assert (found["pointer"], found["line"]) == ("/args/seen", 3)
    assert (found["expected"], found["found"]) == (
        'arguments that the schema allows; type: "string"',
        "5 is not of type 'string'",
    )
    (found,) = by["FR208", "chain.2"]["findings"]
    assert (found["pointer"], found["line"]) == ("/steps/1/args", 3)
    assert by["FR208", "refused"]["outcome"] == "pass"
    assert "refused by the schema" in by["FR208", "refused"]["reason"]
    reason = by["FR406", "refused"]["reason"]
    assert "by the schema (5 is not of type 'string') and by the command (exit status 1)" in reason


# Arguments that are made from a schema: tests/test_samples_making.py


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"required": "x", "properties": []},
        {"required": ["x", 5], "properties": {"x": {"$ref": "#/properties/x"}}},
        {"required": ["x"], "properties": {"x": {"$ref": "other.json#/a"}}},
        {"required": ["x"], "properties": {"x": {"type": "array", "minItems": 10**9}}},
        {"required": ["x"], "properties": {"x": {"type": "string", "minLength": 10**12}}},
        {"required": ["x"], "properties": {"x": {"type": "string", "minLength": -(10**30)}}},
        {"required": ["x"], "properties": {"x": {"type": "number", "minimum": 10**400}}},
        {
            "required": ["x"],
            "properties": {"x": {"type": "integer", "multipleOf": 1e-300, "minimum": 1e200}},
        },
        {"required": ["x"], "properties": {"x": {"type": "string", "maxLength": 1.5}}},
        {"allOf": [{"allOf": [{"$ref": "#/allOf/0"}]}]},
        {"required": ["a", "b"], "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}},
        {"allOf": [{"$ref": "#"}, {"$ref": "#"}, {"$ref": "#/allOf/0"}]},
    ],
)
def test_a_schema_without_an_end_or_a_meaning_does_no_harm(schema: dict[str, Any]) -> None:
    assert isinstance(make_arguments(schema), dict)


# The documents


def section(page: str, heading: str) -> str:
    """What stands in a page below a heading."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def judge_example(pytester: pytest.Pytester, text: str, files: int) -> dict[str, Any]:
    """Write the code blocks that a path in a line of its own names, and run the command line.

    Returns the report on the one candidate.
    """
    blocks = re.findall(r"^`([^`\n]+)`:\n\n```\w+\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) == files
    for name, block in blocks:
        path = pytester.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.replace("/path/to", str(pytester.path)))
    (command,) = re.findall(r"^\$ pytest (.+)$", text, re.MULTILINE)
    result = pytester.runpytest_inprocess(
        command, "--fractal-strict", "--fractal-report=report.json"
    )
    assert result.ret == 0, result.outlines
    (candidate,) = json.loads((pytester.path / "report.json").read_text())["candidates"]
    assert candidate["summary"]["fail"] == candidate["summary"]["warn"] == 0
    return dict(candidate)


def test_the_example_of_generation_2_is_all_green(pytester: pytest.Pytester) -> None:
    """It is taken from the page on samples, and does what the page says."""
    text = section("samples.md", "A complete example of generation 2")
    candidate = judge_example(pytester, text, 9)
    runs = [run["sample"] for run in candidate["runs"] if run["sample"]]
    assert sorted(runs) == ["images.1", "images.2", "images.2", "images.2", "too_many"]


def test_the_example_of_generation_1_is_all_green(pytester: pytest.Pytester) -> None:
    """It is taken from the page on samples, and does what the page says."""
    text = section("samples.md", "A complete example of generation 1")
    candidate = judge_example(pytester, text, 6)
    runs = [run["sample"] for run in candidate["runs"] if run["sample"]]
    assert sorted(runs) == ["plate.1", "plate.2", "plate.2", "too_few_lines"]
    (reported,) = [
        verdict["reason"]
        for verdict in candidate["verdicts"]
        if (verdict["code"], verdict["sample"]) == ("FR406", "too_few_lines")
    ]
    assert reported == "refused by the command (exit status 1)"


def test_hidden_files_are_no_samples(tmp_path: Path, wheel: Path) -> None:
    """What macOS leaves beside a file on a foreign disk, and editors while they write."""
    folder = write_samples(
        tmp_path, **{"small": {"task": "First task"}, "._small": "\0\5\x16", ".backup": "{"}
    )
    assert problems(wheel, folder) == []


def test_a_byte_order_mark_is_fixed_by_saving_the_file_anew(tmp_path: Path, wheel: Path) -> None:
    folder = write_samples(tmp_path, small='\ufeff{"task": "First task"}')
    ((line, expected, _, hint, _),) = problems(wheel, folder)
    assert (line, expected) == (1, NO_JSON)
    assert hint == "save the file as UTF-8 without a byte order mark"
