"""What a wheel holds is read as the server and an installer see it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from wheel_factory import broken, good_manifest, make_wheel, verdicts, write_archive

from pytest_fractal.environments.wheels import MANIFEST_NAME, TooLarge, read_wheel
from pytest_fractal.errors import BadInput
from pytest_fractal.json_text import MOST_BYTES

METADATA = "demo-1.0.dist-info/METADATA"
ABOUT = "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"


def test_name_version_extras_and_requirements_come_from_metadata(tmp_path: Path) -> None:
    wheel = read_wheel(
        make_wheel(
            tmp_path,
            "My.Demo-tasks",
            "2.0",
            metadata="Requires-Dist: numpy>=1\nRequires-Dist: cellpose; extra == 'gpu'\n"
            "Requires-Dist: ???\nProvides-Extra: gpu\nProvides-Extra: docs",
        )
    )
    assert (wheel.name, wheel.version) == ("My.Demo-tasks", "2.0")
    assert wheel.distribution == "My.Demo-tasks"
    assert wheel.package == "my_demo_tasks"
    assert wheel.extras == ("gpu", "docs")
    assert [requirement.name for requirement in wheel.requirements] == ["numpy", "cellpose"]


def test_installed_files_are_those_below_site_packages(tmp_path: Path) -> None:
    """`*.data/purelib` is moved there by an installer; scripts and dist-info are not."""
    path = write_archive(
        tmp_path / "demo-1.0-py3-none-any.whl",
        {
            "demo/": "",
            "demo/__init__.py": "a",
            "demo-1.0.data/purelib/demo/moved.py": "b",
            "demo-1.0.data/platlib/demo/sub/moved_too.py": "c",
            "demo-1.0.data/scripts/tool": "d",
            METADATA: ABOUT,
        },
    )
    wheel = read_wheel(path)
    assert dict(wheel.contents) == {
        "demo/__init__.py": b"a",
        "demo/moved.py": b"b",
        "demo/sub/moved_too.py": b"c",
    }
    assert wheel.folders == {"demo", "demo/sub"}
    assert "demo/" not in wheel.entries
    assert len(wheel.contents) == 3
    assert "demo/sub" not in wheel.contents


def test_manifests_are_found_as_the_server_searches(tmp_path: Path) -> None:
    """Any path that contains the name, in the archive's order."""
    path = write_archive(
        tmp_path / "demo-1.0-py3-none-any.whl",
        {
            f"demo/old{MANIFEST_NAME}.bak": "",
            f"demo/{MANIFEST_NAME}": "{}",
            f"demo/{MANIFEST_NAME}/inside": "",
            METADATA: ABOUT,
        },
    )
    assert read_wheel(path).manifests == (
        f"demo/old{MANIFEST_NAME}.bak",
        f"demo/{MANIFEST_NAME}",
        f"demo/{MANIFEST_NAME}/inside",
    )


@pytest.mark.parametrize(
    ("metadata", "name", "version"),
    [
        ("", None, None),
        ("Name: demo\n", "demo", None),
        ("Version: 1\n", None, "1"),
        ("Name:  \nVersion: 1\n", None, "1"),
        ("Name: demo\nVersion: 1\n\nName: body\n", "demo", "1"),
    ],
)
def test_what_metadata_lacks_is_none(
    tmp_path: Path, metadata: str, name: str | None, version: str | None
) -> None:
    wheel = read_wheel(
        write_archive(tmp_path / "other-1.0-py3-none-any.whl", {METADATA: metadata})
    )
    assert (wheel.name, wheel.version) == (name, version)
    assert wheel.distribution == (name or "other")


def test_a_wheel_without_metadata_is_read_all_the_same(tmp_path: Path) -> None:
    wheel = read_wheel(write_archive(tmp_path / "demo-1.0-py3-none-any.whl", {"demo/a.py": ""}))
    assert wheel.metadata_path is None
    assert wheel.name is None
    assert wheel.package == "demo"


