"""FR4: what the rules say of runs, judged without starting anything.

The generation plays a sample as a server would; what came of each start is given.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from test_samples import write_samples
from wheel_factory import candidate_of, good_manifest, make_wheel

from pytest_fractal.facts import Part
from pytest_fractal.processes.commands import Start
from pytest_fractal.processes.processes import Finished
from pytest_fractal.rules import REGISTRY, Note
from pytest_fractal.samples.files import Sample
from pytest_fractal.samples.runs import ResolvedArguments, Run, resolve_arguments, run_sample
from pytest_fractal.verdicts import Finding, NotApplicable, NotChecked, Severity

SCHEMA = {"type": "object", "properties": {"sigma": {"type": "integer", "maximum": 9}}}


def listed(version: str) -> dict[str, Any]:
    """A manifest with the tasks `Once` and `Each`, of version 2 also with `Both`."""
    if version == "1":
        (entry,) = (manifest := good_manifest())["task_list"]
        entry["args_schema"] = SCHEMA
        each = {**entry, "name": "Each", "meta": {"parallelization_level": "well"}}
        return {**manifest, "task_list": [{**entry, "name": "Once"}, each]}
    once = {"executable_non_parallel": "task.py", "args_schema_non_parallel": SCHEMA}
    each = {"executable_parallel": "task.py", "args_schema_parallel": SCHEMA}
    tasks = [
        {"name": "Once", **once},
        {"name": "Each", **each},
        {"name": "Both", **once, **each},
    ]
    return {"manifest_version": "2", "has_args_schemas": True, "task_list": tasks}


class Outputs:
    """Plays a sample: every start ends as is said, with this output."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def sample(self, version: str, task: str, **keys: Any) -> Sample:
        if version == "1" and task == "Each" and "metadata" not in keys:
            keys = {"component": "plate.zarr/B/03/0", **keys}
        if version == "2":
            keys = {"images": [{"zarr_url": "{tmp}/plate.zarr/B/03/0"}], **keys}
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        samples = write_samples(folder, one={"task": task, **keys})
        wheel = make_wheel(folder, manifest=listed(version))
        candidate = candidate_of(wheel, samples=samples)
        assert candidate.sample_runs.files.problems == ()
        (sample,) = candidate.sample_runs.usable
        return sample

    def run(
        self,
        version: str,
        task: str,
        *outputs: str | None,
        keys: Mapping[str, Any] | None = None,
        obstacle: str = "",
        **ended: Any,
    ) -> Run:
        """The starts write `outputs`, one after the other, the last one again and again."""
        left = [*outputs]

        def launch(part: Part, arguments: Mapping[str, Any], folder: Path) -> Start:
            output = left.pop(0) if len(left) > 1 else left[0]
            finished = Finished(
                **{
                    "argv": ("task.py",),
                    "returncode": 0,
                    "stdout": "",
                    "stderr": "",
                    "seconds": 3.0,
                    **ended,
                }
            )
            return Start(finished, True, output, "args.json", "out.json", obstacle)

        sample = self.sample(version, task, **(keys or {}))
        return run_sample(sample, None, self.folder / "tmp", self.folder / "runs", launch, 1)


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path)


def said(code: str, *facts: object) -> list[Finding | Note]:
    return [*REGISTRY[code].judge(*facts)]


def findings(code: str, *facts: object) -> list[Finding]:
    return [found for found in said(code, *facts) if isinstance(found, Finding)]


def weights(code: str, *facts: object) -> list[Severity | None]:
    return [found.severity for found in findings(code, *facts)]


FAILS: list[Severity | None] = [None]
WARNS: list[Severity | None] = [Severity.WARNING]
PASSES: list[Severity | None] = []


@pytest.mark.parametrize(
    ("version", "expected"), [("1", FAILS), ("2", WARNS)], ids=["generation 1", "generation 2"]
)
def test_an_output_that_is_not_written_is_missed_of_a_non_parallel_task_alone(
    outputs: Outputs, version: str, expected: list[Severity | None]
) -> None:
    run = outputs.run(version, "Once", None)
    assert weights("FR402", run) == expected
    assert findings("FR402", run)[0].found == "exit status 0, and no such file"
    assert weights("FR403", run) == PASSES
    assert weights("FR402", outputs.run(version, "Once", "{}")) == PASSES
    each = outputs.run(version, "Each", None)
    assert weights("FR402", each) == weights("FR404", each) == PASSES


