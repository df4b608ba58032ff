"""The result of a run as data: what every format is made from."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pytest_fractal.errors import BadInput, HarnessError
from pytest_fractal.verdicts import Finding, Outcome, SkipKind, Status, Verdict

if TYPE_CHECKING:
    from pytest_fractal.candidate.packaged import Candidate

REPORT_VERSION: Final = 2

_STAGES: Final = {
    "build": "build",
    "environment": "environment",
    "install": "install",
    "tree-build": "build from the tree",
    "server": "server start",
    "collection": "collection by the server",
}
"""The facts whose gathering takes its time, and what that is called."""


@dataclass(frozen=True)
class TaskSummary:
    """One task of a candidate."""

    name: str
    slug: str
    id: str
    kind: str
    commands: Mapping[str, tuple[str, ...]]
    """Its command lines by the server's names for them, in the order of their execution."""
    source: str | None
    """By what the server tells it apart; None where the server needs none."""

    @property
    def command(self) -> tuple[str, ...]:
        """Its only command line, or its first."""
        return next(iter(self.commands.values()), ())


@dataclass(frozen=True)
class Stage:
    """Something that the tool did before or beside the commands."""

    name: str
    started: float
    """In seconds since the epoch."""
    seconds: float
    """What it waited for others included."""


@dataclass(frozen=True)
class RunSummary:
    """One start of a task's command."""

    task: str
    sample: str | None
    argv: tuple[str, ...]
    returncode: int
    seconds: float
    timed_out: bool
    started: float
    rerun_command: str
    """The command line that repeats it."""
    follows: tuple[str, str] | None = None
    """The task and the sample of the step before it in its workflow."""


@dataclass(frozen=True)
class CandidateReport:
    """Everything that is known of one candidate at the end of a run."""

    name: str
    version: str | None
    source: str
    """The PACKAGE argument, as it was typed."""
    generation: str | None
    wheel: str | None
    python: str | None
    tasks: tuple[TaskSummary, ...]
    verdicts: tuple[Verdict, ...]
    runs: tuple[RunSummary, ...]
    timings: Mapping[str, float]
    """Seconds by stage: build, environment, install, runs."""
    stages: tuple[Stage, ...] = ()
    """The same with the time at which each began; those that took place."""
    rerun_command: str = ""
    """The command line that judges the same package in the same way."""
    home: Path | None = None
    """The author's folder, from which places of findings start; None without one."""
    folder: str | None = None
    """Where the environment and the runs are kept; None when they are not."""
    fixed: bool = False
    """Whether the fixes were applied at the end of the run."""

    @property
    def summary(self) -> dict[str, int]:
        """How many verdicts there are of each status, less those that do not apply."""
        counts = Counter(verdict.status for verdict in self.verdicts)
        return {
            status.value: counts[status]
            for status in Status
            if status is not Status.NOT_APPLICABLE
        }

    @property
    def findings(self) -> tuple[tuple[str, Finding], ...]:
        """Each finding behind the code of its rule."""
        return tuple(
            (verdict.code, found) for verdict in self.verdicts for found in verdict.findings
        )


