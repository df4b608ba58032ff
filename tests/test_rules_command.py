"""FR3: what a finding on a command tells its reader."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
from kept_environments import KeptEnvironments
from wheel_factory import TASK_SOURCE, good_manifest, make_wheel

from pytest_fractal import check_package
from pytest_fractal.candidate.dependency_lines import dependency_lines
from pytest_fractal.rules.script_hints import with_option_names

Hints = dict[str, str]

pytestmark = pytest.mark.usefixtures("any_environment")


FAILING = {
    "refuses": 'raise ImportError("pip requires Setuptools 99.0 or newer, found 1.0")\n',
    "lost": "raise ModuleNotFoundError(\"No module named 'pkg_resources'\")\n",
    "hidden": "from random import randint\n",
    "hidden_from_others": "import tempfile\n",
    "hidden_dependency": "from packaging.version import Version\n",
    "hidden_package": "from demo.helper import x\n",
    "nameless": "from near import x\n",
}
"""The first lines of a script each, which stands in a folder of its own."""


@pytest.fixture(scope="module")
def hints(tmp_path_factory: pytest.TempPathFactory, environments: KeptEnvironments) -> Hints:
    """By task, what to do about one that does not start; all are of one wheel."""
    files = {
        "__init__.py": "",
        "helper.py": "x = 1\n",
        "nameless/near.py": "",
        "hidden/random.py": "nothing = None\n",
        "hidden_from_others/random.py": "nothing = None\n",
        "hidden_dependency/packaging.py": "nothing = None\n",
        "hidden_package/demo.py": "nothing = None\n",
        **{f"{name}/task.py": lines + TASK_SOURCE for name, lines in FAILING.items()},
    }
    manifest = good_manifest()
    (task,) = manifest["task_list"]
    manifest["task_list"] = [
        {**task, "name": name, "executable": f"{name}/task.py"} for name in FAILING
    ]
    wheel = make_wheel(
        tmp_path_factory.mktemp("failing"),
        files=files,
        manifest=manifest,
        metadata="Requires-Dist: packaging",
    )
    with environments.handed_out():
        (candidate,) = check_package(wheel, select=["FR301"]).candidates
    assert len(candidate.findings) == len(FAILING)
    return {str(found.task): found.hint for _, found in candidate.findings}


def test_a_package_that_refuses_another_is_named_with_both_versions(hints: Hints) -> None:
    """Compiled modules check what they run with themselves: installers know nothing of it."""
    reported = hints["refuses"]
    assert re.match(r"pip \d[\w.]+ does not fit to setuptools \d[\w.]+: limit ", reported)


def test_for_a_module_that_setuptools_had_the_last_release_with_it_is_named(
    hints: Hints,
) -> None:
    assert hints["lost"].startswith('add "setuptools<82" to the dependencies')


def findings(wheel: Path, *codes: str) -> list[tuple[str, str]]:
    """Code and hint of each finding."""
    (candidate,) = check_package(wheel, select=list(codes)).candidates
    return [(code, found.hint) for code, found in candidate.findings]


@pytest.mark.parametrize(
    ("task", "module"),
    [
        ("hidden", "random"),
        ("hidden_from_others", "random"),
        ("hidden_dependency", "packaging"),
        ("hidden_package", "demo"),
    ],
)
def test_a_file_that_hides_a_module_is_named(hints: Hints, task: str, module: str) -> None:
    reported = f"demo/{task}/{module}.py takes the place of the module '{module}'"
    assert hints[task].startswith(reported)


def test_a_module_beside_the_script_that_lacks_a_name_hides_nothing(hints: Hints) -> None:
    """The script's folder is on the path, and some packages import by that."""
    assert "takes the place" not in hints["nameless"]


def test_who_holds_a_version_back_is_named(tmp_path: Path) -> None:
    refuses = 'raise ImportError("pip requires packaging 99.0 or newer")\n'
    wheel = make_wheel(
        tmp_path,
        files={"__init__.py": "", "task.py": refuses + TASK_SOURCE},
        metadata="Requires-Dist: packaging<24",
    )
    ((_, hint),) = findings(wheel, "FR301")
    assert "(demo 1.0 asks for packaging<24)" in hint


def test_the_line_of_the_dependencies_is_named(tmp_path: Path) -> None:
    assert dependency_lines(_tree(tmp_path / "a", "pyproject.toml", PYPROJECT)) == {
        "": "pyproject.toml, line 6",
        "numpy": "pyproject.toml, line 7",
        "scikit-image": "pyproject.toml, line 8",
    }
    assert dependency_lines(_tree(tmp_path / "b", "pyproject.toml", POETRY)) == {
        "": "pyproject.toml, line 3",
        "python": "pyproject.toml, line 4",
        "numpy": "pyproject.toml, line 5",
    }
    assert dependency_lines(_tree(tmp_path / "c", "setup.cfg", SETUP_CFG)) == {
        "": "setup.cfg, line 4",
        "numpy": "setup.cfg, line 5",
    }
    assert dependency_lines(_tree(tmp_path / "d", "pyproject.toml", "[broken")) == {}
    assert dependency_lines(tmp_path) == {}


