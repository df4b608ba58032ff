"""The rules, in the order of their codes. Importing this declares them all."""

from __future__ import annotations

from pytest_fractal.rules import (  # noqa: F401
    cluster,
    command,
    environment,
    executables,
    known_words,
    manifest,
    manifest_fields,
    output,
    package,
    sample_files,
    schema_arguments,
    schemas,
    server,
    stored_texts,
    task_entries,
    up_to_date,
    web_form,
)
from pytest_fractal.rules.registry import REGISTRY, Note, Rule

for code in sorted(REGISTRY):
    REGISTRY[code] = REGISTRY.pop(code)

__all__ = ["REGISTRY", "Note", "Rule"]
