"""What the web client's form for arguments really cannot draw, for FR209.

Facts from fractal-web 1.29.6, seen by running its own `FormManager` on schemas. It writes
references and `allOf` out, compiles the schema by Ajv in strict mode, and makes an element
of the form for each property. Where a step fails there is no form at all.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final

from pytest_fractal.pointers import Keys
from pytest_fractal.rules.schema_access import name_at


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NO_FORM: Final = "the web client shows no form"
_UNSUPPORTED: Final = "the form shows an error in its place"

_DIALECTS: Final[Mapping[bool, frozenset[str]]] = {
    True: frozenset({"http://json-schema.org/draft-07/schema", "http://json-schema.org/schema"}),
    False: frozenset(
        {"https://json-schema.org/draft/2020-12/schema", "http://json-schema.org/schema"}
    ),
}
_GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "number": ("maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum", "multipleOf"),
    "string": ("maxLength", "minLength", "pattern"),
    "array": ("maxItems", "minItems", "items", "prefixItems", "contains", "uniqueItems"),
    "object": (
        "maxProperties",
        "minProperties",
        "required",
        "properties",
        "additionalProperties",
        "patternProperties",
        "propertyNames",
    ),
}
"""Keywords that Ajv refuses beside another type, or none."""
_KEYWORDS: Final = _words(
    "$schema $id $defs $comment definitions $ref type const enum not anyOf oneOf allOf if then "
    "else dependencies format title description default deprecated readOnly writeOnly examples "
    "contentMediaType contentEncoding contentSchema nullable"
).union(*_GROUPS.values())
_KEYWORDS_7: Final = (_KEYWORDS | {"additionalItems"}) - {"prefixItems"}
_KEYWORDS_2020: Final = _KEYWORDS | _words(
    "$anchor $dynamicAnchor $dynamicRef $vocabulary dependentRequired dependentSchemas "
    "maxContains minContains unevaluatedItems unevaluatedProperties"
)
_FORMATS: Final = _words(
    "date time date-time iso-time iso-date-time duration uri uri-reference uri-template url email "
    "hostname ipv4 ipv6 regex uuid json-pointer json-pointer-uri-fragment relative-json-pointer "
    "byte int32 int64 float double password binary"
)
_PYTHON_ONLY: Final = re.compile(
    r"""(?x) (?<!\\)(?:\\\\)* (?:
        \(\?[aiLmsux]+[:)] | \(\?P[<=>] | \(\?\# | \(\?\(
        | \\[^dDwWsSbBtnrvfcxukpP0-9^$\\.*+?()\[\]{}|/-]
    )"""
)
"""What Python takes in a regular expression and JavaScript, with its flag `u`, does not."""
_TYPES: Final = ("object", "array", "number", "integer", "boolean", "string")


@dataclass(frozen=True)
class Undrawn:
    """One place of a schema for which there is no form."""

    keys: Keys
    """The way to the place, from the schema's root."""
    expected: str
    found: str
    hint: str
    is_in_code: bool = True
    """Whether the fix is in the code, after which the schema has to be generated anew."""


_Steps = Iterator["Undrawn | _Steps"]
"""What a look at a schema gives: what it found, and looks at the schemas within it."""


def undrawn(
    schema: Mapping[str, Any], ignored: Container[str], *, is_draft_7: bool
) -> tuple[Undrawn, ...]:
    """All places that the form cannot draw, each once.

    `schema` is a valid JSON Schema whose references resolve, `ignored` are the properties
    that no form shows, and `is_draft_7` says which dialect the client takes it for.
    """
    walk = _Walk(schema, is_draft_7=is_draft_7)
    found = [*walk.dialect(), *walk.references()]
    if not found:
        found += walk.root(ignored)
    return tuple({place.keys: place for place in reversed(found)}.values())[::-1]


@dataclass(frozen=True)
class _Flat:
    """A schema with its references and its `allOf` written out."""

    values: Mapping[str, Any]
    ways: Mapping[str, Keys]
    """Where each keyword stands."""
    properties: Mapping[str, tuple[Any, Keys]]

    def way(self, key: str) -> Keys:
        return (*self.ways[key], key)


class _Walk:
    def __init__(self, schema: Mapping[str, Any], *, is_draft_7: bool) -> None:
        self.schema = schema
        self.is_draft_7 = is_draft_7
        self.known = _KEYWORDS_7 if is_draft_7 else _KEYWORDS_2020
        # Parts that refer to each other twice are gone through once, not 2**depth times.
        self._flats: dict[Keys, _Flat] = {}
        self._seen: set[tuple[Keys, tuple[str, ...]]] = set()

    def dialect(self) -> Iterator[Undrawn]:
        """Whether Ajv knows the `$schema`."""
        declared = self.schema.get("$schema")
        known = _DIALECTS[self.is_draft_7]
        if isinstance(declared, str) and declared.removesuffix("#") not in known:
            right = min(known, key=lambda uri: "draft" not in uri)
            yield Undrawn(
                ("$schema",),
                right,
                f"{declared}: {_NO_FORM}",
                f"remove $schema, or write {right!r}",
                is_in_code=False,
            )

    def references(self) -> Iterator[Undrawn]:
        """References that cannot be written out: from other places, or without an end."""
        reached: dict[str, set[str]] = {}
        placed = list(_references(self.schema, ()))
        for keys, reference in placed:
            if self._target(reference) is None:
                yield Undrawn(
                    keys,
                    "a reference such as #/$defs/Name, with letters and digits",
                    f"{reference}, which the client cannot follow: {_NO_FORM}",
                    "give what it refers to a plain name under `$defs`",
                    is_in_code=False,
                )
            elif reference not in reached:
                target = self._target(reference) or ({}, ())
                reached[reference] = {inner for _, inner in _references(target[0], ())}
        if _is_acyclic(reached):
            return
        for keys, reference in placed:
            seen: set[str] = set()
            waiting = {reference} & reached.keys()
            while waiting:
                step = reached.get(waiting.pop(), set())
                waiting |= step - seen
                seen |= step
            if reference in seen:
                yield Undrawn(
                    keys,
                    "models that do not lead back to themselves",
                    f"{reference}, which leads back to itself: {_NO_FORM}",
                    "take a list of models that name their parent, or a text to parse",
                )
                return

    def root(self, ignored: Container[str]) -> Iterator[Undrawn]:
        """The form as a whole."""
        flat = self._flat(self.schema, ())
        required = flat.values.get("required")
        shown = _Flat(
            {
                **flat.values,
                "required": [name for name in required or () if name not in ignored]
                if isinstance(required, list)
                else [],
            },
            {"required": (), **flat.ways},
            {
                name: property_
                for name, property_ in flat.properties.items()
                if name not in ignored
            },
        )
        yield from self._compiled(shown, (), ())
        for value, keys in shown.properties.values():
            yield from _walked(self._drawn(value, keys))

    def _drawn(self, schema: Any, keys: Keys, inherited: tuple[str, ...] = ()) -> _Steps:
        """One element of the form, and those within it, if it was not drawn before."""
        if (keys, inherited) in self._seen:
            return
        self._seen.add((keys, inherited))
        if not isinstance(schema, dict):
            yield Undrawn(
                keys,
                "a schema that is an object, with a type",
                f"{str(schema).lower()}: {_NO_FORM}",
                _typed(keys),
            )
            return
        flat = self._flat(schema, keys)
        yield from self._compiled(flat, keys, inherited)
        yield self._shaped(flat, keys)

    def _shaped(self, flat: _Flat, keys: Keys) -> _Steps:
        values, name = flat.values, name_at(keys)
        if "enum" in values:
            return
        choices = values.get("anyOf")
        if isinstance(choices, list):
            is_null = [
                isinstance(choice, dict) and choice.get("type") == "null" for choice in choices
            ]
            if is_null == [False, True] and isinstance(choices[0], dict):
                way = (*flat.way("anyOf"), 0)
                inner = self._flat(choices[0], way)
                yield from self._compiled(inner, way, _types(values))
                without = {key: value for key, value in values.items() if key != "anyOf"}
                outer = _Flat(without, flat.ways, flat.properties)
                yield self._shaped(_joined(outer, inner), way)
                return
            if "oneOf" not in values and values.get("type") not in _TYPES:
                yield Undrawn(
                    flat.way("anyOf"),
                    "one type, or one and then null",
                    f"{len(choices)} choices" + (", null first" if is_null[:1] == [True] else ""),
                    f"write one type for {name}, or `T | None` in this order; for several models "
                    'give each a field `kind: Literal["..."]`, and write '
                    '`Annotated[A | B, Field(discriminator="kind")]`',
                )
                return
        if isinstance(values.get("oneOf"), list):
            if values.get("default", 0) is None:
                yield Undrawn(
                    flat.way("default"),
                    "a default that is one of the models, or none",
                    f"null for a choice of models: {_NO_FORM}",
                    f"give {name} a model as its default, such as `A()`",
                )
                return
            for index, model in enumerate(values["oneOf"]):
                yield self._drawn(model, (*flat.way("oneOf"), index), _types(values))
            return
        kind = values.get("type")
        if not (isinstance(kind, str) and kind in _TYPES):
            yield Undrawn(
                keys if "type" not in values else flat.way("type"),
                f"one type: {', '.join(_TYPES)}",
                ("no type" if "type" not in values else f"the type {kind}") + f": {_UNSUPPORTED}",
                _typed(keys),
            )
            return
        if kind == "array":
            yield self._array(flat, keys)
        elif kind == "object":
            for value, way in flat.properties.values():
                yield self._drawn(value, way)
            others = values.get("additionalProperties")
            if others is True:
                yield Undrawn(
                    flat.way("additionalProperties"),
                    "a type for the values",
                    "values of any type: the form fails when a key is added",
                    f"say what they are, such as `{name}: dict[str, float]`",
                )
            elif isinstance(others, dict):
                yield self._drawn(others, flat.way("additionalProperties"))

    def _array(self, flat: _Flat, keys: Keys) -> _Steps:
        values = flat.values
        least, most = values.get("minItems"), values.get("maxItems")
        tuple_key = "items" if self.is_draft_7 else "prefixItems"
        if isinstance(least, int) and least == most:
            parts = values.get(tuple_key)
            if not isinstance(parts, list):
                yield Undrawn(
                    keys,
                    "a list whose length may vary, or a tuple",
                    f"a list of {least} items: the form fails",
                    f"write a tuple, such as `{name_at(keys)}: tuple[float, float]`",
                )
                return
            for index, part in enumerate(parts):
                yield self._drawn(part, (*flat.way(tuple_key), index))
        elif "items" in values and not isinstance(values["items"], list):
            yield self._drawn(values["items"], flat.way("items"))

    def _compiled(self, flat: _Flat, keys: Keys, inherited: tuple[str, ...]) -> Iterator[Undrawn]:
        """What Ajv refuses in strict mode, of one schema."""
        values, name = flat.values, name_at(keys)
        for key in values:
            if key not in self.known and not _is_discriminator(key, values):
                yield Undrawn(
                    flat.way(key),
                    "keywords of JSON Schema",
                    f"{key!r}: {_NO_FORM}",
                    f"remove {key!r}, such as an argument of `Field` that pydantic passes on",
                )
        form, pattern = values.get("format"), values.get("pattern")
        if isinstance(form, str) and form not in _FORMATS:
            yield Undrawn(
                flat.way("format"),
                f"one of the formats {', '.join(sorted(_FORMATS)[:6])}, ...",
                f"the format {form!r}: {_NO_FORM}",
                f"write `{name}: str`, and make of it what you need in the task",
            )
        if isinstance(pattern, str) and (bad := _PYTHON_ONLY.search(pattern)):
            yield Undrawn(
                flat.way("pattern"),
                "a regular expression that JavaScript knows, too",
                f"{bad[0]} in {pattern!r}: {_NO_FORM}",
                "write it without what only Python knows",
            )
        types = _types(values) or inherited
        for group, keywords in _GROUPS.items():
            fits = group in types or (group == "number" and "integer" in types)
            for key in keywords if not fits else ():
                if key in values and (key != "required" or values[key]):
                    yield Undrawn(
                        flat.way(key),
                        f'"type": "{group}" beside {key!r}',
                        f"{' or '.join(types) or 'no type'}: {_NO_FORM}",
                        f'add "type": "{group}", or remove {key!r}',
                        is_in_code=False,
                    )
        required = values.get("required")
        for missing in required if isinstance(required, list) else ():
            if missing not in flat.properties:
                yield Undrawn(
                    flat.way("required"),
                    f"a property {missing!r}, since it is required",
                    f"there is none: {_NO_FORM}",
                    f"remove {missing!r} from `required`",
                    is_in_code=False,
                )
        yield from self._tuple_lengths(flat)

    def _tuple_lengths(self, flat: _Flat) -> Iterator[Undrawn]:
        key, rest = ("items", "additionalItems") if self.is_draft_7 else ("prefixItems", "items")
        values = flat.values
        if rest == "items" and isinstance(values.get("items"), list):
            yield Undrawn(
                flat.way("items"),
                "`prefixItems`, as the dialect 2020-12 has it",
                f"`items` that are a list: {_NO_FORM}",
                "generate the schema anew with pydantic 2, or rename `items` to `prefixItems`",
                is_in_code=False,
            )
        if isinstance(parts := values.get(key), list):
            length = len(parts)
            ends = values.get("maxItems") == length or values.get(rest) is False
            if values.get("minItems") != length or not ends:
                yield Undrawn(
                    flat.way(key),
                    f'"minItems": {length} and "maxItems": {length} beside {key!r}',
                    f"a tuple of no fixed length: {_NO_FORM}",
                    f"write `tuple[...]` with {length} types, or add both",
                )

    def _target(self, reference: str) -> tuple[Any, Keys] | None:
        """What a reference leads to, as the client reads it: by its letters."""
        if not reference.startswith("#/"):
            return None
        place: Any = self.schema
        way: list[str | int] = []
        for part in reference.removeprefix("#/").split("/"):
            if isinstance(place, list) and part.isdecimal() and int(part) < len(place):
                place = place[int(part)]
                way.append(int(part))
            elif isinstance(place, dict) and part in place:
                place = place[part]
                way.append(part)
            else:
                return None
        return place, tuple(way)

    def _flat(self, schema: Mapping[str, Any], keys: Keys) -> _Flat:
        # Not by recursion: a thousand schemas may refer each to the next.
        waiting = [(schema, keys)]
        while waiting:
            part, way = waiting[-1]
            within = [step for step in self._within(part, way) if step[1] not in self._flats]
            if within:
                waiting += within
            else:
                self._flats[way] = self._flattened(part, way)
                waiting.pop()
        return self._flats[keys]

    def _within(self, schema: Mapping[str, Any], keys: Keys) -> Iterator[tuple[Any, Keys]]:
        """The schemas that a schema is put together of: by its `$ref` and its `allOf`."""
        if isinstance(reference := schema.get("$ref"), str):
            target, way = self._target(reference) or (None, ())
            if isinstance(target, dict):
                yield target, way
        parts = schema.get("allOf")
        for index, part in enumerate(parts if isinstance(parts, list) else ()):
            if isinstance(part, dict):
                yield part, (*keys, "allOf", index)

    def _flattened(self, schema: Mapping[str, Any], keys: Keys) -> _Flat:
        flat = _Flat({}, {}, {})
        for key, value in schema.items():
            if key == "$ref" and isinstance(value, str):
                target, way = self._target(value) or ({}, ())
                inner = self._flats[way] if isinstance(target, dict) else flat
            elif key == "allOf" and isinstance(value, list):
                inner = flat
                for index, part in enumerate(value):
                    if isinstance(part, dict):
                        inner = _joined(inner, self._flats[(*keys, "allOf", index)])
            else:
                within = value if key == "properties" and isinstance(value, dict) else {}
                properties = {
                    name: (item, (*keys, "properties", name)) for name, item in within.items()
                }
                inner = _Flat({key: value}, {key: keys}, properties)
            flat = _joined(flat, inner)
        return flat


def _walked(steps: _Steps) -> Iterator[Undrawn]:
    """All that looks find, in order; models within models may be a thousand levels deep."""
    stack = [steps]
    while stack:
        step = next(stack[-1], None)
        if step is None:
            stack.pop()
        elif isinstance(step, Undrawn):
            yield step
        else:
            stack.append(step)


def _joined(first: _Flat, second: _Flat) -> _Flat:
    """Both together; where they differ, as the second has it."""
    values = {**first.values, **second.values}
    for key in first.values.keys() & second.values.keys():
        mine, its = first.values[key], second.values[key]
        if key == "required" and isinstance(mine, list) and isinstance(its, list):
            values[key] = [*mine, *(name for name in its if name not in mine)]
    return _Flat(values, {**first.ways, **second.ways}, {**first.properties, **second.properties})


def _references(value: Any, keys: Keys) -> Iterator[tuple[Keys, str]]:
    """Every reference below a value, wherever it stands, and the way to it."""
    waiting: list[tuple[Any, Keys]] = [(value, keys)]
    while waiting:
        part, way = waiting.pop()
        if isinstance(part, dict):
            if isinstance(reference := part.get("$ref"), str):
                yield (*way, "$ref"), reference
            waiting += [(inner, (*way, key)) for key, inner in part.items()]
        elif isinstance(part, list):
            waiting += [(inner, (*way, index)) for index, inner in enumerate(part)]


def _is_acyclic(reached: Mapping[str, set[str]]) -> bool:
    """Whether nothing leads back to itself."""
    try:
        TopologicalSorter(reached).prepare()
    except CycleError:
        return False
    return True


def _types(values: Mapping[str, Any]) -> tuple[str, ...]:
    kind = values.get("type")
    return (kind,) if isinstance(kind, str) else tuple(kind) if isinstance(kind, list) else ()


def _is_discriminator(key: str, values: Mapping[str, Any]) -> bool:
    """What the client takes out of a schema before it is compiled."""
    value = values.get("discriminator")
    return (
        key == "discriminator"
        and "oneOf" in values
        and isinstance(value, dict)
        and isinstance(value.get("mapping"), dict)
        and isinstance(value.get("propertyName"), str)
    )


def _typed(keys: Keys) -> str:
    """The fix for what has no type."""
    name = name_at(keys)
    if keys[-1:] == ("items",):
        return f"say what the list holds, such as `{name}: list[float]`"
    if keys[-1:] == ("additionalProperties",):
        return f"say what the values are, such as `{name}: dict[str, float]`"
    return f"give {name} a type hint that is not `Any`, such as `{name}: float`"
