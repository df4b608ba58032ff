"""FR106 to FR115: the entries of the manifest say what the server understands."""

from __future__ import annotations

import copy
import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, Final

from pytest_fractal.environments.wheels import Wheel
from pytest_fractal.facts import (
    Bundle,
    Manifest,
    PackagedPart,
    PackagedTask,
    Part,
    Task,
    TaskList,
)
from pytest_fractal.fixes.model import Action, Fix, JsonEdit
from pytest_fractal.generations import ModelFault, ModelFaultKind
from pytest_fractal.json_text import depth_of, shown
from pytest_fractal.packaging_hints.backends import (
    Hint,
    packaging_hint_for_module,
)
from pytest_fractal.pointers import Keys
from pytest_fractal.rules.cite import Source
from pytest_fractal.rules.registry import rule
from pytest_fractal.verdicts import Finding, NotApplicable, Severity


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
    the field. In generation 2 it stops at the first of two models, and tells of the second
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
    """The line for a field that is missing; empty where it is none that people write alike."""
    key = str(fault.keys[-1]) if fault.keys else ""
    if fault.kind is not ModelFaultKind.MISSING or key not in _TO_ADD:
        return ""
    example, means = _TO_ADD[key]
    return f'add "{key}": {json.dumps(example)}, with {means} in its place'


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
        meant = [value]
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
    words = command.split()
    script = next((word for word in words if word.endswith(".py")), words[-1] if words else "")
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
        free = [name for name in known if name not in unknown.there]
        hint = f"remove {key!r}" + (": the server makes it" if key == "source" else "")
        edit = JsonEdit(Action.REMOVE, unknown.keys)
        if close := difflib.get_close_matches(key, free, 1, 0.7):
            if _takes_as(tasks, unknown.keys, close[0]):
                hint = f"rename it to {close[0]!r}"
                edit = JsonEdit(Action.RENAME, unknown.keys, close[0])
            else:
                hint = f"remove {key!r}; {close[0]!r} takes other values"
        elif close := difflib.get_close_matches(key, known, 1, 0.7):
            hint = f"remove {key!r}: {close[0]!r} is there already"
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


@rule(
    "FR109",
    "unique-tasks",
    needs=("FR106",),
    cite=(Source.SERVER_1, Source.SERVER_2),
    fix="Give the tasks names that differ by more than case and blanks.",
    example='Two tasks called "Convert image" and "convert_image".',
)
def unique_tasks(tasks: TaskList) -> Iterator[Finding]:
    """Names, and the slugs made of them, are unique.

    In generation 1 the slug is the last part of a task's `source`, which is unique in the
    server's database: with two alike the collection freezes at "collecting", without an
    error. In generation 2 the same name twice is refused. Of two that differ in blanks at
    their ends, servers before 2.23.3 make two tasks of one name, and newer ones freeze.
    """
    assert tasks.generation is not None
    taken: dict[tuple[str, str], str] = {}
    for index, entry in enumerate(tasks.entries):
        name = str(entry.get("name"))
        given = tasks.generation.identities(name)
        twin = next((one for pair in given.items() if (one := taken.get(pair)) is not None), None)
        if twin is not None:
            made = "".join(f" (slug {slug!r})" for what, slug in given.items() if what == "slug")
            releases = tasks.generation.twin_releases(name, twin)
            does = f": servers {releases} never end the collection" if releases else ""
            yield tasks.finding(
                *tasks.way(index),
                "name",
                expected=f"a {' and a '.join(reversed(list(given)))} that no other task has",
                found=f"{name!r}{made}, beside {twin!r}{does}",
                hint="rename one of the two: "
                f"{'case and blanks do' if made else 'blanks at the ends do'} not count",
                task=tasks.slug(index),
                releases=releases,
            )
        for pair in given.items():
            taken.setdefault(pair, name)


