"""Reading a JSON file the strict way, with the place of everything in it.

`json` of the standard library accepts keys given twice, NaN and Infinity, and does
not tell where a value stood. Findings need the line of a JSON pointer. Most files are
never asked for one, and a file may be large: a place is sought when it is asked for,
and only the containers on the way to it are looked through. What a container holds is
read by the standard library's own scanner.
"""

from __future__ import annotations

import json
import math
import re
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import islice
from json.decoder import JSONDecoder
from pathlib import Path
from typing import Any, Final

from pytest_fractal.errors import BadInput
from pytest_fractal.files import read_regular
from pytest_fractal.pointers import Keys, Pointer, escape

MOST_LEVELS: Final = 300
"""How deep manifests and samples may be nested as a whole.

Of one field of a task the servers themselves take fewer levels (`Generation.deepest`); no
manifest that they take has as many as this around it.
"""
MOST_BYTES: Final = 8 * 1024 * 1024
"""How large a manifest or a sample may be: sixty times the largest that is known."""

_DECODER: Final = JSONDecoder()
_BLANKS: Final = re.compile(r"[ \t\n\r]*")
_MOST_FAULTS: Final = 100
_LONGEST_SHOWN: Final = 80


class FaultKind(Enum):
    """In what way a text is not strict JSON."""

    ENCODING = auto()
    """A byte order mark, or bytes that are not UTF-8."""
    SYNTAX = auto()
    EXTRA_COMMA = auto()
    """Behind the last member or item."""
    MISSING_COMMA = auto()
    NOT_FINITE = auto()
    """NaN, Infinity, or a number that is read as Infinity."""
    REPEATED_KEY = auto()
    TOO_DEEP = auto()
    TOO_LARGE = auto()


@dataclass(frozen=True)
class JsonPosition:
    """Line and column in a text, both from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Fault:
    """One way in which a text is not strict JSON."""

    kind: FaultKind
    message: str
    place: JsonPosition | None
    pointer: Pointer | None = None


@dataclass(frozen=True)
class JsonText:
    """A JSON file: its value, and where the parts of it stand."""

    value: Any
    """None when the text cannot be read at all."""
    places: Mapping[Pointer, JsonPosition] = field(repr=False)
    """The place of each member's key, each item, and the root (`""`)."""
    faults: tuple[Fault, ...]
    """In what it is not strict JSON, the first hundred; empty when all is well."""


def shown(value: Any, most: int = _LONGEST_SHOWN) -> str:
    """A value as JSON, cut to `most` characters; also one that is nested too deeply to write."""
    try:
        text = json.dumps(value, default=str)
    except (RecursionError, ValueError):
        # Or an integer of more digits than Python turns into text.
        kinds = {list: "a list", dict: "an object", int: "a number of thousands of digits"}
        return kinds.get(type(value), "a value") + (
            " that is nested too deeply" if isinstance(value, list | dict) else ""
        )
    return text if len(text) <= most else f"{text[: most - 3]}..."


def read_json(content: bytes, most_levels: int | None = None) -> JsonText:
    """Read `content` as strict JSON: UTF-8, no BOM, no NaN, no key twice.

    With `most_levels`, what is nested deeper than that has a fault and no value. Never
    raises: what is wrong is in the `faults`.
    """
    faults = []
    if content.startswith(b"\xef\xbb\xbf"):
        message = "it begins with a byte order mark (BOM)"
        faults.append(Fault(FaultKind.ENCODING, message, JsonPosition(1, 1)))
        content = content[3:]

    def unread(kind: FaultKind, message: str, place: JsonPosition | None = None) -> JsonText:
        return JsonText(None, {}, (*faults, Fault(kind, message, place)))

    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        column = len(before.rpartition(b"\n")[2].decode(errors="replace")) + 1
        return unread(
            FaultKind.ENCODING,
            f"byte 0x{content[error.start]:02x} is not UTF-8",
            JsonPosition(before.count(b"\n") + 1, column),
        )
    try:
        value, is_strict = _loaded(text)
    except json.JSONDecodeError as error:
        kind, said, at = _locate_fault(text, error)
        return unread(kind, f"it is not JSON: {said}", _Places(text).position(at))
    except RecursionError:
        return unread(FaultKind.TOO_DEEP, "it is nested too deeply")
    except ValueError as error:  # a number of thousands of digits
        return unread(FaultKind.SYNTAX, f"it cannot be read: {error}")
    if most_levels is not None and depth_of(value) > most_levels:
        return unread(FaultKind.TOO_DEEP, f"it is nested more than {most_levels} levels deep")
    places = _Places(text)
    if not is_strict:
        faults += islice(_faults(text, places), _MOST_FAULTS)
    return JsonText(value, places, tuple(faults))


