"""One run over some candidates: its folder, its engines, and how it ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import signal
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packaging.utils import canonicalize_name

from pytest_fractal.candidate.custom_tasks import CustomTasks
from pytest_fractal.candidate.installed import InstalledPackage
from pytest_fractal.candidate.packaged import Candidate
from pytest_fractal.candidate.store import Sharing
from pytest_fractal.candidate.summary import candidate_report
from pytest_fractal.engine import Engine
from pytest_fractal.environments.building import Plans
from pytest_fractal.environments.repositories import object_folders
from pytest_fractal.errors import BadInput, HarnessError
from pytest_fractal.files import open_regular
from pytest_fractal.generations.slurm_jobs import cluster_defaults
from pytest_fractal.package_spec import PackageSpec
from pytest_fractal.processes.executors import Executor, LocalExecutor
from pytest_fractal.processes.processes import Watch
from pytest_fractal.processes.sandbox import Sandbox, set_up, take_down
from pytest_fractal.processes.slurm import SlurmExecutor
from pytest_fractal.processes.watcher import JOBS, LOCK, cancel_jobs, remove_run
from pytest_fractal.report.model import CandidateReport
from pytest_fractal.server.facts import Collection
from pytest_fractal.settings import Settings
from pytest_fractal.verdicts import Verdict

if TYPE_CHECKING:
    from pytest_fractal.server.process import Lease

Progress = Callable[[Candidate, str], None]
"""Is called with what begins now."""


_PREFIX: Final = "pytest-fractal-"
"""How the names of runs' folders begin."""
_KEPT: Final = "kept"
"""The file that marks a folder which outlives its run."""
_FACTS: Final = "facts"
"""Where the processes of a run share facts: no candidate has to know of it."""
_SHORT: Final = Path("/tmp")
_LONGEST: Final = 50
"""Bytes in a path below which temporary files, and sockets among them, have room for their own:
of the 104 of macOS, Python's `multiprocessing` takes 32."""


@dataclass(frozen=True)
class SharedRun:
    """What another process of the same run has to know."""

    folder: Path
    scratch: Path
    """Where commands have their temporary files."""
    key: bytes = field(repr=False)
    """By which they know each other's facts; it must be in their memory only."""


