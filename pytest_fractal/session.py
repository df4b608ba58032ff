"""One run over some candidates: its folder, its engines, and how it ends."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from pytest_fractal.candidate.custom_tasks import CustomTasks
from pytest_fractal.candidate.installed import InstalledPackage
from pytest_fractal.candidate.packaged import Candidate
from pytest_fractal.engine import Engine
from pytest_fractal.errors import BadInput, HarnessError
from pytest_fractal.processes.executors import LocalExecutor
from pytest_fractal.processes.processes import Watch
from pytest_fractal.processes.sandbox import Sandbox, set_up, take_down
from pytest_fractal.processes.watcher import remove_tree
from pytest_fractal.report.model import CandidateReport, candidate_report
from pytest_fractal.settings import PackageSpec, Settings
from pytest_fractal.verdicts import Verdict

if TYPE_CHECKING:
    from pytest_fractal.server.process import Lease

Progress = Callable[[Candidate, str], None]
"""Is told what begins now."""


class Session:
    """The candidates of one run, each with its engine.

    `folder` is where an earlier process of the same run keeps its facts; without it a
    fresh one is made, which `close()` removes unless the settings say to keep it.
    `workers` says how many processes share the run, and so the cores.
    """

    def __init__(
        self,
        specs: Sequence[PackageSpec],
        settings: Settings,
        root: Path,
        *,
        folder: Path | None = None,
        workers: int = 1,
        number: int = 0,
    ) -> None:
        self.settings = settings
        self._owner = folder is None
        self.width = max(1, settings.width // workers)
        self.share = number / workers
        """Where this process begins among the tasks, so that no two begin at the same."""
        anchors = [spec.anchor(root) for spec in specs]
        for number, anchor in enumerate(anchors):
            if anchor in anchors[:number]:
                raise BadInput(f"{specs[number].text}: this package was given twice")
        self.folder = folder or Path(tempfile.mkdtemp(prefix="pytest-fractal-")).resolve()
        self.sandbox = Sandbox(self.folder, settings.sandbox, _readable(specs, settings))
        set_up(self.sandbox)
        self._watch = Watch(self.sandbox.mark, self.folder, settings.keep) if self._owner else None
        self._hold = (
            _hold(self.folder / "servers") if self._owner and settings.server is not None else None
        )
        self.engines: Mapping[str, Engine] = {
            anchor: Engine(
                self._kind(spec)(
                    spec, settings, self.folder / f"package-{number}", LocalExecutor(self.width)
                )
            )
            for number, (anchor, spec) in enumerate(zip(anchors, specs, strict=True))
        }
        """The engines, by what their node ids begin with."""
        candidates = [engine.candidate for engine in self.engines.values()]
        for candidate in candidates:
            candidate.siblings = [one for one in candidates if one is not candidate]

    def _kind(self, spec: PackageSpec) -> type[Candidate]:
        if spec.kind == "task":
            return CustomTasks
        return InstalledPackage if self.settings.environment else Candidate

    def prepare(self, progress: Progress = lambda *_: None) -> None:
        """Gather what it takes to know the tasks: for a source tree, build it.

        Raises `BadInput` when an argument turns out to be of no use.
        """
        names: dict[str, str] = {}
        for engine in self.engines.values():
            candidate = engine.candidate
            text = candidate.spec.text
            doing = {
                "task": "reading",
                "source": "building",
                "requirement": "fetching",
                "wheel": "reading",
            }
            there = self.settings.environment is not None
            progress(candidate, f"{'reading' if there else doing[candidate.spec.kind]} {text}")
            _ = candidate.interpreter
            if candidate.spec.kind == "requirement":
                try:
                    _ = candidate.build
                except HarnessError as error:
                    sentence = " ".join(str(error).split())
                    raise BadInput(f"{text}: {sentence}") from None
            # Bad input is told before anything is judged.
            _ = candidate.samples
            if not candidate.has_wheel:
                continue  # the verdicts tell why
            if self.settings.server is not None and candidate.spec.kind != "task":
                edition = candidate.edition
                edition.check_database(self.settings.database)
                progress(candidate, f"installing fractal-server {edition.version}")
                with contextlib.suppress(HarnessError):  # the verdicts tell
                    edition.environment()
            name = canonicalize_name(candidate.wheel.distribution)
            if name in names:
                raise BadInput(
                    f"{text}: this is the package {name} again, as {names[name]} is; "
                    "judge them in two runs"
                )
            names[name] = text
        tasks = [engine.candidate.tasks for engine in self.engines.values()]
        if all(tasks):  # else the verdicts tell why there are none
            self.settings.check_tasks(
                [name for some in tasks for task in some for name in (task.slug, task.id)]
            )

    def report(self, anchor: str, verdicts: Sequence[Verdict]) -> CandidateReport:
        """What is known of one candidate, with these verdicts in the order of the plan."""
        engine = self.engines[anchor]
        # Workers hand them in as they come.
        order = {check.key: number for number, check in enumerate(engine.plan())}
        return candidate_report(
            engine.candidate,
            sorted(verdicts, key=lambda one: order[one.code, one.task, one.sample]),
        )

    def close(self) -> None:
        """End every process, and remove the folder unless it is to be kept."""
        if self._hold is not None:
            self._hold.release()  # first, so that nobody waits for what it does
        for engine in self.engines.values():
            engine.close()
        if self._owner and not self.settings.keep:
            remove_tree(self.folder)
        if self._watch is not None:
            self._watch.close()
        take_down(self.sandbox)


def _hold(folder: Path) -> Lease:
    from pytest_fractal.server.process import Lease

    return Lease(folder)


def _readable(specs: Sequence[PackageSpec], settings: Settings) -> Iterator[Path]:
    """What the candidates' processes read beside their own folders."""
    for path in (settings.samples, settings.environment):
        if path is not None:
            yield path
    for spec in specs:
        if spec.path is not None:
            yield spec.path
            if spec.kind == "source":
                # A build may look at the repository around the project.
                above = (spec.path, *spec.path.parents)
                yield from [place for place in above if (place / ".git").exists()][:1]
