"""What fractal-server 2.x does with wheels and jobs: run by its own interpreter, in one process.

    python server_2.py CASES.json FACTS.jsonl FOLDER

The server is the real one, and nothing of it is replaced: its ASGI application answers
requests, its background tasks collect and run jobs, its scripts make the environments, its
local backend starts the commands, and a PostgreSQL database with all its tables (the
variables `POSTGRES_...` tell where) keeps it all. It is given an interpreter of its own for
the tasks' environments, though: `PYTHON` below makes one as `venv` does, but with `PIP` in
the place of pip, which does what the scripts ask of pip without looking for anything on
an index. For a pure wheel without scripts or data, whose requirements were installed
before, that comes to the same.

Cases and facts are those of `server_1.py`, but for jobs: they have `zarr_dir` and `images`,
and a step has `init` and `compute`, the arguments of its commands.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from application import Application, run

ADMIN = ("admin@example.org", "1234")

PYTHON = """#!{python}
import sys
import venv
from pathlib import Path

folder = Path(sys.argv[3])
assert sys.argv[1:3] == ["-m", "venv"], sys.argv
by_pip = Path(__file__).with_name("by_pip").exists()
venv.EnvBuilder(symlinks=True, with_pip=by_pip).create(folder)
(site,) = folder.glob("lib/python*/site-packages")
if not by_pip:
    (site / "pip.py").write_text(Path(__file__).with_name("pip.py").read_text())
(site / "requirements.pth").write_text(Path(__file__).with_name("requirements.pth").read_text())
"""

PIP = """
import re
import sys
import zipfile
from importlib.metadata import distributions
from pathlib import Path

site = Path(__file__).parent


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def show(name, with_files):
    for one in distributions(path=[str(site)]):
        if canonical(one.metadata["Name"]) == canonical(name):
            for key in ("Name", "Version", "Summary", "Home-page", "Author", "Author-email",
                        "License"):
                print(f"{key}:", one.metadata[key] or "")
            print("Location:", site)
            print("Requires:", ", ".join(one.requires or ()))
            print("Required-by:")
            if with_files:
                print("Files:")
                print(*(f"  {file}" for file in sorted(map(str, one.files))), sep="\\n")
            return
    sys.exit(f"WARNING: Package(s) not found: {name}")


def install(path):
    with zipfile.ZipFile(path) as wheel:
        wheel.extractall(site)
        names = wheel.namelist()
    (record,) = site.glob("*.dist-info/RECORD")
    record.write_text("".join(f'"{name}",,\\n' for name in names))


command, *words = sys.argv[1:]
if command == "show":
    show(words[0], "--files" in words)
elif command == "install" and "--upgrade" not in words:
    install(words[-1])
