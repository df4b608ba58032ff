"""The suite as pytest sees it: the hooks of a run that judges candidates."""

from __future__ import annotations

import functools
import gc
import json
import os
import signal
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from enum import Enum, auto
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import TypeAdapter

from pytest_fractal.candidate.packaged import Candidate
from pytest_fractal.engine import Check, Engine
from pytest_fractal.errors import BadInput, describe_os_error, failure
from pytest_fractal.fixes.applying import Plan, plan_changes, write
from pytest_fractal.package_spec import PackageSpec
from pytest_fractal.processes.supervisor import end_with_parent, hide
from pytest_fractal.processes.variables import keep_back, kept_back
from pytest_fractal.pytest_plugin.items import CandidateCollector, CheckItem, VerdictFailed
from pytest_fractal.pytest_plugin.job_log import JobLog, without_commands
from pytest_fractal.pytest_plugin.live import Live, terminal_of
from pytest_fractal.pytest_plugin.progress import progress
from pytest_fractal.pytest_plugin.summary import Summary
from pytest_fractal.report import formats, text
from pytest_fractal.report.model import CandidateReport, Report
from pytest_fractal.report.overview import escape_control_chars, to_fix
from pytest_fractal.session import Session, SharedRun
from pytest_fractal.settings import Settings
from pytest_fractal.signatures.scopes import PARSING
from pytest_fractal.verdicts import Key, Outcome, Status, Verdict

_SUITE: Final = pytest.StashKey["Suite"]()
_WORKER_KEY: Final = "fractal_run"
_SETTINGS_KEY: Final = "fractal_settings"
_VERDICT: Final = TypeAdapter(Verdict)

_TestStatus = tuple[str, str, tuple[str, Mapping[str, bool]]]
_LETTERS: Final[Mapping[str, _TestStatus]] = {
    Status.WARN: ("warned", "w", ("WARNED", {"yellow": True})),
    Status.BLOCKED: ("blocked", "b", ("BLOCKED", {"yellow": True})),
    Status.NOT_APPLICABLE: ("", "-", ("DOES NOT APPLY", {})),
    Status.NOT_CHECKED: ("unchecked", "u", ("NOT CHECKED", {"yellow": True})),
    Status.IGNORED: ("ignored", "i", ("IGNORED", {"yellow": True})),
}


class Scope(Enum):
    """What a run is about, besides the node ids on its command line."""

    SUITE_ALONE = auto()
    """The packages, without the author's own tests: those may need what is not there."""
    BESIDE_TESTS = auto()
    FIXTURES_ONLY = auto()
    """Paths of tests were given, and the packages stand in the ini file: as an editor does that
    runs one test. They are judged no more than fixtures ask for."""


