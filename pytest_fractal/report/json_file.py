"""The report as a JSON file."""

from __future__ import annotations

import json
from pathlib import Path

from pytest_fractal.report.model import Report


def write_json(report: Report, path: Path) -> None:
    """Write the report to `path`, as UTF-8 JSON; an older file is replaced at once."""
    partial = path.with_name(path.name + ".partial")
    text = json.dumps(report.to_dict(), indent=2, ensure_ascii=False) + "\n"
    # Half of a surrogate pair, as a broken manifest may have it, stays a JSON escape.
    partial.write_text(text, "utf-8", "backslashreplace")
    partial.replace(path)
