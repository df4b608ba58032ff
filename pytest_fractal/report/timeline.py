"""What happened when, and who waited for whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

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
            key=lambda bar: bar.ended, default=None,
        )  # fmt: skip
        began = stage.started - zero
        bars.append(
            Bar(stage.name, "stage", began, stage.seconds, before.what if before else None,
                min(before.ended, began) if before else began)
        )  # fmt: skip
    bars += _runs(candidate, zero, {bar.what: bar for bar in bars})
    return tuple(sorted(bars, key=lambda bar: (bar.started, bar.what)))


def _runs(candidate: CandidateReport, zero: float, stages: dict[str, Bar]) -> Iterator[Bar]:
    last: dict[tuple[str, str | None], Bar] = {}
    broken = {
        (one.task, one.sample)
        for one in candidate.verdicts
        if one.sample and one.outcome is Outcome.FAIL
    }
    starts: Counter[str] = Counter()
    for run in sorted(candidate.runs, key=lambda one: one.started):
        # Starts that find out about a command follow one from the other.
        before = last.get((run.task, None) if run.sample is None else run.follows or ("", None))
        before = before or stages.get("install")
        began = run.started - zero
        starts[run.task] += run.sample is None
        bar = Bar(
            f"{run.task}, {run.sample or f'start {starts[run.task]}'}",
            "probe" if run.sample is None else "sample", began, run.seconds,
            before.what if before else None,
            min(before.ended, began) if before else began, _ending(run),
            (run.task, run.sample) in broken,
        )  # fmt: skip
        known = last.get((run.task, run.sample))
        if known is None or known.ended < bar.ended:
            last[run.task, run.sample] = bar
        yield bar


def _ending(run: RunSummary) -> str:
    if run.timed_out:
        return "time limit"
    return f"signal {-run.returncode}" if run.returncode < 0 else f"status {run.returncode}"
