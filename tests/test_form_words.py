"""FR209: what is said of each thing that the web form cannot draw."""

from __future__ import annotations

from typing import Any

import pytest
from test_web_form import DISCRIMINATOR, NULL, NUMBER, REFS, TEXT, schema

from pytest_fractal.pointers import pointer
from pytest_fractal.rules.form_drawing import undrawn

NO_FORM = ": the web client shows no form"
ONE_TYPE = "one type: object, array, number, integer, boolean, string"
NO_TYPE = "no type: the form shows an error in its place"
HINT = "give size a type hint that is not `Any`, such as `size: float`"
HOLDS = "say what the list holds, such as `size: list[float]`"
KEYWORDS = "keywords of JSON Schema"
JAVASCRIPT = "a regular expression that JavaScript knows, too"
WITHOUT = "write it without what only Python knows"
THEN_NULL = "one type, or one and then null"
ONE_OF_THEM = (
    "write one type for size, or `T | None` in this order; for several models give each a field "
    '`kind: Literal["..."]`, and write `Annotated[A | B, Field(discriminator="kind")]`'
)
MAY_VARY = "a list whose length may vary, or a tuple"
TUPLE = "write a tuple, such as `size: tuple[float, float]`"
OBJECT = "a schema that is an object, with a type"
FORMATS = "one of the formats binary, byte, date, date-time, double, duration, ..."
PREFIX = "`prefixItems`, as the dialect 2020-12 has it"
A_LIST = "`items` that are a list: the web client shows no form"
ANEW = "generate the schema anew with pydantic 2, or rename `items` to `prefixItems`"

Reported = tuple[str, str, str, str]
"""Where (`.` is the argument), what is expected, what is found, and the fix."""


def passed_on(key: str) -> str:
    return f"remove {key!r}, such as an argument of `Field` that pydantic passes on"


