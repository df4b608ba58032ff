"""What fractal-server 1.x does with wheels and jobs: run by its own interpreter, in one process.

    python server_1.py CASES.json FACTS.jsonl FOLDER

The server is the real one: its ASGI application answers requests, its background tasks
collect and run jobs, its local backend starts the commands, and all is kept in a SQLite
database that its own migrations have made (`empty.sqlite`, beside the environment's
folders). One function is replaced, the one by which the background task starts `venv` and
`pip`: see `Installer`.

The file of cases is a list of objects: `id`, `wheel`, `packages` (folders of installed
requirements) and `jobs`. A job has `steps` (`task`, a position in the manifest, and
`args`), `input_paths`, `output_path` and `meta`, the dataset's. Of each case one line of
JSON is written: what was asked, and what came of it. Nothing is judged here.
"""

from __future__ import annotations

import importlib.metadata
import json
import logging
import os
import re
import shlex
import shutil
import sys
import venv
import zipfile
from pathlib import Path
from typing import Any

from application import Application, run


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


class Installer:
    """Stands for `execute_command`: does what the four commands do, without their processes.

    `venv` makes the same environment by the module behind the command, less its pip.
    `pip install WHEEL` unpacks the wheel into `site-packages`, which is what pip does with a
    pure wheel that has neither scripts nor data; the requirements were installed before, and
    are added by a path file. `pip show` tells where the distribution of that name is.
    """

    def __init__(self) -> None:
        self.packages: list[str] = []
        self.by_pip: Any = None
        """The function that it stands for, for a case that asks for pip itself."""

    async def __call__(self, *, cwd: Path, command: str, logger_name: str | None = None) -> str:
        if self.by_pip is not None:
            return await self.by_pip(cwd=cwd, command=command, logger_name=logger_name)
        words = shlex.split(command)
        if words[1:3] == ["-m", "venv"]:
            venv.EnvBuilder(symlinks=True, with_pip=False).create(Path(cwd, words[3]))
            return ""
        environment = Path(words[0]).parents[1]
        (site,) = environment.glob("lib/python*/site-packages")
        if words[1:] == ["install", "--upgrade", "pip"]:
            return ""
        if words[1] == "install":
            with zipfile.ZipFile(words[2]) as wheel:
                wheel.extractall(site)
            (site / "requirements.pth").write_text("\n".join(self.packages))
            return ""
        assert words[1] == "show", command
        for distribution in importlib.metadata.distributions(path=[str(site)]):
            if canonical(distribution.metadata["Name"]) == canonical(words[2]):
                return f"Name: {distribution.metadata['Name']}\nLocation: {site}\n"
        raise RuntimeError(f"WARNING: Package(s) not found: {words[2]}")


