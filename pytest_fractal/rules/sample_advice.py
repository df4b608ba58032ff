"""What to do about a sample that its task's schema refuses, for FR208."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any, Final

from pytest_fractal.facts import Part
from pytest_fractal.fixes.model import Action, Fix, JsonEdit, json_fix
from pytest_fractal.samples.files import Sample
from pytest_fractal.samples.generated import make_arguments
from pytest_fractal.schema_checks.client import Refusal

_ELSE: Final = "or generate the schema anew from the function"


def advice_for_sample(sample: Sample, part: Part, refused: Refusal) -> tuple[str, Fix | None]:
    """The words, and the edit of the sample's file where it is plain what is meant."""
    way = (*sample.way, *sample.way_to_args(part), *refused.keys)
    match refused.keyword:
        case "additionalProperties" if isinstance(refused.instance, Mapping):
            return _unknown(sample, part, refused, way)
        case "required" if not refused.keys and isinstance(refused.allowed, list):
            lacking = [name for name in refused.allowed if name not in refused.instance]
            unknown = _unknown(sample, part, refused, way)
            if unknown[1] is not None:
                return unknown
            made = make_arguments(part.schema)
            values = {name: made.get(name) for name in lacking}
            return (
                f"add {json.dumps(values)[1:-1]} to the arguments, with values that the task can "
                "do with"
            ), None
        case "type":
            meant = _of_type(refused.instance, refused.allowed)
        case "enum" if isinstance(refused.allowed, list):
            meant = _of_choices(refused.instance, refused.allowed)
            if meant is None:
                choices = ", ".join(map(json.dumps, refused.allowed))
                return f"write one of {choices}, {_ELSE}", None
        case _:
            meant = None
    if meant is not None:
        edit = JsonEdit(Action.SET, way, meant)
        return f"write {json.dumps(meant)}", json_fix(str(sample.file), edit)
    return f"correct the sample, {_ELSE}", None


def _unknown(
    sample: Sample, part: Part, refused: Refusal, way: tuple[str | int, ...]
) -> tuple[str, Fix | None]:
    """An argument that the schema does not know: another spelling of one that it does."""
    properties = part.schema.get("properties") if not refused.keys else None
    known = list(properties) if isinstance(properties, Mapping) else []
    unknown = [name for name in refused.instance if name not in known]
    if not known or not unknown:
        return f"correct the sample, {_ELSE}", None
    name = unknown[0]
    free = [name for name in known if name not in refused.instance]
    own = [name for name in free if name not in part.reserved.all]
    near = difflib.get_close_matches(name, own, 1, 0.75)
    if near:
        edit = JsonEdit(Action.RENAME, (*way, name), near[0])
        return f'rename "{name}" to "{near[0]}"', json_fix(str(sample.file), edit)
    takes = ", ".join(name for name in known if name not in part.reserved.all) or "none"
    return f'remove "{name}": the task takes {takes}; {_ELSE}', None


_KINDS: Final = {"integer": (int,), "number": (int, float), "boolean": (bool,)}


def _of_type(value: Any, wanted: Any) -> Any:
    """The value as JSON of a type, where it spells that: 2 for "2", [1] for 1."""
    if isinstance(value, str) and wanted in ("integer", "number", "boolean"):
        try:
            read = json.loads(value.strip().lower())
        except ValueError:
            return None
        return read if type(read) in _KINDS[str(wanted)] else None
    if wanted == "array" and isinstance(value, str | int | float):
        return [value]
    return None


def _of_choices(value: Any, choices: Any) -> Any:
    """The choice that a text differs from in case and blanks alone."""
    if not isinstance(value, str) or not isinstance(choices, list):
        return None
    plain = value.strip().casefold()
    same = [choice for choice in choices if isinstance(choice, str) and choice.casefold() == plain]
    return same[0] if len(same) == 1 else None