WORDS: list[tuple[Any, list[Reported], list[Reported] | None]] = [
    # The value, what is said of it by draft 7, and by 2020-12 where that differs.
    ({}, [(".", ONE_TYPE, NO_TYPE, HINT)], None),
    ({"title": "Sigma", "default": 1}, [(".", ONE_TYPE, NO_TYPE, HINT)], None),
    ({"const": "a"}, [(".", ONE_TYPE, NO_TYPE, HINT)], None),
    (
        NULL,
        [("./type", ONE_TYPE, "the type null: the form shows an error in its place", HINT)],
        None,
    ),
    (
        {"type": ["string", "null"]},
        [
            (
                "./type",
                ONE_TYPE,
                "the type ['string', 'null']: the form shows an error in its place",
                HINT,
            )
        ],
        None,
    ),
    (True, [(".", OBJECT, f"true{NO_FORM}", HINT)], None),
    ({"type": "array", "items": {}}, [("./items", ONE_TYPE, NO_TYPE, HOLDS)], None),
    ({"type": "array", "items": True}, [("./items", OBJECT, f"true{NO_FORM}", HOLDS)], None),
    (
        {"type": "object", "additionalProperties": {}},
        [
            (
                "./additionalProperties",
                ONE_TYPE,
                NO_TYPE,
                "say what the values are, such as `size: dict[str, float]`",
            )
        ],
        None,
    ),
    (
        {"type": "object", "additionalProperties": True},
        [
            (
                "./additionalProperties",
                "a type for the values",
                "values of any type: the form fails when a key is added",
                "say what they are, such as `size: dict[str, float]`",
            )
        ],
        None,
    ),
    (
        {"anyOf": [NULL, NUMBER], "default": None},
        [("./anyOf", THEN_NULL, "2 choices, null first", ONE_OF_THEM)],
        None,
    ),
    ({"anyOf": [TEXT, NUMBER]}, [("./anyOf", THEN_NULL, "2 choices", ONE_OF_THEM)], None),
    ({"anyOf": [TEXT, REFS[0]]}, [("./anyOf", THEN_NULL, "2 choices", ONE_OF_THEM)], None),
    ({"anyOf": REFS}, [("./anyOf", THEN_NULL, "2 choices", ONE_OF_THEM)], None),
    ({"anyOf": [TEXT, NUMBER, NULL]}, [("./anyOf", THEN_NULL, "3 choices", ONE_OF_THEM)], None),
    (
        {"anyOf": [{"oneOf": REFS, "discriminator": DISCRIMINATOR}, NULL], "default": None},
        [
            (
                "./default",
                "a default that is one of the models, or none",
                f"null for a choice of models{NO_FORM}",
                "give size a model as its default, such as `A()`",
            )
        ],
        None,
    ),
    (
        {"oneOf": REFS, "discriminator": {"propertyName": "kind"}},
        [("./discriminator", KEYWORDS, f"'discriminator'{NO_FORM}", passed_on("discriminator"))],
        None,
    ),
    (
        {"type": "array", "items": NUMBER, "minItems": 3, "maxItems": 3},
        [(".", MAY_VARY, "a list of 3 items: the form fails", TUPLE)],
        None,
    ),
    (
        {"anyOf": [{"type": "array", "items": NUMBER, "minItems": 3, "maxItems": 3}, NULL]},
        [("./anyOf/0", MAY_VARY, "a list of 3 items: the form fails", TUPLE)],
        None,
    ),
    (
        {"minItems": 2, "maxItems": 2, "type": "array", "items": [NUMBER, TEXT]},
        [],
        [
            ("./items", PREFIX, A_LIST, ANEW),
            (".", MAY_VARY, "a list of 2 items: the form fails", TUPLE),
        ],
    ),
    (
        {"minItems": 2, "maxItems": 2, "type": "array", "prefixItems": [NUMBER, TEXT]},
        [
            ("./prefixItems", KEYWORDS, f"'prefixItems'{NO_FORM}", passed_on("prefixItems")),
            (".", MAY_VARY, "a list of 2 items: the form fails", TUPLE),
        ],
        [],
    ),
    (
        {"type": "array", "prefixItems": [NUMBER, TEXT]},
        [("./prefixItems", KEYWORDS, f"'prefixItems'{NO_FORM}", passed_on("prefixItems"))],
        [
            (
                "./prefixItems",
                '"minItems": 2 and "maxItems": 2 beside \'prefixItems\'',
                f"a tuple of no fixed length{NO_FORM}",
                "write `tuple[...]` with 2 types, or add both",
            )
        ],
    ),
    (
        {"type": "string", "format": "path"},
        [
            (
                "./format",
                FORMATS,
                f"the format 'path'{NO_FORM}",
                "write `size: str`, and make of it what you need in the task",
            )
        ],
        None,
    ),
    (
        {"type": "string", "units": "um"},
        [("./units", KEYWORDS, f"'units'{NO_FORM}", passed_on("units"))],
        None,
    ),
    (
        {"type": "string", "pattern": "(?i)a"},
        [("./pattern", JAVASCRIPT, f"(?i) in '(?i)a'{NO_FORM}", WITHOUT)],
        None,
    ),
    (
        {"type": "string", "pattern": "a\\Z"},
        [("./pattern", JAVASCRIPT, f"\\Z in 'a\\\\Z'{NO_FORM}", WITHOUT)],
        None,
    ),
    (
        {"type": "string", "pattern": "(?P<a>b)"},
        [("./pattern", JAVASCRIPT, f"(?P< in '(?P<a>b)'{NO_FORM}", WITHOUT)],
        None,
    ),
    (
        {"type": "string", "minimum": 0},
        [
            (
                "./minimum",
                '"type": "number" beside \'minimum\'',
                f"string{NO_FORM}",
                'add "type": "number", or remove \'minimum\'',
            )
        ],
        None,
    ),
    (
        {"type": "object", "properties": {}, "required": ["a"]},
        [
            (
                "./required",
                "a property 'a', since it is required",
                f"there is none{NO_FORM}",
                "remove 'a' from `required`",
            )
        ],
        None,
    ),
    (
        {"type": "array", "items": {}, "minItems": 1, "maxItems": 2},
        [("./items", ONE_TYPE, NO_TYPE, HOLDS)],
        None,
    ),
    (
        {"type": "array", "minItems": 0, "maxItems": 0, "items": NUMBER},
        [(".", MAY_VARY, "a list of 0 items: the form fails", TUPLE)],
        None,
    ),
    (
        {"minItems": 2, "maxItems": 2, "type": "array", "prefixItems": [NUMBER, {}]},
        [
            ("./prefixItems", KEYWORDS, f"'prefixItems'{NO_FORM}", passed_on("prefixItems")),
            (".", MAY_VARY, "a list of 2 items: the form fails", TUPLE),
        ],
        [("./prefixItems/1", ONE_TYPE, NO_TYPE, HINT)],
    ),
    (
        {"minItems": 2, "maxItems": 2, "type": "array", "items": [NUMBER, {}]},
        [("./items/1", ONE_TYPE, NO_TYPE, HINT)],
        [
            ("./items", PREFIX, A_LIST, ANEW),
            (".", MAY_VARY, "a list of 2 items: the form fails", TUPLE),
        ],
    ),
    (
        {"type": "array", "prefixItems": [NUMBER], "minItems": 1, "items": False},
        [
            ("./prefixItems", KEYWORDS, f"'prefixItems'{NO_FORM}", passed_on("prefixItems")),
            ("./items", OBJECT, f"false{NO_FORM}", HOLDS),
        ],
        [("./items", OBJECT, f"false{NO_FORM}", HOLDS)],
    ),
    (
        {"type": "array", "items": [NUMBER], "minItems": 1, "additionalItems": False},
        [],
        [
            (
                "./additionalItems",
                KEYWORDS,
                f"'additionalItems'{NO_FORM}",
                passed_on("additionalItems"),
            ),
            ("./items", PREFIX, A_LIST, ANEW),
        ],
    ),
    (
        {"type": "array", "prefixItems": [NUMBER], "minItems": 2, "maxItems": 2},
        [
            ("./prefixItems", KEYWORDS, f"'prefixItems'{NO_FORM}", passed_on("prefixItems")),
            (".", MAY_VARY, "a list of 2 items: the form fails", TUPLE),
        ],
        [
            (
                "./prefixItems",
                '"minItems": 1 and "maxItems": 1 beside \'prefixItems\'',
                f"a tuple of no fixed length{NO_FORM}",
                "write `tuple[...]` with 1 types, or add both",
            )
        ],
    ),
    (
        {
            "allOf": [
                {"type": "object", "required": ["a"], "properties": {"a": NUMBER}},
                {"required": ["b", "a"], "properties": {"b": {}}},
            ]
        },
        [
            (
                "./allOf/1/properties/b",
                ONE_TYPE,
                NO_TYPE,
                "give b a type hint that is not `Any`, such as `b: float`",
            )
        ],
        None,
    ),
    (
        {"$ref": "#/$defs/Nowhere"},
        [
            (
                "./$ref",
                "a reference such as #/$defs/Name, with letters and digits",
                f"#/$defs/Nowhere, which the client cannot follow{NO_FORM}",
                "give what it refers to a plain name under `$defs`",
            )
        ],
        None,
    ),
    (
        {"$ref": "other.json"},
        [
            (
                "./$ref",
                "a reference such as #/$defs/Name, with letters and digits",
                f"other.json, which the client cannot follow{NO_FORM}",
                "give what it refers to a plain name under `$defs`",
            )
        ],
        None,
    ),
    ({"$ref": "#/properties/zarr_url"}, [], None),
    (
        {"$ref": "#/$defs/Blur", "title": "x", "oneOf": [{}]},
        [("./oneOf/0", ONE_TYPE, NO_TYPE, HINT)],
        None,
    ),
    ({"anyOf": [{"minimum": 0}, NULL], "type": "number"}, [], None),
    (
        {"anyOf": [{"type": "object", "properties": {"x": {}}}, NULL]},
        [
            (
                "./anyOf/0/properties/x",
                ONE_TYPE,
                NO_TYPE,
                "give x a type hint that is not `Any`, such as `x: float`",
            )
        ],
        None,
    ),
    ({"anyOf": [True, NULL]}, [("./anyOf", THEN_NULL, "2 choices", ONE_OF_THEM)], None),
    (
        {"anyOf": [NULL, NULL]},
        [("./anyOf", THEN_NULL, "2 choices, null first", ONE_OF_THEM)],
        None,
    ),
    ({"anyOf": []}, [("./anyOf", THEN_NULL, "0 choices", ONE_OF_THEM)], None),
    ({"anyOf": [TEXT, NUMBER], "type": "string"}, [], None),
    ({"anyOf": [TEXT, NUMBER], "oneOf": [TEXT]}, [], None),
    ({"oneOf": [TEXT, {}], "default": "a"}, [("./oneOf/1", ONE_TYPE, NO_TYPE, HINT)], None),
    (
        {"oneOf": [{"minimum": 0}], "type": "number"},
        [("./oneOf/0", ONE_TYPE, NO_TYPE, HINT)],
        None,
    ),
    (
        {"type": "integer", "minimum": 0, "maxLength": 3},
        [
            (
                "./maxLength",
                '"type": "string" beside \'maxLength\'',
                f"integer{NO_FORM}",
                'add "type": "string", or remove \'maxLength\'',
            )
        ],
        None,
    ),
    (
        {"type": "string", "required": ["a"]},
        [
            (
                "./required",
                '"type": "object" beside \'required\'',
                f"string{NO_FORM}",
                'add "type": "object", or remove \'required\'',
            )
        ],
        None,
    ),
    ({"type": "string", "required": []}, [], None),
    (
        {"required": ["a"], "properties": {"b": TEXT}},
        [
            (
                "./properties",
                '"type": "object" beside \'properties\'',
                f"no type{NO_FORM}",
                'add "type": "object", or remove \'properties\'',
            ),
            (
                "./required",
                '"type": "object" beside \'required\'',
                f"no type{NO_FORM}",
                'add "type": "object", or remove \'required\'',
            ),
            (".", ONE_TYPE, NO_TYPE, HINT),
        ],
        None,
    ),
    (
        {"type": "number", "properties": {}},
        [
            (
                "./properties",
                '"type": "object" beside \'properties\'',
                f"number{NO_FORM}",
                'add "type": "object", or remove \'properties\'',
            )
        ],
        None,
    ),
    (
        {
            "type": "object",
            "properties": {"a": {"type": "object", "properties": {"b": {}}}},
            "additionalProperties": {"type": "object", "additionalProperties": True},
        },
        [
            (
                "./properties/a/properties/b",
                ONE_TYPE,
                NO_TYPE,
                "give b a type hint that is not `Any`, such as `b: float`",
            ),
            (
                "./additionalProperties/additionalProperties",
                "a type for the values",
                "values of any type: the form fails when a key is added",
                "say what they are, such as `size: dict[str, float]`",
            ),
        ],
        None,
    ),
    (
        {"type": "string", "pattern": "\\\\(?i)a"},
        [("./pattern", JAVASCRIPT, f"\\\\(?i) in '\\\\\\\\(?i)a'{NO_FORM}", WITHOUT)],
        None,
    ),
    ({"type": "string", "pattern": "\\(?i)a"}, [], None),
    (
        {"type": "string", "pattern": "(?#x)"},
        [("./pattern", JAVASCRIPT, f"(?# in '(?#x)'{NO_FORM}", WITHOUT)],
        None,
    ),
    (
        {"type": "string", "pattern": "(?(1)a)"},
        [("./pattern", JAVASCRIPT, f"(?( in '(?(1)a)'{NO_FORM}", WITHOUT)],
        None,
    ),
    (
        {"type": "string", "format": "x", "pattern": "(?i)"},
        [
            (
                "./format",
                FORMATS,
                f"the format 'x'{NO_FORM}",
                "write `size: str`, and make of it what you need in the task",
            ),
            ("./pattern", JAVASCRIPT, f"(?i) in '(?i)'{NO_FORM}", WITHOUT),
        ],
        None,
    ),
    (
        {"discriminator": {"mapping": {}, "propertyName": 1}, "oneOf": [TEXT]},
        [("./discriminator", KEYWORDS, f"'discriminator'{NO_FORM}", passed_on("discriminator"))],
        None,
    ),
    (
        {"discriminator": {"mapping": 1, "propertyName": "a"}, "oneOf": [TEXT]},
        [("./discriminator", KEYWORDS, f"'discriminator'{NO_FORM}", passed_on("discriminator"))],
        None,
    ),
    (
        {"discriminator": 1, "oneOf": [TEXT]},
        [("./discriminator", KEYWORDS, f"'discriminator'{NO_FORM}", passed_on("discriminator"))],
        None,
    ),
    (
        {"discriminator": {"mapping": {}, "propertyName": "a"}, "type": "string"},
        [("./discriminator", KEYWORDS, f"'discriminator'{NO_FORM}", passed_on("discriminator"))],
        None,
    ),
    (
        {"unevaluatedItems": False, "type": "array"},
        [
            (
                "./unevaluatedItems",
                KEYWORDS,
                f"'unevaluatedItems'{NO_FORM}",
                passed_on("unevaluatedItems"),
            )
        ],
        [],
    ),
    (
        {"additionalItems": False, "type": "array"},
        [],
        [
            (
                "./additionalItems",
                KEYWORDS,
                f"'additionalItems'{NO_FORM}",
                passed_on("additionalItems"),
            )
        ],
    ),
]


