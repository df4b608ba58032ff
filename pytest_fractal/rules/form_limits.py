"""What the tasks' own tool refuses in a schema, for FR209.

Facts from fractal-task-tools 0.5.1, whose `validate_schema` refuses a schema at the first of
these; here all of them are reported, each under the code that it has there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pytest_fractal.json_text import shown
from pytest_fractal.pointers import Keys
from pytest_fractal.rules.schema_access import name_at


@dataclass(frozen=True)
class FormLimitation:
    """One place of a schema that the tool refuses."""

    code: str
    """As the tasks' own tool numbers it, such as `E05`."""
    keys: Keys
    """The way to the place, from the schema's root."""
    expected: str
    found: str
    hint: str
    """How to write the argument's type instead, in Python, or how to generate the schema."""
    is_in_code: bool = True
    """Whether the fix is in the code, after which the schema has to be generated anew."""


_NULL: Final = {"type": "null"}
_BOOLEAN: Final = {"type": "boolean"}
_PRIMITIVES: Final = frozenset({"boolean", "string", "integer", "number"})
_SHAPES: Final = ("type", "anyOf", "oneOf", "items", "$ref")
_NAMES: Final = frozenset(
    {"args", "kwargs", "v__args", "v__kwargs", "v__duplicate_kwargs", "v__positional_only"}
)
_TAGGED: Final = (
    'give each model a field `kind: Literal["..."]` of its own, and write '
    '`Annotated[A | B, Field(discriminator="kind")]`'
)


def form_limits(schema: Mapping[str, Any]) -> Iterator[FormLimitation]:
    """All places that the tool refuses, in the order of the schema.

    `schema` is a valid JSON Schema whose references resolve. What is described in
    `definitions` is looked at too, although the tool does not get that far.
    """
    for keys, part, parent in _parts(schema, ()):
        if not isinstance(part, dict):
            yield _untyped(keys, part)
            continue
        yield from _of_names(keys, part)
        yield from _of_one(keys, part, parent)
        yield from _of_any(keys, part, schema)
        yield from _of_tagged(keys, part)


def _parts(
    schema: Any, keys: Keys, parent: Mapping[str, Any] | None = None
) -> Iterator[tuple[Keys, Any, Mapping[str, Any] | None]]:
    """Every subschema that the tool looks at, and the one whose `anyOf` holds it."""
    yield keys, schema, parent
    if not isinstance(schema, dict):
        return
    for key in ("$defs", "definitions", "properties"):
        named = schema.get(key)
        for name, inner in named.items() if isinstance(named, dict) else ():
            yield from _parts(inner, (*keys, key, name))
    if "items" in schema:
        yield from _parts(schema["items"], (*keys, "items"))
    for index, inner in enumerate(_listed(schema, "anyOf")):
        yield from _parts(inner, (*keys, "anyOf", index), schema)


def _of_names(keys: Keys, schema: Mapping[str, Any]) -> Iterator[FormLimitation]:
    expected = f"no argument called {', '.join(sorted(_NAMES))}"
    hint = "give it a name that says what it is; instead of *args and **kwargs, name each argument"
    name = schema.get("name")
    if isinstance(name, str) and name in _NAMES:
        yield FormLimitation("E01", (*keys, "name"), expected, f'"name": {json.dumps(name)}', hint)


def _of_one(
    keys: Keys, schema: Mapping[str, Any], parent: Mapping[str, Any] | None
) -> Iterator[FormLimitation]:
    if "definitions" in schema:
        yield FormLimitation(
            "E02",
            (*keys, "definitions"),
            "shared parts under `$defs`, and references such as #/$defs/NAME",
            "they are under `definitions`, which the form does not look into",
            "generate the schema anew with pydantic 2: fractal-task-tools, `fractal-manifest "
            "create`",
            is_in_code=False,
        )
    values = _listed(schema, "enum")
    if len({type(value) for value in values}) > 1:
        yield FormLimitation(
            "E03",
            (*keys, "enum"),
            "choices of one type",
            shown(values),
            'write all of them as texts, `Literal["1", "auto"]`, and convert in the task',
        )
    if not any(key in schema for key in _SHAPES):
        yield _untyped(keys, schema)
    if schema.get("type") == "boolean" and "default" not in {**schema, **(parent or {})}:
        yield _boolean(keys)
    if schema.get("type") == "object" and schema.get("additionalProperties") == _BOOLEAN:
        yield FormLimitation(
            "E06",
            keys,
            "an object whose values are no booleans",
            "an object of booleans",
            f"instead of `dict[str, bool]` take the names for which it is true, "
            f"`{name_at(keys)}: list[str]`, or a model with a field for each",
        )
    if any(isinstance(text, str) and not text.strip() for text in _texts(schema.get("default"))):
        yield FormLimitation(
            "E07",
            (*keys, "default"),
            "a default without empty texts",
            shown(schema["default"]),
            f"make it optional, `{name_at(keys)}: str | None = None`, or leave the empty text "
            "out: the form sends none for a field that is empty",
        )
    for index, inner in enumerate(_listed(schema, "prefixItems")):
        if inner == _BOOLEAN:
            yield FormLimitation(
                "E08",
                (*keys, "prefixItems", index),
                "a tuple without booleans",
                "a boolean",
                "make the boolean an argument of its own with a default, or take a model with "
                "named fields instead of the tuple",
            )


