"""Which rules apply to a candidate, in what order they need each other, and the verdicts."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any, Final

from pytest_fractal.candidate.fix_files import completed_fix
from pytest_fractal.candidate.locations import excerpt_of, place_of
from pytest_fractal.candidate.packaged import Candidate
from pytest_fractal.environments.pip_show import PipShow
from pytest_fractal.errors import BadInput, HarnessError, failure, faults_as_errors
from pytest_fractal.facts import (
    Build,
    ClusterAnswer,
    Command,
    GeneratedManifest,
    Installation,
    Part,
    Task,
    TreeBuild,
)
from pytest_fractal.processes.probing import OptionProbe, Refusals
from pytest_fractal.processes.processes import Canceller, bind_canceller
from pytest_fractal.processes.threads import DaemonPool
from pytest_fractal.rules import REGISTRY, Note, Rule
from pytest_fractal.rules.subjects import OF_SERVERS, SCOPES, Scope
from pytest_fractal.samples.files import Sample
from pytest_fractal.samples.runs import Run
from pytest_fractal.server.facts import Collection
from pytest_fractal.server.releases import concern_newest
from pytest_fractal.verdicts import (
    Finding,
    Ignored,
    Key,
    NotApplicable,
    NotChecked,
    Outcome,
    Severity,
    SkipKind,
    Skipped,
    Verdict,
)

AHEAD: Final[tuple[type[Any], ...]] = (
    Command,
    OptionProbe,
    Refusals,
    Installation,
    PipShow,
    GeneratedManifest,
    Run,
    TreeBuild,
    Collection,
)
"""The facts that take their time, in the order in which gathering them begins."""
_MOST_FINDINGS: Final = 50
"""How many findings of one check are listed: thousands have one cause."""
_LONGEST_LINE: Final = 1000
"""How many characters are shown of a line that was found."""


@dataclass(frozen=True)
class Check:
    """One rule on one subject: the whole package, or a task of it."""

    rule: Rule
    task: Task | None = None
    sample: Sample | None = None
    server: str | None = None
    """The version of the server that is asked."""
    names_server: bool = False
    """Whether several are asked, so that its name has to tell them apart."""

    @property
    def name(self) -> str:
        """As in a node id: `command-starts[my_task]`, `sample-succeeds[my_task-plate]`."""
        about = [self.task.id] if self.task else []
        about += [self.sample.name] if self.task and self.sample else []
        about += [self.server] if self.server and self.names_server else []
        return f"{self.rule.name}[{'-'.join(about)}]" if about else self.rule.name

    @property
    def key(self) -> Key:
        """The code of the rule, and the task, the sample and the server that it is about."""
        return (
            self.rule.code,
            self.task.id if self.task else None,
            self.sample.name if self.sample else None,
            self.server,
        )

    @property
    def needs_process(self) -> bool:
        """Whether a command has to be started for it."""
        return Command in self.rule.subjects or Run in self.rule.subjects


class Engine:
    """Judges one candidate by rules. Verdicts are made when they are asked for, and then kept."""

    def __init__(self, candidate: Candidate, rules: Mapping[str, Rule] = REGISTRY) -> None:
        self.candidate = candidate
        self._registry = rules
        self.rules = tuple(
            rule for rule in rules.values() if candidate.providers.keys() >= {*rule.subjects}
        )
        """The rules that apply to such a candidate: all their facts are known of it."""
        candidate.is_wanted = self._is_wanted
        self._checks: tuple[Check, ...] | None = None
        self._verdicts: dict[Key, Verdict] = {}
        self._pool: DaemonPool | None = None
        self._stopper = Canceller()
        self._needs: dict[str, tuple[Rule, ...]] = {}

    def plan(self) -> list[Check]:
        """The checks that the settings select, in the order of the specification.

        Raises `BadInput`, and `HarnessError` for a fault of ours: nothing can be judged then.
        """
        if self._checks is None:
            with faults_as_errors("planning the checks"):
                self._checks = tuple(self._plan())
        return [*self._checks]

    def _plan(self) -> list[Check]:
        settings, tasks = self.candidate.settings, self.candidate.tasks
        checks: list[Check] = []
        for rule in self.rules:
            # Without a list of tasks there is one check, to tell that it is blocked.
            subjects = (None,) if rule.scope is Scope.PACKAGE else (tasks or (None,))
            servers = self.candidate.asked_servers if rule.asks_server else (None,)
            checks += [
                Check(rule, task, sample, server, len(servers) > 1)
                for task in subjects
                if settings.selects(rule, *_names(task))
                for sample in self._samples(rule, task)
                for server in servers
            ]
        return checks

    def _samples(self, rule: Rule, task: Task | None) -> Sequence[Sample | None]:
        if task is None or rule.scope is not Scope.SAMPLE:
            return (None,)
        return self.candidate.sample_runs.of(task)

    def run_ahead(self, checks: Iterable[Check], width: int, share: float = 0.0) -> None:
        """Start gathering what the checks will ask for, `width` commands at a time.

        `share` is the part of the tasks at which to begin: workers that begin at different
        ones do not wait for each other.
        """
        self._pool = DaemonPool(width + 2, lambda: bind_canceller(self._stopper))
        # The first one installs, the others wait for it.
        for check in _first_of_each(list(checks), share, self.candidate.between_runs.last_seconds):
            self._pool.submit(self._judged, check)

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
            return self._skip(check, Ignored(reason))
        return self._judged(check)

    def _judged(self, check: Check) -> Verdict:
        key = check.key
        if key not in self._verdicts:
            started = time.perf_counter()
            verdict = self._judge(check)
            seconds = time.perf_counter() - started
            self._verdicts[key] = replace(verdict, seconds=round(seconds, 4))
        return self._verdicts[key]

    def _judge(self, check: Check) -> Verdict:
        rule, task = check.rule, check.task
        if (why_not := self._skip_reason(check)) is not None:
            return self._skip(check, why_not)
        if blockers := self._blockers(check):
            return self._blocked(check, blockers)
        if rule.scope is not Scope.PACKAGE and task is None:
            return self._skip(check, NotChecked("there is no task"))
        said: list[Finding | Note] = []
        skipped: list[Skipped] = []
        parts = _parts(rule, task)
        try:
            for part in parts:
                try:
                    facts = [self._fact(kind, part, check) for kind in rule.subjects]
                    said += rule.judge(*facts)
                except Skipped as why:
                    skipped.append(why.of(part.keys.name) if part and len(parts) > 1 else why)
        except (BadInput, HarnessError) as error:
            return self._verdict(check, Outcome.ERROR, reason=str(error))
        except Exception as error:
            return self._verdict(check, Outcome.ERROR, reason=failure(error))
        if not parts:
            none_runs = NotApplicable("the server runs no command of the task, see FR115")
            return self._skip(check, none_runs)
        if len(skipped) == len(parts):
            return self._skip(check, *skipped)
        found = [_weighed(part) for part in said if isinstance(part, Finding)]
        if causes := self._causes(found, check):
            found = [part for part in found if part.follows not in causes]
            if not found:
                return self._blocked(check, tuple(causes.values()))
        weights = {part.severity or rule.severity for part in found}
        if len(found) > _MOST_FINDINGS:  # what weighs most is among those that are listed
            found.sort(key=lambda part: list(Severity).index(part.severity or rule.severity))
        listed = found[:_MOST_FINDINGS]
        findings = tuple(self._completed(part, rule, task) for part in listed)
        notes = [note for note in said if isinstance(note, Note)]
        if len(found) > len(listed):
            notes.append(Note(f"{len(found) - len(listed)} more findings are not listed"))
        reason = "; ".join(map(str, [*notes, *skipped])) or None
        if Severity.ERROR in weights:
            outcome = Outcome.FAIL
        else:
            outcome = Outcome.WARN if Severity.WARNING in weights else Outcome.PASS
        return self._verdict(check, outcome, findings=findings, reason=reason)

    def _skip_reason(self, check: Check) -> Skipped | None:
        """Why the rule says nothing here, whatever else is broken; None when it may."""
        if check.sample is not None and (nothing := check.rule.skip_reason(check.sample)):
            return nothing
        lacking = map(self.candidate.lacking, check.rule.subjects)
        return next((why for why in lacking if why is not None), None)

    def _blockers(self, check: Check) -> tuple[Verdict, ...]:
        """The failed verdicts for which the rule cannot be judged."""
        blockers: dict[Key, Verdict] = {}
        for needed in self._needed(check):
            for root in _roots(self._judged(needed), check.task):
                if check.rule.asks_server and self.is_ignored(root):
                    continue  # whoever does not believe a rule asks the server
                blockers[root.key] = root
        return tuple(blockers.values())

    def _causes(self, found: Iterable[Finding], check: Check) -> dict[str, Verdict]:
        """The failed verdicts that some of the findings only follow from, by their codes."""
        causes: dict[str, Verdict] = {}
        for code in dict.fromkeys(finding.follows for finding in found if finding.follows):
            if (rule := self._registry[code]) in self.rules:
                sample = check.sample if rule.scope is Scope.SAMPLE else None
                verdict = self._judged(Check(rule, check.task, sample))
                if verdict.outcome is Outcome.FAIL and not self.is_ignored(verdict):
                    causes[code] = verdict
        return causes

    def is_ignored(self, verdict: Verdict) -> bool:
        """Whether the user ignores the rule of a verdict, for its task."""
        rule, settings = self._registry[verdict.code], self.candidate.settings
        task = next((task for task in self.candidate.tasks if task.id == verdict.task), None)
        return settings.ignored(rule, *_names(task)) is not None

    def _needed(self, check: Check) -> Iterator[Check]:
        """The checks that must not fail before this one can be judged."""
        code = check.rule.code
        if code not in self._needs:
            self._needs[code] = tuple(dict.fromkeys(self._prerequisites(check.rule)))
        for needed in self._needs[code]:
            # A rule about the package waits for those about tasks, for every task.
            whole = needed.scope is not Scope.PACKAGE and check.rule.scope is Scope.PACKAGE
            for task in self.candidate.tasks if whole else (check.task,):
                yield Check(
                    needed,
                    None if needed.scope is Scope.PACKAGE else task,
                    check.sample if needed.scope is Scope.SAMPLE else None,
                    check.server if needed.asks_server else None,
                    check.names_server,
                )
        if check.sample and not check.sample.is_usable:
            yield Check(self._registry["FR400"])  # it says what is wrong with the file
        if check.sample and check.sample.previous and Run in check.rule.subjects:
            # The server goes no further when a step of a workflow breaks.
            before = check.sample.previous
            for rule in self.rules:
                if Run in rule.subjects and rule.severity is Severity.ERROR:
                    yield Check(rule, before.task, before)

    def _prerequisites(self, rule: Rule) -> Iterator[Rule]:
        """The rules that it needs; for one that does not apply here, those which that needs."""
        for needed in map(self._registry.__getitem__, rule.needs):
            if needed in self.rules:
                yield needed
            else:
                yield from self._prerequisites(needed)

    def _fact(self, subject: type[Any], part: Part | None, check: Check) -> Any:
        gather = self.candidate.providers[subject]
        asked = (check.server,) if subject in OF_SERVERS else ()
        match SCOPES[subject]:
            case Scope.PACKAGE:
                return gather(*asked)
            case Scope.TASK:
                return gather(check.task)
            case Scope.PART:
                return gather(part)
            case Scope.SAMPLE:
                return gather(check.sample, *asked)

    def _is_wanted(self, facts: Set[type[Any]], task: Task | None) -> bool:
        """Whether a rule that is selected takes one of these facts."""
        settings = self.candidate.settings
        return any(
            not facts.isdisjoint(rule.subjects) and settings.selects(rule, *_names(task))
            for rule in self.rules
        )

    def _completed(self, found: Finding, rule: Rule, task: Task | None) -> Finding:
        file = self.candidate.author_files.located(found.file) if found.file else None
        about = found.task or (task.slug if task else None)
        builds = Build in rule.subjects or TreeBuild in rule.subjects
        place = place_of(self.candidate, replace(found, task=about), builds)
        fix = completed_fix(self.candidate, found.fix)
        said = _with_short_lines(found.found)
        known = replace(found, found=said, file=file, task=about, place=place, fix=fix)
        return replace(known, excerpt=excerpt_of(self.candidate, known))

    def _skip(self, check: Check, *reasons: Skipped) -> Verdict:
        """The verdict where none of the parts is judged: not checked, if that is so of one."""
        kinds = [why.kind for why in reasons]
        return self._verdict(
            check,
            Outcome.SKIP,
            reason="; ".join(map(str, reasons)),
            skip=SkipKind.NOT_CHECKED if SkipKind.NOT_CHECKED in kinds else kinds[0],
            cause="; ".join(dict.fromkeys(why.reason for why in reasons)),
        )

    def _blocked(self, check: Check, blockers: tuple[Verdict, ...]) -> Verdict:
        broken = ", ".join(dict.fromkeys(root.code for root in blockers))
        return self._verdict(
            check, Outcome.BLOCKED, reason=f"blocked by {broken}", blockers=blockers
        )

    def _verdict(
        self,
        check: Check,
        outcome: Outcome,
        *,
        findings: tuple[Finding, ...] = (),
        reason: str | None = None,
        blockers: tuple[Verdict, ...] = (),
        skip: SkipKind | None = None,
        cause: str = "",
    ) -> Verdict:
        code, task, sample, server = check.key
        return Verdict(
            code,
            check.rule.name,
            task,
            outcome,
            findings,
            reason,
            blockers,
            sample,
            server,
            skip,
            cause,
        )


def _weighed(found: Finding) -> Finding:
    """What only older servers refuse is a warning."""
    if found.severity is None and found.releases and not concern_newest(found.releases):
        return replace(found, severity=Severity.WARNING)
    return found


def _with_short_lines(text: str) -> str:
    """A text without the ends of lines that nobody reads: a task may print anything."""
    return "\n".join(
        line
        if len(line) <= _LONGEST_LINE
        else f"{line[:_LONGEST_LINE]} [... {len(line) - _LONGEST_LINE} more characters]"
        for line in text.split("\n")
    )


def _parts(rule: Rule, task: Task | None) -> Sequence[Part | None]:
    """The commands on which a rule is judged one after the other; None alone if on none."""
    if task is None or all(SCOPES[subject] is not Scope.PART for subject in rule.subjects):
        return (None,)
    is_run = Command in rule.subjects or ClusterAnswer in rule.subjects
    return task.run_parts if is_run else task.parts


def _first_of_each(
    checks: Sequence[Check], share: float, seconds: Mapping[str, float]
) -> Sequence[Check]:
    """The first check that needs each of the facts that take their time.

    Those about tasks that took the most `seconds` come first, for none of them is to begin when
    all others have ended; and what a task took that is new is not known. The order begins at a
    `share` of the tasks.
    """
    tasks = [*dict.fromkeys(check.task.id for check in checks if check.task)]
    tasks.sort(key=lambda task: -seconds.get(task, math.inf))
    first = int(len(tasks) * share)
    order = {task: (number - first) % len(tasks) for number, task in enumerate(tasks)}
    found: dict[tuple[Any, ...], Check] = {}
    for fact in AHEAD:
        needing = [
            check
            for check in checks
            if fact in check.rule.subjects
            and not (check.sample and check.rule.skip_reason(check.sample))
        ]
        needing.sort(key=lambda check: order[check.task.id] if check.task else 0)
        for check in needing:
            found.setdefault((fact, *check.key[1:]), check)
    return [*{check.key: check for check in found.values()}.values()]


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
