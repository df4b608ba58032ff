"""What pytest-fractal says of the same wheels."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from packaging.specifiers import SpecifierSet

import pytest_fractal
from pytest_fractal.candidate.custom_tasks import CustomTasks
from pytest_fractal.candidate.packaged import Candidate
from pytest_fractal.engine import Engine
from pytest_fractal.facts import Command, GeneratedManifest, Installation, TreeBuild
from pytest_fractal.files import replacing
from pytest_fractal.package_spec import parse_package, parse_task
from pytest_fractal.processes.executors import LocalExecutor
from pytest_fractal.rules import REGISTRY
from pytest_fractal.rules.subjects import Scope
from pytest_fractal.samples.runs import Run
from pytest_fractal.selection import parse_codes
from pytest_fractal.server.comparing import moved
from pytest_fractal.settings import Settings
from pytest_fractal.verdicts import Finding, Outcome, Severity, Verdict

from .bases import candidate_of

STATIC: Final = tuple(
    code
    for code, rule in REGISTRY.items()
    if not {Command, GeneratedManifest, Installation, TreeBuild, Run}.intersection(rule.subjects)
    and rule.scope is not Scope.SAMPLE
    and not rule.asks_server
    and not rule.asks_cluster
    and not code.startswith("FR4")
)
"""The rules that need neither an installation nor a process."""


@dataclass(frozen=True)
class Judged:
    """What the tool says of one candidate, for one release of the server."""

    fails: tuple[str, ...]
    """The codes of the rules that it breaks with an error, or in a way that this release minds."""
    warns: tuple[str, ...]
    words: str
    """Of the first finding."""
    tasks: tuple[tuple[str, str | None], ...] = ()
    """Name and `source` of each task; None for a source where the server stores none."""
    left: Mapping[str, Any] = field(default_factory=dict)
    """The dataset after each sample or workflow that was run, by its name."""


@dataclass(frozen=True)
class Said:
    """What the tool says of one candidate, for all releases of the server."""

    verdicts: tuple[Verdict, ...]
    tasks: tuple[tuple[str, str | None], ...]
    left: Mapping[str, Any]

    def for_release(self, release: str) -> Judged:
        """What it comes to for one of them."""
        judged = reported(self.verdicts, release)
        return replace(judged, tasks=self.tasks, left={} if judged.fails else self.left)


def judge_statically(path: Path, folder: Path) -> Said:
    """Judge a wheel, or a file of custom tasks, by the rules that install and start nothing."""
    # Where no rule is selected that installs, FR117 works out what `pip show` would print.
    settings = Settings(select=parse_codes(",".join(STATIC)))
    if path.suffix == ".json":
        spec = parse_task(str(path), path.parent)
        return _said(CustomTasks(spec, settings, folder, LocalExecutor(1)))
    spec = parse_package(str(path), path.parent)
    return _said(Candidate(spec, settings, folder, LocalExecutor(1)))


def judge_fully(path: Path, folder: Path, samples: Path | None) -> Said:
    """Judge a wheel by all rules: it is installed, and its tasks run on their samples."""
    return _said(candidate_of(path, folder, samples=samples))


@dataclass(frozen=True)
class KeptSaid:
    """What was said of candidates before, by the same code: by an interrupted run, or for
    another release."""

    folder: Path

    def get(self, key: str, judge: Callable[[], Said]) -> Said:
        """What was said of the candidate of this key; else what `judge` says now."""
        file = self.folder / _digest_of_code() / key
        if file.exists():
            said: Said = pickle.loads(file.read_bytes())
            return said
        said = judge()
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as new:
            new.write_bytes(pickle.dumps(said))
        return said


@cache
def _digest_of_code() -> str:
    """Of the tool's files and of this folder's."""
    digest = hashlib.sha256()
    for folder in (Path(pytest_fractal.__file__).parent, Path(__file__).parent):
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            if file.suffix != ".pyc":
                digest.update(f"{file}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


class ToolError(Exception):
    """A rule could not judge: the tool's own fault, which no candidate may bring about."""


