"""What the server makes of a task of generation 2 that tells of nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from generation_2 import (
    COMPOUND,
    CONVERTER_COMPOUND,
    CONVERTER_NON_PARALLEL,
    MISSING,
    NON_PARALLEL,
    PARALLEL,
)

from pytest_fractal.generations import VERSION_2, Call, CallResult, ExecutionResult
from pytest_fractal.generations.images import Dataset, Image
from pytest_fractal.samples.runs import drive


def played(
    kind: str, before: Dataset, *written: list[Any], **entry: Any
) -> tuple[ExecutionResult, int]:
    """What comes of a task whose batches of commands write this, and how many there were."""
    batches = iter(written)
    made = 0

    def execute(calls: Sequence[Call]) -> list[CallResult]:
        nonlocal made
        made += 1
        return [
            CallResult(succeeded=True, value=None, written=False)
            if value is MISSING
            else CallResult(succeeded=True, value=value)
            for value in next(batches)
        ]

    play = VERSION_2.play("T", {"type": kind, **entry}, {}, before, Path("/data"))
    return drive(play, execute), made


BEFORE = Dataset("/data", (Image("/data/a"), Image("/data/b", types={"raw": True})))
NOTHING_TO_COMPUTE: tuple[Any, ...] = (MISSING, None, {}, {"parallelization_list": []})
NOTHING_IDS = ["no file", "null", "{}", "empty list"]
NO_IMAGE: tuple[Any, ...] = (None, {}, {"image_list_updates": []})


@pytest.mark.parametrize("written", NOTHING_TO_COMPUTE, ids=NOTHING_IDS)
def test_an_init_part_that_hands_on_nothing_has_changed_all_its_images(written: Any) -> None:
    """The server updates them with the task's `output_types`, and filters by those."""
    ended, batches = played(COMPOUND, BEFORE, [written], output_types={"raw": False})
    assert batches == 1
    assert ended.blocked is not None
    assert not ended.blocked.fails
    assert isinstance(ended.state, Dataset)
    assert [image.types for image in ended.state.images] == [{"raw": False}, {"raw": False}]
    assert ended.state.inputs({}) == ended.state.images
    assert ended.state.inputs({"raw": True}) == ()


@pytest.mark.parametrize("written", NOTHING_TO_COMPUTE, ids=NOTHING_IDS)
def test_one_of_a_converter_changes_no_image_and_filters_all_the_same(written: Any) -> None:
    ended, _ = played(CONVERTER_COMPOUND, BEFORE, [written], output_types={"raw": True})
    assert isinstance(ended.state, Dataset)
    assert ended.state.images == BEFORE.images
    assert ended.state.inputs({}) == BEFORE.images[1:]
    ended, _ = played(CONVERTER_COMPOUND, BEFORE, [written], output_types={"new": True})
    after, batches = played(PARALLEL, ended.state, [{}])  # type: ignore[arg-type]
    assert batches == 0
    assert after.blocked is not None
    assert after.blocked.fails
    assert 'with the types {"new": true}' in after.blocked.expected


@pytest.mark.parametrize("written", NO_IMAGE, ids=str)
def test_a_converter_that_tells_of_no_image_is_warned(written: Any) -> None:
    unit = {"zarr_url": "/data/x"}
    for ended, _ in (
        played(CONVERTER_NON_PARALLEL, BEFORE, [written]),
        played(CONVERTER_COMPOUND, BEFORE, [{"parallelization_list": [unit]}], [written]),
        played(CONVERTER_COMPOUND, BEFORE, [{"parallelization_list": [unit]}], [MISSING]),
        played(CONVERTER_NON_PARALLEL, BEFORE, [{"image_list_removals": ["/data/a"]}]),
    ):
        assert ended.blocked is not None
        assert not ended.blocked.fails
        assert "image_list_updates" in ended.blocked.expected


def test_who_tells_of_an_image_or_works_in_place_is_not_warned() -> None:
    update, units = {"image_list_updates": [{"zarr_url": "/data/x"}]}, [{"zarr_url": "/data/x"}]
    init = {"parallelization_list": [*units, {"zarr_url": "/data/y"}]}
    for ended, _ in (
        played(CONVERTER_NON_PARALLEL, BEFORE, [update]),
        played(CONVERTER_NON_PARALLEL, BEFORE, [MISSING]),  # reported by FR402
        played(CONVERTER_COMPOUND, BEFORE, [init], [update, None]),
        played(NON_PARALLEL, BEFORE, [{"image_list_updates": []}]),
        played(COMPOUND, BEFORE, [init], [None, None]),
    ):
        assert ended.blocked is None


def test_what_two_units_contradict_is_at_the_unit_of_the_later_one() -> None:
    """The commands are numbered from the init part on."""
    units = [{"zarr_url": f"/data/{name}"} for name in "xyz"]
    number, text = (
        {"image_list_updates": [{"zarr_url": f"/data/{name}", "attributes": {"w": value}}]}
        for name, value in (("x", 1), ("y", "1"))
    )
    written: list[list[Any]] = [[{"parallelization_list": units}], [number, text, {}]]
    ended, batches = played(CONVERTER_COMPOUND, BEFORE, *written)
    assert batches == 2
    ((command, fault),) = ended.faults
    assert (command, fault.keys) == (2, ("image_list_updates", 0, "attributes", "w"))
