"""A search for pins from its beginning to its report."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator

from pytest_fractal.candidate.packaged import Candidate
from pytest_fractal.pins.search import Search
from pytest_fractal.pins.trials import Trials

DEFAULT_LIMIT = 1800.0
"""Seconds after which no further trial begins."""


def find_pins(
    candidate: Candidate, failing: Collection[str], limit: float, tell: Callable[[str], None]
) -> Iterator[str]:
    """Search for pins with which the failing tasks of an installed candidate start.

    `tell` is given a line about each trial; what comes out of them is yielded at the end.
    Raises `HarnessError` where the machine or the index fails; what was tried until then is
    kept.
    """
    tasks = [task.id for task in candidate.tasks]
    trials = Trials(candidate, limit)
    search = Search(trials, tasks, tell)
    search.run(trials.failures(failing))
    counted = f"{len(tasks) - len(failing)} of {len(tasks)}"
    if search.pins:
        seen = trials.confirm(search.pins, tasks)
        if len(seen.started) > len(tasks) - len(failing) and not seen.unusable:
            yield (
                f"with these pins {len(seen.started)} of {len(tasks)} tasks start, "
                f"without them {counted}:"
            )
            yield from _forms(search)
        else:
            search.pins.clear()
    if not search.pins:
        yield f"no pins were found with which more than {counted} tasks start"
    if not search.complete:
        yield (
            f"not everything was tried in {limit:g} s: the same command goes on from here, "
            f"--fractal-find-pins=SECONDS gives it longer"
        )


def _forms(search: Search) -> Iterator[str]:
    """The pins as the command line, the server and pyproject.toml take them."""
    for name, version in search.pins.items():
        yield f"  --fractal-pin={name}=={version}"
    yield "on the server, as pinned versions when the package is collected:"
    yield f"  {json.dumps(search.pins)}"
    yield "in pyproject.toml, among the dependencies:"
    for name, version in search.pins.items():
        limit = search.limits.get(name)
        yield f'  "{name}{f"<{limit}" if limit else f"<={version}"}",'
