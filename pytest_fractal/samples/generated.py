"""Making arguments for a task out of its JSON Schema."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from math import ceil, floor, inf
from typing import Any, Final, TypeGuard
from urllib.parse import unquote

_FORMATS: Final = {
    "date": "2000-01-01",
    "date-time": "2000-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "duration": "P1D",
    "email": "a@example.org",
    "hostname": "example.org",
    "uri": "https://example.org/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
}
_WORDS: Final = (
    "text",
    "a",
    "A",
    "abc",
    "ABC",
    "Abc",
    "0",
    "1",
    "12",
    "1.0",
    "1.0.0",
    "a1",
    "A1",
    "A01",
    "a_1",
    "a-1",
    "#000000",
    "000000",
    "2000-01-01",
    "a.zarr",
    "a.zarr/B/03/0",
    "B/03/0",
    "a.png",
    "a.tif",
    "a.json",
    "/a",
    "/a/b",
    "a/b",
    "a@example.org",
    "https://example.org/",
    "true",
    "",
)
"""Texts of which a simple pattern allows one."""
_DEEP: Final = 20
_MANY: Final = 100
_LONG: Final = 10_000

_STRICTEST: Final = {
    "minimum": max,
    "exclusiveMinimum": max,
    "minLength": max,
    "minItems": max,
    "maximum": min,
    "exclusiveMaximum": min,
    "maxLength": min,
    "maxItems": min,
}


def make_arguments(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The smallest arguments that the schema asks for: its required properties.

    A default is taken where there is one, else the simplest value of the right form.
    The schema need not be valid; what it leaves open becomes null. Conditions
    (`not`, `if`, `dependentRequired`) are not heeded, nor patterns that are not simple.
    """
    made = _make(schema, schema, ())
    return made if isinstance(made, dict) else {}


_Way = tuple[str, ...]
"""The references that led to a schema, one or none ("") for each level."""


def _make(schema: object, root: Mapping[str, Any], way: _Way) -> Any:
    if not isinstance(schema, Mapping) or len(way) > _DEEP:
        return None
    references = tuple(_references(schema))
    if set(references) & set(way):
        return None  # it leads back to itself
    way = (*way, *(references or ("",)))
    schema = _flat(schema, root, ())
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if isinstance(choices := schema.get("enum"), list) and choices:
        return choices[0]
    kind = schema.get("type")
    match kind[0] if isinstance(kind, list) and kind else kind:
        case "object":
            return _make_object(schema, root, way)
        case "array":
            return _make_array(schema, root, way)
        case "string":
            return _make_string(schema)
        case "integer":
            return _make_number(schema, whole=True)
        case "number":
            return _make_number(schema, whole=False)
        case "boolean":
            return False
    return _make_object(schema, root, way) if "properties" in schema else None


def _references(schema: Mapping[str, Any]) -> Iterator[str]:
    """What is merged into the schema by reference, though not by way of another."""
    if isinstance(reference := schema.get("$ref"), str):
        yield reference
    for part in _parts(schema):
        yield from _references(_mapping(part))


def _parts(schema: Mapping[str, Any]) -> list[object]:
    """The schemas of its `allOf`, and one of each alternative."""
    every = schema.get("allOf")
    parts: list[object] = list(every) if isinstance(every, list) else []
    for key in ("anyOf", "oneOf"):
        if isinstance(choices := schema.get(key), list):
            parts += sorted(choices, key=_is_late)[:1]
    return parts


def _flat(schema: Mapping[str, Any], root: Mapping[str, Any], way: _Way) -> Mapping[str, Any]:
    """The schema with its references, its `allOf`, and one of each alternative merged into it."""
    flat = {
        name: value
        for name, value in schema.items()
        if name not in ("$ref", "allOf", "anyOf", "oneOf")
    }
    parts = _parts(schema)
    if isinstance(reference := schema.get("$ref"), str):
        if reference in way:
            return {}
        parts.insert(0, _resolved(reference, root))
        way = (*way, reference)
    for part in parts:
        flat = _merged(flat, _flat(_mapping(part), root, way))
    return flat


def _is_late(choice: object) -> bool:
    # A model may lead back to itself; an integer is a number too, where `oneOf` wants one.
    choice = _mapping(choice)
    return "$ref" in choice or choice.get("type") == "number"


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """What both schemas ask for; where that cannot be told, what the first does."""
    merged = {**other, **one}
    for key in one.keys() & other.keys():
        mine, its = one[key], other[key]
        if key in _STRICTEST and _is_number(mine) and _is_number(its):
            merged[key] = _STRICTEST[key](mine, its)
        elif key == "required" and isinstance(mine, list) and isinstance(its, list):
            merged[key] = mine + [name for name in its if name not in mine]
        elif key == "enum" and isinstance(mine, list) and isinstance(its, list):
            merged[key] = [value for value in mine if value in its]
        elif key == "properties" and isinstance(mine, Mapping) and isinstance(its, Mapping):
            merged[key] = {
                **its,
                **{
                    name: {"allOf": [value, its[name]]} if name in its else value
                    for name, value in mine.items()
                },
            }
    return merged


