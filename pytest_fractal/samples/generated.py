"""Making arguments for a task out of its JSON Schema.

The schema may be of any form: parts that refer to each other twice thirty levels deep, three
lists in each other of a hundred items each, or a default of megabytes. So what is merged
by reference is merged once, and what is made has a limit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import chain
from math import ceil, floor, inf
from typing import Any, Final, TypeGuard
from urllib.parse import unquote

from pytest_fractal.schema_checks.client import first_match

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
_MOST_VALUES: Final = 2_000
_MOST_CHARACTERS: Final = 1_000_000
"""How much is made of one schema; what comes later is null."""
_MOST_LEVELS: Final = 100
"""How deeply what a schema gives may be nested; what is nested deeper becomes null."""

_LARGEST: Final = 10**300
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


Names = Callable[[Sequence[str]], str | None]
"""A text that the argument asks for to which these names lead; None where any will do."""


def make_arguments(schema: Mapping[str, Any], names: Names = lambda _: None) -> dict[str, Any]:
    """The smallest arguments that the schema asks for: its required properties.

    A default is taken where there is one, else the simplest value of the right form; for a
    text, what `names` gives, if it fits.
    The schema need not be valid; what it leaves open becomes null, and so does what is too
    much. Conditions (`not`, `if`, `dependentRequired`) are not heeded, nor patterns that are
    not simple.
    """
    made = _Maker(schema, names).make(schema, ())
    return made if isinstance(made, dict) else {}


_Way = tuple[str, ...]
"""The references that led to a schema, one or none ("") for each level."""


class _Maker:
    """Makes values of the parts of one schema."""

    def __init__(self, root: Mapping[str, Any], names: Names) -> None:
        self._root = root
        self._name = names
        self._names: list[str] = []
        """The names that lead to what is being made."""
        self._values = _MOST_VALUES
        self._characters = _MOST_CHARACTERS
        self._known: dict[int, tuple[object, Mapping[str, Any], frozenset[str]]] = {}
        """By the identity of a schema: that schema, and what `_merged` made of it."""
        self._size: dict[int, int] = {}
        """By the identity of a value in the schema: how many characters its JSON has."""

    def make(self, schema: object, way: _Way) -> Any:
        """The simplest value; None where there is none, or no more is to be made."""
        self._values -= 1
        if not isinstance(schema, Mapping) or len(way) > _DEEP or self._values < 0:
            return None
        flat, references = self._merged(schema)
        if references.intersection(way):
            return None  # it leads back to itself
        way = (*way, *(references or ("",)))
        for key in ("const", "default"):
            if key in flat:
                return self._given(flat[key])
        if isinstance(choices := flat.get("enum"), list) and choices:
            return self._given(choices[0])
        kind = flat.get("type")
        match kind[0] if isinstance(kind, list) and kind else kind:
            case "object":
                return self._make_object(flat, way)
            case "array":
                return self._make_array(flat, way)
            case "string":
                wanted = self._name(self._names) if self._names else None
                return self._given(_make_string(flat, wanted))
            case "integer":
                return _make_number(flat, whole=True)
            case "number":
                return _make_number(flat, whole=False)
            case "boolean":
                return False
        return self._make_object(flat, way) if "properties" in flat else None

    def _merged(self, schema: object) -> tuple[Mapping[str, Any], frozenset[str]]:
        """The schema with its references, its `allOf`, and one of each alternative merged.

        And the references that it has itself, not by way of another.
        """
        if id(schema) not in self._known:
            # Kept with the schema: identities are unique among what is alive.
            self._known[id(schema)] = schema, *self._merge(_mapping(schema))
        return self._known[id(schema)][1:]

    def _merge(self, schema: Mapping[str, Any]) -> tuple[Mapping[str, Any], frozenset[str]]:
        flat: dict[str, Any] = {}
        own: set[str] = set()
        seen: set[str] = set()
        waiting = [(schema, True)]
        while waiting:
            part, is_own = waiting.pop()
            _ask_too(flat, part)
            parts = [(_mapping(inner), is_own) for inner in _parts(part)]
            if isinstance(reference := part.get("$ref"), str):
                own |= {reference} if is_own else set()
                if reference not in seen:
                    seen.add(reference)
                    parts.insert(0, (_resolved(reference, self._root), False))
            waiting += reversed(parts)
        return flat, frozenset(own)

    def _given(self, value: Any) -> Any:
        """A value that the schema has, or None where that would be too much."""
        if not isinstance(value, str | list | dict):
            return value
        if id(value) not in self._size:
            self._size[id(value)] = _size(value)
        self._characters -= self._size[id(value)]
        return value if self._characters >= 0 else None

    def _make_object(self, schema: Mapping[str, Any], way: _Way) -> dict[str, Any]:
        properties = _mapping(schema.get("properties"))
        names: dict[str, None] = dict.fromkeys(schema.get("required", ()))
        least = min(_count(schema, "minProperties"), _MANY)
        more = chain(properties, map(str, range(_MANY)))
        while len(names) < least:
            names.setdefault(next(more))
        others = schema.get("additionalProperties")
        made: dict[str, Any] = {}
        for name in names:
            if self._given(name) is None or self._values < 0:
                break
            self._names.append(name)
            made[name] = self.make(properties.get(name, others), way)
            self._names.pop()
        return made

    def _make_array(self, schema: Mapping[str, Any], way: _Way) -> list[Any]:
        items = schema.get("items")
        # Before draft 2020-12, `items` was the list.
        first = schema.get("prefixItems", items if isinstance(items, list) else [])
        rest = schema.get("additionalItems") if isinstance(items, list) else items
        most = schema.get("maxItems")
        made: list[Any] = []
        for item in first[: max(self._values, 0)] if isinstance(first, list) else ():
            made.append(self.make(item, way))
        while len(made) < min(_count(schema, "minItems"), _MANY) and self._values >= 0:
            made.append(self.make(rest, way))
            if schema.get("uniqueItems") is True and made[-1] in made[:-1]:
                made[-1] = _another(self._merged(rest)[0], made)
        return made[:most] if isinstance(most, int) else made


def _size(value: Any) -> int:
    """How many characters a value has as JSON; more than is allowed where it is too deep."""
    level, levels = [value], 0
    while level and levels <= _MOST_LEVELS:
        level = [
            part
            for whole in level
            if isinstance(whole, dict | list)
            for part in (whole.values() if isinstance(whole, dict) else whole)
        ]
        levels += 1
    return len(json.dumps(value)) if not level else _MOST_CHARACTERS + 1


def _parts(schema: Mapping[str, Any]) -> list[object]:
    """The schemas of its `allOf`, and one of each alternative."""
    every = schema.get("allOf")
    parts: list[object] = list(every) if isinstance(every, list) else []
    for key in ("anyOf", "oneOf"):
        if isinstance(choices := schema.get(key), list):
            parts += [min(choices, key=_is_late)] if choices else []
    return parts


def _is_late(choice: object) -> bool:
    # A model may lead back to itself; an integer is a number too, where `oneOf` wants one.
    choice = _mapping(choice)
    return "$ref" in choice or choice.get("type") == "number"


def _ask_too(flat: dict[str, Any], other: Mapping[str, Any]) -> None:
    """Let `flat` ask for what `other` asks for too; where that cannot be known, it stays."""
    for key, its in other.items():
        if key in ("$ref", "allOf", "anyOf", "oneOf"):
            continue
        mine = flat.get(key)
        if key == "required" and isinstance(its, list):
            names = flat.setdefault(key, {})
            names.update(dict.fromkeys(name for name in its if isinstance(name, str)))
        elif key == "properties" and isinstance(its, Mapping):
            properties = flat.setdefault(key, {})
            for name, schema in its.items():
                before = properties.setdefault(name, schema)
                if before is not schema:
                    properties[name] = {"allOf": [before, schema]}
        elif key not in flat and key not in ("required", "properties"):
            flat[key] = its
        elif key in _STRICTEST and _is_number(mine) and _is_number(its):
            flat[key] = _STRICTEST[key](mine, its)
        elif key == "enum" and isinstance(mine, list) and isinstance(its, list):
            allowed = set(map(json.dumps, its))
            flat[key] = [value for value in mine if json.dumps(value) in allowed]


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


def _make_string(schema: Mapping[str, Any], wanted: str | None) -> str:
    least, most, pattern = (
        _count(schema, "minLength"),
        schema.get("maxLength"),
        schema.get("pattern"),
    )
    if (form := str(schema.get("format"))) in _FORMATS:
        return _FORMATS[form]
    longest: int = most if isinstance(most, int) else _LONG
    if isinstance(pattern, str):
        first: tuple[str, ...] = () if wanted is None else (wanted,)
        texts = tuple(
            text for text in (*first, *_texts(pattern, least)) if least <= len(text) <= longest
        )
        if (index := first_match(pattern, texts)) is not None:
            return texts[index]
    elif wanted is not None and least <= len(wanted) <= longest:
        return wanted
    return "text".ljust(least, "x")[: max(longest, 0)]


def _texts(pattern: str, length: int) -> Iterator[str]:
    """Texts of which a simple pattern allows one, the likeliest first."""
    literal = re.sub(r"\\(\W)", r"\1", pattern.removeprefix("^").removesuffix("$"))
    for word in (*_WORDS, literal):
        yield word
        if len(word) < length:
            # A pattern may allow the longer word that is asked for, and not this one.
            yield word.ljust(length, word[-1:] or "x")


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
    if abs(number) > _LARGEST:
        return 1  # beyond what other readers of JSON take, and Python writes
    return int(number) if number.denominator == 1 else float(number)


def _resolved(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    place: object = root
    for part in reference.removeprefix("#").split("/")[1:]:
        key = unquote(part).replace("~1", "/").replace("~0", "~")
        place = place.get(key) if isinstance(place, Mapping) else None
    return _mapping(place)


def _count(schema: Mapping[str, Any], key: str) -> int:
    value = schema.get(key)
    return max(0, min(value, _LONG)) if isinstance(value, int) else 0


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
