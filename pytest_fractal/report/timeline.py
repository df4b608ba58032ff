"""What happened when, and who waited for whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath

from pytest_fractal.report.model import CandidateReport, RunSummary
from pytest_fractal.verdicts import Outcome


@dataclass(frozen=True)
class Bar:
    """Something that took its time: a stage, or one start of a command."""

    what: str
    kind: str
    """`stage`, `probe` or `sample`."""
    started: float
    """Seconds after the first of all began."""
    seconds: float
    after: str | None
    """What had to be done before it could begin."""
    ready: float
    """When that was done, in seconds after the first of all began."""
    ending: str | None = None
    """How it ended, where that tells something."""
    bad: bool = False
    """Whether a rule is broken by what it did."""

    @property
    def ended(self) -> float:
        """When it was done, in seconds after the first of all began."""
        return self.started + self.seconds

    @property
    def waited(self) -> float:
        """Seconds for which it could have begun and had not: it was not its turn."""
        return max(0.0, self.started - self.ready)


def timeline(candidate: CandidateReport) -> tuple[Bar, ...]:
    """The bars of a candidate, in the order in which they began."""
    times = [stage.started for stage in candidate.stages]
    times += [run.started for run in candidate.runs]
    zero = min(times, default=0.0)
    bars: list[Bar] = []
    for stage in sorted(candidate.stages, key=lambda one: one.started):
        before = max(
            (bar for bar in bars if zero + bar.ended <= stage.started + 0.05),
            key=lambda bar: bar.ended,
            default=None,
        )
        began = stage.started - zero
        bars.append(
            Bar(
                stage.name,
                "stage",
                began,
                stage.seconds,
                before.what if before else None,
                min(before.ended, began) if before else began,
            )
        )
    bars += _runs(candidate, zero, {bar.what: bar for bar in bars})
    return tuple(sorted(bars, key=lambda bar: (bar.started, bar.what)))


def _runs(candidate: CandidateReport, zero: float, stages: dict[str, Bar]) -> Iterator[Bar]:
    commands = {task.id: tuple(task.commands.values()) for task in candidate.tasks}
    broken = {
        (verdict.task, verdict.sample)
        for verdict in candidate.verdicts
        if verdict.sample and verdict.outcome is Outcome.FAIL
    }
    starts: Counter[str] = Counter()
    latest: dict[tuple[tuple[str, str | None], str], Bar] = {}
    for run in sorted(candidate.runs, key=lambda one: one.started):
        about, part = (run.task, run.sample), _part(run, commands.get(run.task, ()))
        behind = [
            bar
            for (shown_run, its_part), bar in latest.items()
            # Starts that find out about a task follow one from the other; in a sample, its
            # second command follows the first, and a step of a workflow the step before.
            if (shown_run == about and (run.sample is None or its_part != part))
            or (run.sample is not None and shown_run == run.follows)
        ]
        before = max(behind, key=lambda bar: bar.ended, default=stages.get("install"))
        began = run.started - zero
        starts[run.task] += run.sample is None
        bar = Bar(
            f"{run.task}{part}, {run.sample or f'start {starts[run.task]}'}",
            "probe" if run.sample is None else "sample",
            began,
            run.seconds,
            before.what if before else None,
            min(before.ended, began) if before else began,
            _ending(run),
            about in broken,
        )
        known = latest.get((about, part))
        if known is None or known.ended < bar.ended:
            latest[about, part] = bar
        yield bar


def _part(run: RunSummary, commands: tuple[tuple[str, ...], ...]) -> str:
    """Which of the commands of its task it started, where there are several."""
    own = next((argv for argv in commands if run.argv[: len(argv)] == argv), ())
    return f" ({PurePath(own[-1]).name})" if own and len(commands) > 1 else ""


def _ending(run: RunSummary) -> str:
    if run.timed_out:
        return "time limit"
    return f"signal {-run.returncode}" if run.returncode < 0 else f"status {run.returncode}"