def _make_object(schema: Mapping[str, Any], root: Mapping[str, Any], way: _Way) -> dict[str, Any]:
    properties, required = _mapping(schema.get("properties")), schema.get("required")
    names = (
        [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
    )
    more = (name for name in [*properties, *map(str, range(_MANY))] if name not in names)
    missing = min(_count(schema, "minProperties"), _MANY) - len(names)
    names += [name for name, _ in zip(more, range(missing), strict=False)]
    others = schema.get("additionalProperties")
    return {name: _make(properties.get(name, others), root, way) for name in names}


def _make_array(schema: Mapping[str, Any], root: Mapping[str, Any], way: _Way) -> list[Any]:
    items = schema.get("items")
    # Before draft 2020-12, `items` was the list.
    first = schema.get("prefixItems", items if isinstance(items, list) else [])
    rest = schema.get("additionalItems") if isinstance(items, list) else items
    most = schema.get("maxItems")
    made = [_make(item, root, way) for item in first] if isinstance(first, list) else []
    while len(made) < min(_count(schema, "minItems"), _MANY):
        made.append(_make(rest, root, way))
        if schema.get("uniqueItems") is True and made[-1] in made[:-1]:
            made[-1] = _another(_flat(_mapping(rest), root, ()), made)
    return made[:most] if isinstance(most, int) else made


def _another(schema: Mapping[str, Any], taken: list[Any]) -> Any:
    """A value of the schema's form that is not yet taken, as far as one is easily found."""
    last = taken[-1]
    choices = schema.get("enum")
    if not isinstance(choices, list):
        number = len(taken)
        step = schema.get("multipleOf", 1)
        if isinstance(last, bool):
            choices = [not last]
        elif _is_number(last) and _is_number(step):
            choices = [last + number * step, last - number * step]
        else:
            choices = [f"{last}{number}"] if isinstance(last, str) else [[number]]
    return next((choice for choice in choices if choice not in taken), last)


def _make_string(schema: Mapping[str, Any]) -> str:
    least, most, pattern = (
        _count(schema, "minLength"),
        schema.get("maxLength"),
        schema.get("pattern"),
    )
    if (form := str(schema.get("format"))) in _FORMATS:
        return _FORMATS[form]
    if isinstance(pattern, str):
        for text in _texts(pattern, least):
            if least <= len(text) <= (most if isinstance(most, int) else inf):
                return text
    return "text".ljust(least, "x")[: most if isinstance(most, int) else None]


def _texts(pattern: str, length: int) -> Iterator[str]:
    """Texts that the pattern allows."""
    try:
        allowed = re.compile(pattern)
    except re.error:
        return
    literal = re.sub(r"\\(\W)", r"\1", pattern.removeprefix("^").removesuffix("$"))
    for word in (*_WORDS, literal):
        # A pattern may allow the longer word that is asked for, and not this one.
        for text in (word, word.ljust(length, word[-1:] or "x")):
            if allowed.search(text):
                yield text


def _make_number(schema: Mapping[str, Any], *, whole: bool) -> int | float:
    """1 if that is allowed, else a number near the bounds."""
    least, above, most, below, multiple = (
        # As text, for 0.1 means a tenth here.
        Fraction(str(value)) if _is_number(value := schema.get(key)) and abs(value) < inf else None
        for key in (
            "minimum",
            "exclusiveMinimum",
            "maximum",
            "exclusiveMaximum",
            "multipleOf",
        )
    )
    low = max((bound for bound in (least, above) if bound is not None), default=None)
    high = min((bound for bound in (most, below) if bound is not None), default=None)
    step = multiple or Fraction(1)
    if whole:
        step *= step.denominator

    def allowed(number: Fraction) -> bool:
        return (
            (low is None or low <= number)
            and (high is None or number <= high)
            and number not in (above, below)
            and (number % step == 0 or not (whole or multiple))
        )

    tried = [Fraction(1), Fraction(0), step]
    if low is not None:
        tried += [ceil(low / step) * step, (floor(low / step) + 1) * step]
    if high is not None:
        tried += [floor(high / step) * step, (ceil(high / step) - 1) * step]
    if low is not None and high is not None:
        tried.append((low + high) / 2)
    number = next((number for number in tried if allowed(number)), Fraction(1))
    return int(number) if number.denominator == 1 else float(number)


def _resolved(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    place: object = root
    for part in reference.removeprefix("#").split("/")[1:]:
        key = unquote(part).replace("~1", "/").replace("~0", "~")
        place = place.get(key) if isinstance(place, Mapping) else None
    return _mapping(place)


def _count(schema: Mapping[str, Any], key: str) -> int:
    value = schema.get(key)
    return min(value, _LONG) if isinstance(value, int) else 0


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
