"""Which releases of fractal-server take a package: what follows from the verdicts on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from pytest_fractal.generations import GENERATIONS
from pytest_fractal.rules import REGISTRY
from pytest_fractal.server.releases import OLDEST_HELD
from pytest_fractal.verdicts import Finding, Outcome, Severity, Status, Verdict

if TYPE_CHECKING:
    from pytest_fractal.report.model import CandidateReport

_SAMPLES: Final = "FR400"
"""The rule about the samples themselves, which no server gets with the package."""
_UNJUDGED: Final = (Status.BLOCKED, Status.ERROR, Status.IGNORED)


@dataclass(frozen=True)
class ServerRange:
    """What some releases do with the package."""

    releases: str
    """Such as `>= 2.14`, `before 2.14`, `1.x`, or one that was asked: `2.24.2`."""
    takes: bool | None
    """Whether they collect it and can run its tasks, as far as the rules tell; None for those
    that the rules are not held against."""
    reason: str = ""
    """Why not: rules, or what of the package they do not know."""
    was_asked: bool = False
    """Whether a real server of this release was asked."""

    @property
    def words(self) -> str:
        """As in `1.x: no, manifest_version "2"`."""
        answer = {True: "yes", False: f"no, {self.reason}", None: "not checked"}
        return f"{self.releases}: {answer[self.takes]}"


def server_ranges(report: CandidateReport) -> Sequence[ServerRange]:
    """The ranges of releases, the newest first, and then those that were asked.

    None where too little was judged to tell.
    """
    if not report.generation or not _is_judged(report):
        return list(_asked(report))
    other_servers = "1.x" if report.generation == "2" else "2.x"
    refused = ServerRange(other_servers, False, f'manifest_version "{report.generation}"')
    own = list(_own(report, report.generation))
    ranges = [*own, refused] if report.generation == "2" else [refused, *own]
    return [*ranges, *_asked(report)]


def sentence(ranges: Sequence[ServerRange]) -> str:
    """All in a line: `fractal-server >= 2.14: yes; before 2.14: no, ...`; "" for none."""
    known = "; ".join(servers.words for servers in ranges if not servers.was_asked)
    asked = "; ".join(servers.words for servers in ranges if servers.was_asked)
    parts = [f"fractal-server {known}"] if known else []
    return "; ".join([*parts, *([f"asked: {asked}"] if asked else [])])


def _is_judged(report: CandidateReport) -> bool:
    """Whether every rule was judged that decides about the collection."""
    deciding = {rule.code for rule in REGISTRY.values() if rule.decides_collection}
    judged = {verdict.code for verdict in report.verdicts if verdict.status not in _UNJUDGED}
    return deciding <= judged


def _own(report: CandidateReport, generation: str) -> Iterator[ServerRange]:
    """The ranges of the releases that read this version of the manifest."""
    every = f">={generation}"
    breaches = [(SpecifierSet(found.releases or every), code) for code, found in _refused(report)]
    since = GENERATIONS[generation].kinds_since
    for kind in dict.fromkeys(task.kind for task in report.tasks):
        if kind in since:
            breaches.append((SpecifierSet(f"{every},<{since[kind]}"), f"the type {kind}"))
    first, held = Version(f"{generation}.0"), OLDEST_HELD[generation]
    bounds = {first, held}
    bounds |= {Version(limit.version) for specifiers, _ in breaches for limit in specifiers}
    answers: dict[Version, tuple[bool | None, str]] = {}
    for bound in sorted(bound for bound in bounds if bound >= first):
        reason = ", ".join(
            dict.fromkeys(why for specifiers, why in breaches if specifiers.contains(bound))
        )
        answers[bound] = (False, reason) if reason else (True if bound >= held else None, "")
    groups = [[*bounds] for _, bounds in groupby(answers, key=lambda bound: answers[bound])]
    following = [*(group[0] for group in groups[1:]), None]
    for group, end in reversed(list(zip(groups, following, strict=True))):
        yield ServerRange(_named(group[0], end, first), *answers[group[0]])


def _named(start: Version, end: Version | None, first: Version) -> str:
    if end is None:
        return f"{first.major}.x" if start <= first else f">= {start}"
    return f"before {end}" if start <= first else f">= {start} and < {end}"


def _refused(report: CandidateReport) -> Iterator[tuple[str, Finding]]:
    """What all releases refuse, or some of them."""
    for verdict in report.verdicts:
        if verdict.server is not None or verdict.outcome not in (Outcome.FAIL, Outcome.WARN):
            continue
        for found in verdict.findings:
            weight = found.severity or REGISTRY[verdict.code].severity
            decides = REGISTRY[verdict.code].decides_collection and weight is Severity.ERROR
            of_package = verdict.code != _SAMPLES and weight is not Severity.NOTE
            if decides or (found.releases and of_package):
                yield verdict.code, found


def _asked(report: CandidateReport) -> Iterator[ServerRange]:
    """What real servers did."""
    by_server: dict[str, list[Verdict]] = {}
    for verdict in report.verdicts:
        if verdict.server is not None:
            by_server.setdefault(verdict.server, []).append(verdict)
    for server, verdicts in by_server.items():
        broken = [verdict.code for verdict in verdicts if verdict.outcome is Outcome.FAIL]
        passed = any(verdict.outcome is Outcome.PASS for verdict in verdicts)
        if broken or passed:
            reason = ", ".join(dict.fromkeys(broken))
            yield ServerRange(server, not broken, reason, was_asked=True)
