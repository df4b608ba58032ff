"""Making a value for every argument that a schema tells of."""

from __future__ import annotations

import time
from typing import Any

import pytest

from pytest_fractal.samples.every_argument import make_every_argument

SUB = {"type": "object", "properties": {"n": {"type": "integer"}, "name": {"type": "string"}}}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer"}, 1),
        ({"type": "string", "default": "said"}, "said"),
        ({"type": "boolean", "default": False}, False),
        ({"type": "array", "items": {"type": "string"}, "default": []}, ["text"]),
        ({"type": "array", "items": {"type": "string"}, "maxItems": 0}, []),
        ({"enum": ["a", "b"], "type": "string"}, "a"),
        ({"const": 3}, 3),
        ({"$ref": "#/$defs/Sub"}, {"n": 1, "name": "text"}),
        ({"$ref": "#/$defs/Sub", "default": {"n": 5}}, {"n": 5, "name": "text"}),
        ({"$ref": "#/$defs/Sub", "default": {"n": 5, "name": None}}, {"n": 5, "name": "text"}),
        ({"$ref": "#/$defs/Sub", "default": {"n": 5, "m": 6}}, {"n": 5, "m": 6, "name": "text"}),
        ({"type": "array", "prefixItems": [SUB, {"const": 2}]}, [{"n": 1, "name": "text"}, 2]),
        ({"type": "array", "items": [{"type": "integer"}, {"const": 2}]}, [1, 2]),
        ({"type": "array", "items": {"enum": ["a", "b"]}}, ["a", "b"]),
        ({"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 1}, ["a"]),
        ({"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": "1"}, ["a", "b"]),
        ({"type": "array", "items": {"anyOf": [{"const": 2}, True, {"const": 3}]}}, [2, 3]),
        (
            {"type": "array", "items": {"oneOf": [SUB, {"type": "null"}, {"type": "integer"}]}},
            [{"n": 1, "name": "text"}, 1],
        ),
        ({"allOf": [{"$ref": "#/$defs/Sub"}], "default": {}}, {"n": 1, "name": "text"}),
        ({"anyOf": [{"type": "null"}, {"$ref": "#/$defs/Sub"}]}, {"n": 1, "name": "text"}),
        ({"type": "array", "items": {"$ref": "#/$defs/Sub"}}, [{"n": 1, "name": "text"}]),
        (
            {"type": "object", "additionalProperties": {"$ref": "#/$defs/Sub"}},
            {"text": {"n": 1, "name": "text"}},
        ),
        ({"type": "object", "additionalProperties": SUB, "maxProperties": 0}, {}),
        ({"$ref": "#/$defs/Circle"}, {"n": 1}),
    ],
)
def test_each_is_made(schema: dict[str, Any], value: object) -> None:
    circle = {"properties": {"n": {"type": "integer"}, "more": {"$ref": "#/$defs/Circle"}}}
    whole = {"properties": {"x": schema}, "$defs": {"Sub": SUB, "Circle": circle}}
    assert make_every_argument(whole) == {"x": value}


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"$ref": "#/nowhere"},
        {"$ref": "https://example.org/"},
        {"$ref": "#/properties/x"},
        {"allOf": [{"type": "string"}, {"minLength": 5}]},
        {"anyOf": []},
        True,
        7,
        {"type": ["string", "null"]},
    ],
)
def test_what_is_not_simple_is_left_out(schema: object) -> None:
    assert make_every_argument({"properties": {"x": schema, "y": {"const": 1}}}) == {"y": 1}


def test_models_that_refer_to_each_other_twice_come_to_an_end() -> None:
    level = {
        f"M{n}": {"properties": {k: {"$ref": f"#/$defs/M{n + 1}"} for k in "ab"}}
        for n in range(40)
    }
    started = time.process_time()
    make_every_argument({"properties": {"x": {"$ref": "#/$defs/M0"}}, "$defs": level})
    assert time.process_time() - started < 1
