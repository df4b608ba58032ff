"""What is being done, in one line that is true at the moment."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pytest_fractal.candidate.commands import facts_from_starts
from pytest_fractal.candidate.installation import ENVIRONMENT, INSTALLATION
from pytest_fractal.candidate.packaged import Candidate
from pytest_fractal.candidate.store import Fact
from pytest_fractal.engine import Check
from pytest_fractal.files import open_regular
from pytest_fractal.processes.processes import last_lines
from pytest_fractal.report.overview import escape_control_chars


def progress(candidate: Candidate, checks: Iterable[Check]) -> str:
    """What these checks wait for; empty when it is nothing that takes its time."""
    work = defaultdict[str, set[Fact[Any]]](set)
    for check in checks:
        if check.needs_process and check.task is not None:
            for about, fact in facts_from_starts(check.task, check.sample, check.rule.subjects):
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
    said = escape_control_chars(" ".join(_last_logged(candidate.folder).split()))
    return f"{doing}: {said}" if said else f"{doing} ..."


def _last_logged(folder: Path) -> str:
    """The last line of the newest log in a folder; empty where there is none."""
    logs = [path for path in folder.glob("*.log") if path.is_file()]
    if not logs:
        return ""
    newest = max(logs, key=lambda path: path.stat().st_mtime_ns)
    try:
        with open_regular(newest, follow=False) as log:
            log.seek(-min(4096, log.seek(0, os.SEEK_END)), os.SEEK_END)
            text = log.read(4096).decode(errors="replace").replace("\r", "\n")
    except OSError:
        return ""
    return last_lines(text, 1)
