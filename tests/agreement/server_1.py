"""What fractal-server 1.x does with wheels and jobs: run by its own interpreter, in one process.

    python server_1.py CASES.json FACTS.jsonl FOLDER

The server is the real one: its ASGI application answers requests, its background tasks
collect and run jobs, its local backend starts the commands, and all is kept in a SQLite
database that its own migrations have made (`empty.sqlite`, beside the environment's
folders). One function is replaced, the one by which the background task starts `venv` and
`pip`: see `Installer`. The other difference from a server behind a socket is of use here: a
request ends only when its background tasks have, so that a collection which is not at its
end by then never will be.

The file of cases is a list of objects: `id`, `wheel`, `packages` (folders of installed
requirements) and `jobs`. A job has `steps` (`task`, a position in the manifest, and
`args`), `input_paths`, `output_path` and `meta`, the dataset's. Of each case one line of
JSON is written: what was asked, and what came of it. Nothing is judged here.
"""

from __future__ import annotations

import asyncio
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

ADMIN = {"username": "admin@fractal.xy", "password": "1234"}


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

    async def __call__(self, *, cwd: Path, command: str, logger_name: str | None = None) -> str:
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
        self.raised = ""

    async def start(self) -> None:
        import httpx
        from fractal_server import main
        from fractal_server.tasks import background_operations

        logging.disable(logging.CRITICAL)
        background_operations.execute_command = self.installer
        await main.app.router.startup()

        async def application(scope: Any, receive: Any, send: Any) -> None:
            try:
                await main.app(scope, receive, send)
            except Exception as error:
                self.raised = f"{type(error).__name__}: {str(error).splitlines()[0]}"
                raise

        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=application, raise_app_exceptions=False),
            base_url="http://server",
        )
        answer = await self.client.post("/auth/token/login/", data=ADMIN)
        self.client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        self.project = (await self.post("project/", {"name": "agreement"}))["answer"]["id"]

    async def ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        self.raised = ""
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        answer = await self.client.request(
            method, f"/api/v1/{path}", content=content, headers=headers
        )
        try:
            value = answer.json()
        except ValueError:
            value = answer.text
        return {"status": answer.status_code, "answer": value, "raised": self.raised}

    async def get(self, path: str) -> dict[str, Any]:
        return await self.ask("GET", path)

    async def post(self, path: str, body: object) -> dict[str, Any]:
        return await self.ask("POST", path, body)

    async def judge(self, case: dict[str, Any]) -> dict[str, Any]:
        """Collect the wheel, list the tasks, run the jobs, and read what they left."""
        self.installer.packages = case["packages"]
        collected = await self.post("task/collect/pip/", {"package": case["wheel"]})
        facts = {"id": case["id"], "collect": collected, "jobs": []}
        if collected["status"] != 201:
            return facts
        facts["state"] = await self.get(f"task/collect/{collected['answer']['id']}/")
        facts["tasks"] = await self.get("task/")
        if facts["tasks"]["status"] == 200:
            listed = sorted(facts["tasks"]["answer"], key=lambda task: int(task["id"]))
            for job in case["jobs"] if listed else ():
                facts["jobs"].append(await self.run(job, listed))
        return facts

    async def run(self, job: dict[str, Any], tasks: list[dict[str, Any]]) -> dict[str, Any]:
        """Run one job through a workflow of its own, as far as the server lets it."""
        project = f"project/{self.project}"
        steps = [tasks[step["task"]] for step in job["steps"] if step["task"] < len(tasks)]
        if not steps:
            return {}
        types = steps[0]["input_type"], steps[-1]["output_type"]
        datasets = []
        for kind, paths in zip(types, (job["input_paths"], [job["output_path"]]), strict=True):
            dataset = {"name": "agreement", "type": kind, "meta": job["meta"]}
            asked = await self.post(f"{project}/dataset/", dataset)
            datasets.append(asked["answer"]["id"])
            for path in paths:
                Path(path).mkdir(parents=True, exist_ok=True)
                await self.post(f"{project}/dataset/{datasets[-1]}/resource/", {"path": path})
        made = await self.post(f"{project}/workflow/", {"name": f"for dataset {datasets[-1]}"})
        workflow = made["answer"]["id"]
        for task, step in zip(steps, job["steps"], strict=False):
            added = await self.post(
                f"{project}/workflow/{workflow}/wftask/?task_id={task['id']}",
                {"args": step["args"]},
            )
            if added["status"] != 201:
                return {"task": added}
        applied = await self.post(
            f"{project}/workflow/{workflow}/apply/"
            f"?input_dataset_id={datasets[0]}&output_dataset_id={datasets[1]}",
            {},
        )
        facts = {"apply": applied}
        if applied["status"] == 202:
            facts["job"] = await self.get(f"{project}/job/{applied['answer']['id']}/")
            facts["dataset"] = await self.get(f"{project}/dataset/{datasets[1]}/")
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


async def main(server: Server, cases: Path, facts: Path) -> None:
    await server.start()
    with facts.open("w") as out:
        for case in json.loads(cases.read_text()):
            print(json.dumps(await server.judge(case)), file=out, flush=True)
            server.forget()


if __name__ == "__main__":
    given = [Path(argument).resolve() for argument in sys.argv[1:]]
    asyncio.run(main(Server(given[2]), given[0], given[1]))
