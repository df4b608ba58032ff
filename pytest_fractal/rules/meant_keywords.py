"""What a keyword of a schema plainly means that has a value of the wrong form, for FR202."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

TYPES: Final = ("array", "boolean", "integer", "null", "number", "object", "string")

_OTHER_NAMES: Final = {
    **dict.fromkeys(("list", "tuple", "set", "sequence"), "array"),
    "bool": "boolean",
    **dict.fromkeys(("int", "long"), "integer"),
    **dict.fromkeys(("none", "nonetype"), "null"),
    **dict.fromkeys(("float", "double", "decimal"), "number"),
    **dict.fromkeys(("dict", "mapping", "map"), "object"),
    **dict.fromkeys(("str", "text", "path", "char"), "string"),
}
"""What languages and people call the types of JSON Schema."""

_OF_VALUES: Final[Mapping[type, tuple[str, ...]]] = {
    bool: ("boolean",),
    int: ("integer", "number"),
    float: ("number",),
    str: ("string",),
    list: ("array",),
    dict: ("object",),
}
"""The types that a JSON value has."""

_LIMITS: Final = frozenset(
    ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
)
_COUNTS: Final = frozenset(
    ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
)


def meant_value(keyword: str, value: Any, beside: Mapping[str, Any]) -> Any:
    """The value that is plainly meant by the one that a keyword has; None where none is.

    `beside` is the schema with this keyword: a type must be that of its default.
    """
    if keyword == "type":
        meant = _meant_types(value)
        default = beside.get("default")
        of_default = _OF_VALUES.get(type(default), ())
        fits = default is None or not isinstance(meant, str) or meant in of_default
        return meant if fits else None
    if not isinstance(value, str):
        return None
    if keyword == "required" and value.strip():
        return [value]
    if keyword in _LIMITS or keyword in _COUNTS:
        with suppress(ValueError):
            number = json.loads(value, parse_constant=lambda _: None)
            kinds = int if keyword in _COUNTS else int | float
            if isinstance(number, kinds) and not isinstance(number, bool):
                return number
    if keyword == "uniqueItems":
        return {"true": True, "false": False}.get(value.strip().lower())
    return None


def _meant_types(value: Any) -> Any:
    if isinstance(value, str):
        plain = value.strip().lower()
        near = difflib.get_close_matches(plain, TYPES, 1, 0.7)
        return _OTHER_NAMES.get(plain) or (near[0] if near else None)
    if isinstance(value, list) and value:
        meant = [_meant_types(name) for name in value]
        return meant if None not in meant and len(set(meant)) == len(meant) else None
    return None
