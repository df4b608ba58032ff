"""Generation 2: manifests that the server takes or refuses, and what its tasks are given.

What a real server makes of the manifests was compared with fractal-server 2.18.5.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import Runner
from test_runs import Judged
from test_samples import write_samples
from wheel_factory import broken, make_wheel, verdicts

from pytest_fractal.generations import VERSION_2, Call, CallResult, ExecutionResult
from pytest_fractal.generations.images import Dataset, Image
from pytest_fractal.samples.runs import drive
from pytest_fractal.verdicts import Outcome

MISSING: Any = object()
TASK = "/task_list/0"
Found = tuple[str, str]

NON_PARALLEL, PARALLEL = "non_parallel", "parallel"
COMPOUND = "compound"
CONVERTER_NON_PARALLEL, CONVERTER_COMPOUND = "converter_non_parallel", "converter_compound"

RESERVED = {
    (NON_PARALLEL, "init"): ("zarr_urls", "zarr_dir"),
    (PARALLEL, "compute"): ("zarr_url",),
    (COMPOUND, "init"): ("zarr_urls", "zarr_dir"),
    (COMPOUND, "compute"): ("zarr_url", "init_args"),
    (CONVERTER_NON_PARALLEL, "init"): ("zarr_dir",),
    (CONVERTER_COMPOUND, "init"): ("zarr_dir",),
    (CONVERTER_COMPOUND, "compute"): ("zarr_url", "init_args"),
}
SCHEMAS = {
    "zarr_url": {"type": "string"},
    "zarr_urls": {"type": "array", "items": {"type": "string"}},
    "zarr_dir": {"type": "string"},
    "init_args": {"type": "object"},
}
SUFFIXES = {"init": "non_parallel", "compute": "parallel"}


def task(kind: str, **own: Any) -> dict[str, Any]:
    """The entry of a task of this kind, whose executables are `init.py` and `compute.py`."""
    entry: dict[str, Any] = {"name": f"A {kind} task", "type": kind, "docs_info": "A task."}
    for (of, part), names in RESERVED.items():
        if of == kind:
            suffix = SUFFIXES[part]
            entry |= {
                f"executable_{suffix}": f"{part}.py",
                f"meta_{suffix}": {"mem": 1000},
                f"args_schema_{suffix}": {
                    "type": "object",
                    "properties": {
                        **{name: SCHEMAS[name] for name in names},
                        "do": {"type": "string", "default": "pass", "maxLength": 3000},
                    },
                    "required": list(names),
                    "additionalProperties": False,
                },
            }
    return {**entry, **own}


def manifest(*tasks: dict[str, Any], **top: Any) -> dict[str, Any]:
    """A manifest of version 2 that breaks no rule, unless what is given does."""
    whole = {
        "manifest_version": "2",
        "has_args_schemas": True,
        "args_schema_version": "pydantic_v2",
        "task_list": list(tasks) or [task(PARALLEL)],
        **top,
    }
    return {key: value for key, value in whole.items() if value is not MISSING}


def changed(kind: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest of one task in whose entry some values are others, or missing."""
    entry = {**task(kind), **changes}
    return manifest({key: value for key, value in entry.items() if value is not MISSING})


FILES = {"__init__.py": "", "init.py": "", "compute.py": ""}


def found(folder: Path, content: object, *codes: str) -> list[Found]:
    """Code and pointer of each finding on a manifest."""
    wheel = make_wheel(folder, files=FILES, manifest=content)
    return [(code, at or "") for code, _, at in broken(wheel, *(codes or ("FR1", "FR201")))]


KINDS = (NON_PARALLEL, PARALLEL, COMPOUND, CONVERTER_NON_PARALLEL, CONVERTER_COMPOUND)


# Manifests


def test_a_task_of_each_kind_breaks_nothing(tmp_path: Path) -> None:
    assert (
        found(
            tmp_path,
            manifest(*map(task, KINDS)),
            "FR1",
            "FR201",
            "FR202",
            "FR203",
            "FR204",
            "FR205",
            "FR207",
        )
        == []
    )


