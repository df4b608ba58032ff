"""What a person reads at the end of a run, in place of pytest's section of failures."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence

import pytest

from pytest_fractal.report import text
from pytest_fractal.report.annotations import workflow_commands
from pytest_fractal.report.model import CandidateReport
from pytest_fractal.report.overview import escape_control_chars, title

_WIDEST = 100
"""Columns that are used at most: longer lines are hard to read."""


class Summary:
    """The hooks that write it. `reports` gives the result of each candidate."""

    def __init__(
        self,
        reports: Callable[[], Iterable[CandidateReport]],
        is_complete: Callable[[], bool],
        strict: bool,
    ) -> None:
        self._ask = reports
        self._is_complete = is_complete
        self._strict = strict
        self.command: Callable[[str], None] | None = None
        """Prints a command to the runner of a CI job, where there is one."""
        self._ours: dict[str, list[pytest.TestReport]] = {}
        self._written: Sequence[CandidateReport] | None = None
        """What the summary tells of; None until it is written."""

    def _reports(self) -> Sequence[CandidateReport]:
        return [report for report in self._ask() if report.verdicts]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter
    ) -> Generator[None, None, None]:
        """Keep our failures out of pytest's section: one cause in many tasks is reported once."""
        stats = terminalreporter.stats
        for category in ("failed", "error"):
            ours = [report for report in stats.get(category, ()) if hasattr(report, "fractal")]
            if ours:
                self._ours[category] = ours
                stats[category] = [stat for stat in stats[category] if stat not in ours]
        yield

    def write_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """What to fix, and a line a task; pytest's own short summary follows."""
        for category, reports in self._ours.items():
            terminalreporter.stats[category] = [*terminalreporter.stats[category], *reports]
        writer = terminalreporter._tw
        width = min(writer.fullwidth, _WIDEST)
        self._written = self._reports()
        for report in self._written:
            terminalreporter.section(f"fractal: {escape_control_chars(title(report))}")
            if terminalreporter.config.option.tbstyle != "no":
                for line in text.problems_lines(report, self._strict, width):
                    writer.line(escape_control_chars(line.text), **line.markup)
            for message in text.summary_lines(report, width):
                writer.line(escape_control_chars(message))
            if report.folder:
                for message in (f"kept: {report.folder}", *text.repeat_lines(report)):
                    writer.line(escape_control_chars(message))
            if self.command is not None:
                for line_of_runner in workflow_commands(report, self._strict):
                    self.command(line_of_runner)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(
        self, session: pytest.Session, exitstatus: int | pytest.ExitCode
    ) -> Generator[None, None, None]:
        """The last words: what a server will do, what was not checked, what to type next."""
        yield
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is None:
            return
        ended = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        finished = ended and self._is_complete()
        width = min(reporter._tw.fullwidth, _WIDEST)
        for report in self._reports() if self._written is None else self._written:
            for line in text.conclusion_lines(report, self._strict, finished, width):
                reporter._tw.line(escape_control_chars(line.text), **line.markup)