@pytest.mark.parametrize(
    ("version", "task", "expected"),
    [
        ("1", "Once", {"FR402": FAILS, "FR403": PASSES}),
        ("2", "Once", {"FR402": WARNS, "FR403": FAILS}),
        ("1", "Each", {"FR404": FAILS}),
        ("2", "Each", {"FR404": FAILS}),
    ],
)
def test_what_stands_in_the_place_of_the_output_is_named(
    outputs: Outputs, version: str, task: str, expected: dict[str, list[Severity | None]]
) -> None:
    run = outputs.run(version, task, None, obstacle="a folder")
    assert {code: weights(code, run) for code in expected} == expected
    assert all("a folder" in found.found for code in expected for found in findings(code, run))


OBJECTS = {
    "{}": PASSES,
    "null": PASSES,
    ' {"image_list_updates": []}\n': PASSES,
    "": "an empty file",
    " \n": "an empty file",
    "[]": "[]",
    "5": "5",
    "false": "false",
    '"text"': '"text"',
    "{}{}": "it is not JSON",
    "\ufeff{}": "byte order mark",
    r'{"a": "\ud800"}': "half of a surrogate pair",
    '{"a": 1, "a": 2}': PASSES,
}


@pytest.mark.parametrize("text", OBJECTS)
@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize(("task", "code"), [("Once", "FR403"), ("Each", "FR404")])
def test_an_output_is_an_object_or_null(
    outputs: Outputs, version: str, task: str, code: str, text: str
) -> None:
    expected = OBJECTS[text]
    found = findings(code, outputs.run(version, task, text))
    if isinstance(expected, str):
        assert [finding.severity for finding in found] == FAILS
        assert expected in found[0].found
    else:
        assert [finding for finding in found if finding.severity is not Severity.WARNING] == []


@pytest.mark.parametrize(("version", "expected"), [("1", FAILS), ("2", WARNS)])
@pytest.mark.parametrize(("task", "code"), [("Once", "FR403"), ("Each", "FR404")])
def test_nan_does_harm_in_generation_1_alone(
    outputs: Outputs, version: str, task: str, code: str, expected: list[Severity | None]
) -> None:
    run = outputs.run(version, task, '{"a": NaN}')
    assert weights(code, run) == expected
    assert "NaN" in findings(code, run)[0].found
    # No list is taken, whatever is in it.
    assert weights(code, outputs.run(version, task, '["a", NaN]')) == FAILS


def test_the_keys_of_a_parallel_task_are_a_warning_in_generation_1_alone(outputs: Outputs) -> None:
    (found,) = findings("FR404", outputs.run("1", "Each", '{"well": 1, "a": 2}'))
    assert found.severity is Severity.WARNING
    assert found.found.startswith("the keys a, well, each of which ")
    assert findings("FR404", outputs.run("2", "Each", '{"image_list_updates": []}')) == []


def test_an_error_is_reported_with_its_status_and_what_the_task_says(outputs: Outputs) -> None:
    (found,) = findings("FR401", outputs.run("1", "Once", None, returncode=3, stderr="too small"))
    assert (found.expected, found.found) == ("exit status 0", "exit status 3: too small")
    assert found.task == "once"
    assert found.file is not None
    assert found.file.endswith("one.json")
    assert found.line == 1
    (found,) = findings("FR401", outputs.run("1", "Once", None, returncode=3))
    assert found.found == "exit status 3: it says nothing"
    (found,) = findings("FR401", outputs.run("1", "Once", "{}", timed_out=True))
    assert found.found == "no end within 3 s: it says nothing"
    assert findings("FR401", outputs.run("1", "Once", "{}")) == []


def test_a_run_that_no_server_could_start_is_reported(outputs: Outputs) -> None:
    run = outputs.run("1", "Each", "{}", keys={"metadata": {}})
    (found,) = findings("FR401", run)
    assert found.severity is None
    assert "'well' is missing" in found.found


