"""What pydantic, of version 1 or 2, says of the arguments that it refuses, read from its text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from pytest_fractal.processes.commands import Start
from pytest_fractal.processes.probing import UNKNOWN

_TITLE: Final = re.compile(r"\d+ validation errors? for (.+)")
_KIND_1: Final = re.compile(r"\(type=([a-z_.]+)")
_KIND_2: Final = re.compile(r"\[type=([a-z_]+), ")
_CHOICES_1: Final = ("value_error.const", "value_error.discriminated_union.invalid_discriminator")
_CHOICES_2: Final = ("enum", "literal_error", "union_tag_invalid")


_UNEXPECTED: Final = re.compile(r"got an unexpected keyword argument '(\w+)'")
_LACKING: Final = re.compile(r"missing \d+ required (?:positional|keyword-only) arguments?: (.+)")


class FaultKind(Enum):
    """What a model refuses, as far as a schema could have said so."""

    EXTRA = "extra"
    """A field that it does not have."""
    MISSING = "missing"
    """It wants a field that is not there."""
    TYPE = "type"
    """A value of another type than it takes, or none of its choices."""
    OTHER = "other"
    """A constraint, or a validator of the author's own."""


@dataclass(frozen=True)
class ValidationFault:
    """One place in the arguments that a model refuses."""

    path: tuple[str, ...]
    """The keys that lead there, as pydantic has them: names of alternatives may be among them."""
    kind: FaultKind
    message: str


def argument_faults(start: Start, lacks: Sequence[str]) -> tuple[ValidationFault, ...]:
    """What the task's models refuse of its arguments; empty where they did not judge them.

    `lacks` are required arguments that the start was not given. Only a refusal that also
    names these, or the argument that nobody knows, is one of the arguments: a task may
    read much else by models.
    """
    crash = start.crash
    if crash is None or crash.type != "ValidationError":
        return ()
    title, *lines = crash.message.splitlines() or [""]
    if not _TITLE.match(title):
        return ()
    faults = tuple(_faults(lines))
    first = {fault.path[0] for fault in faults if len(fault.path) == 1}
    if not first & {UNKNOWN, *lacks} and UNKNOWN not in crash.message:
        return ()
    return tuple(fault for fault in faults if fault.path[0] not in (UNKNOWN, *lacks))


def disputed_arguments(start: Start) -> frozenset[str]:
    """The names of arguments for which a function ended the command: unknown, or missing."""
    crash = start.crash
    if crash is None:
        return frozenset()
    if crash.type == "ValidationError":
        faults = _faults(crash.message.splitlines()[1:])
        disputed = (FaultKind.EXTRA, FaultKind.MISSING)
        return frozenset(
            fault.path[0] for fault in faults if fault.kind in disputed and len(fault.path) == 1
        )
    if crash.type == "TypeError":
        lacking = _LACKING.search(crash.message)
        names = re.findall(r"'(\w+)'", lacking[1]) if lacking else ()
        return frozenset((*_UNEXPECTED.findall(crash.message), *names))
    return frozenset()


def _faults(lines: Sequence[str]) -> Iterator[ValidationFault]:
    for number, line in enumerate(lines[:-1]):
        after = lines[number + 1]
        if not line.strip() or line[0].isspace() or not after.startswith("  "):
            continue
        if found := _KIND_2.search(after):
            path, kind = tuple(line.split(".")), _kind_2(found[1])
        elif found := _KIND_1.search(after):
            path, kind = tuple(line.split(" -> ")), _kind_1(found[1])
        else:
            continue
        yield ValidationFault(path, kind, after[: found.start()].strip())


def _kind_2(name: str) -> FaultKind:
    if name in ("extra_forbidden", "unexpected_keyword_argument"):
        return FaultKind.EXTRA
    if name in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return FaultKind.MISSING
    if name in _CHOICES_2 or name in ("int_from_float", "none_required", "is_instance_of"):
        return FaultKind.TYPE
    is_type = name.endswith(("_type", "_parsing", "_attributes_type"))
    return FaultKind.TYPE if is_type else FaultKind.OTHER


def _kind_1(name: str) -> FaultKind:
    if name == "value_error.extra":
        return FaultKind.EXTRA
    if name == "value_error.missing":
        return FaultKind.MISSING
    if name.startswith("type_error.") or name in _CHOICES_1:
        return FaultKind.TYPE
    return FaultKind.OTHER
