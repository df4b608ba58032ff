"""FR210: the manifest is what its generator makes of the code."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from pytest_fractal.facts import GeneratedManifest
from pytest_fractal.json_text import shown
from pytest_fractal.rules.cite import Source
from pytest_fractal.rules.registry import rule
from pytest_fractal.server.comparing import MISSING, Difference, differences
from pytest_fractal.task_lists import Manifest
from pytest_fractal.verdicts import Finding, NotChecked, Severity

_MOST: Final = 12
"""How many differences of one task are listed."""


@rule(
    "FR210",
    "manifest-up-to-date",
    severity=Severity.WARNING,
    needs=("FR002", "FR104"),
    cite=(Source.TOOLS,),
    fix="Generate the manifest anew, and commit it.",
    example="An argument got `gt=0`, and the manifest was not generated again.",
)
def manifest_up_to_date(manifest: Manifest, generated: GeneratedManifest) -> Iterator[Finding]:
    """The manifest is what the package's own generator makes of the code today.

    Fractal reads the manifest, never the code: what has changed there since is not offered
    to users, or offered wrongly. Where the package has a `dev/task_list.py`, its generator
    is run on a copy of what was installed, and compared by meaning: the order of keys and
    the layout do not count. It does what `fractal-manifest check` does.
    """
    assert manifest.generator is not None
    command = manifest.generator.command
    if generated.text is None:
        raise NotChecked(f"`{command}` fails in the candidate's environment: {generated.failure}")
    groups: dict[str | None, list[Difference]] = {}
    for difference in _differences(manifest, json.loads(generated.text)):
        groups.setdefault(manifest.task_of(difference.keys), []).append(difference)
    for task, different in groups.items():
        listed = "\n".join(map(_line, different[:_MOST]))
        more = f"\nand {len(different) - _MOST} more" if len(different) > _MOST else ""
        found = manifest.finding(
            *different[0].keys,
            expected="what the package's generator makes of its code",
            found=listed + more,
            hint="",
            task=task,
        )
        again = manifest.generator.commands
        yield replace(found, hint=f"generate the manifest anew, and commit it:{again}")


def _differences(manifest: Manifest, generated: Any) -> Iterator[Difference]:
    """Where the two manifests differ; tasks are compared by their names."""
    tasks = generated.get("task_list") if isinstance(generated, dict) else None
    if not isinstance(tasks, list):
        yield Difference((), manifest.value, generated)
        return
    without = {key: value for key, value in manifest.value.items() if key != "task_list"}
    generated = {key: value for key, value in generated.items() if key != "task_list"}
    yield from differences(without, generated)
    here, there = _by_name(manifest.entries), _by_name(tasks)
    for name, index in here.items():
        other = tasks[there[name]] if name in there else MISSING
        yield from differences(manifest.entries[index], other, *manifest.way(index))
    for name in there:
        if name not in here:
            yield Difference(("task_list",), MISSING, f"a task {name!r}")
    if here.keys() == there.keys() and list(here) != list(there):
        yield Difference(("task_list",), list(here), list(there))


def _line(different: Difference) -> str:
    here = "missing" if different.here is MISSING else shown(different.here)
    there = "nothing" if different.there is MISSING else shown(different.there)
    return f"{different.pointer}: {here}, generated: {there}"


def _by_name(tasks: Any) -> Mapping[str, int]:
    """The index of each task by its name; one without is known by its place."""
    return {
        str(task.get("name", index) if isinstance(task, dict) else index): index
        for index, task in enumerate(tasks)
    }
