"""FR101 to FR105: the manifest is one file, where the server looks, and it can be read."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Any, Final

from pytest_fractal.environments.wheels import MANIFEST_NAME, Wheel, installed_path
from pytest_fractal.facts import Bundle
from pytest_fractal.fixes.lines import line_edits
from pytest_fractal.fixes.model import Action, FileFix, Fix, JsonEdit
from pytest_fractal.generations import GENERATIONS, Generation
from pytest_fractal.json_text import FaultKind, repaired, shown
from pytest_fractal.packaging_hints.backends import (
    packaging_hint,
)
from pytest_fractal.rules.cite import Source
from pytest_fractal.rules.registry import rule
from pytest_fractal.task_lists import Manifest
from pytest_fractal.verdicts import Finding, Severity

SEPARATOR_HINT: Final = (
    "build the wheel anew with a current build backend: in an archive the separator is /, and "
    "only Windows reads a \\ as one"
)
"""For a wheel whose paths have backslashes."""


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
    Python behind unless they are configured otherwise, and an editable install hides it.
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
        hint=SEPARATOR_HINT
        if any("\\" in path for path in similar)
        else f"rename it to {MANIFEST_NAME}: the server looks for just these letters"
        if similar
        else f"generate the manifest:{bundle.generator.commands}"
        if bundle.source is not None and bundle.generator is not None
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
def manifest_at_package_root(bundle: Bundle) -> Iterator[Finding]:
    """The manifest lies directly in the package folder.

    The page demands it. The server takes the first path that contains the name, but
    looks for the executables from the package's root all the same.
    """
    wheel = bundle.wheel
    root = f"{wheel.package}/{MANIFEST_NAME}"
    if root not in wheel.contents:
        there = next(path for path in wheel.manifests if path.endswith(MANIFEST_NAME))
        lies_so = [path for path in bundle.source_manifests if _ends_with(path, there)]
        yield Finding(
            expected=root,
            found=there,
            hint=packaging_hint(bundle.source, lies_so[0]).text
            if bundle.source is not None and lies_so
            else f"move it to {root}; executables are looked for from that folder",
            file=there,
        )


def _ends_with(path: PurePosixPath, entry: str) -> bool:
    """Whether a path in the source tree may be that of a file in the wheel."""
    tail = PurePosixPath(installed_path(entry) or entry.partition(".data/")[2]).parts
    return path.parts[-len(tail) :] == tail or tail[-len(path.parts) :] == path.parts


@rule(
    "FR103",
    "single-manifest",
    needs=("FR101",),
    cite=(Source.SERVER_1, Source.SERVER_2),
    fix="Remove the other file, or keep it out of the wheel.",
    example="my_tasks/__FRACTAL_MANIFEST__.json.bak lies in the wheel too.",
)
def single_manifest(bundle: Bundle, manifest: Manifest) -> Iterator[Finding]:
    """No second file in the wheel has a path containing the manifest's name.

    The server of generation 1 takes the first entry of the archive whose path contains
    the name, even `old__FRACTAL_MANIFEST__.json.bak`: which one that is depends on the
    build backend. That of generation 2 joins the paths of all of them, and refuses the
    package, since no file has such a name. A manifest that is twice in the archive is listed
    twice by `pip show` too, and which of the two is read depends on the reader.
    """
    wheel = bundle.wheel
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
            is_named = MANIFEST_NAME in PurePosixPath(path).name
            messages = (
                reader.second_manifest(path, is_first=path == paths[0]) for reader in readers
            )
            yield Finding(
                expected=f"{manifest.path} alone",
                found=next(filter(None, messages)),
                hint=f"{'rename or delete' if is_named else 'delete'} {_in_source(bundle, path)}, "
                "or exclude it from the wheel",
                file=path,
            )


def _in_source(bundle: Bundle, path: str) -> str:
    """A path in the archive by where it comes from, if that is another place in the tree."""
    if installed_path(path) is not None:
        return path
    from_there = [source for source in bundle.source_manifests if _ends_with(source, path)]
    return str(from_there[0]) if len(from_there) == 1 else path


@rule(
    "FR104",
    "manifest-is-json",
    needs=("FR101",),
    cite=(Source.SERVER_1, Source.SERVER_2),
    fix="Write the manifest with a JSON library, or run it through `python -m json.tool`.",
    example='{"manifest_version": "1", "task_list": [],}: the last comma.',
)
def manifest_is_json(manifest: Manifest, wheel: Wheel) -> Iterator[Finding]:
    """The manifest is one JSON object: UTF-8, no BOM, no NaN or Infinity, no key twice.

    The server reads it as UTF-8 JSON. It accepts NaN, and then answers every request
    for its tasks with an internal error (generation 1) or freezes (generation 2); of a key
    given twice it drops the first.
    """
    fix = _repair(manifest, wheel)
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
            fix=fix,
        )
    if not manifest.text.faults and not isinstance(manifest.text.value, dict):
        yield Finding(
            expected="one JSON object",
            found=_kind(manifest.text.value),
            hint=_hint_for_root(manifest.text.value),
            file=manifest.path,
            line=1,
            column=1,
        )


def _hint_for_root(value: object) -> str:
    """The object that is meant, by what stands there instead."""
    inner = value if isinstance(value, list) else []
    if len(inner) == 1 and isinstance(inner[0], dict) and "task_list" in inner[0]:
        return "write the object in the list alone, without [ and ] around it"
    generation = _generation_of(inner) or GENERATIONS["2"]
    return (
        "write the list of the tasks into an object: "
        f'{{"manifest_version": "{generation.version}", "has_args_schemas": true, '
        f'"args_schema_version": "{generation.schema_version}", "task_list": [...]}}'
    )


def _repair(manifest: Manifest, wheel: Wheel) -> Fix | None:
    """The manifest with commas where JSON wants them, and without a byte order mark."""
    wrong = {fault.kind for fault in manifest.text.faults}
    if not wrong or not wrong <= _REPAIRED or manifest.generator is not None:
        return None
    content = wheel.read(manifest.path)
    if (text := repaired(content)) is None:
        return None
    lines = line_edits(content.decode(), text)
    return Fix((FileFix(manifest.path, lines=lines, digest=sha256(content).hexdigest()),))


_REPAIRED: Final = {FaultKind.ENCODING, FaultKind.EXTRA_COMMA, FaultKind.MISSING_COMMA}
_FAULT_HINTS: Final = {
    FaultKind.ENCODING: "save the file as UTF-8, without a byte order mark",
    FaultKind.EXTRA_COMMA: "delete this comma",
    FaultKind.MISSING_COMMA: "add a comma at this place",
    FaultKind.NOT_FINITE: "write a number in its place, or leave the key out",
    FaultKind.REPEATED_KEY: "delete one of the two",
    FaultKind.TOO_DEEP: "nest less: let schemas refer to parts in `$defs` by `$ref`",
    FaultKind.TOO_LARGE: "leave out what the server does not read, such as data in a `default`",
}


@rule(
    "FR105",
    "manifest-version",
    needs=("FR104",),
    cite=(Source.SERVER_1, Source.SERVER_2),
    fix='Write `"manifest_version": "2"`, or "1" for fractal-server 1.x, with quotes.',
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
        found=(shown(version) if there else '"manifest_version" is missing')
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
    return _generation_of(manifest.entries)


def _generation_of(entries: Iterable[Any]) -> Generation | None:
    keys = {key for entry in entries if isinstance(entry, dict) for key in entry}
    fitting = [
        generation for generation in GENERATIONS.values() if keys & generation.executable_keys
    ]
    return fitting[0] if len(fitting) == 1 else None


def _listed(keys: Iterable[str]) -> str:
    return " or ".join(sorted(keys))


def _kind(value: object) -> str:
    kinds = {list: "a list", str: "a string", type(None): "null", bool: "true or false"}
    return kinds.get(type(value), "a number")
