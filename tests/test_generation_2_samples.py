"""Which samples of tasks of generation 2 can be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from generation_2 import both, does, obeying_wheel
from test_samples import write_samples
from wheel_factory import verdicts

from pytest_fractal.verdicts import Outcome


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return obeying_wheel(tmp_path_factory.mktemp("generation-2"))


IMAGE = {"zarr_url": "{tmp}/a"}
BELOW = "a path below the dataset's zarr_dir, {tmp}"
STORABLE = "texts that the server can store"


def numbers(first: Any, second: Any) -> list[dict[str, Any]]:
    """Two images, each with a value of one attribute."""
    return [
        {"zarr_url": f"{{tmp}}/{name}", "attributes": {"n": value}}
        for name, value in (("a", first), ("b", second))
    ]


@pytest.mark.parametrize(
    ("sample", "at", "expected"),
    [
        (does("Each", "", zarr_urls=[]), "/zarr_urls", "no zarr_urls for a parallel task"),
        (does("All", "", zarr_url="/a"), "/zarr_url", "no zarr_url for a non-parallel task"),
        (
            does("Convert", "", images=[]),
            "/images",
            "no images for a converter-non-parallel task",
        ),
        (
            does("Each", "", images=[{"zarr_url": "a"}]),
            "/images/0/zarr_url",
            "an absolute path, which begins with /",
        ),
        (does("Each", "", images={}), "/images", "a list"),
        (does("All", "", zarr_urls="{tmp}/a"), "/zarr_urls", "a list"),
        (does("Each", "", zarr_dir=5), "/zarr_dir", "an absolute path"),
        (does("Each", "", zarr_dir="data"), "/zarr_dir", "an absolute path"),
        (
            does("Each", "", component="a"),
            "/component",
            "no key but args, expect, images, task, zarr_dir, zarr_url, zarr_urls",
        ),
        (
            {"task": "Each", "args": {"init_args": {}}},
            "/args/init_args",
            "the task's own arguments alone",
        ),
        (
            {"task": "Both", "args": {"do": ""}},
            "/args/do",
            'the arguments of both parts of a compound task: {"init": {...}, "compute": {...}}',
        ),
        ({"task": "Both", "args": {"init": 5}}, "/args/init", "an object"),
        (
            {"task": "Both", "args": {"compute": {"zarr_url": "/a"}}},
            "/args/compute/zarr_url",
            "the task's own arguments alone",
        ),
        # what the server refuses in a dataset
        (does("Each", "", images=[IMAGE, IMAGE]), "/images/1/zarr_url", "each image once"),
        (
            does("Each", "", images=[IMAGE, {"zarr_url": "{tmp}//a/"}]),
            "/images/1/zarr_url",
            "each image once",
        ),
        (does("All", "", zarr_urls=["{tmp}/a", "{tmp}/a"]), "/zarr_urls/1", "each image once"),
        (does("Each", "", images=[{"zarr_url": "{tmp}"}]), "/images/0/zarr_url", BELOW),
        (does("Each", "", images=[{"zarr_url": "{samples}/a"}]), "/images/0/zarr_url", BELOW),
        (does("Each", "", zarr_url="/data/a"), "/zarr_url", BELOW),
        (
            does("All", "", zarr_urls=["{tmp}/x/a", "{tmp}/a"], zarr_dir="{tmp}/x"),
            "/zarr_urls/1",
            "a path below the dataset's zarr_dir, {tmp}/x",
        ),
        (
            does("Each", "", images=numbers(1, "x")),
            "/images/1/attributes/n",
            "an attribute that is a number in all images, or a text in all",
        ),
        # what it cannot store
        (does("Each", "\0", images=[IMAGE]), "/args/do", STORABLE),
        (does("Each", "\ud800", images=[IMAGE]), "/args/do", STORABLE),
        (both("Both", "pass", "\0", images=[IMAGE]), "/args/compute/do", STORABLE),
        (
            {"steps": [does("Each", "", images=[IMAGE]), does("Each", "", zarr_url="/x")]},
            "/steps/1/zarr_url",
            BELOW,
        ),
    ],
)
def test_a_sample_that_cannot_be_used_is_reported_with_its_place(
    tmp_path: Path, wheel: Path, sample: dict[str, Any], at: str, expected: str
) -> None:
    """The server answers the requests that make such a dataset, or workflow, with 422 or 500."""
    (verdict,) = verdicts(wheel, "FR400", samples=write_samples(tmp_path, bad=sample))
    assert [(found.pointer, found.expected) for found in verdict.findings] == [(at, expected)]
    assert verdict.findings[0].hint


@pytest.mark.parametrize(
    "sample",
    [
        does("Each", "", images=[{"zarr_url": "{samples}/a"}], zarr_dir="{samples}"),
        does("Each", "", images=[{"zarr_url": "{tmp}/a"}], zarr_url="{tmp}/a"),
        does("All", "", zarr_urls=["{tmp}/x/a"], zarr_dir="{tmp}/x/"),
        does("Each", "", images=[{"zarr_url": "{tmp}-beside/a"}]),  # as the server compares
        does("Each", "", images=numbers(1, 2.5)),
        does("Each", "", images=numbers(True, 0)),
        does("Each", "", images=numbers("1", "x")),
        {
            "steps": [
                does("Convert", "", zarr_dir="{samples}"),
                does("Each", "", zarr_url="{samples}/a"),
            ]
        },
        does("both", "\0", expect="failure") | {"args": {"init": {"do": "\0"}}},
    ],
)
def test_a_sample_that_comes_close_can_be_used(
    tmp_path: Path, wheel: Path, sample: dict[str, Any]
) -> None:
    (verdict,) = verdicts(wheel, "FR400", samples=write_samples(tmp_path, good=sample))
    assert verdict.findings == ()
    assert verdict.outcome is Outcome.PASS
