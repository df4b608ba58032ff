"""The environment of a fractal-server: made once, and anew where it is broken."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from pytest_fractal.environments.environments import Environment
from pytest_fractal.server.environment import server_environment


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No environment of a server is there; but uv keeps its own cache."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    monkeypatch.setenv("UV_CACHE_DIR", os.environ.get("UV_CACHE_DIR") or str(Path(home, "uv")))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_an_environment_is_made_once_however_many_ask_at_once(empty_cache: Path) -> None:
    made: list[Path] = []

    def finish(environment: Environment) -> None:
        made.append(environment.folder)

    arguments = ["1.4.10", finish]
    threads = [threading.Thread(target=server_environment, args=arguments) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    environment = server_environment("1.4.10", finish)
    assert made == [environment.folder]
    assert environment.folder.is_relative_to(empty_cache)
    assert environment.versions()["fractal-server"] == "1.4.10"


def test_an_environment_whose_interpreter_is_gone_is_made_anew(empty_cache: Path) -> None:
    made: list[Path] = []

    def finish(environment: Environment) -> None:
        made.append(environment.folder)

    environment = server_environment("1.4.10", finish)
    environment.python.unlink()
    environment.python.symlink_to(empty_cache / "gone")
    assert server_environment("1.4.10", finish).python.exists()
    assert len(made) == 2