def too_large(size: int) -> JsonText:
    """What stands for a file of `size` bytes that is not read, since it is over `MOST_BYTES`."""
    message = f"it is too large: {size / 1024**2:,.0f} MB, and {MOST_BYTES // 1024**2} are allowed"
    return JsonText(None, {}, (Fault(FaultKind.TOO_LARGE, message, None),))


def read_given_json(path: Path, name: str) -> JsonText:
    """Read a JSON file that the user gives, which has to be strict.

    Raises `BadInput`, with the file as `name` and the line, when it cannot be read or is not.
    """
    try:
        text = read_json(read_regular(path, MOST_BYTES), MOST_LEVELS)
    except OSError as error:
        raise BadInput(f"{name}: cannot be read: {error.strerror}") from None
    for fault in text.faults:
        place = f":{fault.place.line}" if fault.place else ""
        raise BadInput(f"{name}{place}: {fault.message}")
    return text


def texts_in(value: object, *keys: str | int) -> Iterator[tuple[Keys, str]]:
    """Every text in a JSON value and the way to it; for a key, the way to its object."""
    waiting: list[tuple[Keys, object]] = [(keys, value)]
    while waiting:
        here, part = waiting.pop()
        if isinstance(part, str):
            yield here, part
        elif isinstance(part, dict):
            yield from ((here, key) for key in part)
            waiting += [((*here, key), inner) for key, inner in reversed(part.items())]
        elif isinstance(part, list):
            waiting += [((*here, index), part[index]) for index in reversed(range(len(part)))]


def _locate_fault(text: str, error: json.JSONDecodeError) -> tuple[FaultKind, str, int]:
    """What is wrong with a text, and where: at a comma, not at what comes after it.

    The parser sees a comma too much, or too few, only at the next thing that is no blank, which
    may be lines below; some versions of Python tell the first at its place.
    """
    at = error.pos + text.startswith(",", error.pos)
    before, following = text[:at].rstrip(" \t\n\r"), text[_skip(text, at) :][:1]
    if before.endswith(",") and following in ("}", "]"):
        said = f"a comma before the closing {following}"
        if before[:-1].rstrip()[-1:] not in ("{", "[", ","):
            return FaultKind.EXTRA_COMMA, said, len(before) - 1
    is_apart = len(before) < at and following not in ("}", "]", ":", "")
    if error.msg.startswith("Expecting ',' delimiter") and is_apart:
        return FaultKind.MISSING_COMMA, "a comma is missing here", len(before)
    return FaultKind.SYNTAX, error.msg, error.pos


def repaired(content: bytes) -> str | None:
    """The text without its byte order mark, and with commas just where JSON wants them.

    None where that changes nothing, or does not make it JSON.
    """
    if len(content) > MOST_BYTES:
        return None
    try:
        text = before = content.decode("utf-8")
    except UnicodeDecodeError:
        return None
    text = text.removeprefix("\ufeff")
    for _ in range(_MOST_FAULTS):
        try:
            json.loads(text)
        except json.JSONDecodeError as error:
            kind, _said, at = _locate_fault(text, error)
            if kind is FaultKind.EXTRA_COMMA:
                text = text[:at] + text[at + 1 :]
            elif kind is FaultKind.MISSING_COMMA:
                text = f"{text[:at]},{text[at:]}"
            else:
                return None
        except (RecursionError, ValueError):
            return None
        else:
            return text if text != before else None
    return None


def _loaded(text: str) -> tuple[Any, bool]:
    """The value of a JSON text, and whether it has no key twice and all numbers are finite."""
    is_strict = True

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal is_strict
        made = dict(pairs)
        is_strict &= len(made) == len(pairs)
        return made

    def number(written: str) -> float:
        nonlocal is_strict
        value = float(written)
        is_strict &= math.isfinite(value)
        return value

    value = json.loads(text, object_pairs_hook=members, parse_float=number, parse_constant=number)
    return value, is_strict


def depth_of(value: object) -> int:
    """How many lists and objects of a JSON value lie around its innermost value.

    An innermost list or object that is empty does not count: that is how the servers' limits
    count, in pydantic's serializer as in FastAPI's encoder.
    """
    depth = 0
    level = [value]
    while level := [part for whole in level for part in _parts(whole)]:
        depth += 1
    return depth


