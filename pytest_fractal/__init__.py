"""Tells the authors of a Fractal task package whether Fractal can collect and run it.

The public API, without pytest: `check_package` and what it returns. Everything is
imported when it is asked for, since pytest loads this package in every run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_fractal.api import TaskRun, check_package
    from pytest_fractal.errors import BadInput, HarnessError
    from pytest_fractal.report.model import CandidateReport, Report
    from pytest_fractal.verdicts import Finding, Outcome, Severity, Verdict

__all__ = [
    "BadInput",
    "CandidateReport",
    "Finding",
    "HarnessError",
    "Outcome",
    "Report",
    "Severity",
    "TaskRun",
    "Verdict",
    "check_package",
]

_HOMES = {
    "BadInput": "errors",
    "CandidateReport": "report.model",
    "Finding": "verdicts",
    "HarnessError": "errors",
    "Outcome": "verdicts",
    "Report": "report.model",
    "Severity": "verdicts",
    "TaskRun": "api",
    "Verdict": "verdicts",
    "check_package": "api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
