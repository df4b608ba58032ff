"""The items that pytest runs: one for each check, and a verdict as a pytest outcome."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from pytest_fractal.engine import Check, Engine
from pytest_fractal.report.overview import escape_control_chars
from pytest_fractal.report.text import verdict_text
from pytest_fractal.verdicts import Outcome, Verdict

if TYPE_CHECKING:
    from pytest_fractal.pytest_plugin.suite import Suite


class VerdictFailed(Exception):
    """Carries a verdict that fails its item."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.code)
        self.verdict = verdict


class CandidateCollector(pytest.Collector):
    """One candidate: collects an item for each check."""

    def __init__(self, *, suite: Suite, anchor: str, wanted: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._suite = suite
        self._anchor = anchor
        self._wanted = wanted
        self.add_marker("fractal")

    def collect(self) -> Iterator[pytest.Item]:
        """The checks that the settings select, or those whose ids were given."""
        engine = self._suite.session.engines[self._anchor]
        for check in engine.plan():
            if not self._wanted or check.name in self._wanted:
                yield CheckItem.from_parent(
                    self,
                    name=check.name,
                    nodeid=f"{self._anchor}::{check.name}",
                    suite=self._suite,
                    engine=engine,
                    check=check,
                )


class CheckItem(pytest.Item):
    """One rule on one subject."""

    def __init__(self, *, suite: Suite, engine: Engine, check: Check, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.check = check
        self._suite = suite
        self._engine = engine
        self.verdict: Verdict | None = None
        self.extra_keyword_matches.add(check.rule.code)
        if check.task is not None:
            self.extra_keyword_matches.update({check.task.slug, check.task.name})
        if check.sample is not None:
            self.extra_keyword_matches.add(check.sample.name)

    def setup(self) -> None:
        """Gather the evidence and judge it: what goes wrong here is not the candidate's fault."""
        self.verdict = self._engine.verdict(self.check)
        # So that JUnit XML, which knows no warnings, has them: as properties.
        self.user_properties.append(("fractal-status", self.verdict.status.value))
        if self.verdict.outcome is Outcome.WARN:
            said = escape_control_chars(verdict_text(self.verdict))
            self.user_properties.append(("fractal-warning", said))
        match self.verdict.outcome:
            case Outcome.ERROR:
                raise VerdictFailed(self.verdict)
            case Outcome.SKIP:
                self._skip(self.verdict)
            case Outcome.BLOCKED if self._suite.shows_blockers(self.verdict, self._engine):
                self._skip(self.verdict)

    def runtest(self) -> None:
        """Fail when the verdict is bad, or blocked by a rule that was not selected."""
        assert self.verdict is not None
        bad = {Outcome.FAIL, Outcome.BLOCKED}
        if self._suite.session.settings.strict:
            bad.add(Outcome.WARN)
        if self.verdict.outcome in bad:
            raise VerdictFailed(self.verdict)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The code of the rule; the verdict takes its place. No source of ours is parsed for it.

        CPython 3.11 breaks off when several threads parse at once, as those do that run ahead.
        """
        if isinstance(excinfo.value, VerdictFailed):
            return excinfo.value.verdict.code
        return super().repr_failure(excinfo, style)

    def _skip(self, verdict: Verdict) -> None:
        raise pytest.skip.Exception(verdict.reason or "", _use_item_location=True)

    def reportinfo(self) -> tuple[os.PathLike[str], int, str]:
        """Where the item stands, and its name as a heading."""
        return self.path, 0, self.name
