"""Whole runs whose commands are jobs of a SLURM: however they end, and as they are typed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import slurm_cluster
from conftest import OWN_TESTS, Runner, command_line, make_wheel
from slurm_cluster import Cluster, cluster_fixture, wait_until  # noqa: F401
from test_published import cell_of

from pytest_fractal import check_package
from pytest_fractal.processes.supervisor import descendants
from pytest_fractal.published.digest import State
from pytest_fractal.published.history import read_result
from pytest_fractal.published.judging import Limits, judge, judge_all
from pytest_fractal.report.model import CandidateReport

pytestmark = slurm_cluster.MARKS

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def shared(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A folder that the node sees; nothing is left in it, nor in the queue."""
    monkeypatch.setenv("SLURM_CONF", str(cluster.conf))
    (folder := tmp_path / "shared").mkdir()
    yield folder
    try:
        wait_until(lambda: cluster.queue == [])
        wait_until(lambda: list(folder.iterdir()) == [])
    finally:
        cluster.call("scancel", f"--user={os.geteuid()}")  # the next test starts on an empty one


def options(shared: Path) -> list[str]:
    return ["--fractal-executor=slurm", f"--fractal-folder={shared}"]


@pytest.fixture(scope="module")
def endless_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel whose first task reads its arguments, and then takes very long."""
    script = (OWN_TESTS / "tested_tasks" / "make_wells.py").read_text()
    slow = script.replace("    if number", "    import time; time.sleep(600)\n    if number")
    assert slow != script
    return make_wheel(tmp_path_factory.mktemp("endless"), changes={"make_wells.py": slow})


def start_endless(runner: Runner, cluster: Cluster, wheel: Path, shared: Path) -> Endless:
    """Start a run whose first task takes very long, and wait until that runs as a job."""
    before = {name for name, _ in run_jobs(cluster)}
    process = runner.start(*runner.argv(f"--fractal-package={wheel}", *options(shared)))

    def names() -> list[str]:
        # A start that takes as long as this is that of the task which takes long.
        return [name for name, age in run_jobs(cluster) if age >= "0:04" and name not in before]

    wait_until(names)
    return Endless(process, names()[0])


def run_jobs(cluster: Cluster) -> list[tuple[str, str]]:
    """The name of each job of a run's that is at work, and since when."""
    reported = cluster.said("squeue", "-h", "-t", "R", "-o", "%j %M").splitlines()
    return [
        (name, age) for name, age in map(str.split, reported) if name.startswith("pytest-fractal-")
    ]


@dataclass
class Endless:
    """A run that has a job which takes very long."""

    process: subprocess.Popen[str]
    name: str
    """Of its folder, and of its jobs."""

    def at_work(self, cluster: Cluster) -> bool:
        return self.name in [name for name, _ in run_jobs(cluster)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda one: one.name)
def test_a_run_that_is_ended_leaves_no_job(
    cluster: Cluster,
    runner: Runner,
    shared: Path,
    endless_wheel: Path,
    number: signal.Signals,
) -> None:
    other = cluster.foreign_job()
    run = start_endless(runner, cluster, endless_wheel, shared)
    os.kill(run.process.pid, number)
    runner.finish(run.process)
    wait_until(lambda: [job.split()[0] for job in cluster.queue] == [other])
    cluster.call("scancel", other)


def test_the_next_run_cancels_the_jobs_of_one_that_was_killed_with_its_watcher(
    cluster: Cluster,
    runner: Runner,
    shared: Path,
    good_wheel: Path,
    endless_wheel: Path,
) -> None:
    other = cluster.foreign_job()
    run = start_endless(runner, cluster, endless_wheel, shared)
    (watcher,) = (pid for pid in descendants(run.process.pid) if "watcher.py" in command_line(pid))
    for number in (signal.SIGSTOP, signal.SIGKILL):  # at once: neither sees the other's end
        os.kill(watcher, number)
        os.kill(run.process.pid, number)
    runner.finish(run.process)
    assert run.at_work(cluster)
    assert (shared / run.name).is_dir()
    ran = runner.pytest(
        f"--fractal-package={good_wheel}", "--fractal-select=FR903", *options(shared)
    )
    assert ran.status == 0, ran.text
    wait_until(lambda: [job.split()[0] for job in cluster.queue] == [other])
    assert not (shared / run.name).exists()
    cluster.call("scancel", other)


def test_runs_at_the_same_time_leave_each_others_jobs_alone(
    cluster: Cluster,
    runner: Runner,
    shared: Path,
    good_wheel: Path,
    endless_wheel: Path,
) -> None:
    """Those of one user, on one cluster and in one folder, however each of them ends."""
    first = start_endless(runner, cluster, endless_wheel, shared)
    ran = runner.pytest(
        f"--fractal-package={good_wheel}", "--fractal-select=FR301,FR903", *options(shared)
    )
    assert ran.status == 0, ran.text
    assert first.at_work(cluster)
    second = start_endless(runner, cluster, endless_wheel, shared)
    os.kill(second.process.pid, signal.SIGKILL)
    runner.finish(second.process)
    wait_until(lambda: not second.at_work(cluster) and not (shared / second.name).exists())
    assert first.at_work(cluster)
    assert (shared / first.name).is_dir()
    os.kill(first.process.pid, signal.SIGINT)
    runner.finish(first.process)