def reported(value: Any, *, is_draft_7: bool) -> list[Reported]:
    places = undrawn(schema(size=value), ("zarr_url",), is_draft_7=is_draft_7)
    return [
        (
            pointer(*place.keys).replace("/properties/size", ".", 1),
            place.expected,
            place.found,
            place.hint,
        )
        for place in places
    ]


@pytest.mark.parametrize("number", range(len(WORDS)))
def test_what_is_said_of_what_the_client_cannot_draw(number: int) -> None:
    value, of_7, of_2020 = WORDS[number]
    assert reported(value, is_draft_7=True) == of_7
    assert reported(value, is_draft_7=False) == (of_7 if of_2020 is None else of_2020)


@pytest.mark.parametrize(
    ("is_draft_7", "declared", "right"),
    [
        (True, "https://json-schema.org/draft/2020-12/schema", "draft-07/schema"),
        (False, "http://json-schema.org/draft-07/schema#", "draft/2020-12/schema"),
    ],
)
def test_what_is_said_of_a_dialect_that_the_client_does_not_take(
    is_draft_7: bool, declared: str, right: str
) -> None:
    value = schema(size={})
    (place,) = undrawn({**value, "$schema": declared}, (), is_draft_7=is_draft_7)
    assert (place.keys, place.found) == (("$schema",), f"{declared}{NO_FORM}")
    assert place.expected.endswith(f"json-schema.org/{right}")
    assert place.hint == f"remove $schema, or write {place.expected!r}"
    for taken in (place.expected, f"{place.expected}#", "http://json-schema.org/schema#"):
        (other,) = undrawn({**value, "$schema": taken}, (), is_draft_7=is_draft_7)
        assert other.expected == ONE_TYPE


