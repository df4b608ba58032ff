"""What is being done just now, on a terminal."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator

import pytest

from pytest_fractal.candidate.packaged import Candidate
from pytest_fractal.pytest_plugin.progress import with_output
from pytest_fractal.pytest_plugin.status_line import LiveLine
from pytest_fractal.report.overview import escape_control_chars


class Live:
    """Shows what is being done on a terminal, while tests run: what `doing` says then."""

    def __init__(self, doing: Callable[[], str], terminal: int | None) -> None:
        self.line = LiveLine(terminal)
        self._doing = doing

    def begins(self, candidate: Candidate, doing: str) -> None:
        """Show what begins now, before there are checks."""
        self.line.show(lambda: with_output(f"fractal: {escape_control_chars(doing)}", candidate))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """Show nothing any more when the last check is made."""
        try:
            return (yield)
        finally:
            self.line.hide()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logstart(self) -> Generator[None]:
        """Show from now on what is waited for, but not while pytest writes."""
        with self.line.paused():
            yield
        self.line.show(self._doing)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self) -> Generator[None]:
        """Leave the terminal to what pytest writes."""
        with self.line.paused():
            yield

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logfinish(self) -> Generator[None]:
        """Leave the terminal to what pytest writes."""
        with self.line.paused():
            yield


def terminal_of(config: pytest.Config) -> int | None:
    """The terminal on which a line may move; None where nobody looks, or others draw."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is None or not reporter.isatty or config.option.verbose < 0:
        return None
    if config.option.capture == "no" or config.option.usepdb or config.option.trace:
        return None
    if os.environ.get("CI") or os.environ.get("TERM", "dumb") == "dumb" or not os.isatty(1):
        return None
    # A descriptor of its own: while a test runs, that of the output is pytest's.
    terminal = os.dup(1)
    config.add_cleanup(lambda: os.close(terminal))
    return terminal
