"""Editing JSON text in place: what is not edited keeps every blank and its order."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from json.decoder import JSONDecoder
from typing import Any, Final

from pytest_fractal.fixes.model import Action, JsonEdit
from pytest_fractal.pointers import Keys

_DECODER: Final = JSONDecoder()
_BLANKS: Final = re.compile(r"[ \t\n\r]*")
_ORDER: Final = tuple(Action)


@dataclass(frozen=True)
class _Member:
    """A member of an object or an item of a list: where it begins and ends in the text."""

    key: str | int
    start: int
    value_start: int
    end: int


def apply_edits(text: str, edits: Iterable[JsonEdit]) -> str:
    """The text with these edits, which tell places as they are before all of them.

    Raises `LookupError` where a place is not there, and `ValueError` for what is no JSON.
    """
    ordered = sorted(edits, key=lambda edit: (_ORDER.index(edit.action), -len(edit.keys)))
    for edit in ordered:
        text = _applied(text, edit)
    json.loads(text)
    return text


def conflict(edit: JsonEdit, other: JsonEdit) -> bool:
    """Whether two edits cannot both be made, or one makes the place of the other another."""
    if edit == other:
        return False
    short, long = sorted((edit, other), key=lambda one: len(one.keys))
    if long.keys[: len(short.keys)] != short.keys:
        return False
    if short.keys == long.keys:
        lists = (Action.ADD, Action.DROP)
        return not (edit.action in lists and other.action in lists and edit.value != other.value)
    return short.action in (Action.SET, Action.REMOVE)


def _applied(text: str, edit: JsonEdit) -> str:
    if edit.action in (Action.ADD, Action.DROP):
        at = _value_at(text, edit.keys)
        if text[at] != "[":
            raise LookupError(edit.keys)
        if edit.action is Action.ADD:
            return _with_member(text, at, edit.value, edit.position)
        items = _members(text, at)
        values = [json.loads(text[item.value_start : item.end]) for item in items]
        return _without(text, at, items, values.index(edit.value))
    container = _value_at(text, edit.keys[:-1])
    members = _members(text, container)
    index = next((n for n, member in enumerate(members) if member.key == edit.keys[-1]), None)
    if index is None:
        if edit.action is Action.SET and text[container] == "{":
            key = str(edit.keys[-1])
            return _with_member(text, container, edit.value, edit.position, key)
        raise LookupError(edit.keys)
    member = members[index]
    match edit.action:
        case Action.SET:
            indent = _indent_of(text, member.start)
            new = _dumped(edit.value, text, indent if "\n" in text else None)
            return text[: member.value_start] + new + text[member.end :]
        case Action.REMOVE:
            return _without(text, container, members, index)
        case _:
            if any(member.key == edit.value for member in members):
                raise LookupError(edit.value)
            key_end = _DECODER.raw_decode(text, member.start)[1]
            return text[: member.start] + _dumped(edit.value, text, None) + text[key_end:]


def _value_at(text: str, keys: Keys) -> int:
    """Where the value begins to which the keys lead."""
    at = _skip(text, 0)
    for key in keys:
        found = next((member for member in _members(text, at) if member.key == key), None)
        if found is None:
            raise LookupError(keys)
        at = found.value_start
    return at


def _members(text: str, at: int) -> list[_Member]:
    """What the object or the list at an index holds; nothing where it is neither."""
    opening = text[at]
    members: list[_Member] = []
    name: str | int
    if opening not in "{[":
        return members
    at = _skip(text, at + 1)
    while text[at] not in "]}":
        start, name = at, len(members)
        if opening == "{":
            name, at = _DECODER.raw_decode(text, at)
            at = _skip(text, _skip(text, at) + 1)
        end = _DECODER.raw_decode(text, at)[1]
        members.append(_Member(name, start, at, end))
        at = _skip(text, end)
        at = _skip(text, at + 1) if text[at] == "," else at
    return members


def _with_member(
    text: str, at: int, value: Any, position: int | None, key: str | None = None
) -> str:
    """The text with one more member in the container at an index, formatted as the others."""
    members = _members(text, at)
    newline = "\r\n" if "\r\n" in text else "\n"
    if members:
        gap = text[at + 1 : members[0].start]
        if len(members) > 1 and "\n" not in gap:
            between = text[members[0].end : members[1].start].partition(",")[2]
        else:
            between = gap if "\n" in gap else " "
        indent = gap.rpartition("\n")[2] if "\n" in gap else None
        colon = ": "
        if key is not None:
            name_end = _DECODER.raw_decode(text, members[0].start)[1]
            colon = text[name_end : members[0].value_start]
    else:
        # An empty container opens in the form that the text has as a whole.
        indent = _indent_of(text, at) + _unit(text) if "\n" in text else None
        gap = newline + indent if indent is not None else ""
        colon, between = ": ", ""
    head = f"{_dumped(key, text, None)}{colon}" if key is not None else ""
    new = head + _dumped(value, text, indent)
    if not members:
        end = newline + _indent_of(text, at) if indent is not None else ""
        closing = _skip(text, at + 1)
        return text[: at + 1] + gap + new + end + text[closing:]
    if position is None or position >= len(members):
        end_of_last = members[-1].end
        return text[:end_of_last] + "," + between + new + text[end_of_last:]
    start = members[max(position, 0)].start
    return text[:start] + new + "," + between + text[start:]


def _without(text: str, at: int, members: Sequence[_Member], index: int) -> str:
    """The text without one member, and without the comma that it leaves behind."""
    if len(members) == 1:
        return text[: at + 1] + text[_skip(text, members[0].end) :]
    if index + 1 < len(members):
        return text[: members[index].start] + text[members[index + 1].start :]
    return text[: members[index - 1].end] + text[members[index].end :]


def _dumped(value: Any, text: str, indent: str | None) -> str:
    """A value as the text would have it: over several lines where that has indentation."""
    plain = text.isascii()
    if indent is None or not isinstance(value, dict | list) or not value:
        return json.dumps(value, ensure_ascii=plain)
    lines = json.dumps(value, ensure_ascii=plain, indent=_unit(text)).splitlines()
    newline = "\r\n" if "\r\n" in text else "\n"
    return newline.join([lines[0], *(indent + line for line in lines[1:])])


def _unit(text: str) -> str:
    """By how much the text indents each level."""
    found = re.search(r"\n([ \t]+)\S", text)
    return found[1] if found else "  "


def _indent_of(text: str, at: int) -> str:
    """The blanks at the beginning of the line that has this index."""
    line = text[text.rfind("\n", 0, at) + 1 :]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _skip(text: str, at: int) -> int:
    blanks = _BLANKS.match(text, at)
    assert blanks is not None
    return blanks.end()