class Session:
    """The candidates of one run, each with its engine.

    `shared` is the run of an earlier process, which this one joins; without it a new one
    begins, in a fresh folder, which `close()` removes unless the settings say to keep it.
    `workers` says how many processes share the run, and so the cores.

    A new run first removes what runs of the same user have left that were killed.
    """

    def __init__(
        self,
        specs: Sequence[PackageSpec],
        settings: Settings,
        root: Path,
        *,
        shared: SharedRun | None = None,
        workers: int = 1,
        number: int = 0,
    ) -> None:
        self.settings = settings
        self._owner = shared is None
        self.width = max(1, settings.width // workers)
        self.share = number / workers
        """Where this process begins among the tasks, so that no two begin at the same."""
        anchors = [spec.anchor(root) for spec in specs]
        for number, anchor in enumerate(anchors):
            if anchor in anchors[:number]:
                raise BadInput(f"{specs[number].text}: this package was given twice")
        self._locks: list[int] = []
        if shared is None:
            shared = self._begin()
        self._shared = shared
        self.folder = shared.folder
        self._far = None if shared.scratch.parent == self.folder else shared.scratch
        """Where temporary files lie outside the run's folder."""
        self.sandbox = Sandbox(self.folder, settings.sandbox, _readable(specs, settings))
        set_up(self.sandbox)
        self._watch = (
            Watch(self.sandbox.mark, self.folder, settings.keep, self._far)
            if self._owner
            else None
        )
        self._hold = (
            _hold(self.folder / "servers") if self._owner and settings.server is not None else None
        )
        self.executor = self._make_executor()
        self.engines: Mapping[str, Engine] = {
            anchor: Engine(
                self._kind(spec)(spec, settings, self.folder / f"package-{number}", self.executor)
            )
            for number, (anchor, spec) in enumerate(zip(anchors, specs, strict=True))
        }
        """The engines, by what their node ids begin with."""
        candidates = [engine.candidate for engine in self.engines.values()]
        plans: Plans = {}
        for candidate in candidates:
            candidate.builds.plans = plans
            candidate.siblings = [sibling for sibling in candidates if sibling is not candidate]
        if not self._owner:
            self.share_facts()

    def share_facts(self) -> SharedRun:
        """Let other processes join the run; facts are kept where they find them from now on."""
        for engine in self.engines.values():
            name = engine.candidate.folder.name
            engine.candidate.store.share(Sharing(self.folder / _FACTS / name, self._shared.key))
        return self._shared

    def _begin(self) -> SharedRun:
        """A new run, in a fresh folder. Raises `BadInput` where none can be made."""
        base = self.settings.folder
        remove_left_runs(base)
        try:
            folder = self._make_folder(base)
            if self.settings.keep:
                (folder / _KEPT).touch()
            scratch = folder / "tmp"
            is_long = len(os.fsencode(scratch)) > _LONGEST
            # A node of a cluster has a /tmp of its own.
            is_local = self.settings.executor == "local"
            if is_long and is_local and os.access(_SHORT, os.W_OK | os.X_OK):
                scratch = self._make_folder(_SHORT)
        except OSError as error:
            raise BadInput(f"no folder can be made for the run: {error}") from None
        return SharedRun(folder, scratch, secrets.token_bytes(32))

    def _make_folder(self, base: Path | None) -> Path:
        """A fresh folder below `base`, locked for as long as the run lasts."""
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base)).resolve()
        new = folder / f"{LOCK}.new"
        lock = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._locks.append(lock)
        fcntl.flock(lock, fcntl.LOCK_EX)
        new.rename(folder / LOCK)  # nobody sees it unlocked
        return folder

    def _make_executor(self) -> Executor:
        if self.settings.executor == "local":
            return LocalExecutor(self.width, self._shared.scratch)
        return SlurmExecutor(self.width, self.folder, cluster_defaults(self.settings.cluster))

    def _check_cluster(self, progress: Progress) -> None:
        """See that the nodes of a cluster see what commands are started with, by one job."""
        if isinstance(self.executor, SlurmExecutor) and self._owner:
            candidates = [engine.candidate for engine in self.engines.values()]
            pythons = [candidate.interpreter.path for candidate in candidates]
            progress(
                candidates[0], "waiting for a node of the cluster, which is to see the folder"
            )
            self.executor.check([self.folder, *pythons])

    def _kind(self, spec: PackageSpec) -> type[Candidate]:
        if spec.kind == "task":
            return CustomTasks
        return InstalledPackage if self.settings.environment else Candidate

    def prepare(self, progress: Progress = lambda *_: None) -> None:
        """Gather what it takes to know the tasks: for a source tree, build it.

        Raises `BadInput` when an argument turns out to be of no use.
        """
        self._check_cluster(progress)
        names: dict[str, str] = {}
        for engine in self.engines.values():
            candidate = engine.candidate
            text = candidate.spec.text
            progress(candidate, f"{candidate.wheel_source.doing} {text}")
            candidate.prepare()
            # Bad input is reported before anything is judged.
            _ = candidate.sample_runs.usable
            if not candidate.has_wheel:
                continue  # the verdicts tell why
            if Collection in candidate.providers:
                python = ".".join(map(str, candidate.interpreter.version_info))
                for release in candidate.on_server.releases:
                    release.check_database(self.settings.database)
                    release.check_python(python)
                    progress(candidate, f"installing fractal-server {release.version}")
                    with contextlib.suppress(HarnessError):  # the verdicts tell
                        release.environment()
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
                [name for listed in tasks for task in listed for name in (task.slug, task.id)]
            )

    def report(self, anchor: str, verdicts: Sequence[Verdict]) -> CandidateReport:
        """What is known of one candidate, with these verdicts in the order of the plan."""
        engine = self.engines[anchor]
        # Workers hand them in as they come.
        order = {check.key: number for number, check in enumerate(engine.plan())}
        return candidate_report(
            engine.candidate,
            sorted(verdicts, key=lambda one: order[one.key]),
        )

    def keep_for_next_run(self) -> None:
        """Keep for later runs what saves them time, now that this one has judged everything."""
        for engine in self.engines.values():
            engine.candidate.between_runs.keep()

    def close(self) -> None:
        """End every process, and remove the folder unless it is to be kept."""
        if self._hold is not None:
            self._hold.release()  # first, so that nobody waits for what it does
        with _without_interrupts():
            for engine in self.engines.values():
                engine.close()
        if self._owner and (self.folder / JOBS).exists():
            cancel_jobs(self.folder.name)  # also those of workers that were killed
        own = (self._far, None if self.settings.keep else self.folder) if self._owner else ()
        folders = [folder for folder in own if folder is not None]
        for folder in folders:
            remove_run(folder)
        if self._watch is not None:
            self._watch.close()
        take_down(self.sandbox)
        while self._locks:
            os.close(self._locks.pop())  # last: until then nobody else removes the folders
        # On a network's file system a removed file lies in its folder until it is closed.
        for folder in folders:
            with contextlib.suppress(OSError):
                folder.rmdir()


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Pass over Ctrl-C, where this is the main thread.

    A second one that ended the ending would leave a command at work, and Python waits for the
    threads that wait for it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # Not SIG_IGN, which programs that are started meanwhile would inherit.
    usual = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual if usual is not None else signal.SIG_DFL)


def remove_left_runs(base: Path | None = None) -> None:
    """Remove what this user's runs have left that were killed: folders that nobody locks.

    They lie below `base`, and among temporary files. Jobs of theirs on a cluster are cancelled.
    """
    places = {Path(tempfile.gettempdir()), _SHORT, *([base] if base else [])}
    for folder in (folder for place in places for folder in place.glob(f"{_PREFIX}*")):
        with contextlib.suppress(OSError):
            if _is_left(folder):
                if (folder / JOBS).is_dir():
                    cancel_jobs(folder.name)
                remove_run(folder)


def _is_left(folder: Path) -> bool:
    """Whether a folder is this user's, and was a run's that has ended without removing it."""
    seen = folder.lstat()
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.geteuid():
        return False
    if os.path.lexists(folder / _KEPT):
        return False
    with open_regular(folder / LOCK, follow=False) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while its run goes on
    return True


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
            if spec.tree is not None:
                # A build may look at the repository around the project.
                above = (spec.tree, *spec.tree.parents)
                for top in [place for place in above if (place / ".git").exists()][:1]:
                    yield top
                    yield from object_folders(top)