class Server:
    """The application, and what was asked of it for one case."""

    def __init__(self, folder: Path) -> None:
        os.environ.update(
            JWT_SECRET_KEY="agreement",
            JWT_EXPIRE_SECONDS="86400",
            DB_ENGINE="sqlite",
            SQLITE_PATH=str(folder / "database.sqlite"),
            FRACTAL_TASKS_DIR=str(folder / "tasks"),
            FRACTAL_RUNNER_BACKEND="local",
            FRACTAL_RUNNER_WORKING_BASE_DIR=str(folder / "jobs"),
            FRACTAL_API_SUBMIT_RATE_LIMIT="0",
        )
        for name in ("tasks", "jobs"):
            (folder / name).mkdir(parents=True)
        shutil.copy(Path(sys.prefix, "empty.sqlite"), folder / "database.sqlite")
        self.folder = folder
        self.installer = Installer()

    async def start(self) -> None:
        from fractal_server import main

        try:
            from fractal_server.tasks import background_operations
        except ImportError:  # before 1.4
            from fractal_server.tasks import collection as background_operations
        logging.disable(logging.CRITICAL)
        self.execute_command = background_operations.execute_command
        background_operations.execute_command = self.installer
        await main.app.router.startup()

        self.api = Application(main.app, "/api/v1/")
        await self.api.log_in("admin@fractal.xy", "1234")
        made = await self.api.post("project/", {"name": "agreement"})
        self.project = f"project/{made['answer']['id']}"

    async def judge(self, case: dict[str, Any]) -> dict[str, Any]:
        """Collect the wheel, list the tasks, run the jobs, and read what they left."""
        self.installer.packages = case["packages"]
        self.installer.by_pip = self.execute_command if case["by_pip"] else None
        if case["wheel"].endswith(".json"):
            return await self.judge_custom(case)
        collected = await self.api.post("task/collect/pip/", {"package": case["wheel"]})
        facts = {"id": case["id"], "collect": collected, "jobs": []}
        if collected["status"] != 201:
            return facts
        facts["state"] = await self.api.get(f"task/collect/{collected['answer']['id']}/")
        facts["tasks"] = await self.api.get("task/")
        if facts["state"]["status"] == 200:
            facts["ended"] = facts["state"]["answer"]["data"]["status"]
            facts["said"] = facts["state"]["answer"]["data"]["info"] or ""
        if facts["tasks"]["status"] == 200:
            listed = sorted(facts["tasks"]["answer"], key=lambda task: int(task["id"]))
            facts["listed"] = [{"name": task["name"], "source": task["source"]} for task in listed]
            for job in case["jobs"]:
                facts["jobs"].append(await self.run(job, listed))
        return facts

    async def judge_custom(self, case: dict[str, Any]) -> dict[str, Any]:
        """Post a task outside any package, and list the tasks."""
        made = await self.api.post("task/", json.loads(Path(case["wheel"]).read_text()))
        facts = {"id": case["id"], "collect": made, "jobs": []}
        if made["status"] == 201:
            facts |= {"state": {"status": 200}, "ended": "OK", "said": ""}
            facts["tasks"] = await self.api.get("task/")
            facts["listed"] = [{"name": made["answer"]["name"], "source": None}]
        return facts

    async def run(self, job: dict[str, Any], tasks: list[dict[str, Any]]) -> dict[str, Any]:
        """Run one job through a workflow of its own, as far as the server lets it."""
        if any(step["task"] >= len(tasks) for step in job["steps"]):
            return {"lacks": len(tasks)}
        steps = [tasks[step["task"]] for step in job["steps"]]
        types = steps[0]["input_type"], steps[-1]["output_type"]
        datasets = []
        for kind, paths in zip(types, (job["input_paths"], [job["output_path"]]), strict=True):
            dataset = {"name": "agreement", "type": kind, "meta": job["meta"]}
            asked = await self.api.post(f"{self.project}/dataset/", dataset)
            datasets.append(asked["answer"]["id"])
            for path in paths:
                Path(path).mkdir(parents=True, exist_ok=True)
                await self.api.post(
                    f"{self.project}/dataset/{datasets[-1]}/resource/", {"path": path}
                )
        made = await self.api.post(
            f"{self.project}/workflow/", {"name": f"for dataset {datasets[-1]}"}
        )
        workflow = made["answer"]["id"]
        for task, step in zip(steps, job["steps"], strict=False):
            added = await self.api.post(
                f"{self.project}/workflow/{workflow}/wftask/?task_id={task['id']}",
                {"args": step["args"]},
            )
            if added["status"] != 201:
                return {"task": added}
        applied = await self.api.post(
            f"{self.project}/workflow/{workflow}/apply/"
            f"?input_dataset_id={datasets[0]}&output_dataset_id={datasets[1]}",
            {},
        )
        facts = {"apply": applied}
        if applied["status"] == 202:
            seen = await self.api.get(f"{self.project}/job/{applied['answer']['id']}/")
            dataset = await self.api.get(f"{self.project}/dataset/{datasets[1]}/")
            facts |= {"job": seen, "dataset": dataset}
            if seen["status"] == 200:
                facts["ended"] = seen["answer"]["status"]
                facts["said"] = seen["answer"]["log"] or ""
            if dataset["status"] == 200:
                facts["left"] = dataset["answer"]["meta"]
        return facts

    def forget(self) -> None:
        """Leave nothing of a case to the next: neither rows nor folders."""
        from fractal_server.app.db import get_sync_db
        from fractal_server.app.models import linkuserproject, project, security  # noqa: F401
        from sqlmodel import SQLModel, delete

        kept = {"user_oauth", "oauthaccount", "project", "linkuserproject"}
        with next(get_sync_db()) as database:
            for table in reversed(SQLModel.metadata.sorted_tables):
                if table.name not in kept:
                    database.execute(delete(table))
            database.commit()
        for name in ("tasks", "jobs"):
            shutil.rmtree(self.folder / name)
            (self.folder / name).mkdir()


if __name__ == "__main__":
    run(Server)
