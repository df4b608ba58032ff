"""Making a value for every argument that a JSON Schema has, models within models included."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, Final

from pytest_fractal.samples.generated import make_arguments

_MOST_VALUES: Final = 500
"""A few models that refer to each other twice make more values than anybody would read."""
_DEEPEST: Final = 12
_EMPTY: Final[tuple[Any, ...]] = (None, [], {})


def make_every_argument(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments with as many of the schema's properties as can be made, optional ones too.

    A default is taken where it says something, and what a model's default leaves empty is
    made. Of alternatives it is the first that is not null; lists hold one item, or one of
    each alternative. What is not simple is left out, as is what leads back to itself. The
    schema need not be valid, nor is every value.
    """
    maker = _Maker(schema)
    properties = schema.get("properties")
    values: dict[str, Any] = {}
    for name, inner in properties.items() if isinstance(properties, Mapping) else ():
        try:
            values[name] = maker.make(inner, ())
        except _CannotMakeError:
            continue
    return values


class _CannotMakeError(Exception):
    """A value that is not easily made."""


class _Maker:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._left = _MOST_VALUES

    def make(self, schema: object, way: tuple[str, ...]) -> Any:
        """A value; `way` are the references that led here."""
        self._left -= 1
        if self._left < 0 or len(way) > _DEEPEST:
            raise _CannotMakeError
        schema, way = self._followed(schema, way)
        match schema:
            case {"default": {} as given, "properties": Mapping() as properties}:
                return self._object(properties, schema.get("required"), way, given)
        for key in ("const", "default"):
            if schema.get(key) not in _EMPTY:
                return schema[key]
        match schema:
            case {"anyOf": [*choices]} | {"oneOf": [*choices]}:
                return self.make(next(filter(_says_something, choices), None), way)
            case {"properties": Mapping() as properties}:
                return self._object(properties, schema.get("required"), way, {})
            case {"type": "array", "prefixItems": [*parts]} | {"type": "array", "items": [*parts]}:
                return [self.make(part, way) for part in parts]
            case {"type": "array", "items": Mapping() as items} if "minItems" not in schema:
                most = schema.get("maxItems")
                return self._items(items, way)[: most if isinstance(most, int) else None]
            case {"type": "object", "additionalProperties": Mapping() as values} if (
                "minProperties" not in schema
            ):
                return {"text": self.make(values, way)} if schema.get("maxProperties", 1) else {}
            case {"enum": _} | {"type": str()}:
                return make_arguments({"properties": {"x": schema}, "required": ["x"]})["x"]
        raise _CannotMakeError

    def _followed(
        self, schema: object, way: tuple[str, ...]
    ) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """The schema with what it refers to merged into it."""
        if not isinstance(schema, Mapping):
            raise _CannotMakeError
        match schema:
            case {"$ref": str() as reference}:
                if reference in way or not reference.startswith("#/"):
                    raise _CannotMakeError
                place: object = self._root
                for part in reference[2:].split("/"):
                    key = part.replace("~1", "/").replace("~0", "~")
                    place = place.get(key) if isinstance(place, Mapping) else None
                inner, way = self._followed(place, (*way, reference))
            case {"allOf": [only]}:
                inner, way = self._followed(only, way)
            case {"allOf": _}:
                raise _CannotMakeError
            case _:
                return schema, way
        own = {key: value for key, value in schema.items() if key not in ("$ref", "allOf")}
        return {**inner, **own}, way

    def _items(self, items: Mapping[str, Any], way: tuple[str, ...]) -> list[Any]:
        """One item of each alternative, as far as they can be made."""
        match self._followed(items, way):
            case {"enum": [*values]}, _:
                return values
            case (({"anyOf": [*choices]} | {"oneOf": [*choices]}), inner):
                made = []
                for choice in filter(_says_something, choices):
                    with contextlib.suppress(_CannotMakeError):
                        made.append(self.make(choice, inner))
                if made:
                    return made
        return [self.make(items, way)]

    def _object(
        self,
        properties: Mapping[str, Any],
        required: object,
        way: tuple[str, ...],
        given: Mapping[str, Any],
    ) -> dict[str, Any]:
        """An object with these properties; of those that are `given`, what is not empty."""
        made = dict(given)
        for name, inner in properties.items():
            if given.get(name) not in _EMPTY:
                inner = {**(inner if isinstance(inner, Mapping) else {}), "default": given[name]}
            try:
                made[name] = self.make(inner, way)
            except _CannotMakeError:
                if isinstance(required, list) and name in required and name not in made:
                    raise
        return made


def _says_something(schema: object) -> bool:
    return isinstance(schema, Mapping) and schema.get("type") != "null"