@pytest.mark.parametrize(
    ("version", "at"),
    [
        ("2", ""),
        (2, "/manifest_version"),
        ("2.0", "/manifest_version"),
        ("3", "/manifest_version"),
        (2.0, "/manifest_version"),
        (None, "/manifest_version"),
        (MISSING, "/manifest_version"),
    ],
)
def test_the_version_is_the_text_2(tmp_path: Path, version: object, at: str) -> None:
    (verdict,) = verdicts(
        make_wheel(tmp_path, files=FILES, manifest=manifest(manifest_version=version)), "FR105"
    )
    assert [finding.pointer for finding in verdict.findings] == ([at] if at else [])
    assert verdict.outcome == ("fail" if at else "pass")


@pytest.mark.parametrize(
    ("kind", "changes", "expected"),
    [
        (PARALLEL, {"name": ""}, [("FR106", "/name")]),
        (PARALLEL, {"name": " \t"}, [("FR106", "/name")]),
        (PARALLEL, {"name": 5}, [("FR106", "/name")]),
        (PARALLEL, {"name": MISSING}, [("FR106", "/name")]),
        (PARALLEL, {"name": " T "}, []),
        (PARALLEL, {"type": None}, []),
        (PARALLEL, {"type": MISSING}, []),
        (PARALLEL, {"type": ""}, [("FR106", "/type")]),
        (PARALLEL, {"type": "PARALLEL"}, [("FR106", "/type")]),
        (
            PARALLEL,
            {"executable_parallel": MISSING},
            [("FR106", ""), ("FR106", "/meta_parallel"), ("FR106", "/args_schema_parallel")],
        ),
        (PARALLEL, {"executable_parallel": 1}, [("FR106", "/executable_parallel")]),
        (
            PARALLEL,
            {
                "executable_non_parallel": None,
                "meta_non_parallel": {},
                "args_schema_non_parallel": None,
            },
            [],
        ),
        (PARALLEL, {"meta_non_parallel": {"a": 1}}, [("FR106", "/meta_non_parallel")]),
        (PARALLEL, {"meta_non_parallel": None}, [("FR106", "/meta_non_parallel")]),
        (PARALLEL, {"args_schema_non_parallel": {}}, [("FR106", "/args_schema_non_parallel")]),
        (PARALLEL, {"meta_parallel": None}, [("FR111", "/meta_parallel")]),
        (PARALLEL, {"meta_parallel": []}, [("FR111", "/meta_parallel")]),
        (PARALLEL, {"meta_parallel": {" ": 1}}, [("FR111", "/meta_parallel/ ")]),
        (PARALLEL, {"meta_parallel": {"a": 1, "a ": 2}}, [("FR111", "/meta_parallel/a ")]),
        (PARALLEL, {"meta_parallel": {"mem": [1]}}, [("FR111", "/meta_parallel/mem")]),
        (PARALLEL, {"meta_parallel": {"mem": True}}, [("FR111", "/meta_parallel/mem")]),
        (PARALLEL, {"meta_parallel": {"needs_gpu": 1}}, [("FR111", "/meta_parallel/needs_gpu")]),
        (PARALLEL, {"meta_parallel": {"needs_gpu": "True", "parallelization_level": None}}, []),
        (COMPOUND, {"args_schema_parallel": MISSING}, [("FR201", "/args_schema_parallel")]),
        (COMPOUND, {"args_schema_non_parallel": None}, [("FR201", "/args_schema_non_parallel")]),
        (
            PARALLEL,
            {"args_schema_parallel": {"type": "object", "properties": {}, " ": 1}},
            [("FR106", "/args_schema_parallel/ ")],
        ),
        (PARALLEL, {"input_types": {"a": 1}}, [("FR106", "/input_types/a")]),
        (PARALLEL, {"input_types": {"a": 2}}, [("FR106", "/input_types/a")]),
        (PARALLEL, {"output_types": None}, [("FR106", "/output_types")]),
        (PARALLEL, {"output_types": {"a": True, "a ": True}}, [("FR106", "/output_types/a ")]),
        (PARALLEL, {"category": ""}, [("FR106", "/category")]),
        (PARALLEL, {"category": 1}, [("FR106", "/category")]),
        (PARALLEL, {"category": "Anything", "modality": None, "tags": []}, []),
        (PARALLEL, {"tags": ["a", "A"]}, []),
        (PARALLEL, {"tags": ["a", "b", " a"]}, [("FR106", "/tags/2")]),
        (PARALLEL, {"tags": [" "]}, [("FR106", "/tags/0")]),
        (PARALLEL, {"tags": None}, [("FR106", "/tags")]),
        (PARALLEL, {"docs_link": ""}, [("FR114", "/docs_link")]),
        (PARALLEL, {"docs_link": "foo"}, [("FR114", "/docs_link")]),
        (PARALLEL, {"docs_link": "www.example.org"}, [("FR114", "/docs_link")]),
        (PARALLEL, {"docs_link": "ftp://example.org"}, [("FR114", "/docs_link")]),
        (PARALLEL, {"docs_link": "http://a b.org"}, [("FR114", "/docs_link")]),
        (PARALLEL, {"docs_link": "http://localhost"}, []),
        (PARALLEL, {"input_type": "image"}, [("FR107", "/input_type")]),
        (PARALLEL, {"executable_parallel": "./compute.py"}, []),
        (
            PARALLEL,
            {"executable_parallel": "x/../compute.py"},
            [("FR110", "/executable_parallel")],
        ),
        (PARALLEL, {"executable_parallel": " "}, [("FR110", "/executable_parallel")]),
        (COMPOUND, {"executable_non_parallel": "."}, [("FR110", "/executable_non_parallel")]),
        *(
            (
                PARALLEL,
                {"executable_parallel": f"a{character}b.py"},
                [("FR110", "/executable_parallel")],
            )
            for character in "`#$&*()\\|[]{};<>?! '\""
        ),
    ],
)
def test_fields_are_what_both_models_of_the_server_take(
    tmp_path: Path, kind: str, changes: Mapping[str, Any], expected: list[Found]
) -> None:
    told = found(tmp_path, changed(kind, changes))
    assert sorted(told) == sorted((code, TASK + at) for code, at in expected)


