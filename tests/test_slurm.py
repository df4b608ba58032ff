"""Commands as jobs of a real SLURM, which is started here on one machine."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import slurm_cluster
from slurm_cluster import MEMORY, PATIENCE, Cluster, cluster_fixture, wait_until  # noqa: F401
from wheel_factory import TASK_SOURCE, good_manifest, make_wheel

from pytest_fractal import BadInput, HarnessError, check_package
from pytest_fractal.processes.executors import JobOptions, LocalExecutor
from pytest_fractal.processes.processes import Finished, Limit
from pytest_fractal.processes.slurm import SlurmExecutor
from pytest_fractal.processes.slurm_queue import JOBS
from pytest_fractal.verdicts import Outcome, Verdict

pytestmark = slurm_cluster.MARKS

SMALL = JobOptions((f"#SBATCH --mem={MEMORY // 4}M",))
LONG = 600.0


@pytest.fixture(autouse=True)
def _here(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test finds the cluster at work, and leaves nothing in its queue."""
    monkeypatch.setenv("SLURM_CONF", str(cluster.conf))
    yield
    cluster.start(*cluster.stopped)
    wait_until(lambda: cluster.queue == [])


@pytest.fixture
def executor(tmp_path: Path) -> Iterator[SlurmExecutor]:
    executor = SlurmExecutor(2, tmp_path, SMALL)
    yield executor
    executor.close()


def start(
    executor: SlurmExecutor | LocalExecutor,
    folder: Path,
    script: str,
    *,
    job: JobOptions = SMALL,
    timeout: float = LONG,
) -> Finished:
    """Run a script of a shell in a fresh folder, beside a file that it may read."""
    folder.mkdir(parents=True)
    (folder / "arguments.json").write_text("{}")
    return executor.run(
        ["/bin/sh", "-c", script],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "GIVEN": "yes"},
        timeout=timeout,
        room=folder,
        watched=folder / "arguments.json",
        job=job,
    )


@pytest.mark.parametrize(
    ("script", "timeout"),
    [
        ("cat arguments.json; echo $GIVEN; exit 3", LONG),
        ("echo said; echo blamed >&2", LONG),
        ("kill -SEGV $$", LONG),
        ("/nowhere/program", LONG),
        ("sleep 600 & echo $GIVEN", LONG),
        ("sleep 600", 1.0),
    ],
    ids=["reads", "prints", "signal", "no program", "leaves a process", "too late"],
)
def test_a_command_ends_on_a_node_as_it_ends_here(
    executor: SlurmExecutor, tmp_path: Path, script: str, timeout: float
) -> None:
    def seen(finished: Finished) -> tuple[object, ...]:
        return (
            finished.argv,
            finished.returncode,
            finished.stdout,
            finished.stderr,
            finished.timed_out,
            finished.left,
            finished.read,
        )

    here = start(LocalExecutor(1), tmp_path / "here", script, timeout=timeout)
    there = start(executor, tmp_path / "there", script, timeout=timeout)
    assert seen(there) == seen(here)
    assert there.limit is None


def test_what_a_job_has_is_known_to_the_command(executor: SlurmExecutor, tmp_path: Path) -> None:
    job = JobOptions((*SMALL.lines, "#SBATCH --cpus-per-task=2", "export LINE='of meta'"))
    ended = start(executor, tmp_path / "run", "echo $SLURM_CPUS_PER_TASK $LINE", job=job)
    assert ended.stdout == "2 of meta\n"
    assert "PYTEST_FRACTAL_KEY" not in start(executor, tmp_path / "env", "env").stdout


def test_too_much_memory_is_reported(executor: SlurmExecutor, tmp_path: Path) -> None:
    job = JobOptions(("#SBATCH --mem=150M",))
    hungry = f"{sys.executable} -c 'import time; b = bytearray(500 * 2**20); time.sleep(600)'"
    ended = start(executor, tmp_path / "run", hungry, job=job)
    assert ended.limit is Limit.MEMORY
    assert ended.ending.startswith("killed by SLURM, for it took more memory than its job has (")
    assert "which asked for --mem=150M, and was seen to have " in ended.ending
    assert int(ended.ending.rpartition(" have ")[2].split()[0]) > 150


