"""FR1: the manifest is where the server looks, and says what the server understands."""

from __future__ import annotations

import copy
import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, Final

from pytest_fractal.environments.pip_show import PipShow
from pytest_fractal.environments.wheels import MANIFEST_NAME, Wheel, installed_path
from pytest_fractal.facts import (
    Bundle,
    Manifest,
    PackagedPart,
    PackagedTask,
    Part,
    Task,
    TaskList,
)
from pytest_fractal.fixes.model import Action, Fix, JsonEdit, Keys
from pytest_fractal.generations import GENERATIONS, Generation, ModelFault
from pytest_fractal.json_text import FaultKind, depth_of, shown, texts_in
from pytest_fractal.packaging_hints.backends import (
    Hint,
    packaging_hint,
    packaging_hint_for_module,
)
from pytest_fractal.rules.cite import Source
from pytest_fractal.rules.registry import rule
from pytest_fractal.verdicts import Finding, NotApplicable, Severity


@rule(
    "FR101",
    "manifest-in-wheel",
    needs=("FR001",),
    cite=(
        Source.PACKAGE,
        "https://github.com/fractal-analytics-platform/fractal-server/issues/735",
    ),
    fix="Tell the build backend to take the JSON file along; the finding has the lines.",
    example="setuptools without [tool.setuptools.package-data]: only the *.py files are packed.",
)
def manifest_in_wheel(bundle: Bundle) -> Iterator[Finding]:
    """The wheel holds `__FRACTAL_MANIFEST__.json`.

    Without it the server refuses the package. Build backends leave files that are not
    Python behind unless they are told otherwise, and an editable install hides it.
    """
    wheel = bundle.wheel
    if any(PurePosixPath(path).name == MANIFEST_NAME for path in wheel.manifests):
        return
    root = f"{wheel.package}/{MANIFEST_NAME}"
    if bundle.source is not None and bundle.source_manifests:
        lost = bundle.source_manifests[0]
        packing = packaging_hint(bundle.source, lost)
        yield Finding(
            expected=f"{root} in the wheel",
            found=f"{lost} lies in the source tree, but the wheel does not hold it",
            hint=packing.text,
            file=str(lost),
            fix=packing.fix,
        )
        return
    similar = [path for path in wheel.entries if _is_nearly_a_manifest(path)]
    alike = f"; only {', '.join(similar)}" if similar else ""
    yield Finding(
        expected=f"{root} in the wheel",
        found=f"there is none{alike}",
        hint=f"rename it to {MANIFEST_NAME}: the server looks for just these letters"
        if similar
        else f"write a manifest and put it at {root}, beside the package's __init__.py; "
        "`fractal-manifest create` of fractal-task-tools makes one"
        if bundle.source is not None
        else f"build the wheel anew from a source tree that has {root}; give that folder "
        "to --fractal-package to see the packaging lines that it needs",
        file=wheel.path.name,
    )


def _is_nearly_a_manifest(path: str) -> bool:
    name = PurePosixPath(path).name.upper()
    alike = difflib.SequenceMatcher(None, name, MANIFEST_NAME.upper()).ratio()
    return MANIFEST_NAME in path or alike > 0.8


@rule(
    "FR102",
    "manifest-at-package-root",
    needs=("FR101", "FR003"),
    cite=(Source.PACKAGE,),
    fix="Move the manifest into the package's folder, beside its `__init__.py`.",
    example="The file lies in my_tasks/tasks/ instead of my_tasks/.",
)
def manifest_at_package_root(wheel: Wheel) -> Iterator[Finding]:
    """The manifest lies directly in the package folder.

    The page demands it. The server takes the first path that contains the name, but
    looks for the executables from the package's root all the same.
    """
    root = f"{wheel.package}/{MANIFEST_NAME}"
    if root not in wheel.contents:
        there = next(path for path in wheel.manifests if path.endswith(MANIFEST_NAME))
        yield Finding(
            expected=root,
            found=there,
            hint=f"move it to {root}; executables are told from that folder",
            file=there,
        )


