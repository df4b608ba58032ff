"""Waiting for what a server does in the background, but not for ever."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from pytest_fractal.processes.processes import cancellable_sleep
from pytest_fractal.server.process import ServerProcess

FROZEN_AFTER: Final = 20.0
"""Seconds without change, while no process of the server's works, that count as frozen."""

FROZEN_AFTER_ERROR: Final = 5.0
"""The same when the server has printed a traceback: nobody goes on with what has raised."""

_POLLS: Final = (0.1, 1.0)
"""Seconds between two questions, at first and at last."""


@dataclass(frozen=True)
class Waited:
    """How the waiting has ended."""

    state: Any
    """The last answer of the server."""
    frozen: bool
    quiet: float
    """For how long nothing had changed, in seconds."""
    at_work: bool = False
    """Whether a process still worked on it when the limit was reached."""


def wait(
    ask: Callable[[], Any],
    status: Callable[[Any], str],
    over: Collection[str],
    serving: ServerProcess,
    limit: float,
) -> Waited:
    """Ask until the status is one of `over`.

    Nothing changes any more when the status stays the same, the log does not grow, and the
    server has no process at work; or when `limit` seconds have passed without a new status.
    Raises what `ask` raises.
    """
    began = changed = time.monotonic()
    since = serving.log_size()
    last, said = "", ""
    while True:
        state = ask()
        now = time.monotonic()
        seen = status(state)
        if seen in over:
            return Waited(state, False, now - changed)
        errors = _errors(serving.said(since, count=10_000))
        if seen != last or errors != said or serving.is_at_work():
            if seen != last:
                began = now
            changed, last, said = now, seen, errors
        quiet = now - changed
        unseen = serving.is_at_work() is None
        patience = limit if unseen else FROZEN_AFTER_ERROR if errors else FROZEN_AFTER
        if quiet > patience:
            return Waited(state, True, quiet)
        if now - began > limit:
            return Waited(state, True, now - began, at_work=True)
        cancellable_sleep(min(max(_POLLS[0], quiet / 5), _POLLS[1]))


def _errors(log: str) -> str:
    """The tracebacks in a log, which also has a line for each question that is asked."""
    start = log.find("Traceback (most recent call last)")
    return (
        ""
        if start < 0
        else "\n".join(line for line in log[start:].splitlines() if ' HTTP/1.1" ' not in line)
    )


def last_error(log: str) -> str:
    """The exception at the end of the last traceback in a log, as one line; "" without one."""
    lines = _errors(log).splitlines()
    ends = [
        line
        for before, line in pairwise(lines)
        if before.startswith(" ") and line[:1].isalpha() and ": " in line and "INFO" not in line
    ]
    return ends[-1] if ends else ""
