"""Report files: each format is read by a reader that others wrote."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from reporting import outcomes, passing

from pytest_fractal.report import json_file
from pytest_fractal.report.model import Report
from pytest_fractal.verdicts import Outcome

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((ROOT / "docs" / "report.schema.json").read_text())
    Draft202012Validator.check_schema(loaded)
    return loaded


def test_the_real_report_has_every_outcome_that_a_package_can_cause(real: Report) -> None:
    (candidate,) = real.candidates
    assert outcomes(candidate) == set(Outcome) - {Outcome.ERROR}
    assert {code for code, _ in candidate.findings} >= {"FR113", "FR208", "FR301"}


@pytest.mark.parametrize("kind", ["real", "hostile"])
def test_a_report_is_valid_by_the_published_schema(
    request: pytest.FixtureRequest, schema: dict[str, Any], kind: str
) -> None:
    report: Report = request.getfixturevalue(kind)
    # As a file: what it holds must be JSON for any reader.
    told = json.loads(json_file.render(report).encode(errors="backslashreplace"))
    Draft202012Validator(schema).validate(told)
    assert told["passed"] is False
    assert len(told["candidates"]) == len(report.candidates)


def test_the_schema_refuses_what_no_report_holds(real: Report, schema: dict[str, Any]) -> None:
    validator = Draft202012Validator(schema)
    told = real.to_dict()
    verdicts = told["candidates"][0]["verdicts"]
    (failed, *_) = [one for one in verdicts if one["outcome"] == "fail"]
    (skipped, *_) = [one for one in verdicts if one["outcome"] == "skip"]
    changes: list[tuple[dict[str, Any], str, Any]] = [
        (told, "report_version", 2),
        (told, "extra", 1),
        (failed, "findings", []),
        (failed, "outcome", "pass"),
        (failed, "code", "205"),
        (skipped, "reason", None),
        (failed["findings"][0], "hint", ""),
        (failed["findings"][0], "line", 0),
    ]
    for holder, key, value in changes:
        before = dict(holder)
        holder[key] = value
        assert not validator.is_valid(told), (key, value)
        holder.clear()
        holder.update(before)
    assert validator.is_valid(told)


def test_every_finding_has_a_place_in_the_source_tree(real: Report) -> None:
    (candidate,) = real.candidates
    assert candidate.home is not None
    places = {code: found.place for code, found in candidate.findings}
    for place in places.values():
        assert place is not None
        assert (candidate.home / place.file).is_file()
    starts, docs, sample = (places[code] for code in ("FR301", "FR113", "FR208"))
    assert starts is not None
    assert starts.file == "tested_tasks/invert_well.py"
    assert docs is not None
    assert (docs.file, docs.line) == ("tested_tasks/__FRACTAL_MANIFEST__.json", 6)
    assert sample is not None
    assert sample.file == "fractal_samples/coloured.json"


def test_stages_and_runs_begin_in_their_order(real: Report) -> None:
    (candidate,) = real.candidates
    started = {stage.name: stage.started for stage in candidate.stages}
    assert started["build"] < started["environment"] < started["install"]
    assert all(run.started > started["install"] for run in candidate.runs)


def test_a_report_with_everything_passed_passes(real: Report) -> None:
    assert passing(real).passed
    assert not replace(passing(real), complete=False).passed
