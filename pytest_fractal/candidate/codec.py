"""Facts as JSON text and back: dataclasses, and what their fields may hold.

A file of facts can be written by whoever runs as the same user, so nothing in it may choose
what is executed: the reader knows the type that it reads, and builds that and nothing else.
Strings may hold half a surrogate pair and numbers may be NaN, since outputs of commands do.
"""

from __future__ import annotations

import dataclasses
import json
import threading
import types
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pytest_fractal.generations import STATES, State

R = TypeVar("R")

_MEMBERS: Final[Mapping[Any, tuple[type, ...]]] = {State: STATES}
"""The dataclasses that there are of a protocol."""
_TAG: Final = "()"
"""The key of the class's name, where several classes are possible."""
_PLAIN: Final = frozenset({str, int, float, bool, type(None), Any, object})


class Undecodable(Exception):
    """The text is not of the type that it is read as."""


def encode(value: Any, without: frozenset[str] = frozenset()) -> str:
    """A value as JSON text; for a dataclass, less the fields of these names.

    Raises `TypeError` for what no field may hold.
    """
    return with_whole_stack(lambda: json.dumps(_data(value, without), separators=(",", ":")))


def decode(kind: Any, text: str | bytes, given: Mapping[str, Any] | None = None) -> Any:
    """The value of the type `kind` that `encode` has made this text of.

    `given` are the fields of a dataclass that were left out. Raises `Undecodable`.
    """
    try:
        data = with_whole_stack(lambda: json.loads(text))
        return _built(kind, data, given) if given else _reader(kind)(data)
    except Undecodable:
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Undecodable(f"{type(error).__name__}: {error}") from None


def with_whole_stack(call: Callable[[], R]) -> R:
    """What `call` returns; when it nests too deeply here, in a thread that has just begun.

    So what was read deep in one stack can be written and read again in any other.
    """
    try:
        return call()
    except RecursionError:
        ended: list[R | BaseException] = []

        def run() -> None:
            try:
                ended.append(call())
            except BaseException as error:
                ended.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if isinstance(ended[0], BaseException):
            raise ended[0] from None
        return ended[0]


def _data(value: Any, without: frozenset[str] = frozenset()) -> Any:
    """A value as JSON has it; the inside of objects and lists of JSON is left as it is."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kept = {
            field.name: _data(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if field.init and field.name not in without
        }
        return {_TAG: _name(type(value)), **kept}
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple):
        return [_data(item) for item in value]
    if isinstance(value, list | dict) and _holds_records(value):
        if isinstance(value, dict):
            return {key: _data(item) for key, item in value.items()}
        return [_data(item) for item in value]
    return value


def _holds_records(value: list[Any] | dict[str, Any]) -> bool:
    """Whether there is more than JSON directly in it."""
    items = value.values() if isinstance(value, dict) else value
    return any(isinstance(item, tuple | Path) or dataclasses.is_dataclass(item) for item in items)


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    return get_type_hints(kind)


def _built(kind: type, data: Any, given: Mapping[str, Any] | None = None) -> Any:
    """A dataclass of its fields."""
    if not isinstance(data, dict) or data.get(_TAG) != _name(kind):
        raise Undecodable(f"no {_name(kind)}")
    hints = _hints(kind)
    values = {
        field.name: _reader(hints[field.name])(data[field.name])
        for field in dataclasses.fields(kind)
        if field.init and field.name in data
    }
    return kind(**values, **(given or {}))


@cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    """What makes a value of the type of its JSON."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind in _PLAIN or origin is Literal:
        return lambda data: data
    if kind is Path:
        return Path
    if kind in _MEMBERS:
        return _one_of(_MEMBERS[kind])
    if origin in (Union, types.UnionType):
        return _one_of(arguments)
    if _is_record(kind):
        return lambda data: _built(kind, data)
    if origin is tuple and arguments[1:] == (...,):
        item = _reader(arguments[0])
        return lambda data: tuple(item(value) for value in data)
    if origin is tuple:
        items = [_reader(argument) for argument in arguments]
        return lambda data: tuple(item(value) for item, value in zip(items, data, strict=True))
    if origin is not None and issubclass(origin, Mapping):
        value_of = _reader(arguments[1])
        return lambda data: {key: value_of(value) for key, value in data.items()}
    if origin is not None and issubclass(origin, Sequence):
        item = _reader(arguments[0])
        return lambda data: [item(value) for value in data]
    if isinstance(kind, type) and issubclass(kind, str):  # an enum of texts
        return kind
    raise TypeError(f"{kind}: facts hold no such thing")


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__name__}"


def _is_record(kind: Any) -> bool:
    return isinstance(kind, type) and dataclasses.is_dataclass(kind)


def _one_of(kinds: tuple[Any, ...]) -> Callable[[Any], Any]:
    """A value of one of several types: a class by its name, else what JSON tells apart."""
    classes = {_name(kind): kind for kind in kinds if _is_record(kind)}
    others = [kind for kind in kinds if kind not in _PLAIN and not _is_record(kind)]
    if len(others) > 1:
        raise TypeError(f"{kinds}: cannot be distinguished")

    def read(data: Any) -> Any:
        if classes and isinstance(data, dict) and data.get(_TAG) in classes:
            return _built(classes[data[_TAG]], data)
        if others and data is not None:
            return _reader(others[0])(data)
        if isinstance(data, dict | list) and Any not in kinds:
            raise Undecodable(f"none of {', '.join(map(str, kinds))}")
        return data

    return read
