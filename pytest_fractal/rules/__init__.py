"""The rules, in the order of the specification. Importing this declares them all."""

from __future__ import annotations

from pytest_fractal.rules import package, manifest, task_entries, stored_texts  # isort: skip  # noqa: F401
from pytest_fractal.rules import known_words, schemas, web_form, up_to_date  # isort: skip  # noqa: F401
from pytest_fractal.rules import command, output, environment, server, cluster  # isort: skip  # noqa: F401
from pytest_fractal.rules.registry import REGISTRY, Note, Rule

__all__ = ["REGISTRY", "Note", "Rule"]
