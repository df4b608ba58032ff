"""FR2: tables of schemas, each with exactly the findings that it deserves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from wheel_factory import broken, candidate_of, good_manifest, make_wheel, verdicts

from pytest_fractal.fixes.model import Action
from pytest_fractal.rules import REGISTRY
from pytest_fractal.verdicts import Finding, Outcome, Severity

RESERVED: dict[str, Any] = {
    "input_paths": {"type": "array", "items": {"type": "string"}},
    "output_path": {"type": "string"},
    "metadata": {"type": "object"},
}
DRAFTS = (
    "http://json-schema.org/draft-04/schema#",
    "http://json-schema.org/draft-06/schema#",
    "http://json-schema.org/draft-07/schema#",
    "http://json-schema.org/draft-07/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
)


def schema(properties: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A good schema with these properties beside the reserved ones."""
    return {
        "type": "object",
        "properties": {**RESERVED, **(properties or {})},
        **{
            key.replace("_", "$", 1) if key.startswith("_") else key: part
            for key, part in more.items()
        },
    }


def found(folder: Path, args_schema: object, *codes: str) -> list[tuple[str, str]]:
    """Code and pointer within the schema of each finding."""
    manifest = good_manifest()
    manifest["task_list"][0]["args_schema"] = args_schema
    wheel = make_wheel(folder, manifest=manifest)
    return [
        (code, (at or "").removeprefix("/task_list/0/args_schema"))
        for code, _, at in broken(wheel, *(codes or ("FR202", "FR203", "FR204", "FR207")))
    ]


A = {"$ref": "#/definitions/A"}


@pytest.mark.parametrize("draft", DRAFTS)
def test_a_good_schema_passes_by_every_draft(tmp_path: Path, draft: str) -> None:
    keyword = "$defs" if "20" in draft else "definitions"
    good = schema(
        {"a": {"allOf": [{"$ref": f"#/{keyword}/A"}], "default": 1}, "b": {"enum": ["x", None]}},
        _schema=draft,
        **{keyword: {"A": {"type": "integer", "minimum": 0}}},
    )
    assert found(tmp_path, good) == []


@pytest.mark.parametrize(
    ("bad", "pointers"),
    [
        (schema({"a": {"type": "int"}}), ["/properties/a/type"]),
        (
            schema({"a": {"type": "int"}, "b": {"minimum": "1"}}),
            ["/properties/a/type", "/properties/b/minimum"],
        ),
        (schema(required="a"), ["/required"]),
        (schema({"a": {"enum": "x"}}), ["/properties/a/enum"]),
        (
            schema({"a": {"minimum": 0, "exclusiveMinimum": True}}),
            ["/properties/a/exclusiveMinimum"],
        ),
        (schema({"a/b~": {"type": None}}), ["/properties/a~1b~0/type"]),
        (schema(definitions={"A": {"items": [1]}}), ["/definitions/A/items"]),
        # By 7, which `pydantic_v1` stands for, `items` may be a list.
        (schema({"a": {"items": [{}]}}), []),
        (schema({"a": {"items": [{}]}}, _schema=DRAFTS[2]), []),
        (schema({"a": {"minimum": 0, "exclusiveMinimum": True}}, _schema=DRAFTS[0]), []),
        (
            schema({"a": {"exclusiveMinimum": 1}}, _schema=DRAFTS[0]),
            ["/properties/a", "/properties/a/exclusiveMinimum"],
        ),
        (schema(_schema="https://example.org/own"), ["/$schema"]),
        (schema(_schema="https://json-schema.org/draft/2020-12/schema/"), ["/$schema"]),
        (schema(_schema=7), ["/$schema"]),
        (schema(_schema=["x"]), ["/$schema"]),
        (schema(_schema=""), ["/$schema"]),
        (schema(_schema=None), ["/$schema"]),
        (schema({"a": {"pattern": r"^\p{L}+$"}, "b": {"unknownWord": 1}}), []),
        (schema({"a": True, "b": {"not": False, "items": True}}), []),
        (schema({"a": {"default": {"type": "int"}, "examples": [{"type": 5}]}}), []),
        (schema({"type": {"type": "string"}, "required": {"type": "boolean"}}), []),
    ],
)
def test_a_schema_is_valid_by_its_draft(
    tmp_path: Path, bad: dict[str, Any], pointers: list[str]
) -> None:
    assert sorted(found(tmp_path, bad, "FR202")) == [("FR202", at) for at in pointers]