class Suite:
    """The hooks of a run that has candidates; registered when there are some."""

    def __init__(
        self, config: pytest.Config, specs: Sequence[PackageSpec], settings: Settings, scope: Scope
    ) -> None:
        for path in settings.reports:
            formats.check_file(path)
        worker = getattr(config, "workerinput", None)
        self._worker = worker is not None
        self.config = config
        keep_back(worker[_SETTINGS_KEY] if worker else {})
        self.session = Session(
            specs,
            settings,
            config.rootpath,
            shared=_shared_run(worker[_WORKER_KEY]) if worker else None,
            workers=worker["workercount"] if worker else 1,
            number=int(worker["workerid"].removeprefix("gw")) if worker else 0,
        )
        config.add_cleanup(self.session.close)
        hide()
        if worker is not None:
            end_with_parent()  # else it goes on for a while, and makes anew what was removed
        _end_as_by_ctrl_c(config)
        self._log: JobLog | None = None
        self._wanted = self._take_arguments(scope)
        # By what it is about: a plugin may run an item again.
        self._verdicts: dict[str, dict[Key, Verdict]] = {
            anchor: {} for anchor in self.session.engines
        }
        self._selected: set[tuple[str, Key]] = set()
        self.checks: dict[str, list[Check]] | None = None
        """The selected checks; None until they are known."""
        self._prepared = False
        self.plans: dict[str, Plan] = {}
        """What fixes come to, by candidate; known at the end."""
        self._forged: list[Path] = []
        """Facts that another process has changed; known at the end."""
        config.stash[_SUITE] = self
        self._summary = Summary(self._judged, self._is_complete, settings.strict)
        config.pluginmanager.register(self._summary, "fractal-summary")

    def _take_arguments(self, scope: Scope) -> dict[str, list[str]]:
        """Take the node ids of ours off the command line; pytest knows no such files.

        This happens in every worker too: xdist hands each the original command line.
        """
        config = self.config
        ours: dict[str, list[str]] = {}
        others = []
        for argument in config.args:
            path, colons, name = argument.partition("::")
            here = os.path.relpath(config.invocation_params.dir / path, config.rootpath)
            # As node ids are printed, or as the shell completes them in a folder below.
            anchor = next((known for known in (path, here) if known in self.session.engines), None)
            if anchor is None:
                others.append(argument)
            else:
                ours.setdefault(anchor, []).extend([name] if colons else [])
        if ours:
            config.args[:] = others
            return ours
        if scope is Scope.FIXTURES_ONLY:
            return {}
        if scope is Scope.SUITE_ALONE:
            config.args[:] = []
            config.args_source = config.ArgsSource.ARGS
        return {anchor: [] for anchor in self.session.engines}

    def prepare(self) -> None:
        """Learn the tasks; building can take long, so a terminal shows what is being done."""
        if self._prepared or not self._wanted:
            return
        live = Live(self._doing, None if self._worker else terminal_of(self.config))
        try:
            self.session.prepare(live.begins)
            plans = {anchor: engine.plan() for anchor, engine in self.session.engines.items()}
        except BadInput as error:
            raise pytest.UsageError(without_commands(str(error))) from None
        except Exception as error:
            # Before there are checks to carry a verdict, one sentence ends the run.
            pytest.exit(escape_control_chars(failure(error)), pytest.ExitCode.INTERNAL_ERROR)
        finally:
            live.line.hide()
        if live.line.visible:
            self.config.pluginmanager.register(live, "fractal-live")
        for anchor, wanted in self._wanted.items():
            checks = {check.name for check in plans[anchor]}
            for name in wanted:
                if name not in checks:
                    said = f"{anchor}::{name}: there is no such check"
                    raise pytest.UsageError(without_commands(said))
        self._prepared = True

    def _doing(self) -> str:
        """What the selected checks wait for."""
        engines = self.session.engines
        reasons = (
            progress(engines[anchor].candidate, checks)
            for anchor, checks in (self.checks or {}).items()
        )
        return next(filter(None, reasons), "")

    def shows_blockers(self, verdict: Verdict, engine: Engine) -> bool:
        """Whether a rule that blocks this verdict has an item of its own, or is ignored."""
        anchor = next(name for name, known in self.session.engines.items() if known is engine)
        return any(
            (anchor, root.key) in self._selected or engine.is_ignored(root)
            for root in verdict.blockers
        )

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell an xdist worker where this run keeps its facts, and how to know them.

        This goes through a pipe: no other process sees the key.
        """
        shared = self.session.share_facts()
        node.workerinput[_WORKER_KEY] = [
            str(shared.folder),
            str(shared.scratch),
            shared.key.hex(),
        ]
        node.workerinput[_SETTINGS_KEY] = kept_back()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """From now on, nothing of the candidate's is a command to the runner of a CI job."""
        if JobLog.is_read() and self.config.pluginmanager.has_plugin("terminalreporter"):
            self._log = JobLog(self.config)
            self._summary.command = self._log.command

    def pytest_report_header(self) -> list[str]:
        """Build, and say what is judged."""
        self.prepare()
        if not self._prepared:
            return []
        lines = [line for report in self._reports() for line in text.header_lines(report)]
        engines = self.session.engines.values()
        unknown = {
            release.description
            for candidate in (engine.candidate for engine in engines)
            if candidate.asked_servers != (None,)
            for release in candidate.on_server.releases
            if not release.is_known
        }
        lines += [f"fractal: {description}" for description in sorted(unknown)]
        lines.append(f"fractal: {self.session.sandbox.description}")
        if self.session.settings.executor != "local":
            lines.append(f"fractal: commands run {self.session.executor.description}")
        return list(map(escape_control_chars, lines))

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Build, where no header was asked for."""
        self.prepare()

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Add the candidates to what the session collects from files."""
        report = yield
        if isinstance(collector, pytest.Session) and report.passed:
            report.result = [*report.result, *self._collectors(collector)]
        return report

    def _collectors(self, session: pytest.Session) -> Iterator[pytest.Collector]:
        for anchor, wanted in self._wanted.items():
            yield CandidateCollector.from_parent(
                session,
                name=anchor,
                nodeid=anchor,
                path=self.config.rootpath / anchor,
                suite=self,
                anchor=anchor,
                wanted=wanted,
            )

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Start the commands of all selected items, now that they are known."""
        items = [item for item in session.items if isinstance(item, CheckItem)]
        self.checks = {}
        for anchor, engine in self.session.engines.items():
            checks = [item.check for item in items if item._engine is engine]
            self.checks[anchor] = checks
            for check in checks:
                self._selected.add((anchor, check.key))
            if checks and not self.config.option.collectonly:
                engine.run_ahead(checks, self.session.width, self.session.share)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Learn which checks the workers make."""
        self.checks = {}
        for anchor, engine in self.session.engines.items():
            names = {
                name for node_id in ids if (name := node_id.removeprefix(f"{anchor}::")) != node_id
            }
            self.checks[anchor] = [check for check in engine.plan() if check.name in names]

    def pytest_report_collectionfinish(self, items: Sequence[pytest.Item]) -> list[str]:
        """Say what the first slow verdict waits for."""
        checks = [item for item in items if isinstance(item, CheckItem)]
        if self.config.option.collectonly:
            return []
        candidates = {item._engine.candidate for item in checks if item.check.needs_process}
        waiting = {candidate.spec.text for candidate in candidates if candidate.installs}
        lines = [f"fractal: installing {text} in the background" for text in sorted(waiting)]
        asking = {item._engine.candidate for item in checks if item.check.rule.asks_server}
        return lines + sorted(
            f"fractal: asking {release.description} about {candidate.spec.text}"
            for candidate in asking
            if candidate.asked_servers != (None,)
            for release in candidate.on_server.releases
        )

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Hand the verdict on with the report: it may have to travel to another process.

        The reader sees the verdict and no traceback of ours, also where `setup` failed.
        """
        report = yield
        if call.excinfo is not None and isinstance(call.excinfo.value, VerdictFailed):
            report.longrepr = escape_control_chars(text.verdict_text(call.excinfo.value.verdict))
        if isinstance(item, CheckItem) and item.verdict is not None:
            judged = call.when == "call" or (call.when == "setup" and not report.passed)
            if judged:
                anchor = item.nodeid.partition("::")[0]
                # Texts alone, which every plugin can send on.
                sent = [anchor, item.verdict.status.value, verdict_to_text(item.verdict)]
                report.fractal = sent  # type: ignore[attr-defined]
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_keyboard_interrupt(self) -> Generator[None]:
        """Let nothing else parse Python while pytest does, to show where it was.

        Before 3.12 that ends in an error: by a thread of ours, and by the collector of
        garbage, in which a second Ctrl-C may come and have its traceback written.
        """
        was_enabled = gc.isenabled()
        gc.disable()
        try:
            with PARSING:
                return (yield)
        finally:
            if was_enabled:
                gc.enable()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the verdict for the summary."""
        if (sent := getattr(report, "fractal", None)) is not None:
            anchor, _, verdict = sent
            judged = verdict_from_text(verdict)
            self._verdicts[anchor][judged.key] = judged

    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, Any] | None:
        """Letters and words of their own for warnings, and for what is blocked or not checked.

        What does not apply has no category: it leaves the counts.
        """
        sent = getattr(report, "fractal", None)
        if sent is None or report.failed:
            return None
        return _LETTERS.get(sent[1])

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write the reports that were asked for."""
        ended = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        if self._worker and ended:
            # Another worker may be waiting for what this one gathers.
            for engine in self.session.engines.values():
                engine.drain()
        if self._worker or not self._prepared or self.config.option.collectonly:
            return
        stores = [engine.candidate.store for engine in self.session.engines.values()]
        self._forged = [file for store in stores for file in store.forged()]
        if self._forged and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        complete = ended and self._is_complete()
        if complete and not self._forged:
            self.session.keep_for_next_run()
        if self.session.settings.fix is not None and complete:
            self._fix()
        settings = self.session.settings
        if not settings.reports:
            return
        report = Report(
            tuple(self._reports()), settings.strict, complete, executor=settings.executor
        )
        for path in settings.reports:
            try:
                formats.write(report, path)
            except OSError as error:
                pytest.exit(f"{path}: the report cannot be written: {describe_os_error(error)}", 3)

    def _fix(self) -> None:
        """Make the fixes of all findings that stand in the way, or only work them out."""
        applies = self.session.settings.fix == "apply"
        for anchor, report in zip(self._verdicts, list(self._reports()), strict=True):
            fixes = [
                entry.finding.fix
                for entry in to_fix(report, self.session.settings.strict)
                if entry.finding is not None and entry.finding.fix is not None
            ]
            if report.home is None:
                plan = Plan(left=[f"{report.source}: only a source tree can be fixed"])
            else:
                plan = plan_changes(report.home, fixes)
            for change in list(plan.changes) if applies and report.home else ():
                try:
                    write(report.home, change)  # type: ignore[arg-type]
                except OSError as error:
                    plan.changes.remove(change)
                    plan.left.append(f"{change.file}: {describe_os_error(error)}")
            self.plans[anchor] = plan

    @property
    def _unjudged(self) -> int | None:
        """How many of the selected checks have no verdict; None while they are unknown."""
        if self.checks is None:
            return None
        return sum(
            check.key not in self._verdicts[anchor]
            for anchor, checks in self.checks.items()
            for check in checks
        )

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """A line a task, the warnings, and where the time went."""
        if not self._prepared or self.config.option.collectonly:
            return
        if self._unjudged or self._forged:
            terminalreporter.section("fractal: incomplete")
        if self._forged:
            first = escape_control_chars(str(self._forged[0]))
            terminalreporter.line(
                f"facts of this run were changed by another process, such as {first}: "
                "by a task, by a build, or by somebody else on this machine"
            )
        if self._unjudged:
            counted = sum(map(len, (self.checks or {}).values()))
            terminalreporter.line(f"{self._unjudged} of {counted} checks have no verdict")
        self._summary.write_summary(terminalreporter)
        if self.session.settings.find_pins is not None:
            self._find_pins(terminalreporter, self.session.settings.find_pins)
        applied = self.session.settings.fix == "apply"
        for plan in self.plans.values():
            terminalreporter.section("fractal: fixes")
            for line in text.fix_lines(plan, applied=applied):
                terminalreporter._tw.line(escape_control_chars(line.text), **line.markup)

    def _find_pins(self, terminalreporter: pytest.TerminalReporter, limit: float) -> None:
        """Search for the pins of each candidate that has tasks which do not start."""
        from pytest_fractal.pins.finding import find_pins

        def tell(line: str) -> None:
            terminalreporter._tw.line(escape_control_chars(line))
            terminalreporter.flush()

        for anchor, verdicts in self._verdicts.items():
            starts = [
                verdict
                for verdict in verdicts.values()
                if verdict.code == "FR301" and verdict.task
            ]
            failing = [
                verdict.task
                for verdict in starts
                if verdict.task and verdict.outcome is Outcome.FAIL
            ]
            candidate = self.session.engines[anchor].candidate
            if not (failing and candidate.installs):
                said = "there are no pins to find: no task was seen not to start"
                tell(f"{anchor}: {said}")
                continue
            terminalreporter.section(f"fractal: pins for {escape_control_chars(anchor)}")
            try:
                for line in find_pins(candidate, failing, limit, tell):
                    tell(line)
            except Exception as error:
                tell(f"the search was given up: {failure(error)}")

    def _judged(self) -> Iterator[CandidateReport]:
        """The reports that a terminal shows: none where nothing was to be judged."""
        if self._prepared and not self._worker and not self.config.option.collectonly:
            yield from self._reports()

    def _is_complete(self) -> bool:
        return self._unjudged == 0 and not self._forged

    def _reports(self) -> Iterator[CandidateReport]:
        for anchor, verdicts in self._verdicts.items():
            report = self.session.report(anchor, list(verdicts.values()))
            fixed = anchor in self.plans and self.session.settings.fix == "apply"
            yield replace(report, fixed=fixed)


def verdict_to_text(verdict: Verdict) -> str:
    """A verdict as it travels from process to process."""
    # pydantic's own JSON has no place for half of a surrogate pair, which commands may print.
    return json.dumps(_VERDICT.dump_python(verdict, warnings=False))


def verdict_from_text(text: str) -> Verdict:
    """The verdict of which `verdict_to_text` has made this."""
    return _VERDICT.validate_python(json.loads(text))


def _shared_run(sent: Sequence[str]) -> SharedRun:
    folder, scratch, key = sent
    return SharedRun(Path(folder), Path(scratch), bytes.fromhex(key))


def _end_as_by_ctrl_c(config: pytest.Config) -> None:
    """Let SIGTERM and SIGHUP end this run as Ctrl-C does: nothing is left behind either."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
            config.add_cleanup(functools.partial(_restore, number))


def _restore(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_DFL)


def only_candidate(config: pytest.Config) -> Candidate:
    """The one candidate of a run. Raises `BadInput` when there is none, or several."""
    suite = config.stash.get(_SUITE, None)
    engines = list(suite.session.engines.values()) if suite else []
    if len(engines) != 1:
        raise BadInput(
            "the fractal fixtures need exactly one package: --fractal-package=PACKAGE, "
            "or fractal_package in the ini file"
        )
    return engines[0].candidate
