"""The public API: judging a package, and running a task of it, without pytest."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_fractal.candidate.command_starts import launch
from pytest_fractal.candidate.packaged import Candidate
from pytest_fractal.environments.building import BUILD_LIMIT
from pytest_fractal.environments.environments import Environment
from pytest_fractal.environments.installing import InstallerName, bracketed
from pytest_fractal.errors import BadInput
from pytest_fractal.facts import Part, Task
from pytest_fractal.generations import Call, CallResult
from pytest_fractal.package_spec import parse_package
from pytest_fractal.processes.commands import Start
from pytest_fractal.processes.executors import ExecutorName
from pytest_fractal.processes.processes import last_lines
from pytest_fractal.processes.sandbox import Mode, around, paths_named
from pytest_fractal.report.model import Report
from pytest_fractal.samples.files import Sample, placed
from pytest_fractal.samples.generated import make_arguments
from pytest_fractal.samples.runs import call_result, drive
from pytest_fractal.selection import parse_codes
from pytest_fractal.server.facts import Collected, Job, ListedTask, ServerRun
from pytest_fractal.session import Session
from pytest_fractal.settings import Settings
from pytest_fractal.task_lists import Manifest

if TYPE_CHECKING:
    from pytest_fractal.server.client import Client
    from pytest_fractal.server.servers import Server


def check_package(
    package: str | Path,
    *,
    extras: Iterable[str] = (),
    python: str | None = None,
    pins: Iterable[str] = (),
    installer: InstallerName = "uv",
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    strict: bool = False,
    timeout: float = 300.0,
    build_timeout: float = BUILD_LIMIT,
    jobs: int = 0,
    keep: bool = False,
    samples: str | Path | None = None,
    server: str | bool = False,
    environment: str | Path | None = None,
    sandbox: Mode = "auto",
    executor: ExecutorName = "local",
    slurm_config: str | Path | None = None,
    folder: str | Path | None = None,
) -> Report:
    """Judge one package by all rules, or by those that are selected.

    The arguments mean what the options of the same names do: `package` is a folder, a
    wheel or a requirement, `timeout` counts seconds for each process of the candidate and
    `build_timeout` for each step of its build, `jobs` is how many commands run at the same
    time (0: one a core). `server` is True for the newest fractal-server, or its version, or
    several with commas between; `environment` is the folder of an existing environment, in
    which the package is judged as it is installed. `sandbox` is auto, required or off.
    `executor` is local or slurm, with the cluster's own settings in the file `slurm_config`; the
    run's folder is made below `folder`, which all nodes of the cluster must see.

    Raises `BadInput` when an argument is of no use, such as a folder that is not there.
    """
    wanted = bracketed(tuple(extras))
    settings = Settings(
        environment=None if environment is None else Path(environment).absolute(),
        python=python,
        pins=tuple(pins),
        installer=installer,
        select=parse_codes(",".join(select)),
        ignore=parse_codes(",".join(ignore)),
        strict=strict,
        timeout=timeout,
        build_timeout=build_timeout,
        jobs=jobs,
        keep=keep,
        samples=Path(samples) if samples is not None else None,
        sandbox=sandbox,
        executor=executor,
        slurm_config=None if slurm_config is None else Path(slurm_config),
        folder=None if folder is None else Path(folder),
        server=None if server is False else "" if server is True else server,
    )
    here = Path.cwd()
    session = Session([parse_package(f"{package}{wanted}", here)], settings, here)
    try:
        session.prepare()
        reports = []
        for anchor, engine in session.engines.items():
            checks = engine.plan()
            engine.run_ahead(checks, session.width)
            verdicts = [engine.verdict(check) for check in checks]
            reports.append(session.report(anchor, verdicts))
        session.keep_for_next_run()
        return Report(tuple(reports), strict, executor=executor)
    finally:
        session.close()


@dataclass(frozen=True)
class TaskRun:
    """One execution of a task's command."""

    argv: tuple[str, ...]
    returncode: int
    """The exit status; negative for a signal."""
    stdout: str
    stderr: str
    metadata: Any
    """What the command wrote to its output file, as JSON; None when it wrote nothing."""
    written: str | None
    """The output file as it is; None when there is none."""
    seconds: float
    timed_out: bool
    folder: Path
    """The run's own folder: its arguments, its output, and the data folder that was filled in."""
    computed: tuple[TaskRun, ...] = ()
    """Of a compound task, whose init part the run itself is: what came of its compute part."""

    @property
    def succeeded(self) -> bool:
        """Whether every command ended with status 0 in time."""
        return all(not run.returncode and not run.timed_out for run in (self, *self.computed))