PYPROJECT = """\
[build-system]
requires = ["hatchling"]
[project]
name = "a"
version = "1"
dependencies = [
    "numpy>=1.20",
    "scikit-image",
]
"""
POETRY = """\
[tool.poetry]
name = "a"
[tool.poetry.dependencies]
python = "^3.9"
numpy = {version = ">1"}

[tool.poetry.group.dev.dependencies]
pytest = "*"
"""
SETUP_CFG = """\
[metadata]
name = a
[options]
install_requires =
    numpy>=1
packages = find:
"""


def _tree(folder: Path, name: str, text: str) -> Path:
    folder.mkdir()
    (folder / name).write_text(text)
    return folder


def test_the_lines_that_call_the_task_make_it_run(tmp_path: Path) -> None:
    """What FR303 prints for a script that only defines its function, added to its end."""
    source = TASK_SOURCE.partition("if __name__")[0]
    files = {"__init__.py": "", "task.py": source}
    wheel = make_wheel(tmp_path / "before", files=files)
    ((code, hint),) = findings(wheel, "FR3")
    assert code == "FR303"
    files["task.py"] = source + textwrap.dedent(hint.partition("\n")[2])
    assert "main(**" in files["task.py"]
    assert findings(make_wheel(tmp_path / "after", files=files), "FR3") == []


def test_the_options_of_the_other_version_get_one_more_name(tmp_path: Path) -> None:
    """A new name in place of the old one would change that of the value, and break the script."""
    source = TASK_SOURCE.replace('"-j", "--json"', '"--args-json", dest="json"')
    source = source.replace("--metadata-out", "--out-json").replace("metadata_out", "out_json")
    files = {"__init__.py": "", "task.py": source}
    ((code, hint),) = findings(make_wheel(tmp_path / "before", files=files), "FR302")
    assert (code, hint) == (
        "FR302",
        "give the option --args-json the name -j and --out-json the name --metadata-out too "
        "(demo/task.py:14, demo/task.py:15)",
    )
    names = {"--args-json": "-j", "--out-json": "--metadata-out"}
    files["task.py"] = with_option_names(source, names)
    assert findings(make_wheel(tmp_path / "after", files=files), "FR302") == []


@pytest.mark.parametrize(
    ("declared", "named"),
    [
        ('add_argument("--input")', 'add_argument("--input", "--args-json")'),
        ('add_argument("-i")', 'add_argument("-i", "--args-json", dest="i")'),
        ('add_argument("-i", dest="x")', 'add_argument("-i", "--args-json", dest="x")'),
        ('add_argument("-i", "--in", type=Path)', 'add_argument("-i", "--in", "--args-json", '),
        ('click.option(\n    "ä", "--input",\n    required=True)', '"--input", "--args-json",\n'),
        ('typer.Option("--input", "-i")', 'typer.Option("--input", "-i", "--args-json")'),
    ],
)
def test_an_option_gets_its_new_name_behind_its_own(declared: str, named: str) -> None:
    option = "--input" if "--input" in declared else "-i"
    assert named in with_option_names(f"x = 1\n{declared}\n", {option: "--args-json"})


@pytest.mark.parametrize("kind", ["schema", "both", "unreadable"])
def test_fr205_says_which_of_the_two_lacks_an_argument(tmp_path: Path, kind: str) -> None:
    manifest = good_manifest()
    schema = manifest["task_list"][0]["args_schema"]
    del schema["properties"]["metadata"]
    schema["required"].remove("metadata")
    source = TASK_SOURCE
    if kind == "both":
        source = source.replace("metadata: dict, ", "")
    if kind == "unreadable":
        source = source.replace("def main", "import x\n@x.y\ndef main")
    files = {"__init__.py": "", "task.py": source}
    ((code, hint),) = findings(make_wheel(tmp_path, files=files, manifest=manifest), "FR205")
    add = 'add "metadata": {"type": "object"} to its properties, and "metadata" to its `required`'
    start = {
        "schema": "`main()` (demo/task.py:8) takes it, the schema lacks it: ",
        "both": "neither `main()` (demo/task.py:8) nor the schema has it: give the function that "
        "parameter, and ",
        "unreadable": "if the function takes 'metadata', ",
    }
    assert (code, hint.partition("; else")[0]) == ("FR205", start[kind] + add)
