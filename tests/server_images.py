"""Run by an environment that holds fractal-server 2: its own reading of task outputs.

Reads a list of cases from standard input and writes a list of answers. A case is a
dataset, and tasks with the outputs of their units; everything runs through the server's
own `execute_tasks` but the commands and the database. An answer says which images each
task was given, and the dataset's images in the end, or why the server failed the job.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

from fractal_server.runner.v2 import runner  # type: ignore[import-not-found]
from fractal_server.runner.v2.runner_functions import (  # type: ignore[import-not-found]
    _check_parallelization_list_size,
    _process_init_task_output,
    _process_task_output,
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
    given: list[list[str]] = []
    outputs = iter([task["outputs"] for task in case["tasks"]])

    def run(*, images: list[dict[str, Any]], **_: Any) -> Any:
        given.append([image["zarr_url"] for image in images])
        written = next(outputs)
        outcomes = {
            number: _process_task_output(result=one, exception=None)
            for number, one in enumerate(written)
        }
        return outcomes, len(written)

    for name in ("run_task_non_parallel", "run_task_parallel", "run_task_compound"):
        setattr(runner, name, run)
    with_database(dataset)
    tasks = [
        SimpleNamespace(
            id=number,
            order=number,
            task_type=task["type"],
            type_filters={},
            model_dump=lambda **_: {},
            task=SimpleNamespace(
                id=number,
                name=f"task {number}",
                type=task["type"],
                taskgroupv2_id=1,
                input_types=task["input_types"],
                output_types=task["output_types"],
                model_dump=dict,
            ),
        )
        for number, task in enumerate(case["tasks"])
    ]
    told = None
    try:
        runner.execute_tasks(
            wf_task_list=tasks,
            dataset=dataset,
            runner=SimpleNamespace(executor_error_log=None),
            user_id=1,
            workflow_dir_local=Path(),
            job_id=1,
            get_runner_config=None,
            job_type_filters={},
            job_attribute_filters={},
            resource_id=1,
        )
    except Exception as refusal:
        told = f"{type(refusal).__name__}: {refusal}"
    return {"error": told, "given": given, "images": dataset.images}


def with_database(dataset: SimpleNamespace) -> None:
    """Give the server a database that holds only the dataset."""
    session = MagicMock()
    session.__enter__.return_value = session
    session.get.side_effect = lambda model, _: (
        dataset
        if model.__name__ == "DatasetV2"
        else SimpleNamespace(model_dump=dict, prevent_new_submissions=False)
    )

    def sessions() -> Iterator[MagicMock]:
        yield session

    runner.get_sync_db = sessions
    runner.flag_modified = lambda changed, _: stored(changed.images)
    anything: Callable[..., Any] = lambda **_: SimpleNamespace(id=1, model_dump=dict)  # noqa: E731
    for name in ("TaskDump", "TaskGroupDump", "HistoryRun", "AccountingRecord"):
        setattr(runner, name, anything)
    runner.update_status_of_history_run = lambda **_: None


def stored(value: Any) -> None:
    """Fail as PostgreSQL does for what it cannot hold."""
    text = json.dumps(value, allow_nan=False)
    if "\\u0000" in text or "\\ud8" in text:
        raise ValueError("unsupported Unicode escape sequence")


json.dump([answer(case) for case in json.load(sys.stdin)], sys.stdout)
