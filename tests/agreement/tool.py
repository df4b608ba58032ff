"""What pytest-fractal says of the same wheels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pytest_fractal.candidate import Candidate
from pytest_fractal.engine import Engine, is_about_samples
from pytest_fractal.facts import Command, Installation, TreeBuild
from pytest_fractal.rules import REGISTRY
from pytest_fractal.running import Run
from pytest_fractal.verdicts import Outcome, Severity, Verdict

from .bases import candidate_of

STATIC: Final = tuple(
    code
    for code, rule in REGISTRY.items()
    if not {Command, Installation, TreeBuild, Run}.intersection(rule.subjects)
    and not is_about_samples(rule)
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
    tasks: tuple[tuple[str, str], ...] = ()
    """Name and `source` of each task."""


def judge_statically(wheel: Path, folder: Path) -> Judged:
    """Judge a wheel by the rules that install and start nothing."""
    return _judged(candidate_of(wheel, folder), STATIC)


def judge_fully(wheel: Path, folder: Path, **settings: Any) -> Judged:
    """Judge a wheel by all rules: it is installed, and its tasks run on their samples."""
    return _judged(candidate_of(wheel, folder, **settings), tuple(REGISTRY))


def _judged(candidate: Candidate, codes: Iterable[str]) -> Judged:
    engine = Engine(candidate)
    checks = [check for check in engine.plan() if check.rule.code in set(codes)]
    verdicts = [engine.verdict(check) for check in checks]
    engine.close()
    errors = [verdict.reason for verdict in verdicts if verdict.outcome is Outcome.ERROR]
    assert not errors, f"{candidate.spec.text}: {errors}"
    fails = [verdict for verdict in verdicts if verdict.outcome is Outcome.FAIL]
    warns = [verdict for verdict in verdicts if verdict.outcome is Outcome.WARN]
    tasks = tuple((task.name, candidate.source_of(task)) for task in candidate.tasks)
    return Judged(_codes(fails), _codes(warns), _words(fails), tasks)


def _codes(verdicts: Iterable[Verdict]) -> tuple[str, ...]:
    return tuple(sorted({verdict.code for verdict in verdicts}))


def _words(fails: Iterable[Verdict]) -> str:
    for verdict in fails:
        for found in verdict.findings:
            if found.severity is not Severity.WARNING:
                return f"{found.pointer or found.file or ''}: {found.found}"
    return ""
