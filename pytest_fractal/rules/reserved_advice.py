"""What to do about arguments that Fractal supplies, for FR205 and FR207.

Schema and function must agree afterwards, so each fix tells which of the two has the argument.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from pytest_fractal.facts import PackagedPart, Part
from pytest_fractal.fixes.model import Action, JsonEdit
from pytest_fractal.signatures.task_function import Parameter, Signature


def parameter_of(part: Part, name: str) -> Parameter | None:
    """The parameter of this name of the command's function; None where none is known."""
    signature = _signature_of(part)
    known = signature.parameters if signature else ()
    return next((parameter for parameter in known if parameter.name == name), None)


def hint_to_add(part: Part, name: str) -> str:
    """Which of the two lacks a reserved argument: the schema alone, or the function as well."""
    shape = json.dumps(part.task.generation.reserved_shapes[name])
    only_property = f'add "{name}": {shape} to its properties'
    listed = "" if _is_required(part, name) else f', and "{name}" to its `required`'
    add = f"{only_property}{listed}"
    signature = _signature_of(part)
    if signature is None:
        return f"if the function takes {name!r}, {add}; else give it that parameter first"
    function = _function_of(signature)
    taken = parameter_of(part, name)
    if taken is not None:
        return (
            f"{function} takes it, the schema lacks it: {add if taken.required else only_property}"
        )
    if signature.takes_any_keyword:
        return f"{function} takes any argument, the schema lacks this one: {add}"
    return f"neither {function} nor the schema has it: give the function that parameter, and {add}"


def lacks_parameter(part: Part, name: str) -> bool:
    """Whether the command's function is known, and does not take this argument."""
    signature = _signature_of(part)
    if signature is None or signature.takes_any_keyword:
        return False
    return parameter_of(part, name) is None


def edits_to_add(part: Part, name: str) -> Iterator[JsonEdit]:
    """The property that the schema lacks; none where the function must be changed first."""
    if _signature_of(part) is None or lacks_parameter(part, name):
        return
    taken = parameter_of(part, name)
    shape = part.task.generation.reserved_shapes[name]
    yield JsonEdit(Action.SET, ("properties", name), shape)
    if (taken is None or taken.required) and not _is_required(part, name):
        yield _edit_to_require(part, name)


def hint_to_remove(part: Part, name: str) -> str:
    """What has an argument that it must not have: the schema alone, or the function as well."""
    signature = _signature_of(part)
    listed = " and `required`" if _is_required(part, name) else ""
    gone = f'remove "{name}" from `properties`{listed}'
    if signature is not None and parameter_of(part, name) is not None:
        return f"{gone}, and from the parameters of {_function_of(signature)}"
    return gone


def edits_to_remove(part: Part, name: str) -> Iterator[JsonEdit]:
    """The schema without a property; nothing where the function must be changed as well."""
    signature = _signature_of(part)
    if signature is not None and parameter_of(part, name) is None:
        yield JsonEdit(Action.REMOVE, ("properties", name))
        if _is_required(part, name):
            yield JsonEdit(Action.DROP, ("required",), name)


def hint_for_default(part: Part, name: str) -> str:
    """Which of the two has a default: the schema alone, or the function as well."""
    signature = _signature_of(part)
    taken = parameter_of(part, name)
    listed = "" if _is_required(part, name) else f', and add "{name}" to `required`'
    if taken is None or taken.required or signature is None:
        return f"remove this default{listed}"
    return (
        f"write the parameter {name!r} of {_function_of(signature)} without a default, remove "
        f"this one{listed}"
    )


def edits_for_default(part: Part, name: str) -> Iterator[JsonEdit]:
    """The property without its default; nothing where the function must be changed first."""
    taken = parameter_of(part, name)
    if taken is not None and taken.required:
        yield JsonEdit(Action.REMOVE, ("properties", name, "default"))
        if not _is_required(part, name):
            yield _edit_to_require(part, name)


def _edit_to_require(part: Part, name: str) -> JsonEdit:
    if isinstance(part.schema.get("required"), list):
        return JsonEdit(Action.ADD, ("required",), name)
    return JsonEdit(Action.SET, ("required",), [name])


def _signature_of(part: Part) -> Signature | None:
    """What is known of the command's function; None where that is nothing."""
    signature = part.signature if isinstance(part, PackagedPart) else None
    return signature if isinstance(signature, Signature) else None


def _function_of(signature: Signature) -> str:
    return f"`{signature.function}()` ({signature.file}:{signature.line})"


def _is_required(part: Part, name: str) -> bool:
    required = part.schema.get("required")
    return isinstance(required, list) and name in required
