"""The search for pins: which trials are made, and what follows from them.

Nothing is concluded: each pin that comes out was part of a trial in which the task started.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

MONTHS: Final = (1, 3, 6, 12, 24, 48)
"""How far back the index is asked what it had, in months."""

Pins = Mapping[str, str]


@dataclass(frozen=True)
class Failure:
    """Why a task does not start."""

    headline: str
    suspects: tuple[str, ...] = ()
    """The distributions that its traceback names, the likeliest first."""
    may_have_drifted: bool = True
    """False where its traceback is in the package's own code alone."""


@dataclass(frozen=True)
class Trial:
    """What was seen with some pins, in an environment of its own."""

    started: frozenset[str]
    """The tasks that start, of those that were tried."""
    failures: Mapping[str, Failure]
    """Why the others do not, by task."""
    unusable: str = ""
    """Why the pins are of no use although tasks may start: they cannot be installed, or leave
    requirements unmet that were met without them."""


class Laboratory(Protocol):
    """What a search takes from the world."""

    def trial(self, pins: Pins, tasks: Collection[str]) -> Trial:
        """What comes of these pins for these tasks."""

    def older(self, name: str) -> Sequence[str]:
        """The releases below the installed one that would install, the newest first."""

    def as_of(self, months: int) -> Pins | None:
        """What would have been installed so long ago, less what is so today.

        None where the index does not tell when its files came, or had nothing that fits.
        """

    def has_time(self) -> bool:
        """Whether another trial may begin."""


@dataclass
class Search:
    """Finds pins; `tell` is given a line about each trial."""

    laboratory: Laboratory
    tasks: Sequence[str]
    """All the tasks of the package."""
    tell: Callable[[str], None]
    pins: dict[str, str] = field(default_factory=dict)
    """What was found until now."""
    limits: dict[str, str] = field(default_factory=dict)
    """Of a pin, the next newer release, with which its task was seen not to start."""
    complete: bool = True
    """False when the time was over first."""

    def run(self, failures: Mapping[str, Failure]) -> None:
        """Search for pins with which the failing tasks start, one cause after the other."""
        done: set[str] = set()
        while task := next(
            (failing for failing in failures if failures[failing].headline not in done), None
        ):
            if not self.laboratory.has_time():
                break
            failure = failures[task]
            done.add(failure.headline)
            if not failure.may_have_drifted:
                self.tell(f"{task}: {failure.headline}: no dependency has a part in it")
                continue
            if self._by_versions(task, failure.suspects) or self._by_dates(task):
                tried = self.laboratory.trial(self.pins, self.tasks)
                self.tell(
                    f"{_text(self.pins)}: {len(tried.started)} of {len(self.tasks)} tasks start"
                )
                failures = tried.failures
        self.complete = not failures or self.laboratory.has_time()

    def _starts(self, task: str, pins: Pins, when: str = "") -> bool:
        """Whether the task starts with what was found and these pins."""
        tried = self.laboratory.trial({**self.pins, **pins}, [task])
        if tried.unusable:
            said = tried.unusable
        elif task in tried.started:
            said = f"{task} starts"
        else:
            said = f"{task} does not start: {tried.failures[task].headline}"
        self.tell(f"{when}{_text(pins)}: {said}")
        return task in tried.started and not tried.unusable

    def _by_versions(self, task: str, suspects: Sequence[str]) -> bool:
        """Go back through the releases of each suspect in steps that double, then halve."""
        for name in suspects:
            versions = () if name in self.pins else self.laboratory.older(name)
            failed, step, last = -1, 0, len(versions) - 1
            while failed < last and self.laboratory.has_time():
                if self._starts(task, {name: versions[step]}):
                    self._take_newest(task, name, versions, failed, step)
                    return True
                failed, step = step, min(2 * step + 1, last)
        return False

    def _take_newest(
        self, task: str, name: str, versions: Sequence[str], failed: int, works: int
    ) -> None:
        """Pin to the newest release between one that failed and an older one that works."""
        while works - failed > 1 and self.laboratory.has_time():
            middle = (failed + works) // 2
            if self._starts(task, {name: versions[middle]}):
                works = middle
            else:
                failed = middle
        self.pins[name] = versions[works]
        if works - failed == 1 and failed >= 0:
            self.limits[name] = versions[failed]

    def _by_dates(self, task: str) -> bool:
        """Go back in time until the task starts, then find what of that it takes."""
        last: Pins = {}
        for months in MONTHS:
            if not self.laboratory.has_time():
                return False
            then = self.laboratory.as_of(months)
            if then is None:
                self.tell(f"what the index had {months} months ago cannot be found out")
                return False
            if then and then != last and self._starts(task, then, f"as of {months} months ago, "):
                self._take_fewest(task, then)
                return True
            last = then
        return False

    def _take_fewest(self, task: str, then: Pins) -> None:
        """Of pins with which the task starts, drop what it can do without, and lift the rest."""
        working, size = dict(then), len(then) // 2
        while size and self.laboratory.has_time():
            for first in range(0, len(names := list(working)), size):
                dropped = names[first : first + size]
                fewer = {name: v for name, v in working.items() if name not in dropped}
                if fewer and self.laboratory.has_time() and self._starts(task, fewer):
                    working = fewer
            size //= 2
        self.pins |= working
        for name, version in working.items():
            newer = self.laboratory.older(name)
            if version in newer:
                self._take_newest(task, name, newer, -1, newer.index(version))


def _text(pins: Pins) -> str:
    shown = [f"{name}=={version}" for name, version in pins.items()]
    return " ".join(shown[:3]) + (f" and {len(shown) - 3} more" if len(shown) > 3 else "")
