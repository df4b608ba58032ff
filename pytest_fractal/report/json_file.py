"""The report as a JSON file."""

from __future__ import annotations

import json
from pathlib import Path

from pytest_fractal.report.model import Report


def write_json(report: Report, path: Path) -> None:
    """Write the report to `path`, as UTF-8 JSON; an older file is replaced at once."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(report.to_dict(), indent=2, ensure_ascii=False) + "\n", "utf-8")
    partial.replace(path)
