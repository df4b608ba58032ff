"""What a fix says, done literally: as edits where it has them, else by its very words.

Each form of words has one function here, which does what a person who reads it would do, and
no more. Of alternatives ("..., or ...") the first one that is reported in full is taken.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pytest_fractal.fixes.applying import plan_changes, write
from pytest_fractal.verdicts import Finding

_DECODER = json.JSONDecoder()

Form = Callable[[Path, Finding, re.Match[str]], None]
FORMS: list[tuple[re.Pattern[str], Form]] = []


def apply_fixes(tree: Path, findings: Sequence[Finding]) -> list[Finding]:
    """Do what the fixes say; returns the findings whose fix takes a person."""
    plan = plan_changes(tree, [found.fix for found in findings if found.fix is not None])
    assert plan.left == []
    for change in plan.changes:
        write(tree, change)
    by_words = [found for found in findings if found.fix is None]
    # The last first, so that lines and indexes before it stay what they are.
    for found in sorted(by_words, key=lambda one: one.line or 0, reverse=True):
        if (form := form_of(found)) is not None:
            form[0](tree, found, form[1])
    return [found for found in by_words if form_of(found) is None]


def form_of(found: Finding) -> tuple[Form, re.Match[str]] | None:
    """What does the words of a fix; None where they leave something to a person.

    Words about a script's output tell what it must write, and not how.
    """
    if found.hint.startswith("in ") and ".py, " in found.hint:
        return None
    for pattern, form in FORMS:
        if match := pattern.search(found.hint):
            return form, match
    return None


def words(pattern: str) -> Callable[[Form], Form]:
    """Declare what does the words that match a pattern."""

    def declare(form: Form) -> Form:
        FORMS.append((re.compile(pattern, re.DOTALL), form))
        return form

    return declare


# --- JSON -------------------------------------------------------------------------------


class _Document:
    """A JSON file that is changed at a place."""

    def __init__(self, tree: Path, found: Finding) -> None:
        assert found.place is not None
        self.path = tree / found.place.file
        self.value = json.loads(self.path.read_text("utf-8"))
        parts = (found.pointer or "").split("/")[1:]
        self.keys = [part.replace("~1", "/").replace("~0", "~") for part in parts]

    def at(self, keys: Sequence[str]) -> Any:
        value = self.value
        for key in keys:
            value = value[int(key) if isinstance(value, list) else key]
        return value

    def save(self) -> None:
        text = json.dumps(self.value, indent=2, ensure_ascii=False)
        self.path.write_text(f"{text}\n", "utf-8")


def _set(document: _Document, keys: Sequence[str], value: Any) -> None:
    container = document.at(keys[:-1])
    container[int(keys[-1]) if isinstance(container, list) else keys[-1]] = value
    document.save()


@words(r"^write the object in the list alone")
def _unwrap(tree: Path, found: Finding, _: re.Match[str]) -> None:
    document = _Document(tree, found)
    (document.value,) = document.value
    document.save()


@words(r"^write a number in its place, or leave the key out")
def _leave_out(tree: Path, found: Finding, _: re.Match[str]) -> None:
    assert found.place is not None
    assert found.line is not None
    path = tree / found.place.file
    lines = path.read_text("utf-8").splitlines(keepends=True)
    assert re.fullmatch(r'\s*"\w+": -?(?:NaN|Infinity),?\n', lines[found.line - 1])
    del lines[found.line - 1]
    path.write_text(re.sub(r",(\s*[]}])", r"\1", "".join(lines)), "utf-8")


@words(r"^delete one of the two")
def _delete_line(tree: Path, found: Finding, _: re.Match[str]) -> None:
    assert found.place is not None
    assert found.line is not None
    path = tree / found.place.file
    lines = path.read_text("utf-8").splitlines(keepends=True)
    del lines[found.line - 1]
    path.write_text("".join(lines), "utf-8")


@words(r"^save the file as UTF-8")
def _as_utf8(tree: Path, found: Finding, _: re.Match[str]) -> None:
    assert found.place is not None
    path = tree / found.place.file
    path.write_text(path.read_text("latin-1"), "utf-8")


@words(r'(?:^|\n|by hand, )(?:write|add)\s(?="[\w$]+": (?!"blur_image.py"))')
def _set_member(tree: Path, found: Finding, match: re.Match[str]) -> None:
    document = _Document(tree, found)
    for key, value in _members(found.hint[match.end() :]):
        is_there = document.keys[-1:] == [key] or _is_missing(document)
        where = document.keys[:-1] if is_there else document.keys
        _set(document, [*where, key], value)


def _is_missing(document: _Document) -> bool:
    try:
        document.at(document.keys)
    except LookupError:
        return True
    return False


def _members(text: str) -> list[tuple[str, Any]]:
    """`"a": 1, "b": 2` and what follows, as pairs."""
    pairs = []
    while re.match(r'"[\w$]+": ', text):
        key, end = _DECODER.raw_decode(text)
        value, length = _DECODER.raw_decode(text[end + 2 :])
        pairs.append((key, value))
        text = text[end + 2 + length :].removeprefix(", ")
    return pairs


@words(r'^(?:write|write one of) (?=(?:"[^"]*"|null|true|false|-?\d[\d.]*|\{\})(?!:))')
def _set_value(tree: Path, found: Finding, match: re.Match[str]) -> None:
    document = _Document(tree, found)
    value, _ = _DECODER.raw_decode(found.hint[match.end() :])
    _set(document, document.keys, value)


@words(r'^remove "(\w+)" from `properties`(?P<required> and `required`)?(?P<function>.*)')
def _remove_property(tree: Path, found: Finding, match: re.Match[str]) -> None:
    document = _Document(tree, found)
    schema = document.at(document.keys[:-2])
    del schema["properties"][match[1]]
    if match["required"]:
        schema["required"].remove(match[1])
    document.save()
    if place := re.match(r", and from the parameters of `\w+\(\)` \((\S+):(\d+)\)", match[3]):
        _edit_signature(tree, place[1], match[1], "")


@words(
    r"^neither `\w+\(\)` \((\S+):\d+\) nor the schema has it: give the function that parameter, "
    r'and add (?P<add>".*) to its properties, and "(\w+)" to its `required`'
)
def _add_property(tree: Path, found: Finding, match: re.Match[str]) -> None:
    document = _Document(tree, found)
    schema = document.at(document.keys[:-1])
    ((key, value),) = _members(match["add"])
    schema["properties"][key] = value
    schema["required"].append(key)
    document.save()
    _edit_signature(tree, match[1], key, key, is_new=True)


@words(r"^write the parameter '(\w+)' of `\w+\(\)` \((\S+):\d+\) without a default, remove this")
def _without_default(tree: Path, found: Finding, match: re.Match[str]) -> None:
    document = _Document(tree, found)
    schema = document.at(document.keys[:-3])
    del schema["properties"][match[1]]["default"]
    if f'add "{match[1]}" to `required`' in found.hint:
        schema["required"].append(match[1])
    document.save()
    _edit_signature(tree, match[2], match[1], match[1])


def _edit_signature(tree: Path, file: str, name: str, new: str, *, is_new: bool = False) -> None:
    """Write a parameter, with whatever stands behind its name, in another form."""
    path = next(place for place in (tree / file, tree / "src" / file) if place.is_file())
    text = path.read_text("utf-8")
    if is_new:
        changed = re.sub(r"(def \w+\(\s*(?:\*,\s*)?)", rf"\g<1>{new}, ", text, count=1)
    else:
        annotation = r"(?P<type>:[^,=)]*(?:\[[^\]]*\])?[^,=)]*)?"
        changed = re.sub(
            rf"(?<=[(\s]){name}{annotation}(?:=[^,)]*)?,?(?=[\s)])",
            lambda found: f"{new}{(found['type'] or '').rstrip()}," if new else "",
            text,
            count=1,
        )
    assert changed != text
    path.write_text(changed, "utf-8")


@words(r"^remove (it\b|[\w\\'\"]+(?: and \w+)*)")
def _remove(tree: Path, found: Finding, match: re.Match[str]) -> None:
    document = _Document(tree, found)
    keys = document.keys
    place = document.at(keys)
    names = [name for name in re.findall(r"\w+", match[1]) if name != "and"]
    within = isinstance(place, dict) and names[0] in place
    container = place if within else document.at(keys[:-1])
    for name in names:
        del container[keys[-1] if name == "it" else name]
    document.save()


@words(r", or remove \$schema$")
def _remove_draft(tree: Path, found: Finding, _: re.Match[str]) -> None:
    document = _Document(tree, found)
    del document.at(document.keys[:-1])[document.keys[-1]]
    document.save()


@words(r'^give the sample (?=")')
def _give_sample(tree: Path, found: Finding, match: re.Match[str]) -> None:
    document = _Document(tree, found)
    for key, value in _members(found.hint[match.end() :]):
        _set(document, [*document.keys, key], value)


# --- files ------------------------------------------------------------------------------


@words(r"^Move (\S+) to (\S+): it belongs into the package's own folder")
def _move(tree: Path, found: Finding, match: re.Match[str]) -> None:
    (tree / match[1]).rename(tree / match[2])
    if "\n" in found.hint:
        _project_lines(tree, found, match)


@words(r"^(rename or )?delete (\S+), or exclude it")
def _delete(tree: Path, _: Finding, match: re.Match[str]) -> None:
    places = (tree / match[2], tree / "src" / match[2])
    path = next(place for place in places if place.is_file())
    path.rename(path.with_name("other.json")) if match[1] else path.unlink()


@words(r"^rename the file to (\S+), and write (?=\")")
def _rename(tree: Path, found: Finding, match: re.Match[str]) -> None:
    document = _Document(tree, found)
    old = document.path.parent / document.at(document.keys)
    old.rename(document.path.parent / match[1])
    _set_value(tree, found, match)


@words(r"(?:^|\n)(?:In (\S+), (?:replace|delete|add)|Add to the end of|Create )")
def _project_lines(tree: Path, found: Finding, __: re.Match[str]) -> None:
    """The lines of packaging files, step by step."""
    steps = re.split(r"\n(?=In \S+, |Add to |Create |or )", found.hint)
    for step in steps:
        head, _, block = step.partition("\n")
        if head.startswith("or "):
            return
        old, _, new = block.partition("\nby\n")
        lines, added = (re.sub(r"(?m)^    ", "", part) for part in (old, new))
        if reported := re.match(r"In (\S+), replace (?:the line|line \d+)$", head):
            _replace_line(tree / reported[1], lines, added)
        elif reported := re.match(r"In (\S+), delete (?:the line|line \d+)$", head):
            _replace_line(tree / reported[1], lines, None)
        elif reported := re.match(r"In (\S+), add below (?:line \d+, )?(.+)$", head):
            _replace_line(tree / reported[1], reported[2], f"{reported[2]}\n{lines}")
        elif reported := re.match(r"(?:Add to the end of|Create) (\S+)(?: with)?$", head):
            path = tree / reported[1]
            text = path.read_text("utf-8") if path.exists() else ""
            path.write_text(f"{text}{lines}\n", "utf-8")
        elif reported := re.match(r"Create an empty (\S+)$", head):
            (tree / reported[1]).touch()


def _replace_line(path: Path, line: str, new: str | None) -> None:
    lines = path.read_text("utf-8").splitlines()
    index = [line.strip() for line in lines].index(line.strip())
    lines[index : index + 1] = [] if new is None else new.splitlines()
    path.write_text("\n".join([*lines, ""]), "utf-8")


# --- commands ---------------------------------------------------------------------------


@words(r"^run once with (--fractal-new-samples)")
def _run(tree: Path, _: Finding, match: re.Match[str]) -> None:
    command = [sys.executable, "-m", "pytest_fractal", str(tree), match[1]]
    subprocess.run(command, check=True, capture_output=True)