@pytest.mark.parametrize(
    ("top", "expected"),
    [
        ({"authors": None}, []),
        ({"authors": " "}, [("FR106", "/authors")]),
        ({"authors": ["A"]}, [("FR106", "/authors")]),
        ({"has_args_schemas": 1}, [("FR106", "/has_args_schemas")]),
        ({"has_args_schemas": "maybe"}, [("FR106", "/has_args_schemas")]),
        ({"has_args_schemas": False}, [("FR201", "/has_args_schemas")]),
        ({"args_schema_version": MISSING}, [("FR201", "/args_schema_version")]),
        ({"args_schema_version": " "}, [("FR201", "/args_schema_version")]),
        ({"task_list": {}}, [("FR106", "/task_list")]),
        ({"task_list": []}, [("FR108", "/task_list")]),
    ],
)
def test_fields_of_the_manifest_are_what_the_server_takes(
    tmp_path: Path, top: Mapping[str, Any], expected: list[Found]
) -> None:
    assert found(tmp_path, manifest(**top)) == expected


@pytest.mark.parametrize(
    ("names", "clash"),
    [(("T", "T"), True), (("T", " T"), True), (("T", "t"), False), (("a b", "a_b"), False)],
)
def test_names_differ_by_more_than_blanks_at_their_ends(
    tmp_path: Path, names: tuple[str, str], clash: bool
) -> None:
    content = manifest(*(task(PARALLEL, name=name) for name in names))
    assert found(tmp_path, content, "FR109") == ([("FR109", "/task_list/1/name")] * clash)


@pytest.mark.parametrize(
    "path",
    [
        "data/__FRACTAL_MANIFEST__.json",
        "__FRACTAL_MANIFEST___json",
        "x__FRACTAL_MANIFEST__.json.py",
    ],
)
def test_no_other_file_may_match_what_the_server_searches(tmp_path: Path, path: str) -> None:
    wheel = make_wheel(tmp_path, files={**FILES, path: ""}, manifest=manifest())
    assert [code for code, *_ in broken(wheel, "FR1")] == ["FR103"]


