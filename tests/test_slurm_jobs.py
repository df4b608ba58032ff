"""Which job a server makes of `meta`: the lines that the servers' own code wrote of it.

They are those of `get_slurm_config`, `heuristics` and `to_sbatch_preamble` of fractal-server
1.4.10 (generation 1) and 2.24.2 (generation 2), with these settings.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

import pytest

from pytest_fractal import BadInput
from pytest_fractal.generations import VERSION_1, VERSION_2, Generation
from pytest_fractal.generations.meta_keys import slurm_faults
from pytest_fractal.generations.slurm_jobs import (
    NO_SETTINGS,
    ClusterSettings,
    SlurmJob,
    make_slurm_job,
    read_cluster_settings,
)
from pytest_fractal.processes.slurm_node import Forged, Request, read_answer, write_request
from pytest_fractal.settings import Settings

SETTINGS: dict[str, Any] = {
    "default_slurm_config": {
        "partition": "main",
        "cpus_per_task": 2,
        "mem": 700,
        "time": "10:00",
        "extra_lines": ["export B=1", "#SBATCH --comment=x"],
        "constraint": "c",
    },
    "gpu_slurm_config": {"partition": "gpu", "gres": "gpu:1", "mem": "1G"},
    "batching_config": {
        "target_cpus_per_job": 4,
        "max_cpus_per_job": 8,
        "target_mem_per_job": 2000,
        "max_mem_per_job": "3G",
        "target_num_jobs": 2000,
        "max_num_jobs": 4000,
    },
    "user_local_exports": {"CP": "models"},
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> ClusterSettings:
    file = tmp_path_factory.mktemp("settings") / "slurm.json"
    file.write_text(json.dumps(SETTINGS))
    return read_cluster_settings(file)


def job(
    generation: Generation,
    meta: dict[str, Any],
    settings: ClusterSettings = NO_SETTINGS,
    *,
    parallel: bool = False,
    units: int | None = None,
) -> SlurmJob:
    return make_slurm_job(
        "A task",
        meta,
        generation.slurm,
        settings,
        is_parallel=parallel,
        units=units,
        cache=PurePath("/cache"),
    )


def lines(made: SlurmJob) -> list[str]:
    assert made.faults == ()
    return [line.removeprefix("#SBATCH ") for line in made.options.lines]


OWN = ["--comment=x", "export B=1", "export CP=/cache/models"]


@pytest.mark.parametrize(
    ("meta", "wanted"),
    [
        (
            {},
            [
                *("--partition=main", "--ntasks=1", "--cpus-per-task=2", "--mem=700M"),
                *("--job-name=A_task", "--constraint=c", "--time=10:00", *OWN),
            ],
        ),
        (
            {"needs_gpu": True, "mem": "2G", "time": "5:00", "partition": "mine"},
            [
                *("--partition=gpu", "--ntasks=1", "--cpus-per-task=2", "--mem=2000M"),
                *("--job-name=A_task", "--constraint=c", "--gres=gpu:1", "--time=5:00", *OWN),
            ],
        ),
        (
            {"extra_lines": ["export A=2", "#SBATCH --hint=x", "export B=1"]},
            [
                *("--partition=main", "--ntasks=1", "--cpus-per-task=2", "--mem=700M"),
                *("--job-name=A_task", "--constraint=c", "--time=10:00", "--comment=x"),
                *("--hint=x", "export B=1", "export A=2", "export CP=/cache/models"),
            ],
        ),
    ],
)
@pytest.mark.parametrize("generation", [VERSION_1, VERSION_2], ids=["1", "2"])
def test_both_generations_write_these_lines(
    generation: Generation, settings: ClusterSettings, meta: dict[str, Any], wanted: list[str]
) -> None:
    assert lines(job(generation, meta, settings)) == wanted


def test_what_the_generations_read_differs() -> None:
    meta = {"gpus": "1", "nodelist": "n1", "exclude": "n2", "nodes": "2", "gres": "", "time": "1"}
    basic = ["--ntasks=1", "--cpus-per-task=1", "--job-name=A_task"]
    assert lines(job(VERSION_1, meta)) == [*basic, "--time=1"]
    assert lines(job(VERSION_2, meta)) == [
        *basic,
        *("--gres=", "--gpus=1", "--time=1", "--exclude=n2", "--nodelist=n1", "--nodes=2"),
    ]


def test_units_that_share_a_job(settings: ClusterSettings) -> None:
    """As many as `meta` says, else as many as the settings aim at; a start is one of them."""
    reported = {
        "tasks_per_job": 10,
        "parallel_tasks_per_job": 4,
        "cpus_per_task": 1,
        "time": "5:00",
    }
    first = lines(job(VERSION_1, reported, settings, parallel=True))
    second = lines(job(VERSION_2, reported, settings, parallel=True))
    assert {"--ntasks=4", "--mem=2800M"} <= set(first) & set(second)
    assert "--time=5:00" in second
    assert not any(line.startswith("--time") for line in first)  # it would be shared
    aimed = lines(job(VERSION_2, {}, settings, parallel=True))
    assert {"--ntasks=2", "--mem=1400M"} <= set(aimed)
    alone = lines(job(VERSION_2, reported, settings, parallel=True, units=1))
    assert {"--ntasks=1", "--mem=700M"} <= set(alone)


@pytest.mark.parametrize(
    ("generation", "meta", "parallel", "key"),
    [
        (VERSION_2, {"cpus_per_task": 9}, False, "cpus_per_task"),
        (VERSION_2, {"mem": "4G"}, False, "mem"),
        (VERSION_1, {"mem": "4G"}, True, "mem"),
        (
            VERSION_2,
            {"tasks_per_job": 8, "parallel_tasks_per_job": 8},
            True,
            "parallel_tasks_per_job",
        ),
        (VERSION_2, {"mem": "4X"}, False, "mem"),
        (VERSION_2, {"account": "mine"}, False, "account"),
    ],
)
def test_of_which_meta_the_server_makes_no_job(
    generation: Generation,
    settings: ClusterSettings,
    meta: dict[str, Any],
    parallel: bool,
    key: str,
) -> None:
    made = job(generation, meta, settings, parallel=parallel)
    assert {fault.keys for fault in made.faults} == {(key,)}
    assert all(fault.fix for fault in made.faults)


@pytest.mark.parametrize(
    ("generation", "refusing"),
    [(VERSION_1, []), (VERSION_2, [">=2.11,<2.22.12"])],
    ids=["1", "2"],
)
def test_true_is_a_megabyte_to_most_releases(generation: Generation, refusing: list[str]) -> None:
    """Those between take none: `type(raw_mem) is int` says so there."""
    faults = slurm_faults({"mem": True}, generation.slurm, is_parallel=True)
    assert [fault.releases for fault in faults] == refusing
    assert "--mem=1M" in lines(job(generation, {"mem": True}))
    assert job(generation, {"mem": False}, parallel=True).faults


def test_a_1_x_server_does_not_look_at_the_limits_of_a_command_that_runs_once(
    settings: ClusterSettings,
) -> None:
    assert "--mem=4000M" in lines(job(VERSION_1, {"mem": "4G"}, settings))


def test_a_1_x_server_breaks_where_there_are_no_settings_for_gpus(tmp_path: Path) -> None:
    file = tmp_path / "slurm.json"
    file.write_text(json.dumps({"default_slurm_config": {"partition": "main"}}))
    without = read_cluster_settings(file)
    (fault,) = job(VERSION_1, {"needs_gpu": True}, without).faults
    assert fault.keys == ("needs_gpu",)
    assert job(VERSION_2, {"needs_gpu": True}, without).faults == ()


def test_memory_for_each_processor(tmp_path: Path) -> None:
    file = tmp_path / "slurm.json"
    file.write_text(
        json.dumps({"default_slurm_config": {"partition": "main", "use_mem_per_cpu": True}})
    )
    made = job(VERSION_2, {"mem": 1001, "cpus_per_task": 2}, read_cluster_settings(file))
    assert "--mem-per-cpu=500M" in lines(made)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no JSON"),
        ("[]", "the file: "),
        ("{}", "default_slurm_config: Field required"),
        ('{"default_slurm_config": {"memory": 1}}', "default_slurm_config.memory: Extra inputs"),
        ('{"default_slurm_config": {"mem": "4X"}}', "default_slurm_config.mem"),
        (None, "No such file"),
    ],
)
def test_settings_that_are_of_no_use(tmp_path: Path, content: str | None, said: str) -> None:
    file = tmp_path / "slurm.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(BadInput) as refused:
        read_cluster_settings(file)
    assert str(refused.value).startswith(f"--fractal-slurm-config={file}: ")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"executor": "pbs"}, "--fractal-executor=pbs: choose one of local, slurm"),
        ({"slurm_config": Path("x")}, "only of use with --fractal-executor=slurm"),
        ({"folder": Path("/nowhere")}, "--fractal-folder=/nowhere: no such folder"),
    ],
)
def test_options_of_no_use(options: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        Settings(**options)


def test_without_slurm_there_is_no_such_executor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput, match="there is no sbatch here"):
        Settings(executor="slurm")


def test_settings_of_slurm_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setenv("SLURM_CONF", "/nowhere/slurm.conf")
    with pytest.raises(BadInput, match=r"SLURM_CONF=/nowhere/slurm\.conf: no such file"):
        Settings(executor="slurm")


def test_a_request_is_no_answer(tmp_path: Path) -> None:
    """What the run itself has sealed cannot be put in the place of what a job seals."""
    request = Request(("true",), "/", {}, 1.0, "/", (), None, (), None)
    write_request(b"key", tmp_path, 0, request)
    (tmp_path / "0.request").rename(tmp_path / "0.answer")
    with pytest.raises(Forged):
        read_answer(b"key", tmp_path, 0)


@pytest.mark.parametrize(
    ("meta", "units"),
    [
        ({}, 2),
        ({"mem": "1000M"}, 2),
        ({"mem": 1001}, 1),
        ({"cpus_per_task": 1}, 2),
        ({"cpus_per_task": 1, "mem": 500}, 4),
        ({"cpus_per_task": 2, "mem": 100}, 2),
        ({"cpus_per_task": 8, "mem": 2000}, 1),
        ({"tasks_per_job": 3, "parallel_tasks_per_job": 9, "cpus_per_task": 1}, 3),
        ({"tasks_per_job": 9, "parallel_tasks_per_job": 1}, 1),
    ],
)
def test_how_many_units_are_in_a_job_at_a_time(
    settings: ClusterSettings, meta: dict[str, Any], units: int
) -> None:
    made = lines(job(VERSION_2, meta, settings, parallel=True))
    assert f"--ntasks={units}" in made
    without_memory = replace(settings, default={"cpus_per_task": 1})
    assert "--ntasks=1" in lines(job(VERSION_2, {}, without_memory, parallel=True))
    assert "--ntasks=1" in lines(job(VERSION_2, {"mem": 5}, NO_SETTINGS, parallel=True))


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        (
            {"cpus_per_task": 9},
            (
                ("cpus_per_task",),
                "at most 8 in a job, the max_cpus_per_job of the cluster's settings",
                "9: the server makes no job of it",
                "ask for at most 8",
            ),
        ),
        (
            {"mem": "4G"},
            (
                ("mem",),
                "at most 3000 MB in a job, the max_mem_per_job of the cluster's settings",
                "4000 MB: the server makes no job of it",
                "ask for at most 3000 MB",
            ),
        ),
        (
            {"tasks_per_job": 5, "parallel_tasks_per_job": 5, "cpus_per_task": 1},
            (
                ("parallel_tasks_per_job",),
                "at most 3000 MB in a job, the max_mem_per_job of the cluster's settings",
                "5 times 700 MB: the server makes no job of it",
                "let fewer run at a time",
            ),
        ),
        ({"cpus_per_task": 8, "mem": "3G"}, None),
    ],
)
def test_what_is_said_of_more_than_a_job_may_have(
    settings: ClusterSettings, meta: dict[str, Any], expected: tuple[Any, ...] | None
) -> None:
    faults = job(VERSION_2, meta, settings, parallel=True).faults
    said = [(fault.keys, fault.expected, fault.found, fault.hint) for fault in faults]
    assert said == ([] if expected is None else [expected])


def test_memory_of_units_and_of_processors(settings: ClusterSettings) -> None:
    per_cpu = replace(settings, default={"cpus_per_task": 3, "mem": 1000, "use_mem_per_cpu": True})
    made = lines(job(VERSION_2, {}, per_cpu, parallel=True, units=2))
    assert {"--ntasks=2", "--mem-per-cpu=333M"} <= set(made)
    assert lines(job(VERSION_1, {"time": "1"}, settings, parallel=True, units=1))[-4:-3] == [
        "--time=1"
    ]


@pytest.mark.parametrize(
    ("generation", "value", "is_on_gpus"),
    [
        *((VERSION_1, value, True) for value in (True, "true", 1, "yes")),
        *((VERSION_1, value, False) for value in (False, "", 0)),
        *((VERSION_2, value, True) for value in (True, "true", "True")),
        *((VERSION_2, value, False) for value in (False, "false")),
    ],
)
def test_what_needs_a_gpu(
    settings: ClusterSettings, generation: Generation, value: object, is_on_gpus: bool
) -> None:
    made = job(generation, {"needs_gpu": value}, settings).options.lines
    assert ("#SBATCH --gres=gpu:1" in made) is is_on_gpus