@pytest.mark.parametrize(
    ("changed", "ended", "expected"),
    [
        ((), {}, []),
        ((), {"left": ("sleep 9",)}, [(Severity.WARNING, "still there, idle: sleep 9")]),
        ((), {"left": ("a",), "working": ("b",)}, [(None, "still there, at work: b")]),
        (
            ("x.zarr",),
            {"left": ("a",)},
            [(None, "still there, idle: a"), (None, "written afterwards: x.zarr")],
        ),
        (
            ("a", "b", "c", "d", "e"),
            {"left": ("1", "2", "3", "4", "5")},
            [
                (None, "still there, idle: 1; 2; 3 and 2 more"),
                (None, "written afterwards: a, b, c and 2 more"),
            ],
        ),
        (("a", "b", "c"), {}, [(None, "written afterwards: a, b, c")]),
        (
            (),
            {"left": ("1", "2", "3")},
            [(Severity.WARNING, "still there, idle: 1; 2; 3")],
        ),
    ],
)
def test_what_is_left_of_a_command(
    outputs: Outputs,
    changed: tuple[str, ...],
    ended: dict[str, Any],
    expected: list[tuple[Severity | None, str]],
) -> None:
    played = outputs.run("1", "Once", "{}", **ended)
    run = Run(played.sample, played.executions, None, played.state, changed=changed)
    assert [(found.severity, found.found) for found in findings("FR405", run)] == expected


@pytest.mark.parametrize(
    ("sigma", "ended", "expected"),
    [
        (1, {"returncode": 2}, "refused by the command (exit status 2)"),
        (10, {}, "refused by the schema (10 is greater than the maximum of 9)"),
        (
            10,
            {"returncode": 1},
            "refused by the schema (10 is greater than the maximum of 9) and by the command "
            "(exit status 1)",
        ),
        (1, {}, None),
        (1, {"returncode": -9}, None),
        (1, {"returncode": 1, "timed_out": True}, None),
    ],
)
def test_a_refusal_that_is_expected(
    outputs: Outputs, tmp_path: Path, sigma: int, ended: Mapping[str, Any], expected: str | None
) -> None:
    run = outputs.run(
        "1", "Once", "{}", keys={"args": {"sigma": sigma}, "expect": "failure"}, **ended
    )
    parts = run.sample.task.run_parts
    arguments = tuple((part, resolve_arguments(run.sample, tmp_path, part)) for part in parts)
    (reported,) = said("FR406", run, ResolvedArguments(run.sample, arguments))
    if expected is not None:
        assert isinstance(reported, Note)
        assert str(reported) == expected
    else:
        assert isinstance(reported, Finding)
        ending = run.executions[0].start.finished.ending
        assert reported.found == f"the schema allows these arguments, and the command: {ending}"


@pytest.mark.parametrize(
    ("sigma", "expected"),
    [
        (10, "refused by the schema, as expected: 10 is greater than the maximum of 9"),
        (1, "the schema allows it; the command must refuse it, see FR406"),
    ],
)
def test_whether_the_schema_refuses_what_is_to_be_refused_is_noted(
    outputs: Outputs, tmp_path: Path, sigma: int, expected: str
) -> None:
    sample = outputs.sample("1", "Once", args={"sigma": sigma}, expect="failure")
    parts = sample.task.run_parts
    arguments = tuple((part, resolve_arguments(sample, tmp_path, part)) for part in parts)
    assert [str(note) for note in said("FR208", ResolvedArguments(sample, arguments))] == [
        expected
    ]


def test_rules_say_nothing_of_samples_that_are_not_theirs(outputs: Outputs) -> None:
    fails = outputs.sample("1", "Once", expect="failure")
    once, each = outputs.sample("1", "Once"), outputs.sample("1", "Each")
    both = outputs.sample("2", "Both")

    def skip(code: str, sample: Sample) -> type[Exception] | None:
        reason = REGISTRY[code].skip_reason(sample)
        return type(reason) if reason is not None else None

    for code in ("FR401", "FR402", "FR403", "FR404", "FR405", "FR408"):
        assert skip(code, fails) is NotApplicable
    assert skip("FR406", fails) is None
    assert skip("FR406", once) is NotApplicable
    for code in ("FR402", "FR403"):
        assert [skip(code, run) for run in (once, each, both)] == [None, NotApplicable, None]
    assert [skip("FR404", run) for run in (once, each, both)] == [NotApplicable, None, None]
    assert [skip("FR408", run) for run in (once, both)] == [NotApplicable, None]


