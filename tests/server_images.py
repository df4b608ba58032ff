"""Run by an environment that holds fractal-server 2: its own reading of task outputs.

Reads a list of cases from standard input and writes a list of answers. A case is a
dataset, and tasks with the outputs of their commands; everything runs through the server's
own `execute_tasks` but the commands and the database. An answer says what each command was
given, and the dataset's images in the end, or why the server failed the job or can never
show the images again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

from fractal_server.images.tools import (  # type: ignore[import-not-found]
    aggregate_attributes,
)
from fractal_server.runner.v2 import runner, runner_functions  # type: ignore[import-not-found]
from fractal_server.runner.v2.runner_functions import (  # type: ignore[import-not-found]
    _check_parallelization_list_size,
    _process_init_task_output,
    deduplicate_list,
)


def answer(case: dict[str, Any]) -> dict[str, Any]:
    if "init" in case:
        outcome = _process_init_task_output(result=case["init"], exception=None)
        if outcome.exception is not None:
            return {"error": str(outcome.exception)}
        units = deduplicate_list(outcome.task_output.parallelization_list)
        try:
            _check_parallelization_list_size(units)
            stored([unit.zarr_url for unit in units])
        except Exception as refusal:
            return {"error": str(refusal)}
        return {"error": None, "units": [unit.model_dump() for unit in units]}

    dataset = SimpleNamespace(id=1, zarr_dir=case["zarr_dir"], images=case["images"])
    commands = Commands(case["tasks"])
    with_database(dataset)
    tasks = [
        SimpleNamespace(
            id=number,
            order=number,
            alias=None,
            task_id=number,
            task_type=task["type"],
            type_filters={},
            args_non_parallel={},
            args_parallel={},
            model_dump=lambda **_: {},
            task=SimpleNamespace(
                id=number,
                name=f"task {number}",
                type=task["type"],
                taskgroupv2_id=1,
                command_non_parallel=(number, "init"),
                command_parallel=(number, "outputs"),
                input_types=task["input_types"],
                output_types=task["output_types"],
                model_dump=dict,
            ),
        )
        for number, task in enumerate(case["tasks"])
    ]
    reported = None
    try:
        runner.execute_tasks(
            wf_task_list=tasks,
            dataset=dataset,
            runner=commands,
            user_id=1,
            workflow_dir_local=Path(),
            job_id=1,
            get_runner_config=lambda **_: SimpleNamespace(batch_size=1, batch_size_or_zero=1),
            job_type_filters={},
            job_attribute_filters={},
            resource_id=1,
        )
    except Exception as refusal:
        reported = f"{type(refusal).__name__}: {refusal} {getattr(refusal, 'info', '')}"
    return {"error": reported, "given": commands.given, "images": dataset.images}


class Commands:
    """Stands for the server's runner: answers each command with what the case says it writes."""

    executor_error_log = shared_config = None

    def __init__(self, tasks: list[dict[str, Any]]) -> None:
        self.tasks = tasks
        self.given: list[dict[str, Any]] = []

    def submit(
        self, *, base_command: tuple[int, str], parameters: dict[str, Any], **_: Any
    ) -> tuple[Any, None]:
        self.given.append(parameters)
        task = self.tasks[base_command[0]]
        return (task["init"] if "init" in task else task["outputs"][0]), None

    def multisubmit(
        self, *, base_command: tuple[int, str], list_parameters: list[dict[str, Any]], **_: Any
    ) -> tuple[dict[int, Any], dict[int, Any]]:
        self.given += list_parameters
        outputs = self.tasks[base_command[0]]["outputs"]
        return {n: outputs[n % len(outputs)] for n in range(len(list_parameters))}, {}


def with_database(dataset: SimpleNamespace) -> None:
    """Give the server a database that holds only the dataset."""
    session = MagicMock()
    session.__enter__.return_value = session
    session.get.side_effect = session.get_one.side_effect = lambda model, _: (
        dataset
        if model.__name__ == "DatasetV2"
        else SimpleNamespace(
            model_dump=dict, prevent_new_submissions=False, pkg_name="tasks", version="1"
        )
    )

    def sessions() -> Iterator[MagicMock]:
        yield session

    def history_unit(**fields: Any) -> SimpleNamespace:
        stored(fields["zarr_urls"])
        return anything(**fields)

    def shown(changed: SimpleNamespace, _: str) -> None:
        stored(changed.images)
        aggregate_attributes(changed.images)  # as every `images/query` does

    runner.get_sync_db = runner_functions.get_sync_db = sessions
    runner.flag_modified = shown

    def anything(**fields: Any) -> SimpleNamespace:
        return SimpleNamespace(**{"id": 1, "model_dump": dict, **fields})

    for name in ("TaskDump", "TaskGroupDump", "HistoryRun", "AccountingRecord"):
        setattr(runner, name, anything)
    runner_functions.HistoryUnit = history_unit
    for name in (  # not every release has all of them
        "update_status_of_history_run",
        "update_executor_error_log_safe",
        "bulk_upsert_image_cache_fast",
        "bulk_update_status_of_history_unit",
        "bulk_update_has_warnings_history_unit",
        "update_status_of_history_unit",
        "update_history_unit_no_commit",
    ):
        for module in (runner, runner_functions):
            if hasattr(module, name):
                setattr(module, name, lambda **_: None)


def stored(value: Any) -> None:
    """Fail as PostgreSQL does for what it cannot hold."""
    text = json.dumps(value, allow_nan=False)
    if "\\u0000" in text or "\\ud8" in text:
        raise ValueError("unsupported Unicode escape sequence")


json.dump([answer(case) for case in json.load(sys.stdin)], sys.stdout)