def test_more_memory_than_asked_for_is_reported_where_nobody_kills_for_it(
    cluster: Cluster, executor: SlurmExecutor, tmp_path: Path
) -> None:
    """As the node sees it: what four processes share is counted once."""
    holding = (
        "import os, time; held = b'x' * (200 * 2**20); children = [os.fork() for _ in '12']; "
        "time.sleep(3); all(children) and [os.wait() for _ in children]"
    )
    script = f'{sys.executable} -c "{holding}"'

    def asking(memory: str) -> Finished:
        job = JobOptions((f"#SBATCH --mem={memory}",))
        return start(executor, tmp_path / memory, script, job=job)

    with cluster.without(slurm_cluster.KILLS):
        little, enough = asking("150M"), asking("300M")
    assert (little.returncode, little.limit) == (0, None)
    assert re.fullmatch(
        r"SLURM job \S+ on node \S+ asked for 150 MB, and was seen to have 2\d\d MB",
        little.excess,
    )
    assert enough.excess == ""


@pytest.mark.slow
def test_too_long_is_reported(executor: SlurmExecutor, tmp_path: Path) -> None:
    """A minute is the least that SLURM counts."""
    job = JobOptions((*SMALL.lines, "#SBATCH --time=00:01:00"))
    ended = start(executor, tmp_path / "run", "sleep 600", job=job)
    assert ended.limit is Limit.TIME
    assert "which asked for --time=00:01:00" in ended.ending


def ids_of(ends: Sequence[Finished]) -> set[str]:
    return {end.stdout.split()[0] for end in ends}


def run_units(executor: SlurmExecutor, folder: Path, units: int) -> list[Finished]:
    with ThreadPoolExecutor(units) as threads:
        return list(
            threads.map(
                lambda number: start(executor, folder / str(number), "echo $SLURM_ARRAY_JOB_ID"),
                range(units),
            )
        )


def overlap(ends: Sequence[Finished]) -> int:
    """How many ran at the same time."""
    return max(
        sum(end.started <= begun.started < end.started + end.seconds for end in ends)
        for begun in ends
    )


def test_units_become_one_array_of_which_so_many_run(
    executor: SlurmExecutor, tmp_path: Path
) -> None:
    ends = run_units(executor, tmp_path / "units", 6)
    assert [end.returncode for end in ends] == [0] * 6
    assert len(ids_of(ends)) == 1
    assert overlap(ends) <= executor.width


@pytest.mark.slow
def test_500_units_become_one_array(executor: SlurmExecutor, tmp_path: Path) -> None:
    ends = run_units(executor, tmp_path / "units", 500)
    assert [end.returncode for end in ends] == [0] * 500
    assert len(ids_of(ends)) == 1
    assert overlap(ends) <= executor.width


def in_background(executor: SlurmExecutor, folder: Path, script: str) -> Future[Finished]:
    return ThreadPoolExecutor(1).submit(start, executor, folder, script)


def test_a_controller_that_is_down_is_waited_for(
    cluster: Cluster, executor: SlurmExecutor, tmp_path: Path
) -> None:
    """While a job runs, and before one is submitted."""
    running = in_background(
        executor, tmp_path / "one", "touch here; while [ ! -e go ]; do sleep 0.1; done; echo done"
    )
    wait_until((tmp_path / "one" / "here").exists)
    cluster.stop("slurmctld")
    (tmp_path / "one" / "go").touch()
    waiting = in_background(executor, tmp_path / "two", "echo done")
    assert running.result(PATIENCE).stdout == "done\n"
    assert not waiting.done()
    cluster.start("slurmctld")
    assert waiting.result(PATIENCE).stdout == "done\n"


