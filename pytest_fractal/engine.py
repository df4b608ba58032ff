"""Which rules apply to a candidate, in what order they need each other, and the verdicts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Final

from pytest_fractal.candidate.fix_files import completed_fix
from pytest_fractal.candidate.locations import excerpt_of, place_of
from pytest_fractal.candidate.packaged import Candidate
from pytest_fractal.environments.pip_show import PipShow
from pytest_fractal.environments.wheels import Wheel
from pytest_fractal.errors import BadInput, HarnessError, failure, faults_as_errors
from pytest_fractal.facts import (
    Build,
    Bundle,
    Command,
    EnvironmentUse,
    Installation,
    Manifest,
    PackagedPart,
    PackagedTask,
    Part,
    Task,
    TaskList,
    TreeBuild,
    Validation,
)
from pytest_fractal.processes.processes import Canceller, bind_canceller
from pytest_fractal.rules import REGISTRY, Note, Rule, Skipped
from pytest_fractal.samples.files import Sample
from pytest_fractal.samples.runs import Filled, PackageSamples, Run
from pytest_fractal.server.facts import Collection, ServerRun
from pytest_fractal.verdicts import Finding, Outcome, Severity, SkipKind, Verdict

_MOST_FIXES: Final = 200
"""Of how many findings of one verdict the fix is made."""

PACKAGE_FACTS: Final[Mapping[type[Any], Callable[[Candidate], Any]]] = {
    Build: lambda candidate: candidate.build,
    TreeBuild: lambda candidate: candidate.tree_build,
    Wheel: lambda candidate: candidate.wheel,
    Bundle: lambda candidate: candidate.bundle,
    Installation: lambda candidate: candidate.installation,
    Manifest: lambda candidate: candidate.task_list,
    PipShow: lambda candidate: candidate.pip_show,
    TaskList: lambda candidate: candidate.task_list,
    PackageSamples: lambda candidate: candidate.package_samples,
    Collection: lambda candidate: candidate.collection,
}
"""The facts about a package that a rule may ask for by the type of its parameter."""

TASK_FACTS: Final[Mapping[type[Any], Callable[[Candidate, Task], Any]]] = {
    Task: lambda _, task: task,
    PackagedTask: lambda _, task: task,
}
"""The facts about one task."""

PART_FACTS: Final[Mapping[type[Any], Callable[[Candidate, Part], Any]]] = {
    Part: lambda _, part: part,
    PackagedPart: lambda _, part: part,
    Command: lambda candidate, part: candidate.command(part),
    Validation: lambda candidate, part: candidate.validation(part),
}
"""The facts about one command of a task. All of them are judged in one verdict on the task."""

SAMPLE_FACTS: Final[Mapping[type[Any], Callable[[Candidate, Sample], Any]]] = {
    Filled: lambda candidate, sample: candidate.filled(sample),
    Run: lambda candidate, sample: candidate.run(sample),
    EnvironmentUse: lambda candidate, sample: candidate.environment_use(sample),
    ServerRun: lambda candidate, sample: candidate.server_run(sample),
}
"""The facts about one sample of a task."""


@dataclass(frozen=True)
class Check:
    """One rule on one subject: the whole package, or a task of it."""

    rule: Rule
    task: Task | None = None
    sample: Sample | None = None

    @property
    def name(self) -> str:
        """As in a node id: `command-starts[my_task]`, `sample-succeeds[my_task-plate]`."""
        if self.task is None:
            return self.rule.name
        sample = f"-{self.sample.name}" if self.sample else ""
        return f"{self.rule.name}[{self.task.id}{sample}]"

    @property
    def key(self) -> Key:
        """The code of the rule, and the task and the sample that it is about, if any."""
        return (
            self.rule.code,
            self.task.id if self.task else None,
            self.sample.name if self.sample else None,
        )

    @property
    def needs_process(self) -> bool:
        """Whether a command has to be started for it."""
        return Command in self.rule.subjects or Run in self.rule.subjects


Key = tuple[str, str | None, str | None]
"""Code, task and sample: what there is one verdict for."""


def is_about_samples(rule: Rule) -> bool:
    """Whether the rule is judged for each sample of each task."""
    return any(subject in SAMPLE_FACTS for subject in rule.subjects)


def is_about_tasks(rule: Rule) -> bool:
    """Whether the rule is judged for each task, or once for the package."""
    return any(
        subject in facts
        for subject in rule.subjects
        for facts in (TASK_FACTS, PART_FACTS, SAMPLE_FACTS)
    )


class Engine:
    """Judges one candidate. Verdicts are made when they are asked for, and then kept."""

    def __init__(self, candidate: Candidate) -> None:
        self.candidate = candidate
        self._verdicts: dict[Key, Verdict] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._stopper = Canceller()
        self._needs: dict[str, tuple[Rule, ...]] = {}

    def plan(self) -> list[Check]:
        """The checks that the settings select, in the order of the specification.

        Raises `BadInput`, and `HarnessError` for a fault of ours: nothing can be judged then.
        """
        with faults_as_errors("planning the checks"):
            return self._plan()

    def _plan(self) -> list[Check]:
        settings, tasks = self.candidate.settings, self.candidate.tasks
        checks: list[Check] = []
        for rule in self.candidate.rules:
            # Without a list of tasks there is one check, to tell that it is blocked.
            subjects = (tasks or (None,)) if is_about_tasks(rule) else (None,)
            checks += [
                Check(rule, task, sample)
                for task in subjects
                if settings.selects(rule, *_names(task))
                for sample in self._samples(rule, task)
            ]
        return checks

    def _samples(self, rule: Rule, task: Task | None) -> Sequence[Sample | None]:
        if task is None or not is_about_samples(rule):
            return (None,)
        return self.candidate.samples_of(task)

    def run_ahead(self, checks: Iterable[Check], width: int, share: float = 0.0) -> None:
        """Start gathering what the checks will ask for, `width` commands at a time.

        `share` is the part of the tasks at which to begin: workers that begin at different
        ones do not wait for each other.
        """
        tasks = {
            check.task.id: check.task for check in checks if check.task and check.needs_process
        }
        wants_tree = any(TreeBuild in check.rule.subjects for check in checks)
        wants_environment = any(Installation in check.rule.subjects for check in checks)
        self._pool = ThreadPoolExecutor(
            width + 2, "fractal", initializer=bind_canceller, initargs=(self._stopper,)
        )
        if tasks or wants_environment:
            # The first installs, the others wait for it: one thread for that is enough.
            first = int(len(tasks) * share)
            for task in (*list(tasks.values())[first:], *list(tasks.values())[:first]):
                self._pool.submit(self._judged, Check(REGISTRY["FR303"], task))
            self._pool.submit(self._judged, Check(REGISTRY["FR002"]))
            self._pool.submit(self._judged, Check(REGISTRY["FR117"]))
        samples = {
            check.key[1:]: check for check in checks if check.sample and Run in check.rule.subjects
        }
        for check in samples.values():
            self._pool.submit(self._judged, check)
        if wants_tree:
            self._pool.submit(self._judged, Check(REGISTRY["FR006"]))
        if any(check.rule.asks_server for check in checks):
            self._pool.submit(self._judged, Check(REGISTRY["FR901"]))

    def drain(self) -> None:
        """Finish what is being gathered ahead, and begin nothing more of it."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def close(self) -> None:
        """End what runs ahead."""
        self.candidate.executor.close()
        self._stopper.stop()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def verdict(self, check: Check) -> Verdict:
        """The verdict on one check; that of a rule which is ignored is `skip`."""
        reason = self.candidate.settings.ignored(check.rule, *_names(check.task))
        if reason is not None:
            return self._skip(check, SkipKind.IGNORED, reason)
        return self._judged(check)

    def _judged(self, check: Check) -> Verdict:
        if check.key not in self._verdicts:
            started = time.perf_counter()
            verdict = self._judge(check)
            seconds = time.perf_counter() - started
            self._verdicts[check.key] = replace(verdict, seconds=round(seconds, 4))
        return self._verdicts[check.key]

    def _judge(self, check: Check) -> Verdict:
        rule, task, sample = check.rule, check.task, check.sample
        if sample is not None and (nothing := rule.skip_reason(sample)):
            return self._skip(check, nothing.kind, str(nothing))
        if (why := self.candidate.unsupported_reason(rule)) is not None:
            return self._skip(check, why.kind, str(why))
        blockers: dict[Key, Verdict] = {}
        for needed in self._needed(check):
            for root in _roots(self._judged(needed), task):
                if rule.asks_server and self._is_ignored(root):
                    continue  # whoever does not believe a rule asks the server
                blockers[root.code, root.task, root.sample] = root
        if blockers:
            broken = ", ".join(dict.fromkeys(root.code for root in blockers.values()))
            return self._verdict(
                check,
                Outcome.BLOCKED,
                reason=f"blocked by {broken}",
                blockers=tuple(blockers.values()),
            )
        if is_about_tasks(rule) and task is None:
            return self._skip(check, SkipKind.NOT_CHECKED, "there is no task")
        told: list[Finding | Note] = []
        skipped: list[str] = []
        kinds: set[SkipKind] = set()
        parts = _parts(rule, task)
        try:
            for part in parts:
                try:
                    facts = [self._fact(one, part, task, sample) for one in rule.subjects]
                    told += rule.judge(*facts)
                except Skipped as why_not:
                    which = f"{part.keys.name}: " if part and len(parts) > 1 else ""
                    skipped.append(f"{which}{why_not}")
                    kinds.add(why_not.kind)
        except (BadInput, HarnessError) as error:
            return self._verdict(check, Outcome.ERROR, reason=str(error))
        except Exception as error:
            return self._verdict(check, Outcome.ERROR, reason=failure(error))
        if len(skipped) == len(parts):
            told_why = "; ".join(skipped) or "the server runs no command of the task, see FR115"
            kind = SkipKind.NOT_APPLICABLE
            if SkipKind.NOT_CHECKED in kinds:
                kind = SkipKind.NOT_CHECKED
            return self._skip(check, kind, told_why)
        found = [one for one in told if isinstance(one, Finding)]
        # Thousands of findings have one cause, and each fix reads the file anew.
        found[_MOST_FIXES:] = [replace(one, fix=None) for one in found[_MOST_FIXES:]]
        findings = tuple(self._completed(one, rule, task) for one in found)
        notes = [one for one in told if isinstance(one, Note)]
        reason = "; ".join([*notes, *skipped]) or None
        weights = {found.severity or rule.severity for found in findings}
        if Severity.ERROR in weights:
            outcome = Outcome.FAIL
        else:
            outcome = Outcome.WARN if Severity.WARNING in weights else Outcome.PASS
        return self._verdict(check, outcome, findings=findings, reason=reason)

    def _is_ignored(self, verdict: Verdict) -> bool:
        rule, settings = REGISTRY[verdict.code], self.candidate.settings
        task = next((one for one in self.candidate.tasks if one.id == verdict.task), None)
        return settings.ignored(rule, *_names(task)) is not None

    def _needed(self, check: Check) -> Iterator[Check]:
        """The checks that must not fail before this one can be judged."""
        code = check.rule.code
        if code not in self._needs:
            self._needs[code] = tuple(dict.fromkeys(self._prerequisites(check.rule)))
        for needed in self._needs[code]:
            # A rule about the package waits for those about tasks, for every task.
            whole = is_about_tasks(needed) and not is_about_tasks(check.rule)
            for task in self.candidate.tasks if whole else (check.task,):
                yield Check(
                    needed,
                    task if is_about_tasks(needed) else None,
                    check.sample if is_about_samples(needed) else None,
                )
        if check.sample and not check.sample.is_usable:
            yield Check(REGISTRY["FR400"])
        if check.sample and check.sample.previous and Run in check.rule.subjects:
            # The server goes no further when a step of a workflow breaks.
            before = check.sample.previous
            for rule in self.candidate.rules:
                if Run in rule.subjects and rule.severity is Severity.ERROR:
                    yield Check(rule, before.task, before)

    def _prerequisites(self, rule: Rule) -> Iterator[Rule]:
        """The rules that it needs; for one that cannot be asked here, those which that needs."""
        for needed in map(REGISTRY.__getitem__, rule.needs):
            if needed in self.candidate.rules:
                yield needed
            else:
                yield from self._prerequisites(needed)

    def _fact(
        self, subject: type[Any], part: Part | None, task: Task | None, sample: Sample | None
    ) -> Any:
        if subject in PACKAGE_FACTS:
            return PACKAGE_FACTS[subject](self.candidate)
        if subject in PART_FACTS and part is not None:
            return PART_FACTS[subject](self.candidate, part)
        if subject in TASK_FACTS and task is not None:
            return TASK_FACTS[subject](self.candidate, task)
        assert sample is not None
        return SAMPLE_FACTS[subject](self.candidate, sample)

    def _completed(self, found: Finding, rule: Rule, task: Task | None) -> Finding:
        file = self.candidate.located(found.file) if found.file else None
        about = found.task or (task.slug if task else None)
        builds = Build in rule.subjects or TreeBuild in rule.subjects
        place = place_of(self.candidate, replace(found, task=about), builds)
        fix = completed_fix(self.candidate, found.fix)
        known = replace(found, file=file, task=about, place=place, fix=fix)
        return replace(known, excerpt=excerpt_of(self.candidate, known))

    def _skip(self, check: Check, kind: SkipKind, reason: str) -> Verdict:
        return replace(self._verdict(check, Outcome.SKIP, reason=reason), skip=kind)

    def _verdict(
        self,
        check: Check,
        outcome: Outcome,
        *,
        findings: tuple[Finding, ...] = (),
        reason: str | None = None,
        blockers: tuple[Verdict, ...] = (),
    ) -> Verdict:
        code, task, sample = check.key
        return Verdict(code, check.rule.name, task, outcome, findings, reason, blockers, sample)


def _parts(rule: Rule, task: Task | None) -> Sequence[Part | None]:
    """The commands on which a rule is judged one after the other; None alone if on none."""
    if task is None or not any(subject in PART_FACTS for subject in rule.subjects):
        return (None,)
    return task.run_parts if Command in rule.subjects else task.parts


def _roots(verdict: Verdict, task: Task | None) -> tuple[Verdict, ...]:
    """The failed verdicts by which `verdict` blocks a rule on this task; none if it does not."""
    if verdict.outcome is Outcome.BLOCKED:
        return verdict.blockers
    if verdict.outcome is Outcome.ERROR:
        return (verdict,)
    if verdict.outcome is Outcome.FAIL:
        # A finding that names a task says nothing against the others.
        light = (Severity.WARNING, Severity.NOTE)
        heavy = [found for found in verdict.findings if found.severity not in light]
        if task is None or any(found.task in (None, task.slug) for found in heavy):
            return (verdict,)
    return ()


def _names(task: Task | None) -> tuple[str, ...]:
    return (task.id, task.slug) if task else ()
