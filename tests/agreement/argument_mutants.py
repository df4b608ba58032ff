"""Mutants of what only shows when a task is listed, added to a workflow or run.

Values of the keys of `meta`, nesting, names whose length changes, and defaults of arguments.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from .bases import Base
from .meta_values import TABLE
from .mutant import Mutant, changed, with_manifest, with_text

_NAMES: Final[Mapping[str, str]] = {
    "of 253 bytes": "n" * 253,
    "of 254 bytes": "n" * 254,
    "of 252 bytes in lower case, of letters that grow": "\u0130" * 84,
    "of 255 bytes in lower case, of letters that grow": "\u0130" * 85,
    "of 252 bytes in lower case, of a letter with another size there": "\u023a" * 84,
    "of 255 bytes in lower case, of a letter with another size there": "\u023a" * 85,
    "of 253 bytes in lower case, of letters that shrink": "\u212a" * 253,
    "of 254 bytes in lower case, of letters that shrink": "\u212a" * 254,
    "of 2600 bytes": "n" * 2600,
}
_FILLED: Final[Mapping[str, Any]] = {"array": [], "object": {}}
_WRONG: Final[Mapping[str, Any]] = {"null": None, "a list": [None], "an object": {"a": 1}}
_DEPTHS: Final[Mapping[str, tuple[int, ...]]] = {"1": (900, 1000), "2": (255, 256)}
"""The deepest nesting with which the server still lists its tasks, and one that is deeper."""


def argument_mutants(base: Base) -> Iterator[Mutant]:
    """All of them."""
    yield from _meta(base)
    yield from _depths(base)
    for how, name in _NAMES.items():
        kind = base.variant.subjects[0].kind
        index = base.task_of_kind(kind)
        if index is not None:
            way = ("task_list", index, "name")
            yield changed(base, "a task's name, lower-cased", how, way, name, index)
    yield from _pydantic_self(base)
    yield from _defaults(base)


def _meta(base: Base) -> Iterator[Mutant]:
    """Each documented key of each part that a server runs, with each value of the table."""
    for kind in ("non_parallel", "parallel"):
        index = base.task_of_kind(kind)
        if index is None:
            continue
        (part,) = base.generation.runs(kind)
        for key, value, _ in TABLE:
            what, way = f"{kind.replace('_', '-')} task's {key}", ("task_list", index, part.meta)
            meta = {**(base.manifest["task_list"][index].get(part.meta) or {}), key: value}
            yield changed(base, what, json.dumps(value), way, meta, index)


def _depths(base: Base) -> Iterator[Mutant]:
    index = base.task_of_kind("parallel")
    if index is None:
        return
    (part,) = base.generation.runs("parallel")
    schema = base.manifest["task_list"][index].get(part.args_schema) or {}
    for depth in _DEPTHS[base.generation.version]:
        for key, held in (
            (part.meta, base.manifest["task_list"][index].get(part.meta) or {}),
            (part.args_schema, schema),
        ):
            way = ("task_list", index, key)
            mutant = changed(base, "", "", way, {**held, "deep": "\0deep"}, index)
            # The object itself is one level.
            nested = b"[" * (depth - 1) + b"]" * (depth - 1)
            marked = mutant.files[base.manifest_path]
            text = marked.replace(json.dumps("\0deep").encode(), nested)
            what = f"the depth of {'meta' if key == part.meta else 'a schema'}"
            yield with_text(base, what, f"{depth} levels", text, index)


def _pydantic_self(base: Base) -> Iterator[Mutant]:
    """A key by which pydantic calls the first parameter of its own constructor."""
    index = base.task_of_kind(base.variant.subjects[0].kind)
    if index is None:
        return
    part = base.generation.parts(base.manifest["task_list"][index])[0]
    for how, way in {
        "in the manifest": (),
        "in a task": ("task_list", index),
        "in meta": ("task_list", index, part.meta),
    }.items():
        key = "__pydantic_self__"
        yield changed(base, f"a key {key}", how, (*way, key), {}, index if way else None)


def _defaults(base: Base) -> Iterator[Mutant]:
    """Defaults, which a server of generation 1 fills into the arguments of a workflow."""
    for kind in ("non_parallel", "parallel"):
        index = base.task_of_kind(kind)
        if index is None:
            continue
        (part,) = base.generation.runs(kind)
        schema = base.manifest["task_list"][index].get(part.args_schema)
        if not isinstance(schema, dict):
            continue
        reserved = base.generation.reserved(kind, part).all
        what = f"{kind.replace('_', '-')} task's default"
        properties = schema.get("properties", {})
        own = next((name for name in properties if name not in reserved), None)

        def mutant(
            how: str,
            name: str,
            value: Any,
            /,
            *,
            index: int = index,
            what: str = what,
            schema: Mapping[str, Any] = schema,
            key: str = part.args_schema,
            **more: Any,
        ) -> Mutant:
            new = copy.deepcopy(dict(schema))
            new.setdefault("properties", {})[name] = value
            new.update(more)
            manifest = copy.deepcopy(base.manifest)
            manifest["task_list"][index][key] = new
            made = with_manifest(base, what, how, manifest, index)
            # Generation 1 fills in what is left out, but for null; 2 nothing.
            is_filled_in = base.generation.version == "1" and value.get("default") is not None
            is_asked_for = name in schema.get("required", ()) and not is_filled_in
            return made if is_asked_for else replace(made, leaves_out=name)

        for name in reserved:
            held = properties.get(name) or {"type": "string"}
            value = _FILLED.get(str(held.get("type")), "x")
            yield mutant(f"for {name}", name, {**held, "default": value})
            yield mutant(f"null for {name}", name, {**held, "default": None})
        unknown = {"type": "integer", "default": 1}
        yield mutant("for a name that the function does not know", "unknown_to_it", unknown)
        if own is not None:
            held = {key: value for key, value in properties[own].items() if key != "default"}
            for how, value in _WRONG.items():
                yield mutant(f"{how} for an argument", own, {**held, "default": value})
            lost = {"enum": ["a", "b"], "default": "c"}
            yield mutant("a member that the enum lost", own, lost)
            refers = {"$ref": "#/definitions/Own", "default": {"a": 1}}
            definitions = {"Own": {"type": "string"}}
            yield mutant("of a wrong type, beside $ref", own, refers, definitions=definitions)