@dataclass(frozen=True)
class Report:
    """The result of a run: one report a candidate."""

    candidates: tuple[CandidateReport, ...]
    strict: bool = False
    complete: bool = True
    """False when the run was interrupted: what was not judged has not passed."""

    @property
    def passed(self) -> bool:
        """Whether something was judged, and nothing failed (under `strict`: nor warned)."""
        bad = {Outcome.FAIL, Outcome.ERROR, Outcome.BLOCKED} | (
            {Outcome.WARN} if self.strict else set()
        )
        verdicts = [verdict for candidate in self.candidates for verdict in candidate.verdicts]
        return (
            self.complete
            and bool(verdicts)
            and not any(
                verdict.outcome in bad and not _only_ignored(verdict, verdicts)
                for verdict in verdicts
            )
        )

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON has it; see docs/report.md for its form."""
        return {
            "report_version": REPORT_VERSION,
            "complete": self.complete,
            "strict": self.strict,
            "candidates": [_candidate(one) for one in self.candidates],
            "passed": self.passed,
        }


def _only_ignored(verdict: Verdict, verdicts: Iterable[Verdict]) -> bool:
    """Whether a verdict is blocked by nothing but rules that the user ignores."""
    ignored = {
        (one.code, one.task, one.sample) for one in verdicts if one.skip is SkipKind.IGNORED
    }
    return bool(verdict.blockers) and all(
        (root.code, root.task, root.sample) in ignored for root in verdict.blockers
    )


def candidate_report(candidate: Candidate, verdicts: Iterable[Verdict]) -> CandidateReport:
    """Sum up a candidate from the facts that were gathered; none is gathered for it."""
    built = candidate.has_wheel
    listed = candidate.task_list
    try:
        python = candidate.interpreter.version
        commands = {
            task.id: {part.keys.command: candidate.argv(part) for part in task.run_parts}
            for task in candidate.tasks
        }
    except (BadInput, HarnessError):
        python, commands = None, {}
    runs = tuple(_runs(candidate))
    spans = {key: span for key in _STAGES if (span := candidate.store.span(key)) is not None}
    if candidate.spec.kind == "wheel":
        spans.pop("build", None)
    names = {**_STAGES, "build": "download"} if candidate.spec.kind == "requirement" else _STAGES
    stages = tuple(
        Stage(names[key], span.started, round(span.seconds, 3)) for key, span in spans.items()
    )
    timings = {
        key: spans[key].seconds if key in spans else 0.0
        for key in ("build", "environment", "install")
    }
    timings["runs"] = max((run.started + run.seconds for run in runs), default=0.0) - min(
        (run.started for run in runs), default=0.0
    )
    there = candidate.settings.environment is not None
    generation = listed.generation.version if listed and listed.generation else None
    return CandidateReport(
        name=candidate.wheel.distribution if built else candidate.spec.text,
        version=candidate.wheel.version if built else None,
        source=candidate.spec.text,
        generation=generation,
        wheel=candidate.wheel.path.name if built and not there else None,
        python=python,
        tasks=tuple(
            TaskSummary(
                task.name,
                task.slug,
                task.id,
                task.kind,
                commands.get(task.id, {}),
                candidate.source_of(task),
            )
            for task in candidate.tasks
        ),
        verdicts=tuple(verdicts),
        runs=runs,
        timings={stage: round(seconds, 2) for stage, seconds in timings.items()},
        stages=stages,
        rerun_command=_command_line(candidate),
        home=candidate.home,
        folder=str(candidate.folder) if candidate.settings.keep else None,
    )


def _command_line(candidate: Candidate) -> str:
    """The command line that judges it by the settings of this run, for a shell."""
    spec, settings = candidate.spec, candidate.settings
    words = ["pytest", f"--fractal-{'task' if spec.kind == 'task' else 'package'}={spec.text}"]
    words += [f"--fractal-environment={settings.environment}"] if settings.environment else []
    words += [f"--fractal-python={settings.python}"] if settings.python else []
    words += [f"--fractal-pin={pin}" for pin in settings.pins]
    words += ["--fractal-installer=pip"] if settings.installer == "pip" else []
    words += [f"--fractal-samples={settings.samples}"] if settings.samples else []
    if settings.server is not None:
        words += [f"--fractal-server={settings.server or 'default'}"]
    return shlex.join(words)


def _runs(candidate: Candidate) -> Iterable[RunSummary]:
    # Tasks run side by side, so only the order within a task is the same in every run.
    order = [task.id for task in candidate.tasks]
    before = {
        (task.id, sample.name): (sample.previous.task.id, sample.previous.name)
        for task in candidate.tasks
        for sample in candidate.samples_of(task)
        if sample.previous
    }
    for task, sample, start in sorted(
        candidate.starts(), key=lambda one: (order.index(one[0]), one[2].finished.started)
    ):
        finished = start.finished
        yield RunSummary(
            task,
            sample,
            finished.argv,
            finished.returncode,
            round(finished.seconds, 3),
            finished.timed_out,
            finished.started,
            start.again,
            before.get((task, sample)) if sample else None,
        )


def _candidate(one: CandidateReport) -> dict[str, Any]:
    return {
        "name": one.name,
        "version": one.version,
        "source": one.source,
        "generation": one.generation,
        "wheel": one.wheel,
        "python": one.python,
        "tasks": [
            {
                "name": task.name,
                "slug": task.slug,
                "kind": task.kind,
                "command": list(task.command),
                "commands": {name: list(argv) for name, argv in task.commands.items()},
                "source": task.source,
            }
            for task in one.tasks
        ],
        "verdicts": [_verdict(verdict) for verdict in one.verdicts],
        "runs": [
            {
                "task": run.task,
                "sample": run.sample,
                "argv": list(run.argv),
                "returncode": run.returncode,
                "seconds": run.seconds,
                "timed_out": run.timed_out,
                "started": run.started,
                "rerun_command": run.rerun_command,
            }
            for run in one.runs
        ],
        "summary": one.summary,
        "timings": dict(one.timings),
        "stages": [asdict(stage) for stage in one.stages],
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "code": verdict.code,
        "rule": verdict.rule,
        "task": verdict.task,
        "sample": verdict.sample,
        "outcome": verdict.outcome.value,
        "skip": verdict.skip.value if verdict.skip else None,
        "reason": verdict.reason,
        "findings": [
            {
                "where": found.where,
                "expected": found.expected,
                "found": found.found,
                "hint": found.hint,
                "file": found.file,
                "pointer": found.pointer,
                "line": found.line,
                "column": found.column,
                "task": found.task,
                "severity": found.severity.value if found.severity else None,
                "place": asdict(found.place) if found.place else None,
                "fix": [
                    {"file": one.file, "edits": [asdict(edit) for edit in one.lines]}
                    for one in found.fix.files
                ]
                if found.fix
                else None,
            }
            for found in verdict.findings
        ],
        "seconds": verdict.seconds,
    }