@rule(
    "FR103",
    "single-manifest",
    needs=("FR101",),
    cite=(Source.SERVER_1, Source.SERVER_2),
    fix="Remove the other file, or keep it out of the wheel.",
    example="my_tasks/__FRACTAL_MANIFEST__.json.bak lies in the wheel too.",
)
def single_manifest(wheel: Wheel, manifest: Manifest) -> Iterator[Finding]:
    """No second file in the wheel has a path containing the manifest's name.

    The server of generation 1 takes the first entry of the archive whose path contains
    the name, even `old__FRACTAL_MANIFEST__.json.bak`: which one that is depends on the
    build backend. That of generation 2 joins the paths of all of them, and refuses the
    package, since no file has such a name. A manifest that is twice in the archive is told
    twice by `pip show` too, and which of the two is read depends on the reader.
    """
    if (number := wheel.entries.count(manifest.path)) > 1:
        yield Finding(
            expected=f"{manifest.path} once in the archive",
            found=f"it is in there {number} times",
            hint="build the wheel anew with a current build backend; if a tool adds files to the "
            "finished wheel, let it leave the manifest alone",
            file=manifest.path,
        )
    readers = [manifest.generation] if manifest.generation else GENERATIONS.values()
    paths = [
        path
        for path in dict.fromkeys(wheel.entries)
        if path == manifest.path
        or any(reader.second_manifest(path, is_first=False) for reader in readers)
    ]
    for path in paths:
        if path != manifest.path:
            told = (reader.second_manifest(path, is_first=path == paths[0]) for reader in readers)
            yield Finding(
                expected=f"{manifest.path} alone",
                found=next(filter(None, told)),
                hint=f"delete or rename {path}, or exclude it from the wheel",
                file=path,
            )


@rule(
    "FR104",
    "manifest-is-json",
    needs=("FR101",),
    cite=(Source.SERVER_1, Source.SERVER_2),
    fix="Write the manifest with a JSON library, or run it through `python -m json.tool`.",
    example='{"manifest_version": "1", "task_list": [],}: the last comma.',
)
def manifest_is_json(manifest: Manifest) -> Iterator[Finding]:
    """The manifest is one JSON object: UTF-8, no BOM, no NaN or Infinity, no key twice.

    The server reads it as UTF-8 JSON. It accepts NaN, and then answers every request
    for its tasks with an internal error (generation 1) or freezes (generation 2); of a key
    given twice it drops the first.
    """
    for fault in manifest.text.faults:
        yield Finding(
            expected="strict JSON: UTF-8 without BOM, each key once, no NaN or Infinity",
            found=fault.message,
            hint=_FAULT_HINTS.get(
                fault.kind,
                "fix the text at this place, or write the file anew with a JSON library",
            ),
            file=manifest.path,
            line=fault.place.line if fault.place else None,
            column=fault.place.column if fault.place else None,
        )
    if not manifest.text.faults and not isinstance(manifest.text.value, dict):
        yield Finding(
            expected="one JSON object",
            found=_kind(manifest.text.value),
            hint='write {"manifest_version": "1", "task_list": [...], ...}',
            file=manifest.path,
            line=1,
            column=1,
        )


_FAULT_HINTS: Final = {
    FaultKind.EXTRA_COMMA: "delete this comma",
    FaultKind.MISSING_COMMA: "add a comma at this place",
    FaultKind.NOT_FINITE: "write null or a number in its place",
    FaultKind.REPEATED_KEY: "keep one of the two",
    FaultKind.TOO_DEEP: "nest less: let schemas refer to parts in `$defs` by `$ref`",
    FaultKind.TOO_LARGE: "leave out what the server does not read, such as data in a `default`",
}


