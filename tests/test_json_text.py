"""JSON is read the strict way, and every place in it is known."""

from __future__ import annotations

import json
import random

import pytest

from pytest_fractal.json_text import JsonPosition, depth_of, read_json, repaired
from pytest_fractal.pointers import escape, pointer


def test_every_key_item_and_the_root_have_their_place() -> None:
    text = read_json(b'{\n  "a": [1,\n        {"b": null}],\n  "c/d~": "x"\n}\n')
    assert text.value == {"a": [1, {"b": None}], "c/d~": "x"}
    assert text.faults == ()
    assert text.places == {
        "": JsonPosition(1, 1),
        "/a": JsonPosition(2, 3),
        "/a/0": JsonPosition(2, 9),
        "/a/1": JsonPosition(3, 9),
        "/a/1/b": JsonPosition(3, 10),
        "/c~1d~0": JsonPosition(4, 3),
    }


def test_columns_count_characters_not_bytes() -> None:
    assert read_json('{"ä😀": 1, "b": 2}'.encode()).places["/b"] == JsonPosition(1, 11)


def test_lines_end_where_editors_end_them() -> None:
    """Other Unicode line ends stand inside of strings only, and count for no editor."""
    text = read_json('{\r\n"a": "\u2028\u0085",\r\n"b": 1}'.encode())
    assert text.places["/b"] == JsonPosition(3, 1)


@pytest.mark.parametrize(
    ("content", "message", "place"),
    [
        (b"", "Expecting value", JsonPosition(1, 1)),
        (b"{", "Expecting property name", JsonPosition(1, 2)),
        (b'{"a": 1,}', "a comma before the closing }", JsonPosition(1, 8)),
        (b'{"a": [\n  1,\n  2,\n]}', "a comma before the closing ]", JsonPosition(3, 4)),
        (b'{"a": 1\n "b": 2}', "a comma is missing here", JsonPosition(1, 8)),
        (b'{"a": [1, 2}', "delimiter", JsonPosition(1, 12)),
        (b"{'a': 1}", "Expecting property name", JsonPosition(1, 2)),
        (b'{"a": 1}\n// b', "Extra data", JsonPosition(2, 1)),
        (b'{"a": 1} {}', "Extra data", JsonPosition(1, 10)),
        (b'{"a": 01}', "delimiter", JsonPosition(1, 8)),
        (b'{"a":\n "b\nc"}', "control character", JsonPosition(2, 4)),
        (b"\xff\xfe{\0}\0", "byte 0xff is not UTF-8", JsonPosition(1, 1)),
        ('{"ä":\n"ä'.encode() + b"\xe4", "byte 0xe4 is not UTF-8", JsonPosition(2, 3)),
        (b'{"a": "\xed\xa0\x80"}', "not UTF-8", JsonPosition(1, 8)),
        (b'{"a": ' + b"9" * 5000 + b"}", "cannot be read", None),
        (b"[" * 200_000, "nested too deeply", None),
    ],
)
def test_what_is_no_json_is_one_fault_at_its_place(
    content: bytes, message: str, place: JsonPosition | None
) -> None:
    text = read_json(content)
    assert text.value is None
    (fault,) = text.faults
    assert message in fault.message
    if place is not None:
        assert fault.place == place


@pytest.mark.parametrize(
    ("content", "message", "place", "at"),
    [
        (b'\xef\xbb\xbf{"a": 1}', "byte order mark", JsonPosition(1, 1), None),
        (b'{"a": NaN}', "NaN is not JSON", JsonPosition(1, 7), "/a"),
        (b'{"a": [1, -Infinity]}', "-Infinity is not JSON", JsonPosition(1, 11), "/a/1"),
        (b'{"a": 1e999}', "read as Infinity", JsonPosition(1, 7), "/a"),
        (
            b'{"a": 1,\n "a": 2}',
            '"a" stands here again, first in line 1',
            JsonPosition(2, 2),
            "/a",
        ),
        (b'{"a": 1, "\\u0061": 2}', '"a" stands here again', JsonPosition(1, 10), "/a"),
        (b'[{"b": {"c": 1, "c": 1}}]', '"c" stands here again', JsonPosition(1, 17), "/0/b/c"),
    ],
)
def test_what_is_no_strict_json_is_a_fault_beside_the_value(
    content: bytes, message: str, place: JsonPosition, at: str | None
) -> None:
    text = read_json(content)
    assert text.value is not None
    (fault,) = text.faults
    assert message in fault.message
    assert (fault.place, fault.pointer) == (place, at)


