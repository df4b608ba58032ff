"""Patterns of packaging files name what git and the build backends take them to name."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from pytest_fractal.packaging_hints.patterns import globs, ignores

FILE = PurePosixPath("src/demo/__FRACTAL_MANIFEST__.json")


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.json", True),
        ("__FRACTAL_MANIFEST__.json", True),
        ("demo", True),
        ("demo/", True),
        ("src/demo/*.json", True),
        ("/src", True),
        ("src/**/*.json", True),
        ("**/demo/*", True),
        ("__FRACTAL_[A-N]*.json", True),
        # With a slash before its end, a pattern begins at the root.
        ("/demo", False),
        ("/*.json", False),
        ("demo/*.json", False),
        ("demo/__FRACTAL_MANIFEST__.json", False),
        ("*.toml", False),
        ("src/*.json", False),
        ("emo", False),
        ("__FRACTAL_[!A-N]*.json", False),
        # A folder only, and this is a file.
        ("*.json/", False),
    ],
)
def test_a_pattern_of_gitignore(pattern: str, names: bool) -> None:
    assert ignores(pattern, FILE) is names


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("src/demo/*.json", True),
        ("./src/demo", True),
        ("src", True),
        ("**/*.json", True),
        # Unlike git, a glob always begins at the root.
        ("*.json", False),
        ("demo", False),
    ],
)
def test_a_glob_from_the_root(pattern: str, names: bool) -> None:
    assert globs(pattern, FILE) is names
