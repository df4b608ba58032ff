"""Which releases of fractal-server a finding concerns, and which take a package."""

from __future__ import annotations

from pathlib import Path

import pytest
from wheel_factory import make_wheel

from pytest_fractal import check_package
from pytest_fractal.report.model import CandidateReport, TaskSummary
from pytest_fractal.report.servers import sentence, server_ranges
from pytest_fractal.rules import REGISTRY
from pytest_fractal.server.releases import NEWEST, TRIED, concern_newest
from pytest_fractal.verdicts import Finding, Outcome, Severity, Verdict

pytestmark = pytest.mark.usefixtures("any_environment")

ROOT = Path(__file__).parents[1]
DECIDING = [rule for rule in REGISTRY.values() if rule.decides_collection]


def report(
    *verdicts: Verdict, generation: str = "2", kinds: tuple[str, ...] = ("parallel",)
) -> CandidateReport:
    """A report with these verdicts, in which every other rule about the collection holds."""
    own = {verdict.code for verdict in verdicts}
    passed = [
        Verdict(rule.code, rule.name, None, Outcome.PASS)
        for rule in DECIDING
        if rule.code not in own
    ]
    tasks = [TaskSummary(kind, kind, kind, kind, {}, None) for kind in kinds]
    return CandidateReport(
        "tasks", "1.0", ".", generation, None, "3.11", tuple(tasks), (*passed, *verdicts), (), {}
    )


def breach(code: str, releases: str | None = None, outcome: Outcome = Outcome.FAIL) -> Verdict:
    severity = Severity.WARNING if outcome is Outcome.WARN else None
    found = Finding("this", "that", "change it", severity=severity, releases=releases)
    return Verdict(code, REGISTRY[code].name, None, outcome, (found,))


def asked(code: str, server: str, outcome: Outcome) -> Verdict:
    return Verdict(code, REGISTRY[code].name, None, outcome, server=server)


@pytest.mark.parametrize(
    ("candidate", "line"),
    [
        (
            report(),
            "fractal-server >= 2.18.5: yes; before 2.18.5: not checked; "
            '1.x: no, manifest_version "2"',
        ),
        (
            report(generation="1"),
            'fractal-server 2.x: no, manifest_version "1"; >= 1.4.10: yes; '
            "before 1.4.10: not checked",
        ),
        (
            report(breach("FR110")),
            'fractal-server 2.x: no, FR110; 1.x: no, manifest_version "2"',
        ),
        # What no server minds, and what only tells of a task, says nothing of the collection.
        (
            report(breach("FR113", outcome=Outcome.WARN), breach("FR206")),
            "fractal-server >= 2.18.5: yes; before 2.18.5: not checked; "
            '1.x: no, manifest_version "2"',
        ),
        (
            report(breach("FR408", ">=2,<2.20", Outcome.WARN)),
            'fractal-server >= 2.20: yes; before 2.20: no, FR408; 1.x: no, manifest_version "2"',
        ),
        (
            report(breach("FR109", ">=2.23.3")),
            "fractal-server >= 2.23.3: no, FR109; >= 2.18.5 and < 2.23.3: yes; "
            'before 2.18.5: not checked; 1.x: no, manifest_version "2"',
        ),
        (
            report(kinds=("converter_compound", "parallel")),
            "fractal-server >= 2.18.5: yes; >= 2.14 and < 2.18.5: not checked; "
            'before 2.14: no, the type converter_compound; 1.x: no, manifest_version "2"',
        ),
        (
            report(
                breach("FR408", ">=2,<2.20", Outcome.WARN),
                kinds=("converter_compound", "parallel"),
            ),
            "fractal-server >= 2.20: yes; >= 2.14 and < 2.20: no, FR408; "
            "before 2.14: no, FR408, the type converter_compound; "
            '1.x: no, manifest_version "2"',
        ),
        (
            report(
                asked("FR901", "2.18.5", Outcome.PASS),
                asked("FR902", "2.18.5", Outcome.SKIP),
                asked("FR901", "2.24.2", Outcome.FAIL),
                asked("FR902", "2.24.2", Outcome.BLOCKED),
            ),
            "fractal-server >= 2.18.5: yes; before 2.18.5: not checked; "
            '1.x: no, manifest_version "2"; asked: 2.18.5: yes; 2.24.2: no, FR901',
        ),
        # Where a rule was not judged, nobody knows.
        (report(asked("FR110", "", Outcome.BLOCKED)), ""),
    ],
)
def test_the_releases_that_take_a_package_are_reported(
    candidate: CandidateReport, line: str
) -> None:
    assert sentence(server_ranges(candidate)) == line


