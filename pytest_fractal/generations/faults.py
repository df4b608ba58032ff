"""What a pydantic model says of a value, in the words of findings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pytest_fractal.generations.protocol import ModelFault, ModelFaultKind
from pytest_fractal.json_text import shown

_EXPECTED: Final = {
    "string_type": "a string",
    "string_too_short": "a text that is not blank",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}
_WANTED: Final = {"string_type": str, "bool_type": bool, "bool_parsing": bool, "list_type": list}


def faults_of(model: type[BaseModel], value: Any) -> Iterator[ModelFault]:
    """Where `value` is not what the model takes, all places at once."""
    try:
        model.model_validate(value)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_context=False):
            yield _fault(detail)


def _fault(detail: ErrorDetails) -> ModelFault:
    keys = tuple(detail["loc"])
    if detail["type"] == "missing":
        name = f'"{keys[-1]}"'
        return ModelFault(
            keys, f"the field {name}", f"{name} is missing", kind=ModelFaultKind.MISSING
        )
    choices: tuple[str, ...] = ()
    if detail["type"] == "literal_error":
        choices = tuple(re.findall("'([^']*)'", detail["msg"]))
        expected = detail["msg"].removeprefix("Input should be ").replace("'", '"')
    else:
        expected = _EXPECTED.get(detail["type"], detail["msg"])
    wanted = _WANTED.get(detail["type"])
    return ModelFault(keys, expected, shown(detail["input"]), wanted=wanted, choices=choices)