@pytest.mark.parametrize(
    ("version", "schema_of_a", "severities"),
    [
        ("pydantic_v1", {"items": [{}]}, []),
        ("pydantic_v2", {"items": [{}]}, [Severity.WARNING]),
        ("fractal_schema_v1", {"items": [{}]}, [Severity.WARNING]),
        ("own", {"items": [{}]}, [Severity.WARNING]),
        ("pydantic_v1", {"prefixItems": 1}, []),
        ("pydantic_v2", {"prefixItems": 1}, [None]),
        ("own", {"prefixItems": 1}, [None]),
        (None, {"type": "int"}, [None]),
    ],
)
def test_without_a_declared_draft_the_version_of_the_schemas_tells_it(
    tmp_path: Path, version: str | None, schema_of_a: dict[str, Any], severities: list[object]
) -> None:
    manifest = {**good_manifest(), "args_schema_version": version}
    manifest["task_list"][0]["args_schema"] = schema({"a": schema_of_a})
    (verdict,) = verdicts(make_wheel(tmp_path, manifest=manifest), "FR202")
    assert [found.severity for found in verdict.findings] == severities


@pytest.mark.parametrize(
    ("uri", "severities"),
    [
        ("http://json-schema.org/draft-07/schema#", []),
        ("http://json-schema.org/draft-07/schema", []),
        ("https://json-schema.org/draft-07/schema#", [Severity.WARNING]),
        ("http://json-schema.org/draft/2020-12/schema", [Severity.WARNING]),
        ("https://json-schema.org/draft/2020-12/schema#", []),
        ("https://json-schema.org/draft/2025-12/schema", [None]),
    ],
)
def test_a_draft_that_is_nearly_named_is_a_warning(
    tmp_path: Path, uri: str, severities: list[object]
) -> None:
    manifest = good_manifest()
    manifest["task_list"][0]["args_schema"] = schema({"a": {"default": 1}}, _schema=uri)
    judged = verdicts(make_wheel(tmp_path, manifest=manifest), "FR202", "FR204", "FR207")
    assert [finding.severity for verdict in judged for finding in verdict.findings] == severities


def test_a_schema_is_no_deeper_than_the_server_can_tell(tmp_path: Path) -> None:
    def outcome(levels: int) -> Outcome:
        deep: Any = {"a": 0}
        for _ in range(levels - 4):
            deep = [deep]
        value = schema({"a": {"examples": deep}})
        task = {
            "name": "Demo task",
            "executable_non_parallel": "task.py",
            "args_schema_non_parallel": value,
        }
        manifest = {**good_manifest(), "manifest_version": "2", "task_list": [task]}
        (verdict,) = verdicts(make_wheel(tmp_path, manifest=manifest), "FR202")
        return verdict.outcome

    assert outcome(255) is Outcome.PASS
    assert outcome(256) is Outcome.FAIL


@pytest.mark.parametrize(
    ("properties", "severities"),
    [
        ({"a": {"type": "integer", "default": 1}}, []),
        # The server fills in what stands in the property itself, and is not null.
        ({"a": {"type": "integer", "default": "1"}}, [Severity.ERROR]),
        ({"a": {"enum": ["x"], "default": "y"}}, [Severity.ERROR]),
        ({"a": {"type": "integer", "default": None}}, [None]),
        ({"a": {"allOf": [{"type": "integer", "default": "1"}]}}, [None]),
        ({"a": {"type": "object", "properties": {"b": {"type": "null", "default": 1}}}}, [None]),
        # With one for what Fractal supplies it drops all arguments.
        ({"metadata": {"type": "object", "default": {}}}, [Severity.ERROR]),
        ({"metadata": {"type": "object", "default": None}}, [None]),
        ({"input_paths": {"type": "array", "default": []}}, [Severity.ERROR]),
    ],
)
def test_a_default_that_the_server_fills_in_is_an_error(
    tmp_path: Path, properties: dict[str, Any], severities: list[object]
) -> None:
    manifest = good_manifest()
    manifest["task_list"][0]["args_schema"] = schema(properties)
    (verdict,) = verdicts(make_wheel(tmp_path, manifest=manifest), "FR207")
    assert [found.severity for found in verdict.findings] == severities


