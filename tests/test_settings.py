"""What the user types is read in all its forms, and refused in one sentence."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_fractal.errors import BadInput
from pytest_fractal.package_spec import PackageSpec, parse_package
from pytest_fractal.rules import REGISTRY
from pytest_fractal.selection import CodePattern, parse_codes, parse_ignores
from pytest_fractal.settings import Settings


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a project, and wheels."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "pyproject.toml").touch()
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "setup.py").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "demo-1.0-py3-none-any.whl").touch()
    (tmp_path / "dist" / "demo-1.0.tar.gz").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("text", "path", "extras"),
    [
        ("project", "project", ()),
        ("./project/", "project", ()),
        (" project ", "project", ()),
        ("old", "old", ()),
        ("project/../old", "old", ()),
        ("project[gpu]", "project", ("gpu",)),
        ("./project[gpu, docs]", "project", ("gpu", "docs")),
        ("project/[gpu]", "project", ("gpu",)),
        ("project[]", "project", ()),
    ],
)
def test_a_folder_is_a_source_tree(
    place: Path, text: str, path: str, extras: tuple[str, ...]
) -> None:
    expected = PackageSpec("source", text, (place / path).resolve(), None, extras)
    assert parse_package(text, place) == expected


def test_the_folder_itself_and_the_home_are_source_trees(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(place))
    project = (place / "project").resolve()
    assert parse_package(".", project).path == project
    assert parse_package(".[gpu]", project).extras == ("gpu",)
    assert parse_package("~/project", Path("/")).path == project
    assert parse_package(str(project), Path("/")).path == project


@pytest.mark.parametrize(
    ("text", "extras"),
    [
        ("dist/demo-1.0-py3-none-any.whl", ()),
        ("dist/demo-1.0-py3-none-any.whl[gpu]", ("gpu",)),
        ("dist/*.whl", ()),
        ("dist/*.whl[gpu,docs]", ("gpu", "docs")),
    ],
)
def test_a_file_is_a_wheel(place: Path, text: str, extras: tuple[str, ...]) -> None:
    wheel = (place / "dist" / "demo-1.0-py3-none-any.whl").resolve()
    assert parse_package(text, place) == PackageSpec("wheel", text, wheel, None, extras)


@pytest.mark.parametrize(
    ("text", "requirement", "extras"),
    [
        ("demo", "demo", ()),
        ("demo==1.2", "demo==1.2", ()),
        ("demo[gpu]==1.2", "demo==1.2", ("gpu",)),
        ("demo [gpu, docs] >= 1, <2", "demo<2,>=1", ("docs", "gpu")),
        ("Demo.Tasks==1.0.*", "Demo.Tasks==1.0.*", ()),
    ],
)
def test_anything_else_is_a_requirement(
    place: Path, text: str, requirement: str, extras: tuple[str, ...]
) -> None:
    assert parse_package(text, place) == PackageSpec(
        "requirement", text, None, requirement, extras
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty package"),
        ("  ", "empty package"),
        ("./none", "no such folder"),
        ("none/project", "no such folder"),
        ("~/none", "no such folder"),
        ("..\\none", "no such folder"),
        ("a b", "no such folder, and not a requirement"),
        ("demo==", "not a requirement"),
        ("[gpu]", "not a requirement"),
        ("empty", "no Python project"),
        ("dist/demo-1.0.tar.gz", "unpack an sdist"),
        ("none.whl", "no such file"),
        ("none/*.whl", "no such file"),
        ("demo @ git+https://example.org/demo", "give a name and a version"),
        ("demo==1; python_version > '3'", "give a name and a version"),
    ],
)
def test_what_names_nothing_is_refused_in_one_sentence(
    place: Path, text: str, reason: str
) -> None:
    with pytest.raises(BadInput, match=reason) as caught:
        parse_package(text, place)
    assert "\n" not in str(caught.value)
    assert text.strip() in str(caught.value)


def test_two_wheels_for_one_pattern_are_refused_by_name(place: Path) -> None:
    (place / "dist" / "demo-2.0-py3-none-any.whl").touch()
    with pytest.raises(BadInput, match=r"2 wheels match: demo-1\.0-.*, demo-2\.0-"):
        parse_package("dist/*.whl", place)


def test_anchors_are_files_relative_to_the_root_or_the_requirement(place: Path) -> None:
    place = place.resolve()
    anchors = [
        parse_package(text, place).anchor(place)
        for text in ("project[gpu]", "old", "dist/*.whl", "demo[gpu]==1.2")
    ]
    assert anchors == [
        "project/pyproject.toml",
        "old/setup.py",
        "dist/demo-1.0-py3-none-any.whl",
        "demo==1.2",
    ]
    above = parse_package(str(place / "project"), place).anchor(place / "old")
    assert above == "../project/pyproject.toml"


def test_codes_are_prefixes_or_for_one_task() -> None:
    assert parse_codes("FR1, fr205,FR301[my_task],,FR2[a,b]") == (
        CodePattern("FR1"),
        CodePattern("FR205"),
        CodePattern("FR301", "my_task"),
        CodePattern("FR2", "a,b"),
    )
    assert parse_codes("") == ()


@pytest.mark.parametrize(
    "text", ["FR999", "FR1020", "E501", "FR205[]", "FR205[a", "manifest", "1"]
)
def test_an_unknown_code_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="no rule has this code"):
        parse_codes(text)
    with pytest.raises(BadInput, match="no rule has this code"):
        parse_ignores([f"{text}: because"])


def test_an_ignore_of_the_ini_file_needs_its_reason() -> None:
    lines = ["", "FR205: by hand, until 2.0", "FR301[my_task]: needs a GPU: see #3 "]
    assert parse_ignores(lines) == (
        CodePattern("FR205", None, "by hand, until 2.0"),
        CodePattern("FR301", "my_task", "needs a GPU: see #3"),
    )
    for line in ("FR205", "FR205:", "FR205[my_task] :  "):
        with pytest.raises(BadInput, match="FR205 has no reason"):
            parse_ignores([line])


def test_patterns_match_prefixes_and_either_name_of_a_task() -> None:
    rule = REGISTRY["FR205"]
    assert CodePattern("FR2").matches(rule)
    assert CodePattern("FR2").matches(rule, "any_task")
    assert not CodePattern("FR1").matches(rule)
    assert CodePattern("FR205", "ä_b").matches(rule, "_b", "ä_b")
    assert not CodePattern("FR205", "a").matches(rule, "b")
    assert not CodePattern("FR205", "a").matches(rule)


def test_selecting_and_ignoring() -> None:
    rule, other = REGISTRY["FR205"], REGISTRY["FR101"]
    everything = Settings()
    assert everything.selects(rule)
    assert everything.ignored(rule) is None
    ignore = (*parse_ignores(["FR205[a]: by hand"]), *parse_codes("FR1"))
    some = Settings(select=parse_codes("FR2"), ignore=ignore)
    assert some.selects(rule)
    assert not some.selects(other)
    assert some.ignored(rule, "a") == "by hand"
    assert some.ignored(rule, "b") is None
    assert some.ignored(other) == "on the command line"


def test_a_pattern_with_a_task_that_is_not_there_is_refused() -> None:
    settings = Settings(ignore=parse_codes("FR205[a]"))
    settings.check_tasks(["a", "b"])
    with pytest.raises(BadInput, match=r"FR205\[a\]: no task has this slug; there are: b, c"):
        settings.check_tasks(["b", "c"])


@pytest.mark.parametrize("pin", ["numpy==1.26.4", "numpy == 1.26", "A.b-c==1!2.0.post1+local"])
def test_a_pin_is_a_name_and_one_version(pin: str) -> None:
    assert Settings(pins=(pin,)).pins == (pin,)


@pytest.mark.parametrize(
    "pin",
    [
        "numpy",
        "numpy>=1",
        "numpy==1,!=2",
        "numpy===1",
        "==1",
        "",
        "numpy==1 2",
        "numpy[x]==1",
        "numpy @ https://example.org/n.whl",
        "numpy==1; python_version > '3'",
    ],
)
def test_what_is_no_pin_is_refused(pin: str) -> None:
    with pytest.raises(BadInput, match="a pin has the form name==version"):
        Settings(pins=(pin,))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"installer": "conda"}, "choose uv or pip"),
        ({"timeout": 0}, "time limit"),
        ({"timeout": -1.0}, "time limit"),
        ({"timeout": math.inf}, "time limit"),
        ({"timeout": math.nan}, "time limit"),
        ({"jobs": -1}, "jobs"),
    ],
)
def test_options_of_no_use_are_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        Settings(**options)


def test_as_many_jobs_as_asked_for_or_as_there_are_cores() -> None:
    assert Settings(jobs=3).width == 3
    assert Settings().width >= 1


def test_a_server_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "urllib3" else 1)
    with pytest.raises(BadInput, match=r"pip install pytest-fractal\[server\]"):
        Settings(server="")
    Settings()


def test_a_run_without_a_server_imports_no_client() -> None:
    """So the library of the client is in the extra alone."""
    code = (
        "import sys, pytest_fractal.api, pytest_fractal.session; print('urllib3' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
