"""A cluster that keeps account of its jobs: slurmdbd with a MariaDB, both started here."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import slurm_cluster
from slurm_cluster import ACCOUNT, PATIENCE, Cluster, running_cluster, wait_until
from test_slurm import cluster_verdicts, in_background, start, with_meta
from wheel_factory import make_wheel

from pytest_fractal import BadInput, HarnessError
from pytest_fractal.processes.executors import JobOptions
from pytest_fractal.processes.processes import Limit
from pytest_fractal.processes.slurm import SlurmExecutor
from pytest_fractal.verdicts import Outcome

pytestmark = [
    *slurm_cluster.MARKS,
    pytest.mark.skipif(
        bool(slurm_cluster.accounting_obstacle()), reason=slurm_cluster.accounting_obstacle()
    ),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(tmp_path_factory.mktemp("accounts"), accounting=True) as running:
        yield running


@pytest.fixture(autouse=True)
def _here(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SLURM_CONF", str(cluster.conf))
    yield
    wait_until(lambda: cluster.queue == [])


@pytest.fixture
def executor(tmp_path: Path) -> Iterator[SlurmExecutor]:
    executor = SlurmExecutor(2, tmp_path, JobOptions(("#SBATCH --mem=200M",)))
    yield executor
    executor.close()


@pytest.fixture
def deaf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """While there is such a file, `squeue` gets no answer, as of a busy controller."""
    file, folder = tmp_path / "deaf", tmp_path / "bin"
    squeue = folder / "squeue"
    folder.mkdir()
    squeue.write_text(f'#!/bin/sh\n[ -e {file} ] || exec {shutil.which("squeue")} "$@"\nexit 1\n')
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return file


def cancel(cluster: Cluster, number: str) -> None:
    cluster.call("scancel", number)


def lose_node(cluster: Cluster, number: str) -> None:
    (node,) = cluster.said("sinfo", "-h", "-o", "%n").split()
    cluster.call("scontrol", "update", f"nodename={node}", "state=down", "reason=trial")
    wait_until(lambda: state_in_accounts(cluster, number) != "RUNNING")
    cluster.call("scontrol", "update", f"nodename={node}", "state=resume")


def state_in_accounts(cluster: Cluster, number: str) -> str:
    return cluster.said("sacct", "-n", "-X", "-P", "-j", number, "-o", "State")


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (cancel, r"was cancelled by somebody else, after \d\d:\d\d:\d\d"),
        (lose_node, r"was lost with its node"),
    ],
)
def test_what_became_of_a_job_that_squeue_has_forgotten_is_in_the_accounts(
    cluster: Cluster,
    executor: SlurmExecutor,
    tmp_path: Path,
    deaf: Path,
    end: Callable[[Cluster, str], None],
    said: str,
) -> None:
    running = in_background(executor, tmp_path / "run", "touch here; sleep 600")
    wait_until((tmp_path / "run" / "here").exists)
    (job,) = cluster.queue
    number = job.split()[0]
    deaf.touch()
    end(cluster, number)
    wait_until(lambda: state_in_accounts(cluster, number) not in ("RUNNING", ""))
    cluster.forget_jobs()
    deaf.unlink()
    with pytest.raises(HarnessError, match=rf"SLURM job {number} on node \S+ {said}"):
        running.result(PATIENCE)


@pytest.mark.slow
def test_a_limit_that_squeue_has_forgotten_is_in_the_accounts(
    cluster: Cluster, executor: SlurmExecutor, tmp_path: Path, deaf: Path
) -> None:
    """A minute is the least that SLURM counts."""
    job = JobOptions(("#SBATCH --mem=200M", "#SBATCH --time=1"))
    with ThreadPoolExecutor(1) as thread:
        script = "touch here; sleep 600"
        running = thread.submit(start, executor, tmp_path / "run", script, job=job)
        wait_until((tmp_path / "run" / "here").exists)
        number = cluster.queue[0].split()[0]
        deaf.touch()
        wait_until(lambda: state_in_accounts(cluster, number) == "TIMEOUT")
        cluster.forget_jobs()
        deaf.unlink()
        ended = running.result(PATIENCE)
    assert ended.limit is Limit.TIME
    assert re.search(r"which asked for --time=1, and ran for 00:0\d:\d\d\)", ended.ending)


def test_an_account_that_there_is_not_is_refused_in_the_words_of_slurm(tmp_path: Path) -> None:
    """It gets into a job by extra lines and by the cluster's settings; servers refuse the key."""
    metas = [
        {"extra_lines": ["#SBATCH --account=nobody"]},
        {"extra_lines": [f"#SBATCH --account={ACCOUNT}"]},
        {"account": ACCOUNT},
    ]
    wheel = make_wheel(tmp_path, manifest=with_meta(*metas))
    refused, taken, by_server = cluster_verdicts(wheel, tmp_path)
    (found,) = refused.findings
    assert found.pointer == "/task_list/0/meta/extra_lines"
    assert (
        'sbatch says "allocation failure: Invalid account or account/partition combination '
        'specified", of #SBATCH --account=nobody' in found.found
    )
    assert taken.outcome is Outcome.PASS
    assert "each user's settings tell it" in by_server.findings[0].expected
    file = tmp_path / "slurm.json"
    file.write_text(json.dumps({"default_slurm_config": {"account": "nobody"}}))
    with pytest.raises(BadInput, match=r"the cluster takes no job: .* Invalid account"):
        cluster_verdicts(wheel, tmp_path, slurm_config=file)
