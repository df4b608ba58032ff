"""FR209: what the web client's form cannot draw, and what the tasks' own tool refuses."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from pytest_fractal import Outcome, check_package
from pytest_fractal.environments.wheels import MANIFEST_NAME
from pytest_fractal.pointers import pointer
from pytest_fractal.rules.form_drawing import undrawn
from pytest_fractal.rules.form_limits import form_limits

pytestmark = pytest.mark.usefixtures("any_environment")

TEXT, NUMBER, FLAG = {"type": "string"}, {"type": "number"}, {"type": "boolean"}
NULL: dict[str, Any] = {"type": "null"}
MODEL: dict[str, Any] = {"type": "object", "properties": {"size": NUMBER}}
REFS = [{"$ref": "#/$defs/Blur"}, {"$ref": "#/$defs/Sharpen"}]


def schema(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"zarr_url": TEXT, **properties},
        "$defs": {"Blur": MODEL, "Sharpen": MODEL, "Mode": {"type": "string", "enum": ["a"]}},
    }


def reported(value: dict[str, Any]) -> list[str]:
    return [f"{limit.code} {pointer(*limit.keys)}" for limit in form_limits(value)]


BREACHES: list[tuple[str, dict[str, Any], str]] = [
    ("E01", {"type": "number", "name": "args"}, "/name"),
    ("E03", {"enum": ["auto", 1], "type": "string"}, "/enum"),
    ("E03", {"enum": [1, True], "type": "integer"}, "/enum"),
    ("E04", {}, ""),
    ("E04", {"title": "Sigma", "default": 1}, ""),
    ("E04", {"enum": ["a", "b"]}, ""),
    ("E04", {"allOf": [REFS[0]], "default": {}}, ""),
    ("E04", {"type": "array", "items": {}}, "/items"),
    ("E04", {"type": "array", "items": True}, "/items"),
    ("E05", FLAG, ""),
    ("E05", {"type": "array", "items": FLAG}, "/items"),
    ("E06", {"type": "object", "additionalProperties": FLAG}, ""),
    ("E07", {"type": "string", "default": ""}, "/default"),
    ("E07", {"type": "string", "default": " \t"}, "/default"),
    ("E07", {"type": "array", "items": TEXT, "default": ["a", ""]}, "/default"),
    ("E07", {"type": "object", "default": {"": "a"}}, "/default"),
    ("E07", {"type": "object", "default": {"a": ""}}, "/default"),
    ("E08", {"type": "array", "prefixItems": [NUMBER, FLAG]}, "/prefixItems/1"),
    ("E10", {"anyOf": [FLAG, NULL], "default": None}, "/anyOf"),
    ("E10", {"anyOf": [NULL, FLAG], "default": True}, "/anyOf"),
    ("E11", {"anyOf": [{"type": "string", "enum": ["a"]}, NULL]}, "/anyOf"),
    ("E12", {"anyOf": [{"$ref": "#/$defs/Mode"}, NULL]}, "/anyOf"),
    ("E13", {"anyOf": [TEXT, NUMBER]}, "/anyOf"),
    ("E13", {"anyOf": [TEXT, NUMBER, NULL]}, "/anyOf"),
    ("E14", {"anyOf": REFS}, "/anyOf"),
    ("E14", {"anyOf": [*REFS, NULL]}, "/anyOf"),
    ("E15", {"anyOf": [TEXT, REFS[0], NULL]}, "/anyOf"),
    ("E20", {"type": "array", "items": TEXT, "oneOf": REFS}, "/oneOf"),
    ("E21", {"oneOf": REFS}, "/oneOf"),
    ("E22", {"oneOf": [REFS[0], NUMBER], "discriminator": {}}, "/oneOf/1"),
]

DRAWN: list[dict[str, Any]] = [
    {"type": "string", "enum": ["a", "b"], "default": "a"},
    {"type": "boolean", "default": False},
    {"anyOf": [TEXT, NULL]},
    {"anyOf": [NULL, NUMBER], "default": None},
    {"anyOf": [{"$ref": "#/$defs/Blur"}, NULL]},
    {"anyOf": [{"type": "array", "items": TEXT}, NULL]},
    {"anyOf": [TEXT, REFS[0]]},
    {"$ref": "#/$defs/Mode"},
    {"oneOf": REFS, "discriminator": {"propertyName": "kind"}},
    {"type": "array", "items": {"oneOf": REFS, "discriminator": {"propertyName": "kind"}}},
    {"type": "array", "prefixItems": [NUMBER, TEXT], "minItems": 2, "maxItems": 2},
    {"type": "array", "prefixItems": [{"type": "boolean", "default": True}]},
    {"type": "object", "additionalProperties": TEXT, "default": {}},
    {"type": "object", "additionalProperties": {"type": "boolean", "default": True}},
    {"type": "array", "items": TEXT, "default": []},
    {"type": "array", "items": {"items": NUMBER}},
    {"type": "object", "additionalProperties": True},
]


@pytest.mark.parametrize("number", range(len(BREACHES)))
def test_what_the_tool_refuses_is_reported_with_its_place(number: int) -> None:
    code, value, below = BREACHES[number]
    assert reported(schema(size=value)) == [f"{code} /properties/size{below}"]


@pytest.mark.parametrize("number", range(len(DRAWN)))
def test_what_the_tool_takes_is_passed_over(number: int) -> None:
    assert reported(schema(size=DRAWN[number])) == []


def test_all_breaches_are_reported_at_once_also_within_models() -> None:
    value = schema(a={}, b={"type": "string", "default": ""})
    value["$defs"]["Blur"] = {"type": "object", "properties": {"on": FLAG}}
    assert reported(value) == [
        "E05 /$defs/Blur/properties/on",
        "E04 /properties/a",
        "E07 /properties/b/default",
    ]


def test_what_older_schemas_keep_in_definitions_is_looked_at_too() -> None:
    value = {"type": "object", "definitions": {"Blur": {"properties": {"on": FLAG}}}}
    assert reported(value) == [
        "E02 /definitions",
        "E04 /definitions/Blur",
        "E05 /definitions/Blur/properties/on",
    ]


def test_each_hint_names_the_argument_and_its_type_hint() -> None:
    (limit,) = form_limits(schema(invert={"anyOf": [FLAG, NULL], "default": None}))
    assert "`invert: bool = False`" in limit.hint
    value = schema()
    value["$defs"]["Blur"] = {"type": "object", "properties": {"on": FLAG}}
    (limit,) = form_limits(value)
    assert "`on: bool = False`" in limit.hint


@pytest.mark.parametrize(
    ("argument", "hint", "is_in_code"),
    [
        ({}, "give sigma a type hint that is not `Any`: `sigma: float`", True),
        (
            {"type": "array", "items": {}},
            "say what the list holds, such as `sigma: list[float]`",
            True,
        ),
        ({"enum": ["a", "b"]}, "generate the schema anew with pydantic 2.10 or newer", False),
        ({"const": "a"}, "generate the schema anew with pydantic 2.10 or newer", False),
        ({"allOf": [REFS[0]]}, "generate the schema anew with pydantic 2.10 or newer", False),
        ({"type": "array", "items": FLAG}, "instead of `list[bool]` take the choices", True),
        (FLAG, "write `sigma: bool = False`", True),
        ({"anyOf": [FLAG, NULL], "default": None}, "write `sigma: bool = False`", True),
        ({"type": "array", "items": [TEXT]}, "generate the schema anew with pydantic 2,", False),
    ],
)
def test_the_hint_says_whether_code_or_schema_is_to_be_changed(
    argument: dict[str, Any], hint: str, is_in_code: bool
) -> None:
    limit = next(iter(form_limits(schema(sigma=argument))))
    assert limit.hint.startswith(hint)
    assert limit.is_in_code is is_in_code


def test_a_boolean_is_beside_any_of_only_where_that_is_directly_around_it() -> None:
    deeper = {"anyOf": [{"type": "object", "properties": {"on": FLAG}}, NULL], "default": None}

    def expected(argument: dict[str, Any]) -> set[str]:
        limits = form_limits(schema(sigma=argument))
        return {limit.expected for limit in limits if limit.code == "E05"}

    assert expected({"anyOf": [FLAG, TEXT]}) == {"a default beside `anyOf`"}
    assert expected(deeper) == {"a default"}


# what fractal-web's own FormManager could not draw: the table is what came of running it


V1, V2 = "pydantic_v1", "pydantic_v2"
DISCRIMINATOR = {
    "propertyName": "kind",
    "mapping": {"blur": "#/$defs/Blur", "sharpen": "#/$defs/Sharpen"},
}
TAGGED = {"oneOf": REFS, "discriminator": DISCRIMINATOR}
THREE = {"type": "array", "items": NUMBER, "minItems": 3, "maxItems": 3}
PAIR = {"minItems": 2, "maxItems": 2, "type": "array"}

UNDRAWN: list[tuple[Any, str, str]] = [
    # The value, where it is reported, and in which of draft 7 and 2020-12.
    ({}, "", "both"),
    ({"title": "Sigma", "default": 1}, "", "both"),
    ({"const": "a"}, "", "both"),
    (NULL, "/type", "both"),
    ({"type": ["string", "null"]}, "/type", "both"),
    (True, "", "both"),
    ({"type": "array", "items": {}}, "/items", "both"),
    ({"type": "array", "items": True}, "/items", "both"),
    ({"type": "object", "additionalProperties": {}}, "/additionalProperties", "both"),
    ({"type": "object", "additionalProperties": True}, "/additionalProperties", "both"),
    ({"anyOf": [NULL, NUMBER], "default": None}, "/anyOf", "both"),
    ({"anyOf": [TEXT, NUMBER]}, "/anyOf", "both"),
    ({"anyOf": [TEXT, REFS[0]]}, "/anyOf", "both"),
    ({"anyOf": REFS}, "/anyOf", "both"),
    ({"anyOf": [TEXT, NUMBER, NULL]}, "/anyOf", "both"),
    ({"anyOf": [TAGGED, NULL], "default": None}, "/default", "both"),
    ({**TAGGED, "discriminator": {"propertyName": "kind"}}, "/discriminator", "both"),
    (THREE, "", "both"),
    ({"anyOf": [THREE, NULL]}, "/anyOf/0", "both"),
    ({**PAIR, "items": [NUMBER, TEXT]}, "/items", "2020"),
    ({**PAIR, "prefixItems": [NUMBER, TEXT]}, "", "7"),
    ({"type": "array", "prefixItems": [NUMBER, TEXT]}, "/prefixItems", "both"),
    ({"type": "string", "format": "path"}, "/format", "both"),
    ({"type": "string", "units": "um"}, "/units", "both"),
    ({"type": "string", "pattern": "(?i)a"}, "/pattern", "both"),
    ({"type": "string", "pattern": r"a\Z"}, "/pattern", "both"),
    ({"type": "string", "pattern": "(?P<a>b)"}, "/pattern", "both"),
    ({"type": "string", "minimum": 0}, "/minimum", "both"),
    ({"type": "object", "properties": {}, "required": ["a"]}, "/required", "both"),
]
SHOWN: list[dict[str, Any]] = [
    TEXT,
    FLAG,
    {"enum": ["a", "b"]},
    {"enum": ["auto", 1], "type": "string"},
    {"const": "a", "type": "string"},
    {"allOf": [REFS[0]], "default": {}},
    {"$ref": "#/$defs/Mode"},
    {"anyOf": [FLAG, NULL], "default": None},
    {"anyOf": [{"$ref": "#/$defs/Mode"}, NULL]},
    {"type": "array", "items": FLAG},
    {"type": "array"},
    {"type": "object", "additionalProperties": FLAG},
    {"type": "object", "additionalProperties": {"type": "array", "items": NUMBER}},
    {"type": "object", "additionalProperties": False},
    {"type": "object"},
    {"type": "string", "default": ""},
    {"oneOf": REFS},
    TAGGED,
    {"type": "array", "items": TAGGED},
    {"type": "string", "format": "date-time"},
    {"type": "string", "pattern": r"^\d+[A-Z]?$"},
    {"type": "string", "examples": ["a"], "deprecated": True, "$comment": "x"},
    {"type": "number", "default": None},
]


def undrawn_at(value: dict[str, Any], *, is_draft_7: bool) -> list[str]:
    ignored = ("zarr_url", "zarr_urls", "zarr_dir", "init_args")
    return [
        pointer(*limitation.keys) for limitation in undrawn(value, ignored, is_draft_7=is_draft_7)
    ]


@pytest.mark.parametrize("number", range(len(UNDRAWN)))
def test_what_the_client_cannot_draw_is_reported_with_its_place(number: int) -> None:
    value, below, dialects = UNDRAWN[number]
    for is_draft_7, dialect in ((True, "7"), (False, "2020")):
        found = undrawn_at(schema(size=value), is_draft_7=is_draft_7)
        if dialects in ("both", dialect):
            assert found
            assert all(at.startswith("/properties/size") for at in found)
            assert f"/properties/size{below}" in found or dialects == "both"
        else:
            assert found == []


@pytest.mark.parametrize("number", range(len(SHOWN)))
def test_what_the_client_draws_is_passed_over(number: int) -> None:
    for is_draft_7 in (True, False):
        assert undrawn_at(schema(size=SHOWN[number]), is_draft_7=is_draft_7) == []


@pytest.mark.parametrize(
    ("uri", "of_7", "of_2020"),
    [
        ("http://json-schema.org/draft-07/schema#", [], ["/$schema"]),
        ("https://json-schema.org/draft/2020-12/schema", ["/$schema"], []),
        ("https://json-schema.org/draft/2020-12/schema#", ["/$schema"], []),
        ("https://json-schema.org/draft-07/schema#", ["/$schema"], ["/$schema"]),
        ("https://json-schema.org/draft/2019-09/schema", ["/$schema"], ["/$schema"]),
    ],
)
def test_the_client_knows_one_dialect(uri: str, of_7: list[str], of_2020: list[str]) -> None:
    value = {**schema(), "$schema": uri}
    assert undrawn_at(value, is_draft_7=True) == of_7
    assert undrawn_at(value, is_draft_7=False) == of_2020


def test_what_no_form_shows_is_not_judged() -> None:
    value = schema(init_args={"$ref": "#/$defs/Init"})
    value["$defs"]["Init"] = {"type": "object", "properties": {"any": {}}}
    assert undrawn_at(value, is_draft_7=False) == []


def test_models_that_lead_back_to_themselves_leave_no_form() -> None:
    value = schema(tree={"$ref": "#/$defs/Tree"})
    kids = {"type": "array", "items": {"$ref": "#/$defs/Tree"}}
    value["$defs"]["Tree"] = {"type": "object", "properties": {"kids": kids}}
    assert len(undrawn_at(value, is_draft_7=False)) == 1


# the rule


@pytest.mark.parametrize(
    ("folder", "outcome"),
    [
        ("bad_packages/FR209_union_of_types", Outcome.WARN),
        ("bad_packages/FR209_union_of_models", Outcome.FAIL),
        ("good_packages/form_of_every_kind", Outcome.PASS),
        ("good_packages/with_own_tests", Outcome.SKIP),
    ],
)
def test_it_fails_where_the_tasks_own_tool_refuses_and_warns_elsewhere(
    folder: str, outcome: Outcome
) -> None:
    (report,) = check_package(ROOT / folder, select=["FR209"], jobs=1).candidates
    assert {verdict.outcome for verdict in report.verdicts if verdict.code == "FR209"} == {outcome}


@pytest.mark.parametrize("of", ["types", "models"])
def test_where_the_manifest_is_generated_the_type_hint_is_changed_before(
    of: str, tmp_path: Path
) -> None:
    tree = shutil.copytree(ROOT / f"bad_packages/FR209_union_of_{of}", tmp_path / "tree")
    (manifest,) = tree.rglob(MANIFEST_NAME)
    (manifest.parent / "dev").mkdir()
    (manifest.parent / "dev/task_list.py").write_text("TASK_LIST = []\n")
    (report,) = check_package(tree, select=["FR209"], jobs=1).candidates
    hints = [found.hint for verdict in report.verdicts for found in verdict.findings]
    for hint in hints:
        first, _, commands = hint.partition("; then generate the manifest anew:\n")
        assert "Annotated[A | B, " in first
        assert "anew" not in first
        assert commands.startswith("    fractal-manifest create")
    assert hints


# agreement with the tasks' own tool

TOOLS = "fractal-task-tools==0.5.1"
PACKAGES = (
    "fractal-tasks-core",
    "operetta-compose",
    "fractal-uzh-converters",
    "zmb-fractal-tasks",
)


def generated(number: int) -> dict[str, Any]:
    """A schema with something of everything, the same one for the same number."""
    rng = random.Random(number)
    parts: list[dict[str, Any]] = [value for _, value, _ in BREACHES] + DRAWN * 6

    def part(depth: int) -> Any:
        kind = rng.randrange(8 if depth else 3)
        if kind < 3:
            return rng.choice(parts)
        if kind == 3:
            return {"type": "array", "items": part(depth - 1)}
        if kind == 4:
            return model(depth - 1)
        if kind == 5:
            choices = [part(depth - 1) for _ in range(rng.randint(1, 2))]
            extra: dict[str, Any] = rng.choice([{}, {"default": None}, {"title": "x"}])
            return {"anyOf": choices + rng.choice([[NULL], []]), **extra}
        if kind == 6:
            return {"type": "array", "prefixItems": [part(depth - 1)]}
        default: Any = rng.choice(["", None, "a", [""], {"a": " "}, 1])
        chosen: dict[str, Any] = rng.choice(parts)
        return {**chosen, "default": default}

    def model(depth: int) -> dict[str, Any]:
        names = rng.sample(["a", "b", "name", "type", "items", "default"], rng.randint(0, 3))
        return {"type": "object", "properties": {name: part(depth) for name in names}}

    value = model(2)
    value["$defs"] = {
        "Blur": model(1),
        "Sharpen": MODEL,
        "Mode": rng.choice([{"type": "string", "enum": ["a"]}, {"enum": ["a", 1]}, TEXT]),
    }
    if rng.random() < 0.03:
        value["definitions"] = {}
    return value


@pytest.mark.slow
def test_the_tasks_own_tool_refuses_the_same_schemas(tmp_path: Path) -> None:
    python = tmp_path / "venv/bin/python"
    for command in (
        [sys.executable, "-m", "uv", "venv", "--python", sys.executable, str(tmp_path / "venv")],
        [sys.executable, "-m", "uv", "pip", "install", "-q", "--python", str(python), TOOLS],
        [sys.executable, "-m", "venv", str(tmp_path / "pip")],
        [str(tmp_path / "pip/bin/pip"), "download", "-q", "--no-deps", *PACKAGES],
    ):
        subprocess.run(command, check=True, cwd=tmp_path)
    schemas = [schema(size=value) for value in [*(schema for _, schema, _ in BREACHES), *DRAWN]]
    schemas += map(generated, range(int(os.environ.get("SCHEMA_CASES", "3000"))))
    of_packages = 0
    for wheel in sorted(tmp_path.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            (manifest,) = (n for n in archive.namelist() if n.endswith("_MANIFEST__.json"))
            for task in json.loads(archive.read(manifest))["task_list"]:
                for key in ("args_schema_non_parallel", "args_schema_parallel"):
                    if task.get(key):
                        schemas.append(task[key])
                        of_packages += 1
    assert of_packages > 30
    ran = subprocess.run(
        [python, Path(__file__).with_name("schema_checker.py")],
        input=json.dumps(schemas),
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    codes: Counter[str] = Counter()
    for value, theirs in zip(schemas, json.loads(ran.stdout), strict=True):
        ours = list(form_limits(value))
        shown = f"{json.dumps(value)}\ntool: {theirs}\nours: {[reported(value)]}"
        codes[theirs[0] if theirs else "accepted"] += 1
        if theirs is None:
            assert not ours, shown
        elif theirs[0]:
            assert any(
                limit.code == theirs[0]
                and theirs[1] in (pointer(*limit.keys[:end]) for end in _ends(limit.keys))
                for limit in ours
            ), shown
        else:
            assert ours, shown  # it dies of what it does not expect
    print(codes)
    assert {code for code, _, _ in BREACHES} <= set(codes)
    assert codes["accepted"] > len(schemas) / 8


def _ends(keys: tuple[str | int, ...]) -> range:
    """Ours lead to the keyword itself, or to one of its elements."""
    return range(max(0, len(keys) - 2), len(keys) + 1)


LINKS: dict[str, Callable[[Any], Any]] = {
    "reference": lambda link: link,
    "allOf": lambda link: {"allOf": [link]},
    "property": lambda link: {"type": "object", "properties": {"a": link}},
    "items": lambda link: {"type": "array", "items": link},
    "null": lambda link: {"anyOf": [link, NULL]},
    "values": lambda link: {"type": "object", "additionalProperties": link},
}


@pytest.mark.parametrize("name", LINKS)
def test_a_thousand_models_that_refer_each_to_the_next_are_gone_through(name: str) -> None:
    depth = 1500
    models = {f"M{n}": LINKS[name]({"$ref": f"#/$defs/M{n + 1}"}) for n in range(depth)}
    models[f"M{depth}"] = {"type": "complex"}
    whole = {"type": "object", "properties": {"a": {"$ref": "#/$defs/M0"}}, "$defs": models}
    assert [place.keys[1] for place in undrawn(whole, (), is_draft_7=False)] == [f"M{depth}"]
