"""The report as SARIF 2.1.0, which code scanning shows beside the lines of a repository."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import PurePath
from typing import Any, Final
from urllib.parse import quote

from pytest_fractal.fixes.model import LineEdit
from pytest_fractal.report.model import CandidateReport, Report
from pytest_fractal.report.overview import ToFix, escape_control_chars, title, to_fix
from pytest_fractal.report.repository import in_repository
from pytest_fractal.rules import REGISTRY, Rule
from pytest_fractal.rules.registry import DOCUMENTATION
from pytest_fractal.verdicts import Finding, SourceLocation

_SCHEMA: Final = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def render(report: Report) -> str:
    """The report as SARIF: one run for each candidate, one result for each finding."""
    log = {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [_run(candidate, report) for candidate in report.candidates],
    }
    return json.dumps(log, indent=2) + "\n"


def _run(candidate: CandidateReport, report: Report) -> dict[str, Any]:
    to_be_fixed = to_fix(candidate, report.strict)
    judged = {verdict.code for verdict in candidate.verdicts}
    rules = [rule for code, rule in REGISTRY.items() if code in judged]
    places = {rule.code: number for number, rule in enumerate(rules)}
    return {
        "tool": {
            "driver": {
                "name": "pytest-fractal",
                "version": version("pytest-fractal"),
                "informationUri": DOCUMENTATION,
                "rules": [_rule(rule) for rule in rules],
            }
        },
        # What tells the results of one upload from those of another package.
        "automationDetails": {"id": f"pytest-fractal/{escape_control_chars(candidate.name)}/"},
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": report.complete
                and all(entry.finding is not None for entry in to_be_fixed),
                "toolExecutionNotifications": [
                    {
                        "level": "error",
                        "message": {"text": escape_control_chars(entry.verdict.reason or "")},
                        "associatedRule": {"id": entry.verdict.code},
                    }
                    for entry in to_be_fixed
                    if entry.finding is None
                ],
            }
        ],
        "results": [
            _result(candidate, entry, entry.finding, places)
            for entry in to_be_fixed
            if entry.finding is not None
        ],
    }


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.rationale or rule.title},
        "help": {"text": f"{rule.rationale}\n\nMend: {rule.fix}".strip()},
        "helpUri": rule.page,
        "defaultConfiguration": {"level": rule.severity.value},
    }


def _result(
    candidate: CandidateReport, one: ToFix, found: Finding, places: Mapping[str, int]
) -> dict[str, Any]:
    verdict = one.verdict
    names = [name for name in (verdict.task or found.task, verdict.sample) if name]
    about = f" [{'-'.join(names)}]" if names else ""
    text = (
        f"{verdict.rule}{about}: expected {found.expected}; found {found.found}\nFix: {found.hint}"
    )
    result: dict[str, Any] = {
        "ruleId": verdict.code,
        "level": "error" if one.heavy else "warning",
        "message": {"text": escape_control_chars(text)},
        "locations": [_location(candidate, found)],
        "partialFingerprints": {"finding/v1": _fingerprint(candidate, one, found)},
    }
    if verdict.code in places:
        result["ruleIndex"] = places[verdict.code]
    if changes := list(_changes(candidate, found)):
        description = {"text": escape_control_chars(found.hint)}
        result["fixes"] = [{"description": description, "artifactChanges": changes}]
    return result


def _changes(candidate: CandidateReport, found: Finding) -> Iterator[dict[str, Any]]:
    """The fix as changes to files; nothing where it makes a file, which SARIF cannot tell."""
    files = found.fix.files if found.fix is not None else ()
    if any(file.digest is None for file in files):
        return
    for edited in files:
        file = in_repository(candidate, SourceLocation(edited.file))
        if file is not None:
            yield {
                "artifactLocation": {"uri": _uri(file), "uriBaseId": "%SRCROOT%"},
                "replacements": [_replacement(edit) for edit in edited.lines],
            }


def _replacement(edit: LineEdit) -> dict[str, Any]:
    """Lines that go and come; what stays is the end of the last line that goes."""
    added = "\n".join(edit.added)
    count = len(edit.removed)
    if edit.removed and edit.added:
        end = {"endLine": edit.line + count - 1, "endColumn": len(edit.removed[-1]) + 1}
    else:
        end = {"endLine": edit.line + count, "endColumn": 1}
        added += "\n" if edit.added else ""
    region = {"startLine": edit.line, "startColumn": 1, **end}
    return {"deletedRegion": region, "insertedContent": {"text": added}}


def _location(candidate: CandidateReport, found: Finding) -> dict[str, Any]:
    """Where code scanning shows it; without a source tree, the file in the wheel."""
    file = in_repository(candidate, found.place)
    place = found.place
    if file is not None and place is not None:
        artifact = {"uri": _uri(file), "uriBaseId": "%SRCROOT%"}
        line, column = place.line, place.column
    else:
        artifact = {"uri": _uri(found.file or candidate.wheel or candidate.source)}
        line, column = found.line, found.column
    region = {"startLine": line or 1} | ({"startColumn": column} if line and column else {})
    location: dict[str, Any] = {
        "physicalLocation": {"artifactLocation": artifact, "region": region}
    }
    if logical := list(_logical(candidate, found)):
        location["logicalLocations"] = logical
    return location


def _logical(candidate: CandidateReport, found: Finding) -> Iterator[dict[str, str]]:
    if found.task:
        yield {
            "name": escape_control_chars(found.task),
            "kind": "task",
            "fullyQualifiedName": escape_control_chars(f"{title(candidate)} {found.task}"),
        }
    if found.pointer:
        yield {"fullyQualifiedName": escape_control_chars(found.pointer), "kind": "object"}


def _fingerprint(candidate: CandidateReport, one: ToFix, found: Finding) -> str:
    """What makes a finding the same one although lines were added above it."""
    parts = (
        candidate.name,
        one.verdict.code,
        found.task,
        one.verdict.sample,
        one.verdict.server,
        found.file,
        found.pointer,
        found.expected,
    )
    return hashlib.sha256(
        "\0".join(part or "" for part in parts).encode(errors="replace")
    ).hexdigest()[:32]


def _uri(path: str) -> str:
    """A path as a reference that is relative, or absolute for a file outside."""
    if PurePath(path).is_absolute():
        return "file://" + quote(path, errors="replace")
    # A colon in the first part would make a scheme of it.
    return quote(path.replace("\\", "/"), safe="/", errors="replace")