def test_what_a_note_says_of_releases_refuses_nothing() -> None:
    found = Finding("a", "b", "c", severity=Severity.NOTE, releases=">=2.23.2")
    noted = Verdict("FR401", "sample-succeeds", "t", Outcome.PASS, (found,))
    assert sentence(server_ranges(report(noted))).startswith("fractal-server >= 2.18.5: yes")


def test_what_a_sample_gives_says_nothing_of_the_package() -> None:
    sample = breach("FR400", ">=2,<2.20", Outcome.WARN)
    assert sentence(server_ranges(report(sample))).startswith("fractal-server >= 2.18.5: yes")


def test_only_what_the_newest_release_minds_is_an_error() -> None:
    assert not concern_newest(">=2,<2.20")
    assert concern_newest(">=2.23.3")
    assert concern_newest(f"=={NEWEST['1']}")


@pytest.mark.parametrize(
    ("package", "code", "outcome", "releases"),
    [
        ("FR109_differs_by_a_blank", "FR109", Outcome.FAIL, ">=2.23.3"),
        ("FR408_number_here_text_there", "FR408", Outcome.WARN, ">=2,<2.20"),
    ],
)
def test_a_breach_for_some_releases_weighs_by_the_newest(
    package: str, code: str, outcome: Outcome, releases: str
) -> None:
    (candidate,) = check_package(ROOT / "bad_packages" / package, select=[code]).candidates
    (verdict,) = [verdict for verdict in candidate.verdicts if verdict.findings]
    assert verdict.outcome is outcome
    assert [found.releases for found in verdict.findings] == [releases]


def test_a_task_finds_a_folder_for_its_cache_and_its_warnings_are_noted(tmp_path: Path) -> None:
    script = """
import argparse, json, os, warnings
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--args-json")
parser.add_argument("--out-json")
given = parser.parse_args()
json.loads(Path(given.args_json).read_text())
cache = Path(os.environ["FRACTAL_CACHE_DIR"])
assert cache.is_absolute() and not cache.exists(), cache
cache.mkdir(parents=True)
(cache / "model").write_text("kept")
warnings.warn("the model is old")
"""
    tasks = [{"name": "Warn", "executable_non_parallel": "warn.py"}]
    tasks[0]["type"] = "converter_non_parallel"  # needs no image
    wheel = make_wheel(
        tmp_path / "dist",
        files={"__init__.py": "", "warn.py": script},
        manifest={"manifest_version": "2", "has_args_schemas": False, "task_list": tasks},
    )
    samples = tmp_path / "samples"
    samples.mkdir()
    (samples / "one.json").write_text('{"task": "Warn", "args": {}}')
    (candidate,) = check_package(wheel, samples=samples, select=["FR401"]).candidates
    (verdict,) = [verdict for verdict in candidate.verdicts if verdict.sample == "one"]
    assert verdict.outcome is Outcome.PASS, verdict
    (found,) = verdict.findings
    assert (found.severity, found.releases) == (Severity.NOTE, ">=2.23.2")
    assert "the model is old" in found.found


def test_the_page_on_servers_names_each_release_of_the_table() -> None:
    from pytest_fractal.server.releases import SPANS

    page = (ROOT / "docs" / "servers.md").read_text("utf-8")
    assert [str(span.since) for span in SPANS[1:] if f"| {span.since} |" not in page] == []
    asking = (ROOT / "docs" / "server.md").read_text("utf-8")
    assert [version for version in TRIED if version not in asking] == []
    assert all(str(newest) in asking for newest in NEWEST.values())