def test_a_job_that_somebody_cancels_is_no_fault_of_the_command(
    cluster: Cluster, executor: SlurmExecutor, tmp_path: Path
) -> None:
    running = in_background(executor, tmp_path / "run", "touch here; sleep 600")
    wait_until((tmp_path / "run" / "here").exists)
    (job,) = cluster.queue
    number = job.split()[0]
    cluster.call("scancel", number)
    with pytest.raises(HarnessError, match=rf"SLURM job {number} on node .* was cancelled by"):
        running.result(PATIENCE)


def test_a_node_that_fails_is_no_fault_of_the_command(
    cluster: Cluster, executor: SlurmExecutor, tmp_path: Path
) -> None:
    running = in_background(executor, tmp_path / "run", "touch here; sleep 600")
    wait_until((tmp_path / "run" / "here").exists)
    (node,) = cluster.said("sinfo", "-h", "-o", "%n").split()
    cluster.call("scontrol", "update", f"nodename={node}", "state=down", "reason=trial")
    try:
        with pytest.raises(
            HarnessError, match=r"SLURM job \S+ on node \S+ was lost with its node"
        ):
            running.result(PATIENCE)
    finally:
        cluster.call("scontrol", "update", f"nodename={node}", "state=resume")


def test_a_daemon_that_is_started_anew_disturbs_no_job(
    cluster: Cluster, executor: SlurmExecutor, tmp_path: Path
) -> None:
    running = in_background(
        executor, tmp_path / "run", "touch here; while [ ! -e go ]; do sleep 0.1; done; echo done"
    )
    wait_until((tmp_path / "run" / "here").exists)
    cluster.stop("slurmd")
    cluster.start("slurmd")
    (tmp_path / "run" / "go").touch()
    assert running.result(PATIENCE).stdout == "done\n"


def test_what_a_package_writes_for_sbatch_changes_no_run(
    executor: SlurmExecutor, tmp_path: Path
) -> None:
    """Where a job writes, what it is called and how often it runs is the run's own affair."""
    own = [
        *("#SBATCH --array=0-3", f"#SBATCH --output={tmp_path}/mine", "#SBATCH --wait"),
        *("#SBATCH --job-name=mine", f"#SBATCH --chdir={tmp_path}", "#SBATCH --requeue"),
        f"echo line >> {tmp_path}/run/lines",
    ]
    job = JobOptions((*SMALL.lines, *own))
    ended = start(executor, tmp_path / "run", "pwd; echo $SLURM_JOB_NAME", job=job)
    assert ended.stdout.split() == [str(tmp_path / "run"), tmp_path.name]
    assert (tmp_path / "run" / "lines").read_text() == "line\n"
    assert not (tmp_path / "mine").exists()


def test_a_job_that_never_starts_is_given_up(executor: SlurmExecutor, tmp_path: Path) -> None:
    job = JobOptions((*SMALL.lines, "#SBATCH --hold"))
    with pytest.raises(HarnessError, match="will never be started: JobHeldUser"):
        start(executor, tmp_path / "run", "true", job=job)


def test_a_job_that_vanishes_is_reported_by_its_id(
    cluster: Cluster, executor: SlurmExecutor, tmp_path: Path
) -> None:
    running = in_background(executor, tmp_path / "run", "touch here; sleep 600")
    wait_until((tmp_path / "run" / "here").exists)
    (job,) = cluster.queue
    cluster.forget_jobs()
    with pytest.raises(HarnessError, match=rf"SLURM job {job.split()[0]}.* has vanished"):
        running.result(PATIENCE)


def test_closing_cancels_what_runs_and_what_waits_and_nothing_else(
    cluster: Cluster, executor: SlurmExecutor, tmp_path: Path
) -> None:
    other = cluster.foreign_job()
    running = in_background(executor, tmp_path / "one", "touch here; sleep 600")
    wait_until((tmp_path / "one" / "here").exists)
    waiting = [in_background(executor, tmp_path / f"w{n}", "sleep 600") for n in range(3)]
    executor.close()
    for future in (running, *waiting):
        with pytest.raises(HarnessError, match="the run was stopped"):
            future.result(PATIENCE)
    wait_until(lambda: [job.split()[0] for job in cluster.queue] == [other])
    cluster.call("scancel", other)


