"""What is said where the signature of a task disagrees with its schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from test_signatures import DEFINED, read, run

from pytest_fractal.rules.signature_match import SchemaMismatch, compare
from pytest_fractal.signatures.task_function import Signature


def properties(**schemas: Any) -> dict[str, Any]:
    return {"type": "object", "properties": schemas}


def pointers(source: str, schema: Mapping[str, Any]) -> list[str]:
    return [found.pointer for found in compare(read(source), schema)]


def test_a_schema_that_agrees() -> None:
    schema = properties(sigma={"type": "number"}, level={"type": "integer", "default": 2})
    assert pointers(DEFINED, schema | {"required": ["sigma"]}) == []


def test_a_missing_property() -> None:
    found = list(compare(read(DEFINED), properties(level={"default": 2})))
    assert [d.pointer for d in found] == ["/properties/sigma"]
    assert found[0].expected == ("a property `sigma`, which `demo()` takes (pkg/tasks/demo.py:2)")
    assert '"sigma" to `required`' in found[0].hint


def test_an_unknown_property() -> None:
    schema = properties(x={}, sigma={}, level={"default": 2}) | {"required": ["sigma", "x"]}
    assert pointers(DEFINED, schema) == ["/properties/x"]
    assert pointers("def demo(sigma, level=2, **kwargs): pass", schema) == []


def test_a_renamed_property_is_one_mistake() -> None:
    schema = properties(sgima={}, level={"default": 2}) | {"required": ["sgima"]}
    (found,) = compare(read(DEFINED), schema)
    assert (found.pointer, "`sigma`" in found.hint) == ("/properties/sgima", True)


def test_required_is_named_where_the_old_name_stands_there() -> None:
    schema = properties(sgima={}, level={"default": 2})
    for required, is_named in ((["sgima"], True), ([], False), ("sgima", False)):
        hints = [found.hint for found in compare(read(DEFINED), schema | {"required": required})]
        (hint,) = (hint for hint in hints if hint.startswith("rename the property `sgima`"))
        assert (", in `required` too" in hint) is is_named


def test_a_default_pairs_names_only_where_one_parameter_alone_has_it() -> None:
    """Whatever the names; of two parameters with that default, neither is meant."""
    source = "def demo(*, alpha: int = 7, omega: int = {}): pass"
    schema = properties(first={"default": 7}, second={})
    renamed = {
        number: [found.hint for found in compare(read(source.format(number)), schema)]
        for number in (8, 7)
    }
    assert any(hint.startswith("rename the property `first` to `alpha`") for hint in renamed[8])
    assert not any(hint.startswith("rename") for hint in renamed[7])


def test_required_ones_differ_both_ways() -> None:
    schema = properties(sigma={}, level={"default": 2})
    assert pointers(DEFINED, schema | {"required": ["level"]}) == ["/required/0", "/required"]
    assert pointers(DEFINED, schema) == ["/required"]
    assert pointers(DEFINED, schema | {"required": ["sigma", "tau"]}) == ["/required/1"]


@pytest.mark.parametrize(
    ("default", "schema"),
    [
        ("None", {}),
        ("None", {"default": None}),
        ("1", {"default": 1.0}),
        ("1.0", {"default": 1}),
        ("True", {"default": True}),
        ("(1, 'a')", {"default": [1, "a"]}),
        ("{'a': 1.0}", {"default": {"a": 1}}),
        ("Model()", {"default": {"a": 1}}),
        ("Model()", {}),
        ("Field(default_factory=list)", {}),
        ("Field(default_factory=list)", {"default": []}),
        ("2", {"$ref": "#/$defs/M", "default": 2}),
        ("2", {"allOf": [{"$ref": "#/$defs/M"}], "default": 2}),
        ("2", {"allOf": [{"default": 2}]}),
        ("4", {"$ref": "#/$defs/M"}),
        ("4", {"allOf": [{"$ref": "#/$defs/M"}]}),
        ("2", True),
    ],
)
def test_defaults_that_agree(default: str, schema: Any) -> None:
    source = f"from pydantic import Field\ndef demo(a={default}): pass"
    assert pointers(source, properties(a=schema) | {"$defs": {"M": {"default": 4}}}) == []


@pytest.mark.parametrize(
    ("default", "schema", "pointer"),
    [
        ("1", {"default": 2}, "/properties/a/default"),
        ("1", {"default": True}, "/properties/a/default"),
        ("False", {"default": 0}, "/properties/a/default"),
        ("'1'", {"default": 1}, "/properties/a/default"),
        ("None", {"default": 1}, "/properties/a/default"),
        ("1", {"default": None}, "/properties/a/default"),
        ("[1]", {"default": [1, 2]}, "/properties/a/default"),
        ("[1]", {"default": [True]}, "/properties/a/default"),
        ("{'a': 1}", {"default": {"b": 1}}, "/properties/a/default"),
        ("Field(default_factory=dict)", {"default": []}, "/properties/a/default"),
        ("1", {}, "/properties/a"),
        ("1", {"$ref": "#/$defs/M", "default": 2}, "/properties/a/default"),
        ("1", {"$ref": "#/$defs/loop"}, "/properties/a"),
        ("1", {"$ref": "#/$defs/none"}, "/properties/a"),
    ],
)
def test_defaults_that_disagree(default: str, schema: Any, pointer: str) -> None:
    source = f"from pydantic import Field\ndef demo(a={default}): pass"
    defs = {"M": {"default": 1}, "loop": {"$ref": "#/$defs/loop"}}
    assert pointers(source, properties(a=schema) | {"$defs": defs}) == [pointer]


def test_positional_only_parameters_are_a_mistake() -> None:
    schema = properties(a={}) | {"required": ["a"]}
    (found,) = compare(read("def demo(a, /): pass"), schema)
    assert (found.pointer, found.found) == ("/properties/a", "`a` is positional-only")


def test_malformed_parts_of_a_schema_are_left_to_other_rules() -> None:
    assert pointers(DEFINED, {"properties": []}) == []
    schema = properties(sigma=1, level=None)
    assert pointers(DEFINED, schema | {"required": "sigma"}) == []
    assert pointers(DEFINED, schema | {"required": [["x"], 1, "sigma"]}) == []


def test_what_partial_binds_need_not_be_a_property() -> None:
    source = "from functools import partial\ndef f(a, b): pass\n" + run("partial(f, b=2)")
    required = {"required": ["a"]}
    assert pointers(source, properties(a={}) | required) == []
    assert pointers(source, properties(a={}, b={"default": 2}) | required) == []
    assert pointers(source, properties(a={}, b={"default": 3}) | required) == [
        "/properties/b/default"
    ]


def test_the_order_is_that_of_the_schema_then_that_of_the_function() -> None:
    source = "def demo(a, b, c=1, d=1): pass"
    schema = properties(zzz={}, d={"default": 2}, yyy={}) | {"required": ["d"]}
    assert pointers(source, schema) == [
        "/properties/zzz",
        "/properties/d/default",
        "/properties/yyy",
        "/required/0",
        "/properties/a",
        "/properties/b",
        "/properties/c",
    ]


def test_pointers_are_escaped() -> None:
    assert pointers("def demo(): pass", properties(**{"a/b~": {}})) == ["/properties/a~1b~0"]


WORDS = Path(__file__).with_name("signature_words.txt").read_text("utf-8")
"""Functions and schemas, a line each, and below them all that is said of the two."""


@pytest.mark.parametrize("block", WORDS.strip().split("\n\n"))
def test_all_that_is_said_of_a_function_and_a_schema(block: str) -> None:
    source, schema, *said = block.splitlines()
    value = json.loads(schema)
    found = compare(read(source), value, value.pop("reported", ()))
    assert [line for mismatch in found for line in lines_of(mismatch)] == said


def lines_of(mismatch: SchemaMismatch) -> list[str]:
    edits = [
        " ".join([edit.action.value, *map(str, edit.keys), repr(edit.value), str(edit.position)])
        for edit in mismatch.edits
    ]
    return [
        f"{mismatch.pointer}: {mismatch.found}",
        f"  expected: {mismatch.expected}",
        f"  fix: {mismatch.hint}",
        *(f"  edit: {edit}" for edit in edits),
    ]


@pytest.mark.parametrize(
    ("annotation", "stated", "differs"),
    [
        ('Literal["a", "b"]', {"enum": ["b", "a"]}, False),
        ('Literal["a", "b"]', {"enum": ["a", "b", "c"]}, True),
        ('Literal["a", "b"]', {"enum": ["a"]}, True),
        ("Modes", {"enum": ["a"]}, True),
        ("typing.Literal[1]", {"enum": [True]}, True),
        ('Literal["a", "b"]', {"type": "string"}, False),
        ('Literal["a", "b"]', {"enum": "a"}, False),
        ('Literal["a", OTHER]', {"enum": ["a"]}, False),
        ('Optional[Literal["a"]]', {"enum": ["b"]}, False),
        ('own.Mode["a"]', {"enum": ["b"]}, False),
    ],
)
def test_the_values_of_a_literal(
    annotation: str, stated: Mapping[str, Any], differs: bool
) -> None:
    source = f"""
        import typing
        from typing import Literal, Optional
        Modes = Literal["a", "b"]
        def demo(mode: {annotation}): pass
        """
    schema = properties(mode=stated) | {"required": ["mode"]}
    found = list(compare(read(source), schema))
    assert [mismatch.pointer for mismatch in found] == ["/properties/mode/enum"] * differs
    for mismatch in found:
        (edit,) = mismatch.edits
        assert compare_after(read(source), schema, edit.value) == []


def compare_after(signature: Signature, schema: Mapping[str, Any], enum: Any) -> list[str]:
    """The pointers of what is left once the values are those of the fix."""
    inner = {"mode": {**schema["properties"]["mode"], "enum": enum}}
    return [found.pointer for found in compare(signature, {**schema, "properties": inner})]
