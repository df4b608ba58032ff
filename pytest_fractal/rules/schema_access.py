"""The schema of a command, as rules read it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from pytest_fractal.facts import Part
from pytest_fractal.pointers import Keys
from pytest_fractal.rules.dialects import DRAFT_2020, implied_dialect, named_dialect
from pytest_fractal.schema_checks.client import (
    OverLimit,
    Refusal,
    refusal,
)
from pytest_fractal.verdicts import NotApplicable, NotChecked

T = TypeVar("T")

_OF_NAMED: Final = ("properties", "$defs", "definitions")
"""The keywords whose values are objects of names and schemas."""


def checked(check: Callable[..., T], schema: Mapping[str, Any], *arguments: Any) -> T:
    """What a check of a schema says. Raises `NotChecked` where that takes too long."""
    try:
        return check(schema, *arguments)
    except OverLimit as reason:
        raise NotChecked(
            f"applying the schema {reason}; see whether a `pattern` in it goes back "
            "and forth, as ^(a+)+$ does"
        ) from None


def value_at(schema: Any, keys: Keys) -> Any:
    """What stands at a place of a schema."""
    for key in keys:
        schema = schema[key]
    return schema


def last_name(keys: Keys) -> int | None:
    """Which of these keys from the root of a schema is the innermost name of a property or of a
    definition; None where none is. An argument may itself be called `properties`."""
    innermost, here = None, 0
    while here + 1 < len(keys):
        if keys[here] in _OF_NAMED:
            innermost = here = here + 1
        here += 1
    return innermost


def name_at(keys: Keys) -> str:
    """The argument, or the field of a model, at a place of a schema; `it` at its root."""
    innermost = last_name(keys)
    return "it" if innermost is None else str(keys[innermost])


def refused_by(part: Part, arguments: Mapping[str, Any]) -> Refusal | None:
    """What a command's schema refuses in its arguments first; None where it takes them."""
    return checked(refusal, with_exact_dialect(part.schema), arguments, implied_draft(part))


def implied_draft(part: Part) -> str:
    """The draft by which clients read a command's schema that names none."""
    return implied_dialect(part.task.schema_version) or DRAFT_2020


def with_exact_dialect(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema that names its draft by the right URI, where what it names is nearly one."""
    named = named_dialect(schema.get("$schema"))
    return {**schema, "$schema": named} if named else schema


def schema_of(part: Part) -> Mapping[str, Any]:
    """The schema of a command's arguments. Raises `NotApplicable` where there is none."""
    if not part.has_schema:
        raise NotApplicable("it has no JSON Schema of its arguments, see FR201")
    return part.schema
