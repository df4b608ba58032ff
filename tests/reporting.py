"""A real report with every outcome that a package can cause, and a hostile one."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

from pytest_fractal import check_package
from pytest_fractal.report.model import CandidateReport, Report
from pytest_fractal.verdicts import Finding, Outcome, Verdict

ROOT = Path(__file__).parents[1]
GOOD = ROOT / "good_packages" / "with_own_tests"

HOSTILE = (
    "</script><script>window.hacked=1</script><img src=x onerror='window.hacked=1'>"
    "\"'`--> ]]> </details></table> **bold** [x](javascript:window.hacked=1) | a | "
    "%0A::error::no &amp; \x1b[2J\x00\x07\u202etxt.exe\ud800"
)
"""What would break out of HTML, an attribute, a script, a comment, Markdown, a table, a
workflow command or a terminal, were it not reported apart from them."""


def broken_copy(folder: Path) -> Path:
    """A source tree that breaks FR208 and FR301, and is warned of by FR113."""
    tree = folder / "tested tasks"
    shutil.copytree(GOOD, tree, ignore=shutil.ignore_patterns("__pycache__", "tests"))
    package = tree / "tested_tasks"
    script = package / "invert_well.py"
    script.write_text(f"import not_there\n{script.read_text()}")
    manifest = package / "__FRACTAL_MANIFEST__.json"
    value = json.loads(manifest.read_text())
    for key in ("docs_info", "docs_link"):
        del value["task_list"][0][key]
    manifest.write_text(json.dumps(value, indent=2))
    sample = {"task": "Make wells", "args": {"number": 2, "colour": "red"}}
    (tree / "fractal_samples" / "coloured.json").write_text(json.dumps(sample, indent=2))
    return tree


def real_report(folder: Path) -> Report:
    """The report on `broken_copy`, from real builds and processes."""
    return check_package(broken_copy(folder))


def hostile_report(real: Report) -> Report:
    """The same report, as if a candidate had chosen every text that it can choose.

    It also has an outcome `error`, which no package can cause, and a second candidate.
    """
    (candidate,) = real.candidates
    verdicts = [_hostile_verdict(verdict) for verdict in candidate.verdicts]
    verdicts[-1] = replace(
        verdicts[-1],
        outcome=Outcome.ERROR,
        skip=None,
        findings=(),
        reason=f"no space left {HOSTILE}",
    )
    changed = replace(
        candidate,
        name=f"name {HOSTILE}",
        version=f"1.0{HOSTILE}",
        source=f"dist/{HOSTILE}",
        wheel=f"{HOSTILE}.whl",
        verdicts=tuple(verdicts),
        tasks=tuple(
            replace(
                task,
                name=f"{task.name} {HOSTILE}",
                commands={name: (*argv, HOSTILE) for name, argv in task.commands.items()},
            )
            for task in candidate.tasks
        ),
        runs=tuple(
            replace(run, argv=(*run.argv, HOSTILE), rerun_command=f"{run.rerun_command} {HOSTILE}")
            for run in candidate.runs
        ),
    )
    return replace(real, candidates=(changed, candidate))


def passing(real: Report) -> Report:
    """The same report, had everything passed."""
    (candidate,) = real.candidates
    verdicts = tuple(
        replace(verdict, outcome=Outcome.PASS, findings=(), reason=None, blockers=(), skip=None)
        for verdict in candidate.verdicts
    )
    return replace(real, candidates=(replace(candidate, verdicts=verdicts),))


def outcomes(candidate: CandidateReport) -> set[Outcome]:
    """The outcomes that there are in a report."""
    return {verdict.outcome for verdict in candidate.verdicts}


def _hostile_verdict(verdict: Verdict) -> Verdict:
    return replace(
        verdict,
        reason=f"{verdict.reason} {HOSTILE}" if verdict.reason else None,
        sample=f"{verdict.sample} {HOSTILE}" if verdict.sample else None,
        findings=tuple(_hostile_finding(found) for found in verdict.findings),
        blockers=tuple(_hostile_verdict(blocker) for blocker in verdict.blockers),
    )


def _hostile_finding(found: Finding) -> Finding:
    place = replace(found.place, file=f"a b,c:{HOSTILE}") if found.place else None
    return replace(
        found,
        expected=f"{found.expected}\n```\n{HOSTILE}",
        found=f"{found.found}\n\n# {HOSTILE}\n    x",
        hint=f"{found.hint}\n~~~\n````\n{HOSTILE}",
        file=f"{found.file} {HOSTILE}",
        pointer=f"{found.pointer or ''}/{HOSTILE}",
        place=place,
    )
