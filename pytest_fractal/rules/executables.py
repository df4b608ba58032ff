"""FR110: the executables of the manifest are files of the package."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from pytest_fractal.environments.wheels import Wheel
from pytest_fractal.facts import (
    Bundle,
    PackagedPart,
)
from pytest_fractal.fixes.model import Action, Fix, JsonEdit
from pytest_fractal.packaging_hints.backends import (
    Hint,
    packaging_hint_for_module,
)
from pytest_fractal.rules.cite import Source
from pytest_fractal.rules.registry import rule
from pytest_fractal.verdicts import Finding, Severity


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
        if meant := _near_script(part, f"{part.task.slug}.py"):
            hint = f"write {json.dumps(meant)}"
    elif bad := re.search(part.task.generation.bad_in_executables, text):
        words = {"'": "a quote", '"': "a quote", "\\": "a backslash"}
        character = "a blank" if bad[0].isspace() else words.get(bad[0], f"a {bad[0]}")
        found += f", which has {character}: this breaks the command line, or is refused in it"
        hint = "rename the file; best are letters, digits and underscores"
        if bad[0] == "\\":
            with_slashes = text.replace(bad[0], "/")
            hint = f"write it with /: {json.dumps(with_slashes)}"
            meant = with_slashes if f"{package}/{with_slashes}" in wheel.contents else None
        elif inside in wheel.contents and (plain := _plain_path(text)) != text:
            hint = f"rename the file to {plain}, and write {json.dumps(plain)}"
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
        scripts = _scripts_in(inside, wheel)
        if len(scripts) == 1:
            meant = scripts[0].removeprefix(f"{package}/")
            hint = f"write {json.dumps(meant)}"
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


def _scripts_in(folder: str, wheel: Wheel) -> list[str]:
    """The scripts that lie directly in a folder of the wheel."""
    paths = (PurePosixPath(name) for name in wheel.contents if name.endswith(".py"))
    beside = (path for path in paths if path.parent == PurePosixPath(folder))
    return sorted(str(path) for path in beside if path.name != "__init__.py")


def _plain_path(text: str) -> str:
    """A path of letters, digits and underscores alone."""
    path = PurePosixPath(text)
    parts = [re.sub(r"[^\w.-]+", "_", part).strip("_") for part in (*path.parts[:-1], path.stem)]
    return "/".join(parts) + path.suffix


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
                bare = [
                    folder
                    for folder in reversed(PurePosixPath(place).parents)
                    if folder.is_relative_to(place.removesuffix(inside) + bundle.wheel.package)
                    and not (bundle.source / folder / "__init__.py").exists()
                ]
                if bare:
                    return Hint(
                        f"{lost}: {bare[0]} has no __init__.py, without which it may be taken for "
                        "no package; add an empty one, and name the package where the build has "
                        "a list of them"
                    )
                return Hint(f"{lost}: see which packages it takes along")
            return replace(hint, text=f"{lost}. {hint.text}")
    return None


def _near_script(part: PackagedPart, text: str) -> str | None:
    """The script that is meant by a path at which there is none: of that name, or one like it.

    Not one that another command runs.
    """
    wheel, task = part.wheel, part.task
    taken = [
        entry.get(key)
        for entry in task.listed.entries
        if isinstance(entry, dict)
        for key in task.generation.executable_keys
    ]
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
