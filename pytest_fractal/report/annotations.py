"""Findings as workflow commands of GitHub Actions, which shows them at their lines."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_fractal.report.model import CandidateReport
from pytest_fractal.report.overview import ToFix, escape_control_chars, to_fix
from pytest_fractal.report.repository import in_repository
from pytest_fractal.rules import REGISTRY


def workflow_commands(candidate: CandidateReport, strict: bool) -> Iterator[str]:
    """A workflow command for each finding, those that fail first.

    GitHub shows ten errors and ten warnings of a step, and all of them in its log.
    """
    for entry in to_fix(candidate, strict):
        yield _command(candidate, entry)


def _command(candidate: CandidateReport, one: ToFix) -> str:
    verdict, found = one.verdict, one.finding
    task = verdict.task or (found.task if found else None)
    about = f" [{task}]" if task else ""
    properties: dict[str, str | int | None] = {}
    if found is None:
        message = f"could not be checked: {verdict.reason}"
    else:
        place = found.place
        if (file := in_repository(candidate, place)) is not None and place is not None:
            properties = {"file": file, "line": place.line, "col": place.column}
        message = f"expected: {found.expected}\nfound: {found.found}\nfix: {found.hint}"
        if verdict.code in REGISTRY:
            message += f"\nsee: {REGISTRY[verdict.code].page}"
    properties["title"] = f"{verdict.code} {verdict.rule}{about}"
    listed = ",".join(
        f"{name}={_property(str(value))}"
        for name, value in properties.items()
        if value is not None
    )
    return f"::{'error' if one.heavy else 'warning'} {listed}::{_data(message)}"


def _data(text: str) -> str:
    return escape_control_chars(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
