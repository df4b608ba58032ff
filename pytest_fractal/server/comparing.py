"""Where two JSON values differ, and paths of one place told as paths of another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_fractal.json_text import pointer


@dataclass(frozen=True)
class Difference:
    """One place in which two values differ."""

    pointer: str
    one: Any
    """`MISSING` where only the other has it."""
    other: Any


MISSING = object()


def differences(one: Any, other: Any, *way: str | int) -> Iterator[Difference]:
    """The innermost places in which they differ."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in [*one, *(key for key in other if key not in one)]:
            yield from differences(one.get(key, MISSING), other.get(key, MISSING), *way, key)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (inner, counterpart) in enumerate(zip(one, other, strict=True)):
            yield from differences(inner, counterpart, *way, index)
    elif one != other or isinstance(one, bool) is not isinstance(other, bool):
        yield Difference(pointer(*way), one, other)


def moved(value: Any, places: Mapping[str, str]) -> Any:
    """`value` with the paths in all its texts and keys moved: from folder, to folder."""
    if isinstance(value, str):
        for here, there in places.items():
            value = value.replace(here, there)
        return value
    if isinstance(value, Mapping):
        return {moved(key, places): moved(inner, places) for key, inner in value.items()}
    if isinstance(value, list):
        return [moved(inner, places) for inner in value]
    return value