# Types and executables


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("there", [("init",), ("compute",), ("init", "compute")])
def test_a_type_names_the_executables_that_there_are(
    tmp_path: Path, kind: str, there: tuple[str, ...]
) -> None:
    """One that is missing fails, as the job would; one that is never run warns.

    Where one is missing, the type may be what is wrong: then nothing else is told.
    """
    entry = {**task(COMPOUND), "type": kind}
    for part in {"init", "compute"} - set(there):
        for key in ("executable", "meta", "args_schema"):
            del entry[f"{key}_{SUFFIXES[part]}"]
    wheel = make_wheel(tmp_path, files=FILES, manifest=manifest(entry))
    (verdict,) = verdicts(wheel, "FR115")
    needed = {part for of, part in RESERVED if of == kind}
    missing = [part for part in ("init", "compute") if part in needed - set(there)]
    unused = [f"{TASK}/executable_{SUFFIXES[part]}" for part in there if part not in needed]
    told = [finding.pointer for finding in verdict.findings]
    assert told == ([f"{TASK}/type"] * len(missing) or unused)
    assert verdict.outcome == ("fail" if missing else "warn" if unused else "pass")


@pytest.mark.parametrize(
    ("there", "kind"),
    [(("init",), NON_PARALLEL), (("compute",), PARALLEL), (("init", "compute"), COMPOUND)],
)
def test_without_a_type_it_follows_from_the_executables(there: tuple[str, ...], kind: str) -> None:
    entry = {f"executable_{SUFFIXES[part]}": f"{part}.py" for part in there}
    assert VERSION_2.kind(entry) == VERSION_2.kind({**entry, "type": None}) == kind


# Reserved arguments

FORBIDDEN = {
    "zarr_url": {"init"},
    "zarr_urls": {"compute"},
    "zarr_dir": {"compute"},
}


@pytest.mark.parametrize(("of", "name"), list(itertools.product(RESERVED, SCHEMAS)))
def test_each_command_knows_what_it_is_given_and_nothing_of_others(
    tmp_path: Path, of: tuple[str, str], name: str
) -> None:
    """A name that it must take is taken away, any other one is added as a required one."""
    kind, part = of
    entry = task(kind)
    schema = entry[f"args_schema_{SUFFIXES[part]}"]
    at = f"{TASK}/args_schema_{SUFFIXES[part]}/properties"
    if name in RESERVED[of]:
        del schema["properties"][name]
        schema["required"].remove(name)
        assert found(tmp_path, manifest(entry), "FR205") == [("FR205", at)]
        return
    schema["properties"][name] = SCHEMAS[name]
    optional = part not in FORBIDDEN.get(name, set()) and not (
        name == "zarr_urls" and kind.startswith("converter")
    )
    assert found(tmp_path / "optional", manifest(entry), "FR205") == (
        [] if optional else [("FR205", f"{at}/{name}")]
    )
    schema["required"].append(name)
    assert found(tmp_path / "required", manifest(entry), "FR205") == [("FR205", f"{at}/{name}")]


# What tasks are given, and what becomes of what they write

OBEYS = '''\
"""Does as its argument `do` says, a piece of Python, and answers with what that binds to `out`."""

import argparse
import json
import os
import sys
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--args-json", required=True)
parser.add_argument("--out-json", required=True)
options = parser.parse_args()


def main(*, do="pass", **given):
    names = globals() | given | {"out": {}}
    exec(do, names)
    return names["out"]


out = main(**json.loads(Path(options.args_json).read_text()))
if out != "nothing":
    Path(options.out_json).write_text(json.dumps(out))
'''


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = {"__init__.py": "", "init.py": OBEYS, "compute.py": OBEYS}
    tasks = [
        task(PARALLEL, name="Each"),
        task(NON_PARALLEL, name="All"),
        task(COMPOUND, name="Both", output_types={"done": True}),
        task(CONVERTER_NON_PARALLEL, name="Convert"),
        task(CONVERTER_COMPOUND, name="Convert both"),
        task(PARALLEL, name="Only raw", input_types={"raw": True}),
        task(NON_PARALLEL, name="Still all", input_types={"done": False}),
    ]
    folder = tmp_path_factory.mktemp("generation-2")
    return make_wheel(folder, files=files, manifest=manifest(*tasks))