def test_an_answer_that_no_job_has_written_is_refused(
    executor: SlurmExecutor, tmp_path: Path
) -> None:
    running = in_background(executor, tmp_path / "run", "touch here; sleep 600")
    wait_until((tmp_path / "run" / "here").exists)
    (folder,) = (tmp_path / JOBS).iterdir()
    forged = {"finished": {"argv": [], "returncode": 0, "stdout": "", "stderr": "", "seconds": 0}}
    (folder / "0.answer").write_text("0" * 64 + "\n" + json.dumps(forged))
    with pytest.raises(HarnessError, match="an answer that it has not written itself"):
        running.result(PATIENCE)
    executor.close()


def cluster_verdicts(wheel: Path, folder: Path, **options: object) -> list[Verdict]:
    report = check_package(
        wheel,
        executor="slurm",
        folder=folder,
        **{"select": ["FR903"], **options},  # type: ignore[arg-type]
    )
    return list(report.candidates[0].verdicts)


def with_meta(*metas: object) -> dict[str, object]:
    """A manifest with a task for each `meta`."""
    manifest = good_manifest()
    (task,) = manifest["task_list"]
    manifest["task_list"] = [
        {**task, "name": f"Task {number}", "meta": meta} for number, meta in enumerate(metas)
    ]
    return manifest


REFUSED = [
    ({"mem": "1T"}, "mem", '"1T": sbatch says "'),
    ({"mem": "1T", "cpus_per_task": 1}, "mem", "of #SBATCH --mem=1000000M"),
    ({"cpus_per_task": 99}, "cpus_per_task", "of #SBATCH --cpus-per-task=99"),
    ({"constraint": "quick"}, "constraint", "Invalid feature specification"),
    ({"gres": "gpu:2"}, "gres", "Requested node configuration is not available"),
    ({"gres": "fpga:1"}, "gres", "Invalid generic resource"),
    ({"time": "soon"}, "time", "Invalid --time specification"),
    (
        {"extra_lines": ["#SBATCH --partition=night"]},
        "extra_lines",
        "invalid partition specified: night",
    ),
    ({"mem": "4X"}, "mem", '"4X": jobs with it fail on SLURM'),
]


def test_what_the_cluster_refuses_is_found_at_its_key(tmp_path: Path) -> None:
    taken = [
        {},
        {"mem": "1G", "cpus_per_task": 2, "constraint": "fast", "time": "10:00"},
        {"partition": "night"},  # which the server does not hand on: FR111 tells
        {"extra_lines": ["export A=1", "#SBATCH --comment=mine"], "needs_gpu": True},
    ]
    manifest = with_meta(*(meta for meta, *_ in REFUSED), *taken)
    verdicts = cluster_verdicts(make_wheel(tmp_path, manifest=manifest), tmp_path)
    assert len(verdicts) == len(REFUSED) + len(taken)
    for number, (verdict, (_, key, said)) in enumerate(zip(verdicts, REFUSED, strict=False)):
        (found,) = verdict.findings
        assert found.pointer == f"/task_list/{number}/meta/{key}"
        assert said in found.found
    assert [verdict.outcome for verdict in verdicts[len(REFUSED) :]] == [Outcome.PASS] * len(taken)


