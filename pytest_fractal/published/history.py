"""The results of all runs until now, in one file: what is new beside what was there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from pytest_fractal.errors import BadInput
from pytest_fractal.files import FILE_LIMIT, read_regular
from pytest_fractal.published.digest import Result, State


@dataclass(frozen=True)
class Results:
    """The newest result of every cell."""

    day: str = ""
    """When the last run was made."""
    cells: Mapping[str, Result] = field(default_factory=dict)
    """By the keys of their cells."""


T = TypeVar("T")

_RESULTS: Final = TypeAdapter(Results)
_RESULT: Final = TypeAdapter(Result)


def read_results(text: bytes, name: str) -> Results:
    """Results as a run before has written them. Raises `BadInput` where they are not that."""
    return _read(_RESULTS, text, name)


def read_result(path: Path) -> Result:
    """The result of one cell. Raises `BadInput` where the file is not that."""
    try:
        return _read(_RESULT, read_regular(path, FILE_LIMIT), str(path))
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error}") from None


def results_json(results: Results) -> bytes:
    """Results as a file holds them."""
    return bytes(_RESULTS.dump_json(results, indent=1)) + b"\n"


def result_json(result: Result) -> bytes:
    """One result as a file holds it."""
    return bytes(_RESULT.dump_json(result, indent=1)) + b"\n"


def merged(before: Results, new: Iterable[Result], known: Iterable[str]) -> Results:
    """What is known after a run: of each cell that is still listed (`known`), the newest.

    A cell that was given up keeps what was known of it, with its day.
    """
    found = {result.cell.key: result for result in new}
    cells: dict[str, Result] = {}
    for key in known:
        last, now = before.cells.get(key), found.get(key)
        if now is None or (now.state is State.GAVE_UP and last is not None):
            if last is not None:
                cells[key] = last
        else:
            cells[key] = _after(last, now)
    return Results(max([before.day, *(result.day for result in found.values())]), cells)


def _after(last: Result | None, now: Result) -> Result:
    if last is None:
        return replace(now, since=now.day)
    changed = {
        name: (last.versions[name], version)
        for name, version in now.versions.items()
        if last.versions.get(name, version) != version
    }
    same = _standing(last) == _standing(now)
    return replace(now, since=last.since if same else now.day, changed=changed)


def _standing(result: Result) -> tuple[object, ...]:
    """What makes a cell look as it does."""
    return result.state, result.version, result.starting, result.tasks, dict(result.lights)


def _read(adapter: TypeAdapter[T], text: bytes, name: str) -> T:
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(f"{name}: no file of results: {first['msg']}") from None