def test_the_fix_of_a_null_within_a_default_names_its_place(tmp_path: Path) -> None:
    size = {"type": "object", "properties": {"x": {"type": "integer"}}, "default": {"x": None}}
    manifest = good_manifest()
    manifest["task_list"][0]["args_schema"] = schema({"size": size})
    ((found,),) = (v.findings for v in verdicts(make_wheel(tmp_path, manifest=manifest), "FR207"))
    assert found.hint == "leave /x out of the default, or let its type be Optional"
    assert found.severity is None, "pydantic 1 writes Optional[int] so, and the task takes null"


@pytest.mark.parametrize(
    ("version", "value", "severity"),
    [
        ("1", True, None),
        ("2", True, Severity.WARNING),
        ("2", False, Severity.WARNING),
        ("2", 1, None),
    ],
)
def test_a_property_that_is_true_breaks_the_server_of_version_1_only(
    tmp_path: Path, version: str, value: object, severity: object
) -> None:
    bad = schema({"a": value})
    task = {
        "1": {
            "args_schema": bad,
            "input_type": "Any",
            "output_type": "Any",
            "executable": "task.py",
        },
        "2": {"args_schema_non_parallel": bad, "executable_non_parallel": "task.py"},
    }[version]
    entry = {"name": "Demo task", **task}
    manifest = {**good_manifest(), "manifest_version": version, "task_list": [entry]}
    (verdict,) = verdicts(make_wheel(tmp_path, manifest=manifest), "FR203")
    assert [found.severity for found in verdict.findings] == [severity]


@pytest.mark.parametrize(
    ("bad", "pointers"),
    [
        ({}, ["", ""]),
        ({"type": "object"}, [""]),
        ({"type": "object", "properties": {}}, []),
        ({"properties": {}}, [""]),
        ({"type": ["object"], "properties": {}}, ["/type"]),
        ({"type": "array", "properties": []}, ["/type", "/properties"]),
        ({"type": "object", "properties": None}, ["/properties"]),
        (
            schema({"a": True, "b/c": False, "d": [], "e": None}),
            ["/properties/a", "/properties/b~1c", "/properties/d", "/properties/e"],
        ),
        ({"$ref": "#/$defs/A", "$defs": {"A": schema()}}, ["", ""]),
    ],
)
def test_the_arguments_are_an_object_of_objects(
    tmp_path: Path, bad: dict[str, Any], pointers: list[str]
) -> None:
    assert found(tmp_path, bad, "FR203") == [("FR203", at) for at in pointers]


@pytest.mark.parametrize("draft", [None, *DRAFTS])
@pytest.mark.parametrize(
    ("reference", "definition"),
    [
        ("#/definitions/A", "A"),
        ("#/definitions/a~1b", "a/b"),
        ("#/definitions/a~0b", "a~b"),
        ("#/definitions/a%25b", "a%b"),
        ("#/definitions/a%20b", "a b"),
        ("#/definitions/a b", "a b"),
        ("#/definitions/%C3%A4", "ä"),
        ("#/definitions/ä", "ä"),
        ("#/definitions/A[int]", "A[int]"),
        ("#", "A"),
        ("#/properties/metadata", "A"),
        ("#/definitions/A/allOf/0", "A"),
    ],
)
def test_references_to_a_part_of_the_schema_resolve(
    tmp_path: Path, draft: str | None, reference: str, definition: str
) -> None:
    good = schema(
        {"a": {"$ref": reference}},
        definitions={definition: {"allOf": [{}]}},
        **({"_schema": draft} if draft else {}),
    )
    assert found(tmp_path, good, "FR204") == []