def test_what_is_said_of_models_that_lead_back_to_themselves() -> None:
    value = schema(size={"$ref": "#/$defs/A"}, other={})
    value["$defs"] |= {
        "A": {"properties": {"b": {"$ref": "#/$defs/B"}}},
        "B": {"type": "array", "items": [{"$ref": "#/$defs/C"}]},
        "C": {"properties": {"b": {"$ref": "#/$defs/B"}}},
    }
    (place,) = undrawn(value, ("zarr_url",), is_draft_7=False)
    assert place.expected == "models that do not lead back to themselves"
    assert place.found in [
        f"#/$defs/{name}, which leads back to itself{NO_FORM}" for name in ("B", "C")
    ]
    assert place.keys[-1] == "$ref"
    assert place.hint == "take a list of models that name their parent, or a text to parse"


def test_what_is_said_of_the_whole_form() -> None:
    def of(**keys: Any) -> list[Reported]:
        places = undrawn({**schema(size=TEXT), **keys}, ("zarr_url",), is_draft_7=False)
        return [
            (pointer(*place.keys), place.expected, place.found, place.hint) for place in places
        ]

    assert of() == of(required=["zarr_url"]) == of(required="size") == []
    assert of(required=["size", "gone"]) == [
        (
            "/required",
            "a property 'gone', since it is required",
            f"there is none{NO_FORM}",
            "remove 'gone' from `required`",
        )
    ]
    assert of(own=1) == [("/own", KEYWORDS, f"'own'{NO_FORM}", passed_on("own"))]
    assert of(allOf=[{"required": ["a"]}, {"required": ["b"]}])[0][0] == "/allOf/1/required"