def test_a_vendored_metadata_is_not_taken_for_the_wheels_own(tmp_path: Path) -> None:
    path = write_archive(
        tmp_path / "demo-1.0-py3-none-any.whl",
        {
            "demo/_vendor/other-9.dist-info/METADATA": ABOUT.replace("demo", "other"),
            METADATA: ABOUT,
        },
    )
    wheel = read_wheel(path)
    assert wheel.name == "demo"
    assert wheel.metadata_of_the_server == "demo/_vendor/other-9.dist-info/METADATA"
    (verdict,) = verdicts(path, "FR004")
    (finding,) = verdict.findings
    assert finding.file == "demo/_vendor/other-9.dist-info/METADATA"


def test_what_is_no_whole_zip_archive_is_bad_input(tmp_path: Path) -> None:
    good = make_wheel(tmp_path / "good").read_bytes()
    for number, content in enumerate((b"", b"PK\x03\x04", b"no zip", good[:-30], good[:200])):
        path = tmp_path / f"demo-{number}-py3-none-any.whl"
        path.write_bytes(content)
        with pytest.raises(BadInput, match="not a readable wheel"):
            read_wheel(path)
    with pytest.raises(BadInput, match="no such file"):
        read_wheel(tmp_path / "none.whl")


def test_a_damaged_member_is_bad_input_when_it_is_read(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, files={"task.py": "0123456789" * 99})
    content = bytearray(path.read_bytes())
    start = content.index(b"demo/task.py") + len("demo/task.py")
    content[start : start + 8] = b"\xff" * 8
    path.write_bytes(content)
    wheel = read_wheel(path)
    with pytest.raises(BadInput, match="not a readable wheel"):
        wheel.contents["demo/task.py"]


def test_the_good_wheel_breaks_no_rule(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, manifest=good_manifest())
    assert broken(wheel, "FR003", "FR004", "FR1", "FR2") == []


@pytest.mark.parametrize(
    ("name", "folder"),
    [("My.Demo--Tasks", "my_demo_tasks"), ("A_b", "a_b"), ("x1", "x1")],
)
def test_any_spelling_of_the_name_leads_to_the_same_folder(
    tmp_path: Path, name: str, folder: str
) -> None:
    path = make_wheel(tmp_path, name)
    assert read_wheel(path).package == folder
    assert broken(path, "FR003", "FR004", "FR1") == []


def test_no_more_of_a_file_is_read_than_a_limit(tmp_path: Path) -> None:
    """A wheel of some kilobytes may hold gigabytes."""
    wheel = make_wheel(tmp_path, manifest=b" " * (MOST_BYTES + 1))
    assert wheel.stat().st_size < MOST_BYTES // 100
    (verdict,) = verdicts(wheel, "FR104")
    (found,) = verdict.findings
    assert found.found == "it is too large: 8 MB, and 8 are allowed"
    with pytest.raises(TooLarge):
        read_wheel(wheel).read(f"demo/{MANIFEST_NAME}", 100)


def test_a_size_that_is_not_true_is_seen(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, manifest=b" " * 100_000)
    content = bytearray(wheel.read_bytes())
    # The size in the archive's table, 24 bytes into the entry that ends with the name.
    at = content.rindex(b"PK\x01\x02", 0, content.rindex(f"demo/{MANIFEST_NAME}".encode())) + 24
    content[at : at + 4] = (10).to_bytes(4, "little")
    wheel.write_bytes(content)
    with pytest.raises(BadInput, match="not a readable wheel"):
        read_wheel(wheel).read(f"demo/{MANIFEST_NAME}")


@pytest.mark.parametrize("entry", ["/demo/x.txt", "../x.txt", "demo/../../x.txt", "//x", "a//b"])
def test_a_path_that_leads_out_is_no_folder_below_site_packages(
    tmp_path: Path, entry: str
) -> None:
    path = write_archive(
        tmp_path / "demo-1.0-py3-none-any.whl",
        {"demo/__init__.py": "", entry: "", METADATA: ABOUT},
    )
    assert read_wheel(path).folders == {"demo"}


def test_a_manifest_that_is_twice_in_the_archive_is_reported(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path)
    with (
        pytest.warns(UserWarning, match="Duplicate name"),
        zipfile.ZipFile(wheel, "a") as archive,
    ):
        archive.writestr(f"demo/{MANIFEST_NAME}", "{}")
    assert [code for code, _, _ in broken(wheel, "FR103")] == ["FR103"]