@rule(
    "FR110",
    "executables-in-package",
    needs=("FR106", "FR003"),
    cite=(Source.COMMAND_LINE, Source.SERVER_1, Source.SERVER_2),
    fix="Give the path of the script relative to the package's folder, with `/`.",
    example='"executable": "my_tasks/task.py" for the file task.py in the folder my_tasks/.',
)
def executables_in_package(part: PackagedPart, bundle: Bundle) -> Iterator[Finding]:
    """The executable is a relative path to a file of the wheel inside the package folder.

    The server joins the package's folder and this text into a command line: blanks and
    quotes split it, and a path that leads elsewhere is not part of the package. Of
    generation 2, it also refuses the characters that mean something to a shell. A `..` that
    stays within the package is a warning: servers follow it.
    """
    text, wheel, package = part.executable, part.wheel, part.wheel.package
    path = PurePosixPath(text)
    inside = f"{package}/{path}"
    found, severity = json.dumps(text), None
    meant: str | None = None
    fix: Fix | None = None
    hint = "give the script's path relative to the package's folder"
    if not text.strip():
        found += ", which is empty"
    elif bad := re.search(part.task.generation.bad_in_executables, text):
        words = {"'": "a quote", '"': "a quote", "\\": "a backslash"}
        character = "a blank" if bad[0].isspace() else words.get(bad[0], f"a {bad[0]}")
        found += f", which has {character}: this breaks the command line, or is refused in it"
        hint = "rename the file; best are letters, digits and underscores"
        if bad[0] == "\\":
            with_slashes = text.replace(bad[0], "/")
            hint = f"write it with /: {json.dumps(with_slashes)}"
            meant = with_slashes if f"{package}/{with_slashes}" in wheel.contents else None
    elif path.is_absolute():
        found += ", which is an absolute path"
        if meant := _near_script(part, path.name):
            hint = f"write {json.dumps(meant)}"
    elif ".." in path.parts:
        direct = _without_dots(f"{package}/", path, wheel)
        found += (
            ", which leads out of the package's folder by `..`"
            if direct is None
            else f", which goes up by `..` to get to {direct}"
        )
        if direct is None and (meant := _near_script(part, path.name)):
            hint = f"write {json.dumps(meant)}"
        if direct is not None:
            hint, severity, meant = f"write {json.dumps(direct)}", Severity.WARNING, direct
    elif inside in wheel.contents:
        return
    elif inside in wheel.folders or not path.parts:
        found += ", which is a folder"
        hint = "name the script inside it"
    else:
        found += ", which is not in the wheel"
        hint = "see that the file is there, and that the build takes it along"
        if packing := _hint_to_pack(bundle, inside):
            hint, fix = packing.text, packing.fix
        elif meant := _near_script(part, text):
            hint = f"write {json.dumps(meant)}"
    finding = part.task.finding(
        part.keys.executable,
        expected=f"the path of a file below {package}/ in the wheel, such as tasks/my_task.py",
        found=found,
        hint=hint,
        severity=severity,
        edits=[JsonEdit(Action.SET, (part.keys.executable,), meant)] if meant else (),
    )
    yield replace(finding, fix=fix or finding.fix)


def _without_dots(folder: str, path: PurePosixPath, wheel: Wheel) -> str | None:
    """The path without its `..`, if it stays below the folder, and there is such a file."""
    way: list[str] = []
    for part in path.parts:
        if part != "..":
            way.append(part)
        elif way and f"{folder}{'/'.join(way)}" in wheel.folders:
            way.pop()
        else:
            return None
    direct = "/".join(way)
    return direct if f"{folder}{direct}" in wheel.contents else None


def _hint_to_pack(bundle: Bundle, inside: str) -> Hint | None:
    """The packaging lines for a script that lies in the source tree, and not in the wheel."""
    for place in (inside, f"src/{inside}"):
        if bundle.source is not None and (bundle.source / place).is_file():
            hint = packaging_hint_for_module(bundle.source, PurePosixPath(place))
            lost = f"{place} lies in the source tree, but the build leaves it out"
            if hint is None:
                return Hint(f"{lost}: see which packages it takes along")
            return replace(hint, text=f"{lost}. {hint.text}")
    return None


