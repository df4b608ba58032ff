"""FR1: tables of manifests, each with exactly the findings that it deserves.

What a real server makes of them was compared by hand with fractal-server 1.4.10.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from wheel_factory import (
    TASK_SOURCE,
    broken,
    candidate_of,
    good_manifest,
    make_wheel,
    verdicts,
    write_archive,
)

from pytest_fractal.environments.wheels import MANIFEST_NAME
from pytest_fractal.facts import Bundle
from pytest_fractal.fixes.model import Action
from pytest_fractal.packaging_hints.backends import packaging_hint
from pytest_fractal.rules import REGISTRY
from pytest_fractal.verdicts import Finding, Severity

MISSING: Any = object()
Found = tuple[str, str | None, str | None]

TOP = "demo/__FRACTAL_MANIFEST__.json"
ABOUT = {"demo-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"}


def changed(task: Mapping[str, Any] | None = None, **top: Any) -> dict[str, Any]:
    """The good manifest with other values, in the manifest and in its task."""
    manifest = good_manifest()
    for place, changes in ((manifest["task_list"][0], task or {}), (manifest, top)):
        for key, value in changes.items():
            if value is MISSING:
                del place[key]
            else:
                place[key] = value
    return manifest


def named(*names: object) -> dict[str, Any]:
    """The good manifest with a task of each name."""
    (task,) = good_manifest()["task_list"]
    return {**good_manifest(), "task_list": [{**task, "name": name} for name in names]}


def test_the_good_manifest_breaks_nothing(tmp_path: Path) -> None:
    assert broken(make_wheel(tmp_path), "FR1") == []


@pytest.mark.parametrize(
    ("content", "codes"),
    [
        ({}, ["FR101"]),
        ({f"demo/old{MANIFEST_NAME}.bak": "{}"}, ["FR101"]),
        ({f"demo/OLD{MANIFEST_NAME}": "{}"}, ["FR101"]),
        ({"demo/__fractal_manifest__.json": "{}"}, ["FR101"]),
        ({f"demo/data/{MANIFEST_NAME}": "good"}, ["FR102"]),
        ({MANIFEST_NAME: "good"}, ["FR102"]),
        ({TOP: "good", f"demo/{MANIFEST_NAME}.bak": ""}, ["FR103"]),
        ({f"demo/a{MANIFEST_NAME}": "", TOP: "good", f"x/{MANIFEST_NAME}": ""}, ["FR103"] * 2),
        ({f"demo-1.0.data/purelib/{TOP}": "good"}, []),
    ],
)
def test_the_manifest_is_one_file_at_the_package_root(
    tmp_path: Path, content: Mapping[str, str], codes: list[str]
) -> None:
    good = json.dumps(good_manifest())
    wheel = write_archive(
        tmp_path / "demo-1.0-py3-none-any.whl",
        {
            "demo/task.py": TASK_SOURCE,
            **{path: good if text == "good" else text for path, text in content.items()},
            **ABOUT,
        },
    )
    assert [code for code, _, _ in broken(wheel, "FR101", "FR102", "FR103")] == codes


@pytest.mark.parametrize(
    "name", ["__fractal_manifest__.json", "FRACTAL_MANIFEST.json", "__FRACTAL_MANIFEST__.json.txt"]
)
def test_a_manifest_under_another_name_is_seen(tmp_path: Path, name: str) -> None:
    wheel = write_archive(
        tmp_path / "demo-1.0-py3-none-any.whl",
        {"demo/task.py": TASK_SOURCE, "demo/other.json": "{}", f"demo/{name}": "{}", **ABOUT},
    )
    (found,) = [found for verdict in verdicts(wheel, "FR101") for found in verdict.findings]
    assert found.found == f"there is none; only demo/{name}"
    assert found.hint.startswith(f"rename it to {MANIFEST_NAME}")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b'{"a": NaN}',
        b'{"a": 1e400}',
        b'{"a": 1, "a": 1}',
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
    ],
)
def test_what_is_no_strict_json_object_blocks_the_rest(tmp_path: Path, content: bytes) -> None:
    wheel = make_wheel(tmp_path, manifest=content)
    outcomes = {verdict.code: verdict.outcome.value for verdict in verdicts(wheel, "FR1")}
    assert outcomes.pop("FR104") == "fail"
    assert {outcomes.pop(code) for code in ("FR101", "FR102", "FR103")} == {"pass"}
    assert set(outcomes.values()) == {"blocked"}


@pytest.mark.parametrize(
    ("version", "severity"),
    [
        ("1", None),
        (1, Severity.WARNING),
        *(
            (version, Severity.ERROR)
            for version in (
                MISSING,
                None,
                1.0,
                True,
                " 1",
                "1 ",
                "01",
                "1.0",
                "3",
                "",
                "１",
                ["1"],
                {"1": 1},
                3,
            )
        ),
    ],
)
def test_the_version_is_the_text_1(
    tmp_path: Path, version: object, severity: Severity | None
) -> None:
    wheel = make_wheel(tmp_path, manifest=changed(manifest_version=version))
    (verdict,) = verdicts(wheel, "FR105")
    assert [(found.pointer, found.severity or Severity.ERROR) for found in verdict.findings] == (
        [("/manifest_version", severity)] if severity else []
    )


TASK_TEXTS = ("name", "executable", "input_type", "output_type")


@pytest.mark.parametrize("key", TASK_TEXTS)
@pytest.mark.parametrize("value", [MISSING, None, ["a"], {"a": "b"}, [], {}])
def test_required_texts_of_a_task_are_texts(tmp_path: Path, key: str, value: object) -> None:
    wheel = make_wheel(tmp_path, manifest=changed({key: value}))
    slug = "task_0" if key == "name" else "demo_task"
    assert broken(wheel, "FR106") == [("FR106", slug, f"/task_list/0/{key}")]


@pytest.mark.parametrize("key", [*TASK_TEXTS, "docs_info"])
@pytest.mark.parametrize("value", [5, 1.5, True])
def test_a_number_for_a_text_is_a_warning_since_the_server_takes_it(
    tmp_path: Path, key: str, value: object
) -> None:
    wheel = make_wheel(tmp_path, manifest=changed({key: value}))
    (verdict,) = verdicts(wheel, "FR106")
    assert verdict.outcome.value == "warn"
    assert [found.pointer for found in verdict.findings] == [f"/task_list/0/{key}"]


@pytest.mark.parametrize(
    ("manifest", "pointers"),
    [
        (changed(task_list=MISSING), ["/task_list"]),
        (changed(task_list=None), ["/task_list"]),
        (changed(task_list={}), ["/task_list"]),
        (changed(task_list="[]"), ["/task_list"]),
        (changed(task_list=["x", None, 1, []]), [f"/task_list/{index}" for index in range(4)]),
        (changed(task_list=[{}]), [f"/task_list/0/{key}" for key in TASK_TEXTS]),
        (changed(has_args_schemas=None), ["/has_args_schemas"]),
        (changed(has_args_schemas="perhaps"), ["/has_args_schemas"]),
        (changed(has_args_schemas=2), ["/has_args_schemas"]),
        (changed(has_args_schemas=[]), ["/has_args_schemas"]),
        (changed(args_schema_version={}), ["/args_schema_version"]),
        (changed({"args_schema": "x"}), ["/task_list/0/args_schema"]),
        (changed({"args_schema": [1]}), ["/task_list/0/args_schema"]),
        (changed({"args_schema": True}), ["/task_list/0/args_schema"]),
        (changed({"docs_info": ["x"]}), ["/task_list/0/docs_info"]),
        (changed({"name": " \t"}), ["/task_list/0/name"]),
        (changed({"name": ""}), ["/task_list/0/name"]),
        (
            changed({"name": None, "docs_info": []}, args_schema_version=[]),
            ["/task_list/0/name", "/task_list/0/docs_info", "/args_schema_version"],
        ),
        (changed({"docs_info": None, "meta": MISSING}), []),
    ],
)
def test_all_breaches_of_the_model_are_reported_at_once(
    tmp_path: Path, manifest: object, pointers: list[str]
) -> None:
    wheel = make_wheel(tmp_path, manifest=manifest)
    assert sorted(at or "" for _, _, at in broken(wheel, "FR106")) == sorted(pointers)


@pytest.mark.parametrize("value", ["true", "yes", "on", "1", 1, 1.0, "T", "FALSE", 0, "off"])
def test_a_flag_that_the_server_takes_for_one_is_a_warning(tmp_path: Path, value: object) -> None:
    (verdict,) = verdicts(make_wheel(tmp_path, manifest=changed(has_args_schemas=value)), "FR106")
    assert verdict.outcome.value == "warn"
    assert [found.pointer for found in verdict.findings] == ["/has_args_schemas"]


@pytest.mark.parametrize(
    ("manifest", "found", "hint"),
    [
        (changed({"docs_lnk": "x"}), ("demo_task", "/task_list/0/docs_lnk"), "'docs_link'"),
        (changed({"Name": "x"}), ("demo_task", "/task_list/0/Name"), "'name'"),
        (changed({"a/b~": "x"}), ("demo_task", "/task_list/0/a~1b~0"), "remove 'a/b~'"),
        (changed(authors="x"), (None, "/authors"), "remove 'authors'"),
        (changed(tasks_list=[]), (None, "/tasks_list"), "'task_list'"),
    ],
)
def test_keys_that_the_server_drops_are_reported_with_what_is_meant(
    tmp_path: Path, manifest: object, found: tuple[str | None, str], hint: str
) -> None:
    (verdict,) = verdicts(make_wheel(tmp_path, manifest=manifest), "FR107")
    (finding,) = verdict.findings
    assert verdict.outcome.value == "warn"
    assert (finding.task, finding.pointer) == found
    assert hint in finding.hint


def test_a_manifest_without_tasks_is_reported(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, manifest=changed(task_list=[]))
    assert broken(wheel, "FR1") == [("FR108", None, "/task_list")]


@pytest.mark.parametrize(
    ("names", "twins"),
    [
        (["A", "B"], []),
        (["A", "A"], [1]),
        (["My Task", "my_task"], [1]),
        (["A", "a", "A"], [1, 2]),
        (["A", "A "], [1]),
        ([" A", "A"], [1]),
        (["a\t", "A"], [1]),
        (["a\tb", "a b"], []),
        (["é", "e\u0301"], []),
        ([1, "1"], [1]),
        (["B", "A", "b"], [2]),
    ],
)
def test_names_and_slugs_are_unique(tmp_path: Path, names: list[object], twins: list[int]) -> None:
    wheel = make_wheel(tmp_path, manifest=named(*names))
    assert [at for _, _, at in broken(wheel, "FR109")] == [
        f"/task_list/{index}/name" for index in twins
    ]


FILES = dict.fromkeys(("task.py", "sub/task.py", "run", "a b.py", "ä.py", "-x.py"), TASK_SOURCE)


@pytest.mark.parametrize(
    "executable", ["task.py", "sub/task.py", "./task.py", "sub//task.py", "run", "ä.py", "-x.py"]
)
def test_a_file_below_the_package_is_an_executable(tmp_path: Path, executable: str) -> None:
    manifest = changed({"executable": executable})
    assert broken(make_wheel(tmp_path, files=FILES, manifest=manifest), "FR110") == []


@pytest.mark.parametrize(
    ("executable", "said"),
    [
        ("", "empty"),
        (" ", "empty"),
        (".", "a folder"),
        ("./", "a folder"),
        ("sub", "a folder"),
        ("sub/", "a folder"),
        ("/task.py", "absolute"),
        ("../demo/task.py", "leads out"),
        ("sub/../task.py", "goes up"),
        ("sub/../sub/task.py", "goes up"),
        ("no/../task.py", "leads out"),
        ("sub/../../demo/task.py", "leads out"),
        ("sub/../no.py", "leads out"),
        ("a b.py", "a blank"),
        ("task.py ", "a blank"),
        ("sub\\task.py", "a backslash"),
        ("'task.py'", "a quote"),
        ("no.py", "not in the wheel"),
        ("TASK.py", "not in the wheel"),
        ("demo/task.py", "not in the wheel"),
        ("task", "not in the wheel"),
        ("task.py\0", "not in the wheel"),
    ],
)
def test_anything_else_is_no_executable(tmp_path: Path, executable: str, said: str) -> None:
    manifest = changed({"executable": executable})
    (verdict,) = verdicts(make_wheel(tmp_path, files=FILES, manifest=manifest), "FR110")
    (finding,) = verdict.findings
    assert finding.pointer == "/task_list/0/executable"
    assert said in finding.found


def test_a_way_up_within_the_package_is_a_warning(tmp_path: Path) -> None:
    manifest = changed({"executable": "sub/../task.py"})
    (verdict,) = verdicts(make_wheel(tmp_path, files=FILES, manifest=manifest), "FR110")
    assert (verdict.outcome, verdict.findings[0].hint) == ("warn", 'write "task.py"')


def test_a_backslash_becomes_a_slash(tmp_path: Path) -> None:
    manifest = changed({"executable": "sub\\task.py"})
    (verdict,) = verdicts(make_wheel(tmp_path, files=FILES, manifest=manifest), "FR110")
    assert verdict.findings[0].hint == 'write it with /: "sub/task.py"'


def test_a_misplaced_executable_is_named(tmp_path: Path) -> None:
    manifest = changed({"executable": "other/tusk.py"})
    files = {"deep/tusk.py": TASK_SOURCE}
    (verdict,) = verdicts(make_wheel(tmp_path, files=files, manifest=manifest), "FR110")
    assert verdict.findings[0].hint == 'write "deep/tusk.py"'


def test_a_misplaced_executable_is_named_beside_one_that_is_no_text(tmp_path: Path) -> None:
    manifest = changed({"executable": "other/tusk.py"})
    other = {"name": "other", "executable": ["task.py"]}
    manifest["task_list"].append(manifest["task_list"][0] | other)
    files = {"deep/tusk.py": TASK_SOURCE}
    judged = verdicts(make_wheel(tmp_path, files=files, manifest=manifest), "FR110")
    hints = [found.hint for verdict in judged for found in verdict.findings]
    assert 'write "deep/tusk.py"' in hints


def test_of_several_files_none_is_named_unless_one_alone_has_the_name(tmp_path: Path) -> None:
    manifest = changed({"executable": "other/tusk.py"})
    files = {"aaa/tusk.py": TASK_SOURCE, "other/tusks.py": TASK_SOURCE, "zzz.py": TASK_SOURCE}
    (verdict,) = verdicts(make_wheel(tmp_path, files=files, manifest=manifest), "FR110")
    assert verdict.findings[0].hint == 'write "aaa/tusk.py"'
    files["bbb/tusk.py"] = TASK_SOURCE
    (verdict,) = verdicts(make_wheel(tmp_path / "two", files=files, manifest=manifest), "FR110")
    assert "write" not in verdict.findings[0].hint.split("tusk")[0]


@pytest.mark.parametrize("source", [MISSING, "demo"])
def test_a_command_becomes_the_executable_and_its_source_goes(
    tmp_path: Path, source: object
) -> None:
    """Whoever describes a task outside any package by mistake writes a command."""
    entry = {"executable": MISSING, "command": "python3 demo/task.py"}
    manifest = changed(entry if source is MISSING else {**entry, "source": source})
    tasks = candidate_of(make_wheel(tmp_path, manifest=manifest)).task_list
    (found,) = REGISTRY["FR106"].judge(tasks)
    assert isinstance(found, Finding)
    assert found.fix is not None
    edits = [(edit.action, edit.keys, edit.value) for edit in found.fix.files[0].json]
    way = ("task_list", 0)
    assert edits[:2] == [
        (Action.SET, (*way, "command"), "task.py"),
        (Action.RENAME, (*way, "command"), "executable"),
    ]
    assert [keys for _, keys, _ in edits[2:]] == ([] if source is MISSING else [(*way, "source")])
    assert ("remove 'source'" in found.hint) is (source is not MISSING)


NO_LEVELS: list[Any] = [None, "", "  ", 5, 0, True, False, ["well"], {}]


@pytest.mark.parametrize(
    ("meta", "errors", "warnings"),
    [
        (MISSING, [], []),
        ({}, [], []),
        (None, ["/meta"], []),
        ([], ["/meta"], []),
        ("", ["/meta"], []),
        (1, ["/meta"], []),
        ({"parallelization_level": "image"}, [], []),
        *(
            ({"parallelization_level": level}, ["/meta/parallelization_level"], [])
            for level in NO_LEVELS
        ),
        ({"mem": 4.5, "extra_lines": "#"}, [], ["/meta/mem", "/meta/extra_lines"]),
        ({"own": [1, {"any": None}]}, [], []),
    ],
)
def test_meta_is_an_object_with_a_level_that_is_text(
    tmp_path: Path, meta: object, errors: list[str], warnings: list[str]
) -> None:
    (verdict,) = verdicts(make_wheel(tmp_path, manifest=changed({"meta": meta})), "FR111")
    found = [
        ((finding.pointer or "").removeprefix("/task_list/0"), finding.severity or Severity.ERROR)
        for finding in verdict.findings
    ]
    assert found == [
        *((at, Severity.ERROR) for at in errors),
        *((at, Severity.WARNING) for at in warnings),
    ]


@pytest.mark.parametrize("key", ["input_type", "output_type"])
@pytest.mark.parametrize(
    ("value", "outcome"),
    [
        ("zarr", "pass"),
        ("Any", "pass"),
        ("", "fail"),
        (" \n", "fail"),
        ("any", "warn"),
        ("ANY", "warn"),
        ("Anything", "pass"),
    ],
)
def test_types_are_not_blank(tmp_path: Path, key: str, value: str, outcome: str) -> None:
    (verdict,) = verdicts(make_wheel(tmp_path, manifest=changed({key: value})), "FR112")
    assert verdict.outcome.value == outcome
    assert {found.pointer for found in verdict.findings} <= {f"/task_list/0/{key}"}


@pytest.mark.parametrize(
    ("task", "outcome"),
    [
        ({"docs_info": MISSING}, "pass"),
        ({"docs_link": MISSING}, "pass"),
        ({"docs_info": MISSING, "docs_link": MISSING}, "warn"),
        ({"docs_info": None, "docs_link": None}, "warn"),
        ({"docs_info": " ", "docs_link": MISSING}, "warn"),
    ],
)
def test_every_task_has_documentation(
    tmp_path: Path, task: Mapping[str, Any], outcome: str
) -> None:
    (verdict,) = verdicts(make_wheel(tmp_path, manifest=changed(task)), "FR113")
    assert verdict.outcome.value == outcome


LABEL = "a" * 63


@pytest.mark.parametrize(
    "link",
    [
        "https://example.org",
        "HTTP://EXAMPLE.ORG/x",
        " https://example.org\n",
        "http://a.bc.",
        "https://u:p@example.org:65535/x?y=z#w",
        "https://example.org?x",
        "https://example.org#x",
        "https://127.0.0.1/",
        "https://1.2.3.4:80",
        "https://999.1.1.1",
        "https://[::1]:80/x",
        "https://münchen.de",
        "https://例え.テスト",
        "https://a_b.org",
        "https://_a.b-c.org",
        "https://a.xn--p1ai",
        f"https://{LABEL}.org",
        "https://example.org/ä|<>[]\\",
        "https://u@v@example.org",
        "https://example.org:0",
        "https://😀.org",
        "https://example.org/" + "x" * 2063,
        None,
    ],
)
def test_links_that_the_server_takes_pass(tmp_path: Path, link: str | None) -> None:
    assert broken(make_wheel(tmp_path, manifest=changed({"docs_link": link})), "FR114") == []


@pytest.mark.parametrize(
    "link",
    [
        "",
        " ",
        "example.org",
        "//example.org",
        "https:example.org",
        "https:/example.org",
        "https://",
        "https:///x",
        "ftp://example.org",
        "file:///x",
        "mailto:a@b.org",
        "http://localhost",
        "http://localhost:8000/x",
        "https://example",
        "https://a.b",
        "https://a.b1",
        "https://1.2.3",
        "https://-a.org",
        "https://a-.org",
        "https://a..org",
        "https://.org",
        "https://a.org..",
        "https://a b.org",
        "https://a.org/b c",
        "https://a.org:65536",
        "https://a.org:",
        "https://a.org:x",
        "https://a.org,b",
        "https://[::g]",
        "https://[::1",
        "https://[::1]x",
        "https://[::ffff:1.2.3.4]",
        f"https://{LABEL}a.org",
        "https://" + "ä" * 60 + ".org",
        "https://a.org/#x#y",
        "https://a!b.org",
        "https://u:p@",
        "httpſ://a.org",
        "\x01https://a.org",
        "https://example.org/" + "x" * 2064,
        5,
        True,
        [],
        ["https://example.org"],
        {},
    ],
)
def test_links_that_the_server_refuses_are_reported(tmp_path: Path, link: object) -> None:
    wheel = make_wheel(tmp_path, manifest=changed({"docs_link": link}))
    assert broken(wheel, "FR114") == [("FR114", "demo_task", "/task_list/0/docs_link")]


@pytest.mark.parametrize(
    ("manifest", "found"),
    [
        (changed({"docs_info": "a\0"}), [("demo_task", "/task_list/0/docs_info")]),
        (changed({"docs_info": "a\ud83d"}), [("demo_task", "/task_list/0/docs_info")]),
        (changed({"docs_info": "a😀\n\x01"}), []),
        (changed({"meta": {"a": [{"b": "\udc00"}]}}), [("demo_task", "/task_list/0/meta/a/0/b")]),
        (changed({"meta": {"\0": 1}}), [("demo_task", "/task_list/0/meta")]),
        (changed(args_schema_version="\0"), [(None, "/args_schema_version")]),
        (named("a" * 2500), []),
        (named("a" * 2501), [("a" * 2501, "/task_list/0/name")]),
        (named("a" * 2501, "b"), [("a" * 2501, "/task_list/0/name")]),
    ],
)
def test_text_can_be_stored(
    tmp_path: Path, manifest: object, found: list[tuple[str | None, str]]
) -> None:
    wheel = make_wheel(tmp_path, manifest=manifest)
    assert [(task, at) for _, task, at in broken(wheel, "FR116")] == found


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("a" * 253, "pass"),
        ("a" * 254, "fail"),
        (f" {'a' * 253}\n", "pass"),
        # Letters that take more bytes in lower case, and one that takes fewer.
        ("İ" * 84 + "a", "pass"),
        ("İ" * 84 + "aa", "fail"),
        ("Ⱥ" * 84, "pass"),
        ("Ⱥ" * 85, "fail"),
        ("\u212a" * 253, "pass"),
        ("\u212a" * 254, "fail"),
    ],
)
def test_a_name_of_version_2_fits_into_that_of_a_folder(
    tmp_path: Path, name: str, outcome: str
) -> None:
    manifest = {"manifest_version": "2", "task_list": [{"name": name}]}
    (verdict,) = verdicts(make_wheel(tmp_path, manifest=manifest), "FR116")
    assert verdict.outcome == outcome


def test_a_name_of_version_1_is_only_too_long_for_one_database(tmp_path: Path) -> None:
    (verdict,) = verdicts(make_wheel(tmp_path, manifest=named("a" * 2501)), "FR116")
    assert verdict.outcome == "warn"


@pytest.mark.parametrize("version", ["1", "2"])
def test_pydantics_own_name_breaks_the_server_of_version_1_only(
    tmp_path: Path, version: str
) -> None:
    key = "__pydantic_self__"
    manifest = {**changed({key: 1}, **{key: 1}), "manifest_version": version}
    at = [at for code, _, at in broken(make_wheel(tmp_path, manifest=manifest), "FR106")]
    mine = [one for one in at if one and one.endswith(key)]
    assert mine == ([f"/{key}", f"/task_list/0/{key}"] if version == "1" else [])


def test_a_command_becomes_an_executable_in_one_finding(tmp_path: Path) -> None:
    task = {"executable": MISSING, "command": "python3 demo/task.py", "source": "demo"}
    wheel = make_wheel(tmp_path, manifest=changed(task))
    ((found,), ()) = (verdict.findings for verdict in verdicts(wheel, "FR106", "FR107"))
    assert found.pointer == "/task_list/0/command"
    assert found.hint == (
        'write "executable": "task.py" in its place, and remove \'source\': the server makes it'
    )


def test_a_source_alone_is_removed(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, manifest=changed({"source": "demo"}))
    (verdict,) = verdicts(wheel, "FR107")
    assert verdict.findings[0].hint == "remove 'source': the server makes it"


NEW = {"executable": MISSING, "executable_non_parallel": "task.py"}


@pytest.mark.parametrize(
    ("version", "task", "expected"),
    [
        ("1", NEW, '"2"'),
        (1, NEW, '"2"'),
        ("2.0", NEW, '"2"'),
        (MISSING, NEW, '"2"'),
        ("2", {}, '"1"'),
        ("1.0", {}, '"1"'),
        ("3", {"executable": MISSING}, '"1" or "2"'),
        ("3", {"executable_parallel": "task.py"}, '"1" or "2"'),
    ],
)
def test_the_tasks_tell_which_version_is_meant(
    tmp_path: Path, version: object, task: dict[str, Any], expected: str
) -> None:
    wheel = make_wheel(tmp_path, manifest=changed(task, manifest_version=version))
    judged = verdicts(wheel, "FR105", "FR106", "FR107", "FR201")
    (found,) = (finding for verdict in judged for finding in verdict.findings)
    assert (found.expected, found.hint) == (expected, f'write "manifest_version": {expected}')
    assert found.severity is None


def test_findings_have_the_line_of_their_place(tmp_path: Path) -> None:
    manifest = changed({"executable": MISSING, "docs_link": "x"})
    wheel = make_wheel(tmp_path, manifest=manifest)
    lines = json.dumps(manifest, indent=2).splitlines()
    (missing,) = verdicts(wheel, "FR106")[0].findings
    assert lines[(missing.line or 0) - 1].strip() == "{", "the task that lacks it"
    assert missing.file == TOP


@pytest.mark.parametrize("is_first", [True, False])
def test_the_file_that_a_server_of_generation_1_reads_is_the_first_in_the_archive(
    tmp_path: Path, is_first: bool
) -> None:
    content = json.dumps(good_manifest())
    other = {f"demo/old_{MANIFEST_NAME}": content}
    entries = {**other, TOP: content} if is_first else {TOP: content, **other}
    wheel = write_archive(tmp_path / "demo-1.0-py3-none-any.whl", {**entries, **ABOUT})
    ((found,),) = (verdict.findings for verdict in verdicts(wheel, "FR103"))
    instead = ", which the server reads instead" if is_first else ""
    assert found.found == f"also demo/old_{MANIFEST_NAME}{instead}"
    assert found.file == f"demo/old_{MANIFEST_NAME}"


# --- beside a source tree ---------------------------------------------------------------


def bundle_of(folder: Path, entries: Sequence[str], sources: Sequence[str]) -> Bundle:
    """A wheel with empty files, and the manifests in the tree that it was made from."""
    about = "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"
    content = {**dict.fromkeys(entries, "{}"), "demo-1.0.dist-info/METADATA": about}
    wheel = write_archive(folder / "demo-1.0-py3-none-any.whl", content)
    project = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    (folder / "pyproject.toml").write_text(f'{project}[project]\nname = "demo"\n')
    for source in sources:
        (folder / source).parent.mkdir(parents=True, exist_ok=True)
        (folder / source).write_text("{}")
    return Bundle(candidate_of(wheel).wheel, folder, tuple(map(PurePosixPath, sources)))


@pytest.mark.parametrize(
    ("sources", "lies_so"),
    [
        (["demo/tasks/{}"], 0),
        (["other/{}", "src/demo/tasks/{}", "demo/tasks/{}"], 1),
        (["tasks/{}"], 0),
        (["demo/{}"], None),
        (["x/tasks/{}"], None),
        ([], None),
    ],
)
def test_a_manifest_in_the_wrong_folder_is_moved_where_it_comes_from(
    tmp_path: Path, sources: list[str], lies_so: int | None
) -> None:
    named = [source.format(MANIFEST_NAME) for source in sources]
    there = f"demo/tasks/{MANIFEST_NAME}"
    bundle = bundle_of(tmp_path, ["demo/__init__.py", there], named)
    (found,) = REGISTRY["FR102"].judge(bundle)
    assert isinstance(found, Finding)
    assert (found.expected, found.found, found.file) == (f"demo/{MANIFEST_NAME}", there, there)
    if lies_so is None:
        assert found.hint == (
            f"move it to demo/{MANIFEST_NAME}; executables are looked for from that folder"
        )
    else:
        hint = packaging_hint(tmp_path, PurePosixPath(named[lies_so])).text
        assert found.hint == hint


def test_a_manifest_that_was_left_behind_is_that_of_the_package(tmp_path: Path) -> None:
    named = [f"demo/{MANIFEST_NAME}", f"old/{MANIFEST_NAME}"]
    (found,) = REGISTRY["FR101"].judge(bundle_of(tmp_path, ["demo/__init__.py"], named))
    assert isinstance(found, Finding)
    assert (found.expected, found.file) == (f"{named[0]} in the wheel", named[0])
    assert found.hint == packaging_hint(tmp_path, PurePosixPath(named[0])).text


@pytest.mark.parametrize(
    ("sources", "named"),
    [
        (["share/{}", "demo/{}"], "share/{}"),
        (["data/share/{}", "share/{}"], "demo-1.0.data/data/share/{}"),
        (["demo/{}"], "demo-1.0.data/data/share/{}"),
    ],
)
def test_a_second_manifest_is_named_by_where_it_comes_from(
    tmp_path: Path, sources: list[str], named: str
) -> None:
    own, copy = f"demo/{MANIFEST_NAME}", f"demo-1.0.data/data/share/{MANIFEST_NAME}"
    in_tree = [source.format(MANIFEST_NAME) for source in sources]
    bundle = bundle_of(tmp_path, ["demo/__init__.py", own, copy], in_tree)
    manifest = candidate_of(make_wheel(tmp_path / "good")).manifest
    (found,) = REGISTRY["FR103"].judge(bundle, manifest)
    assert isinstance(found, Finding)
    assert (found.expected, found.file) == (f"{own} alone", copy)
    place = named.format(MANIFEST_NAME)
    assert found.hint == f"rename or delete {place}, or exclude it from the wheel"


@pytest.mark.parametrize(
    ("command", "script"),
    [
        ("run a.py --fast", "a.py"),
        ("run_task demo/a", "a"),
        ("demo/sub/b.py", "sub/b.py"),
    ],
)
def test_the_script_of_a_command_is_the_executable(
    tmp_path: Path, command: str, script: str
) -> None:
    manifest = changed({"executable": MISSING, "command": command})
    tasks = candidate_of(make_wheel(tmp_path, manifest=manifest)).task_list
    (found,) = REGISTRY["FR106"].judge(tasks)
    assert isinstance(found, Finding)
    assert found.hint == f'write "executable": {json.dumps(script)} in its place'


def test_a_root_that_is_no_object_is_at_the_first_place_of_the_file(tmp_path: Path) -> None:
    (verdict,) = verdicts(make_wheel(tmp_path, manifest="\n[]"), "FR104")
    (found,) = verdict.findings
    assert (found.found, found.line, found.column) == ("a list", 1, 1)


@pytest.mark.parametrize(
    ("wrong", "lines"),
    [
        ("{,", []),
        (',"x": 1,}', [1]),
        (',"has_args_schemas": true}', []),
        (',"has_args_schemas": true,}', [1]),
    ],
)
def test_a_comma_too_many_is_removed_and_other_faults_are_left_to_people(
    tmp_path: Path, wrong: str, lines: list[int]
) -> None:
    text = json.dumps(good_manifest())
    broken_text = f"{{,{text[1:]}" if wrong == "{," else f"{text[:-1]}{wrong}"
    candidate = candidate_of(make_wheel(tmp_path, manifest=broken_text))
    (found,) = [*REGISTRY["FR104"].judge(candidate.manifest, candidate.wheel)][:1]
    assert isinstance(found, Finding)
    files = found.fix.files if found.fix is not None else ()
    assert [len(file.lines) for file in files] == lines


def test_paths_with_backslashes_are_reported_from_a_misspelt_manifest(tmp_path: Path) -> None:
    files = {f"demo\\{MANIFEST_NAME}": "{}", **ABOUT}
    wheel = write_archive(tmp_path / "demo-1.0-py3-none-any.whl", files)
    judged = verdicts(wheel, "FR101", "FR003")
    assert [found.hint for verdict in judged for found in verdict.findings] == [
        "build the wheel anew with a current build backend: in an archive the separator is /, and "
        "only Windows reads a \\ as one"
    ] * 2


def test_a_folder_without_init_is_named_where_setuptools_leaves_the_script_out(
    tmp_path: Path,
) -> None:
    source = tmp_path / "source"
    for path in ("demo/__init__.py", "demo/tasks/task.py"):
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_text("")
    (source / "setup.py").write_text("")
    candidate = candidate_of(
        make_wheel(tmp_path, files={}, manifest=changed({"executable": "tasks/task.py"}))
    )
    (part,) = candidate.tasks[0].parts
    (found,) = REGISTRY["FR110"].judge(part, Bundle(candidate.wheel, source, ()))
    assert isinstance(found, Finding)
    assert found.hint.startswith(
        "demo/tasks/task.py lies in the source tree, but the build leaves it out: demo/tasks has "
        "no __init__.py"
    )
