"""Manifests of generation 2 that the server takes or refuses.

What a real server makes of them was compared with fractal-server 2.18.5.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from generation_2 import (
    COMPOUND,
    FILES,
    KINDS,
    MISSING,
    NON_PARALLEL,
    PARALLEL,
    RESERVED,
    SCHEMAS,
    SUFFIXES,
    manifest,
    task,
)
from wheel_factory import broken, make_wheel, verdicts

from pytest_fractal.generations import VERSION_2

TASK = "/task_list/0"
Found = tuple[str, str]


def changed(kind: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest of one task in whose entry some values are others, or missing."""
    entry = {**task(kind), **changes}
    return manifest({key: value for key, value in entry.items() if value is not MISSING})


def found(folder: Path, content: object, *codes: str) -> list[Found]:
    """Code and pointer of each finding on a manifest."""
    wheel = make_wheel(folder, files=FILES, manifest=content)
    return [(code, at or "") for code, _, at in broken(wheel, *(codes or ("FR1", "FR201")))]


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
    reported = found(tmp_path, changed(kind, changes))
    assert sorted(reported) == sorted((code, TASK + at) for code, at in expected)


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

    Where one is missing, the type may be what is wrong: then nothing else is reported.
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
    reported = [finding.pointer for finding in verdict.findings]
    assert reported == ([f"{TASK}/type"] * len(missing) or unused)
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