"""


class Server:
    """The application, and what was asked of it for one case."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stand_in = folder / "interpreter"
        for name in ("tasks", "jobs", "interpreter"):
            (folder / name).mkdir(parents=True)
        python = self.stand_in / "python"
        python.write_text(PYTHON.format(python=sys.executable))
        python.chmod(0o755)
        (self.stand_in / "pip.py").write_text(PIP)
        os.environ.update(JWT_SECRET_KEY="agreement " * 4, JWT_EXPIRE_SECONDS="86400")
        version = ".".join(map(str, sys.version_info[:2]))
        resource = {
            "name": "here",
            "type": "local",
            "jobs_local_dir": str(folder / "jobs"),
            "tasks_local_dir": str(folder / "tasks"),
            "tasks_python_config": {
                "default_version": version,
                "versions": {version: str(python)},
            },
            "jobs_poll_interval": 0,
            "jobs_runner_config": {},
            "tasks_pixi_config": {},
        }
        (folder / "resource.json").write_text(json.dumps(resource))
        try:
            from fractal_server.cli._init_db_data import init_db_data
        except ImportError:  # before 2.24.1
            from fractal_server.__main__ import init_db_data

        init_db_data(
            resource=str(folder / "resource.json"),
            profile="default",
            admin_email=ADMIN[0],
            admin_password=ADMIN[1],
            admin_project_dir="/",
        )

    async def start(self) -> None:
        from fractal_server import main
        from fractal_server.app.routes.api.v2 import workflowtask

        self.takes_task_lists = hasattr(workflowtask, "create_workflowtasks")
        self.lifespan = main.app.router.lifespan_context(main.app)
        await self.lifespan.__aenter__()
        self.api = Application(main.app, "/api/v2/")
        await self.api.log_in(*ADMIN)
        made = await self.api.post("project/", {"name": "agreement"})
        self.project = f"project/{made['answer']['id']}"

    async def judge(self, case: dict[str, Any]) -> dict[str, Any]:
        """Collect the wheel, list the tasks, run the jobs, and read what they left."""
        (self.stand_in / "requirements.pth").write_text("\n".join(case["packages"]))
        (self.stand_in / "by_pip").unlink(missing_ok=True)
        if case["by_pip"]:
            (self.stand_in / "by_pip").touch()
        collected = await self.api.upload("task/collect/pip/", Path(case["wheel"]))
        facts = {"id": case["id"], "collect": collected, "jobs": []}
        if collected["status"] != 202:
            return facts
        activity = collected["answer"]["id"]
        state = await self.api.get(f"task-group/activity/{activity}/")
        facts["state"] = state
        facts["tasks"] = await self.api.get("task/")
        if state["status"] == 200:
            facts["ended"] = state["answer"]["status"]
            facts["said"] = state["answer"]["log"] or ""
        if facts["tasks"]["status"] == 200:
            listed = sorted(facts["tasks"]["answer"], key=lambda task: int(task["id"]))
            facts["listed"] = [{"name": task["name"], "source": None} for task in listed]
            for position, task in enumerate(listed):
                if "type" not in task:  # newer releases list tasks in brief
                    whole = await self.api.get(f"task/{task['id']}/")
                    if whole["status"] != 200:
                        facts["tasks"] = whole
                        return facts
                    listed[position] = whole["answer"]
            for job in case["jobs"]:
                facts["jobs"].append(await self.run(job, listed))
        return facts

    async def run(self, job: dict[str, Any], tasks: list[dict[str, Any]]) -> dict[str, Any]:
        """Run one job through a workflow of its own, as far as the server lets it."""
        steps = job["steps"]
        if any(step["task"] >= len(tasks) for step in steps):
            return {"lacks": len(tasks)}
        zarr_dir = Path(job["zarr_dir"])
        name = re.sub(r"[^a-zA-Z0-9_.-]", "_", str(zarr_dir))  # newer releases take no others
        zarr_dir.mkdir(parents=True, exist_ok=True)
        made = await self.api.post(
            f"{self.project}/dataset/",
            {
                "name": name,
                "project_dir": "/",
                "zarr_subfolder": str(zarr_dir.relative_to("/")),
            },
        )
        dataset = made["answer"]["id"]
        for image in job["images"]:
            await self.api.post(f"{self.project}/dataset/{dataset}/images/", image)
        made = await self.api.post(f"{self.project}/workflow/", {"name": name})
        workflow = made["answer"]["id"]
        for step in steps:
            task = tasks[step["task"]]
            args = {}
            if task["type"] != "parallel":
                args["args_non_parallel"] = step["init"]
            if task["type"] in ("parallel", "compound", "converter_compound"):
                args["args_parallel"] = step["compute"]
            path = f"{self.project}/workflow/{workflow}/wftask/"
            if self.takes_task_lists:
                added = await self.api.post(path, [{"task_id": task["id"], **args}])
            else:
                added = await self.api.post(f"{path}?task_id={task['id']}", args)
            if added["status"] != 201:
                return {"task": added}
        applied = await self.api.post(
            f"{self.project}/job/submit/?workflow_id={workflow}&dataset_id={dataset}", {}
        )
        facts = {"apply": applied}
        if applied["status"] == 202:
            seen = await self.api.get(f"{self.project}/job/{applied['answer']['id']}/")
            images = await self.api.post(
                f"{self.project}/dataset/{dataset}/images/query/?page_size=1000", {}
            )
            facts |= {"job": seen, "dataset": images}
            if seen["status"] == 200:
                facts["ended"] = seen["answer"]["status"]
                facts["said"] = seen["answer"]["log"] or ""
            if images["status"] == 200:
                facts["left"] = {"images": images["answer"]["items"]}
        return facts

    def forget(self) -> None:
        """Leave nothing of a case to the next: neither rows nor folders."""
        from fractal_server.app.db import get_sync_db
        from sqlalchemy import inspect, text

        kept = (
            "alembic_version",
            "user_oauth",
            "usergroup",
            "linkusergroup",
            "oauthaccount",
            "resource",
            "profile",
            "projectv2",
            "linkuserprojectv2",
        )
        with next(get_sync_db()) as database:
            there = inspect(database.connection()).get_table_names()
            tables = [table for table in there if table not in kept]
            database.execute(text("SET lock_timeout = '10s'"))
            database.execute(text(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY"))
            database.commit()
        for name in ("tasks", "jobs"):
            shutil.rmtree(self.folder / name)
            (self.folder / name).mkdir()


if __name__ == "__main__":
    run(Server)
