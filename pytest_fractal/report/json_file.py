"""The report as JSON; `docs/report.schema.json` says what is in it."""

from __future__ import annotations

import json

from pytest_fractal.report.model import Report


def render(report: Report) -> str:
    """The report as JSON."""
    return json.dumps(report.to_dict(), indent=2, ensure_ascii=False) + "\n"
