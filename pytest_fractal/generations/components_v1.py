"""For which components a parallel task of generation 1 runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from pytest_fractal.json_text import shown


def problem_of_component(component: str) -> str:
    """Why a component is unfit for `0_par_COMPONENT.metadiff.json` on a command line."""
    if bad := re.search("[\\0\t\n\r'\"\\\\\ud800-\udfff]", component):
        return f"has the character {bad[0]!r}"
    if len(component.encode()) > LONGEST_COMPONENT:
        return f"is longer than {LONGEST_COMPONENT} bytes"
    return ""


LONGEST_COMPONENT: Final = 230
"""File names end at 255 bytes on all common file systems."""


def components_for(
    kind: str, entry: Mapping[str, Any], metadata: Mapping[str, Any], given: str | None
) -> tuple[tuple[str | None, ...], str | None]:
    """For which components a task runs, None alone for a non-parallel one; and why for none.

    One for each element of `metadata[level]` (`call_parallel_task`), but for a `given` one.
    """
    if kind != "parallel":
        return (None,), None
    if given is not None:
        return (given,), None
    level = entry["meta"]["parallelization_level"]
    if not isinstance(level, str) or level not in metadata:
        there = ", ".join(metadata) or "none"
        return (), (
            f"the parallelization level {level!r} is missing in the metadata, which has: "
            f"{there}; the server's job fails with this"
        )
    listed = metadata[level]
    if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
        does = "fails"
        if isinstance(listed, str | dict):
            does = f"runs once a {'character' if isinstance(listed, str) else 'key'}"
        elif isinstance(listed, list):
            does = "hands the task each of them as it is"
        return (), (
            f"metadata[{level!r}] is no list of components, but {shown(listed)}; "
            f"the server's job {does}"
        )
    if not listed and not _tasks_per_job(entry["meta"]):
        return (), (
            f"metadata[{level!r}] is an empty list: there is no component to run for; the "
            "server's job fails with this"
        )
    safe: dict[str, str] = {}
    for component in listed:
        if problem := problem_of_component(component):
            return (), (
                f"the component {component[:80]!r} {problem}; the server makes a file name "
                "of it and puts that into the command line, and its job fails"
            )
        name = component.replace(" ", "_").replace("/", "_").replace(".", "_")
        if component in safe.values():
            return (), f"the component {component!r} is listed twice; the server runs it twice"
        if name in safe:
            return (), (
                f"the components {safe[name]!r} and {component!r} both become {name!r} in "
                "file names; on the server one of them overwrites the other's files"
            )
        safe[name] = component
    return tuple(listed), None


def _tasks_per_job(meta: Mapping[str, Any]) -> int:
    """The `parallel_tasks_per_job` as the server's local runner reads it; 0 without one.

    It runs the components in steps of that many, by `range(0, number, step)`: none at all
    are done, unless the step is their number. FR111 judges values that it cannot read.
    """
    value = meta.get("parallel_tasks_per_job")
    if not isinstance(value, int | float | str):
        return 0
    try:
        return int(value)
    except (ValueError, OverflowError):
        return 0
