"""FR106 to FR108: the manifest has tasks, and the fields that the server wants."""

from __future__ import annotations

import copy
import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, Final

from pytest_fractal.fixes.model import Action, JsonEdit
from pytest_fractal.generations import ModelFault, ModelFaultKind
from pytest_fractal.json_text import shown
from pytest_fractal.pointers import Keys
from pytest_fractal.rules.cite import Source
from pytest_fractal.rules.registry import rule
from pytest_fractal.task_lists import Manifest, TaskList
from pytest_fractal.verdicts import Finding, Severity


@rule(
    "FR106",
    "manifest-fields",
    needs=("FR105",),
    cite=(Source.METADATA, Source.SERVER_1, Source.SERVER_2),
    fix="Give each field the type that the finding names.",
    example='A task without "executable", or with "name": null.',
)
def manifest_fields(tasks: TaskList) -> Iterator[Finding]:
    """Every field has the type that the server's model needs.

    One missing, null or wrongly typed field makes the server refuse the whole package. In
    generation 1 it says no more than `'task_list'`: the author learns neither the task nor
    the field. In generation 2 it stops at the first of two models, and reports the second
    when the first is content.
    """
    for fault in tasks.faults():
        task = tasks.task_of(fault.keys)
        if (written := _command_for(tasks, fault.keys)) is not None:
            entry, script = written
            also = ", and remove 'source': the server makes it" if "source" in entry else ""
            yield tasks.finding(
                *fault.keys[:-1],
                "command",
                expected=f"'executable', the script's path below the package's folder, of the "
                f"task {task!r}",
                found=f"'command': {shown(entry['command'])}",
                hint=f'write "executable": {json.dumps(script)} in its place{also}',
                task=task,
                edits=_edits_for_command(entry, fault.keys[:-1], script),
            )
            continue
        in_task = f" of the task {task!r}" if task else ""
        edits = tuple(_edits_for_fault(tasks, fault))
        written_so = [f"write {shown(edit.value)}" for edit in edits if edit.action is Action.SET]
        yield tasks.finding(
            *fault.keys,
            expected=f"{fault.expected}{in_task}",
            found=fault.found,
            hint=next(iter(written_so), "") or _what_to_add(fault) or fault.fix,
            task=task,
            severity=Severity.WARNING if fault.coerced else None,
            releases=fault.releases,
            edits=edits,
        )


def _what_to_add(fault: ModelFault) -> str:
    """What to write into a field; empty where it is none that every author writes."""
    key = str(fault.keys[-1]) if fault.keys else ""
    if key not in _TO_ADD:
        return ""
    example, means = _TO_ADD[key]
    if fault.kind is ModelFaultKind.MISSING:
        return f'add "{key}": {json.dumps(example)}, with {means} in its place'
    return f"write {means.rstrip(',')}, such as {json.dumps(example)}"


_SCRIPT: Final = "the path of the task's script below the package's folder"


_TO_ADD: Final = {
    "name": ("Blur image", "the name of the task"),
    "executable": ("blur_image.py", _SCRIPT),
    "executable_parallel": ("blur_image.py", _SCRIPT),
    "executable_non_parallel": ("blur_image.py", _SCRIPT),
    "input_type": ("image", 'the type of what the task takes, or "Any",'),
    "output_type": ("image", 'the type of what the task makes, or "Any",'),
}
"""An example for each field that an author may forget, and what belongs there."""


def _edits_for_command(entry: Mapping[str, Any], way: Keys, script: str) -> Iterator[JsonEdit]:
    """The executable in the place of the command; the server makes `source`."""
    yield JsonEdit(Action.SET, (*way, "command"), script)
    yield JsonEdit(Action.RENAME, (*way, "command"), "executable")
    if "source" in entry:
        yield JsonEdit(Action.REMOVE, (*way, "source"))


_SEPARATORS: Final = {"authors": ", ", "docs_info": "\n"}
"""The texts that people write as lists, and what stands between the items in a text."""


_BOOLEANS: Final = {
    **dict.fromkeys(("true", "1", "1.0", "yes", "y", "on", "t"), True),
    **dict.fromkeys(("false", "0", "0.0", "no", "n", "off", "f"), False),
}
"""What the servers' library takes for true and false."""