class Package:
    """The candidate as the fixtures hand it out: installed when that is asked for.

    Raises `BadInput` when there is no wheel, and `HarnessError` when the machine is to blame.
    """

    def __init__(self, candidate: Candidate) -> None:
        if (failure := candidate.builds.failure) is not None:
            raise BadInput(f"{candidate.spec.text}: there is no wheel: {failure.message}")
        self._candidate = candidate

    @property
    def wheel(self) -> Path:
        """The wheel file."""
        return self._candidate.wheel.path

    @property
    def manifest(self) -> Mapping[str, Any]:
        """The manifest's object; empty when there is none."""
        manifest: Manifest | None = self._candidate.manifest
        return manifest.value if manifest is not None else {}

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The manifest's tasks."""
        return self._candidate.tasks

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The author's samples."""
        return self._candidate.sample_runs.usable

    @property
    def environment(self) -> Environment:
        """The environment with the wheel in it. Raises `BadInput` when it does not install."""
        installation = self._candidate.installation
        if installation.finished is not None and installation.finished.returncode:
            reason = last_lines(installation.finished.stderr or installation.finished.stdout)
            raise BadInput(f"{self._candidate.spec.text} does not install: {reason}")
        return installation.environment

    @property
    def asks_server(self) -> bool:
        """Whether the user has asked for a real server."""
        return self._candidate.settings.server is not None

    @property
    def server(self) -> PackageServer:
        """A server that has collected the package. Raises `BadInput` when it does not."""
        on_server = self._candidate.on_server
        version = on_server.releases[0].version
        collected = on_server.collection(version).collected
        if collected.outcome != "done":
            raise BadInput(
                f"{collected.server} does not collect {self._candidate.spec.text} "
                f"({collected.outcome}, {collected.status}): {collected.said}"
            )
        return PackageServer(on_server.server(version), collected)

    def run(
        self,
        task: Task,
        args: Mapping[str, Any],
        reserved: Mapping[str, Any],
        part: str | None = None,
    ) -> TaskRun:
        """Run a task's command once, as Fractal does.

        `args` are the task's own arguments; those that Fractal supplies are filled in
        with a fresh folder, unless `reserved` has them. `part` names the command of a task
        that has two. Without it both run: the `args` are `{"init": ..., "compute": ...}`,
        and the compute part runs for each element of the init part's list.

        Raises `BadInput` for a part that the task does not have.
        """
        if self._candidate.has_wheel:
            _ = self.environment
        runs = self._candidate.folder / "runs" / task.id
        runs.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="own-", dir=runs))
        (folder / "data").mkdir()
        parts = {run_part.keys.name: run_part for run_part in task.run_parts}
        if part is not None and part not in parts:
            raise BadInput(f"{task.slug} has no part {part!r}; it has: {', '.join(parts)}")
        if part is not None or len(parts) == 1:
            chosen = parts[part] if part is not None else task.run_parts[0]
            return _task_run(self._start(chosen, args, reserved, folder, "run"), folder)
        if odd := sorted(set(reserved) - task.generation.sample_keys):
            raise BadInput(
                f"{odd[0]!r} is not given to {task.slug} as a whole; to give it to one of its "
                f"parts, say which: {', '.join(parts)}"
            )
        own = {part.keys: args.get(name, {}) for name, part in parts.items()}
        made = task.generation.made_sample(task.kind, task.entry)
        data = folder / "data"
        play = task.generation.play(
            task.name, task.entry, reserved or placed(made, {"tmp": str(data)}), None, data
        )
        starts: list[Start] = []

        def execute(calls: Sequence[Call]) -> Sequence[CallResult]:
            first = len(starts)
            for call in calls:
                here, name = parts[call.part.name], f"run-{len(starts)}"
                starts.append(self._start(here, own[call.part], call.supplied, folder, name))
            return [call_result(start) for start in starts[first:]]

        played = drive(play, execute)
        if not starts:
            assert played.blocked is not None
            raise BadInput(f"{task.slug}: {played.blocked.found}")
        run, *computed = (_task_run(start, folder) for start in starts)
        return replace(run, computed=tuple(computed))

    def _start(
        self,
        part: Part,
        args: Mapping[str, Any],
        reserved: Mapping[str, Any],
        folder: Path,
        name: str,
    ) -> Start:
        task, made = part.task, make_arguments(part.schema)
        values = task.generation.reserved_values(task.kind, part.keys, folder / "data", made)
        if (walls := around(folder)) is not None:
            # What a test names it may have written to, such as a folder of its own.
            walls.share(paths_named(json.dumps([reserved, args]).encode()), write=True)
        return launch(self._candidate, part, {**values, **reserved, **args}, folder / name)


