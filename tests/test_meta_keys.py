"""FR111: what the servers' runners read in `meta`.

The table was made by the servers' own functions: `get_slurm_config`, `heuristics` and
`to_sbatch_preamble` of 1.4.10 and 2.18.5, and jobs of their local runners.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from wheel_factory import good_manifest, make_wheel, verdicts

from pytest_fractal.generations import GENERATIONS
from pytest_fractal.verdicts import Outcome

TABLE: list[tuple[str, Any, str]] = [
    # A command that runs once and a parallel one of 1.4.10, then those of 2.18.5;
    # E: its jobs fail, W: they fail on SLURM only, -: they run.
    ("parallel_tasks_per_job", None, "----"),
    ("parallel_tasks_per_job", 2, "-WWW"),
    ("parallel_tasks_per_job", True, "-WWW"),
    ("parallel_tasks_per_job", "2", "-WWE"),
    ("parallel_tasks_per_job", 1.9, "-WWE"),
    ("parallel_tasks_per_job", 2.0, "-WWE"),
    ("parallel_tasks_per_job", 0, "-E-E"),
    ("parallel_tasks_per_job", False, "-E-E"),
    ("parallel_tasks_per_job", 0.5, "-EWE"),
    ("parallel_tasks_per_job", "0", "-E-E"),
    ("parallel_tasks_per_job", -1, "-EWE"),
    ("parallel_tasks_per_job", "text", "EEWE"),
    ("parallel_tasks_per_job", "", "EEWE"),
    ("parallel_tasks_per_job", "1.9", "EEWE"),
    ("parallel_tasks_per_job", [], "EEWE"),
    ("parallel_tasks_per_job", {"a": 1}, "EEWE"),
    ("tasks_per_job", None, "----"),
    ("tasks_per_job", 0, "----"),
    ("tasks_per_job", 5, "-WWW"),
    ("tasks_per_job", -5, "-WWW"),
    ("tasks_per_job", "five", "WWWW"),
    ("tasks_per_job", 1.9, "-WWW"),
    ("cpus_per_task", 4, "----"),
    ("cpus_per_task", "4", "----"),
    ("cpus_per_task", 1.9, "----"),
    ("cpus_per_task", "1.9", "WWWW"),
    ("cpus_per_task", "four", "WWWW"),
    ("cpus_per_task", 0, "WWWW"),
    ("cpus_per_task", -1, "WWWW"),
    ("cpus_per_task", None, "WWWW"),
    ("cpus_per_task", [4], "WWWW"),
    ("mem", 4000, "----"),
    ("mem", "4000", "----"),
    ("mem", "4G", "----"),
    ("mem", "4MM", "----"),
    ("mem", "4GB", "WWWW"),
    ("mem", "4 G", "WWWW"),
    ("mem", "1.5G", "WWWW"),
    ("mem", "M4", "WWWW"),
    ("mem", "²", "WWWW"),
    ("mem", 4000.0, "WWWW"),
    ("mem", True, "--WW"),
    ("mem", 0, "-WWW"),
    ("mem", "0G", "-WWW"),
    ("mem", -1, "WWWW"),
    ("mem", None, "WWWW"),
    ("time", "01:00:00", "----"),
    ("time", None, "----"),
    ("time", 60, "--WW"),
    ("time", [], "--WW"),
    ("time", ["01:00:00"], "WWWW"),
    ("gres", 1, "--WW"),
    ("constraint", {"a": 1}, "WWWW"),
    ("gpus", 1, "--WW"),
    ("nodelist", ["a"], "--WW"),
    ("exclude", "a,b", "----"),
    ("nodes", "2", "----"),
    ("nodes", "two", "--WW"),
    ("account", None, "----"),
    ("account", "lab", "WWWW"),
    ("account", "", "WWWW"),
    ("extra_lines", ["#SBATCH --x", "#SBATCH --x"], "----"),
    ("extra_lines", [1], "--WW"),
    ("extra_lines", "#SBATCH --x", "WWWW"),
    ("extra_lines", None, "WWWW"),
    ("needs_gpu", True, "----"),
    ("needs_gpu", "True", "----"),
    ("needs_gpu", "yes", "--WW"),
    ("needs_gpu", 1, "--WW"),
    ("needs_gpu", None, "--WW"),
    ("partition", "main", "----"),
    ("partition", ["main"], "WWWW"),
    ("use_mem_per_cpu", "text", "----"),
    ("pre_submission_commands", [None], "----"),
    ("anything_else", {"a": [None]}, "----"),
]


CASES = [(version, kind) for version in "12" for kind in ("non_parallel", "parallel")]


def told(meta: dict[str, Any], version: str, kind: str) -> dict[str, str]:
    """What is said of each key: E or W."""
    generation = GENERATIONS[version]
    (part,) = generation.runs(kind)
    faults = list(generation.meta_faults(meta, part))
    places = [str(fault.keys[0]) for fault in faults]
    assert len(set(places)) == len(places), "one finding a key"
    return {
        place: "W" if fault.coerced else "E" for place, fault in zip(places, faults, strict=True)
    }


@pytest.mark.parametrize(("key", "value", "expected"), TABLE)
def test_what_breaks_a_job_is_an_error_and_on_slurm_only_a_warning(
    key: str, value: Any, expected: str
) -> None:
    found = [told({key: value}, version, kind) for version, kind in CASES]
    assert "".join(one.pop(key, "-") for one in found) == expected
    assert not any(found), "nothing is said of other keys"


@pytest.mark.parametrize(("version", "kind"), CASES)
def test_the_two_numbers_of_batching_belong_together(version: str, kind: str) -> None:
    assert told({"tasks_per_job": 5, "parallel_tasks_per_job": 2}, version, kind) == {}


def manifest(meta: Any, version: str) -> dict[str, Any]:
    """A manifest with one task that has this `meta`."""
    good = good_manifest()
    (task,) = good["task_list"]
    if version == "1":
        return {**good, "task_list": [{**task, "meta": meta}]}
    new = {
        "name": "Demo task",
        "executable_non_parallel": "task.py",
        "meta_non_parallel": meta,
    }
    return {**good, "manifest_version": "2", "task_list": [new]}


@pytest.mark.parametrize(("version", "deepest"), [("1", 255), ("2", 255)])
def test_meta_is_no_deeper_than_the_server_can_tell(
    tmp_path: Path, version: str, deepest: int
) -> None:
    def outcome(levels: int) -> Outcome:
        value: Any = 1
        for level in range(levels):
            value = [value] if level % 2 and level < levels - 1 else {"a": value}
        (verdict,) = verdicts(make_wheel(tmp_path, manifest=manifest(value, version)), "FR111")
        return verdict.outcome

    assert outcome(deepest) is Outcome.PASS
    assert outcome(deepest + 1) is Outcome.FAIL
