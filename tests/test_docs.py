"""The documents follow from the code."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_generated_documents_are_up_to_date(generate: ModuleType) -> None:
    for path, text in generate.contents().items():
        assert path.read_text("utf-8") == text, f"run python docs/generate.py for {path.name}"


def test_every_option_is_in_the_readme(pytester: pytest.Pytester) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    shown = pytester.runpytest("--help").stdout.str()
    options = {word.partition("=")[0] for word in shown.split() if word.startswith("--fractal-")}
    assert len(options) > 10
    for option in options:
        assert f"`{option}" in readme


def test_the_layout_in_the_architecture_names_every_module() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    for path in (ROOT / "pytest_fractal").rglob("*.py"):
        if path.name != "__init__.py" or path.parent.name == "pytest_fractal":
            assert path.name in text, f"docs/architecture.md does not say what {path.name} is for"
