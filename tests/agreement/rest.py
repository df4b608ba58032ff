"""The sample of candidates that goes to a server behind a socket, as `--fractal-server` does.

A process, a real `venv` and a real `pip install` for each: minutes instead of seconds. Each
candidate gets a server of its own: a broken one answers nobody any more, and mutants of
one package have one name and version, which a server collects once.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pytest_fractal.files import replacing
from pytest_fractal.samples.ome_zarr import OME_ZARR
from pytest_fractal.server.facts import Job, ListedTask, Step
from pytest_fractal.server.servers import Server, ServerRelease, running_server

from .server import Does
from .suite import Case, Row

_LIMIT: Final = 60.0
"""Seconds without a change after which a job is given up."""
_COLLECTIONS: Final = {
    "refused": Does.REFUSES,
    "failed": Does.FAILS,
    "frozen": Does.FREEZES,
    "broken": Does.BREAKS,
}
_JOBS: Final = {
    "refused": Does.BREAKS,
    "failed": Does.JOB_FAILS,
    "frozen": Does.FREEZES,
    "broken": Does.BREAKS,
}


@dataclass(frozen=True)
class Asked:
    """What came of one candidate, both ways."""

    row: Row
    does: Does
    words: str

    @property
    def agrees(self) -> bool:
        """Whether the server behind a socket does what its functions do."""
        return self.does is self.row.server.does


def chosen(cases: Sequence[Case], rows: Sequence[Row]) -> list[tuple[Case, Row]]:
    """One candidate for every way in which the two judgements meet.

    Of those that freeze the server, and of those that none minds, one for each sort.
    """
    found: dict[tuple[str, ...], tuple[Case, Row]] = {}
    for case, row in zip(cases, rows, strict=True):
        if case.path.suffix != ".whl":
            continue
        sort = row.what.split("'s ")[-1].partition("/")[0]
        way: tuple[str, ...] = (row.server.does, *row.tool.fails[:1])
        if row.server.does is Does.FREEZES or (way == (Does.TAKES,) and sort == "good package"):
            way = (*way, sort)
        found.setdefault(way, (case, row))
    return list(found.values())


def ask(release: ServerRelease, pairs: Sequence[tuple[Case, Row]], folder: Path) -> list[Asked]:
    """What servers make of these, two at a time. What is kept in `folder` is not asked again."""
    folder.mkdir(exist_ok=True)
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda pair: _ask(release, *pair, folder=folder), pairs))


def _ask(release: ServerRelease, case: Case, row: Row, *, folder: Path) -> Asked:
    kept = folder / f"{case.id}.json"
    if not kept.exists():
        with running_server(release.generation, release.version) as server:
            ended = _ended(server, case)
        with replacing(kept) as new:
            new.write_text(json.dumps(ended))
    does, words = json.loads(kept.read_text())
    return Asked(row, Does(does), words)


def _ended(server: Server, case: Case) -> tuple[Does, str]:
    collected = server.collect(case.path)
    if collected.outcome != "done":
        return _COLLECTIONS[collected.outcome], collected.said
    for number, job in enumerate(case.jobs):
        asked = job.asked
        if any(step["task"] >= len(collected.tasks) for step in asked["steps"]):
            return Does.LISTS_TOO_FEW, f"the list of tasks has {len(collected.tasks)} entries"
        steps = tuple(
            _step(server, collected.tasks[step["task"]], step) for step in asked["steps"]
        )
        place = asked.get("output_path") or asked["zarr_dir"]
        inputs = tuple(asked.get("input_paths", ()))
        for path in (*inputs, place):
            Path(path).mkdir(parents=True, exist_ok=True)
        for left in Path(place).iterdir():  # by the same job in process
            if left.name != OME_ZARR:
                shutil.rmtree(left) if left.is_dir() else left.unlink()
        submitted = Job(
            name=f"job-{number}",
            steps=steps,
            input_paths=inputs,
            output_path=place,
            metadata=asked.get("meta", {}),
            images=tuple(asked.get("images", ())),
        )
        ran = server.run(submitted, collected, _LIMIT)
        if ran.outcome != "done":
            return _JOBS[ran.outcome], ran.said
    return (Does.TAKES if case.jobs else Does.COLLECTS), ""


def _step(server: Server, task: ListedTask, step: Mapping[str, Any]) -> Step:
    """The step that a job asks for; of generation 2 with the arguments that there are."""
    if "args" in step:
        return server.step(task, step["args"])
    args = {"args_non_parallel": step["init"], "args_parallel": step["compute"]}
    return Step(task.name, {key: own for key, own in args.items() if own})