@pytest.mark.parametrize(
    "good",
    [
        schema({"a": {"$ref": "#here"}}, _defs={"A": {"$anchor": "here"}}),
        schema({"a": {"$ref": "#here"}}, definitions={"A": {"$id": "#here"}}, _schema=DRAFTS[2]),
        schema({"a": A}, _id="https://example.org/a.json", definitions={"A": {}}),
        schema(
            {"a": {"$ref": "https://example.org/a.json#/definitions/A"}},
            _id="https://example.org/a.json",
            definitions={"A": {}},
        ),
        schema({"a": {"$ref": "https://example.org/a.json"}}, _id="https://example.org/a.json#"),
        schema(
            {"a": {"$ref": "a.json#/definitions/A"}},
            _id="https://example.org/a.json",
            definitions={"A": {}},
        ),
        schema(
            {"a": {"$ref": "b.json"}},
            _id="https://example.org/a.json",
            _defs={"B": {"$id": "b.json"}},
        ),
        schema(
            {"a": {"$ref": "https://example.org/b.json"}},
            _defs={"B": {"$id": "https://example.org/b.json"}},
        ),
        schema(
            {"a": A}, id="https://example.org/a.json", definitions={"A": {}}, _schema=DRAFTS[0]
        ),
        schema({"a": A, "b": {"$id": "http://[x"}}, definitions={"A": {}}),
        # `$ref` is the name of a property here, and a value.
        schema({"$ref": {"type": "string"}}),
        schema({"a": {"default": {"$ref": "#/none"}}, "b": {"enum": [{"$ref": "#/none"}]}}),
        schema({"a": {"properties": {"$ref": {"$ref": "#/properties/metadata"}}}}),
        # A recursive model.
        schema({"a": A}, definitions={"A": schema({"next": A})}),
    ],
)
def test_other_ways_to_refer_to_the_schema_itself_resolve(
    tmp_path: Path, good: dict[str, Any]
) -> None:
    assert found(tmp_path, good, "FR204") == []


@pytest.mark.parametrize(
    ("bad", "pointers"),
    [
        (schema({"a": A}), ["/properties/a/$ref"]),
        (schema({"a": A}, _defs={"A": {}}), ["/properties/a/$ref"]),
        (schema({"a": A}, definitions={"a": {}}), ["/properties/a/$ref"]),
        (schema({"a": {"$ref": "#here"}}), ["/properties/a/$ref"]),
        (schema({"a": {"$ref": "definitions.json"}}), ["/properties/a/$ref"]),
        (schema({"a": {"$ref": "/definitions/A"}}, definitions={"A": {}}), ["/properties/a/$ref"]),
        (
            schema({"a": {"$ref": "https://json-schema.org/draft/2020-12/schema"}}),
            ["/properties/a/$ref"],
        ),
        (
            schema(
                {"a": {"$ref": "https://example.org/ab.json#/definitions/A"}},
                _id="https://example.org/a",
                definitions={"A": {}},
            ),
            ["/properties/a/$ref"],
        ),
        (schema({"a": {"$ref": "file:///etc/passwd"}}), ["/properties/a/$ref"]),
        (schema({"a": {"$ref": "http://[x"}}), ["/properties/a/$ref"]),
        (
            schema(
                {"a": {"$ref": "#/properties/a/enum/x"}, "b": {"$ref": "#/required/0/x"}},
                required=["a"],
            ),
            ["/properties/a/$ref", "/properties/b/$ref"],
        ),
        (
            schema({"a": {"items": A, "anyOf": [{}, A], "not": A, "patternProperties": {"x": A}}}),
            [
                "/properties/a/anyOf/1/$ref",
                "/properties/a/items/$ref",
                "/properties/a/not/$ref",
                "/properties/a/patternProperties/x/$ref",
            ],
        ),
    ],
)
def test_references_that_lead_out_or_nowhere_are_reported(
    tmp_path: Path, bad: dict[str, Any], pointers: list[str]
) -> None:
    assert sorted(found(tmp_path, bad, "FR204")) == [("FR204", at) for at in pointers]


