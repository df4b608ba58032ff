"""What a real server does with wheels: asking it, and its answers in few words."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from pytest_fractal.machinery.environments import Environment

_WORKERS: Final = 2


class Does(StrEnum):
    """How it ends, from best to worst for whoever finds it out."""

    TAKES = "takes it"
    """Collects and lists the tasks, and runs their jobs to their end."""
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
    metadata: tuple[Mapping[str, Any], ...] = ()
    """Of the dataset that each job has left."""


def ask_server(
    environment: Environment, cases: Sequence[Mapping[str, Any]], work: Path
) -> dict[str, Mapping[str, Any]]:
    """What `server_1.py` tells of each case, by its id; some at the same time.

    `environment` is one with a fractal-server, as `--fractal-server` makes it.
    """
    script = Path(__file__).with_name("server_1.py")
    started = []
    work.mkdir(parents=True, exist_ok=True)
    for number in range(_WORKERS):
        part, facts = work / f"cases-{number}.json", work / f"facts-{number}.jsonl"
        part.write_text(json.dumps(cases[number::_WORKERS]))
        command = [
            str(environment.python),
            str(script),
            str(part),
            str(facts),
            str(work / f"server-{number}"),
        ]
        log = (work / f"server-{number}.log").open("w")
        process = subprocess.Popen(
            command, env=_plain_environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        started.append((process, log, facts))
    found: dict[str, Mapping[str, Any]] = {}
    for process, log, facts in started:
        status = process.wait()
        log.close()
        assert status == 0, Path(log.name).read_text()[-3000:]
        for line in facts.read_text().splitlines():
            told = json.loads(line)
            found[told["id"]] = told
    return found


def answer(facts: Mapping[str, Any]) -> Answer:
    """The facts of one case in few words."""
    collect = facts["collect"]
    if collect["status"] == 422:
        return Answer(Does.REFUSES, _detail(collect))
    if collect["status"] != 201:
        return Answer(Does.BREAKS, f"POST /task/collect/pip/: {_detail(collect)}")
    state = facts["state"]
    if state["status"] != 200:
        return Answer(Does.BREAKS, f"GET /task/collect/: {_detail(state)}")
    data = state["answer"]["data"]
    if data["status"] == "fail":
        return Answer(Does.FAILS, str(data["info"]))
    if data["status"] != "OK":
        return Answer(Does.FREEZES, f'"{data["status"]}" for ever: {collect["raised"]}')
    if facts["tasks"]["status"] != 200:
        return Answer(Does.BREAKS, f"GET /task/: {_detail(facts['tasks'])}")
    listed = tuple(sorted(facts["tasks"]["answer"], key=lambda task: int(task["id"])))
    worst = [found for found in map(_of_job, facts["jobs"]) if found is not None]
    if worst:
        does, words = worst[0]
        return Answer(does, words, listed)
    metadata = tuple(job["dataset"]["answer"]["meta"] for job in facts["jobs"] if job)
    return Answer(Does.TAKES, "", listed, metadata)


def _of_job(facts: Mapping[str, Any]) -> tuple[Does, str] | None:
    if "task" in facts:
        return Does.BREAKS, f"POST /workflow/wftask/: {_detail(facts['task'])}"
    if not facts:
        return None
    if facts["apply"]["status"] != 202:
        return Does.BREAKS, f"POST /apply/: {_detail(facts['apply'])}"
    job = facts["job"]
    if job["status"] != 200:
        return Does.BREAKS, f"GET /job/: {_detail(job)}"
    if job["answer"]["status"] == "failed":
        return Does.JOB_FAILS, str(job["answer"]["log"])
    if job["answer"]["status"] != "done":
        raised = facts["apply"]["raised"]
        return Does.FREEZES, f'the job is "{job["answer"]["status"]}" for ever: {raised}'
    if facts["dataset"]["status"] != 200:
        return Does.BREAKS, f"GET /dataset/: {_detail(facts['dataset'])}"
    return None


def _detail(asked: Mapping[str, Any]) -> str:
    answered = asked["answer"]
    detail = answered.get("detail") if isinstance(answered, dict) else answered
    return f"{asked['status']} {asked['raised'] or detail}"


def _plain_environment() -> dict[str, str]:
    """Nothing of the caller's that is a setting of a server or of Python."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
