"""What took long in the last run begins first in the next one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from wheel_factory import TASK_SOURCE, make_wheel

from pytest_fractal import check_package
from pytest_fractal.candidate.start_seconds import StartSeconds
from pytest_fractal.engine import Check, _first_of_each

TASKS = ("Oak", "Fig")
ENTRY = {"input_type": "image", "output_type": "image", "meta": {}}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UV_CACHE_DIR", str(Path("~/.cache/uv").expanduser()))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "pytest-fractal" / "start-seconds"


def test_what_begins_first_is_decided_by_the_seconds_of_the_last_run(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In which order they begin then is a matter of `test_engine.py`."""
    entries = [{**ENTRY, "name": name, "executable": f"{name}.py"} for name in TASKS]
    manifest = {"manifest_version": "1", "task_list": entries, "has_args_schemas": False}
    wheel = make_wheel(
        tmp_path, files={f"{name}.py": TASK_SOURCE for name in TASKS}, manifest=manifest
    )
    used: list[Mapping[str, float]] = []

    def first_of_each(
        checks: list[Check], share: float, seconds: Mapping[str, float]
    ) -> Sequence[Check]:
        used.append(dict(seconds))
        return _first_of_each(checks, share, seconds)

    monkeypatch.setattr("pytest_fractal.engine._first_of_each", first_of_each)
    check_package(wheel, select=["FR301"], jobs=1)
    (file,) = cache.glob("*.json")
    kept = json.loads(file.read_text())
    assert kept.keys() == {name.lower() for name in TASKS}
    check_package(wheel, select=["FR301"], jobs=1)
    assert used == [{}, kept]
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