def does(name: str, do: str, **more: Any) -> dict[str, Any]:
    """A sample of a task with one command."""
    return {"task": name, "args": {"do": do}, **more}


def both(name: str, init: str, compute: str = "pass", **more: Any) -> dict[str, Any]:
    """A sample of a task with two."""
    return {"task": name, "args": {"init": {"do": init}, "compute": {"do": compute}}, **more}


MAKE = """
out = {"image_list_updates": [
    {"zarr_url": f"{zarr_dir}/{n}", "attributes": {"n": n}, "types": {"raw": n < 2}}
    for n in range(3)
]}
"""
HAND_ON = """
out = {"parallelization_list": [
    {"zarr_url": url + ".new", "init_args": {"from": url}} for url in zarr_urls
]}
"""
DERIVE = """
out = {"image_list_updates": [{"zarr_url": zarr_url, "origin": init_args["from"]}]}
"""


def test_commands_are_given_what_the_server_gives_them(runner: Runner, wheel: Path) -> None:
    """And the image list goes from step to step by the server's rules."""
    chain = [
        does("Convert", MAKE),
        does("Each", 'out = "nothing"'),
        does("Only raw", 'out = {"image_list_updates": [{"zarr_url": zarr_url}]}'),
        both("Both", HAND_ON, DERIVE),
        does("All", 'out = {"image_list_removals": zarr_urls[:1]}'),
        does("Still all", "out = None"),
        both(
            "Convert both",
            'out = {"parallelization_list": [{"zarr_url": zarr_dir + "/last"}]}',
            'out = {"image_list_updates": [{"zarr_url": zarr_url, "types": {"done": True}}]}',
        ),
        does("All", "out = {}"),
    ]
    judged = Judged(runner, wheel, "--fractal-keep", chain={"steps": chain})
    steps = [judged.arguments(f"chain.{number}") for number in range(1, 9)]
    # Units of work start in any order, but an init part before them.
    given = [
        sorted(({k: v for k, v in entry.items() if k != "do"} for entry in step), key=str)
        for step in steps
    ]
    (first,) = given[0]
    where = first["zarr_dir"]
    assert first == {"zarr_dir": where}
    raw = [f"{where}/0", f"{where}/1", f"{where}/2"]
    assert given[1] == [{"zarr_url": url} for url in raw]
    assert given[2] == [{"zarr_url": url} for url in raw[:2]]
    assert given[3] == [
        {"zarr_dir": where, "zarr_urls": raw},
        *({"zarr_url": f"{url}.new", "init_args": {"from": url}} for url in raw),
    ]
    # The manifest's output_types filter what later tasks are given.
    new = [f"{url}.new" for url in raw]
    assert given[4] == [{"zarr_dir": where, "zarr_urls": new}]
    assert given[5] == [{"zarr_dir": where, "zarr_urls": raw}]
    assert given[6] == [{"zarr_dir": where}, {"zarr_url": f"{where}/last", "init_args": {}}]
    assert given[7] == [{"zarr_dir": where, "zarr_urls": [*new[1:], f"{where}/last"]}]
    for number in range(1, 9):
        assert judged.broken(f"chain.{number}") == {}, judged.ran.text


