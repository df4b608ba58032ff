"""fractal-server 1.x, for manifest version 1: SQLite, its local backend, and `/api/v1`."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from packaging.utils import canonicalize_name

from pytest_fractal.environments.environments import INSTALL_LIMIT, Environment
from pytest_fractal.samples.files import Sample, placed
from pytest_fractal.server import process
from pytest_fractal.server.facts import Collected, Job, ListedTask, ServerRun, Step
from pytest_fractal.server.process import locked
from pytest_fractal.server.program import run_program, start_server
from pytest_fractal.server.releases import span_of
from pytest_fractal.server.rest import JobEnd, RestServer, id_of, own_copy

_EMPTY: Final = "empty.sqlite"


def start(
    environment: Environment, version: str, folder: Path, hold: Path, database_url: str | None
) -> Server1:
    """Start one in `folder`, which must not exist yet. Raises `HarnessError` when it fails.

    It needs no database but a file, wherever the `database_url` may lead.
    """
    del database_url
    for name in ("tasks", "jobs", "wheels", "bin"):
        (folder / name).mkdir(parents=True)
    shutil.copy(environment.folder / _EMPTY, folder / "database.sqlite")
    password = secrets.token_hex()  # other users of the machine reach the port too
    env = _variables(folder) | {"FRACTAL_DEFAULT_ADMIN_PASSWORD": password}
    serving, url = start_server(environment, version, folder, hold, env)
    return Server1(version, folder, url, serving, password)


def _variables(folder: Path) -> dict[str, str]:
    env = process.server_variables(folder / "temporary")
    return env | {
        # Where it looks for the interpreters of the environments that it makes.
        "PATH": f"{folder / 'bin'}:{env.get('PATH', '/usr/bin:/bin')}",
        "DB_ENGINE": "sqlite",
        "SQLITE_PATH": str(folder / "database.sqlite"),
        "JWT_SECRET_KEY": secrets.token_hex(),
        "JWT_EXPIRE_SECONDS": str(7 * 24 * 3600),
        "FRACTAL_RUNNER_BACKEND": "local",
        "FRACTAL_TASKS_DIR": str(folder / "tasks"),
        "FRACTAL_RUNNER_WORKING_BASE_DIR": str(folder / "jobs"),
    }


def finish(environment: Environment) -> None:
    """Make the empty database once: that takes as long as starting the server."""
    folder = environment.folder
    env = process.server_variables(folder / "temporary")
    sqlite = {"DB_ENGINE": "sqlite", "SQLITE_PATH": str(folder / _EMPTY)}
    run_program(environment, folder, env | sqlite, "set-db")


class Server1(RestServer):
    """See `Server`."""

    user = "admin@fractal.xy"

    @property
    def requests_lock(self) -> Path:
        """With SQLite all requests share one connection, and its transaction."""
        return self.folder / "requests.lock"

    def step(self, task: ListedTask, args: Mapping[str, Any]) -> Step:
        """See `Server`."""
        return Step(task.name, args)

    def job(self, steps: Sequence[Sample], folder: Path) -> Job:
        """See `Server`. To name a component, a dataset must list it at the task's level."""
        first = steps[0]
        places = first.places(folder)
        given = placed(first.reserved, places)
        metadata = given.get("metadata", {})
        level: tuple[str, ...] = ()
        if "component" in given:
            level = (first.task.entry["meta"]["parallelization_level"],)
            metadata = {**metadata, level[0]: [given["component"]]}
        first.make_folders(folder, first=True)
        return Job(
            name=first.workflow,
            steps=tuple(Step(step.task.name, placed(step.args, places)) for step in steps),
            input_paths=tuple(given.get("input_paths", [str(folder / "input")])),
            output_path=given.get("output_path", str(folder / "output")),
            metadata=metadata,
            given=level,
        )

    def run(self, job: Job, collected: Collected, limit: float) -> ServerRun:
        """See `Server`. One job runs at a time, for SQLite's sake."""
        with locked(self.folder / "jobs.lock"):
            return super().run(job, collected, limit)

    def _collect(
        self,
        since: int,
        wheel: Path,
        extras: Sequence[str],
        pins: Mapping[str, str],
        python: str,
    ) -> JobEnd:
        asked: dict[str, Any] = {"package": str(own_copy(wheel, self.folder / "wheels"))}
        if extras:
            asked["package_extras"] = ",".join(extras)
        if pins:
            asked["pinned_package_versions"] = dict(pins)
        if python:
            asked["python_version"] = python
        state = self.client.post("/api/v1/task/collect/pip/", asked)
        return self._end(
            since,
            lambda: self.client.get(f"/api/v1/task/collect/{state['id']}/")["data"],
            ("OK", "fail"),
            INSTALL_LIMIT,
            lambda data: {
                "tasks": self._listed({task["id"] for task in data["task_list"]}),
                "environment": str(self.folder / "tasks" / data["venv_path"] / "venv"),
                "python": python,
            },
            ("info", "log"),
        )

    def _run(self, since: int, job: Job, collected: Collected, limit: float) -> JobEnd:
        project = self.client.post("/api/v1/project/", {"name": job.name})["id"]
        source, target, workflow = self._prepare(project, job, collected)
        applied = self.client.post(
            f"/api/v1/project/{project}/workflow/{workflow}/apply/",
            {},
            input_dataset_id=source,
            output_dataset_id=target,
        )
        path = f"/api/v1/project/{project}"
        return self._job_end(
            since,
            f"{path}/job/{applied['id']}/",
            limit,
            lambda: self.client.get(f"{path}/dataset/{target}/")["meta"],
        )

    def _prepare(self, project: int, job: Job, collected: Collected) -> tuple[int, int, int]:
        """Make the two datasets and the workflow of a job; gives their ids."""
        path = f"/api/v1/project/{project}"
        types = self._types(job, collected)
        datasets = []
        for name, type_, meta, paths in (
            ("input", types[0], job.metadata, job.input_paths or (job.output_path,)),
            ("output", types[1], {}, (job.output_path,)),
        ):
            dataset = self.client.post(
                f"{path}/dataset/", {"name": name, "type": type_, "meta": dict(meta)}
            )["id"]
            for place in paths:
                self.client.post(f"{path}/dataset/{dataset}/resource/", {"path": place})
            datasets.append(dataset)
        workflow = self.client.post(f"{path}/workflow/", {"name": job.name})["id"]
        for step in job.steps:
            self.client.post(
                f"{path}/workflow/{workflow}/wftask/",
                {"args": dict(step.args)},
                task_id=id_of(step.task, collected),
            )
        return datasets[0], datasets[1], workflow

    def _types(self, job: Job, collected: Collected) -> tuple[str, str]:
        """Types of datasets that the first and the last task take."""
        first, last = (
            self.client.get(f"/api/v1/task/{id_of(job.steps[place].task, collected)}/")
            for place in (0, -1)
        )
        return first["input_type"], last["output_type"]

    def _listed(self, ids: set[int]) -> tuple[ListedTask, ...]:
        """The tasks with these ids, as everybody sees them who asks for the server's tasks."""
        return tuple(
            ListedTask(
                task["name"],
                {"command": task["command"]},
                self._source(task["source"]),
                task["id"],
            )
            for task in self.client.get("/api/v1/task/")
            if task["id"] in ids
        )

    def _source(self, source: str) -> str:
        """A task's source as today's releases have it."""
        if span_of(self.version).normalizes_sources:
            return source
        kind, package, *rest = source.split(":")
        return ":".join((kind, canonicalize_name(package).replace("-", "_"), *rest))
