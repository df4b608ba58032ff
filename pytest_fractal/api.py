"""The public API: judging a package, and running a task of it, without pytest."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_fractal.candidate import Candidate
from pytest_fractal.errors import BadInput
from pytest_fractal.facts import Manifest, Task
from pytest_fractal.machinery.environments import Environment, InstallerName
from pytest_fractal.machinery.processes import last_lines
from pytest_fractal.report.model import Report
from pytest_fractal.sample_files import Sample
from pytest_fractal.session import Session
from pytest_fractal.settings import Settings, parse_codes, parse_package


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
    jobs: int = 0,
    keep: bool = False,
    samples: str | Path | None = None,
    server: str | bool = False,
) -> Report:
    """Judge one package by all rules, or by those that are selected.

    The arguments mean what the options of the same names do: `package` is a folder, a
    wheel or a requirement, `timeout` counts seconds for each process of the candidate,
    `jobs` is how many commands run at the same time (0: one a core). `server` is True for
    the fractal-server that is known to be good, or its version.

    Raises `BadInput` when an argument is of no use, such as a folder that is not there.
    """
    wanted = f"[{','.join(extras)}]" if extras else ""
    settings = Settings(
        python=python,
        pins=tuple(pins),
        installer=installer,
        select=parse_codes(",".join(select)),
        ignore=parse_codes(",".join(ignore)),
        strict=strict,
        timeout=timeout,
        jobs=jobs,
        keep=keep,
        samples=Path(samples) if samples is not None else None,
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
        return Report(tuple(reports), strict)
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
    """The run's own folder: its arguments, its output, and the output path that was filled in."""


class Package:
    """The candidate as the fixtures hand it out: installed when that is asked for.

    Raises `BadInput` when there is no wheel, and `HarnessError` when the machine is to blame.
    """

    def __init__(self, candidate: Candidate) -> None:
        if (failure := candidate.build.built.failure) is not None:
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
        return self._candidate.samples

    @property
    def environment(self) -> Environment:
        """The environment with the wheel in it. Raises `BadInput` when it does not install."""
        installation = self._candidate.installation
        if installation.finished.returncode:
            reason = last_lines(installation.finished.stderr or installation.finished.stdout)
            raise BadInput(f"{self._candidate.spec.text} does not install: {reason}")
        return installation.environment

    def run(self, task: Task, args: Mapping[str, Any], reserved: Mapping[str, Any]) -> TaskRun:
        """Run a task's command once, as Fractal does.

        `args` are the task's own arguments; those that Fractal supplies are filled in
        with a fresh folder, unless `reserved` has them.
        """
        if self._candidate.has_wheel:
            _ = self.environment
        runs = self._candidate.folder / "runs" / task.id
        runs.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="own-", dir=runs))
        data = folder / "data"
        data.mkdir()
        arguments = {**task.generation.reserved_values(task.kind, data), **reserved, **args}
        start = self._candidate.launch(task, arguments, folder / "run")
        try:
            metadata = json.loads(start.output or "null")
        except ValueError:
            metadata = None
        finished = start.finished
        return TaskRun(
            finished.argv, finished.returncode, finished.stdout, finished.stderr, metadata,
            start.output, finished.seconds, finished.timed_out, folder,
        )  # fmt: skip
