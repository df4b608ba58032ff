"""What a real server does with wheels: asking it, and its answers in few words."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from pytest_fractal.environments.environments import Environment
from pytest_fractal.environments.indexes import installer_environment
from pytest_fractal.server import version2
from pytest_fractal.server.postgres import Database
from pytest_fractal.server.process import Lease, server_variables
from pytest_fractal.server.releases import span_of
from pytest_fractal.server.servers import ServerRelease


class Does(StrEnum):
    """How it ends, from best to worst for whoever finds it out."""

    TAKES = "takes it"
    """Collects and lists the tasks, and runs their jobs to their end."""
    COLLECTS = "collects it"
    """Lists the tasks; the candidate has no job to run, so nothing is known of its tasks."""
    LISTS_TOO_FEW = "does not list a task"
    """One that a job of the candidate needs: that job cannot be made."""
    REFUSES = "refuses it at once"
    FAILS = "fails in the background"
    """After the answer "collecting" and an installation."""
    FREEZES = "freezes"
    """A collection or a job that never ends."""
    BREAKS = "breaks"
    """An internal error: of a request that others make as well."""
    JOB_FAILS = "takes it, and the job fails"


@dataclass(frozen=True)
class Answer:
    """What the server does with one wheel."""

    does: Does
    words: str
    """Its own, or what was seen."""
    tasks: tuple[Mapping[str, Any], ...] = ()
    """As it lists them."""
    left: tuple[Mapping[str, Any], ...] = ()
    """The dataset after each job: its metadata, or its images."""


def ask_server(
    environment: Environment,
    release: ServerRelease,
    cases: Sequence[Mapping[str, Any]],
    work: Path,
    workers: int = 1,
) -> dict[str, Mapping[str, Any]]:
    """What a server tells of each case, by its id; `workers` servers share the cases.

    `environment` is one with a fractal-server of that release, as `--fractal-server` makes it.
    Whatever the servers write lies in `work`, with the datasets of all cases. What was reported
    there before, also by a run that was interrupted, is not asked again.
    """
    script = Path(__file__).parent / "inside" / f"server_{release.generation}.py"
    work.mkdir(parents=True, exist_ok=True)
    known = _kept_answer(work)
    asked = list({case["id"]: case for case in cases if case["id"] not in known}.values())
    before = len(list(work.glob("facts-*.jsonl")))
    with ExitStack() as stack:
        started = []
        for number in range(before, before + min(workers, len(asked))):
            part, facts = work / f"cases-{number}.json", work / f"facts-{number}.jsonl"
            part.write_text(json.dumps(asked[number - before :: workers]))
            log = stack.enter_context((work / f"server-{number}.log").open("w"))
            paths = [script, part, facts, work / f"server-{number}"]
            env = _plain_environment()
            if release.generation == "2":
                env |= stack.enter_context(_database(environment, release)).variables
            process = subprocess.Popen(
                [str(path) for path in (environment.python, *paths)],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            stack.callback(process.kill)
            started.append((process, log.name))
        for process, name in started:
            status = process.wait()
            assert status == 0, Path(name).read_text()[-3000:]
    return _kept_answer(work)


def _kept_answer(work: Path) -> dict[str, Mapping[str, Any]]:
    """All facts in a folder; a line that an interruption has cut is none."""
    lines = (
        line
        for file in sorted(work.glob("facts-*.jsonl"))
        for line in file.read_text().splitlines(keepends=True)
    )
    facts = [json.loads(line) for line in lines if line.endswith("\n")]
    return {case["id"]: case for case in facts}


@contextmanager
def _database(environment: Environment, release: ServerRelease) -> Iterator[Database]:
    """A throw-away PostgreSQL with the tables of this fractal-server."""
    with tempfile.TemporaryDirectory(prefix="pytest-fractal-agreement-") as folder:
        hold = Lease(Path(folder))
        try:
            env = server_variables(Path(folder, "temporary")) | {"JWT_SECRET_KEY": "agreement"}
            yield version2.own_cluster(environment, span_of(release.version), Path(folder), env)
        finally:
            hold.release()


def answer(facts: Mapping[str, Any]) -> Answer:
    """The facts of one case in few words."""
    collect = facts["collect"]
    if collect["status"] == 422:
        return Answer(Does.REFUSES, _detail(collect))
    if collect["status"] not in (201, 202):
        return Answer(Does.BREAKS, f"POST /task/collect/pip/: {_detail(collect)}")
    if facts["state"]["status"] != 200:
        return Answer(Does.BREAKS, f"the collection's state: {_detail(facts['state'])}")
    if facts["ended"] in ("fail", "failed"):
        return Answer(Does.FAILS, str(facts["said"]))
    if facts["ended"] != "OK":
        return Answer(Does.FREEZES, f'"{facts["ended"]}" for ever: {collect["raised"]}')
    if facts["tasks"]["status"] != 200:
        return Answer(Does.BREAKS, f"asking for the tasks: {_detail(facts['tasks'])}")
    listed = tuple(facts["listed"])
    worst = next(filter(None, map(_of_job, facts["jobs"])), None)
    if worst:
        return Answer(*worst, listed)
    does = Does.TAKES if facts["jobs"] else Does.COLLECTS
    return Answer(does, "", listed, tuple(job["left"] for job in facts["jobs"]))


def _of_job(facts: Mapping[str, Any]) -> tuple[Does, str] | None:
    if "lacks" in facts:
        return Does.LISTS_TOO_FEW, f"the list of tasks has {facts['lacks']} entries"
    if "task" in facts:
        return Does.BREAKS, f"adding the task to a workflow: {_detail(facts['task'])}"
    if facts["apply"]["status"] != 202:
        return Does.BREAKS, f"submitting the job: {_detail(facts['apply'])}"
    if facts["job"]["status"] != 200:
        return Does.BREAKS, f"the job's state: {_detail(facts['job'])}"
    if facts["ended"] == "failed":
        return Does.JOB_FAILS, str(facts["said"])
    if facts["ended"] != "done":
        raised = facts["apply"]["raised"]
        return Does.FREEZES, f'the job is "{facts["ended"]}" for ever: {raised}'
    if facts["dataset"]["status"] != 200:
        return Does.BREAKS, f"the dataset: {_detail(facts['dataset'])}"
    return None


def _detail(asked: Mapping[str, Any]) -> str:
    answered = asked["answer"]
    detail = answered.get("detail") if isinstance(answered, dict) else answered
    return f"{asked['status']} {asked['raised'] or detail}"


def _plain_environment() -> dict[str, str]:
    """Nothing of the caller's that is a setting of a server or of Python.

    A real pip has an index: the servers of generation 2 upgrade it before they use it, and
    what it shows depends on its version. It compiles nothing, which takes longer than the rest.
    """
    there = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**there, **installer_environment("pip"), "PIP_NO_COMPILE": "1"}
