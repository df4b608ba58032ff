"""Findings of one cause as one: by rule, message and fix, with the tasks and places listed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from pytest_fractal.report.model import CandidateReport
from pytest_fractal.report.overview import ToFix, to_fix
from pytest_fractal.verdicts import Finding, Verdict

_PLACE: Final = re.compile(r"[\w./+-]{1,200}\.\w{1,8}(?:, line \d+|:\d+)?")
"""A file, with its line: what differs between tasks of one cause."""
_COMPARED: Final = 4000
"""Characters of a text in which names are looked for: the rest is compared as it is."""


@dataclass(frozen=True)
class Problem:
    """One cause: findings of one rule that say the same of several tasks, samples or places."""

    parts: Sequence[ToFix]

    @property
    def verdict(self) -> Verdict:
        """The verdict of the first finding."""
        return self.parts[0].verdict

    @property
    def finding(self) -> Finding | None:
        """The first finding; None where the harness failed."""
        return self.parts[0].finding

    @property
    def heavy(self) -> bool:
        """Whether it fails; else it is a warning."""
        return self.parts[0].heavy

    @property
    def blocks(self) -> int:
        """How many checks wait until it is fixed."""
        verdicts = {part.verdict.key: part.blocks for part in self.parts}
        return sum(verdicts.values())

    @property
    def subjects(self) -> Sequence[str]:
        """The tasks, each with its sample if it has one; empty for the package."""
        return list(dict.fromkeys(_subject(part) for part in self.parts if _subject(part)))

    @property
    def places(self) -> Sequence[str]:
        """Where it is seen."""
        found = [part.finding.where for part in self.parts if part.finding is not None]
        return list(dict.fromkeys(place for place in found if place))


@lru_cache(maxsize=16)  # every format asks
def problems(candidate: CandidateReport, strict: bool) -> Sequence[Problem]:
    """What is to be fixed, those that fail first; a cause in several tasks is one problem."""
    groups: dict[tuple[object, ...], list[ToFix]] = {}
    for part in to_fix(candidate, strict):
        groups.setdefault(_cause(part), []).append(part)
    return [Problem(parts) for parts in groups.values()]


def _cause(part: ToFix) -> tuple[object, ...]:
    found, verdict = part.finding, part.verdict
    if found is None:
        return verdict.code, part.heavy, verdict.reason
    texts = (found.expected, found.found, found.hint)
    return verdict.code, part.heavy, *(_without_names(text, part) for text in texts)


def _without_names(text: str, part: ToFix) -> tuple[str, str]:
    """A text less what names the task and its files: the same for all tasks of one cause."""
    text, rest = text[:_COMPARED], text[_COMPARED:]
    names = {part.verdict.task, part.finding.task if part.finding else None, part.verdict.sample}
    for name in sorted(filter(None, names), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "TASK", text)
    return _PLACE.sub("FILE", text), rest


def _subject(part: ToFix) -> str:
    task = part.verdict.task or (part.finding.task if part.finding else None) or ""
    return f"{task} (sample {part.verdict.sample})" if part.verdict.sample else task