def test_what_a_sample_gives_is_what_its_task_is_given(runner: Runner, wheel: Path) -> None:
    images = [{"zarr_url": "{tmp}/a", "types": {"raw": True}}, {"zarr_url": "{tmp}/b"}]
    judged = Judged(
        runner,
        wheel,
        "--fractal-keep",
        images=does("Each", "pass", images=images),
        raw=does("Only raw", "pass", images=images),
        one=does("Only raw", "pass", zarr_url="{tmp}/c/"),
        some=does("All", "pass", zarr_urls=["{tmp}/x/d", "{tmp}/x/e"], zarr_dir="{tmp}/x"),
        none=does("All", "pass", images=[]),
        wrong=does("Only raw", "pass", images=images[1:]),
        nothing=both("Both", "out = {'parallelization_list': []}", images=images),
    )
    (one,) = judged.arguments("one")
    folder = Path(one["zarr_url"]).parent.parent
    assert sorted(given["zarr_url"] for given in judged.arguments("images")) == [
        str(folder / "images" / "a"),
        str(folder / "images" / "b"),
    ]
    assert [given["zarr_url"] for given in judged.arguments("raw")] == [str(folder / "raw" / "a")]
    (some,) = judged.arguments("some")
    here = folder / "some"
    assert some["zarr_dir"] == str(here / "x")
    assert some["zarr_urls"] == [str(here / "x" / "d"), str(here / "x" / "e")]
    for sample in ("images", "raw", "one", "some"):
        assert judged.broken(sample) == {}, judged.ran.text
    assert judged.arguments("none") == judged.arguments("wrong") == []
    assert judged.outcomes("none")["FR401"] == judged.outcomes("wrong")["FR401"] == "fail"
    assert "the dataset has no images" in judged.found("FR401", "none")
    assert 'with the types {"raw": true}' in judged.found("FR401", "wrong")
    assert judged.broken("nothing") == {"FR401": "warn"}
    assert len(judged.arguments("nothing")) == 1


def test_outputs_are_what_the_servers_models_take(runner: Runner, wheel: Path) -> None:
    image = [{"zarr_url": "{tmp}/a"}]
    two = [*image, {"zarr_url": "{tmp}/b"}]
    same = 'out = {"image_list_updates": [{"zarr_url": "/data", "attributes": {"at": zarr_url}}]}'
    cases: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
        "unknown": (does("Each", "out = {'metadata': {}}", images=image), {"FR408": "fail"}),
        "relative": (
            does("Convert", "out = {'image_list_updates': [{'zarr_url': 'a'}]}"),
            {"FR408": "fail"},
        ),
        "outside": (
            does("Convert", "out = {'image_list_updates': [{'zarr_url': '/a'}]}"),
            {"FR408": "fail"},
        ),
        "twice": (does("Each", same, images=two), {"FR408": "fail"}),
        "list": (
            does("All", "out = zarr_urls", images=image),
            {"FR403": "fail", "FR408": "blocked"},
        ),
        "silent": (does("All", "out = 'nothing'", images=image), {"FR402": "warn"}),
        "stays": (does("Each", "out = {'image_list_removals': [zarr_url]}", images=image), {}),
        "early": (
            both("Both", "out = {'image_list_updates': []}", images=image),
            {"FR408": "fail"},
        ),
        "late": (
            both("Both", HAND_ON, "out = {'parallelization_list': []}", images=image),
            {"FR408": "fail"},
        ),
        "one_fails": (
            both("Both", HAND_ON, "sys.exit('b.new' in zarr_url)", images=two),
            dict.fromkeys(("FR402", "FR403", "FR404", "FR405", "FR408"), "blocked")
            | {"FR401": "fail"},
        ),
        "nan": (
            does(
                "All",
                "out = {'image_list_updates': [{'zarr_url': zarr_urls[0], "
                "'attributes': {'x': float('nan')}}]}",
                images=image,
            ),
            {"FR403": "warn", "FR408": "fail"},
        ),
    }
    judged = Judged(runner, wheel, **{name: sample for name, (sample, _) in cases.items()})
    assert {name: judged.broken(name) for name in cases} == {
        name: expected for name, (_, expected) in cases.items()
    }, judged.ran.text
    assert "of the output for the compute part, " in judged.found("FR408", "late")


