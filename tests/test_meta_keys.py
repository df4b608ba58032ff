"""FR111: what the servers' runners read in `meta`.

What the servers make of each value stands in `agreement/meta_values.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from agreement.meta_values import TABLE
from wheel_factory import good_manifest, make_wheel, verdicts

from pytest_fractal.generations import GENERATIONS
from pytest_fractal.verdicts import Outcome

CASES = [(version, kind) for version in "12" for kind in ("non_parallel", "parallel")]


def reported(meta: dict[str, Any], version: str, kind: str) -> dict[str, str]:
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
    found = [reported({key: value}, version, kind) for version, kind in CASES]
    assert "".join(finding.pop(key, "-") for finding in found) == expected
    assert not any(found), "nothing is said of other keys"


@pytest.mark.parametrize(("version", "kind"), CASES)
def test_the_two_numbers_of_batching_belong_together(version: str, kind: str) -> None:
    assert reported({"tasks_per_job": 5, "parallel_tasks_per_job": 2}, version, kind) == {}


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
