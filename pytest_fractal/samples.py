"""Making arguments for a task out of its JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_FORMATS: Final = {
    "date": "2000-01-01",
    "date-time": "2000-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "email": "a@example.org",
    "uri": "https://example.org/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
}
_DEEP: Final = 20


def make_arguments(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The smallest arguments that the schema asks for: its required properties.

    A default is taken where there is one, else the simplest value of the right form.
    The schema need not be valid; what it leaves open becomes null.
    """
    made = _make(schema, schema, 0)
    return made if isinstance(made, dict) else {}


def _make(schema: object, root: Mapping[str, Any], depth: int) -> Any:
    if not isinstance(schema, Mapping) or depth > _DEEP:
        return None
    if isinstance(reference := schema.get("$ref"), str):
        return _make({**_resolved(reference, root), **_without(schema, "$ref")}, root, depth + 1)
    for key in ("default", "const"):
        if key in schema:
            return schema[key]
    if isinstance(choices := schema.get("enum"), list) and choices:
        return choices[0]
    if isinstance(parts := schema.get("allOf"), list):
        merged = _without(schema, "allOf")
        for part in parts:
            merged = {**(part if isinstance(part, Mapping) else {}), **merged}
        return _make(merged, root, depth + 1)
    for key in ("anyOf", "oneOf"):
        if isinstance(parts := schema.get(key), list) and parts:
            return _make({**_without(schema, key), **_mapping(parts[0])}, root, depth + 1)
    kind = schema.get("type")
    match kind[0] if isinstance(kind, list) and kind else kind:
        case "object":
            return _make_object(schema, root, depth)
        case "array":
            return _make_array(schema, root, depth)
        case "string":
            text = _FORMATS.get(str(schema.get("format")), "text")
            return text.ljust(_count(schema, "minLength"), "x")[: schema.get("maxLength")]
        case "integer" | "number":
            return _make_number(schema)
        case "boolean":
            return False
    return _make_object(schema, root, depth) if "properties" in schema else None


def _make_object(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> dict[str, Any]:
    properties, required = _mapping(schema.get("properties")), schema.get("required")
    names = (
        [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
    )
    return {name: _make(properties.get(name), root, depth + 1) for name in names}


def _make_array(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> list[Any]:
    items = schema.get("items")
    first = schema.get("prefixItems", items if isinstance(items, list) else [])
    made = [_make(item, root, depth + 1) for item in first] if isinstance(first, list) else []
    while len(made) < min(_count(schema, "minItems"), 100):
        made.append(_make(items, root, depth + 1))
    return made


def _make_number(schema: Mapping[str, Any]) -> int | float:
    for key, step in (
        ("minimum", 0),
        ("exclusiveMinimum", 1),
        ("maximum", 0),
        ("exclusiveMaximum", -1),
    ):
        bound = schema.get(key)
        if isinstance(bound, int | float) and not isinstance(bound, bool):
            return bound + step
    return 1


def _resolved(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    place: object = root
    for part in reference.removeprefix("#").split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        place = place.get(key) if isinstance(place, Mapping) else None
    return _mapping(place)


def _count(schema: Mapping[str, Any], key: str) -> int:
    value = schema.get(key)
    return value if isinstance(value, int) else 0


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _without(schema: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in schema.items() if name != key}