def _near_script(part: PackagedPart, text: str) -> str | None:
    """The script that is meant by a path at which there is none: of that name, or one like it.

    Not one that another command runs.
    """
    wheel, task = part.wheel, part.task
    taken = {
        entry.get(key)
        for entry in task.listed.entries
        if isinstance(entry, dict)
        for key in task.generation.executable_keys
    }
    scripts = [
        script
        for file in wheel.contents
        if file.startswith(f"{wheel.package}/") and file.endswith(".py")
        if (script := file.removeprefix(f"{wheel.package}/")) not in taken
    ]
    name = PurePosixPath(text).name
    same_name = [script for script in scripts if PurePosixPath(script).name == name]
    near = same_name or difflib.get_close_matches(text, scripts, 1)
    return near[0] if len(near) == 1 else None


@rule(
    "FR111",
    "valid-meta",
    needs=("FR106",),
    cite=(Source.META, Source.SERVER_1, Source.SERVER_2),
    fix="Make `meta` an object, and give each key that the finding names a value of its type.",
    example='"meta": null',
)
def meta(part: Part) -> Iterator[Finding]:
    """`meta` is an object, and what the server's runners read in it is of use to them.

    In generation 1, with `meta` null the server collects the task, and each job with it
    stays "submitted" for ever; a level that is no text makes the job fail when it runs. In
    generation 2 all but objects are refused. A `parallel_tasks_per_job` that is no whole
    number above 0 makes jobs fail, or end without having run anything. What only a SLURM
    cluster reads is a warning.
    """
    task, key = part.task, part.keys.meta
    if key not in task.entry:
        return
    value = part.meta
    if not isinstance(value, dict):
        yield task.finding(
            key,
            expected="an object",
            found=shown(value),
            hint=f'write "{key}": {{}}, or leave it out',
            edits=[JsonEdit(Action.SET, (key,), {})] if not value else (),
        )
        return
    if (depth := depth_of(value)) > task.generation.deepest:
        yield task.finding(
            key,
            expected=f"lists and objects in at most {task.generation.deepest} levels",
            found=f"{depth} levels",
            hint="nest less: the server cannot tell of its tasks with this one among them",
        )
    for fault in task.generation.meta_faults(value, part.keys):
        yield task.finding(
            key,
            *fault.keys,
            expected=fault.expected,
            found=fault.found,
            hint=fault.fix,
            severity=Severity.WARNING if fault.coerced else None,
            edits=_edits_for_meta(fault, key, value),
        )


def _edits_for_meta(fault: ModelFault, key: str, value: Mapping[str, Any]) -> Iterator[JsonEdit]:
    """What is plainly meant by a key of `meta`: a number for a text that spells it, or nothing."""
    if len(fault.keys) != 1:
        return
    written = value.get(str(fault.keys[0]))
    if fault.kind is ModelFaultKind.UNWANTED:
        yield JsonEdit(Action.REMOVE, (key, *fault.keys))
    elif isinstance(written, str) and re.fullmatch(r"\s*[1-9]\d{0,8}\s*", written):
        yield JsonEdit(Action.SET, (key, *fault.keys), int(written))


@rule(
    "FR112",
    "task-types",
    needs=("FR106",),
    cite=(Source.METADATA, Source.SERVER_1),
    fix='Write a type such as "image" or "zarr", or "Any" for no check.',
    example='"input_type": ""',
)
def task_types(task: Task) -> Iterator[Finding]:
    """`input_type` and `output_type` are not blank.

    The server refuses blank ones, after the installation. Only the exact word `Any`
    stands for no check. Generation 2 has no such fields.
    """
    if not task.generation.type_keys:
        raise NotApplicable("tasks of this generation have no input_type and output_type")
    for key in task.generation.type_keys:
        value = str(task.entry.get(key, ""))
        if not value.strip():
            yield task.finding(
                key,
                expected='a type such as "image" or "zarr", or "Any"',
                found=shown(value),
                hint='write "Any" where no check is wanted',
            )
        elif value.strip().lower() == "any" and value.strip() != "Any":
            yield task.finding(
                key,
                expected='"Any", if no check is meant',
                found=shown(value),
                hint='write "Any": the word counts with this case only',
                severity=Severity.WARNING,
                edits=[JsonEdit(Action.SET, (key,), "Any")],
            )


