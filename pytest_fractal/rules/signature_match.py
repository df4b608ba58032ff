"""Where a function and the JSON Schema of its arguments disagree, for FR206."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_fractal.fixes.model import Action, JsonEdit
from pytest_fractal.pointers import escape
from pytest_fractal.signatures.task_function import Parameter, Signature


@dataclass(frozen=True)
class SchemaMismatch:
    """One place where the schema does not say what the function says."""

    pointer: str
    """The JSON pointer of the place, relative to the schema."""
    expected: str
    found: str
    hint: str
    edits: tuple[JsonEdit, ...] = ()
    """The edits that fix it, with keys from the schema; none where people have to choose."""


def compare(
    signature: Signature, schema: Mapping[str, Any], reported: Collection[str] = ()
) -> Iterator[SchemaMismatch]:
    """Where `schema`, the JSON Schema of a task's arguments, disagrees with its function.

    That a parameter in `reported` is no property is reported elsewhere.
    First in the order of the schema, then in that of the function. Parts of the schema
    that are malformed are passed over. A missing `default` is a disagreement where
    pydantic, in its version 1 or 2, would have written one: not for None (version 1
    writes none) and not for the result of a `default_factory`.
    """
    properties = schema.get("properties", {})
    required = schema.get("required", [])
    if not isinstance(properties, Mapping):
        return
    parameters = {parameter.name: parameter for parameter in signature.parameters}
    function = f"`{signature.function}()`"
    place = f"{signature.file}:{signature.line}"
    candidates = {
        name: inner
        for name, inner in properties.items()
        if name not in signature.dropped and name not in signature.positional_only
    }
    renamed = {} if signature.takes_any_keyword else _renamed(parameters, candidates, reported)
    order = list(properties)
    """The names of the properties, with those that edits add."""

    for name, subschema in properties.items():
        pointer = f"/properties/{escape(name)}"
        if name in parameters:
            yield from _compare_default(
                signature, parameters[name], pointer, subschema, schema, name
            )
            yield from _compare_choices(signature, parameters[name], pointer, subschema, name)
        elif name in renamed:
            yield SchemaMismatch(
                pointer,
                f"a property `{renamed[name]}`, which {function} takes ({place})",
                f"a property `{name}`, which {function} does not take",
                f"rename the property `{name}` to `{renamed[name]}`"
                + (", in `required` too" if _is_listed(name, required) else "")
                + ", or rename the parameter back",
                tuple(_edits_to_rename(signature, name, parameters[renamed[name]], schema)),
            )
        elif name in signature.dropped:
            continue
        elif name not in signature.positional_only and not signature.takes_any_keyword:
            near = difflib.get_close_matches(name, parameters, 1)
            yield SchemaMismatch(
                pointer,
                f"only properties that {function} takes ({place})",
                f"a property `{name}`, which {function} does not take",
                f"remove the property `{name}`, or add a parameter `{name}` to {function}"
                + (f"; is `{near[0]}` meant?" if near else ""),
                (
                    JsonEdit(Action.REMOVE, ("properties", name)),
                    *(
                        [JsonEdit(Action.DROP, ("required",), name)]
                        if _is_listed(name, required)
                        else []
                    ),
                ),
            )

    if isinstance(required, list):
        for index, name in enumerate(required):
            if not isinstance(name, str):
                continue
            pointer = f"/required/{index}"
            if name in parameters and name in properties and not parameters[name].required:
                yield SchemaMismatch(
                    pointer,
                    f"`{name}` not required, since {function} has a default for it ({place})",
                    f"`{name}` among the required ones",
                    f'remove "{name}" from `required`, or the default from the parameter',
                    (JsonEdit(Action.DROP, ("required",), name),),
                )
            is_known = (
                name in parameters or name in signature.positional_only or name in properties
            )
            if not is_known and not signature.takes_any_keyword:
                near = difflib.get_close_matches(name, parameters, 1)
                yield SchemaMismatch(
                    pointer,
                    f"only names of parameters of {function} ({place})",
                    f"`{name}`, which is neither a parameter nor a property",
                    f'remove "{name}" from `required`'
                    + (f"; is `{near[0]}` meant?" if near else ""),
                    (JsonEdit(Action.DROP, ("required",), name),),
                )

    for name, parameter in parameters.items():
        if name in renamed.values():
            continue
        if name not in properties:
            if parameter.is_bound or name in reported:
                continue
            also = f', and "{name}" to `required`' if _lacks(parameter, required) else ""
            shape = property_of(parameter)
            # In the order of the function, behind those before it that are there or added.
            names = list(parameters)
            before = [
                order.index(earlier) for earlier in names[: names.index(name)] if earlier in order
            ]
            position = max(before, default=-1) + 1
            order.insert(position, name)
            yield SchemaMismatch(
                f"/properties/{escape(name)}",
                f"a property `{name}`, which {function} takes ({place})",
                "no such property",
                f"add {_shown(name)}: {_shown(shape)} to `properties`{also}; "
                "best make the schema anew from the function",
                (
                    JsonEdit(Action.SET, ("properties", name), shape, position),
                    *_edits_to_require(parameter, required),
                ),
            )
        elif _lacks(parameter, required):
            yield SchemaMismatch(
                "/required",
                f"`{name}` required, since {function} has no default for it ({place})",
                f"`{name}` not among the required ones",
                f'add "{name}" to `required`, or a default to the parameter',
                tuple(_edits_to_require(parameter, required)),
            )

    for name in signature.positional_only:
        yield SchemaMismatch(
            f"/properties/{escape(name)}",
            f"parameters that can be given by keyword, as Fractal does, in {function} ({place})",
            f"`{name}` is positional-only",
            f"remove the `/` after `{name}` in the signature of {function}",
        )


def property_of(parameter: Parameter) -> dict[str, Any]:
    """The schema of a parameter, as far as its name and its default tell it."""
    shape: dict[str, Any] = {"title": parameter.name.replace("_", " ").title()}
    if parameter.has_simple_default and not parameter.default_is_made:
        if kind := _kind_of(parameter.default):
            shape["type"] = kind
        if parameter.default is not None:
            shape["default"] = parameter.default
    return shape


def _kind_of(value: Any) -> str | None:
    """The name by which JSON Schema calls the type of a value; None for null."""
    kinds = {
        bool: "boolean",
        int: "integer",
        float: "number",
        str: "string",
        list: "array",
        dict: "object",
    }
    return kinds.get(type(value))


def _edits_to_require(parameter: Parameter, required: Any) -> Iterator[JsonEdit]:
    if _lacks(parameter, required):
        yield JsonEdit(Action.ADD, ("required",), parameter.name)


def _edits_to_rename(
    signature: Signature, name: str, parameter: Parameter, schema: Mapping[str, Any]
) -> Iterator[JsonEdit]:
    """The property, and its name in `required`, become those of the parameter."""
    required = schema.get("required", [])
    subschema = schema["properties"][name]
    yield JsonEdit(Action.RENAME, ("properties", name), parameter.name)
    at = f"/properties/{escape(name)}"
    for mismatch in _compare_default(signature, parameter, at, subschema, schema, name):
        yield from mismatch.edits
    if _is_listed(name, required):
        if parameter.required and parameter.name not in required:
            yield JsonEdit(Action.SET, ("required", required.index(name)), parameter.name)
        else:
            yield JsonEdit(Action.DROP, ("required",), name)
    else:
        yield from _edits_to_require(parameter, required)


def _edits_of_default(name: str, subschema: Mapping[str, Any], value: Any) -> Iterator[JsonEdit]:
    """The default of the function, where the property's own type allows it."""
    at = ("properties", name, "default")
    kind, kinds = _kind_of(value), subschema.get("type")
    if value is None:
        if "default" in subschema:
            yield JsonEdit(Action.REMOVE, at)
    elif kinds in (None, kind) or (kinds, kind) == ("number", "integer"):
        yield JsonEdit(Action.SET, at, value)


