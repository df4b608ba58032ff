"""Arguments that are made from a schema are valid under it."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from pytest_fractal.generations import VERSION_1, VERSION_2
from pytest_fractal.samples.generated import make_arguments

SCHEMAS: dict[str, Any] = {
    "string": {"type": "string"},
    "format": {"type": "string", "format": "date-time"},
    "uuid": {"type": "string", "format": "uuid"},
    "min_length": {"type": "string", "minLength": 30},
    "max_length": {"type": "string", "maxLength": 2},
    "no_length": {"type": "string", "maxLength": 0},
    "pattern_well": {"type": "string", "pattern": "^[A-Z][0-9]+$"},
    "pattern_digits": {"type": "string", "pattern": r"^\d+$", "minLength": 12},
    "pattern_short": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 1},
    "pattern_suffix": {"type": "string", "pattern": r"\.zarr$"},
    "pattern_colour": {"type": "string", "pattern": "^#[0-9a-fA-F]{6}$"},
    "pattern_literal": {"type": "string", "pattern": r"^wavelength\.id$"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "null": {"type": "null"},
    "several_types": {"type": ["integer", "null"]},
    "anything": {},
    "true": True,
    "minimum": {"type": "integer", "minimum": 7},
    "fractional_minimum": {"type": "integer", "minimum": 6.5},
    "maximum": {"type": "number", "maximum": -2.5},
    "exclusive_minimum": {"type": "integer", "exclusiveMinimum": 1},
    "exclusive_maximum": {"type": "integer", "exclusiveMaximum": 0},
    "narrow": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.1},
    "between_integers": {"type": "number", "minimum": 2.25, "maximum": 2.75},
    "both_minima": {"type": "integer", "minimum": 5, "exclusiveMinimum": 5},
    "multiple": {"type": "integer", "multipleOf": 5, "minimum": 3},
    "multiple_of_a_tenth": {"type": "number", "multipleOf": 0.25, "exclusiveMinimum": 3},
    "negative_multiple": {"type": "integer", "multipleOf": 7, "maximum": -1},
    "even_exclusive": {"type": "integer", "multipleOf": 2, "exclusiveMinimum": 4},
    "enum": {"enum": ["a", "b"]},
    "const": {"const": {"deep": [1]}},
    "default": {"type": "integer", "minimum": 3, "default": 9},
    "any_of": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    "any_of_with_more": {"anyOf": [{"minLength": 9}, {"maxLength": 2}], "type": "string"},
    "one_of": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
    "one_of_numbers": {
        "oneOf": [{"type": "number", "minimum": 9}, {"type": "integer", "maximum": 3}]
    },
    "one_of_references": {"oneOf": [{"$ref": "#/$defs/Node"}, {"type": "integer"}]},
    "all_of": {"allOf": [{"type": "integer", "minimum": 3}, {"minimum": 8}, {"maximum": 9}]},
    "all_of_objects": {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
            {
                "properties": {"b": {"type": "string"}, "a": {"minimum": 5}},
                "required": ["b"],
            },
        ]
    },
    "all_of_enums": {"allOf": [{"enum": [1, 2, 3]}, {"enum": [3, 4]}]},
    "reference": {"$ref": "#/$defs/Channel"},
    "reference_with_more": {"allOf": [{"$ref": "#/$defs/Channel"}], "title": "Channel"},
    "reference_chain": {"$ref": "#/$defs/Alias"},
    "reference_escaped": {"$ref": "#/$defs/a~1b~0c"},
    "recursive": {"$ref": "#/$defs/Node"},
    "nested": {
        "type": "object",
        "properties": {
            "inner": {
                "type": "object",
                "properties": {"channel": {"$ref": "#/$defs/Channel"}},
                "required": ["channel"],
            }
        },
        "required": ["inner"],
    },
    "array": {"type": "array", "items": {"type": "string"}},
    "min_items": {"type": "array", "items": {"$ref": "#/$defs/Channel"}, "minItems": 2},
    "unique_items": {
        "type": "array",
        "items": {"type": "integer"},
        "minItems": 4,
        "uniqueItems": True,
    },
    "unique_texts": {
        "type": "array",
        "items": {"type": "string"},
        "minItems": 3,
        "uniqueItems": True,
    },
    "unique_choices": {
        "type": "array",
        "items": {"enum": [1, 2, 3]},
        "minItems": 3,
        "uniqueItems": True,
    },
    "prefix_items": {
        "type": "array",
        "prefixItems": [{"type": "integer"}, {"type": "string"}],
        "minItems": 2,
        "maxItems": 2,
    },
    "prefix_items_and_more": {
        "type": "array",
        "prefixItems": [{"type": "integer"}],
        "items": {"type": "boolean"},
        "minItems": 3,
    },
    "short_prefix": {"type": "array", "prefixItems": [{"type": "integer"}] * 3, "maxItems": 1},
    "map": {"type": "object", "additionalProperties": {"type": "integer"}},
    "required_in_map": {
        "type": "object",
        "additionalProperties": {"type": "integer"},
        "required": ["a"],
    },
    "min_properties": {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "additionalProperties": {"type": "string"},
        "minProperties": 2,
    },
}

DEFINITIONS = {
    "Channel": {
        "type": "object",
        "properties": {
            "wavelength_id": {"type": "string", "pattern": "^A[0-9]{2}$"},
            "index": {"type": "integer"},
            "window": {"$ref": "#/$defs/Window"},
        },
        "required": ["wavelength_id", "window"],
        "additionalProperties": False,
    },
    "Window": {
        "type": "object",
        "properties": {"start": {"type": "integer"}, "end": {"type": "number", "minimum": 2}},
        "required": ["start", "end"],
    },
    "Alias": {"$ref": "#/$defs/Window"},
    "a/b~c": {"type": "integer", "minimum": 4},
    "Node": {
        "type": "object",
        "properties": {"next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}},
        "required": ["next"],
    },
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_required_argument_is_valid(name: str) -> None:
    schema = {
        "type": "object",
        "properties": {"argument": SCHEMAS[name], "optional": {"type": "string"}},
        "required": ["argument"],
        "additionalProperties": False,
        "$defs": DEFINITIONS,
    }
    jsonschema.Draft202012Validator.check_schema(schema)
    made = make_arguments(schema)
    assert set(made) == {"argument"}
    jsonschema.Draft202012Validator(schema).validate(made)


# Excerpts of what pydantic 1 and its manifest tools make of tasks in the field.
PYDANTIC_1: dict[str, Any] = {
    "title": "CellposeSegmentation",
    "type": "object",
    "properties": {
        "input_paths": {"title": "Input Paths", "type": "array", "items": {"type": "string"}},
        "output_path": {"title": "Output Path", "type": "string"},
        "component": {"title": "Component", "type": "string"},
        "metadata": {"title": "Metadata", "type": "object"},
        "level": {"title": "Level", "type": "integer"},
        "channel": {"$ref": "#/definitions/ChannelInputModel", "title": "Channel"},
        "pair": {
            "type": "array",
            "minItems": 2,
            "maxItems": 2,
            "items": [{"type": "integer"}, {"type": "string"}],
        },
        "choice": {"title": "Choice", "default": "new", "allOf": [{"enum": ["new", "old"]}]},
        "bound": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.5},
        "channels": {
            "type": "object",
            "additionalProperties": {"$ref": "#/definitions/ChannelInputModel"},
        },
        "use_gpu": {"title": "Use Gpu", "default": True, "type": "boolean"},
    },
    "required": [
        "input_paths",
        "output_path",
        "component",
        "metadata",
        "level",
        "channel",
        "pair",
        "choice",
        "bound",
        "channels",
    ],
    "additionalProperties": False,
    "definitions": {
        "ChannelInputModel": {
            "title": "ChannelInputModel",
            "type": "object",
            "properties": {
                "wavelength_id": {"title": "Wavelength Id", "type": "string"},
                "label": {"title": "Label", "type": "string"},
            },
        }
    },
}


def test_a_schema_as_pydantic_1_makes_it() -> None:
    made = make_arguments(PYDANTIC_1)
    assert set(made) == set(PYDANTIC_1["required"])
    jsonschema.Draft7Validator(PYDANTIC_1).validate(made)


def test_a_schema_as_pydantic_2_makes_it() -> None:
    from typing import Annotated, Literal

    from pydantic import BaseModel, Field, conlist

    class Window(BaseModel):
        start: int
        end: Annotated[float, Field(gt=0, le=1)]

    class Channel(BaseModel):
        wavelength_id: Annotated[str, Field(pattern="^A[0-9]{2}_C[0-9]{2}$")] | None
        window: Window | None
        mode: Literal["a", "b"]
        other: Channel | None

    class Arguments(BaseModel, extra="forbid"):
        zarr_url: str
        channel: Channel
        channels: conlist(Channel, min_length=2)  # type: ignore[valid-type]
        sizes: tuple[int, str, float]
        by_name: dict[str, Window]
        union: int | str
        flag: bool = True

    schema = Arguments.model_json_schema()
    made = make_arguments(schema)
    made["channel"]["wavelength_id"] = "A01_C01"  # not simple
    for channel in made["channels"]:
        channel["wavelength_id"] = "A01_C01"
    jsonschema.Draft202012Validator(schema).validate(made)
    Arguments.model_validate(made)


BROKEN: list[dict[str, Any]] = [
    {"type": "string", "pattern": "("},
    {"type": "string", "minLength": "9"},
    {"type": "integer", "minimum": "9"},
    {"type": "integer", "multipleOf": 0},
    {"type": "integer", "minimum": float("inf")},
    {"enum": []},
    {"enum": "abc"},
    {"type": "number", "minimum": 3, "maximum": 1},
    {"type": "string", "format": []},
    {"type": "array", "minItems": 10**9},
    {"type": "array", "items": 3, "minItems": 1},
    {"type": "array", "prefixItems": 3},
    {"type": "string", "maxLength": -1},
    {"type": "integer", "minimum": float("nan")},
    {"$ref": "https://example.org/schema"},
    {"$ref": "#/properties/a"},
]


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "array"},
        {"required": "a"},
        {"required": [1, None]},
        {"properties": []},
        {"type": "object", "properties": {"a": 3}, "required": ["a"]},
        {"type": []},
        {"$ref": 3},
        {"$ref": "#/nowhere"},
        {"$ref": "#"},
        {"allOf": 3},
        {"allOf": [3]},
        {"anyOf": []},
        {"anyOf": [None]},
        {"type": ["object"], "minProperties": -1},
        *({"type": "object", "required": ["a"], "properties": {"a": schema}} for schema in BROKEN),
    ],
)
def test_a_broken_schema_makes_something(schema: dict[str, Any]) -> None:
    assert isinstance(make_arguments(schema), dict)


@pytest.mark.parametrize(
    ("properties", "given", "handed_on"),
    [
        ({"a": {"default": 1}, "b": {}}, {}, {"a": 1}),
        ({"a": {"default": 1}}, {"a": 2}, {"a": 2}),
        ({"a": {"default": None}, "b": {"$ref": "#/$defs/B"}}, {"c": 3}, {"c": 3}),
        ({"metadata": {"default": {}}, "a": {"default": 1}}, {"b": 2}, {}),
        ({"metadata": {"default": None}}, {"b": 2}, {"b": 2}),
    ],
)
def test_the_server_of_version_1_hands_defaults_on(
    properties: dict[str, Any], given: dict[str, Any], handed_on: dict[str, Any]
) -> None:
    schema = {"properties": properties, "$defs": {"B": {"default": 1}}}
    assert VERSION_1.as_handed_on(schema, given) == handed_on
    assert VERSION_2.as_handed_on(schema, given) == given