def _task_run(start: Start, folder: Path) -> TaskRun:
    finished = start.finished
    return TaskRun(
        finished.argv,
        finished.returncode,
        finished.stdout,
        finished.stderr,
        call_result(start).value,
        start.output,
        finished.seconds,
        finished.timed_out,
        folder,
    )


class PackageServer:
    """A running fractal-server that has collected the package.

    It is the run's own, on a loopback port, and ends with it.
    """

    def __init__(self, server: Server, collected: Collected) -> None:
        self._server = server
        self._collected = collected

    @property
    def name(self) -> str:
        """Such as `fractal-server 1.4.10`."""
        return self._server.name

    @property
    def url(self) -> str:
        """Such as `http://127.0.0.1:41235`."""
        return self._server.url

    @property
    def client(self) -> Client:
        """The server's REST API for an administrator: `get(path)`, `post(path, json)`."""
        return self._server.client

    @property
    def tasks(self) -> tuple[ListedTask, ...]:
        """The package's tasks as the server lists them: `name`, `commands`, `source`, `id`."""
        return self._collected.tasks

    def run(
        self,
        *steps: tuple[str, Mapping[str, Any]],
        output_path: str | Path,
        input_paths: Iterable[str | Path] = (),
        metadata: Mapping[str, Any] | None = None,
        images: Iterable[Mapping[str, Any]] = (),
        limit: float = 600.0,
    ) -> ServerRun:
        """Run a workflow: each step is the name of a task and its own arguments.

        `input_paths` and `metadata` are for generation 1, `images` for generation 2, where
        `output_path` is the `zarr_dir`, and a task with two commands takes `{"init": {...},
        "compute": {...}}`. `limit` counts seconds. What comes back has an `outcome`, `done`
        or another, what the server `said`, and `dataset`: its metadata, or in generation 2
        its `images`. Raises `LookupError` for a name that no task has.
        """
        known = {task.name: task for task in self.tasks}
        for name, _ in steps:
            if name not in known:
                raise LookupError(f"no task is called {name!r}; there are: {', '.join(known)}")
        job = Job(
            name="workflow",
            steps=tuple(self._server.step(known[name], args) for name, args in steps),
            input_paths=tuple(map(str, input_paths)),
            output_path=str(output_path),
            metadata=metadata or {},
            images=tuple(images),
        )
        return self._server.run(job, self._collected, limit)