def test_all_faults_are_reported_at_once() -> None:
    faults = read_json(b'\xef\xbb\xbf{"a": NaN, "b": Infinity, "a": 1}').faults
    assert len(faults) == 4


def test_words_that_look_like_faults_are_none_inside_of_strings() -> None:
    assert read_json(b'{"NaN": "Infinity \\" // {\\"a\\":1,\\"a\\":2}"}').faults == ()


def test_the_same_key_in_different_objects_is_no_fault() -> None:
    assert read_json(b'[{"a": {"a": 1}}, {"a": 1}]').faults == ()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b'{"a": 1,}', '{"a": 1}'),
        (b'{"a": [1, 2,\n],\n}\n', '{"a": [1, 2\n]\n}\n'),
        (b'{"a": 1\n "b": [2 3]}', '{"a": 1,\n "b": [2, 3]}'),
        (b'\xef\xbb\xbf{"a": "x,}"}', '{"a": "x,}"}'),
        (b'{"a": "b" : 1}', None),
        (b'{"a": 1,, "b": 2}', None),
        (b'{"a": 1, "b": nothing,}', None),
        (b'{"a": 1}', None),
        (b'["a", "\xe4",]', None),
    ],
)
def test_commas_are_repaired_where_that_is_all_that_is_wrong(
    content: bytes, text: str | None
) -> None:
    assert repaired(content) == text


@pytest.mark.parametrize("depth", [100, 500, 2000, 20_000])
def test_depth_alone_is_either_read_without_fault_or_reported_as_such(depth: int) -> None:
    text = read_json(b"[" * depth + b"]" * depth)
    assert text.value is not None or "nested too deeply" in text.faults[0].message


def test_pointers_are_escaped() -> None:
    assert pointer() == ""
    assert pointer("a", 0, "b/c", "~1", "") == "/a/0/b~1c/~01/"
    assert escape("~/") == "~0~1"


def test_any_value_comes_back_and_each_part_of_it_has_a_place() -> None:
    chance = random.Random(1)

    def make(depth: int) -> object:
        kind = chance.randrange(8 if depth else 6)
        if kind == 6:
            return [make(depth - 1) for _ in range(chance.randrange(4))]
        if kind == 7:
            keys = ["", "a/b", "~", 'q"', "ä", "\\", "x\ny", "0"]
            return {key: make(depth - 1) for key in chance.sample(keys, chance.randrange(4))}
        return [None, True, -3, 2.5e-3, 'a"\\\n😀', "]},:"][kind]

    def pointers(value: object, here: str) -> set[str]:
        inner = (
            value.items()
            if isinstance(value, dict)
            else (enumerate(value) if isinstance(value, list) else ())
        )
        return {here}.union(*(pointers(part, here + pointer(key)) for key, part in inner))

    for _ in range(200):
        value = make(5)
        for indent in (None, 1, "\t"):
            for ascii_only in (True, False):
                written = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
                text = read_json(written.encode())
                assert text.value == value
                assert text.faults == ()
                assert set(text.places) == pointers(value, "")


@pytest.mark.parametrize(
    ("value", "depth"),
    [(5, 0), ("text", 0), ([], 0), ({}, 0), ([5], 1), ([[], {}], 1), ({"a": [1, {"b": 2}]}, 3)],
)
def test_depth_is_counted_as_the_servers_count(value: object, depth: int) -> None:
    """An empty list or object is a value like others, and nothing lies within it."""
    assert depth_of(value) == depth