class Written:
    """The samples of one wheel, each judged for itself. They are run once, judged at will."""

    def __init__(self, wheel: Path, folder: Path, samples: Path, release: str) -> None:
        self._release = release
        self._candidate = candidate_of(wheel, folder, samples=samples)

    def judged(self) -> dict[str, Judged]:
        """What is said of each sample or workflow, by its name."""
        candidate = self._candidate
        vars(candidate).pop("rules", None)  # they are looked up anew: one may be sabotaged
        engine = Engine(candidate)
        checks = engine.plan()
        engine.run_ahead(checks, 2)
        verdicts = [engine.verdict(check) for check in checks]
        engine.drain()
        _no_error(verdicts)
        apart = [verdict for verdict in verdicts if verdict.sample is None]
        assert not _of(apart, Outcome.FAIL), _of(apart, Outcome.FAIL)
        left = _left(candidate)
        by_name: dict[str, list[Verdict]] = {
            sample.workflow: [] for sample in candidate.sample_runs.usable
        }
        for verdict in verdicts:
            name = (verdict.sample or "").partition(".")[0]
            if name in by_name:  # not that of a sample which was made
                by_name[name].append(verdict)
        return {
            name: replace(reported(own, self._release), left={name: left[name]})
            for name, own in by_name.items()
        }


def _said(candidate: Candidate) -> Said:
    engine = Engine(candidate)
    verdicts = tuple(engine.verdict(check) for check in engine.plan())
    engine.close()
    _no_error(verdicts)
    tasks: tuple[tuple[str, str | None], ...] = ()
    if candidate.has_wheel:
        tasks = tuple((task.name, candidate.source_of(task) or "") for task in candidate.tasks)
    ran = any(verdict.code == "FR401" for verdict in _of(verdicts, Outcome.PASS))
    ran &= not _of(verdicts, Outcome.FAIL)  # after which a sample may not have been run
    return Said(verdicts, tasks, _left(candidate) if ran else {})


def reported(verdicts: Sequence[Verdict], release: str) -> Judged:
    """What the verdicts come to for a release."""
    breaches = _breaches(verdicts, release)
    fails = sorted({code for code, _ in breaches})
    words = "".join(
        f"{found.pointer or found.file or ''}: {found.found}" for _, found in breaches[:1]
    )
    warned = {
        verdict.code for verdict in verdicts if verdict.outcome in (Outcome.WARN, Outcome.FAIL)
    }
    return Judged(tuple(fails), tuple(sorted(warned.difference(fails))), words)


def _breaches(verdicts: Iterable[Verdict], release: str) -> list[tuple[str, Finding]]:
    """What this release minds, each with its rule: errors, less what concerns others alone."""
    return [
        (verdict.code, found)
        for verdict in verdicts
        if verdict.outcome in (Outcome.FAIL, Outcome.WARN)
        for found in verdict.findings
        if _minds(found, found.severity or REGISTRY[verdict.code].severity, release)
    ]


def _minds(found: Finding, severity: Severity, release: str) -> bool:
    if found.releases:
        concerned = SpecifierSet(found.releases).contains(release)
        return concerned and severity is not Severity.NOTE
    return severity is Severity.ERROR


def _left(candidate: Candidate) -> dict[str, Any]:
    """What each sample leaves; a workflow, what its last step does."""
    return {
        sample.workflow: moved(
            candidate.sample_runs.run(sample).dataset,
            {str(candidate.sample_runs.folder_of(sample)): "{tmp}"},
        )
        for sample in candidate.sample_runs.usable
        if sample.expect == "success"
    }


def _no_error(verdicts: Iterable[Verdict]) -> None:
    if errors := _of(verdicts, Outcome.ERROR):
        raise ToolError(f"{errors[0].code}: {errors[0].reason}")


def _of(verdicts: Iterable[Verdict], outcome: Outcome) -> list[Verdict]:
    return [verdict for verdict in verdicts if verdict.outcome is outcome]