@pytest.mark.parametrize(
    ("properties", "more", "pointers"),
    [
        ({"a": {"type": "integer", "default": 1}}, {}, []),
        ({"a": {"type": "integer", "default": "1"}}, {}, ["/properties/a/default"]),
        ({"a": {"type": "integer", "default": None}}, {}, ["/properties/a/default"]),
        ({"a": {"type": "integer", "default": 1.0}}, {}, []),
        ({"a": {"type": "integer", "default": True}}, {}, ["/properties/a/default"]),
        ({"a": {"enum": ["x"], "default": "y"}}, {}, ["/properties/a/default"]),
        (
            {"a/b~%#\t": {"type": "integer", "default": "1"}},
            {},
            ["/properties/a~1b~0%#\t/default"],
        ),
        (
            {"a": {"allOf": [A], "default": -1}},
            {"definitions": {"A": {"minimum": 0}}},
            ["/properties/a/default"],
        ),
        (
            {"a": A},
            {"definitions": {"A": schema({"b": {"type": "string", "default": 1}})}},
            ["/definitions/A/properties/b/default"],
        ),
        ({"a": {"items": {"type": "string", "default": 1}}}, {}, ["/properties/a/items/default"]),
        # A property called `default`, and a default that looks like a schema.
        ({"default": {"type": "string"}}, {}, []),
        ({"a": {"type": "object", "default": {"type": "integer", "default": "x"}}}, {}, []),
        # By draft 4, 6 and 7 what stands beside `$ref` does not count, but here it is reported.
        (
            {"a": {**A, "default": "x"}},
            {"definitions": {"A": {"type": "integer"}}},
            ["/properties/a/default"],
        ),
        ({"a": {"pattern": r"^\p{L}+$", "default": "x"}}, {}, []),
        ({"a": {"$id": "http://[x", "type": "null", "default": 1}}, {}, []),
        ({"a": {"pattern": "^x$", "default": "y"}}, {}, ["/properties/a/default"]),
        ({"a": {"multipleOf": 0.1, "default": 0.3}}, {}, []),
        ({"a": {"multipleOf": 0.1, "default": 0.35}}, {}, ["/properties/a/default"]),
        ({"a": {"multipleOf": 3, "default": 10**400}}, {}, ["/properties/a/default"]),
        ({"a": {"$ref": "#/properties/a", "default": 1}}, {}, []),
        (
            {"a": {**A, "default": {"next": {"next": 1}}}},
            {"definitions": {"A": {"type": "object", "properties": {"next": A}}}},
            ["/properties/a/default"],
        ),
        (
            {"a": {"type": "integer", "default": "1"}},
            {"_id": "https://example.org/a.json"},
            ["/properties/a/default"],
        ),
        (
            {"a": {"$ref": "b.json", "default": "1"}},
            {
                "_id": "https://example.org/a.json",
                "_defs": {"B": {"$id": "b.json", "type": "null"}},
            },
            ["/properties/a/default"],
        ),
    ],
)
def test_defaults_are_valid_by_their_own_schemas(
    tmp_path: Path, properties: dict[str, Any], more: dict[str, Any], pointers: list[str]
) -> None:
    assert found(tmp_path, schema(properties, **more), "FR207") == [
        ("FR207", at) for at in pointers
    ]


@pytest.mark.parametrize("draft", DRAFTS)
def test_defaults_are_judged_by_the_draft_that_is_declared(tmp_path: Path, draft: str) -> None:
    bad = schema(
        {"a": {"type": "array", "items": {"type": "null"}, "default": [1]}}, _schema=draft
    )
    assert found(tmp_path, bad, "FR207") == [("FR207", "/properties/a/default")]


@pytest.mark.parametrize("meta", [{}, {"parallelization_level": "image"}])
def test_the_reserved_arguments_are_those_of_the_kind_of_task(
    tmp_path: Path, meta: dict[str, Any]
) -> None:
    names = ["input_paths", "output_path", "component", "metadata"]
    for number, left_out in enumerate([None, *names]):
        manifest = good_manifest()
        properties: dict[str, Any] = {name: {} for name in names if name != left_out}
        manifest["task_list"][0] |= {
            "meta": meta,
            "args_schema": {"type": "object", "properties": properties},
        }
        wanted = set(names) if meta else {*names} - {"component"}
        expected = ["/properties"] * len(wanted - set(properties))
        if not meta and "component" in properties:
            expected.append("/properties/component")
        wheel = make_wheel(tmp_path / str(number), manifest=manifest)
        assert [at for _, _, at in broken(wheel, "FR205")] == [
            f"/task_list/0/args_schema{at}" for at in expected
        ]


