"""What is being done, in one line that is true at the moment."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from pytest_fractal.candidate.packaged import ENVIRONMENT, INSTALLATION, Candidate
from pytest_fractal.candidate.store import Fact
from pytest_fractal.engine import Check
from pytest_fractal.report.overview import escape_control_chars


def progress(candidate: Candidate, checks: Iterable[Check]) -> str:
    """What these checks wait for; empty when it is nothing that takes its time."""
    work = defaultdict[str, set[Fact[Any]]](set)
    for check in checks:
        if check.needs_process and check.task is not None:
            for about, fact in candidate.work(check.task, check.sample, check.rule.subjects):
                work[about].add(fact)
    store = candidate.store
    name = escape_control_chars(
        candidate.wheel.distribution if candidate.has_wheel else candidate.spec.text
    )
    if not work:
        return ""
    if candidate.has_wheel and not store.has(INSTALLATION):
        doing = "installing" if store.has(ENVIRONMENT) else "making the environment of"
        return with_output(f"fractal: {doing} {name}", candidate)
    done = sum(all(map(store.has, facts)) for facts in work.values())
    if done == len(work):
        return ""
    return f"fractal: {done} of {len(work)} commands have run, {name}"


def with_output(doing: str, candidate: Candidate) -> str:
    """What is being done, with the last line that the installer or the build has printed."""
    said = escape_control_chars(" ".join(candidate.output_tail().split()))
    return f"{doing}: {said}" if said else f"{doing} ..."
