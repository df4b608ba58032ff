"""FR116 and FR117: texts that the server can store, and metadata that does not mislead it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from pytest_fractal.environments.pip_show import PipShow
from pytest_fractal.environments.wheels import Wheel, installed_path
from pytest_fractal.fixes.model import Action, JsonEdit
from pytest_fractal.generations import GENERATIONS
from pytest_fractal.json_text import texts_in
from pytest_fractal.pointers import Keys
from pytest_fractal.rules.cite import Source
from pytest_fractal.rules.registry import rule
from pytest_fractal.task_lists import Manifest, TaskList
from pytest_fractal.verdicts import Finding, Severity


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
                edits=_edits_for_text(tasks.text.value, keys, text),
            )
    readers = [tasks.generation] if tasks.generation else GENERATIONS.values()
    for index, entry in enumerate(tasks.entries):
        name = entry.get("name") if isinstance(entry, dict) else None
        faults = [reader.name_fault(name) for reader in readers] if isinstance(name, str) else []
        for fault in faults:
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


def _edits_for_text(value: Any, keys: Keys, text: str) -> Iterator[JsonEdit]:
    """The text without what cannot be stored, unless it is a key or nothing is left of it."""
    for key in keys:
        value = value[key]
    kept = re.sub("[\0\ud800-\udfff]", "", text)
    if value == text and kept.strip():
        yield JsonEdit(Action.SET, keys, kept)


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
            expected="`pip show` can print the package's metadata, for the server asks it",
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
        "write it otherwise in the [project] table (a licence is best given by its SPDX "
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
