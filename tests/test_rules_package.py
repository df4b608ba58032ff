"""FR0 on wheels made by hand; what must be built or installed is in `bad_packages/`."""

from __future__ import annotations

from pathlib import Path

import pytest
from wheel_factory import make_wheel, verdicts, write_archive

ABOUT = "demo-1.0.dist-info/METADATA"
GOOD = "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"


def said(wheel: Path, code: str) -> list[str]:
    (verdict,) = verdicts(wheel, code)
    return [finding.found for finding in verdict.findings]


@pytest.mark.parametrize(
    ("file", "metadata", "found"),
    [
        ("demo-1.0-py3-none-any.whl", GOOD, []),
        ("Demo-1.0.0-py3-none-any.whl", GOOD, []),
        ("demo-1.0-2-cp311-cp311-manylinux_2_17_x86_64.whl", GOOD, []),
        ("demo-1.0-py3-none-any.whl", GOOD.replace("1.0", "1.0.0"), []),
        ("my_demo-1.0-py3-none-any.whl", GOOD.replace("demo", "My.Demo"), []),
        ("other-1.0-py3-none-any.whl", GOOD, ["other-1.0-py3-none-any.whl"]),
        ("demo-2.0-py3-none-any.whl", GOOD, ["demo-2.0-py3-none-any.whl"]),
        ("demo.whl", GOOD, ["demo.whl"]),
        ("demo-1.0.whl", GOOD, ["demo-1.0.whl"]),
        ("demo-x-py3-none-any.whl", GOOD, ["demo-x-py3-none-any.whl"]),
        ("demo-1.0-py3-none-any.whl", "Version: 1.0\n", ["there is none"]),
        ("demo-1.0-py3-none-any.whl", "Name: demo\n", ["there is none"]),
        ("demo-1.0-py3-none-any.whl", "", ["there is none", "there is none"]),
        ("demo-1.0-py3-none-any.whl", GOOD.replace("1.0", "one"), ["one"]),
        ("demo-1.0-py3-none-any.whl", f"{GOOD}Author: J\xf6rg\n", []),
        (
            "demo-1.0-py3-none-any.whl",
            f"{GOOD}Author: J\xf6rg\n".encode("latin-1"),
            ["byte 0xf6 is not UTF-8"],
        ),
    ],
)
def test_name_and_version_can_be_read_and_agree_with_the_file(
    tmp_path: Path, file: str, metadata: str | bytes, found: list[str]
) -> None:
    wheel = write_archive(tmp_path / file, {"demo/__init__.py": "", ABOUT: metadata})
    told = said(wheel, "FR004")
    assert [text.partition(" (")[0] for text in told] == found


def test_a_wheel_needs_metadata(tmp_path: Path) -> None:
    wheel = write_archive(tmp_path / "demo-1.0-py3-none-any.whl", {"demo/__init__.py": ""})
    assert said(wheel, "FR004") == ["there is none"]


@pytest.mark.parametrize(
    ("name", "path", "found"),
    [
        ("demo", "demo/task.py", []),
        ("My.Demo-Tasks", "my_demo_tasks/task.py", []),
        ("demo", "demo/sub/task.py", []),
        ("demo", "demo-1.0.data/purelib/demo/task.py", []),
        ("demo", "Demo/task.py", ["the wheel has Demo/"]),
        ("demo", "a/demo/task.py", ["the wheel has a/"]),
        ("demo", "demo.py", ["the wheel has no folder at all"]),
        ("demo", "demo-1.0.data/scripts/demo/task.py", ["the wheel has no folder at all"]),
        ("My.Demo", "my/demo/task.py", ["the wheel has my/"]),
    ],
)
def test_the_folder_is_where_the_server_looks(
    tmp_path: Path, name: str, path: str, found: list[str]
) -> None:
    file = name.replace(".", "_").replace("-", "_").lower()
    wheel = write_archive(
        tmp_path / f"{file}-1.0-py3-none-any.whl", {path: "", ABOUT: GOOD.replace("demo", name)}
    )
    assert said(wheel, "FR003") == found


def test_what_only_a_source_tree_can_show_is_skipped_for_a_wheel(tmp_path: Path) -> None:
    outcomes = {
        verdict.code: (verdict.outcome.value, verdict.reason)
        for verdict in verdicts(make_wheel(tmp_path), "FR001", "FR006")
    }
    assert outcomes == {
        "FR001": ("skip", "the wheel was not built here"),
        "FR006": ("skip", "there is no source tree"),
    }
