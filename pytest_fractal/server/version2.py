"""fractal-server 2.x, for manifest version 2: its local runner, and `/api/v2`.

What differs between its releases is said in `releases.py`.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pytest_fractal.environments.environments import INSTALL_LIMIT, Environment
from pytest_fractal.files import cache_folder
from pytest_fractal.generations.images import Dataset
from pytest_fractal.generations.samples_v2 import first_dataset
from pytest_fractal.samples.files import Sample, placed
from pytest_fractal.server import postgres, process
from pytest_fractal.server.facts import Collected, Job, ListedTask, Step
from pytest_fractal.server.postgres import Cluster
from pytest_fractal.server.process import locked
from pytest_fractal.server.program import run_program, start_server
from pytest_fractal.server.releases import Administrator, Span, Upload, span_of
from pytest_fractal.server.releases import Database as Kind
from pytest_fractal.server.rest import JobEnd, RestServer, id_of, interpreter_script, own_copy

_USER: Final = "admin@example.org"
_PASSWORD: Final = "PYTEST_FRACTAL_PASSWORD"
_COMMANDS: Final = ("command_non_parallel", "command_parallel")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_. -]")
"""What newer releases do not take in a name."""


def start(
    environment: Environment, version: str, folder: Path, hold: Path, database_url: str | None
) -> Server2:
    """Start one in `folder`, which must not exist yet. Raises `HarnessError` when it fails.

    `database_url` is where a database can be made for it; without one, PostgreSQL itself is
    started.
    """
    for name in ("tasks", "jobs", "bin", "wheels"):
        (folder / name).mkdir(parents=True)
    span = span_of(version)
    # Other users of the machine reach the port too. Hex: with a dash first it would be an option.
    password = secrets.token_hex()
    own = environment.interpreter
    env = (
        process.server_variables(folder / "temporary")
        | {"JWT_SECRET_KEY": secrets.token_hex(), "JWT_EXPIRE_SECONDS": str(7 * 24 * 3600)}
        | _settings(folder, span, ".".join(map(str, own.version_info)))
    )
    # The tasks' environments are made by the interpreters that it is offered.
    env["PATH"] = f"{folder / 'bin'}:{env.get('PATH', '/usr/bin:/bin')}"
    first_user = {
        "FRACTAL_DEFAULT_ADMIN_EMAIL": _USER,
        "FRACTAL_DEFAULT_ADMIN_PASSWORD": password,
    }
    env |= _database(environment, span, folder, hold, env, database_url)
    match span.administrator:
        case Administrator.AT_START:
            run_program(environment, folder, env, "set-db")
            env |= first_user
        case Administrator.BY_SET_DB:
            run_program(environment, folder, env | first_user, "set-db")
        case Administrator.BY_INIT_DB_DATA:
            _init_db_data(environment, span, folder, env | {_PASSWORD: password})
    serving, url = start_server(environment, version, folder, hold, env)
    server = Server2(version, folder, url, serving, password)
    server._offer(".".join(map(str, own.version_info)), own.path)
    if span.has_project_folders:
        # The first folder is also where the cache of tasks is; datasets may lie anywhere.
        user = server.client.get("/auth/current-user/")["id"]
        server.client.patch(f"/auth/users/{user}/", {"project_dirs": [str(folder), "/"]})
    return server


def _settings(folder: Path, span: Span, python: str) -> dict[str, str]:
    """The settings of releases that take them from variables; the others pass over them."""
    interpreters = {
        f"FRACTAL_TASKS_PYTHON_{python.replace('.', '_')}": str(interpreter_script(folder, python))
        for python in span.tasks_python
    }
    return {
        "FRACTAL_RUNNER_BACKEND": "local",
        "FRACTAL_TASKS_DIR": str(folder / "tasks"),
        "FRACTAL_RUNNER_WORKING_BASE_DIR": str(folder / "jobs"),
        "FRACTAL_PIP_CACHE_DIR": str(cache_folder() / "pip"),
        "FRACTAL_TASKS_PYTHON_DEFAULT_VERSION": python,
        **interpreters,
    }


def _database(
    environment: Environment,
    span: Span,
    folder: Path,
    hold: Path,
    env: Mapping[str, str],
    url: str | None,
) -> dict[str, str]:
    """The variables by which it finds a database of its own, with its tables if they are kept."""
    if span.database is Kind.SQLITE:
        return {"DB_ENGINE": "sqlite", "SQLITE_PATH": str(folder / "database.sqlite")}
    if url is None:
        return own_cluster(environment, span, hold, env).variables
    database = postgres.own_database(postgres.parse_url(url), environment.python, hold)
    _make_tables(environment, span, folder, {**env, **database.variables})
    return database.variables


def _init_db_data(
    environment: Environment, span: Span, folder: Path, env: Mapping[str, str]
) -> None:
    """Make the resource on which tasks run, and the administrator."""
    resource = {
        "name": "here",
        "type": "local",
        "tasks_local_dir": str(folder / "tasks"),
        "jobs_local_dir": str(folder / "jobs"),
        "tasks_python_config": {
            "default_version": env["FRACTAL_TASKS_PYTHON_DEFAULT_VERSION"],
            "versions": {
                python: str(interpreter_script(folder, python)) for python in span.tasks_python
            },
            "pip_cache_dir": str(cache_folder() / "pip"),
        },
        "jobs_poll_interval": 0,
        "jobs_runner_config": {},
        "tasks_pixi_config": {},
    }
    (folder / "resource.json").write_text(json.dumps(resource))
    run_program(
        environment,
        folder,
        env,
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
        str(folder),
    )


def own_cluster(
    environment: Environment, span: Span, hold: Path, env: Mapping[str, str]
) -> postgres.Database:
    """A PostgreSQL of our own with empty tables; its files are made once, and copied."""
    root = environment.folder.parent
    template = root / f"database-{postgres.layout()}"
    with locked(root / "database.lock"):
        if not template.is_dir():
            first = Cluster(hold)
            first.create()
            database = first.start()
            _make_tables(environment, span, root, {**env, **database.variables})
            first.stop(template)
    cluster = Cluster(hold)
    cluster.create(template)
    return cluster.start()


def _make_tables(
    environment: Environment, span: Span, folder: Path, env: Mapping[str, str]
) -> None:
    """Make the tables, without a user in them."""
    without = ["--skip-init-data"] if span.administrator is Administrator.BY_SET_DB else []
    run_program(environment, folder, env, "set-db", *without)


class Server2(RestServer):
    """See `Server`."""

    user = _USER

    @property
    def _span(self) -> Span:
        return span_of(self.version)

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
        first.make_folders(folder, first=True)
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
        asked: dict[str, Any] = {}
        if extras:
            asked["package_extras"] = ",".join(extras)
        if python:
            asked["python_version"] = python
        path = "/api/v2/task/collect/pip/"
        if self._span.upload is Upload.FORM:
            if pins:
                asked[self._span.pins] = json.dumps(dict(pins))
            begun = self.client.post(path, form=asked, file=wheel)
        else:
            if pins:
                asked[self._span.pins] = dict(pins)
            asked["package"] = str(own_copy(wheel, self.folder / "wheels"))
            begun = self.client.post(path, asked)
        if self._span.has_activities:
            return self._by_activity(since, begun["id"], python)
        return self._by_state(since, begun["id"], python)

    def _by_activity(self, since: int, number: int, python: str) -> JobEnd:
        """Wait for the end of a collection that has an activity."""

        def collected(activity: Mapping[str, Any]) -> Mapping[str, Any]:
            group = self.client.get(f"/api/v2/task-group/{activity['taskgroupv2_id']}/")
            tasks = self._listed(group["task_list"])
            return {"tasks": tasks, "environment": group["venv_path"], "python": python}

        path = f"/api/v2/task-group/activity/{number}/"
        return self._end(
            since, lambda: self.client.get(path), ("OK", "failed"), INSTALL_LIMIT, collected
        )

    def _by_state(self, since: int, state: int, python: str) -> JobEnd:
        """Wait for the end of a collection of which its state tells."""

        def collected(data: Mapping[str, Any]) -> Mapping[str, Any]:
            tasks = self._listed(data["task_list"])
            # A command line begins with the environment's own interpreter.
            lines = [line for task in tasks for line in task.commands.values()]
            there = str(Path(lines[0].split()[0]).parents[1]) if lines else ""
            return {"tasks": tasks, "environment": there, "python": python}

        path = f"/api/v2/task/collect/{state}/"
        return self._end(
            since,
            lambda: self.client.get(path)["data"],
            ("OK", "fail"),
            INSTALL_LIMIT,
            collected,
            ("log", "info"),
        )

    def _listed(self, collected: Sequence[Mapping[str, Any]]) -> tuple[ListedTask, ...]:
        """The tasks that were collected, as far as everybody sees them in the list of tasks."""
        seen = {task["id"] for task in self.client.get("/api/v2/task/")}
        return tuple(
            ListedTask(
                task["name"],
                {key: task[key] for key in _COMMANDS if task[key] is not None},
                None,  # a `source`, where there is one, is no name of the task's
                task["id"],
            )
            for task in collected
            if task["id"] in seen
        )

    def _run(self, since: int, job: Job, collected: Collected, limit: float) -> JobEnd:
        # No two projects of a user may have the same name.
        name = f"{_UNSAFE.sub('_', job.name).strip()} {secrets.token_hex(4)}"
        project = self.client.post("/api/v2/project/", {"name": name})["id"]
        path = f"/api/v2/project/{project}"
        dataset = self.client.post(
            f"{path}/dataset/", {"name": name, **self._place(job.output_path)}
        )["id"]
        for image in job.images:
            self.client.post(f"{path}/dataset/{dataset}/images/", dict(image))
        workflow = self.client.post(f"{path}/workflow/", {"name": name})["id"]
        for step in job.steps:
            self._add(f"{path}/workflow/{workflow}/wftask/", id_of(step.task, collected), step)
        submitted = self.client.post(
            f"{path}/job/submit/", {}, workflow_id=workflow, dataset_id=dataset
        )
        images = f"{path}/dataset/{dataset}/images/query/"
        return self._job_end(
            since,
            f"{path}/job/{submitted['id']}/",
            limit,
            lambda: {"images": self.client.post(images, {})[self._span.images]},
        )

    def _place(self, zarr_dir: str) -> dict[str, str]:
        """Where a dataset lies: below the server's own folder, if that can be said."""
        if not self._span.has_project_folders:
            return {"zarr_dir": zarr_dir}
        # Newer releases take few characters in the path from the one to the other.
        project = self.folder if Path(zarr_dir).is_relative_to(self.folder) else Path("/")
        below = str(Path(zarr_dir).relative_to(project))
        return {"project_dir": str(project), "zarr_subfolder": below}

    def _add(self, path: str, task: int, step: Step) -> None:
        """Add a step to a workflow."""
        if self._span.takes_task_lists:
            self.client.post(path, [{"task_id": task, **step.args}])
        else:
            self.client.post(path, dict(step.args), task_id=task)
