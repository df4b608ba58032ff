"""The image list of generation 2: what outputs are refused, and what becomes of images."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet

from pytest_fractal.generations.images import (
    MAX_UNITS,
    Dataset,
    Image,
    Output,
    Unit,
    image_faults,
    init_output_faults,
    output_faults,
    read_image,
    read_output,
    read_types,
    read_units,
    type_faults,
)
from pytest_fractal.generations.protocol import Call, CallResult, ModelFault
from pytest_fractal.generations.v2 import VERSION_2
from pytest_fractal.pointers import pointer
from pytest_fractal.samples.runs import drive
from pytest_fractal.server.servers import ServerRelease

A, B, C = "/data/zarr/a", "/data/zarr/b", "/data/zarr/c"


def places(faults: Sequence[ModelFault]) -> list[str]:
    """Where the faults are; those that the server takes all the same in brackets."""
    return [
        f"({pointer(*fault.keys)})" if fault.coerced else pointer(*fault.keys) for fault in faults
    ]


def update(**more: Any) -> dict[str, Any]:
    return {"image_list_updates": [{"zarr_url": A, **more}]}


FIRST = "/image_list_updates/0"

GOOD_OUTPUTS: list[Any] = [
    None,
    {},
    {"image_list_updates": [], "image_list_removals": []},
    update(),
    update(origin=None),
    update(origin="/elsewhere/x"),
    update(zarr_url=f" {A}// "),
    update(zarr_url="/data/./zarr//a..b"),
    update(attributes={"well": "B03", "n": 1, "x": 1.5, "ok": True, "gone": None}),
    update(types={"is_3D": False, "mip": True}),
    {"image_list_updates": [{"zarr_url": A}, {"zarr_url": f"{A}/", "origin": None}]},
    {"image_list_removals": [A, f"{A}/"]},
    {"image_list_updates": [{"zarr_url": A}], "image_list_removals": [B]},
]

BAD_OUTPUTS: list[tuple[Any, list[str]]] = [
    ([], [""]),
    ("x", [""]),
    (False, [""]),
    ({"metadata": {}, "x": 1}, ["/metadata", "/x"]),
    ({"parallelization_list": []}, ["/parallelization_list"]),
    ({"image_list_updates": None}, ["/image_list_updates"]),
    ({"image_list_updates": {}}, ["/image_list_updates"]),
    ({"image_list_updates": [A, None]}, [FIRST, "/image_list_updates/1"]),
    ({"image_list_updates": [{}]}, [f"{FIRST}/zarr_url"]),
    *(
        (update(zarr_url=url), [f"{FIRST}/zarr_url"])
        for url in (
            None,
            1,
            "",
            " ",
            "a.zarr",
            "./a",
            "/data/../zarr/a",
            "/data/zarr/..",
            "s3:/b/a",
            "s3b",
            "https://x.org/a",
            "file:///data/zarr/a",
            f"{A}\0",
            f"{A}\ud800",
        )
    ),
    (update(origin="a"), [f"{FIRST}/origin"]),
    (update(zarr_url="s3://b/a"), [f"({FIRST}/zarr_url)"]),
    (update(zarr_url="s3://b/../a"), [f"{FIRST}/zarr_url", f"({FIRST}/zarr_url)"]),
    (update(origin="s3://b/a"), [f"({FIRST}/origin)"]),
    (update(origin=""), [f"{FIRST}/origin"]),
    (update(attributes=None), [f"{FIRST}/attributes"]),
    (update(attributes=["well"]), [f"{FIRST}/attributes"]),
    (
        update(attributes={"a": [], "b": {}, "": 1, " c": 1, "c": 2}),
        [f"{FIRST}/attributes/{name}" for name in ("a", "b", "", "c")],
    ),
    (update(attributes={"a": float("nan")}), [f"{FIRST}/attributes/a"]),
    (update(attributes={"a": float("inf")}), [f"{FIRST}/attributes/a"]),
    (update(attributes={"a": "\0"}), [f"{FIRST}/attributes/a"]),
    (update(attributes={"\0": 1}), [f"{FIRST}/attributes/\0"]),
    (update(types=None), [f"{FIRST}/types"]),
    (
        update(types={"a": 2, "b": "x", "c": None, "d": 0.5, " ": True}),
        [f"{FIRST}/types/{name}" for name in ("a", "b", "c", "d", " ")],
    ),
    ({"image_list_removals": None}, ["/image_list_removals"]),
    (
        {"image_list_removals": ["a", {"zarr_url": A}]},
        ["/image_list_removals/0", "/image_list_removals/1"],
    ),
    (
        {"image_list_updates": [{"zarr_url": A}, {"zarr_url": f"{A}/", "types": {"x": True}}]},
        ["/image_list_updates/1/zarr_url"],
    ),
    (
        {"image_list_updates": [{"zarr_url": A}], "image_list_removals": [f"{A}/"]},
        ["/image_list_removals/0"],
    ),
    # everything at once, what can still be compared included
    (
        {
            "image_list_updates": [
                {"zarr_url": "x"},
                {"zarr_url": A},
                {"zarr_url": B, "origin": 1},
            ],
            "image_list_removals": [A, "y"],
            "other": 1,
        },
        [
            "/other",
            f"{FIRST}/zarr_url",
            "/image_list_updates/2/origin",
            "/image_list_removals/1",
            "/image_list_removals/0",
        ],
    ),
]

COERCED_OUTPUTS: list[tuple[Any, list[str]]] = [
    (
        update(types={"a": "true", "b": 1, "c": 0.0, "d": "Off"}),
        [f"({FIRST}/types/{name})" for name in "abcd"],
    ),
    (
        {"image_list_updates": [{"zarr_url": A, "types": {"a": v}} for v in (True, 1)]},
        ["(/image_list_updates/1/types/a)"],
    ),
    (update(orgin=B, type={"x": 1}), [f"({FIRST}/orgin)", f"({FIRST}/type)"]),
]

GOOD_INITS: list[Any] = [
    None,
    {},
    {"parallelization_list": []},
    {"parallelization_list": [{"zarr_url": A}, {"zarr_url": A, "init_args": {"n": [1, None]}}]},
    {"parallelization_list": [{"zarr_url": A}] * (MAX_UNITS + 1)},
]

BAD_INITS: list[tuple[Any, list[str]]] = [
    ([], [""]),
    ({"image_list_updates": []}, ["/image_list_updates"]),
    ({"parallelization_list": None}, ["/parallelization_list"]),
    ({"parallelization_list": [A]}, ["/parallelization_list/0"]),
    (
        {
            "parallelization_list": [
                {"init_args": {}},
                {"zarr_url": "x", "init_args": None, "a": 1},
            ]
        },
        [
            "/parallelization_list/0/zarr_url",
            "/parallelization_list/1/a",
            "/parallelization_list/1/zarr_url",
            "/parallelization_list/1/init_args",
        ],
    ),
    (
        {"parallelization_list": [{"zarr_url": f"/{n}"} for n in range(MAX_UNITS + 1)]},
        ["/parallelization_list"],
    ),
]


def test_what_the_server_takes_has_no_fault() -> None:
    assert [places(list(output_faults(value))) for value in GOOD_OUTPUTS] == [[]] * len(
        GOOD_OUTPUTS
    )
    assert [places(list(init_output_faults(value))) for value in GOOD_INITS] == [[]] * len(
        GOOD_INITS
    )


@pytest.mark.parametrize("number", range(len(BAD_OUTPUTS)))
def test_every_place_that_the_server_refuses_is_reported_at_once(number: int) -> None:
    value, expected = BAD_OUTPUTS[number]
    assert places(list(output_faults(value))) == expected


@pytest.mark.parametrize("number", range(len(BAD_INITS)))
def test_every_place_of_an_init_output_is_reported_at_once(number: int) -> None:
    value, expected = BAD_INITS[number]
    assert places(list(init_output_faults(value))) == expected


@pytest.mark.parametrize("number", range(len(COERCED_OUTPUTS)))
def test_what_the_server_turns_into_something_else_is_distinguished(number: int) -> None:
    value, expected = COERCED_OUTPUTS[number]
    assert places(list(output_faults(value))) == expected


def test_a_fault_says_what_is_expected_and_what_is_there() -> None:
    (fault,) = output_faults(update(zarr_url="plate.zarr/B/03/0"))
    assert fault.expected == "an absolute path, which begins with /"
    assert fault.found == '"plate.zarr/B/03/0"'
    (fault,) = output_faults({"image_list_update": []})
    assert fault.expected == "no key but image_list_updates, image_list_removals"
    (fault,) = output_faults(update(types={"mip": "yes"}))
    assert fault.found == '"yes", which the server takes for true'


def test_only_what_a_task_writes_may_unset_an_attribute() -> None:
    value = {"zarr_url": A, "attributes": {"well": None}}
    assert places(list(image_faults(value, may_unset=True))) == []
    assert places(list(image_faults(value))) == ["/attributes/well"]


def test_the_types_of_a_manifest_are_read_alike() -> None:
    assert places(list(type_faults({"a": "yes", "b": 2}, ("input_types",)))) == [
        "(/input_types/a)",
        "/input_types/b",
    ]
    assert read_types({" a ": "yes", "b": 0.0}) == {"a": True, "b": False}


def test_paths_and_names_are_read_without_what_the_server_strips() -> None:
    value = update(zarr_url=f" {A}//x/", origin=f"{B}/", attributes={" well ": "B03"})
    assert read_output(value).updates == (Image(f"{A}/x", B, {"well": "B03"}),)


def test_identical_elements_of_a_parallelization_list_are_computed_once() -> None:
    value = {
        "parallelization_list": [
            {"zarr_url": A, "init_args": {"x": [1]}},
            {"zarr_url": f"{A}/", "init_args": {"x": [1]}},
            {"zarr_url": A},
        ]
    }
    assert read_units(value) == (Unit(A, {"x": [1]}), Unit(A))


# what becomes of the image list

PLATE = Dataset(
    "/data/zarr",
    (
        Image(A, None, {"well": "B03", "acquisition": 1}, {"is_3D": True}),
        Image(B, A, {"well": "B05"}, {}),
    ),
)


def after(*outputs: Output, dataset: Dataset = PLATE, **types: bool) -> Dataset:
    done, faults = dataset.after(outputs, inputs=dataset.inputs({}), output_types=types)
    assert not faults
    return done


def test_an_update_keeps_what_it_does_not_name() -> None:
    done = after(Output((Image(A, None, {"acquisition": None, "n": 2}, {"mip": True}),)))
    assert done.images == (
        Image(A, None, {"well": "B03", "n": 2}, {"is_3D": True, "mip": True}),
        PLATE.images[1],
    )


def test_an_update_keeps_the_origin_that_the_image_has() -> None:
    assert after(Output((Image(B, B),))).images[1].origin == A


def test_a_new_image_inherits_from_its_origin() -> None:
    done = after(Output((Image(C, A, {"well": "C01"}),)), is_3D=False)
    assert done.images[2] == Image(C, A, {"well": "C01", "acquisition": 1}, {"is_3D": False})


def test_a_new_image_with_an_unknown_origin_inherits_nothing() -> None:
    assert after(Output((Image(C, "/elsewhere"),))).images[2] == Image(C, "/elsewhere")


def test_a_task_that_runs_again_makes_its_images_anew_from_their_origin() -> None:
    once = after(Output((Image(C, A, {"mip": 1}),)))
    again = after(Output((Image(C, A),)), dataset=once)
    assert again.images[2] == Image(C, A, {"well": "B03", "acquisition": 1}, {"is_3D": True})


def test_the_types_of_the_manifest_win() -> None:
    done = after(Output((Image(A, None, {}, {"is_3D": True}),)), is_3D=False)
    assert done.images[0].types == {"is_3D": False}


def test_a_task_that_tells_of_no_image_has_changed_all_that_it_got() -> None:
    done = after(Output(), Output(), corrected=True)
    assert [image.types.get("corrected") for image in done.images] == [True, True]


def test_a_task_of_which_no_unit_succeeded_has_changed_none() -> None:
    assert after(corrected=True).images == PLATE.images


def test_identical_twins_of_two_units_are_one() -> None:
    twin = Output((Image(C, A),), (B,))
    assert [image.zarr_url for image in after(twin, twin).images] == [A, C]


def refused(*outputs: Output, dataset: Dataset = PLATE) -> list[str]:
    done, faults = dataset.after(outputs, inputs=dataset.inputs({}), output_types={})
    assert done == dataset
    return places(faults)


def test_two_units_that_tell_different_things_of_an_image_are_refused() -> None:
    one, other = Output((Image(A, None, {"n": 1}),)), Output((Image(A, None, {"n": 2}),))
    assert refused(one, other) == ["/1/image_list_updates/0/zarr_url"]


def test_a_unit_that_removes_what_another_updates_is_refused() -> None:
    assert refused(Output((Image(A),)), Output((), (A,))) == ["/1/image_list_removals/0"]


def test_a_new_image_outside_the_zarr_dir_is_refused() -> None:
    for url in ("/data/zarr", "/data", "/elsewhere"):
        assert refused(Output((Image(url),))) == ["/0/image_list_updates/0/zarr_url"]
    # compared as texts by the server
    assert len(after(Output((Image("/data/zarr-2/x"),))).images) == 3


def test_an_image_of_the_dataset_outside_the_zarr_dir_may_be_updated() -> None:
    dataset = Dataset("/data/zarr", (Image("/elsewhere"),))
    assert after(Output((Image("/elsewhere"),)), dataset=dataset, mip=True).images == (
        Image("/elsewhere", None, {}, {"mip": True}),
    )


def test_the_removal_of_an_unknown_image_is_refused() -> None:
    assert refused(Output((), (A, C))) == ["/0/image_list_removals/1"]


def test_a_task_sees_the_images_of_its_input_types_and_of_those_that_were_made_before() -> None:
    assert PLATE.inputs({"is_3D": True}) == PLATE.images[:1]
    assert PLATE.inputs({"is_3D": False}) == PLATE.images[1:]
    done = after(Output((Image(C, A),)), mip=True)
    assert [image.zarr_url for image in done.inputs({})] == [C]
    assert [image.zarr_url for image in done.inputs({"mip": False})] == [A, B]


# attributes that are numbers here and texts there


def well(url: str, value: Any, origin: str | None = None) -> Image:
    return Image(url, origin, {"w": value})


@pytest.mark.parametrize(
    ("there", "outputs", "at"),
    [
        ([], [[well(A, 1), well(B, "1")]], ["(/0/image_list_updates/1/attributes/w)"]),
        ([], [[well(A, "x"), well(B, 2.5)]], ["(/0/image_list_updates/1/attributes/w)"]),
        ([], [[well(A, True), well(B, "x")]], ["(/0/image_list_updates/1/attributes/w)"]),
        ([], [[well(A, 1)], [well(B, "x")]], ["(/1/image_list_updates/0/attributes/w)"]),
        ([well(A, "x")], [[well(C, 1)]], ["(/0/image_list_updates/0/attributes/w)"]),
        ([well(A, 1), well(B, 1)], [[well(A, "x")]], ["(/0/image_list_updates/0/attributes/w)"]),
        # Both have got it from others: A's value is C's now, and that of an image as before.
        (
            [well(A, 0), well(B, 1)],
            [[well(C, "x")], [Image(A, C)]],
            ["(/0/image_list_updates/0/attributes/w)"],
        ),
        ([], [[well(A, 1), well(B, 2.5), well(C, True)]], []),
        ([], [[well(A, "1"), well(B, "x")]], []),
        ([], [[well(A, 1), well(B, None)]], []),
        ([well(A, 1)], [[well(A, "x")]], []),
        ([well(A, 1), well(B, 1)], [[well(A, "x"), well(B, "y")]], []),
        # reported when it came about, and not again by every later task
        ([well(A, 1), well(B, "x")], [[well(A, 2)]], []),
        (
            [Image(A, None, {"w": 1, "x": 1}), well(B, "x")],
            [[Image(B, None, {"x": "x"})]],
            ["(/0/image_list_updates/0/attributes/x)"],
        ),
    ],
)
def test_an_attribute_is_a_number_or_a_text_in_all_images(
    there: list[Image], outputs: list[list[Image]], at: list[str]
) -> None:
    """Once they are mixed, `images/query` of fractal-server 2.18.5 answers 500 for ever."""
    dataset = Dataset("/data/zarr", tuple(there))
    done, faults = dataset.after(
        [Output(tuple(updates)) for updates in outputs], inputs=(), output_types={}
    )
    assert places(faults) == at
    assert {image.zarr_url for update in outputs for image in update} <= {
        image.zarr_url for image in done.images
    }


def test_a_mixed_attribute_is_reported_with_both_values_and_the_servers_that_break() -> None:
    dataset = Dataset("/data/zarr", (well(A, "x"),))
    _, (fault,) = dataset.after([Output((well(C, 1),))], inputs=(), output_types={})
    assert fault.expected == "a text, as the attribute is in other images"
    assert fault.found.startswith(f'1, where {A} has "x"; ')
    assert "servers before 2.20" in fault.found
    assert fault.releases == ">=2,<2.20"
    assert fault.coerced


def test_an_address_on_s3_is_below_a_zarr_dir_on_s3_alone() -> None:
    value = {"image_list_updates": [{"zarr_url": "s3://bucket/plate.zarr/a/"}]}
    (fault,) = output_faults(value)
    assert (fault.coerced, fault.releases) == (True, ">=2,<2.20")
    assert (
        fault.found == '"s3://bucket/plate.zarr/a/": servers before 2.20 refuse an address on S3'
    )
    output = read_output(value)
    for zarr_dir, refused in (("/data/zarr", 1), ("s3://bucket/plate.zarr", 0)):
        done, faults = Dataset(zarr_dir).after([output], inputs=(), output_types={})
        assert len(faults) == refused
        assert [image.zarr_url for image in done.images] == (
            [] if refused else ["s3://bucket/plate.zarr/a"]
        )


def test_an_image_that_is_removed_mixes_with_nothing() -> None:
    dataset = Dataset("/data/zarr", (well(A, "x"), well(B, "y")))
    assert after(Output((well(C, 1),), (A, B)), dataset=dataset).images == (well(C, 1),)


# agreement with the server

KINDS = (
    "parallel",
    "non_parallel",
    "compound",
    "converter_non_parallel",
    "converter_compound",
)


def generated(number: int) -> dict[str, Any]:
    """A case for `server_images.py`, good and bad, the same one for the same number."""
    rng = random.Random(number)

    def maybe(odds: float, value: Any, otherwise: Any) -> Any:
        return value if rng.random() < odds else otherwise

    def url() -> Any:
        good = rng.choice(["/z/a", "/z/b", "/z/c", "/z/d/e", "/z/a/", "/z//b", " /z/c ", "/z/./b"])
        bad = rng.choice(
            [
                "/z",
                "/",
                "/x/a",
                "/zz",
                "z/a",
                "/z/../a",
                "s3://b",
                "",
                None,
                1,
                "..",
                "file:///z/a",
                "/z/a\0",
                ["/z/a"],
                "//z/a",
                "/z/..a",
            ]
        )
        return maybe(0.03, bad, good)

    def attributes() -> Any:
        value = rng.choice(["B03", 1, 2.5, True, None, "", -0.0])
        bad: Any = rng.choice([[], {}, float("nan"), float("-inf"), "\0", [1]])
        name = maybe(0.03, rng.choice(["", " "]), rng.choice(["well", " n", "n", "plate"]))
        names = {name: maybe(0.05, bad, value), "well": value}
        return maybe(0.03, rng.choice([None, [], "x"]), names)

    def types() -> Any:
        good, odd = rng.choice([True, False]), rng.choice(["yes", "F", 1, 0, 1.0, "on", "TRUE"])
        bad: Any = rng.choice([2, "x", None, [], " true", -1, ""])
        value = maybe(0.04, bad, maybe(0.15, odd, good))
        return maybe(0.02, None, {maybe(0.02, "", rng.choice(["mip", "is_3D", " mip"])): value})

    def image() -> Any:
        one: dict[str, Any] = {"zarr_url": url()}
        parts: list[tuple[str, Any]] = [
            ("origin", url),
            ("attributes", attributes),
            ("types", types),
        ]
        for key, make in parts:
            if rng.random() < 0.4:
                one[key] = make()
        if rng.random() < 0.03:
            one["extra"] = 1
        return maybe(0.02, rng.choice([None, "/z/a", []]), one)

    def output() -> Any:
        one: dict[str, Any] = {}
        if rng.random() < 0.7:
            one["image_list_updates"] = [image() for _ in range(rng.randint(0, 3))]
        if rng.random() < 0.2:
            one["image_list_removals"] = [url() for _ in range(rng.randint(0, 2))]
        if rng.random() < 0.03:
            one[rng.choice(["parallelization_list", "x"])] = []
        return maybe(0.03, rng.choice([None, {"image_list_updates": None}]), one)

    def unit() -> Any:
        one = {
            "zarr_url": url(),
            "init_args": maybe(0.05, None, {"x": rng.choice([1, True, "a"])}),
        }
        if rng.random() < 0.05:
            one["extra"] = 1
        return maybe(0.05, "/z/a", one)

    if rng.random() < 0.25:
        return {"init": {"parallelization_list": [unit() for _ in range(rng.randint(0, 4))]}}
    like = {"origin": None, "attributes": {"well": "A1"}, "types": {"mip": True}}
    urls = rng.sample(["/z/a", "/z/b", "/x/c"], rng.randint(1, 3))
    images = [{"zarr_url": url, **like} for url in urls]
    tasks: list[dict[str, Any]] = [
        {
            "type": rng.choice(KINDS),
            "input_types": rng.choice([{}, {}, {"mip": True}, {"is_3D": False}]),
            "output_types": rng.choice([{}, {}, {"mip": False}, {"is_3D": True}]),
        }
        for _ in range(rng.randint(1, 3))
    ]
    for task in tasks:
        task["outputs"] = [output() for _ in range(rng.randint(1, 3))]
        if "compound" in task["type"]:
            units = [unit() for _ in range(rng.randint(1, 3))]
            nothing: Any = rng.choice([None, {}, {"parallelization_list": []}])
            task["init"] = maybe(0.4, nothing, {"parallelization_list": units})
    return {"zarr_dir": "/z", "images": images, "tasks": tasks}


def minds(fault: ModelFault, release: str) -> bool:
    """Whether this release of the server refuses it, or breaks on it."""
    if fault.releases:
        return SpecifierSet(fault.releases).contains(release)
    return not fault.coerced


def ours(case: dict[str, Any], release: str) -> dict[str, Any]:
    """Our answer to a case, in the form of `server_images.py`; `error` holds the places."""
    if "init" in case:
        faults = places(
            [
                init_output_fault
                for init_output_fault in init_output_faults(case["init"])
                if minds(init_output_fault, release)
            ]
        )
        units = [] if faults else read_units(case["init"])
        return {"error": faults, "units": [vars(unit) for unit in units]}
    dataset = Dataset(case["zarr_dir"], tuple(map(read_image, case["images"])))
    given: list[dict[str, Any]] = []

    def execute(
        task: dict[str, Any], refusals: list[ModelFault], calls: Sequence[Call]
    ) -> list[CallResult]:
        given.extend(dict(call.supplied) for call in calls)
        outputs = task["outputs"]
        if calls[0].part.name == "init" and "init" in task:
            outputs = [task["init"]]
        written = [outputs[number % len(outputs)] for number in range(len(calls))]
        refusals += [
            fault
            for call, value in zip(calls, written, strict=True)
            for fault in VERSION_2.output_faults(task["type"], call.part, value)
            if minds(fault, release)
        ]
        return [CallResult(succeeded=True, value=value) for value in written]

    for task in case["tasks"]:
        refusals: list[ModelFault] = []
        play = VERSION_2.play("", task, {}, dataset, Path(case["zarr_dir"]))
        ended = drive(play, partial(execute, task, refusals))
        refusals += [fault for _, fault in ended.faults if minds(fault, release)]
        if ended.blocked and ended.blocked.fails:
            return {"error": ["no images"], "given": given, "images": None}
        if refusals:
            return {"error": places(refusals), "given": given, "images": None}
        assert isinstance(ended.state, Dataset)
        dataset = ended.state
    return {"error": [], "given": given, "images": [image.value for image in dataset.images]}


@pytest.mark.slow
@pytest.mark.parametrize("release", ["2.18.5", "2.24.2"])
def test_the_server_answers_alike(release: str) -> None:
    """Its own models and its own `execute_tasks`, in the environment of `--fractal-server`."""
    python = ServerRelease("2", release).environment().python
    listed = [*GOOD_OUTPUTS, *(value for value, _ in (*BAD_OUTPUTS, *COERCED_OUTPUTS))]
    inits = [*GOOD_INITS, *(value for value, _ in BAD_INITS)]
    one = {"type": "non_parallel", "input_types": {}, "output_types": {}}
    images = [{"zarr_url": url, "attributes": {}, "types": {}} for url in (A, B, "/data/zarr/a/x")]
    cases: list[dict[str, Any]] = [
        *(
            {"zarr_dir": "/data/zarr", "images": images, "tasks": [{**one, "outputs": [value]}]}
            for value in listed
            if isinstance(value, dict | None)
        ),
        *({"init": value} for value in inits if isinstance(value, dict | None)),
        *map(generated, range(int(os.environ.get("IMAGE_CASES", "1500")))),
    ]
    ran = subprocess.run(
        [python, Path(__file__).with_name("server_images.py")],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        env={**os.environ, "JWT_SECRET_KEY": "none", "POSTGRES_DB": "none"},
    )
    assert ran.returncode == 0, ran.stderr
    refused = 0
    for number, (case, theirs) in enumerate(zip(cases, json.loads(ran.stdout), strict=True)):
        answer = ours(case, release)
        reported = f"case {number}: {case}\nserver: {theirs}\nours: {answer}"
        assert bool(answer["error"]) == bool(theirs["error"]), reported
        refused += bool(theirs["error"])
        if not theirs["error"]:
            for image in theirs.get("images", ()):
                image.setdefault("origin", None)
            assert answer == {**theirs, "error": []}, reported
    assert len(cases) / 4 < refused < len(cases) * 3 / 4
