"""Reading a JSON file the strict way, with the place of everything in it.

`json` of the standard library accepts keys given twice, NaN and Infinity, and does
not tell where a value stood. Findings need the line of a JSON pointer, so the text is
walked once more after it has been found to be JSON; the strings and numbers are still
read by the standard library's own scanner.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from json.decoder import JSONDecoder
from pathlib import Path
from typing import Any, Final

from pytest_fractal.errors import BadInput

Pointer = str
_DECODER: Final = JSONDecoder()
_BLANKS: Final = re.compile(r"[ \t\n\r]*")


@dataclass(frozen=True)
class JsonPosition:
    """Line and column in a text, both from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Fault:
    """One way in which a text is not strict JSON."""

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
    """In what it is not strict JSON; empty when all is well."""


def escape(key: str) -> str:
    """One key as a part of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def pointer(*keys: str | int) -> Pointer:
    """The JSON pointer that goes through these keys and indexes."""
    return "".join(f"/{escape(str(key))}" for key in keys)


def read_json(content: bytes) -> JsonText:
    """Read `content` as strict JSON: UTF-8, no BOM, no NaN, no key twice.

    Never raises: what is wrong is told by the `faults`.
    """
    faults = []
    if content.startswith(b"\xef\xbb\xbf"):
        faults.append(Fault("it begins with a byte order mark (BOM)", JsonPosition(1, 1)))
        content = content[3:]
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        column = len(before.rpartition(b"\n")[2].decode(errors="replace")) + 1
        place = JsonPosition(before.count(b"\n") + 1, column)
        message = f"byte 0x{content[error.start]:02x} is not UTF-8"
        return JsonText(None, {}, (*faults, Fault(message, place)))
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        fault = Fault(f"it is not JSON: {error.msg}", JsonPosition(error.lineno, error.colno))
        return JsonText(None, {}, (*faults, fault))
    except RecursionError:
        return JsonText(None, {}, (*faults, Fault("it is nested too deeply", None)))
    except ValueError as error:  # a number of thousands of digits
        return JsonText(None, {}, (*faults, Fault(f"it cannot be read: {error}", None)))
    walk = _Walk(text)
    # The scanner of the standard library nests deeper than a walk in Python can: then
    # the places behind that depth stay unknown, which is no fault of the file.
    with contextlib.suppress(RecursionError):
        walk.value(0, "")
    return JsonText(value, walk.places, (*faults, *walk.faults))


def read_given_json(path: Path, name: str) -> JsonText:
    """Read a JSON file that the user gives, which has to be strict.

    Raises `BadInput`, with the file as `name` and the line, when it cannot be read or is not.
    """
    try:
        text = read_json(path.read_bytes())
    except OSError as error:
        raise BadInput(f"{name}: cannot be read: {error.strerror}") from None
    for fault in text.faults:
        place = f":{fault.place.line}" if fault.place else ""
        raise BadInput(f"{name}{place}: {fault.message}")
    return text


def texts_in(value: object, *keys: str | int) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every text in a JSON value and the way to it; for a key, the way to its object."""
    waiting: list[tuple[tuple[str | int, ...], object]] = [(keys, value)]
    while waiting:
        here, part = waiting.pop()
        if isinstance(part, str):
            yield here, part
        elif isinstance(part, dict):
            yield from ((here, key) for key in part)
            waiting += [((*here, key), inner) for key, inner in reversed(part.items())]
        elif isinstance(part, list):
            waiting += [((*here, index), part[index]) for index in reversed(range(len(part)))]


def depth_of(value: object) -> int:
    """How many lists and objects of a JSON value lie within each other; 0 for a scalar."""
    depth = 0
    level = [value]
    while level := [part for part in level if isinstance(part, dict | list)]:
        depth += 1
        level = [
            inner
            for part in level
            for inner in (part.values() if isinstance(part, dict) else part)
        ]
    return depth


class _Walk:
    """One pass over a text that is known to be JSON, as Python's `json` takes it."""

    def __init__(self, text: str) -> None:
        self.places: dict[Pointer, JsonPosition] = {}
        self.faults: list[Fault] = []
        self._text = text
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def value(self, at: int, here: Pointer) -> int:
        """Walk the value at index `at`, whose pointer is `here`; returns the index behind it."""
        at = self._skip(at)
        self.places.setdefault(here, self._place(at))
        match self._text[at]:
            case "{":
                return self._members(at + 1, here)
            case "[":
                return self._items(at + 1, here)
            case '"':
                return self._string(at)[1]
        scalar, end = _DECODER.raw_decode(self._text, at)
        if isinstance(scalar, float) and not math.isfinite(scalar):
            written = self._text[at:end]
            message = (
                f"{written} is not JSON"
                if written.lstrip("-").isalpha()
                else (f"{written[:40]} is too large a number, and is read as Infinity")
            )
            self.faults.append(Fault(message, self._place(at), here))
        return end

    def _string(self, at: int) -> tuple[str, int]:
        text, end = _DECODER.raw_decode(self._text, at)
        return str(text), end

    def _members(self, at: int, here: Pointer) -> int:
        seen: dict[str, JsonPosition] = {}
        at = self._skip(at)
        while self._text[at] != "}":
            place = self._place(at)
            key, at = self._string(at)
            there = f"{here}/{escape(key)}"
            if key in seen:
                before = seen[key].line
                message = f"the key {json.dumps(key)} stands here again, first in line {before}"
                self.faults.append(Fault(message, place, there))
            seen[key] = self.places[there] = place
            at = self.value(self._skip(at) + 1, there)
            at = self._next(at)
        return at + 1

    def _items(self, at: int, here: Pointer) -> int:
        index = 0
        at = self._skip(at)
        while self._text[at] != "]":
            at = self.value(at, f"{here}/{index}")
            at = self._next(at)
            index += 1
        return at + 1

    def _next(self, at: int) -> int:
        at = self._skip(at)
        return self._skip(at + 1) if self._text[at] == "," else at

    def _skip(self, at: int) -> int:
        blanks = _BLANKS.match(self._text, at)
        assert blanks is not None
        return blanks.end()

    def _place(self, at: int) -> JsonPosition:
        line = bisect_right(self._starts, at)
        return JsonPosition(line, at - self._starts[line - 1] + 1)
