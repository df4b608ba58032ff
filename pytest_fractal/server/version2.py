"""fractal-server 2.x, for manifest version 2: PostgreSQL, its local runner, and `/api/v2`."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pytest_fractal.environments.environments import INSTALL_LIMIT, Environment
from pytest_fractal.errors import HarnessError
from pytest_fractal.generations.images import Dataset
from pytest_fractal.generations.v2 import first_dataset
from pytest_fractal.processes import processes
from pytest_fractal.samples.files import Sample, placed
from pytest_fractal.server import postgres, process
from pytest_fractal.server.environment import Recipe, cache_folder
from pytest_fractal.server.facts import Collected, Job, ListedTask, Step
from pytest_fractal.server.postgres import Cluster, Database
from pytest_fractal.server.process import locked
from pytest_fractal.server.rest import JobEnd, RestServer, id_of, interpreter_script
from pytest_fractal.server.waiting import wait

DEFAULT: Final = "2.18.5"

_USER: Final = "admin@example.org"
_PASSWORD: Final = "PYTEST_FRACTAL_PASSWORD"
_FRACTALCTL: Final = """
import os, sys
# Everybody can see a command line: a password comes by a variable.
sys.argv[1:] = [os.path.expandvars(argument) for argument in sys.argv[1:]]
from fractal_server.__main__ import run
run()
"""
_PYTHONS: Final = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
"""The versions that it knows, for the packages that it collects."""
_COMMANDS: Final = ("command_non_parallel", "command_parallel")


def recipe(version: str) -> Recipe:
    """How to make its environment. It was tried with 2.18.5."""
    return Recipe(version, (), ("3.12", "3.11", "3.13", "3.14"))


def start(
    environment: Environment, version: str, folder: Path, hold: Path, database_url: str | None
) -> Server2:
    """Start one in `folder`, which must not exist yet. Raises `HarnessError` when it fails.

    `database_url` is where a database can be made for it; without one, PostgreSQL itself is
    started.
    """
    for name in ("tasks", "jobs", "bin"):
        (folder / name).mkdir(parents=True)
    env = process.server_variables(folder / "temporary") | {
        "JWT_SECRET_KEY": secrets.token_hex(),
        "JWT_EXPIRE_SECONDS": str(7 * 24 * 3600),
    }
    if database_url:
        given = postgres.parse_url(database_url)
        database = postgres.own_database(given, environment.python, hold)
        _set_up(environment, folder, env | database.variables)
    else:
        database = own_cluster(environment, hold, env)
    env |= database.variables
    resource = {
        "name": "here",
        "type": "local",
        "tasks_local_dir": str(folder / "tasks"),
        "jobs_local_dir": str(folder / "jobs"),
        "tasks_python_config": {
            "default_version": ".".join(map(str, environment.interpreter.version_info)),
            "versions": {one: str(interpreter_script(folder, one)) for one in _PYTHONS},
            "pip_cache_dir": str(cache_folder() / "pip"),
        },
        "jobs_poll_interval": 0,
        "jobs_runner_config": {},
        "tasks_pixi_config": {},
    }
    (folder / "resource.json").write_text(json.dumps(resource))
    # Other users of the machine reach the port too. Hex: with a dash first it would be an option.
    password = secrets.token_hex()
    _checked(
        environment,
        folder,
        env | {_PASSWORD: password},
        "init-db-data",
        "--resource",
        "resource.json",
        "--profile",
        "default",
        "--admin-email",
        _USER,
        "--admin-pwd",
        f"${_PASSWORD}",
        "--admin-project-dir",
        "/",  # so that a dataset may lie anywhere
    )
    serving = process.start(
        f"fractal-server {version}",
        [environment.python, "-m", "fractal_server", "start", "--port", "0"],
        folder=folder,
        hold=hold,
        env=env,
    )
    url = process.address(serving)
    server = Server2(version, folder, url, serving, password)
    own = environment.interpreter
    server._offer(".".join(map(str, own.version_info)), own.path)
    return server


def own_cluster(environment: Environment, hold: Path, env: Mapping[str, str]) -> Database:
    """A PostgreSQL of our own with an empty database; its files are made once, and copied."""
    root = environment.folder.parent
    template = root / f"database-{postgres.layout()}"
    with locked(root / "database.lock"):
        if not template.is_dir():
            first = Cluster(hold)
            first.create()
            database = first.start()
            _set_up(environment, root, {**env, **database.variables})
            first.stop(template)
    cluster = Cluster(hold)
    cluster.create(template)
    return cluster.start()


def _set_up(environment: Environment, folder: Path, env: Mapping[str, str]) -> None:
    """Make the tables."""
    _checked(environment, folder, env, "set-db")


def _checked(
    environment: Environment, folder: Path, env: Mapping[str, str], *arguments: str
) -> None:
    finished = processes.run(
        [environment.python, "-c", _FRACTALCTL, *arguments],
        cwd=folder,
        env=env,
        timeout=process.START_LIMIT,
    )
    if finished.returncode:
        reason = processes.last_lines(finished.stderr or finished.stdout, 2)
        raise HarnessError(f"fractal-server cannot be set up: {reason}")


class Server2(RestServer):
    """See `Server`."""

    user = _USER

    def step(self, task: ListedTask, args: Mapping[str, Any]) -> Step:
        """See `Server`."""
        keys = [key.replace("command", "args") for key in task.commands]
        if len(keys) == 1:
            return Step(task.name, {keys[0]: args})
        parts = {"args_non_parallel": "init", "args_parallel": "compute"}
        return Step(task.name, {key: args.get(parts[key], {}) for key in keys})

    def job(self, steps: Sequence[Sample], folder: Path) -> Job:
        """See `Server`."""
        first = steps[0]
        places = first.places(folder)
        folder.mkdir(parents=True, exist_ok=True)
        dataset: Dataset = first_dataset(first.task.entry, placed(first.reserved, places), folder)
        return Job(
            name=first.workflow,
            steps=tuple(
                Step(
                    step.task.name,
                    {
                        part.keys.command.replace("command", "args"): placed(
                            step.args_of(part), step.places(folder)
                        )
                        for part in step.task.run_parts
                    },
                )
                for step in steps
            ),
            output_path=dataset.zarr_dir,
            images=tuple(image.value for image in dataset.images),
        )

    def _collect(
        self,
        since: int,
        wheel: Path,
        extras: Sequence[str],
        pins: Mapping[str, str],
        python: str,
    ) -> JobEnd:
        form: dict[str, str] = {}
        if extras:
            form["package_extras"] = ",".join(extras)
        if pins:
            form["pinned_package_versions_post"] = json.dumps(dict(pins))
        if python:
            form["python_version"] = python
        activity = self.client.post("/api/v2/task/collect/pip/", form=form, file=wheel)
        waited = wait(
            lambda: self.client.get(f"/api/v2/task-group/activity/{activity['id']}/"),
            lambda told: str(told["status"]),
            ("OK", "failed"),
            self.serving,
            INSTALL_LIMIT,
        )
        told, status = waited.state, waited.state["status"]
        if waited.frozen:
            return self.frozen(waited, status, since, told.get("log"))
        if status == "failed":
            return "failed", status, told.get("log") or "", {}
        group = self.client.get(f"/api/v2/task-group/{told['taskgroupv2_id']}/")
        return (
            "done",
            status,
            "",
            {
                "tasks": self._listed(group["id"]),
                "environment": group["venv_path"],
                "python": python,
            },
        )

    def _listed(self, group: int) -> tuple[ListedTask, ...]:
        """The tasks of a group, as everybody sees them who asks for the server's tasks."""
        return tuple(
            ListedTask(
                task["name"],
                {key: task[key] for key in _COMMANDS if task[key] is not None},
                task["source"],
                task["id"],
            )
            for task in self.client.get("/api/v2/task/")
            if task["taskgroupv2_id"] == group
        )

    def _run(self, since: int, job: Job, collected: Collected, limit: float) -> JobEnd:
        # No two projects of a user may have the same name.
        name = f"{job.name} {secrets.token_hex(4)}"
        project = self.client.post("/api/v2/project/", {"name": name})["id"]
        path = f"/api/v2/project/{project}"
        dataset = self.client.post(
            f"{path}/dataset/",
            {"name": name, "project_dir": "/", "zarr_subfolder": job.output_path.lstrip("/")},
        )["id"]
        for image in job.images:
            self.client.post(f"{path}/dataset/{dataset}/images/", dict(image))
        workflow = self.client.post(f"{path}/workflow/", {"name": name})["id"]
        for step in job.steps:
            self.client.post(
                f"{path}/workflow/{workflow}/wftask/",
                dict(step.args),
                task_id=id_of(step.task, collected),
            )
        submitted = self.client.post(
            f"{path}/job/submit/", {}, workflow_id=workflow, dataset_id=dataset
        )
        images = f"{path}/dataset/{dataset}/images/query/"
        return self._job_end(
            since,
            f"{path}/job/{submitted['id']}/",
            limit,
            lambda: {"images": self.client.post(images, {})["items"]},
        )
