"""FR0 on wheels made by hand; what must be built or installed is in `bad_packages/`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from given_commands import SITE, installation_of
from wheel_factory import candidate_of, make_wheel, verdicts, write_archive

from pytest_fractal.environments.building import BuildFailure, Built
from pytest_fractal.environments.wheels import MANIFEST_NAME, Wheel
from pytest_fractal.facts import Build, TreeBuild
from pytest_fractal.packaging_hints.names import flat_layout_hint
from pytest_fractal.processes.processes import Finished
from pytest_fractal.rules import REGISTRY
from pytest_fractal.verdicts import Finding, NotApplicable

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
    reported = said(wheel, "FR004")
    assert [text.partition(" (")[0] for text in reported] == found


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


# --- builds and installations that are given --------------------------------------------


def reported(code: str, *facts: object) -> list[tuple[str, str, str, str | None]]:
    """What is expected, what is found, the fix, and the file of each finding."""
    return [
        (found.expected, found.found, found.hint, found.file)
        for found in REGISTRY[code].judge(*facts)
        if isinstance(found, Finding)
    ]


ONE_WHEEL = "one sdist, and one wheel built from it"


def built(kind: str, failure: BuildFailure | None, source: Path | None = None) -> Build:
    return Build(kind, "demo==1", Built(None, failure), source)


@pytest.mark.parametrize(
    ("stage", "hint"),
    [
        (
            "settings",
            "fix pyproject.toml: TOML in UTF-8 without a byte order mark, whose "
            "[build-system] names in `requires` what is needed to build and in `build-backend` "
            "who builds",
        ),
        (
            "requirements",
            "fix the `requires` of [build-system]: each must be on the index and have a version "
            "that fits",
        ),
        ("sdist", "run `python -m build --sdist` and fix what it complains about"),
        (
            "wheel",
            "the wheel is built from the unpacked sdist: see that the sdist holds every file "
            "that the build needs; `python -m build` shows the same error",
        ),
    ],
)
def test_a_build_that_fails_is_reported_by_its_stage(stage: Any, hint: str) -> None:
    said = f"the build ended at its {stage}: no such file"
    assert reported("FR001", built("source", BuildFailure(stage, "no such file"))) == [
        (ONE_WHEEL, said, hint, "pyproject.toml")
    ]


def test_builds_that_fail_for_a_reason_that_is_known(tmp_path: Path) -> None:
    ((_, _, hint, _),) = reported(
        "FR001", built("source", BuildFailure("sdist", "unable to detect version"))
    )
    assert hint.startswith("make a git tag, which the version is taken from.")
    flat = BuildFailure("sdist", "error: Multiple top-level packages discovered in a flat-layout")
    project = '[build-system]\nrequires = ["setuptools"]\n[project]\nname = "demo"\n'
    (tmp_path / "pyproject.toml").write_text(project)
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / MANIFEST_NAME).write_text("{}")
    manifest = PurePosixPath("demo", MANIFEST_NAME)
    build = Build("source", ".", Built(None, flat), tmp_path, (manifest,))
    (found,) = REGISTRY["FR001"].judge(build)
    assert isinstance(found, Finding)
    expected = flat_layout_hint(tmp_path, (manifest,))
    assert expected is not None
    assert (found.hint, found.fix) == (expected.text, expected.fix)
    assert found.fix is not None
    ((_, _, hint, _),) = reported("FR001", built("source", flat))
    assert hint == "run `python -m build --sdist` and fix what it complains about"


def test_builds_that_end_otherwise() -> None:
    assert reported("FR001", built("source", None)) == []
    assert reported("FR001", built("source", BuildFailure("wheel", "no end", timed_out=True))) == [
        (
            "a build that ends",
            "no end",
            "see what it waits for with `python -m build`; if it does take that long, give it "
            "more: --fractal-build-timeout=SECONDS",
            "pyproject.toml",
        )
    ]
    assert reported("FR001", built("requirement", BuildFailure("wheel", "no wheel"))) == [
        (
            "a wheel on the package index: Fractal installs nothing else",
            "no wheel",
            "build with `python -m build` and upload the wheel beside the sdist",
            "demo==1",
        )
    ]
    for kind, what in (("requirement", "requirement"), ("wheel", "wheel"), ("url", "wheel")):
        with pytest.raises(NotApplicable, match=f"the {what} was not built here"):
            reported("FR001", built(kind, None))


def ended(stderr: str, returncode: int = 1, argv: tuple[str, ...] = ("pip",)) -> Finished:
    return Finished(argv, returncode, "", stderr, 1.0)


WHEEL_NAME = "demo-1.0-py3-none-any.whl"
METADATA = "demo-1.0.dist-info/METADATA"
RECORD = "demo-1.0.dist-info/RECORD"


@pytest.mark.parametrize(
    ("stderr", "found", "hint", "file"),
    [
        (
            "ERROR: Package 'demo' requires a different Python: 3.11.7 not in '>=3.12'",
            "demo requires Python >=3.12, and this is 3.11.7",
            "change `requires-python`, or choose another interpreter by --fractal-python",
            METADATA,
        ),
        (
            "ERROR: No matching distribution found for numpy>=99",
            "No matching distribution found for numpy>=99",
            "change the requirement that no release meets, or one of those that exclude each "
            "other",
            METADATA,
        ),
        (
            "Requested demo==1.0 from file:///x.whl has invalid metadata: no such marker",
            "pip refuses the METADATA of demo==1.0: no such marker",
            "require a newer release of what pip names, whose METADATA follows the standard; for "
            "the wheel's own METADATA, build it anew with a current build backend",
            METADATA,
        ),
        (
            "  Failed to build `tool==1`\nValueError: no compiler",
            "there is no wheel of tool 1 for Python 3.11, so it had to be built, and that failed: "
            "ValueError: no compiler",
            "require a release that has a wheel for this Python, or choose another interpreter by "
            "--fractal-python",
            METADATA,
        ),
        ("disk full", "disk full", "fix what the installer names", METADATA),
        (
            "ERROR: For req: demo==1.0. Invalid script entry point: 'demo/task.py'",
            "For req: demo==1.0. Invalid script entry point: 'demo/task.py'",
            "leave demo/task.py out of the wheel, and build it anew with a current build backend",
            "demo/task.py",
        ),
        (
            'ERROR: For req: demo==1.0. "demo/task.py" is outside',
            'For req: demo==1.0. "demo/task.py" is outside',
            "leave demo/task.py out of the wheel, and build it anew with a current build backend",
            "demo/task.py",
        ),
        (
            "ERROR: For req: demo==1.0. RECORD is broken",
            "For req: demo==1.0. RECORD is broken",
            "build the wheel anew with a current build backend",
            RECORD,
        ),
        (
            "ERROR: demo has an invalid wheel, the Wheel-Version is 3",
            "demo has an invalid wheel, the Wheel-Version is 3",
            "build the wheel anew with a current build backend",
            "demo-1.0.dist-info/WHEEL",
        ),
        (
            "ERROR: For req: demo==1.0. Something else",
            "For req: demo==1.0. Something else",
            "build the wheel anew with a current build backend, and without the file that pip "
            "names",
            WHEEL_NAME,
        ),
    ],
)
def test_an_installation_that_fails_is_reported_with_the_file_at_fault(
    tmp_path: Path, stderr: str, found: str, hint: str, file: str
) -> None:
    installation = installation_of(tmp_path, finished=ended(stderr))
    expected = f"an installation of {WHEEL_NAME} under Python 3.11.7"
    assert reported("FR002", installation) == [(expected, found, hint, file)]


def test_entry_points_that_cannot_be_read_are_written_anew(tmp_path: Path) -> None:
    points = "demo-1.0.dist-info/entry_points.txt"
    wheel = write_archive(
        tmp_path / WHEEL_NAME, {"demo/__init__.py": "", ABOUT: GOOD, points: "[x"}
    )
    stderr = "ERROR: For req: demo==1.0. Invalid script entry point: x"
    known = installation_of(tmp_path / "other", finished=ended(stderr))
    installation = replace(known, wheel=candidate_of(wheel).wheel)
    ((_, _, hint, file),) = reported("FR002", installation)
    assert file == points
    assert hint == (
        "write each command in [project.scripts] as `name = "
        '"package.module:function"`, and build the wheel anew'
    )


def test_folders_of_one_run_are_left_out_of_what_an_installer_says(tmp_path: Path) -> None:
    said = f"ERROR: cannot read {tmp_path}/a.whl in {tmp_path}, nor {SITE}/b in {SITE}"
    ((_, found, _, _),) = reported("FR002", installation_of(tmp_path, finished=ended(said)))
    assert found == f"cannot read a.whl in {tmp_path.name}, nor b in site-packages"


def test_a_wheel_that_replaces_pip(tmp_path: Path) -> None:
    finished = ended("ImportError: x", argv=("pip", "--version"))
    wheel = write_archive(
        tmp_path / WHEEL_NAME, {"demo/__init__.py": "", "pip/__init__.py": "", ABOUT: GOOD}
    )
    known = installation_of(tmp_path / "other", finished=finished)
    ((_, found, hint, file),) = reported("FR002", replace(known, wheel=candidate_of(wheel).wheel))
    assert (found, file) == (
        "pip, which the wheel replaces, fails: ImportError: x",
        "pip/__init__.py",
    )
    assert hint == (
        "leave the folder pip/ out of the wheel: it replaces the pip that the server goes on to "
        "use"
    )


def test_extras_that_a_wheel_does_not_have(tmp_path: Path) -> None:
    done = ended("", returncode=0)
    known: dict[str, Any] = {"finished": done, "extras": ("gpu", "all_")}
    assert reported("FR002", installation_of(tmp_path / "1", **known)) == [
        (
            f"an extra {extra!r}, as it was asked for",
            f"no extra {extra!r}; the wheel has none",
            f"declare {extra!r} in [project.optional-dependencies], or ask for another",
            METADATA,
        )
        for extra in known["extras"]
    ]
    provided = "Provides-Extra: GPU\nProvides-Extra: more"
    ((expected, found, _, _),) = reported(
        "FR002", installation_of(tmp_path / "2", metadata=provided, **known)
    )
    assert expected == "an extra 'all_', as it was asked for"
    assert found == "no extra 'all_'; the wheel has GPU, more"
    with pytest.raises(NotApplicable, match="nothing is installed: it is judged as it is in /env"):
        reported("FR002", installation_of(tmp_path / "3"))


def test_requirements_that_are_not_met(tmp_path: Path) -> None:
    unmet = ("demo requires numpy<2, but 2.0 is installed", "other requires zarr")
    for folder, pins, hint in (
        ("1", (), "add what is missing to the dependencies, or loosen the requirement"),
        ("2", ("numpy==2",), "change the pin, or the requirement that excludes it"),
    ):
        installation = installation_of(tmp_path / folder, unmet=unmet, pins=pins)
        assert reported("FR005", installation) == [
            ("every requirement met", line, hint, METADATA) for line in unmet
        ]
    assert reported("FR005", installation_of(tmp_path / "3")) == []


def test_files_that_only_one_of_the_two_wheels_has(tmp_path: Path) -> None:
    def wheel(folder: str, *files: str) -> Wheel:
        return candidate_of(make_wheel(tmp_path / folder, files=dict.fromkeys(files, ""))).wheel

    own = [f"{number}.py" for number in range(6)]
    here, there = wheel("1", "a.py", *own), wheel("2", "a.py", "b.py")
    same = Built(here.path)
    assert reported("FR006", TreeBuild(tmp_path, same, here, here)) == []
    lost = "the sdist leaves them out: look at its include and exclude settings "
    assert reported("FR006", TreeBuild(tmp_path, same, here, there)) == [
        (
            "the same files in both wheels",
            "the wheel by way of the sdist lacks demo/b.py",
            f"{lost}(MANIFEST.in, [tool.*.sdist]) and at .gitignore",
            "pyproject.toml",
        ),
        (
            "the same files in both wheels",
            "only the wheel by way of the sdist holds demo/0.py, demo/1.py, demo/2.py, demo/3.py, "
            "demo/4.py and 1 more",
            "make the two ways agree: look at the include and exclude settings of the wheel, and "
            "at files that are generated while the sdist is built",
            "pyproject.toml",
        ),
    ]
    five = wheel("3", "a.py", *own[:5])
    ((_, found, _, _),) = reported("FR006", TreeBuild(tmp_path, same, wheel("4", "a.py"), five))
    assert found.endswith("lacks demo/0.py, demo/1.py, demo/2.py, demo/3.py, demo/4.py")
    for failure, said in ((BuildFailure("wheel", "no such file"), "no such file"), (None, None)):
        assert reported("FR006", TreeBuild(tmp_path, Built(None, failure), here, None)) == [
            (
                "a wheel built straight from the source tree, as `pip install .` does",
                said or "no wheel",
                "run `python -m build --wheel` in the folder and fix what it complains about",
                "pyproject.toml",
            )
        ]
    with pytest.raises(NotApplicable, match="there is no source tree"):
        reported("FR006", TreeBuild(None, None, here, None))


def test_what_is_said_of_name_and_version(tmp_path: Path) -> None:
    """Where the other test asks what is found, this asks for the rest."""

    def judged(file: str, metadata: str | None, first: str = "") -> Wheel:
        content = {"demo/__init__.py": ""}
        content |= {first: "Name: other\nVersion: 2\n"} if first else {}
        content |= {ABOUT: metadata} if metadata is not None else {}
        return candidate_of(write_archive(tmp_path / file, content)).wheel

    anew = "build the wheel anew, and keep the name that the build backend gives it"
    assert reported("FR004", judged(WHEEL_NAME, None)) == [
        (
            "a *.dist-info/METADATA in the wheel",
            "there is none",
            "build the wheel anew with a build backend: `python -m build`",
            WHEEL_NAME,
        )
    ]
    other = "demo/_vendor/other-9.dist-info/METADATA"
    assert reported("FR004", judged(WHEEL_NAME, GOOD, other)) == [
        (
            f"{ABOUT} as the first METADATA in the wheel",
            f"{other} before it, from which the server takes name and version",
            f"leave {other} out of the wheel",
            other,
        )
    ]
    assert reported("FR004", judged(WHEEL_NAME, "Metadata-Version: 2.1\n")) == [
        (
            f"a line `{field}: ...`",
            "there is none",
            f"set `{field.lower()}` in the [project] table of pyproject.toml",
            ABOUT,
        )
        for field in ("Name", "Version")
    ]
    assert reported("FR004", judged(WHEEL_NAME, GOOD.replace("1.0", "one"))) == [
        (
            "a version such as 1.2.0 (PEP 440)",
            "one",
            "set a `version` that follows PEP 440",
            ABOUT,
        )
    ]
    names = "a file name that begins with name and version in METADATA, demo and 1.0"
    for file in ("other-1.0-py3-none-any.whl", "demo-2.0-py3-none-any.whl"):
        assert reported("FR004", judged(file, GOOD)) == [(names, file, anew, file)]
    ((expected, _, hint, file_at_fault),) = reported("FR004", judged("demo.whl", GOOD))
    assert (expected, hint, file_at_fault) == (
        "NAME-VERSION-PYTHON-ABI-PLATFORM.whl",
        anew,
        "demo.whl",
    )
    installed = replace(judged(WHEEL_NAME, GOOD), path=Path("demo-1.0.dist-info"))
    assert reported("FR004", installed) == []


NO_FILE = "FileNotFoundError: [Errno 2] No such file or directory: "


@pytest.mark.parametrize(
    ("stage", "said", "fix"),
    [
        (
            "wheel",
            f"{NO_FILE}'requirements.txt'",
            "the wheel is built from the sdist, and that lacks requirements.txt: add the line\n"
            "    include requirements.txt\nto MANIFEST.in",
        ),
        (
            "wheel",
            "ModuleNotFoundError: No module named 'own_backend'",
            "the wheel is built from the sdist, and that lacks tools/own_backend.py: add the "
            "line\n    include tools/own_backend.py\nto MANIFEST.in",
        ),
        (
            "sdist",
            "OSError: Readme file does not exist: README.md",
            "add README.md to the folder, or take it out of pyproject.toml or setup.py",
        ),
        (
            "sdist",
            "ModuleNotFoundError: No module named 'six'",
            "add the distribution that brings the module 'six' to the `requires` of "
            "[build-system]",
        ),
        (
            "sdist",
            "ModuleNotFoundError: No module named 'six'\n    return _expand.read_attr(...)",
            "add the distribution that brings the module 'six' to the `requires` of "
            "[build-system], or write the version in pyproject.toml instead of reading it from "
            "the package",
        ),
        (
            "sdist",
            "x-1.0.tar.gz cannot be unpacked: the link 'x-1.0/a' leads out of its folder",
            "put the file itself in the place of the link, or leave the link out of the sdist; "
            "`python -m build` refuses it too",
        ),
        (
            "sdist",
            f"{NO_FILE}'requirements.txt'",
            "run `python -m build --sdist` and fix what it complains about",
        ),
        (
            "wheel",
            f"{NO_FILE}'{'x' * 900}'",
            f"add {'x' * 900} to the folder, or take it out of pyproject.toml or setup.py",
        ),
    ],
)
def test_a_build_that_lacks_something(tmp_path: Path, stage: Any, said: str, fix: str) -> None:
    (tmp_path / "setup.py").write_text("")
    (tmp_path / "requirements.txt").write_text("")
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "own_backend.py").write_text("")
    build = Build("source", ".", Built(None, BuildFailure(stage, said)), tmp_path)
    (found,) = REGISTRY["FR001"].judge(build)
    assert isinstance(found, Finding)
    assert (found.hint, found.file) == (fix, "setup.py")


def test_a_wheel_for_another_platform(tmp_path: Path) -> None:
    said = f"{WHEEL_NAME} is not a supported wheel on this platform."
    ((_, found, hint, file),) = reported(
        "FR002", installation_of(tmp_path, finished=ended(f"ERROR: {said}"))
    )
    assert (found, file) == (said, WHEEL_NAME)
    assert hint.startswith("its file name says for which Python and platform it is: ")
