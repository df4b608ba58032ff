"""Where two JSON values differ, and paths of one place written as those of another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_fractal.pointers import Keys, pointer


@dataclass(frozen=True)
class Difference:
    """One place in which two values differ."""

    keys: Keys
    here: Any
    """What the first value has; `MISSING` where only the second has anything."""
    there: Any
    """What the second value has, in the same way."""

    @property
    def pointer(self) -> str:
        """The place as a JSON pointer."""
        return pointer(*self.keys)


MISSING = object()


def differences(here: Any, there: Any, *way: str | int) -> Iterator[Difference]:
    """The innermost places in which two values differ."""
    if isinstance(here, Mapping) and isinstance(there, Mapping):
        for key in [*here, *(key for key in there if key not in here)]:
            yield from differences(here.get(key, MISSING), there.get(key, MISSING), *way, key)
    elif isinstance(here, list) and isinstance(there, list) and len(here) == len(there):
        for index, (mine, theirs) in enumerate(zip(here, there, strict=True)):
            yield from differences(mine, theirs, *way, index)
    elif not _equal(here, there):
        yield Difference(way, here, there)


def _equal(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON; numbers by what they are read as.

    PostgreSQL stores decimals and tells 6.02e23 as 602000000000000000000000, which is not
    the float that 6.02e23 is, but is read as that float where numbers are floats.
    """
    if isinstance(one, bool) is not isinstance(other, bool):
        return False
    if isinstance(one, float) and isinstance(other, int):
        return _equal(other, one)
    if isinstance(one, int) and isinstance(other, float):
        try:
            return float(one) == other
        except OverflowError:
            return False
    return bool(one == other)


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
