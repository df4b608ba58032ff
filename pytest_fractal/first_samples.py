"""First samples, written for the tasks that have none: `--fractal-new-samples`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pytest_fractal.candidate.packaged import Candidate
from pytest_fractal.errors import BadInput, HarnessError
from pytest_fractal.facts import Task
from pytest_fractal.package_spec import PackageSpec
from pytest_fractal.report.overview import escape_control_chars, pluralize
from pytest_fractal.rules.registry import DOCUMENTATION
from pytest_fractal.samples.runs import FirstSample
from pytest_fractal.session import Session
from pytest_fractal.settings import Settings


def write_samples(specs: Sequence[PackageSpec], settings: Settings, root: Path) -> Iterator[str]:
    """Write a file for each task without a sample; yields what to say about each.

    No file is ever written over. Raises `BadInput` where there is nothing to write for, or no
    folder to write to.
    """
    if not specs:
        raise BadInput("name a package, for whose tasks samples are to be written")
    session = Session(specs, settings, root)
    try:
        session.prepare()
        for engine in session.engines.values():
            yield from map(escape_control_chars, _written(engine.candidate))
    finally:
        session.close()


def _written(candidate: Candidate) -> Iterator[str]:
    about, folder = candidate.spec.text, candidate.sample_runs.folder
    if folder is None:
        raise BadInput(f"{about}: say where to write samples: --fractal-samples=DIR")
    if not candidate.tasks:
        raise BadInput(f"{about}: no task is known; judge the package first, and fix what it says")
    first = candidate.sample_runs.all.untried
    if not first:
        yield f"{about}: every task has a sample"
        return
    written = 0
    for sample in first:
        path = folder / f"{sample.task.id}.json"
        shown = os.path.relpath(path)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                json.dump(sample.value, file, indent=2)
                file.write("\n")
        except FileExistsError:
            yield f"{shown}: left alone, it is there already"
            continue
        except OSError as error:
            raise HarnessError(f"{shown}: cannot be written: {error.strerror}") from None
        written += 1
        yield f"{shown}: {_to_do(sample)}"
    if written:
        counted = pluralize(written, "sample")
        yield f"wrote {counted}; all that a sample may say: {DOCUMENTATION}samples/"


def _to_do(sample: FirstSample) -> str:
    """What is made up in a sample, so that its author looks at it."""
    names = list(_made_up(sample.task))
    if not names:
        return "it runs the task with its defaults; see whether that is a good example"
    return f"see whether the values that were made up are good: {', '.join(names)}"


def _made_up(task: Task) -> Iterator[str]:
    """The arguments of a task's own that have no default to begin with."""
    for part in task.run_parts:
        properties = part.schema.get("properties")
        required = part.schema.get("required")
        for name in required if isinstance(required, list) else ():
            shape = properties.get(name) if isinstance(properties, dict) else None
            has_default = isinstance(shape, dict) and ("default" in shape or "const" in shape)
            if name not in part.reserved.all and not has_default:
                yield f"{part.keys.name}.{name}" if len(task.run_parts) > 1 else str(name)