def test_the_clusters_own_settings_count(tmp_path: Path) -> None:
    settings = {
        "default_slurm_config": {"partition": "main", "cpus_per_task": 1, "mem": "500M"},
        "gpu_slurm_config": {"constraint": "gpu"},
        "batching_config": {
            "target_cpus_per_job": 2,
            "max_cpus_per_job": 2,
            "target_mem_per_job": 2000,
            "max_mem_per_job": 3000,
            "target_num_jobs": 2,
            "max_num_jobs": 4,
        },
    }
    (file := tmp_path / "slurm.json").write_text(json.dumps(settings))
    wheel = make_wheel(
        tmp_path,
        manifest=with_meta(
            {},
            {"needs_gpu": True},
            {"mem": 3500, "parallelization_level": "image"},
            {"mem": 2500, "parallelization_level": "image"},
        ),
    )
    plain, gpu, large, fits = cluster_verdicts(wheel, tmp_path, slurm_config=file)
    assert plain.outcome is fits.outcome is Outcome.PASS
    assert gpu.findings[0].pointer == "/task_list/1/meta/needs_gpu"
    assert "#SBATCH --constraint=gpu" in gpu.findings[0].found
    assert "3000 MB in a job, the max_mem_per_job" in large.findings[0].expected
    settings["default_slurm_config"] = {"partition": "night"}
    file.write_text(json.dumps(settings))
    with pytest.raises(BadInput, match="the cluster takes no job: invalid partition specified"):
        cluster_verdicts(wheel, tmp_path, slurm_config=file)


def test_a_refused_job_blocks_what_would_start_it(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, manifest=with_meta({"mem": "1T"}))
    by_code = {
        verdict.code: verdict
        for verdict in cluster_verdicts(wheel, tmp_path, select=["FR903", "FR301"])
    }
    assert by_code["FR903"].outcome is Outcome.FAIL
    assert by_code["FR301"].outcome is Outcome.BLOCKED


HUNGRY = TASK_SOURCE.replace(
    "    return {}", "    import time\n\n    held = bytearray(600 * 2**20)\n    time.sleep(600)"
)


def test_a_finding_says_that_a_task_took_too_much(tmp_path: Path) -> None:
    samples = tmp_path / "samples"
    samples.mkdir()
    (samples / "demo.json").write_text(json.dumps({"task": "Task 0", "args": {}}))
    wheel = make_wheel(
        tmp_path,
        manifest=with_meta({"mem": 200}),
        files={"__init__.py": "", "task.py": HUNGRY},
    )
    verdicts = cluster_verdicts(wheel, tmp_path, select=["FR401"], samples=samples)
    (found,) = [found for verdict in verdicts for found in verdict.findings]
    assert "killed by SLURM, for it took more memory than its job has" in found.found
    assert found.hint == (
        "let 'meta' of the task 'Task 0' ask for more (its key \"mem\"), or let the task take "
        "less memory"
    )


def test_an_array_that_began_narrow_gets_what_others_leave(
    cluster: Cluster, executor: SlurmExecutor, tmp_path: Path
) -> None:
    """While one of two runs, only one of the array does; when it has ended, two."""
    first = in_background(
        executor, tmp_path / "first", "touch here; while [ ! -e go ]; do sleep 0.1; done"
    )
    wait_until((tmp_path / "first" / "here").exists)
    job = JobOptions(("#SBATCH --mem=100M",))
    script = "touch here; while [ ! -e ../go ]; do sleep 0.1; done"
    units = [tmp_path / "units" / str(number) for number in range(4)]

    def at_work() -> int:
        return sum((unit / "here").exists() for unit in units)

    with ThreadPoolExecutor(4) as threads:
        ends = [threads.submit(start, executor, unit, script, job=job) for unit in units]
        wait_until(lambda: at_work() == 1)
        (tmp_path / "first" / "go").touch()
        assert first.result(PATIENCE).returncode == 0
        wait_until(lambda: at_work() == 2)
        (tmp_path / "units" / "go").touch()
        assert [end.result(PATIENCE).returncode for end in ends] == [0] * 4


def test_a_run_that_is_stopped_while_the_controller_is_down_ends(
    cluster: Cluster, executor: SlurmExecutor, tmp_path: Path
) -> None:
    cluster.stop("slurmctld")
    waiting = in_background(executor, tmp_path / "run", "true")
    wait_until((tmp_path / JOBS).exists)
    executor.close()
    with pytest.raises(HarnessError, match="the run was stopped"):
        waiting.result(PATIENCE)