def _edits_for_fault(tasks: TaskList, fault: ModelFault) -> Iterator[JsonEdit]:
    """The value that is plainly meant, in the type that is wanted; nothing where none is."""
    value = tasks.text.value
    for key in fault.keys:
        try:
            value = value[key]
        except (LookupError, TypeError):
            return  # it is missing
    meant: Any = None
    key = fault.keys[-1] if fault.keys else ""
    if fault.wanted is str and isinstance(value, int | float) and not isinstance(value, bool):
        meant = json.dumps(value)
    elif fault.wanted is str and key in _SEPARATORS and isinstance(value, list):
        lines = [line for line in value if isinstance(line, str)]
        meant = _SEPARATORS[str(key)].join(lines) if len(lines) == len(value) else None
        meant = meant or None
    elif fault.wanted is str and isinstance(value, list) and len(value) == 1:
        meant = value[0] if isinstance(value[0], str) and value[0].strip() else None
    elif fault.wanted is bool:
        meant = _BOOLEANS.get(str(value).strip().lower())
    elif fault.wanted is list and isinstance(value, str) and value.strip():
        parts = value.split(",") if key == "tags" else [value]
        meant = [part.strip() for part in parts if part.strip()] or None
    elif fault.choices and isinstance(value, str):
        plain = re.sub(r"[\s-]+", "_", value.strip()).lower()
        meant = next((choice for choice in fault.choices if choice.lower() == plain), None)
    elif key == "authors" and isinstance(value, str) and not value.strip():
        yield JsonEdit(Action.REMOVE, fault.keys)
    if meant is not None:
        yield JsonEdit(Action.SET, fault.keys, meant)


def _command_for(tasks: TaskList, keys: Keys) -> tuple[Mapping[str, Any], str] | None:
    """An entry that has a command where a script is missing, and the script in it."""
    if not keys or keys[-1] != "executable":
        return None
    index = next(
        (number for number in range(len(tasks.entries)) if tasks.way(number) == keys[:-1]), None
    )
    entry = tasks.entries[index] if index is not None else None
    command = entry.get("command") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or "executable" in entry or not isinstance(command, str):
        return None
    if not (words := command.split()):
        return None
    script = next((word for word in words if word.endswith(".py")), words[-1])
    folder = PurePosixPath(tasks.path).parent.name
    return entry, script.removeprefix("./").removeprefix("src/").removeprefix(f"{folder}/")


@rule(
    "FR107",
    "unknown-fields",
    severity=Severity.WARNING,
    needs=("FR105",),
    cite=(Source.SERVER_1, Source.SERVER_2),
    fix="Correct the key's spelling, or remove it.",
    example='"exectuable": "task.py"',
)
def unknown_fields(tasks: TaskList) -> Iterator[Finding]:
    """No key is there that the server silently drops.

    A misspelt key is not refused: what it should have set is just not set.
    """
    faulty = {fault.keys for fault in tasks.faults()}
    for unknown in tasks.unknown_keys():
        key, known = str(unknown.keys[-1]), sorted(unknown.known)
        as_command = _command_for(tasks, (*unknown.keys[:-1], "executable"))
        if unknown.keys in faulty or (as_command and key in ("command", "source")):
            continue  # FR106 says what to do with it
        hint = f"remove {key!r}" + (": the server makes it" if key == "source" else "")
        edit = JsonEdit(Action.REMOVE, unknown.keys)
        if close := difflib.get_close_matches(key, known, 1, 0.7):
            if close[0] in unknown.there:
                hint = f"remove {key!r}: {close[0]!r} is there already"
            elif _takes_as(tasks, unknown.keys, close[0]):
                hint = f"rename it to {close[0]!r}"
                edit = JsonEdit(Action.RENAME, unknown.keys, close[0])
            else:
                hint = f"remove {key!r}; {close[0]!r} takes other values"
        yield tasks.finding(
            *unknown.keys,
            expected=f"one of the keys that the server reads: {', '.join(known)}",
            found=f"{key!r}, which is dropped",
            hint=hint,
            task=tasks.task_of(unknown.keys),
            edits=[edit],
        )


def _takes_as(tasks: TaskList, keys: Keys, name: str) -> bool:
    """Whether the server takes what stands there if its key is this one."""
    value = copy.deepcopy(tasks.text.value)
    inner = value
    for key in keys[:-1]:
        inner = inner[key]
    inner[name] = inner.pop(keys[-1])
    renamed = replace(tasks, text=replace(tasks.text, value=value))
    way = (*keys[:-1], name)
    return not any(fault.keys[: len(way)] == way for fault in renamed.faults())


@rule(
    "FR108",
    "has-tasks",
    needs=("FR106",),
    cite=("none: the server collects nothing, and says OK",),
    fix="List the package's tasks in `task_list`.",
    example='"task_list": []',
)
def has_tasks(manifest: Manifest) -> Iterator[Finding]:
    """There is at least one task.

    An empty list is collected without a word, and no task appears.
    """
    if not manifest.entries:
        yield manifest.finding(
            "task_list",
            expected="at least one task",
            found="an empty list",
            hint="add an entry for each task, with its name, its executable and the JSON Schema "
            "of its arguments",
        )
