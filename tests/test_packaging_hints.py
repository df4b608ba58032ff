"""A build loses the manifest; exactly what the hint says is done; the build has it.

Every case is a small package whose sdist and wheel are really built, by its own backend.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
from all_backends import Backends
from lossy_projects import CASES, CFG, HATCHLING, NAME, SETUPTOOLS, Case, make, toml

from pytest_fractal.fixes.applying import Plan, plan_changes, write
from pytest_fractal.packaging_hints.backends import Hint, packaging_hint, packaging_hint_for_module


@pytest.fixture(scope="session")
def backends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backends]:
    backends = Backends(tmp_path_factory.mktemp("backends"))
    with backends.server as server:
        yield backends
        assert server.stdin
        server.stdin.close()


def obey(hint: Hint, tree: Path) -> None:
    """Do what the structured form of the hint says, and nothing else."""
    for addition in hint.additions:
        path = tree / addition.file
        lines = path.read_text().splitlines() if path.exists() else []
        place = len(lines)
        if addition.table is not None:
            place = [line.strip() for line in lines].index(addition.table.strip()) + 1
        lines[place:place] = addition.text.splitlines()
        path.write_text("\n".join(lines) + "\n")
    for file, line in hint.removals:
        lines = (tree / file).read_text().splitlines()
        lines.remove(line)
        (tree / file).write_text("\n".join(lines) + "\n")


def assert_text_says_the_same(hint: Hint) -> None:
    said = hint.text.splitlines()
    for addition in hint.additions:
        block = textwrap.indent(addition.text.strip("\n"), "    ")
        assert block in hint.text
        assert addition.file in hint.text
        if addition.table is not None:
            assert addition.table in hint.text
    for file, line in hint.removals:
        assert "    " + line in said
        assert file in hint.text


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_the_hint_says_brings_the_manifest_into_the_wheel(
    case: Case, backends: Backends, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    manifest = make(tree, case)
    wanted = f"{case.inside}/{NAME}"
    _, lost = backends.build(tree, tmp_path / "before")
    assert (f"{case.inside}/__init__.py" in lost) is not case.whole
    assert wanted not in lost

    hint = packaging_hint(tree, manifest)
    for words in case.says:
        assert words in hint.text
    assert_text_says_the_same(hint)
    assert hint.additions or hint.removals or case.moved_to
    is_outside = any(file.file.startswith("..") for file in (hint.fix.files if hint.fix else ()))
    assert (hint.fix is None) is bool(case.moved_to)
    plan = Plan() if hint.fix is None or is_outside else plan_changes(tree, [hint.fix])
    assert not plan.left
    if case.moved_to:
        (tree / manifest).rename(tree / case.moved_to / NAME)
    obey(hint, tree)
    # As data, the fix comes to the very same text.
    for change in plan.changes:
        assert (tree / change.file).read_bytes() == change.after

    sdist, wheel = backends.build(tree, tmp_path / "after")
    assert str(PurePosixPath(case.moved_to or case.folder, NAME)) in sdist
    assert wanted in wheel
    assert [path for path in wheel if path.endswith(NAME)] == [wanted]


def test_of_lines_that_are_alike_the_number_is_said(tmp_path: Path) -> None:
    lists = "".join(
        f'[tool.hatch.build.targets.{name}]\ninclude = [\n    "*.py",\n]\n'
        for name in ("sdist", "wheel")
    )
    text = HATCHLING + lists
    manifest = make(tmp_path, Case("", toml(text)))
    number = text.splitlines().index("include = [") + 1
    said = packaging_hint(tmp_path, manifest).text
    assert f"In pyproject.toml, add below line {number}, include = [\n" in said


def test_where_nothing_tells_how_setuptools_loses_it_that_is_said(tmp_path: Path) -> None:
    settings = SETUPTOOLS + '[tool.setuptools.package-data]\nmy_tasks = ["*.json"]\n'
    manifest = make(tmp_path, Case("", toml(settings)))
    hint = packaging_hint(tmp_path, manifest)
    assert hint.fix is None
    assert "tells why setuptools leaves it out" in hint.text


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            toml(SETUPTOOLS + '[tool.setuptools]\npackages = ["my_tasks"] # all\n'),
            'packages = ["my_tasks", "my_tasks.tasks"] # all',
        ),
        (
            {"setup.cfg": CFG, "setup.py": "import setuptools; setuptools.setup()"},
            "Create an empty my_tasks/tasks/__init__.py",
        ),
    ],
)
def test_the_package_of_a_script_is_packed_by_setuptools(
    files: dict[str, str], said: str, backends: Backends, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    make(tree, Case("", files))
    script = PurePosixPath("my_tasks/tasks/blur.py")
    (tree / script).parent.mkdir()
    (tree / script).touch()
    hint = packaging_hint_for_module(tree, script)
    assert hint is not None
    assert hint.fix is not None
    assert said in hint.text
    for change in plan_changes(tree, [hint.fix]).changes:
        write(tree, change)
    _, wheel = backends.build(tree, tmp_path / "after")
    assert str(script) in wheel


FORMS = {
    "entries-in-one-line-of-several": toml(
        HATCHLING + '[tool.hatch.build]\nexclude = [  # big\n  "docs", "*.json",\n]\n'
    ),
    "equal-lines": toml(
        HATCHLING
        + "".join(
            f'[tool.hatch.build.targets.{name}]\nexclude = ["*.json", "docs"]\n'
            for name in ("sdist", "wheel")
        )
    ),
    "inline-and-dotted": toml(
        HATCHLING + '[tool.hatch]\nbuild = {exclude = ["*.json"], "dev-mode-dirs" = ["."]}\n'
    ),
    "cfg-several-in-one-line": {
        "setup.cfg": CFG + "[options.packages.find]\nexclude =\n    tests, docs\n    my_tasks\n"
        "[options.package_data]\n# kept\nmy_tasks = *.txt, *.csv\n",
        "setup.py": "from setuptools import setup\nsetup()\n",
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_the_fix_as_data_reaches_what_no_line_shows(
    form: str, backends: Backends, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    manifest = make(tree, Case("", FORMS[form]))
    hint = packaging_hint(tree, manifest)
    assert hint.fix is not None
    plan = plan_changes(tree, [hint.fix])
    assert not plan.left
    for change in plan.changes:
        assert change.before is not None
        kept = [line for line in change.before.splitlines() if b"#" in line]
        assert [line for line in change.after.splitlines() if b"#" in line] == kept
        write(tree, change)
    _, wheel = backends.build(tree, tmp_path / "after")
    assert f"my_tasks/{NAME}" in wheel
