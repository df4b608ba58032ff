"""The corpora drive the rules: a bad package breaks exactly what it says, a good one nothing.

To add a rule: one function in `pytest_fractal/rules/`, one folder in `bad_packages/`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import kept_findings
import pytest
import slurm_cluster
from slurm_cluster import cluster_fixture  # noqa: F401
from test_fixes import packed

from pytest_fractal import check_package
from pytest_fractal.environments.building import Built
from pytest_fractal.report.model import CandidateReport
from pytest_fractal.rules import REGISTRY
from pytest_fractal.verdicts import Finding, Outcome

ROOT = Path(__file__).parent.parent
GOOD = sorted(path for path in (ROOT / "good_packages").iterdir() if path.is_dir())
BAD = sorted(path for path in (ROOT / "bad_packages").iterdir() if path.is_dir())

NEEDS_BUILD = ("FR0", "FR101", "FR102", "FR103_in_ext", "FR117", "FR210", "FR3", "FR4")
"""What is judged of a wheel that a backend has built, or of commands that were started."""
PACKED = [path for path in BAD if not path.name.startswith((*NEEDS_BUILD, "FR9"))]
"""The others: `test_packed_corpora.py` judges all of them by static rules, without a build."""
OF_RUNS = ("FR302", "FR303", "FR304", "FR4")
"""What is judged by what commands do, whoever has built their wheel."""

Broken = tuple[str, str | None, str | None]
"""What is compared of a finding: code, slug of the task, JSON pointer."""


def judged(folder: Path, **options: Any) -> CandidateReport:
    (report,) = check_package(folder, jobs=1, **options).candidates
    return report


def key_of(code: str, found: Finding) -> Broken:
    return code, found.task, found.pointer


def in_order(keys: Iterable[Broken]) -> list[Broken]:
    return sorted(keys, key=lambda key: tuple(part or "" for part in key))


def texts(found: Finding) -> dict[str, str]:
    """What an entry in expected.toml may say a part of, besides what it is compared by."""
    at = found.place
    place = "" if at is None else at.file if at.line is None else f"{at.file}:{at.line}"
    return {"found": found.found, "fix": found.hint, "place": place}


def assert_found(
    listed: Sequence[Mapping[str, Any]], findings: Sequence[tuple[str, Finding]]
) -> None:
    """Just these findings, by entries of expected.toml, with all that an entry says of one."""
    expected = [(entry["code"], entry.get("task"), entry.get("pointer")) for entry in listed]
    assert in_order(key_of(code, found) for code, found in findings) == in_order(expected)
    for entry, key in zip(listed, expected, strict=True):
        wanted = {part: entry[part] for part in ("found", "fix", "place") if part in entry}
        reported = [texts(found) for code, found in findings if key == key_of(code, found)]
        assert any(all(text in of[part] for part, text in wanted.items()) for of in reported), (
            reported
        )


@pytest.mark.parametrize("folder", GOOD, ids=lambda folder: folder.name)
def test_a_good_package_passes_every_rule(folder: Path) -> None:
    report = judged(folder)
    assert [*report.findings] == []
    assert {verdict.outcome for verdict in report.verdicts} <= {Outcome.PASS, Outcome.SKIP}
    assert report.summary["pass"] > len(REGISTRY)


def expectation(folder: Path) -> dict[str, Any]:
    said: dict[str, Any] = tomllib.loads((folder / "expected.toml").read_text("utf-8"))
    return said


def is_on_its_page(folder: Path) -> bool:
    """Whether this bad package is the example on the page of its rule."""
    return folder == kept_findings.example(folder.name[:5])


def marks_of(folder: Path) -> Sequence[pytest.MarkDecorator]:
    said = expectation(folder)
    # A server takes its time, so only some of those that it judges run every time; and of what
    # static rules judge, the package on the page of the rule.
    sibling = folder in PACKED and not is_on_its_page(folder)
    slow = [pytest.mark.slow] if said.get("slow") or sibling else []
    return [*slow, *slurm_cluster.MARKS] if said.get("executor") == "slurm" else slow


def pack_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no backend build the wheels."""
    for name in ("wheel_source.build_release", "builds.build_from_tree"):
        monkeypatch.setattr(
            f"pytest_fractal.candidate.{name}",
            lambda source, folder, *_: Built(packed(source, folder)),
        )


@pytest.mark.parametrize(
    "folder",
    [pytest.param(path, marks=marks_of(path)) for path in BAD],
    ids=lambda folder: folder.name,
)
def test_a_bad_package_breaks_exactly_what_it_says(
    folder: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not folder.name.startswith("FR00"):  # not about builds and installations
        request.getfixturevalue("any_environment")
    if folder.name.startswith(OF_RUNS) and not is_on_its_page(folder):
        pack_by_hand(monkeypatch)
    said = expectation(folder)
    said.pop("slow", None)
    if said.get("executor") == "slurm":
        monkeypatch.setenv("SLURM_CONF", str(request.getfixturevalue("cluster").conf))
    listed = said.pop("finding")
    report = judged(folder, **said)
    assert_found(listed, [*report.findings])
    assert report.summary["error"] == 0
    assert not kept_findings.stale(folder, report), (
        f"the page shows other words: python docs/kept_findings.py {folder.name[:5]}"
    )
    for _, found in report.findings:
        assert found.expected
        assert found.found
        assert found.hint


def test_every_rule_has_a_bad_package_named_after_it() -> None:
    named = {folder.name.partition("_")[0] for folder in BAD}
    assert named == set(REGISTRY)


def test_every_bad_package_breaks_the_rule_of_its_name() -> None:
    for folder in BAD:
        said = expectation(folder)
        assert {finding["code"] for finding in said["finding"]} == {folder.name.partition("_")[0]}


def test_of_every_rule_a_bad_package_says_what_is_found_where_and_how_to_fix_it() -> None:
    said = {
        (entry["code"], part)
        for folder in BAD
        for entry in expectation(folder)["finding"]
        for part in entry
    }
    # The place of what a server refuses is that of the rule that would have found it.
    missing = {(code, part) for code in REGISTRY for part in ("found", "fix", "place")} - said
    assert missing == {("FR901", "place"), ("FR902", "place")}
