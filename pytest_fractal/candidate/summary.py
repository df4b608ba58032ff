"""What a report says of a candidate, read from the facts that were gathered."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from pytest_fractal.candidate.installation import INSTALLATION
from pytest_fractal.candidate.packaged import Candidate
from pytest_fractal.errors import BadInput, HarnessError
from pytest_fractal.report.model import CandidateReport, RunSummary, Stage, TaskSummary
from pytest_fractal.verdicts import Verdict

_STAGES: Final = {
    "build": "build",
    "environment": "environment",
    "install": "install",
    "tree-build": "build from the tree",
}
"""The facts whose gathering takes its time, and what that is called."""


def candidate_report(candidate: Candidate, verdicts: Iterable[Verdict]) -> CandidateReport:
    """Sum up a candidate from the facts that were gathered; none is gathered for it."""
    built = candidate.has_wheel
    listed = candidate.task_list
    try:
        python = candidate.interpreter.version
        commands = {
            task.id: {part.keys.command: candidate.commands.argv(part) for part in task.run_parts}
            for task in candidate.tasks
        }
    except (BadInput, HarnessError):
        python, commands = None, {}
    runs = tuple(_runs(candidate))
    names = {**_STAGES, **_server_stages(candidate)}
    spans = {key: span for key in names if (span := candidate.store.span(key)) is not None}
    getting = candidate.wheel_source.stage
    if getting is None:
        spans.pop("build", None)
    names["build"] = getting or ""
    stages = tuple(
        Stage(names[key], span.started, round(span.seconds, 3)) for key, span in spans.items()
    )
    timings = {
        key: spans[key].seconds if key in spans else 0.0
        for key in ("build", "environment", "install")
    }
    timings["runs"] = max((run.started + run.seconds for run in runs), default=0.0) - min(
        (run.started for run in runs), default=0.0
    )
    generation = listed.generation.version if listed and listed.generation else None
    return CandidateReport(
        name=candidate.wheel.distribution if built else candidate.spec.text,
        version=candidate.wheel.version if built else None,
        source=candidate.spec.text,
        generation=generation,
        wheel=candidate.wheel.path.name if built and candidate.installs else None,
        python=python,
        tasks=tuple(
            TaskSummary(
                task.name,
                task.slug,
                task.id,
                task.kind,
                commands.get(task.id, {}),
                candidate.source_of(task),
            )
            for task in candidate.tasks
        ),
        verdicts=tuple(verdicts),
        runs=runs,
        timings={stage: round(seconds, 2) for stage, seconds in timings.items()},
        stages=stages,
        rerun_command=_command_line(candidate),
        program=candidate.settings.program,
        wheel_sha256=_sha256(candidate.wheel.path) if built and candidate.installs else None,
        versions=_installed_versions(candidate),
        requires_python=str(candidate.wheel.requires_python) if built else "",
        needs_pixi=built and candidate.pixi.is_needed,
        home=candidate.home,
        folder=str(candidate.folder) if candidate.settings.keep else None,
    )


def _server_stages(candidate: Candidate) -> Mapping[str, str]:
    if candidate.settings.server is None or not candidate.has_wheel:
        return {}
    try:
        return candidate.on_server.stages
    except (BadInput, HarnessError):
        return {}


def _installed_versions(candidate: Candidate) -> Mapping[str, str]:
    """What this run has installed, by normalised name; empty where that is nothing."""
    try:
        is_known = candidate.store.has(INSTALLATION)
        return candidate.installation.versions if is_known else {}
    except (BadInput, HarnessError):
        return {}


def _sha256(wheel: Path) -> str:
    with wheel.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _command_line(candidate: Candidate) -> str:
    """The command line that judges it by the settings of this run, for a shell."""
    spec, settings = candidate.spec, candidate.settings
    named = f"--fractal-{spec.option}={spec.text}"
    if settings.program == "pytest-fractal" and spec.option == "package":
        named = spec.text
    words = [settings.program, named]
    words += [f"--fractal-environment={settings.environment}"] if settings.environment else []
    words += [f"--fractal-python={settings.python}"] if settings.python else []
    words += [f"--fractal-pin={pin}" for pin in settings.pins]
    words += ["--fractal-installer=pip"] if settings.installer == "pip" else []
    words += [f"--fractal-samples={settings.samples}"] if settings.samples else []
    if settings.executor != "local":
        words += [f"--fractal-executor={settings.executor}"]
    words += [f"--fractal-slurm-config={settings.slurm_config}"] if settings.slurm_config else []
    words += [f"--fractal-folder={settings.folder}"] if settings.folder else []
    if settings.server is not None:
        words += [f"--fractal-server={settings.server or 'default'}"]
    return shlex.join(words)


def _runs(candidate: Candidate) -> Iterator[RunSummary]:
    # Tasks run side by side, so only the order within a task is the same in every run.
    order = [task.id for task in candidate.tasks]
    before = {
        (task.id, sample.name): (sample.previous.task.id, sample.previous.name)
        for task in candidate.tasks
        for sample in candidate.sample_runs.of(task)
        if sample.previous
    }
    for task, sample, start in sorted(
        candidate.starts(), key=lambda one: (order.index(one[0]), one[2].finished.started)
    ):
        finished = start.finished
        yield RunSummary(
            task,
            sample,
            finished.argv,
            finished.returncode,
            round(finished.seconds, 3),
            finished.timed_out,
            finished.started,
            start.rerun_command,
            before.get((task, sample)) if sample else None,
        )
