"""Where a task's pydantic models refuse what the JSON Schema of its arguments promises."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pytest_fractal.facts import PackagedPart, Validation
from pytest_fractal.pointers import Keys, pointer
from pytest_fractal.processes.validation import FaultKind, ValidationFault
from pytest_fractal.rules.signature_match import SchemaMismatch
from pytest_fractal.signatures.task_function import Signature

_KEYS: Final = frozenset({"[key]", "__key__"})
"""Where pydantic 2 and 1 refuse a key."""


def compare_models(
    part: PackagedPart, validation: Validation, invalid: frozenset[str], *, names_are_known: bool
) -> Iterator[SchemaMismatch]:
    """What was refused of arguments that the schema takes, by type or for a field.

    `invalid` are the arguments that the schema itself refuses: they prove nothing. Values
    that a constraint or the author's own validators refuse are passed over, since a schema
    need not have those; and where the names of the function's parameters are known from its
    source, so are arguments that it lacks or does not know.
    """
    seen: set[str] = set()
    for fault in validation.faults:
        if fault.kind is FaultKind.OTHER or fault.path[0] in invalid:
            continue
        if not _KEYS.isdisjoint(fault.path):
            continue  # before pydantic 2.10 a schema says nothing of the keys of a dictionary
        if names_are_known and len(fault.path) == 1 and fault.kind is not FaultKind.TYPE:
            continue
        mismatch = _mismatch(part, fault)
        if mismatch is not None and mismatch.pointer not in seen:
            seen.add(mismatch.pointer)
            yield mismatch


@dataclass(frozen=True)
class _Here:
    """A place in a schema that a path through values has led to."""

    keys: Keys
    schema: Mapping[str, Any]
    model: str | None
    """The name of the definition that it is, or is in."""


def _mismatch(part: PackagedPart, fault: ValidationFault) -> SchemaMismatch | None:
    way = _walk(part.schema, fault.path)
    found = way[-1]
    rest = fault.path[len(way) - 1 :]
    if len(way) == 1 and not (fault.kind is FaultKind.MISSING and len(rest) == 1):
        return None  # an argument that the schema does not have
    refusal = f"which is refused: {fault.message}"
    match fault.kind:
        case FaultKind.MISSING if len(rest) == 1:
            name = rest[0]
            owner = _owner(part, found, fault.path)
            places = _alternatives(part.schema, found, 0)
            found = next((place for place in places if "properties" in place.schema), found)
            return SchemaMismatch(
                pointer(*found.keys, "properties", name),
                f"a property `{name}`, which {owner} requires",
                f"no such property; without it: {fault.message}",
                f"add the property `{name}` to the schema, and to its `required`; best make the "
                "schema anew from the function",
            )
        case FaultKind.EXTRA if not rest:
            name, owner = fault.path[-1], _owner(part, way[-2], fault.path)
            return SchemaMismatch(
                pointer(*found.keys),
                f"only properties that {owner} takes",
                f"a property `{name}`, {refusal}",
                f"remove the property `{name}` from the schema, or add it to {owner}; best make "
                "the schema anew from the function",
            )
        case FaultKind.TYPE:
            owner = _owner(part, way[-2], fault.path)
            return SchemaMismatch(
                pointer(*found.keys),
                f"the type that {owner} takes for `{'.'.join(fault.path[: len(way) - 1])}`",
                f"a schema that allows a value {refusal}",
                "make the schema anew from the function, or correct the type there",
            )
    return None


def _walk(schema: Mapping[str, Any], path: Sequence[str]) -> list[_Here]:
    """The places that a path leads through, the schema itself first, as far as there are any."""
    way = [_Here((), schema, None)]
    for step in path:
        inner = _inner(schema, way[-1], step)
        if inner is None:
            break
        way.append(inner)
    return way


def _inner(root: Mapping[str, Any], here: _Here, step: str) -> _Here | None:
    for place in _alternatives(root, here, 0):
        properties = place.schema.get("properties")
        if isinstance(properties, Mapping) and isinstance(properties.get(step), Mapping):
            return _Here((*place.keys, "properties", step), properties[step], place.model)
        items = place.schema.get("items")
        if step.isdigit() and isinstance(items, Mapping):
            return _Here((*place.keys, "items"), items, place.model)
        # A tuple, as pydantic 2 and 1 have it.
        for key in ("prefixItems", "items"):
            parts = place.schema.get(key)
            if isinstance(parts, list) and step.isdigit() and int(step) < len(parts):
                part = parts[int(step)]
                return _Here((*place.keys, key, int(step)), part, place.model)
        match place.schema:
            case {"discriminator": {"mapping": Mapping() as tagged}}:
                # Pydantic 2 names the model that was meant by its tag, 1 by its name.
                for tag, reference in tagged.items():
                    if step in (tag, str(reference).rpartition("/")[2]):
                        meant = _Here(place.keys, {"$ref": reference}, place.model)
                        return list(_alternatives(root, meant, 0))[-1]
        values = place.schema.get("additionalProperties")
        if isinstance(values, Mapping):
            return _Here((*place.keys, "additionalProperties"), values, place.model)
    return None


def _alternatives(root: Mapping[str, Any], here: _Here, depth: int) -> Iterator[_Here]:
    """A place, and those that it refers to."""
    yield here
    if depth > 8:
        return
    reference = here.schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/"):
        keys = [key.replace("~1", "/").replace("~0", "~") for key in reference[2:].split("/")]
        place: Any = root
        for key in keys:
            place = place.get(key) if isinstance(place, Mapping) else None
        if isinstance(place, Mapping):
            yield from _alternatives(root, _Here(tuple(keys), place, keys[-1]), depth + 1)
    for key in ("allOf", "anyOf", "oneOf"):
        choices = here.schema.get(key)
        # Of several models, nobody can tell which one was meant.
        models = [
            (index, choice)
            for index, choice in enumerate(choices if isinstance(choices, list) else ())
            if isinstance(choice, Mapping) and choice.get("type") != "null"
        ]
        if len(models) == 1:
            (index, only) = models[0]
            inner = _Here((*here.keys, key, index), only, here.model)
            yield from _alternatives(root, inner, depth + 1)


def _owner(part: PackagedPart, place: _Here, path: Sequence[str]) -> str:
    """The model or the function that refuses, and where it is defined."""
    models = [
        alternative.model
        for alternative in _alternatives(part.schema, place, 0)
        if alternative.model
    ]
    name = models[-1] if models else None
    if name is not None:
        return f"`{name}`{_defined(part, name)}"
    if isinstance(part.signature, Signature):
        signature = part.signature
        return f"`{signature.function}()` ({signature.file}:{signature.line})"
    return f"the function of {part.script}" if path else part.script


def _defined(part: PackagedPart, model: str) -> str:
    """Where the wheel defines a class of this name; empty where it has none, or several.

    One beside the function, or in the script, is meant before others.
    """
    start = re.compile(rf"^class {re.escape(model)}\b".encode(), re.MULTILINE)
    lines = {
        path: content.count(b"\n", 0, match.start()) + 1
        for path, content in part.wheel.contents.items()
        if path.endswith(".py") and (match := start.search(content))
    }
    near = [part.signature.file] if isinstance(part.signature, Signature) else []
    for path in (*near, part.script, *(lines if len(lines) == 1 else ())):
        if path in lines:
            return f" ({path}:{lines[path]})"
    return ""