def _is_listed(name: str, required: Any) -> bool:
    return isinstance(required, list) and name in required


def _lacks(parameter: Parameter, required: Any) -> bool:
    return parameter.required and isinstance(required, list) and parameter.name not in required


def _renamed(
    parameters: Mapping[str, Parameter], properties: Mapping[str, Any], reported: Collection[str]
) -> dict[str, str]:
    """The properties that no parameter has, by the one missing parameter that each stands for.

    That is one with a name like its own; else the one that has the same default; else, where
    one property and one parameter are left, these.
    """
    missing = [name for name in parameters if name not in properties and name not in reported]
    left = [name for name in missing if not parameters[name].is_bound]
    strangers = [name for name in properties if name not in parameters]
    renamed: dict[str, str] = {}

    def pair(name: str, other: str) -> None:
        renamed[name] = other
        left.remove(other)

    for name in strangers:
        if near := difflib.get_close_matches(name, left, 1, cutoff=0.8):
            pair(name, near[0])
    for name in strangers:
        stated = properties[name]
        default = stated.get("default") if isinstance(stated, Mapping) else None
        same = [
            parameter_name
            for parameter_name in left
            if parameters[parameter_name].has_simple_default
            and _same(parameters[parameter_name].default, default)
        ]
        if name not in renamed and default is not None and len(same) == 1:
            pair(name, same[0])
    unpaired = [name for name in strangers if name not in renamed]
    if len(unpaired) == len(left) == 1:
        pair(unpaired[0], left[0])
    return renamed


