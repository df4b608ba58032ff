"""Running samples as the server runs tasks, and keeping what came of it.

What is run, with which arguments and in which order, the generation says.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_fractal.facts import Part, Task
from pytest_fractal.generations import (
    Call,
    CallResult,
    ExecutionResult,
    ModelFault,
    PartKeys,
    RunBlocked,
    State,
    TaskExecution,
)
from pytest_fractal.processes.commands import Start
from pytest_fractal.processes.threads import DaemonPool
from pytest_fractal.samples.files import Sample, SampleProblem, placed
from pytest_fractal.samples.generated import make_arguments


@dataclass(frozen=True)
class Execution:
    """One start of a command on a sample."""

    part: PartKeys
    about: str
    """For which unit of work, in words; empty where there is only one."""
    arguments: Mapping[str, Any] = field(repr=False)
    start: Start


@dataclass(frozen=True)
class Run:
    """A sample, run as the server would."""

    sample: Sample
    executions: tuple[Execution, ...]
    blocked: RunBlocked | None
    """Why nothing, or nothing more, could be started."""
    state: State = field(repr=False)
    """What the next step of a workflow begins with."""
    folder: str = ""
    """Its `{tmp}`."""
    faults: tuple[tuple[int, ModelFault], ...] = ()
    """What the server refuses of outputs that are good each for itself: by the number of
    the execution, and the way into its output."""
    changed: tuple[str, ...] = ()
    """What was written after its last command had ended, by processes that it had left."""

    def readable(self, text: str) -> str:
        """A text without the place of this one run."""
        return text.replace(self.folder, "{tmp}") if self.folder else text

    @property
    def dataset(self) -> Mapping[str, Any]:
        """The dataset afterwards, as the server keeps it."""
        return self.state.value

    @property
    def succeeded(self) -> bool:
        """Whether every execution ended with status 0 in time."""
        return not (self.blocked and self.blocked.fails) and all(
            _succeeded(execution.start) for execution in self.executions
        )

    @property
    def refused(self) -> bool:
        """Whether an execution ended with a status above 0, neither by a signal nor too late."""
        return any(
            execution.start.finished.returncode > 0 and not execution.start.finished.timed_out
            for execution in self.executions
        )


@dataclass(frozen=True)
class FirstSample:
    """A sample to begin with, made from the schema of a task."""

    task: Task
    value: Mapping[str, Any]
    """What the file is to hold."""


@dataclass(frozen=True)
class PackageSamples:
    """The samples of all tasks."""

    samples: tuple[Sample, ...]
    """Those that the author supplies, usable or not."""
    problems: tuple[SampleProblem, ...]
    """Why files of samples cannot be used."""
    untried: tuple[FirstSample, ...]
    """For each task without a sample that expects success, one to begin with."""
    tasks: int
    """How many tasks there are."""
    folder: str | None
    """Where samples lie, or may, from the author's folder; None without one."""


@dataclass(frozen=True)
class ResolvedArguments:
    """A sample with every argument that the task is given."""

    sample: Sample
    parts: tuple[tuple[Part, Mapping[str, Any]], ...]
    """The arguments of each of its commands."""


Launch = Callable[[Part, Mapping[str, Any], Path], Start]
"""Starts a command on these arguments, in a folder of its own."""


def resolve_arguments(sample: Sample, folder: Path, part: Part) -> dict[str, Any]:
    """The arguments of a sample with those that Fractal supplies, as a schema must take them."""
    task, names = part.task, part.reserved.names
    given = {name: value for name, value in sample.reserved.items() if name in names}
    made = make_arguments(part.schema)
    return {
        **task.generation.reserved_values(task.kind, part.keys, folder / "output", made),
        **placed({**given, **sample.args_of(part)}, sample.places(folder)),
    }


def run_sample(
    sample: Sample, previous: Run | None, folder: Path, runs: Path, launch: Launch, callers: int
) -> Run:
    """Run one sample, or one step of a workflow after `previous`.

    `folder` is the `{tmp}` of the sample, which the steps of a workflow share, and below
    `runs` each execution gets a folder; `callers` is how many may be launched at a time.
    """
    task, places = sample.task, sample.places(folder)
    sample.make_folders(folder, first=previous is None)
    args = {
        part.keys: task.generation.as_handed_on(part.schema, placed(sample.args_of(part), places))
        for part in task.run_parts
    }
    parts = {part.keys: part for part in task.run_parts}
    executions: list[Execution] = []

    def execute(numbered: tuple[int, Call]) -> Execution:
        number, call = numbered
        arguments = {**call.supplied, **args[call.part]}
        start = launch(parts[call.part], arguments, runs / str(number))
        return Execution(call.part, call.about, arguments, start)

    play = task.generation.play(
        task.name,
        task.entry,
        placed(sample.reserved, places),
        previous.state if previous else None,
        folder,
    )
    pool = DaemonPool(max(1, callers))

    def execute_all(calls: Sequence[Call]) -> Sequence[CallResult]:
        done = tuple(pool.map(execute, enumerate(calls, len(executions))))
        executions.extend(done)
        return [call_result(execution.start) for execution in done]

    try:
        played = drive(play, execute_all)
    finally:
        # Not waiting: on Ctrl-C the commands go on until the executor is closed.
        pool.shutdown(wait=False, cancel_futures=True)
    return Run(
        sample,
        tuple(executions),
        played.blocked,
        played.state,
        str(folder),
        played.faults,
        tuple(_changed(executions, played.folder)),
    )


def drive(
    play: TaskExecution, execute: Callable[[Sequence[Call]], Sequence[CallResult]]
) -> ExecutionResult:
    """Let a generation play to its end; `execute` makes the calls that it asks for at a time."""
    try:
        calls = next(play)
        while True:
            calls = play.send(execute(calls))
    except StopIteration as end:
        played: ExecutionResult = end.value
        return played


def _succeeded(start: Start) -> bool:
    return start.finished.returncode == 0 and not start.finished.timed_out


def call_result(start: Start) -> CallResult:
    """What a generation has to know of a start."""
    if start.output is None:
        # Where something else stands in its place, the server cannot read it.
        return CallResult(_succeeded(start), None, readable=not start.obstacle, written=False)
    try:
        return CallResult(_succeeded(start), json.loads(start.output))
    except (ValueError, RecursionError):
        return CallResult(_succeeded(start), None, readable=False)


def _changed(executions: Sequence[Execution], folder: Path) -> Iterator[str]:
    """What was written below the data's folder when all commands had ended.

    Only sought where a command has left a process. Units of work share the folder, so
    what one of them leaves is known from the others' work only after the last has
    ended.
    """
    finished = [execution.start.finished for execution in executions]
    ends = [ended.ended for ended in finished if ended.ended is not None]
    if len(ends) < len(finished) or not any(ended.lingered for ended in finished):
        return
    for execution, end in zip(executions, ends, strict=True):
        if _changed_at(output := Path(execution.start.output_file)) > end:
            yield output.name
    for path, _, files in os.walk(folder):
        for name in files:
            if _changed_at(Path(path, name)) > max(ends):
                yield str(Path(path, name).relative_to(folder))


def _changed_at(path: Path) -> int:
    """When a file or its name was changed, in nanoseconds since the epoch; 0 without one."""
    try:
        return path.lstat().st_ctime_ns
    except OSError:
        return 0
