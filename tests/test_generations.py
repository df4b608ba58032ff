"""What the generations say: words, fixes, and the arguments that servers supply."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel
from wheel_factory import candidate_of, make_wheel, write_archive

from pytest_fractal.environments.pip_show import LOCATION, PipShow
from pytest_fractal.generations import VERSION_1, VERSION_2, Generation
from pytest_fractal.generations.faults import faults_of
from pytest_fractal.generations.images import Dataset, Image, output_faults
from pytest_fractal.generations.links_v1 import problem_of_link
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


# --- what servers read in what pip prints -----------------------------------------------

MANIFEST = "demo/__FRACTAL_MANIFEST__.json"
ABOUT = ("Name: demo", "Version: 1.0", "Summary: well", f"Location: {LOCATION}")


def misread(
    folder: Path,
    generation: Generation,
    *about: str,
    files: tuple[str, ...] = (MANIFEST,),
    metadata: str = "",
    **wheel: Any,
) -> list[tuple[str, str, str]]:
    """What is expected, what is read instead, and where that stands."""
    judged = candidate_of(make_wheel(folder, metadata=metadata, **wheel)).wheel
    shown = PipShow(about or ABOUT, files)
    return [
        (wrong.expected, wrong.found, wrong.place)
        for wrong in generation.misreadings(judged, shown, MANIFEST)
    ]


def test_what_pip_usually_prints_misleads_no_server(tmp_path: Path) -> None:
    for generation in (VERSION_1, VERSION_2):
        assert misread(tmp_path, generation) == []


def test_lines_that_mislead_a_2_x_server(tmp_path: Path) -> None:
    name, version, _, location = ABOUT
    alone = "in one line alone of what `pip show` prints: the server joins all"
    one_manifest = (
        f"{MANIFEST} alone in what `pip show --files` prints: the server joins all lines"
    )
    two = "Summary: Name: x"
    assert misread(tmp_path, VERSION_2, name, two, two, location) == [
        (f"Name: {alone}", two, "METADATA")
    ]
    assert misread(tmp_path, VERSION_2, name, version) == [
        (f"Location: {alone}", "there is no such line", "METADATA")
    ]
    assert misread(tmp_path, VERSION_2, version, location) == [
        (f"Name: {alone}", "there is no such line", "METADATA")
    ]
    named = f"Summary: see {MANIFEST}"
    assert misread(tmp_path, VERSION_2, name, named, location) == [
        (one_manifest, named, "METADATA")
    ]
    copy = "demo/old__FRACTAL_MANIFEST__.json"
    assert misread(tmp_path, VERSION_2, files=("a.py", copy, MANIFEST)) == [
        (one_manifest, copy, "RECORD")
    ]
    assert misread(tmp_path, VERSION_2, files=("a.py",)) == [
        (one_manifest, "it is not there", "RECORD")
    ]
    epoch = "a version that can be part of a path on the server: without an epoch"
    assert misread(tmp_path, VERSION_2, version="1!2.0")[0] == (epoch, "1!2.0", "file name")


def test_lines_that_mislead_a_1_x_server(tmp_path: Path) -> None:
    first = "as the last word of the first line that begins with"
    assert misread(tmp_path / "1", VERSION_1, name="My_Demo") == []
    place = "no line that begins with Location: before the one of `pip show` itself"
    wrong = "Location: elsewhere"
    assert misread(tmp_path / "2", VERSION_1, wrong, *ABOUT) == [(place, wrong, "METADATA")]
    assert misread(tmp_path / "3", VERSION_1, "Name: demo") == [
        (place, "there is none", "METADATA")
    ]
    about = {
        "Metadata-Version: 2.1\nName:demo\nVersion: 1.0\n": ("demo", "Name", "Name:demo"),
        "Version-Of: x\nName: demo\nVersion: 1.0\n": ("1.0", "Version", "Version-Of: x"),
    }
    for number, (metadata, (means, field, line)) in enumerate(about.items(), 4):
        content = {"demo/__init__.py": "", "demo-1.0.dist-info/METADATA": metadata}
        wheel = write_archive(tmp_path / f"{number}" / "demo-1.0-py3-none-any.whl", content)
        reported = [
            *VERSION_1.misreadings(candidate_of(wheel).wheel, PipShow(ABOUT, ()), MANIFEST)
        ]
        assert [(found.expected, found.found, found.place) for found in reported] == [
            (f"{means} {first} {field}", line, "METADATA")
        ]


# --- samples that are made, and steps that cannot be ------------------------------------


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        ("parallel", {"zarr_url": "{tmp}/plate.zarr/B/03/0"}),
        ("non_parallel", {"zarr_urls": ["{tmp}/plate.zarr/B/03/0"]}),
        ("compound", {"zarr_urls": ["{tmp}/plate.zarr/B/03/0"]}),
        ("converter_compound", {}),
    ],
)
def test_a_sample_that_is_made_works_on_one_image(kind: str, made: dict[str, Any]) -> None:
    assert VERSION_2.made_sample(kind, {}) == made
    there = {key: str(value).replace("{tmp}", "/data") for key, value in made.items()}
    of_data = VERSION_2.images_for(kind, {}, "/data")
    assert {key: str(value) for key, value in of_data.items()} == there
    assert VERSION_2.images_for(kind, {"zarr_url": "a"}, "/data") == {}


def blocked(before: Dataset | None, **entry: Any) -> tuple[str, str, str]:
    entry = {"type": "parallel", "executable_parallel": "a.py", **entry}
    steps = VERSION_2.play("A", entry, {}, before, Path("/tmp/x"))
    with pytest.raises(StopIteration) as stopped:
        next(steps)
    reason = stopped.value.value.blocked
    return reason.expected, reason.found, reason.hint


def test_a_step_without_images_is_reported_with_those_that_are_there() -> None:
    assert blocked(None) == (
        "an image for the task to work on",
        "none; the dataset has no images, and the server's job fails with this",
        'give the sample "zarr_url": "{ome_zarr}/plate.zarr/B/03/0", or an image of yours below '
        "{samples}",
    )
    there = tuple(
        Image(f"/tmp/x/{number}", types={"is_3D": number % 2 == 0, "a": True})
        for number in range(3)
    )
    dataset = Dataset("/tmp/x", there, {"b": True})
    types = '{"a": true, "is_3D": false} or {"a": true, "is_3D": true}'
    assert blocked(dataset, input_types={"is_3D": True}) == (
        'an image with the types {"b": true, "is_3D": true} for the task to work on',
        f"none; the dataset has 3, with the types {types}, and the server's job fails with this",
        "let a step before it write the images that it makes to image_list_updates",
    )


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("Some task", "parallel", {"a": 1}),
        ("Some task", "non_parallel", {"a": 1, "image": 2, "zebra": 3}),
        ("Copy OME-Zarr structure", "parallel", {"a": 1, "image": 2}),
    ],
)
def test_a_parallel_task_of_generation_1_does_not_see_images(
    name: str, kind: str, expected: dict[str, Any]
) -> None:
    meta = {"parallelization_level": "well"} if kind == "parallel" else {}
    metadata = {"a": 1, "image": 2, "zebra": 3}
    given = {"metadata": metadata, "component": "c"}
    (call,) = next(VERSION_1.play(name, {"meta": meta}, given, None, Path("/tmp/x")))
    seen = call.supplied["metadata"]
    assert seen == (expected | ({"zebra": 3} if kind == "parallel" else {}))


def test_names_and_slugs_of_generation_2() -> None:
    assert VERSION_2.slug(" My-Task (a) ") == "my_task__a_"
    assert VERSION_2.name_fault("x" * 253) is None
    fault = VERSION_2.name_fault("ä" * 127)
    assert fault is not None
    assert (fault.expected, fault.found) == (
        "a name of at most 253 bytes in lower case",
        "254 bytes in lower case: no folder can be called so, and the job fails",
    )
    assert VERSION_2.twin_releases("T", "T") is None
    assert VERSION_2.twin_releases("T ", "T") == ">=2.23.3"
    assert VERSION_2.identities(" T ") == {"name": "T"}


@pytest.mark.parametrize(
    ("link", "problem"),
    [
        ("", "which is empty"),
        (" \n", "which is empty"),
        ("x", "which does not begin with http:// or https://"),
        ("HTTP://a.org", ""),
        (f"http://a.org/{'x' * 2070}", ""),
        (f"http://a.org/{'x' * 2071}", "which is longer than 2083 characters"),
        ("http://a.org/ b", "which has a blank"),
        ("http://a.org:65535", ""),
        ("http://a.org:65536", "whose port 65536 is above 65535"),
    ],
)
def test_links_that_a_1_x_server_takes(link: str, problem: str) -> None:
    assert problem_of_link(link) == problem
