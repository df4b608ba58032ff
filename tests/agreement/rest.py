"""The sample of candidates that goes to a server behind a socket, as `--fractal-server` does.

A process, a real `venv` and a real `pip install` for each: minutes instead of seconds. Each
candidate gets a server of its own: a broken one answers nobody any more, and mutants of
one package have one name and version, which a server collects once.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pytest_fractal.server.facts import Job, Step
from pytest_fractal.server.servers import Server, running_server

from .server import Does
from .suite import Case, Row

_LIMIT: Final = 60.0
"""Seconds without a change after which a job is given up."""
_COLLECTIONS: Final = {
    "refused": Does.REFUSES,
    "failed": Does.FAILS,
    "frozen": Does.FREEZES,
    "broken": Does.BREAKS,
}
_JOBS: Final = {
    "refused": Does.BREAKS,
    "failed": Does.JOB_FAILS,
    "frozen": Does.FREEZES,
    "broken": Does.BREAKS,
}


@dataclass(frozen=True)
class Asked:
    """What came of one candidate, both ways."""

    row: Row
    does: Does
    words: str

    @property
    def agrees(self) -> bool:
        """Whether the server behind a socket does what its functions do."""
        return self.does is self.row.server.does


def chosen(cases: Sequence[Case], rows: Sequence[Row]) -> list[tuple[Case, Row]]:
    """One candidate for every way in which the two judgements meet, and what is mutated."""
    found: dict[tuple[str, ...], tuple[Case, Row]] = {}
    for case, row in zip(cases, rows, strict=True):
        what = row.what.split("'s ")[-1].partition("/")[0]
        if not row.tool.fails and row.server.does is Does.TAKES:
            what = row.what if row.what == "good package" else ""
        found.setdefault((row.server.does, *row.tool.fails[:1], what), (case, row))
    return list(found.values())


def ask(pairs: Sequence[tuple[Case, Row]]) -> list[Asked]:
    """What servers make of these, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda pair: _ask(*pair), pairs))


def _ask(case: Case, row: Row) -> Asked:
    with running_server("1") as server:
        does, words = _ended(server, case)
    return Asked(row, does, words)


def _ended(server: Server, case: Case) -> tuple[Does, str]:
    collected = server.collect(case.wheel)
    if collected.outcome != "done":
        return _COLLECTIONS[collected.outcome], collected.said
    for number, asked in enumerate(case.jobs):
        steps = tuple(
            Step(collected.tasks[step["task"]].name, step["args"])
            for step in asked["steps"]
            if step["task"] < len(collected.tasks)
        )
        if not steps:
            continue
        for path in (*asked["input_paths"], asked["output_path"]):
            Path(path).mkdir(parents=True, exist_ok=True)
        inputs = tuple(asked["input_paths"])
        job = Job(f"job-{number}", steps, asked["output_path"], inputs, asked["meta"])
        ran = server.run(job, collected, _LIMIT)
        if ran.outcome != "done":
            return _JOBS[ran.outcome], ran.said
    return Does.TAKES, ""
