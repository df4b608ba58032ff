"""What pytest-fractal says of the same wheels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pytest_fractal.candidate.packaged import Candidate
from pytest_fractal.engine import Engine
from pytest_fractal.facts import Command, Installation, TreeBuild
from pytest_fractal.rules import REGISTRY
from pytest_fractal.rules.subjects import Scope
from pytest_fractal.samples.runs import Run
from pytest_fractal.selection import parse_codes
from pytest_fractal.server.comparing import moved
from pytest_fractal.verdicts import Outcome, Severity, Verdict

from .bases import candidate_of

STATIC: Final = tuple(
    code
    for code, rule in REGISTRY.items()
    if not {Command, Installation, TreeBuild, Run}.intersection(rule.subjects)
    and rule.scope is not Scope.SAMPLE
    and not code.startswith("FR4")
)
"""The rules that need neither an installation nor a process."""


@dataclass(frozen=True)
class Judged:
    """What the tool says of one wheel."""

    fails: tuple[str, ...]
    """The codes of the rules that it breaks with an error."""
    warns: tuple[str, ...]
    words: str
    """Of the first finding."""
    tasks: tuple[tuple[str, str | None], ...] = ()
    """Name and `source` of each task; None for a source where the server stores none."""
    left: Mapping[str, Any] | None = None
    """The dataset after a sample; None where none was run."""


def judge_statically(wheel: Path, folder: Path) -> Judged:
    """Judge a wheel by the rules that install and start nothing."""
    # Where no rule is selected that installs, FR117 works out what `pip show` would print.
    return _judged(candidate_of(wheel, folder, select=parse_codes(",".join(STATIC))), STATIC)


def judge_fully(wheel: Path, folder: Path, **settings: Any) -> Judged:
    """Judge a wheel by all rules: it is installed, and its tasks run on their samples."""
    return _judged(candidate_of(wheel, folder, **settings), tuple(REGISTRY))


def judge_samples(wheel: Path, folder: Path, samples: Path) -> dict[str, Judged]:
    """Run every sample of a wheel, and judge it: by its name, or that of its workflow."""
    candidate = candidate_of(wheel, folder, samples=samples)
    engine = Engine(candidate)
    checks = engine.plan()
    engine.run_ahead(checks, 2)
    verdicts = [engine.verdict(check) for check in checks]
    engine.close()
    _no_error(verdicts)
    apart = [verdict for verdict in verdicts if verdict.sample is None]
    assert not _told(apart, Outcome.FAIL), _told(apart, Outcome.FAIL)
    found: dict[str, Judged] = {}
    for sample in candidate.samples:
        own = [one for one in verdicts if one.sample and _of(one.sample) == sample.workflow]
        place = str(candidate.sample_folder(sample))
        left = candidate.run(sample).dataset  # of a workflow the last step's remains
        found[sample.workflow] = Judged(
            _codes(_told(own, Outcome.FAIL)),
            _codes(_told(own, Outcome.WARN)),
            _words(_told(own, Outcome.FAIL)),
            left=moved(left, {place: "{tmp}"}),
        )
    return found


def _of(sample: str) -> str:
    return sample.partition(".")[0]


def _judged(candidate: Candidate, codes: Iterable[str]) -> Judged:
    engine = Engine(candidate)
    checks = [check for check in engine.plan() if check.rule.code in set(codes)]
    verdicts = [engine.verdict(check) for check in checks]
    engine.close()
    _no_error(verdicts)
    fails, warns = _told(verdicts, Outcome.FAIL), _told(verdicts, Outcome.WARN)
    tasks = tuple((task.name, candidate.source_of(task) or "") for task in candidate.tasks)
    return Judged(_codes(fails), _codes(warns), _words(fails), tasks)


def _no_error(verdicts: Iterable[Verdict]) -> None:
    errors = _told(verdicts, Outcome.ERROR)
    assert not errors, errors


def _told(verdicts: Iterable[Verdict], outcome: Outcome) -> list[Verdict]:
    return [verdict for verdict in verdicts if verdict.outcome is outcome]


def _codes(verdicts: Iterable[Verdict]) -> tuple[str, ...]:
    return tuple(sorted({verdict.code for verdict in verdicts}))


def _words(fails: Iterable[Verdict]) -> str:
    for verdict in fails:
        for found in verdict.findings:
            if found.severity is not Severity.WARNING:
                return f"{found.pointer or found.file or ''}: {found.found}"
    return ""
