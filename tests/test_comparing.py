"""What a task leaves on a server and here, compared."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_fractal.server.comparing import MISSING, differences, moved


def test_differences_are_reported_where_they_are() -> None:
    here = {"a": [1, {"b": 2}], "c": 1, "same": [None]}
    there = {"a": [1, {"b": 3}], "d": 1, "same": [None]}
    assert [(each.pointer, each.here, each.there) for each in differences(here, there)] == [
        ("/a/1/b", 2, 3),
        ("/c", 1, MISSING),
        ("/d", MISSING, 1),
    ]
    assert [each.pointer for each in differences({"a": 1}, {"a": True})] == ["/a"]
    assert [each.pointer for each in differences({"a": [1]}, {"a": [1, 2]})] == ["/a"]


@pytest.mark.parametrize(
    ("here", "there", "are_equal"),
    [
        (6.02e23, 602000000000000000000000, True),
        (1.7e308, 17 * 10**307, True),
        (-0.0, 0.0, True),
        (1.0, 1, True),
        (6.02e23, 602000000000000000000001, True),  # the same float
        (2**53, 2**53 + 1, False),
        (1.5, 1, False),
        (1.0, 10**400, False),
        (1.0, True, False),
        (0, False, False),
        ("1", 1, False),
        (None, 0, False),
    ],
)
def test_numbers_are_compared_by_their_value(here: Any, there: Any, are_equal: bool) -> None:
    """PostgreSQL gives a large decimal back as an integer; seen with fractal-server 2.18.5."""
    for left, right in ((here, there), (there, here)):
        assert bool(list(differences([left], [right]))) is not are_equal


def test_paths_are_shown_as_those_of_another_place() -> None:
    value = {"/one/a": ["/one/b", 1, None, "x:/one"]}
    assert moved(value, {"/one": "/two"}) == {"/two/a": ["/two/b", 1, None, "x:/two"]}