# What the server makes of a task that tells of nothing


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
        played(CONVERTER_NON_PARALLEL, BEFORE, [MISSING]),  # told by FR402
        played(CONVERTER_COMPOUND, BEFORE, [init], [update, None]),
        played(NON_PARALLEL, BEFORE, [{"image_list_updates": []}]),
        played(COMPOUND, BEFORE, [init], [None, None]),
    ):
        assert ended.blocked is None


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
def test_a_sample_that_cannot_be_used_is_told_with_its_place(
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


# Fixtures

OWN_TESTS = """
import pytest

HAND_ON = "out = {'parallelization_list': [{'zarr_url': u + '.new'} for u in zarr_urls]}"


def test_one_command(run_fractal_task, tmp_path):
    run = run_fractal_task("Each", {"do": "out = {'at': zarr_url}"}, zarr_url=str(tmp_path))
    assert (run.returncode, run.metadata, run.computed) == (0, {"at": str(tmp_path)}, ())
    assert run.argv[2] == "--args-json"


def test_reserved_arguments_are_filled_in(run_fractal_task):
    told = run_fractal_task("All", {"do": "out = {'urls': zarr_urls, 'dir': zarr_dir}"}).metadata
    assert told["urls"][0].startswith(told["dir"])


def test_both_commands(run_fractal_task, tmp_path):
    removes = "out = {'image_list_removals': [zarr_url]}"
    args = {"init": {"do": HAND_ON}, "compute": {"do": removes}}
    run = run_fractal_task("Both", args, zarr_urls=["/a", "/b"], zarr_dir=str(tmp_path))
    assert len(run.metadata["parallelization_list"]) == 2
    removed = [one.metadata["image_list_removals"] for one in run.computed]
    assert removed == [["/a.new"], ["/b.new"]]
    assert run.succeeded
    args["compute"] = {"do": "sys.exit(zarr_url == '/b.new')"}
    run = run_fractal_task("Both", args, images=[{"zarr_url": "/a"}, {"zarr_url": "/b"}])
    assert not run.succeeded
    assert [one.returncode for one in run.computed] == [0, 1]
    assert run_fractal_task("Both", {"init": {"do": "sys.exit(2)"}}).computed == ()


def test_a_part(run_fractal_task):
    run = run_fractal_task(
        "Both", {"do": "out = init_args"}, part="compute", init_args={"x": 1}
    )
    assert run.metadata == {"x": 1}
    with pytest.raises(pytest.fail.Exception, match="has no part 'x'; it has: init, compute"):
        run_fractal_task("Both", part="x")
    with pytest.raises(pytest.fail.Exception, match="'init_args' is not given to both as a whole"):
        run_fractal_task("Both", init_args={})


def test_task(fractal_task):
    assert [part.schema["type"] for part in fractal_task.parts] == ["object"] * len(
        fractal_task.parts
    )
"""


def test_fixtures_run_a_command_or_the_whole_of_a_task(runner: Runner, wheel: Path) -> None:
    (runner.folder / "test_own.py").write_text(OWN_TESTS)
    ran = runner.pytest("test_own.py", f"--fractal-package={wheel}", "-m", "not fractal")
    assert ran.status == 0, ran.text
    assert "11 passed" in ran.out


def test_the_report_tells_of_both_commands(runner: Runner, wheel: Path) -> None:
    runner.pytest(
        f"--fractal-package={wheel}", "--fractal-select=FR1", "--fractal-report=report.json"
    )
    (candidate,) = json.loads((runner.folder / "report.json").read_text())["candidates"]
    assert candidate["generation"] == "2"
    tasks = {task["name"]: task for task in candidate["tasks"]}
    assert [task["source"] for task in tasks.values()] == [None] * 7
    assert tasks["Both"]["kind"] == COMPOUND
    assert tasks["Convert both"]["slug"] == "convert_both"
    commands = tasks["Both"]["commands"]
    assert list(commands) == ["command_non_parallel", "command_parallel"]
    assert [Path(argv[1]).name for argv in commands.values()] == ["init.py", "compute.py"]
    assert tasks["Both"]["command"] == commands["command_non_parallel"]
    assert list(tasks["Each"]["commands"]) == ["command_parallel"]
