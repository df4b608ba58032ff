"""What generation 1 makes of samples: components, places and faults, as fractal-server 1.x."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_fractal.generations import VERSION_1
from pytest_fractal.generations.components_v1 import components_for, problem_of_component

WELL = {"parallelization_level": "well"}
ONE_IS_NO_LIST = "metadata['well'] is no list of components, but"


@pytest.mark.parametrize(
    ("metadata", "given", "expected"),
    [
        ({"well": ["a/B", "a/C"]}, None, ("a/B", "a/C")),
        ({"well": ["a/B", "a/C"]}, "x", ("x",)),
        (
            {"well": []},
            None,
            "metadata['well'] is an empty list: there is no component to run for",
        ),
        ({"plate": [], "x": 1}, None, "is missing in the metadata, which has: plate, x; the"),
        ({}, None, "the parallelization level 'well' is missing in the metadata, which has: none"),
        (
            {"well": "abc"},
            None,
            f'{ONE_IS_NO_LIST} "abc"; the server\'s job runs once a character',
        ),
        (
            {"well": {"a": 1}},
            None,
            f'{ONE_IS_NO_LIST} {{"a": 1}}; the server\'s job runs once a key',
        ),
        ({"well": 5}, None, f"{ONE_IS_NO_LIST} 5; the server's job fails"),
        (
            {"well": ["a", 5]},
            None,
            f'{ONE_IS_NO_LIST} ["a", 5]; the server\'s job hands the task each of them as it is',
        ),
        (
            {"well": ["a'b"]},
            None,
            'the component "a\'b" has the character "\'"; the server makes a file name of it and '
            "puts that into the command line, and its job fails",
        ),
        (
            {"well": ["a", "b", "a"]},
            None,
            "the component 'a' is listed twice; the server runs it twice",
        ),
        (
            {"well": ["a.b", "a/b"]},
            None,
            "the components 'a.b' and 'a/b' both become 'a_b' in file names; on the server one of "
            "them overwrites the other's files",
        ),
        ({"well": ["a b", "a_b"]}, None, "the components 'a b' and 'a_b' both become 'a_b'"),
    ],
)
def test_for_which_components_a_parallel_task_runs(
    metadata: dict[str, Any], given: str | None, expected: tuple[str, ...] | str
) -> None:
    components, problem = components_for("parallel", {"meta": WELL}, metadata, given)
    if isinstance(expected, str):
        assert components == ()
        assert expected in (problem or "")
    else:
        assert (components, problem) == (expected, None)


def test_other_tasks_run_once() -> None:
    assert components_for("non_parallel", {"meta": WELL}, {}, None) == ((None,), None)


@pytest.mark.parametrize(
    ("step", "is_done"),
    [(1, True), ("2", True), (2.5, True), (0, False), ("x", False), (None, False), (1e999, False)],
)
def test_an_empty_list_is_done_where_the_server_takes_steps(step: Any, is_done: bool) -> None:
    """By `range(0, 0, step)`; else the job fails."""
    meta = {**WELL, "parallel_tasks_per_job": step}
    components, problem = components_for("parallel", {"meta": meta}, {"well": []}, None)
    assert components == ()
    assert (problem is None) is is_done


@pytest.mark.parametrize(
    ("component", "problem"),
    [
        ("plate.zarr/B/03/0", ""),
        ("x" * 230, ""),
        ("x" * 231, "is longer than 230 bytes"),
        ("ä" * 115, ""),
        ("ä" * 116, "is longer than 230 bytes"),
        ("a\tb", r"has the character '\t'"),
        ('a"b', "has the character '\"'"),
        ("a\\b", r"has the character '\\'"),
        ("a\ud800", r"has the character '\ud800'"),
    ],
)
def test_what_a_component_may_be(component: str, problem: str) -> None:
    assert problem_of_component(component) == problem


COMPONENT = 'write the path of an image below the input path, such as "plate.zarr/B/03/0"'
FRESH = 'write "{tmp}/..." or leave it out: it is a fresh folder then'


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        ("parallel", {}, []),
        (
            "parallel",
            {"input_paths": ["/a"], "output_path": "/b", "metadata": {}, "component": "a"},
            [],
        ),
        (
            "parallel",
            {"input_paths": []},
            [(("input_paths",), "a list with an absolute path", "[]")],
        ),
        (
            "parallel",
            {"input_paths": "/a"},
            [(("input_paths",), "a list with an absolute path", '"/a"')],
        ),
        (
            "parallel",
            {"input_paths": ["/a", "b", 5]},
            [
                (("input_paths", 1), "an absolute path", '"b"'),
                (("input_paths", 2), "an absolute path", "5"),
            ],
        ),
        ("parallel", {"output_path": "b"}, [(("output_path",), "an absolute path", '"b"')]),
        ("parallel", {"metadata": []}, [(("metadata",), "an object", "[]")]),
        ("parallel", {"component": 5}, [(("component",), "a text", "5")]),
        (
            "non_parallel",
            {"component": "a"},
            [
                (
                    ("component",),
                    "no component for a non-parallel task",
                    '"a", which Fractal does not supply',
                )
            ],
        ),
        (
            "parallel",
            {"component": "a'b"},
            [
                (
                    ("component",),
                    "a component that the server can make a file name of",
                    '"a\'b", which has the character "\'"',
                )
            ],
        ),
    ],
)
def test_what_the_servers_models_refuse_in_a_sample(
    kind: str, given: dict[str, Any], expected: list[tuple[Any, ...]]
) -> None:
    faults = [*VERSION_1.sample_faults(kind, given)]
    assert [(fault.keys, fault.expected, fault.found) for fault in faults] == expected
    fixes = {
        "input_paths": 'write "{samples}/..." or "{tmp}/...", or leave it out: it is a fresh '
        "folder then",
        "output_path": FRESH,
        "metadata": "write the dataset's metadata, or {}",
        "component": COMPONENT,
    }
    for fault in faults:
        is_extra = fault.expected.startswith("no component")
        assert fault.fix == ("remove it" if is_extra else fixes[str(fault.keys[0])])


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"name": "A", "command": "a", "source": "s"}, []),
        ({"name": "A", "command": "a", "source": "s", "version": None}, [("version",)]),
        ({"name": "A", "command": "a 'b", "source": "s"}, [("command",)]),
        ({"name": " ", "command": "", "source": "s"}, [("name",), ("command",)]),
    ],
)
def test_what_a_posted_task_may_not_be(entry: dict[str, Any], expected: list[Any]) -> None:
    whole = {"input_type": "zarr", "output_type": "zarr", **entry}
    assert [fault.keys for fault in VERSION_1.custom_faults(whole)] == expected


def test_what_is_said_of_a_posted_task() -> None:
    entry = {"name": "A", "command": "a 'b", "source": " ", "version": None}
    whole = {"input_type": "zarr", "output_type": "zarr", **entry}
    faults = [*VERSION_1.custom_faults(whole)]
    assert [(fault.expected, fault.found) for fault in faults] == [
        ("a version, or no such key", "null"),
        ("a source that is not blank", '" "'),
        ("a command that a shell could split", '"a \'b": no closing quotation'),
    ]


def test_files_are_named_by_the_component() -> None:
    (once,) = VERSION_1.runs("non_parallel")
    (each,) = VERSION_1.runs("parallel")
    assert VERSION_1.file_names(once, {}) == ("0.args.json", "0.metadiff.json")
    names = VERSION_1.file_names(each, {"component": "plate.zarr/B 1"})
    assert names == ("0_par_plate_zarr_B_1.args.json", "0_par_plate_zarr_B_1.metadiff.json")
    (long, _) = VERSION_1.file_names(each, {"component": "ä" * 200})
    assert long == f"0_par_{'ä' * 100}.args.json"


def test_made_samples_have_a_component_and_the_places_of_the_data() -> None:
    assert VERSION_1.made_sample("non_parallel", {}) == {}
    assert VERSION_1.made_sample("parallel", {}) == {"component": "plate.zarr/B/03/0"}
    assert VERSION_1.made_sample("parallel", {}, "/data") == {
        "component": "plate.zarr/B/03/0",
        "input_paths": ["/data"],
        "output_path": "/data",
    }
    assert VERSION_1.images_for("parallel", {}, "/data") == {}