def _compare_default(
    signature: Signature,
    parameter: Parameter,
    pointer: str,
    subschema: Any,
    schema: Mapping[str, Any],
    name: str,
) -> Iterator[SchemaMismatch]:
    if not isinstance(subschema, Mapping):
        return
    if not parameter.has_simple_default:
        return
    value = parameter.default
    stated = list(_defaults(subschema, schema))
    edits = tuple(_edits_of_default(name, subschema, value))
    expected = (
        f"the default {_shown(value)} of `{parameter.name}` in `{signature.function}()` "
        f"({signature.file}:{signature.line})"
    )
    if stated and not _same(stated[0], value):
        fix = "remove the `default`" if value is None else f'write `"default": {_shown(value)}`'
        yield SchemaMismatch(
            f"{pointer}/default",
            expected,
            f"the default {_shown(stated[0])}",
            f"{fix}, or change the default of the parameter",
            edits,
        )
    elif not stated and value is not None and not parameter.default_is_made:
        hint = f'add `"default": {_shown(value)}`'
        yield SchemaMismatch(pointer, expected, "no default", hint, edits)


def _compare_choices(
    signature: Signature, parameter: Parameter, pointer: str, subschema: Any, name: str
) -> Iterator[SchemaMismatch]:
    """Where the values that the schema offers are not those of the parameter's `Literal`."""
    if not isinstance(subschema, Mapping) or not parameter.choices:
        return
    stated = subschema.get("enum")
    if not isinstance(stated, list):
        return
    taken = list(parameter.choices)
    if {json.dumps(value) for value in stated} != {json.dumps(value) for value in taken}:
        yield SchemaMismatch(
            f"{pointer}/enum",
            f"the values {_shown(taken)} of `{parameter.name}` in `{signature.function}()` "
            f"({signature.file}:{signature.line})",
            f"the values {_shown(stated)}",
            f'write `"enum": {_shown(taken)}`, or change the `Literal` of the parameter',
            (JsonEdit(Action.SET, ("properties", name, "enum"), taken),),
        )


def _defaults(subschema: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Any]:
    """The defaults of a property: its own, then those of its `allOf` and its `$ref`."""
    waiting: list[Any] = [subschema]
    seen: set[str] = set()
    while waiting:
        part = waiting.pop(0)
        if not isinstance(part, Mapping):
            continue
        if "default" in part:
            yield part["default"]
        wrapped = part.get("allOf")
        waiting += wrapped if isinstance(wrapped, list) else []
        reference = part.get("$ref")
        if isinstance(reference, str) and reference.startswith("#/") and reference not in seen:
            seen.add(reference)
            place: Any = schema
            for key in reference[2:].split("/"):
                key = key.replace("~1", "/").replace("~0", "~")
                place = place.get(key) if isinstance(place, Mapping) else None
            waiting.append(place)


def _same(one: Any, other: Any) -> bool:
    """Equality as JSON has it: 1 is 1.0, but not true."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    return bool(one == other)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text.encode(errors="backslashreplace").decode()  # a lone surrogate cannot be printed