@rule(
    "FR105",
    "manifest-version",
    needs=("FR104",),
    cite=(Source.SERVER_1, Source.SERVER_2),
    fix='Write `"manifest_version": "2"`, or "1" for the servers of generation 1, with quotes.',
    example='"manifest_version": "0.1"',
)
def manifest_version(manifest: Manifest) -> Iterator[Finding]:
    """`manifest_version` is one that a Fractal server knows, as a string.

    The server chooses its model by it and refuses everything else. The one of generation
    1 turns the number 1 into text, which is an accident of its library; the one of
    generation 2 refuses the number 2.
    """
    version = manifest.value.get("manifest_version")
    by_fields = _generation_of_fields(manifest)
    declared = GENERATIONS.get(version) if isinstance(version, str) else None
    if declared is not None and by_fields in (None, declared):
        return
    counted = GENERATIONS.get(str(version)) if type(version) is int else None
    meant = by_fields or counted
    there = "manifest_version" in manifest.value
    known = json.dumps(meant.version) if meant else " or ".join(map(json.dumps, GENERATIONS))
    yield manifest.finding(
        "manifest_version",
        expected=known,
        found=(shown(version) if there else "it is missing")
        + (
            f", and the tasks have {_listed(by_fields.executable_keys)} as in version "
            f"{by_fields.version}"
            if by_fields
            else ""
        ),
        hint=f'write "manifest_version": {known}',
        edits=[JsonEdit(Action.SET, ("manifest_version",), meant.version, 0)] if meant else (),
        severity=Severity.WARNING
        if counted and counted.takes_integer_version and by_fields in (None, counted)
        else None,
    )


def _generation_of_fields(manifest: Manifest) -> Generation | None:
    """The one version whose keys for scripts the tasks have; None where that tells nothing."""
    keys = {key for entry in manifest.entries if isinstance(entry, dict) for key in entry}
    fitting = [one for one in GENERATIONS.values() if keys & one.executable_keys]
    return fitting[0] if len(fitting) == 1 else None


def _listed(keys: Iterable[str]) -> str:
    return " or ".join(sorted(keys))


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
            hint=next(iter(written_so), "") or fault.fix,
            task=task,
            severity=Severity.WARNING if fault.coerced else None,
            edits=edits,
        )


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
        meant = next((one for one in fault.choices if one.lower() == plain), None)
    elif key == "authors" and isinstance(value, str) and not value.strip():
        yield JsonEdit(Action.REMOVE, fault.keys)
    if meant is not None:
        yield JsonEdit(Action.SET, fault.keys, meant)