@rule(
    "FR113",
    "has-docs",
    severity=Severity.WARNING,
    needs=("FR106",),
    cite=(Source.PACKAGE,),
    fix="Add `docs_info`, a text, or `docs_link`, a URL.",
    example="A task with neither docs_info nor docs_link.",
)
def docs(task: PackagedTask) -> Iterator[Finding]:
    """Every task has `docs_info` or `docs_link`.

    The web client shows them to the people who choose among tasks.
    """
    if not any(str(task.entry.get(key) or "").strip() for key in ("docs_info", "docs_link")):
        yield task.finding(
            expected="docs_info or docs_link",
            found="neither docs_info nor docs_link",
            hint='add "docs_info": "what the task does", or "docs_link": "https://..."',
        )


@rule(
    "FR114",
    "docs-link-url",
    needs=("FR106",),
    cite=(Source.SERVER_1, Source.SERVER_2),
    fix="Write a whole http or https URL, or leave `docs_link` out.",
    example='"docs_link": "my-lab.org/docs"',
)
def docs_link_url(task: Task) -> Iterator[Finding]:
    """`docs_link` is a http or https URL that the server's model takes.

    It refuses everything else, an empty text too; in generation 1 also
    `http://localhost/`, with the bare text `'task_list'`.
    """
    link = task.entry.get("docs_link")
    if link is None:
        raise NotApplicable("the task has no docs_link")
    problem = task.generation.link_problem(link) if isinstance(link, str) else "which is no text"
    if problem:
        yield task.finding(
            "docs_link",
            expected="a URL such as https://example.org/docs, or null",
            found=f"{shown(link)}, {problem}",
            hint=f"remove docs_link, or write the whole URL{_whole_link(task, link)}",
            edits=[JsonEdit(Action.REMOVE, ("docs_link",))] if not str(link).strip() else (),
            listed="let DOCS_LINK be None or the whole URL",
        )


def _whole_link(task: Task, link: Any) -> str:
    """The URL that a text without a scheme would be; empty where it would be none."""
    whole = f"https://{link}"
    if not str(link).strip() or "://" in str(link) or task.generation.link_problem(whole):
        return ""
    return f": {json.dumps(whole)}, if it is there"


@rule(
    "FR115",
    "type-matches-executables",
    needs=("FR106",),
    cite=(Source.SERVER_2,),
    fix="Name the type that the executables call for, or leave `type` out.",
    example='"type": "compound" and only "executable_parallel".',
)
def type_matches_executables(task: PackagedTask) -> Iterator[Finding]:
    """The task's `type` agrees with which executables there are.

    The server does not compare them. It collects the task, and when a job comes to an
    executable that is missing, it ends with `Command "None" is not valid`. An executable
    that the type does not call for is never run.
    """
    generation = task.generation
    if generation.kind_key is None:
        raise NotApplicable("tasks of this generation have no type")
    there, wanted = generation.parts(task.entry), generation.runs(task.kind)
    for part in wanted:
        if part not in there:
            yield task.finding(
                generation.kind_key,
                expected=f"{part.executable}, which a task of the type {task.kind!r} runs",
                found="there is none",
                hint=f"add {part.executable}, or leave {generation.kind_key!r} out: it follows "
                "from the executables",
            )
    for part in there:
        if part not in wanted:
            yield task.finding(
                part.executable,
                expected=f"no {part.executable} for a task of the type {task.kind!r}",
                found=f"{json.dumps(task.entry[part.executable])}, which is never run",
                hint=f"remove {part.executable}, or change {generation.kind_key!r}",
                severity=Severity.WARNING,
            )