def _parts(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


class _Places(Mapping[Pointer, JsonPosition]):
    """Where the parts of a text stand that is known to be JSON, as Python's `json` takes it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines: array[int] | None = None
        self._inner: dict[int, Mapping[str, tuple[int, int]] | array[int]] = {}

    def __getitem__(self, wanted: Pointer) -> JsonPosition:
        at = value_at = _skip(self._text, 0)
        if wanted and not wanted.startswith("/"):
            raise KeyError(wanted)
        for part in wanted.split("/")[1:]:
            inner = self._inside(value_at)
            if isinstance(inner, array):
                index = int(part) if part.isascii() and part.isdigit() and len(part) < 19 else -1
                if part != str(index) or not index < len(inner):
                    raise KeyError(wanted)
                at = value_at = inner[index]
                continue
            try:
                at, value_at = inner[part.replace("~1", "/").replace("~0", "~")]
            except KeyError:
                raise KeyError(wanted) from None
        return self.position(at)

    def __iter__(self) -> Iterator[Pointer]:
        waiting = [("", _skip(self._text, 0))]
        while waiting:
            here, at = waiting.pop()
            yield here
            inner = self._inside(at)
            waiting += (
                [(f"{here}/{index}", place) for index, place in enumerate(inner)]
                if isinstance(inner, array)
                else [(f"{here}/{escape(key)}", place) for key, (_, place) in inner.items()]
            )

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def position(self, at: int) -> JsonPosition:
        """Line and column of the character with this index."""
        if self._lines is None:
            self._lines = array(
                "Q", [0, *(match.end() for match in re.finditer("\n", self._text))]
            )
        line = bisect_right(self._lines, at)
        return JsonPosition(line, at - self._lines[line - 1] + 1)

    def _inside(self, at: int) -> Mapping[str, tuple[int, int]] | array[int]:
        """Where the items of the value at an index stand, or its members: key and value."""
        if at not in self._inner:
            self._inner[at] = self._looked_through(at)
        return self._inner[at]

    def _looked_through(self, at: int) -> Mapping[str, tuple[int, int]] | array[int]:
        text, opening = self._text, self._text[at]
        members: dict[str, tuple[int, int]] = {}
        items: array[int] = array("Q")
        if opening not in "[{":
            return members
        at = _skip(text, at + 1)
        while text[at] not in "]}":
            if opening == "{":
                key_at = at
                key, at = _DECODER.raw_decode(text, at)
                at = _skip(text, _skip(text, at) + 1)
                members[key] = key_at, at
            else:
                items.append(at)
            at = _skip(text, _DECODER.raw_decode(text, at)[1])
            at = _skip(text, at + 1) if text[at] == "," else at
        return items if opening == "[" else members


def _faults(text: str, places: _Places) -> Iterator[Fault]:
    """The keys that are given twice, and the numbers that are not finite, in their order."""
    open_objects: list[tuple[Pointer, dict[str, JsonPosition] | None, int]] = []
    """The containers around: pointer, the keys of an object until now, the items of a list."""
    here, at = "", _skip(text, 0)
    while True:
        character = text[at]
        if character in "[{":
            open_objects.append((here, {} if character == "{" else None, 0))
            at += 1
        elif character in "]}":
            open_objects.pop()
            at += 1
        elif character == ",":
            at += 1
        else:
            scalar, end = _DECODER.raw_decode(text, at)
            if isinstance(scalar, float) and not math.isfinite(scalar):
                written = text[at:end]
                message = (
                    f"{written} is not JSON"
                    if written.lstrip("-").isalpha()
                    else f"{written[:40]} is too large a number, and is read as Infinity"
                )
                yield Fault(FaultKind.NOT_FINITE, message, places.position(at), here)
            at = end
        at = _skip(text, at)
        if not open_objects:
            return
        if text[at] in ",]}":
            continue
        around, keys, number = open_objects[-1]
        if keys is None:
            here = f"{around}/{number}"
            open_objects[-1] = around, None, number + 1
            continue
        place = places.position(at)
        key, at = _DECODER.raw_decode(text, at)
        here = f"{around}/{escape(key)}"
        if key in keys:
            message = f"the key {shown(key)} stands here again, first in line {keys[key].line}"
            yield Fault(FaultKind.REPEATED_KEY, message, place, here)
        keys[key] = place
        at = _skip(text, _skip(text, at) + 1)


def _skip(text: str, at: int) -> int:
    """The index of the first character from `at` on that is no blank of JSON."""
    blanks = _BLANKS.match(text, at)
    assert blanks is not None
    return blanks.end()
