"""The result of a run as data: what every format is made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from pytest_fractal.report.servers import server_ranges
from pytest_fractal.verdicts import Finding, Outcome, SkipKind, Status, Verdict

REPORT_VERSION: Final = 2


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


@dataclass(frozen=True, eq=False)
class CandidateReport:
    """Everything that is known of one candidate at the end of a run; equal only to itself."""

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
    program: str = "pytest"
    """The command with which it begins."""
    wheel_sha256: str | None = None
    """The hash of the wheel; None where there is none."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """What was installed in the end, by normalised name; empty where nothing was."""
    requires_python: str = ""
    """The Pythons that the wheel is for, as METADATA has it; empty where it does not say."""
    needs_pixi: bool = False
    """Whether something could not be judged since pixi alone would install it."""
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
    executor: str = "local"
    """Where commands ran: `local` or `slurm`."""

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
            "executor": self.executor,
            "candidates": [_candidate(candidate) for candidate in self.candidates],
            "passed": self.passed,
        }


def _only_ignored(verdict: Verdict, verdicts: Iterable[Verdict]) -> bool:
    """Whether a verdict is blocked by nothing but rules that the user ignores."""
    ignored = {verdict.key for verdict in verdicts if verdict.skip is SkipKind.IGNORED}
    return bool(verdict.blockers) and all(root.key in ignored for root in verdict.blockers)


def _candidate(one: CandidateReport) -> dict[str, Any]:
    return {
        "name": one.name,
        "version": one.version,
        "source": one.source,
        "generation": one.generation,
        "wheel": one.wheel,
        "wheel_sha256": one.wheel_sha256,
        "python": one.python,
        "requires_python": one.requires_python,
        "needs_pixi": one.needs_pixi,
        "versions": dict(sorted(one.versions.items())),
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
        "servers": [asdict(server_range) for server_range in server_ranges(one)],
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
        "server": verdict.server,
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
                "releases": found.releases,
                "place": asdict(found.place) if found.place else None,
                "fix": [
                    {"file": file.file, "edits": [asdict(edit) for edit in file.lines]}
                    for file in found.fix.files
                ]
                if found.fix
                else None,
            }
            for found in verdict.findings
        ],
        "seconds": verdict.seconds,
    }