def test_header_and_report_say_where_commands_run(
    runner: Runner, shared: Path, good_wheel: Path
) -> None:
    """With workers, too, which share what the cluster is asked for."""
    ran = runner.pytest(
        f"--fractal-package={good_wheel}",
        "--fractal-report=report.json",
        "--fractal-select=FR3,FR903",
        *("-n", "2", "-v"),
        *options(shared),
    )
    assert ran.status == 0, ran.text
    assert "fractal: commands run as jobs of the SLURM cluster trial" in ran.out
    report = json.loads((ran.folder / "report.json").read_text())
    assert report["executor"] == "slurm"
    codes = {verdict["code"] for verdict in report["candidates"][0]["verdicts"]}
    assert {"FR301", "FR903"} <= codes


def test_a_folder_that_no_node_sees_is_bad_input(
    runner: Runner, shared: Path, good_wheel: Path
) -> None:
    """Another file system is mounted there, for the run alone."""
    argv = runner.argv(f"--fractal-package={good_wheel}", *options(shared))
    ran = runner.command(
        *("unshare", "--mount", "sh", "-c"),
        'mount -t tmpfs none "$0" && exec "$@"',
        *(shared, *argv),
    )
    assert ran.status == 4, ran.text
    (said,) = [line for line in ran.err.splitlines() if line]
    assert "the nodes of the cluster must see the folder of the run" in said
    assert "--fractal-folder=DIR names a folder on a file system that they share" in said


def test_the_ini_file_and_the_hermetic_command(
    runner: Runner, shared: Path, good_wheel: Path
) -> None:
    """SLURM_CONF reaches SLURM's programs, though the command starts anew without it."""
    ran = runner.hermetic(good_wheel, "--fractal-select=FR903", *options(shared))
    assert ran.status == 0, ran.text
    (runner.folder / "pytest.ini").write_text(
        f"[pytest]\nfractal_executor = slurm\nfractal_folder = {shared}\n"
    )
    ran = runner.pytest(f"--fractal-package={good_wheel}", "--fractal-select=FR903")
    assert ran.status == 0, ran.text
    assert "as jobs of the SLURM cluster" in ran.out


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hatchling_src_typer", "setuptools_flat_argparse_generation_2"])
def test_verdicts_and_outputs_are_those_of_this_machine(name: str, shared: Path) -> None:
    package = ROOT / "good_packages" / name

    def reported(report: CandidateReport) -> list[tuple[object, ...]]:
        return [
            (verdict.code, verdict.task, verdict.sample, verdict.outcome, verdict.findings)
            for verdict in report.verdicts
            if verdict.code != "FR903"
        ]

    def runs(report: CandidateReport) -> list[tuple[object, ...]]:
        return sorted(
            (run.task, run.sample or "", run.returncode, run.timed_out) for run in report.runs
        )

    (here,) = check_package(package).candidates
    (there,) = check_package(package, executor="slurm", folder=shared).candidates
    assert reported(there) == reported(here)
    assert runs(there) == runs(here)
    assert all(verdict.outcome == "pass" for verdict in there.verdicts if verdict.code == "FR903")


# The page of results


def judge_as_jobs(wheel: Path, folder: Path, *slurm: str, seconds: float = 600) -> list[str]:
    """What is said of a wheel that is judged as a job, whose result lies in `folder` then."""
    said = list[str]()
    limits = Limits(seconds=seconds, select="FR1,FR3", slurm=slurm)
    judge_all([cell_of(wheel)], folder, limits, said.append)
    return said


def test_published_packages_are_judged_as_jobs_and_once(shared: Path, good_wheel: Path) -> None:
    (first,) = judge_as_jobs(good_wheel, shared, "--mem=1G")
    assert ": judged, 2 of 2 tasks start" in first
    (again,) = judge_as_jobs(good_wheel, shared, "--mem=1G")
    assert again.endswith(": judged before")
    (path,) = shared.iterdir()
    assert read_result(path).state is State.JUDGED
    path.unlink()


@pytest.fixture(scope="module")
def waiting_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel with a task that is not seen to start within minutes, so that it is waited for."""
    script = (OWN_TESTS / "tested_tasks" / "make_wells.py").read_text()
    waiting = f"import time\ntime.sleep(600)\n{script}"
    return make_wheel(tmp_path_factory.mktemp("waiting"), changes={"make_wells.py": waiting})


@pytest.mark.parametrize(
    ("options", "seconds", "why"),
    [
        (["--partition=nowhere"], 600, "invalid partition specified: nowhere"),
        (["--mem=1G"], 5, "it took longer than 5 s"),
        (["--mem=20M"], 600, "exceeded memory limit"),
    ],
    ids=["refused", "ended at its limit", "killed for its memory"],
)
def test_a_job_that_comes_to_nothing_is_reported_with_the_reason(
    waiting_wheel: Path, shared: Path, options: list[str], seconds: float, why: str
) -> None:
    (said,) = judge_as_jobs(waiting_wheel, shared, *options, seconds=seconds)
    assert why in said
    (path,) = shared.iterdir()
    assert read_result(path).state is State.GAVE_UP
    path.unlink()


def test_judging_that_is_stopped_leaves_no_job(
    waiting_wheel: Path, cluster: Cluster, shared: Path
) -> None:
    stop = threading.Event()
    limits = Limits(select="FR1,FR3", slurm=())
    with ThreadPoolExecutor() as pool:
        result = pool.submit(judge, cell_of(waiting_wheel), limits, shared, stop)
        wait_until(lambda: cluster.queue != [])
        stop.set()
        assert result.result().state is State.GAVE_UP
    wait_until(lambda: cluster.queue == [])
