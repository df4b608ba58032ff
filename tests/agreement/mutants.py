"""Mutants of good packages: one thing is changed in each, in all ways that one can think of.

A mutant is reported by what is mutated (`task name`, `the manifest's text`) and how (`null`,
`a list`); both stand in the tables of `docs/agreement.md`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from pytest_fractal.environments.wheels import MANIFEST_NAME

from .argument_mutants import argument_mutants
from .bases import Base
from .manifest_variants import Way
from .metadata_mutants import metadata_mutants
from .mutant import (
    ABSENT,
    Mutant,
    about_folder,
    at,
    changed,
    with_manifest,
    with_text,
)


def mutants_of(base: Base) -> Iterator[Mutant]:
    """All mutants of one package."""
    yield from _fields(base)
    yield from _keys(base)
    yield from _task_lists(base)
    yield from _manifest_texts(base)
    yield from _manifest_places(base)
    yield from _executables(base)
    yield from _folders(base)
    yield from argument_mutants(base)
    yield from metadata_mutants(base)


def chosen(bases: Iterable[Base], times: int) -> list[Mutant]:
    """Of each kind of mutants, those of `times` packages, another set of them for each kind."""
    kinds: dict[str, list[Mutant]] = {}
    for base in bases:
        for mutant in mutants_of(base):
            kinds.setdefault(mutant.kind, []).append(mutant)
    found: list[Mutant] = []
    for number, (kind, alike) in enumerate(kinds.items()):
        assert len({row.base.name for row in alike}) == len(alike), f"{kind} is there twice"
        found += [alike[(number + time) % len(alike)] for time in range(min(times, len(alike)))]
    return found


_VALUES: Final[Mapping[str, Any]] = {
    "null": None,
    "true": True,
    "false": False,
    "0": 0,
    "7": 7,
    "1.5": 1.5,
    "an empty text": "",
    "blanks": "  ",
    "a tab and a line feed": "\t\n",
    "a text": "text",
    "text with a NUL": "te\0xt",
    "half a surrogate pair": "te\ud800xt",
    "a text of 5000 characters": "t" * 5000,
    "an empty list": [],
    "a list of texts": ["text"],
    "a list of pairs": [["key", 1]],
    "a list of nulls": [None],
    "an empty object": {},
    "an object": {"key": "value"},
    "an object with an empty key": {"": 1},
    "NaN": float("nan"),
    "Infinity within": {"key": [float("inf")]},
    "10 to the 30th": 10**30,
}
"""What is put in place of a value, whatever that is."""

_TEXTS: Final[Mapping[str, Callable[[str], str]]] = {
    "with blanks around": lambda text: f" {text} ",
    "with a line feed behind": lambda text: f"{text}\n",
    "with a non-breaking space behind": lambda text: f"{text}\u00a0",
    "with a NUL behind": lambda text: f"{text}\0",
    "in upper case": str.upper,
    "with a quote": lambda text: f"{text}'s",
    "with letters of other scripts": lambda text: f"{text} größe 測定",
    "of 250 characters": lambda text: (text * 250)[:250],
    "of 200 characters": lambda text: (text * 200)[:200],
}
"""What is made of a text."""

_LINKS: Final[Mapping[str, str]] = {
    "without a scheme": "example.org/docs",
    "ftp": "ftp://example.org/docs",
    "file": "file:///docs",
    "localhost": "http://localhost/docs",
    "an address of numbers": "http://127.0.0.1:8000/docs",
    "upper case": "HTTPS://EXAMPLE.ORG/DOCS",
    "with a blank": "https://example.org/the docs",
    "with a user": "https://me:secret@example.org/",
    "with a port that is too high": "https://example.org:99999/",
    "with letters of other scripts": "https://größe.example/docs",
    "with one label": "https://docs/",
    "with a dot behind": "https://example.org./docs",
    "with an underscore": "https://my_lab.example.org/docs",
    "of 2084 characters": "https://example.org/" + "d" * 2064,
    "of 2083 characters": "https://example.org/" + "d" * 2063,
}


def _fields(base: Base) -> Iterator[Mutant]:
    """Each field dropped, and with each value in its place."""
    for name in base.variant.manifest_fields:
        yield from _values(base, name, (name,), None)
    for subject in base.variant.subjects:
        index = base.task_of_kind(subject.kind)
        if index is None:
            continue
        of, way = f"{subject.words}'s", ("task_list", index)
        for name in subject.fields:
            yield from _values(base, f"{of} {name}", (*way, name), index)
        for inner in subject.inner:
            yield from _values(base, f"{of} {'/'.join(map(str, inner))}", (*way, *inner), index)
        for how, link in _LINKS.items() if "docs_link" in subject.fields else ():
            yield changed(base, f"{of} docs_link", how, (*way, "docs_link"), link, index)


def _values(base: Base, what: str, way: Way, task: int | None) -> Iterator[Mutant]:
    present = at(base.manifest, way)
    if present is not ABSENT:
        manifest = copy.deepcopy(base.manifest)
        del at(manifest, way[:-1])[way[-1]]
        yield with_manifest(base, what, "dropped", manifest, task)
    more = base.variant.values.get(str(way[-1]), {})
    for how, value in {**_VALUES, **more}.items():
        if not _same(value, present):
            yield changed(base, what, how, way, value, task)
    if isinstance(present, str) and way[-1] in base.variant.text_fields:
        for how, change in _TEXTS.items():
            if change(present) != present:
                yield changed(base, what, how, way, change(present), task)


def _keys(base: Base) -> Iterator[Mutant]:
    """Each key written otherwise, and written twice."""
    subject = base.variant.subjects[0]
    index = base.task_of_kind(subject.kind) or 0
    places: list[tuple[str, str, Way]] = [
        ("the manifest's", name, (name,)) for name in base.variant.manifest_fields
    ]
    places += [("a task's", name, ("task_list", index, name)) for name in subject.fields]
    for of, name, way in places:
        task = index if len(way) > 1 else None
        what = f"{of} key {name}"
        present = at(base.manifest, way)
        if present is ABSENT:
            continue
        for how, key in (
            ("misspelt", name[:-2] + name[-1] + name[-2]),
            ("in upper case", name.upper()),
            ("with a blank behind", f"{name} "),
        ):
            manifest = copy.deepcopy(base.manifest)
            holder = at(manifest, way[:-1])
            holder[key] = holder.pop(name)
            yield with_manifest(base, what, how, manifest, task)
        for how, first, last in (
            ("twice, first null", None, present),
            ("twice, then null", present, None),
            ("twice, both times the same", present, present),
        ):
            manifest = copy.deepcopy(base.manifest)
            holder = at(manifest, way[:-1])
            holder[name] = first
            holder["\0twice"] = last
            text = json.dumps(manifest).replace(json.dumps("\0twice"), json.dumps(name))
            yield with_text(base, what, how, text.encode(), task)
    for subject in base.variant.subjects:
        task = base.task_of_kind(subject.kind)
        if task is not None:
            way = ("task_list", task, "favourite_colour")
            yield changed(base, f"a {subject.words}", "with an unknown key", way, "red", task)


def _task_lists(base: Base) -> Iterator[Mutant]:
    """The list of tasks, and its entries."""
    what = "the list of tasks"

    def with_tasks(how: str, *tasks: Any) -> Mutant:
        return with_manifest(base, what, how, {**base.manifest, "task_list": list(tasks)}, None)

    first, *rest = base.manifest["task_list"]
    yield with_tasks("the first task twice", first, *rest, first)
    for how, name in (
        ("two names with the same slug", first["name"].replace(" ", "_").swapcase()),
        ("two names that differ by case", first["name"].swapcase()),
        ("two names that differ by a blank behind", f"{first['name']} "),
        ("two names that differ by a tab behind", f"{first['name']}\t"),
        ("two names that differ by a blank before", f" {first['name']}"),
        ("two names that differ by a non-breaking space behind", f"{first['name']}\u00a0"),
        ("two names that differ by a full stop", f"{first['name']}."),
        ("two names that differ by a dash for a blank", first["name"].replace(" ", "-") + "-"),
    ):
        yield with_tasks(how, first, *rest, {**first, "name": name})
    yield with_tasks("the first task alone", first)
    yield with_tasks(
        "three hundred tasks", first, *rest, *({**first, "name": f"T {i}"} for i in range(300))
    )
    for how, entry in (
        ("with null", None),
        ("with a text", "task"),
        ("with an empty object", {}),
        ("with a list", [first]),
        ("with a list of pairs", [list(pair) for pair in first.items()]),
        ("with 1", 1),
    ):
        yield with_tasks(how, first, *rest, entry)
    as_object = {task["name"]: task for task in (first, *rest)}
    yield changed(base, what, "an object of tasks", ("task_list",), as_object, None)
    for key, how in (("name", "names"), (base.variant.executable, "executables")):
        texts = [task.get(key) for task in (first, *rest)]
        yield changed(base, what, f"a list of {how}", ("task_list",), texts, None)


def _manifest_texts(base: Base) -> Iterator[Mutant]:
    """The manifest's file, with what makes it JSON or not."""
    good = base.files[base.manifest_path]
    text = good.decode()
    umlaut = with_manifest(base, "", "", {**base.manifest, "authors": "Größe"}, None).manifest
    plain = json.dumps(umlaut, ensure_ascii=False)
    for how, content in {
        "empty": b"",
        "blanks alone": b" \n",
        "cut in the middle": good[: len(good) // 2],
        "cut before its last bracket": good.rstrip()[:-1],
        "with a comma too many": good.rstrip()[:-1] + b",}",
        "with text behind": good + b"end",
        "twice": good + good,
        "with a comment": b"// tasks\n" + good,
        "with single quotes": text.replace('"', "'").encode(),
        "with a BOM": b"\xef\xbb\xbf" + good,
        "in UTF-16": plain.encode("utf-16"),
        "in UTF-16 without BOM": plain.encode("utf-16-le"),
        "in UTF-32": plain.encode("utf-32"),
        "in Latin-1": plain.encode("latin-1", "replace"),
        "with letters as they are": plain.encode(),
        "with letters escaped": json.dumps(umlaut).encode(),
        "with a NUL behind": good + b"\0",
        "with Windows line ends": text.replace("\n", "\r\n").encode(),
        "with blank lines around": b"\n\n" + good + b"\n\n",
        "a list around it": b"[" + good + b"]",
        "null": b"null",
        "a number": b"1",
        "a text": b'"1"',
        "an empty object": b"{}",
        "a number of 5000 digits": text.replace("{", '{"big": ' + "9" * 5000 + ",", 1).encode(),
        "a number above all floats": text.replace("{", '{"big": 1e999,', 1).encode(),
        "nested 2000 deep": json.dumps(base.manifest)
        .replace("{", '{"deep": ' + "[" * 2000 + "]" * 2000 + ",", 1)
        .encode(),
    }.items():
        yield with_text(base, "the manifest's text", how, content, None)


def _manifest_places(base: Base) -> Iterator[Mutant]:
    """Where the manifest lies, and what else is called so."""
    path, package = base.manifest_path, base.package
    good = base.files[path]
    what = "the manifest's place"

    def moved(how: str, place: str | None) -> Mutant:
        files = {
            (place or "" if name == path else name): content
            for name, content in base.files.items()
            if name != path or place
        }
        return Mutant(what, how, base, files, base.manifest)

    yield moved("nowhere", None)
    yield moved("a subfolder", f"{package}/tasks_/{MANIFEST_NAME}")
    yield moved("beside the package", MANIFEST_NAME)
    yield moved("another package", f"another_{package}/{MANIFEST_NAME}")
    yield moved("the dist-info folder", f"{about_folder(base)}/{MANIFEST_NAME}")
    yield moved("another case", f"{package}/{MANIFEST_NAME.lower()}")
    yield moved("one underscore less", f"{package}/_FRACTAL_MANIFEST__.json")
    yield moved("no suffix", f"{package}/{MANIFEST_NAME.removesuffix('.json')}")
    yield moved("another suffix", f"{package}/{MANIFEST_NAME}.txt")
    yield moved("a folder of that name", f"{package}/{MANIFEST_NAME}/manifest.json")
    for how, place in (
        ("a copy beside it", f"{package}/{MANIFEST_NAME}.bak"),
        ("a copy in a subfolder", f"{package}/old/{MANIFEST_NAME}"),
        ("a copy in another package", f"tests_of_it/{MANIFEST_NAME}"),
    ):
        for order in ("before", "behind"):
            for content, is_good in ((good, True), (b"{", False)):
                whole = "" if is_good else ", cut"
                copies = {place: content}
                files = {**copies, **base.files} if order == "before" else {**base.files, **copies}
                yield Mutant(
                    what, f"{how}{whole}, {order} it in the archive", base, files, base.manifest
                )


def _executables(base: Base) -> Iterator[Mutant]:
    """What the manifest says of an executable, and what file that is."""
    key, package = base.variant.executable, base.package
    index = base.task_of_kind(base.variant.subjects[0].kind) or 0
    good = str(base.manifest["task_list"][index][key])
    inside = f"{package}/{good}"
    folder, name = PurePosixPath(good).parent, PurePosixPath(good).name
    content = base.files[inside]
    what = "an executable"
    way = ("task_list", index, key)
    for how, text in {
        "a full stop": ".",
        "two full stops": "..",
        "with ./ before": f"./{good}",
        "with // within": f"{folder}//{name}",
        "with a folder and .. before": f"somewhere/../{good}",
        "with the folder and .. before": f"../{package}/{good}",
        "with the package's folder before": f"{package}/{good}",
        "in the dist-info folder": f"../{about_folder(base)}/METADATA",
        "an absolute path that is there": "/bin/sh",
        "an absolute path that is not there": f"/opt/{good}",
        "that is not there": f"{good}.missing",
        "without its suffix": good.removesuffix(".py"),
        "in upper case": good.upper(),
        "with / behind": f"{good}/",
        "with a backslash": f"{folder}\\{name}",
        "with a blank behind": f"{good} ",
        "with a blank before": f" {good}",
        "with a line feed behind": f"{good}\n",
        "with an argument behind": f"{good} --verbose",
        "in single quotes": f"'{good}'",
        "the manifest": MANIFEST_NAME,
        "__init__.py": "__init__.py",
    }.items():
        if text != good:
            yield changed(base, what, how, way, text, index)
    for how, path in {
        "a file with a blank in its name": "my task.py",
        "a file with a quote in its name": "it's.py",
        "a file with two quotes in its name": "it's a task's.py",
        "a file with a double quote in its name": 'it"s.py',
        "a file with a backslash in its name": "my\\task.py",
        "a file with a dollar in its name": "my$HOME.py",
        "a file with a star in its name": "my*task.py",
        "a file with a semicolon in its name": "my;task.py",
        "a file with a hash in its name": "my#task.py",
        "a file with a tilde before": "~task.py",
        "a file with a dash before": "-task.py",
        "a file with a tab in its name": "my\ttask.py",
        "a file with a non-breaking space in its name": "my\u00a0task.py",
        "a file with letters of other scripts in its name": "größe_測定.py",
        "a file without suffix": "my_task",
        "a file in a folder with a dot before": ".hidden/task.py",
    }.items():
        place = str(folder / path)
        manifest = copy.deepcopy(base.manifest)
        manifest["task_list"][index][key] = place
        mutant = with_manifest(base, what, how, manifest, index)
        yield Mutant(
            what, how, base, {**mutant.files, f"{package}/{place}": content}, manifest, index
        )
    subfolder = changed(base, what, "a folder", way, "a_folder", index)
    for how, files in {
        "a folder": {f"{package}/a_folder/task.py": content},
        "a folder with __main__.py": {f"{package}/a_folder/__main__.py": content},
    }.items():
        yield Mutant(what, how, base, {**subfolder.files, **files}, subfolder.manifest, index)
    dotted = changed(base, what, "", way, f"a_folder/../{good}", index)
    there = {**dotted.files, f"{package}/a_folder/__init__.py": b""}
    yield Mutant(
        what, "with a folder that is there and .. before", base, there, dotted.manifest, index
    )
    without = {path: kept for path, kept in base.files.items() if path != inside}
    yield Mutant("an executable's file", "left out", base, without, base.manifest, index)
    for how, script in {
        "empty": b"",
        "a syntax error": b"def task(:\n",
        "a relative import": b"from . import anything\n",
        "no UTF-8": b'NAME = "Gr\xf6\xdfe"\n',
        "an exit with status 3": b"raise SystemExit(3)\n",
        "no Python": b"#!/bin/sh\nexec true\n",
    }.items():
        yield Mutant(
            "an executable's file", how, base, {**base.files, inside: script}, base.manifest, index
        )


def _folders(base: Base) -> Iterator[Mutant]:
    """What the import folder is called."""
    package = base.package
    for how, name in {
        "another name": f"the_{package}",
        "in upper case": package.upper(),
        "with dashes": package.replace("_", "-") + "-tasks",
        "in src": f"src/{package}",
        "in a namespace": f"fractal/{package}",
        "twice": f"{package}/{package}",
    }.items():
        files = {
            name + path.removeprefix(package) if path.startswith(f"{package}/") else path: content
            for path, content in base.files.items()
        }
        yield Mutant("the import folder", how, base, files, base.manifest)
    bare = {
        path: content for path, content in base.files.items() if path != f"{package}/__init__.py"
    }
    if len(bare) < len(base.files):
        yield Mutant("the import folder", "without __init__.py", base, bare, base.manifest)
    both = {f"the_{package}/__init__.py": b"", **base.files}
    yield Mutant("the import folder", "beside another one", base, both, base.manifest)


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and json.dumps(one) == json.dumps(other)