def _of_any(
    keys: Keys, schema: Mapping[str, Any], root: Mapping[str, Any]
) -> Iterator[FormLimitation]:
    choices = [item for item in _listed(schema, "anyOf") if isinstance(item, dict)]
    if not choices:
        return
    name, here = name_at(keys), (*keys, "anyOf")
    models = [choice for choice in choices if choice != _NULL]
    nullable = len(models) < len(choices)
    if nullable and models == [_BOOLEAN] and len(choices) == 2:
        yield FormLimitation(
            "E10",
            here,
            "a boolean that is true or false",
            "a boolean that may be null",
            f"write `{name}: bool = False`; for three answers "
            f'`{name}: Literal["yes", "no", "unset"] = "unset"`',
        )
    for model in models if nullable else ():
        target, error = _target(model, root)
        if error is not None:
            yield FormLimitation(
                "I91",
                here,
                "references such as #/$defs/NAME",
                error,
                "put what it refers to under `$defs`",
            )
        if "enum" in model or "enum" in target:
            yield FormLimitation(
                "E11" if "enum" in model else "E12",
                here,
                "a choice that cannot be null",
                f"a choice that may be null: {shown(target)}",
                f'add a choice for it instead of None: `{name}: Literal[..., "none"] = "none"`',
            )
    primitives = [model["type"] for model in models if model.get("type") in _PRIMITIVES]
    references = [choice["$ref"] for choice in choices if "$ref" in choice]
    if len(primitives) > 1:
        yield FormLimitation(
            "E13",
            here,
            "one simple type, or one and null",
            f"{' or '.join(primitives)}",
            f"write one type for {name}: `float` for whole numbers too, `str` for what the task "
            "then converts",
        )
    if len(references) > 1:
        yield FormLimitation(
            "E14",
            here,
            "one model, or one and null",
            f"{' or '.join(map(str, references))}",
            f"for {name} {_TAGGED}",
        )
    if len(primitives) <= 1 and len(references) <= 1 and len(_listed(schema, "anyOf")) > 2:
        yield FormLimitation(
            "E15",
            here,
            "two choices at most",
            f"{len(_listed(schema, 'anyOf'))} choices",
            f"write one type for {name}, or one and None",
        )


def _of_tagged(keys: Keys, schema: Mapping[str, Any]) -> Iterator[FormLimitation]:
    if "oneOf" not in schema:
        return
    of_items = "items" in schema
    place = schema["items"] if of_items else schema
    if not (isinstance(place, dict) and "discriminator" in place):
        yield FormLimitation(
            "E20" if of_items else "E21",
            (*keys, "oneOf"),
            "a discriminator that tells which of the models it is",
            "`oneOf` without one",
            f"for {name_at(keys)} {_TAGGED}",
        )
    for index, item in enumerate(_listed(schema, "oneOf")):
        if not (isinstance(item, dict) and "$ref" in item):
            yield FormLimitation(
                "E22",
                (*keys, "oneOf", index),
                "a reference to a model",
                shown(item),
                f"let {name_at(keys)} be one of several models and nothing else; "
                "what is no model goes into a model with one field",
            )


def _untyped(keys: Keys, schema: Any) -> FormLimitation:
    is_in_code = False
    if isinstance(schema, list):
        hint = "generate the schema anew with pydantic 2, which writes tuples as `prefixItems`"
    elif isinstance(schema, dict) and ("allOf" in schema or "enum" in schema or "const" in schema):
        hint = "generate the schema anew with pydantic 2.10 or newer, which tells the type"
    else:
        is_in_code = True
        hint = f"give {name_at(keys)} a type hint that is not `Any`: `{name_at(keys)}: float`"
        if keys[-1:] == ("items",):
            hint = f"say what the list holds, such as `{name_at(keys)}: list[float]`"
    expected = f"one of {', '.join(_SHAPES)}"
    return FormLimitation("E04", keys, expected, shown(schema), hint, is_in_code)


def _boolean(keys: Keys) -> FormLimitation:
    name = name_at(keys)
    if keys[-1:] == ("items",):
        expected, hint = (
            "a list without booleans",
            f"instead of `list[bool]` take the choices that are true, `{name}: list[str]`, or a "
            "list of models",
        )
    elif "anyOf" in keys[-2:]:
        expected, hint = "a default beside `anyOf`", f"write `{name}: bool = False`"
    else:
        expected, hint = "a default", f"write `{name}: bool = False`"
    return FormLimitation("E05", keys, expected, "a boolean without default", hint)


def _target(schema: Mapping[str, Any], root: Mapping[str, Any]) -> tuple[Any, str | None]:
    """What a schema refers to, itself without a reference, and what the form trips over."""
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return schema, None
    way = reference.split("/")
    defs = root.get("$defs")
    if way[:2] != ["#", "$defs"] or len(way) != 3 or not isinstance(defs, dict):
        return {}, json.dumps(reference)
    found = defs.get(way[2])
    return (found, None) if isinstance(found, dict) else ({}, json.dumps(reference))


def _listed(schema: Mapping[str, Any], key: str) -> Sequence[Any]:
    value = schema.get(key)
    return value if isinstance(value, list) else ()


def _texts(default: Any) -> Iterator[Any]:
    """What of a default the form would show."""
    if isinstance(default, dict):
        yield from default
        yield from default.values()
    elif isinstance(default, list):
        yield from default
    else:
        yield default