def test_what_is_run_for_want_of_a_sample_is_judged_if_it_happens_to_succeed(
    outputs: Outputs, tmp_path: Path
) -> None:
    candidate = candidate_of(make_wheel(tmp_path, manifest=listed("1")))
    (made,) = candidate.sample_runs.of(candidate.tasks[0])
    assert isinstance(REGISTRY["FR401"].skip_reason(made), NotChecked)

    def made_run(returncode: int) -> Run:
        run = outputs.run("1", "Once", "[]", returncode=returncode, stderr="no such plate\n")
        return Run(made, run.executions, None, run.state)

    (found,) = findings("FR403", made_run(0))
    assert found.file == "demo/task.py", "there is no file with a sample"
    for code in ("FR402", "FR403", "FR404", "FR405", "FR408"):
        with pytest.raises(NotChecked, match="arguments made from its schema") as raised:
            said(code, made_run(1))
        assert "no such plate" in str(raised.value)


def updates(url: str) -> str:
    return json.dumps({"image_list_updates": [{"zarr_url": url}]})


def test_outputs_of_generation_2_are_held_to_its_models(outputs: Outputs, tmp_path: Path) -> None:
    inside = f"{tmp_path}/tmp/plate.zarr/B/03/0"
    assert findings("FR408", outputs.run("2", "Once", updates(inside))) == []
    for wrong in (updates("plate.zarr/B/03/0"), '{"image_list_update": []}'):
        (found,) = findings("FR408", outputs.run("2", "Once", wrong))
        assert found.severity is None
        assert "of the output" in found.expected
    (found,) = findings("FR408", outputs.run("2", "Once", updates("plate.zarr")))
    assert "at /image_list_updates/0/zarr_url of the output" in found.expected


def test_an_init_command_is_held_to_other_rules_than_its_compute_command(
    outputs: Outputs, tmp_path: Path
) -> None:
    url = f"{tmp_path}/tmp/plate.zarr"
    images = json.dumps({"parallelization_list": [{"zarr_url": url, "init_args": {}}]})
    good = outputs.run("2", "Both", images, "{}")
    assert len(good.executions) == 2
    for code in ("FR402", "FR403", "FR404", "FR408"):
        assert findings(code, good) == []
    late = outputs.run("2", "Both", images, "[]")
    assert (weights("FR403", late), weights("FR404", late)) == (PASSES, FAILS)
    early = outputs.run("2", "Both", "[]", "{}")
    assert (weights("FR403", early), weights("FR404", early)) == (FAILS, PASSES)


def test_what_two_outputs_contradict_each_other_in_is_at_the_later_one(
    outputs: Outputs, tmp_path: Path
) -> None:
    plate = f"{tmp_path}/tmp/plate.zarr"
    units = [{"zarr_url": f"{plate}/{name}", "init_args": {}} for name in "abc"]

    def update(well: str) -> str:
        image = {"zarr_url": f"{plate}/new", "attributes": {"well": well}}
        return json.dumps({"image_list_updates": [image]})

    run = outputs.run(
        "2", "Both", json.dumps({"parallelization_list": units}), "{}", update("A"), update("B")
    )
    assert len(run.executions) == 4
    (found,) = findings("FR408", run)
    assert "for the compute part, {tmp}/plate.zarr/c" in found.expected
    assert found.found == "{tmp}/plate.zarr/new, which is updated before with other content"


def test_what_two_units_of_a_parallel_task_contradict_each_other_in(
    outputs: Outputs, tmp_path: Path
) -> None:
    """It is about the second execution, that of the second image."""
    images = [{"zarr_url": f"{{tmp}}/plate.zarr/{name}"} for name in "ab"]

    def update(well: str) -> str:
        image = {"zarr_url": f"{tmp_path}/tmp/plate.zarr/n", "attributes": {"well": well}}
        return json.dumps({"image_list_updates": [image]})

    run = outputs.run("2", "Each", update("A"), update("B"), keys={"images": images})
    assert [number for number, _ in run.faults] == [1]
    (found,) = findings("FR408", run)
    assert "at /image_list_updates/0/zarr_url of the output" in found.expected
    assert "for the image {tmp}/plate.zarr/b" in found.expected