def test_an_argument_of_fractals_that_only_the_schema_lacks_is_reported_once(
    tmp_path: Path,
) -> None:
    without = schema(
        {"threshold": {"type": "integer", "default": 3}}, required=["input_paths", "output_path"]
    )
    del without["properties"]["metadata"]
    assert found(tmp_path, without, "FR205", "FR206") == [("FR205", "/properties")]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        ({"has_args_schemas": False}, [(None, "/has_args_schemas")]),
        ({"has_args_schemas": "no"}, [(None, "/has_args_schemas")]),
        ({"has_args_schemas": "yes"}, []),
        ({"args_schema_version": ""}, [(None, "/args_schema_version")]),
        ({"args_schema_version": None}, [(None, "/args_schema_version")]),
        ({"args_schema_version": "anything"}, []),
    ],
)
def test_the_manifest_says_that_it_has_schemas(
    tmp_path: Path, changes: dict[str, Any], found: list[tuple[str | None, str]]
) -> None:
    wheel = make_wheel(tmp_path, manifest={**good_manifest(), **changes})
    assert [(task, at) for _, task, at in broken(wheel, "FR201")] == found


@pytest.mark.parametrize("value", [None, ...])
def test_every_task_has_its_schema(tmp_path: Path, value: object) -> None:
    manifest = good_manifest()
    (task,) = manifest["task_list"]
    without = {**task, "name": "Bare", "args_schema": value}
    if value is ...:
        del without["args_schema"]
    manifest["task_list"].append(without)
    wheel = make_wheel(tmp_path, manifest=manifest)
    assert broken(wheel, "FR201", "FR202") == [("FR201", "bare", "/task_list/1/args_schema")]
    skipped = {
        verdict.code
        for verdict in verdicts(wheel, "FR2")
        if verdict.task == "bare"
        if verdict.outcome.value == "skip"
    }
    assert skipped >= {"FR202", "FR203", "FR204"}


def test_a_schema_that_no_validator_can_follow_breaks_the_rule(tmp_path: Path) -> None:
    deep: dict[str, Any] = {}
    for _ in range(120):
        deep = {"type": "object", "properties": {"a": deep}}
    assert found(
        tmp_path,
        schema({"a": deep}, _schema="https://json-schema.org/draft/2020-12/schema"),
        "FR202",
    ) == [("FR202", "")]


def test_the_version_of_the_schemas_is_added_behind_that_of_the_manifest(tmp_path: Path) -> None:
    manifest = good_manifest()
    del manifest["args_schema_version"]
    candidate = candidate_of(make_wheel(tmp_path, manifest=manifest))
    (found,) = REGISTRY["FR201"].judge(candidate.manifest, candidate.wheel)
    assert isinstance(found, Finding)
    assert found.fix is not None
    (edit,) = found.fix.files[0].json
    assert (edit.keys, edit.value, edit.position) == (("args_schema_version",), "pydantic_v1", 2)


@pytest.mark.parametrize(
    ("tuple_", "edits"),
    [
        (
            {"items": [{"type": "number"}]},
            [(Action.RENAME, ("args_schema", "properties", "a", "items"), "prefixItems")],
        ),
        ({"items": [{"type": "number"}], "prefixItems": [{}]}, []),
    ],
)
def test_a_tuple_of_draft_7_is_renamed_where_the_new_name_is_free(
    tmp_path: Path, tuple_: dict[str, Any], edits: list[Any]
) -> None:
    manifest = good_manifest() | {"args_schema_version": "pydantic_v2"}
    manifest["task_list"][0]["args_schema"]["properties"]["a"] = {"type": "array", **tuple_}
    (task,) = candidate_of(make_wheel(tmp_path, manifest=manifest)).tasks
    (found,) = REGISTRY["FR202"].judge(task.parts[0])
    assert isinstance(found, Finding)
    files = found.fix.files if found.fix else ()
    said = [(edit.action, edit.keys[2:], edit.value) for file in files for edit in file.json]
    assert said == edits


@pytest.mark.parametrize(
    ("properties", "hint"),
    [
        ({"properties": 5}, "write a schema in its place"),
        ({"properties": {"items": 5}}, "correct 'items'"),
        ({"properties": {"properties": {"items": 5}}}, "write a schema in its place"),
        ({"definitions": {"definitions": {"properties": 5}}}, "write a schema in its place"),
    ],
)
def test_an_argument_that_is_called_as_a_keyword_is_an_argument(
    tmp_path: Path, properties: dict[str, Any], hint: str
) -> None:
    manifest = good_manifest()
    manifest["task_list"][0]["args_schema"]["properties"] |= properties
    (verdict,) = verdicts(make_wheel(tmp_path, manifest=manifest), "FR202")
    (found,) = verdict.findings
    assert found.hint.startswith(hint)