def _command_for(
    tasks: TaskList, keys: tuple[str | int, ...]
) -> tuple[Mapping[str, Any], str] | None:
    """An entry that has a command where a script is missing, and the script in it."""
    if not keys or keys[-1] != "executable":
        return None
    index = next((one for one in range(len(tasks.entries)) if tasks.way(one) == keys[:-1]), None)
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
    told = {fault.keys for fault in tasks.faults()}
    for unknown in tasks.unknown_keys():
        key, known = str(unknown.keys[-1]), sorted(unknown.known)
        as_command = _command_for(tasks, (*unknown.keys[:-1], "executable"))
        if unknown.keys in told or (as_command and key in ("command", "source")):
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
    error. In generation 2 the same name twice is refused, and of two that differ in blanks
    at their ends it makes two tasks of one name.
    """
    assert tasks.generation is not None
    taken: dict[tuple[str, str], str] = {}
    for index, entry in enumerate(tasks.entries):
        name = str(entry.get("name"))
        given = tasks.generation.identities(name)
        twin = next((one for pair in given.items() if (one := taken.get(pair)) is not None), None)
        if twin is not None:
            made = "".join(f" (slug {slug!r})" for what, slug in given.items() if what == "slug")
            yield tasks.finding(
                *tasks.way(index),
                "name",
                expected=f"a {' and a '.join(reversed(list(given)))} that no other task has",
                found=f"{name!r}{made}, beside {twin!r}",
                hint="rename one of the two: "
                f"{'case and blanks do' if made else 'blanks at the ends do'} not count",
                task=tasks.slug(index),
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
        )


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
            found="neither",
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


@rule(
    "FR116",
    "text-is-storable",
    needs=("FR104",),
    cite=(Source.SERVER_1, Source.SERVER_2),
    fix="Remove the character, or shorten the name.",
    example='"name": "Convert\\u0000"',
)
def text_is_storable(tasks: TaskList) -> Iterator[Finding]:
    """No text holds a NUL or half a surrogate pair, and no name is too long.

    JSON can spell them, a database and a file name cannot hold them: the collection
    freezes, or a job with the task fails. In generation 2 a name is written in lower case
    into that of a folder, and some letters take more bytes there.
    """
    for keys, text in texts_in(tasks.text.value):
        if bad := re.search("[\0\ud800-\udfff]", text):
            code = f"\\u{ord(bad[0]):04x}"
            yield tasks.finding(
                *keys,
                expected="text that can be stored as UTF-8, without NUL",
                found=f"{code}, " + ("a NUL" if bad[0] == "\0" else "half of a surrogate pair"),
                hint=f"remove {code}",
                task=tasks.task_of(keys),
            )
    readers = [tasks.generation] if tasks.generation else GENERATIONS.values()
    for index, entry in enumerate(tasks.entries):
        name = entry.get("name") if isinstance(entry, dict) else None
        told = [reader.name_fault(name) for reader in readers] if isinstance(name, str) else []
        for fault in told:
            if fault is not None:
                yield tasks.finding(
                    *tasks.way(index),
                    "name",
                    expected=fault.expected,
                    found=fault.found,
                    hint="shorten the name, and tell the rest in docs_info",
                    task=tasks.slug(index),
                    severity=Severity.WARNING if fault.coerced else None,
                )


@rule(
    "FR117",
    "unambiguous-metadata",
    needs=("FR004", "FR103", "FR105"),
    cite=(
        f"{Source.SERVER_2} (its script 4_pip_show.sh)",
        f"{Source.SERVER_1} (its `inspect_package` and `_pip_install`)",
    ),
    fix="Say it in other words, or build the wheel anew with a current build backend.",
    example='description = "Tools for __FRACTAL_MANIFEST__.json"',
)
def metadata_misleads_nobody(
    wheel: Wheel, manifest: Manifest, shown: PipShow
) -> Iterator[Finding]:
    """The server finds name, version, place and manifest of the package where it looks.

    The server of generation 2 searches what `pip show --files` prints for `Name:`,
    `Location:` and the manifest's name, and joins all lines that match: a summary, a
    licence, a home page or a path in RECORD that holds one of them leads it to a file that
    is not there. That of generation 1 takes the last word of the first line of METADATA
    that begins with `Name` or `Version`. What a `.pth` file prints when Python starts
    stands among these lines too.
    """
    assert manifest.generation is not None
    if shown.failure is not None:
        yield Finding(
            expected="`pip show` can tell of the package, for the server asks it",
            found=f"it fails: {shown.failure}",
            hint="install the wheel into a fresh environment, and fix what "
            f"`pip show --files {wheel.distribution}` complains about there",
            file=wheel.metadata_path,
        )
        return
    path = installed_path(manifest.path) or manifest.path
    for wrong in manifest.generation.misreadings(wheel, shown, path):
        file, hint = _MISLEADS[wrong.place]
        if wrong.place == "METADATA" and _WITHOUT_BLANK.match(wrong.found):
            hint = "build the wheel with a current build backend, which writes a blank there"
        printing = [entry for entry in wheel.entries if entry.endswith(".pth")]
        yield Finding(
            expected=wrong.expected,
            found=wrong.found.strip()[:120],
            hint=hint,
            file=printing[0]
            if wrong.place == "pip show" and printing
            else (wheel.metadata_path or "").replace("METADATA", file),
        )


_WITHOUT_BLANK: Final = re.compile(r"(?:Name|Version):\S")
_MISLEADS: Final = {
    "METADATA": (
        "METADATA",
        "write it otherwise in the [project] table (a licence is best told by its SPDX "
        "expression, a home page by the address of the repository), and build the wheel with a "
        "current build backend",
    ),
    "RECORD": (
        "RECORD",
        "build the wheel anew with a current build backend, which lists each file once in RECORD, "
        "by its path below site-packages",
    ),
    "pip show": (
        "METADATA",
        "something prints this whenever Python starts: leave the `.pth` file that does it out of "
        "the wheel, or the dependency that brings it out of the dependencies",
    ),
    "file name": (
        "METADATA",
        "choose a version without an epoch (`1!`)",
    ),
}
"""Where in the wheel a misreading has its cause, and how to fix it."""


def _kind(value: object) -> str:
    kinds = {list: "a list", str: "a string", type(None): "null", bool: "true or false"}
    return kinds.get(type(value), "a number")
