"""What to do about a sample that a schema refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_samples import write_samples
from wheel_factory import candidate_of, good_manifest, make_wheel

from pytest_fractal.rules.sample_advice import advice_for_sample
from pytest_fractal.schema_checks.client import Refusal

PROPERTIES = {
    "metadata": {"type": "object"},
    "threshold": {"type": "integer"},
    "channel": {"type": "string"},
}
ELSE = "or generate the schema anew from the function"
CORRECT = f"correct the sample, {ELSE}"


def advice(
    folder: Path, refused: Refusal, properties: Any = PROPERTIES
) -> tuple[str, tuple[Any, ...] | None]:
    manifest = good_manifest()
    own = [name for name in properties if name != "metadata"]
    schema = {"type": "object", "properties": properties, "required": own}
    manifest["task_list"][0]["args_schema"] = schema
    samples = write_samples(folder, one={"task": "Demo task", "args": {}})
    candidate = candidate_of(make_wheel(folder, manifest=manifest), samples=samples)
    (sample,) = candidate.sample_runs.usable
    text, fix = advice_for_sample(sample, sample.task.run_parts[0], refused)
    if fix is None:
        return text, None
    (file,) = fix.files
    assert file.file == str(sample.file)
    (edit,) = file.json
    return text, (edit.action.value, edit.keys, edit.value)


def refused(keyword: str | None, instance: Any, allowed: Any = None, *keys: str) -> Refusal:
    return Refusal(keys, "message", keyword, instance, allowed)


@pytest.mark.parametrize(
    ("refusal", "text", "edit"),
    [
        (refused("type", "2", "integer", "a"), "write 2", ("set", ("args", "a"), 2)),
        (refused("type", " TRUE ", "boolean", "a"), "write true", ("set", ("args", "a"), True)),
        (refused("type", "1.5", "number"), "write 1.5", ("set", ("args",), 1.5)),
        (refused("type", "1", "number"), "write 1", ("set", ("args",), 1)),
        (refused("type", "1.5", "integer"), CORRECT, None),
        (refused("type", "true", "integer"), CORRECT, None),
        (refused("type", "two", "integer"), CORRECT, None),
        (refused("type", "2", "string"), CORRECT, None),
        (refused("type", "2", ["integer"]), CORRECT, None),
        (refused("type", "a", "array"), 'write ["a"]', ("set", ("args",), ["a"])),
        (refused("type", 1, "array"), "write [1]", ("set", ("args",), [1])),
        (refused("type", None, "array"), CORRECT, None),
        (
            refused("enum", " Gauss", ["gauss", "box"]),
            'write "gauss"',
            ("set", ("args",), "gauss"),
        ),
        (
            refused("enum", "gauss", ["Gauss", "GAUSS"]),
            f'write one of "Gauss", "GAUSS", {ELSE}',
            None,
        ),
        (refused("enum", 1, ["1", 2]), f'write one of "1", 2, {ELSE}', None),
        (refused("enum", "2", [1, "3"]), f'write one of 1, "3", {ELSE}', None),
        (refused("enum", "a", "a"), CORRECT, None),
        (refused("minimum", 1, 2), CORRECT, None),
        (refused(None, 1), CORRECT, None),
        (
            refused("additionalProperties", {"chanel": 1}),
            'rename "chanel" to "channel"',
            ("rename", ("args", "chanel"), "channel"),
        ),
        (
            refused("additionalProperties", {"chanel": 1, "channel": 2}),
            f'remove "chanel": the task takes threshold, channel; {ELSE}',
            None,
        ),
        (
            refused("additionalProperties", {"metadat": 1}),
            f'remove "metadat": the task takes threshold, channel; {ELSE}',
            None,
        ),
        (refused("additionalProperties", {"x": 1}, None, "channel"), CORRECT, None),
        (refused("additionalProperties", {"channel": 1}), CORRECT, None),
        (refused("additionalProperties", [1]), CORRECT, None),
        (
            refused("required", {"chanel": 1}, ["channel"]),
            'rename "chanel" to "channel"',
            ("rename", ("args", "chanel"), "channel"),
        ),
        (
            refused("required", {"threshold": 1}, ["threshold", "channel"]),
            'add "channel": "text" to the arguments, with values that the task can do with',
            None,
        ),
        (refused("required", {}, ["channel"], "deep"), CORRECT, None),
        (refused("required", {}, "channel"), CORRECT, None),
    ],
)
def test_what_is_plainly_meant_is_an_edit(
    tmp_path: Path, refusal: Refusal, text: str, edit: tuple[Any, ...] | None
) -> None:
    assert advice(tmp_path, refusal) == (text, edit)


def test_a_task_without_arguments_of_its_own_takes_none(tmp_path: Path) -> None:
    reported, _ = advice(
        tmp_path, refused("additionalProperties", {"x": 1}), {"metadata": {"type": "object"}}
    )
    assert reported == f'remove "x": the task takes none; {ELSE}'
