"""What took long in the last run begins first in the next one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from wheel_factory import TASK_SOURCE, make_wheel

from pytest_fractal import check_package
from pytest_fractal.candidate.start_seconds import StartSeconds

TASKS = ("Oak", "Elm", "Ash", "Fir", "Yew", "Bay", "Box", "Fig")
ENTRY = {"input_type": "image", "output_type": "image", "meta": {}}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UV_CACHE_DIR", str(Path("~/.cache/uv").expanduser()))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "pytest-fractal" / "start-seconds"


def started(wheel: Path) -> list[str]:
    """The tasks of a run with one command at a time, in the order of their starts."""
    report = check_package(wheel, select=["FR301"], jobs=1)
    runs = sorted(report.candidates[0].runs, key=lambda run: run.started)
    return [run.task for run in runs]


def test_the_longest_task_of_the_last_run_begins_first(cache: Path, tmp_path: Path) -> None:
    entries = [{**ENTRY, "name": name, "executable": f"{name}.py"} for name in TASKS]
    manifest = {"manifest_version": "1", "task_list": entries, "has_args_schemas": False}
    wheel = make_wheel(
        tmp_path, files={f"{name}.py": TASK_SOURCE for name in TASKS}, manifest=manifest
    )
    assert sorted(started(wheel)) == sorted(name.lower() for name in TASKS)
    (file,) = cache.glob("*.json")
    seconds = json.loads(file.read_text())
    assert seconds.keys() == {name.lower() for name in TASKS}
    # Whoever judges meanwhile asks for the tasks in their order, by which it would be the last.
    file.write_text(json.dumps({**dict.fromkeys(seconds, 0.1), "fig": 99}))
    assert "fig" in started(wheel)[:6]
    assert StartSeconds("another").read() == {}


@pytest.mark.parametrize("content", ["", "[1]", "[" * 100_000, '{"a": "b", "c": {}}'])
def test_what_is_no_list_of_seconds_is_ignored(cache: Path, content: str) -> None:
    kept = StartSeconds("owner")
    kept.keep([("a", 1.0), ("a", 3.0), ("b", 2.0)])
    assert kept.read() == {"a": 3.0, "b": 2.0}
    kept.keep([("b", 4.0)])
    assert kept.read() == {"a": 3.0, "b": 4.0}
    (file,) = cache.iterdir()
    file.write_text(content)
    assert kept.read() == {}


def test_it_is_kept_of_so_many_candidates(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_fractal.candidate.start_seconds._KEPT", 3)
    for number in range(5):
        StartSeconds(f"owner {number}").keep([("a", 1.0)])
    assert len([*cache.iterdir()]) == 3
    assert StartSeconds("owner 4").read() == {"a": 1.0}
