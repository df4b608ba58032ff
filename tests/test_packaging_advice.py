"""What is said of a lost manifest where no edit can be given, or only in words."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from lossy_projects import (
    FLIT,
    HATCHLING,
    NAME,
    PDM,
    POETRY,
    PROJECT,
    SETUP,
    SETUPTOOLS,
    UV,
    Case,
    backend,
    make,
    toml,
)

from pytest_fractal.packaging_hints.backends import Hint, packaging_hint, packaging_hint_for_module


def hint_for(tree: Path, files: dict[str, str], folder: str = "my_tasks") -> Hint:
    tree.mkdir(exist_ok=True)
    return packaging_hint(tree, make(tree, Case("", files, folder=folder)))


def test_package_data_that_is_computed_is_left_to_the_author(tmp_path: Path) -> None:
    hint = hint_for(tmp_path / "tree", {"setup.py": SETUP.format("package_data=find_data(),")})
    assert not hint.additions
    assert not hint.removals
    assert 'Add "__FRACTAL_MANIFEST__.json" to package_data["my_tasks"] in setup.py.' in hint.text


def test_equal_lines_in_one_file_are_reported_in_words_only(tmp_path: Path) -> None:
    """Which of them an edit means could not be known."""
    line = 'exclude = ["*.json", "docs"]\n'
    tables = "".join(f"[tool.hatch.build.targets.{name}]\n{line}" for name in ("sdist", "wheel"))
    hint = hint_for(tmp_path / "tree", toml(HATCHLING + tables))
    assert not hint.additions
    assert not hint.removals
    assert "`exclude` in [tool.hatch.build.targets.sdist]" in hint.text
    assert "`exclude` in [tool.hatch.build.targets.wheel]" in hint.text
    assert hint.text.count('    exclude = ["docs"]') == 2


def test_a_backend_of_the_projects_own_is_known_by_what_it_requires(tmp_path: Path) -> None:
    text = (
        '[build-system]\nrequires = ["hatchling>=1.2"]\nbuild-backend = "ours"\n'
        'backend-path = ["."]\n' + PROJECT + '[tool.hatch.build]\nexclude = ["*.json"]\n'
    )
    hint = hint_for(tmp_path / "tree", toml(text))
    assert hint.removals == (("pyproject.toml", 'exclude = ["*.json"]'),)


def test_a_gitignore_above_the_project_counts(tmp_path: Path) -> None:
    """A project in a folder of a larger repository."""
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text("data/\n*.json\n")
    hint = hint_for(tmp_path / "project", toml(POETRY))
    (addition,) = hint.additions
    assert (addition.file, addition.text) == ("../.gitignore", "!__FRACTAL_MANIFEST__.json")


def test_an_unknown_backend_is_named(tmp_path: Path) -> None:
    text = backend("maturin", "maturin") + PROJECT
    hint = hint_for(tmp_path / "tree", toml(text))
    assert hint.text.startswith("The build backend maturin leaves it out")


@pytest.mark.parametrize("text", [FLIT, PDM, UV])
def test_a_loss_without_a_visible_cause_says_what_the_backend_needs(
    tmp_path: Path, text: str
) -> None:
    hint = hint_for(tmp_path / "tree", toml(text))
    assert "my_tasks" in hint.text
    assert not hint.additions
    assert not hint.removals


@pytest.mark.parametrize("text", ["", "no toml [", SETUPTOOLS + "[tool]\nsetuptools = 1\n"])
def test_files_that_cannot_be_read_do_no_harm(tmp_path: Path, text: str) -> None:
    assert NAME in hint_for(tmp_path / "tree", toml(text)).text


def test_a_module_that_hatchling_leaves_out_gets_the_lines(tmp_path: Path) -> None:
    module = tmp_path / "my_tasks" / "tasks" / "blur.py"
    module.parent.mkdir(parents=True)
    module.touch()
    (tmp_path / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n\n'
        '[project]\nname = "my-tasks"\nversion = "1"\n\n'
        '[tool.hatch.build]\ninclude = ["my_tasks/*.py"]\n'
    )
    hint = packaging_hint_for_module(tmp_path, PurePosixPath("my_tasks/tasks/blur.py"))
    assert hint is not None
    assert "my_tasks/tasks/blur.py" in hint.text
    assert "include" in hint.text
