"""FR209: what is said of each thing that the tasks' own tool refuses in a schema."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from test_web_form import FLAG, NULL, NUMBER, REFS, TEXT, schema

from pytest_fractal.pointers import pointer
from pytest_fractal.rules.form_limits import form_limits


class Words(NamedTuple):
    """What a limit says whatever is found."""

    code: str
    expected: str
    hint: str
    is_in_code: bool = True


E01 = Words(
    "E01",
    (
        "no argument called args, kwargs, v__args, v__duplicate_kwargs, v__kwargs, "
        "v__positional_only"
    ),
    ("give it a name that says what it is; instead of *args and **kwargs, name each argument"),
)
E03 = Words(
    "E03",
    "choices of one type",
    ('write all of them as texts, `Literal["1", "auto"]`, and convert in the task'),
)
E04 = Words(
    "E04",
    "one of type, anyOf, oneOf, items, $ref",
    "give size a type hint that is not `Any`: `size: float`",
)
E04_B = Words(
    "E04",
    "one of type, anyOf, oneOf, items, $ref",
    ("generate the schema anew with pydantic 2.10 or newer, which tells the type"),
    is_in_code=False,
)
E04_C = Words(
    "E04",
    "one of type, anyOf, oneOf, items, $ref",
    "say what the list holds, such as `size: list[float]`",
)
E05 = Words("E05", "a default", "write `size: bool = False`")
E05_B = Words(
    "E05",
    "a list without booleans",
    (
        "instead of `list[bool]` take the choices that are true, `size: list[str]`, or "
        "a list of models"
    ),
)
E06 = Words(
    "E06",
    "an object whose values are no booleans",
    (
        "instead of `dict[str, bool]` take the names for which it is true, `size: "
        "list[str]`, or a model with a field for each"
    ),
)
E07 = Words(
    "E07",
    "a default without empty texts",
    (
        "make it optional, `size: str | None = None`, or leave the empty text out: the "
        "form sends none for a field that is empty"
    ),
)
E08 = Words(
    "E08",
    "a tuple without booleans",
    (
        "make the boolean an argument of its own with a default, or take a model with "
        "named fields instead of the tuple"
    ),
)
E10 = Words(
    "E10",
    "a boolean that is true or false",
    (
        'write `size: bool = False`; for three answers `size: Literal["yes", "no", '
        '"unset"] = "unset"`'
    ),
)
E11 = Words(
    "E11",
    "a choice that cannot be null",
    ('add a choice for it instead of None: `size: Literal[..., "none"] = "none"`'),
)
E12 = Words(
    "E12",
    "a choice that cannot be null",
    ('add a choice for it instead of None: `size: Literal[..., "none"] = "none"`'),
)
E13 = Words(
    "E13",
    "one simple type, or one and null",
    (
        "write one type for size: `float` for whole numbers too, `str` for what the "
        "task then converts"
    ),
)
E14 = Words(
    "E14",
    "one model, or one and null",
    (
        'for size give each model a field `kind: Literal["..."]` of its own, and write '
        '`Annotated[A | B, Field(discriminator="kind")]`'
    ),
)
E15 = Words("E15", "two choices at most", "write one type for size, or one and None")
E20 = Words(
    "E20",
    "a discriminator that tells which of the models it is",
    (
        'for size give each model a field `kind: Literal["..."]` of its own, and write '
        '`Annotated[A | B, Field(discriminator="kind")]`'
    ),
)
E21 = Words(
    "E21",
    "a discriminator that tells which of the models it is",
    (
        'for size give each model a field `kind: Literal["..."]` of its own, and write '
        '`Annotated[A | B, Field(discriminator="kind")]`'
    ),
)
E22 = Words(
    "E22",
    "a reference to a model",
    (
        "let size be one of several models and nothing else; what is no model goes "
        "into a model with one field"
    ),
)
I91 = Words("I91", "references such as #/$defs/NAME", "put what it refers to under `$defs`")
E05_C = Words("E05", "a default beside `anyOf`", "write `size: bool = False`")
E04_D = Words(
    "E04",
    "one of type, anyOf, oneOf, items, $ref",
    ("generate the schema anew with pydantic 2, which writes tuples as `prefixItems`"),
    is_in_code=False,
)
E04_E = Words(
    "E04",
    "one of type, anyOf, oneOf, items, $ref",
    "give a a type hint that is not `Any`: `a: float`",
)
E05_D = Words("E05", "a default", "write `a: bool = False`")

LIMITS: list[tuple[Any, list[tuple[Words, str, str]]]] = [
    # The value, and of each limit its words, its place and what is found.
    ({"type": "number", "name": "args"}, [(E01, "./name", '"name": "args"')]),
    ({"enum": ["auto", 1], "type": "string"}, [(E03, "./enum", '["auto", 1]')]),
    ({"enum": [1, True], "type": "integer"}, [(E03, "./enum", "[1, true]")]),
    ({}, [(E04, ".", "{}")]),
    ({"title": "Sigma", "default": 1}, [(E04, ".", '{"title": "Sigma", "default": 1}')]),
    ({"enum": ["a", "b"]}, [(E04_B, ".", '{"enum": ["a", "b"]}')]),
    (
        {"allOf": [REFS[0]], "default": {}},
        [(E04_B, ".", '{"allOf": [{"$ref": "#/$defs/Blur"}], "default": {}}')],
    ),
    ({"type": "array", "items": {}}, [(E04_C, "./items", "{}")]),
    ({"type": "array", "items": True}, [(E04_C, "./items", "true")]),
    (FLAG, [(E05, ".", "a boolean without default")]),
    ({"type": "array", "items": FLAG}, [(E05_B, "./items", "a boolean without default")]),
    ({"type": "object", "additionalProperties": FLAG}, [(E06, ".", "an object of booleans")]),
    ({"type": "string", "default": ""}, [(E07, "./default", '""')]),
    ({"type": "string", "default": " \t"}, [(E07, "./default", '" \\t"')]),
    ({"type": "array", "items": TEXT, "default": ["a", ""]}, [(E07, "./default", '["a", ""]')]),
    ({"type": "object", "default": {"": "a"}}, [(E07, "./default", '{"": "a"}')]),
    ({"type": "object", "default": {"a": ""}}, [(E07, "./default", '{"a": ""}')]),
    ({"type": "array", "prefixItems": [NUMBER, FLAG]}, [(E08, "./prefixItems/1", "a boolean")]),
    ({"anyOf": [FLAG, NULL], "default": None}, [(E10, "./anyOf", "a boolean that may be null")]),
    ({"anyOf": [NULL, FLAG], "default": True}, [(E10, "./anyOf", "a boolean that may be null")]),
    (
        {"anyOf": [{"type": "string", "enum": ["a"]}, NULL]},
        [(E11, "./anyOf", 'a choice that may be null: {"type": "string", "enum": ["a"]}')],
    ),
    (
        {"anyOf": [{"$ref": "#/$defs/Mode"}, NULL]},
        [(E12, "./anyOf", 'a choice that may be null: {"type": "string", "enum": ["a"]}')],
    ),
    ({"anyOf": [TEXT, NUMBER]}, [(E13, "./anyOf", "string or number")]),
    ({"anyOf": [TEXT, NUMBER, NULL]}, [(E13, "./anyOf", "string or number")]),
    ({"anyOf": REFS}, [(E14, "./anyOf", "#/$defs/Blur or #/$defs/Sharpen")]),
    (
        {"anyOf": [REFS[0], {"$ref": "#/$defs/Sharpen"}, NULL]},
        [(E14, "./anyOf", "#/$defs/Blur or #/$defs/Sharpen")],
    ),
    ({"anyOf": [TEXT, REFS[0], NULL]}, [(E15, "./anyOf", "3 choices")]),
    ({"type": "array", "items": TEXT, "oneOf": REFS}, [(E20, "./oneOf", "`oneOf` without one")]),
    ({"oneOf": REFS}, [(E21, "./oneOf", "`oneOf` without one")]),
    (
        {"oneOf": [REFS[0], NUMBER], "discriminator": {}},
        [(E22, "./oneOf/1", '{"type": "number"}')],
    ),
    ({"anyOf": [{"$ref": "other"}, NULL]}, [(I91, "./anyOf", '"other"')]),
    ({"anyOf": [{"$ref": "#/$defs/None"}, NULL]}, [(I91, "./anyOf", '"#/$defs/None"')]),
    ({"anyOf": [{"$ref": "#/$defs/Mode/x"}, NULL]}, [(I91, "./anyOf", '"#/$defs/Mode/x"')]),
    ({"anyOf": [{"$ref": "#/x/Mode"}, NULL]}, [(I91, "./anyOf", '"#/x/Mode"')]),
    ({"anyOf": [FLAG, NULL, TEXT], "default": None}, [(E13, "./anyOf", "boolean or string")]),
    ({"anyOf": [FLAG]}, [(E05_C, "./anyOf/0", "a boolean without default")]),
    (
        {"anyOf": [{"type": "array", "items": [TEXT]}, NULL]},
        [(E04_D, "./anyOf/0/items", '[{"type": "string"}]')],
    ),
    ({"oneOf": [True, REFS[0]], "discriminator": {}}, [(E22, "./oneOf/0", "true")]),
    (
        {"type": "array", "oneOf": [REFS[0]], "items": {"discriminator": {}}},
        [(E04_C, "./items", '{"discriminator": {}}')],
    ),
    ({"type": "number", "name": "sigma"}, []),
    ({"type": "number", "name": 1}, []),
    ({"anyOf": [{"type": "string", "enum": ["a"]}]}, []),
    ({"enum": [], "type": "string"}, []),
    (
        {"type": "object", "additionalProperties": FLAG, "default": {"a": " "}},
        [(E06, ".", "an object of booleans"), (E07, "./default", '{"a": " "}')],
    ),
    ({"anyOf": [TEXT, NULL, NULL]}, [(E15, "./anyOf", "3 choices")]),
    (
        {"anyOf": [TEXT, NUMBER, FLAG, NULL], "default": 1},
        [(E13, "./anyOf", "string or number or boolean")],
    ),
    ({"type": "object", "properties": {"a": {}}}, [(E04_E, "./properties/a", "{}")]),
    (
        {"items": {"properties": {"a": FLAG}}},
        [
            (E04_C, "./items", '{"properties": {"a": {"type": "boolean"}}}'),
            (E05_D, "./items/properties/a", "a boolean without default"),
        ],
    ),
    (
        {"anyOf": ["x", TEXT, NUMBER]},
        [(E13, "./anyOf", "string or number"), (E04, "./anyOf/0", '"x"')],
    ),
]


@pytest.mark.parametrize("number", range(len(LIMITS)))
def test_what_is_said_of_what_the_tasks_own_tool_refuses(number: int) -> None:
    value, expected = LIMITS[number]
    said = [
        (
            Words(limit.code, limit.expected, limit.hint, limit.is_in_code),
            pointer(*limit.keys).replace("/properties/size", ".", 1),
            limit.found,
        )
        for limit in form_limits(schema(size=value))
    ]
    assert said == expected
