"""A fact is gathered once, however many threads and processes ask for it."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_fractal.candidate.store import Store
from pytest_fractal.errors import BadInput, HarnessError


def test_a_value_is_gathered_once_and_kept(tmp_path: Path) -> None:
    store = Store(tmp_path)
    asked: list[int] = []
    assert store.once("key", lambda: asked.append(1) or "value") == "value"  # type: ignore[func-returns-value]
    assert store.once("key", lambda: asked.append(2) or "other") == "value"  # type: ignore[func-returns-value]
    assert asked == [1]


@pytest.mark.parametrize("value", [None, 0, "", False, [], {}])
def test_values_that_count_as_false_are_kept_too(tmp_path: Path, value: object) -> None:
    store = Store(tmp_path)
    store.once("key", lambda: value)
    for again in (store, Store(tmp_path)):
        assert again.once("key", lambda: "another") == value


def test_threads_that_ask_at_the_same_time_gather_once(tmp_path: Path) -> None:
    store, together, asked = Store(tmp_path), threading.Barrier(8), []

    def gather() -> int:
        asked.append(threading.get_ident())
        return len(asked)

    def ask(number: int) -> int:
        together.wait()
        # Half of them with a store of their own, as another process would have.
        return (store if number % 2 else Store(tmp_path)).once("key", gather)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {1}
    assert len(asked) == 1


def test_different_keys_do_not_wait_for_each_other(tmp_path: Path) -> None:
    store, other = Store(tmp_path), threading.Event()

    def slow() -> bool:
        return other.wait(20)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(store.once, "slow", slow)
        store.once("quick", other.set)
        assert waiting.result() is True


def test_a_fact_may_ask_for_other_facts(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.once("outer", lambda: store.once("inner", lambda: 1) + 1) == 2


def test_processes_that_ask_at_the_same_time_gather_once(tmp_path: Path) -> None:
    script = """
import os, sys
from pathlib import Path
from pytest_fractal.candidate.store import Store

folder = Path(sys.argv[1])

def gather():
    with (folder / "asked").open("a") as file:
        file.write(f"{os.getpid()}\\n")
    return os.getpid()

sys.stdout.write("ready\\n"); sys.stdout.flush()
sys.stdin.readline()
print(Store(folder / "facts").once("key", gather))
"""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, tmp_path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = {process.communicate()[0] for process in running}
    assert len(said) == 1
    assert len((tmp_path / "asked").read_text().splitlines()) == 1


@pytest.mark.parametrize("kind", [BadInput, HarnessError])
def test_errors_of_input_and_machine_are_remembered(tmp_path: Path, kind: type[Exception]) -> None:
    store, asked = Store(tmp_path), []

    def fail() -> None:
        asked.append(1)
        raise kind("no such folder")

    for again in (store, store, Store(tmp_path)):
        with pytest.raises(kind, match="no such folder"):
            again.once("key", fail)
    assert len(asked) == 1


def test_a_bug_is_not_kept(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(ZeroDivisionError):
        store.once("key", lambda: 1 // 0)
    assert store.span("key") is None
    assert store.once("key", lambda: "value") == "value"


def test_a_value_that_cannot_be_kept_leaves_nothing_behind(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(Exception, match="pickle"):
        store.once("key", lambda: threading.Lock())
    assert store.once("key", lambda: "value") == "value"
    assert store.values("key") == ["value"]


def test_spans_and_values_are_known_to_every_store_of_the_folder(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.once("start-a", lambda: "a")
    store.once("start-b", lambda: "b")
    store.once("other", lambda: "c")
    with pytest.raises(BadInput):
        store.once("start-c", lambda: _raise(BadInput("bad")))
    for again in (store, Store(tmp_path)):
        assert again.values("start-") == ["a", "b"]
        first, failed = again.span("start-a"), again.span("start-c")
        assert first is not None
        assert failed is not None
        assert failed.started >= first.started > 0
        assert first.seconds >= 0
        assert again.span("never") is None


def _raise(error: Exception) -> None:
    raise error
