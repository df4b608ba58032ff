"""What the generations say: words, fixes, and the arguments that servers supply."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from pytest_fractal.generations import VERSION_1, VERSION_2
from pytest_fractal.generations.faults import faults_of
from pytest_fractal.generations.images import output_faults
from pytest_fractal.generations.protocol import ModelFault, ModelFaultKind
from pytest_fractal.rules.dialects import DRAFT_7, DRAFT_2020, implied_dialect, named_dialect

URL = "/out/plate.zarr/B/03/0"


@pytest.mark.parametrize(
    ("fault", "fix"),
    [
        (ModelFault(("a",), "x", "y", kind=ModelFaultKind.UNWANTED), "remove it"),
        (ModelFault(("b", "a"), "x", "y", kind=ModelFaultKind.MISSING), 'add "a"'),
        (ModelFault((), "an x", "y", kind=ModelFaultKind.MISSING), "write an x"),
        (ModelFault(("a",), "an x", "y"), "write an x"),
        (ModelFault(("a",), "an x", "y", hint="ask", kind=ModelFaultKind.UNWANTED), "ask"),
    ],
)
def test_a_fault_says_how_it_is_fixed(fault: ModelFault, fix: str) -> None:
    assert fault.fix == fix


class Model(BaseModel):
    name: str
    kind: Literal["a", "b"] = "a"
    flag: bool = False
    number: int = 0


def test_what_a_model_refuses_is_said_in_words_of_json() -> None:
    faults = list(faults_of(Model, {"kind": "c", "flag": [], "number": "x"}))
    assert [(fault.keys, fault.expected, fault.found) for fault in faults] == [
        (("name",), 'the field "name"', '"name" is missing'),
        (("kind",), '"a" or "b"', '"c"'),
        (("flag",), "true or false", "[]"),
        (
            ("number",),
            "Input should be a valid integer, unable to parse string as an integer",
            '"x"',
        ),
    ]
    assert [fault.kind for fault in faults] == [
        ModelFaultKind.MISSING,
        *[ModelFaultKind.WRONG] * 3,
    ]
    assert [fault.choices for fault in faults] == [(), ("a", "b"), (), ()]
    assert [fault.wanted for fault in faults] == [None, None, bool, None]
    assert list(faults_of(Model, {"name": "n"})) == []


@pytest.mark.parametrize(
    ("generation", "kind", "expected"),
    [
        (
            VERSION_1,
            "non_parallel",
            [{"input_paths": ["/data"], "output_path": "/data", "metadata": {}}],
        ),
        (
            VERSION_1,
            "parallel",
            [
                {
                    "input_paths": ["/data"],
                    "output_path": "/data",
                    "metadata": {},
                    "component": "plate.zarr/B/03/0",
                }
            ],
        ),
        (
            VERSION_2,
            "non_parallel",
            [{"zarr_urls": ["/data/plate.zarr/B/03/0"], "zarr_dir": "/data"}],
        ),
        (VERSION_2, "parallel", [{"zarr_url": "/data/plate.zarr/B/03/0"}]),
        (
            VERSION_2,
            "compound",
            [
                {"zarr_urls": ["/data/plate.zarr/B/03/0"], "zarr_dir": "/data"},
                {"zarr_url": "/data/plate.zarr/B/03/0", "init_args": {"a": 1}},
            ],
        ),
    ],
)
def test_what_a_server_supplies_to_each_command(
    generation: Any, kind: str, expected: list[dict[str, Any]]
) -> None:
    made = {"init_args": {"a": 1}, "sigma": 2}
    assert [
        generation.reserved_values(kind, part, Path("/data"), made)
        for part in generation.runs(kind)
    ] == expected


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        ({"executable_non_parallel": "a"}, "non_parallel"),
        ({"executable_parallel": "a"}, "parallel"),
        ({"executable_parallel": "a", "executable_non_parallel": "b"}, "compound"),
        ({}, "non_parallel"),
        ({"executable_parallel": "a", "type": "compound"}, "compound"),
        ({"executable_parallel": "a", "type": "nothing"}, "parallel"),
        ({"executable_parallel": "a", "type": 5}, "parallel"),
    ],
)
def test_the_kind_follows_from_the_executables_where_the_type_says_nothing(
    entry: dict[str, Any], kind: str
) -> None:
    assert VERSION_2.kind(entry) == kind


def test_made_samples_name_where_the_data_lie() -> None:
    component = {"component": "plate.zarr/B/03/0"}
    assert VERSION_1.made_sample("non_parallel", {}) == {}
    assert VERSION_1.made_sample("parallel", {}) == component
    data = {"input_paths": ["D"], "output_path": "D"}
    assert VERSION_1.made_sample("non_parallel", {}, "D") == data
    assert VERSION_1.made_sample("parallel", {}, "D") == data | component


@pytest.mark.parametrize(
    ("uri", "dialect"),
    [
        (DRAFT_7, DRAFT_7),
        (DRAFT_7.removesuffix("#"), DRAFT_7),
        (DRAFT_7.replace("http:", "https:"), DRAFT_7),
        (DRAFT_2020, DRAFT_2020),
        (f"{DRAFT_2020}#", DRAFT_2020),
        (DRAFT_2020.replace("https:", "http:"), DRAFT_2020),
        ("https://json-schema.org/draft/2020", None),
        ("https://zzz.org/schema", None),
        ("https://aaa.org/schema", None),
        ("", None),
        (5, None),
        (None, None),
    ],
)
def test_the_dialect_that_a_uri_means(uri: object, dialect: str | None) -> None:
    assert named_dialect(uri) == dialect


def test_the_dialect_that_a_schema_version_implies() -> None:
    assert implied_dialect("pydantic_v1") == DRAFT_7
    assert implied_dialect("pydantic_v2") == DRAFT_2020
    assert implied_dialect("other") is None
    assert implied_dialect(2) is None


def test_an_image_is_updated_once_and_the_same_update_counts_once() -> None:
    def updates(*attributes: dict[str, Any]) -> dict[str, Any]:
        listed = [{"zarr_url": URL, "attributes": attribute} for attribute in attributes]
        return {"image_list_updates": listed}

    def pointers(*attributes: dict[str, Any]) -> list[tuple[str | int, ...]]:
        return [fault.keys for fault in output_faults(updates(*attributes))]

    a, b = {"well": "A"}, {"well": "B"}
    assert pointers(a) == pointers(a, a) == []
    assert pointers(a, b) == [("image_list_updates", 1, "zarr_url")]
    assert pointers(a, a, b) == [("image_list_updates", 2, "zarr_url")]
