"""A fact is gathered once, however many threads and processes ask for it, and stays ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pytest_fractal.candidate.codec import Undecodable, decode, encode
from pytest_fractal.candidate.store import Fact, Sharing, Store
from pytest_fractal.environments.building import BuildFailure, Built
from pytest_fractal.environments.interpreters import Interpreter
from pytest_fractal.errors import BadInput, HarnessError
from pytest_fractal.generations import ModelFault, RunBlocked, v1
from pytest_fractal.generations.images import Dataset, Image
from pytest_fractal.processes.commands import Start
from pytest_fractal.processes.probing import Attempt, Case, Invocation, Probe, Refusals
from pytest_fractal.processes.processes import Finished
from pytest_fractal.samples.runs import Execution, Run
from pytest_fractal.server.process import ServerProcess
from pytest_fractal.server.version1 import Server1

KEY = b"k" * 32
FACT = Fact[Any]("key", Any)


def shared(folder: Path, key: bytes = KEY) -> Store:
    return Store(Sharing(folder, key))


def test_a_value_is_gathered_once_and_kept(tmp_path: Path) -> None:
    for store in (Store(), shared(tmp_path)):
        asked: list[int] = []
        assert store.once(FACT, lambda: asked.append(1) or "value") == "value"  # type: ignore[func-returns-value] # noqa: B023
        assert store.once(FACT, lambda: asked.append(2) or "other") == "value"  # type: ignore[func-returns-value] # noqa: B023
        assert asked == [1]


def test_without_other_processes_nothing_is_written(tmp_path: Path) -> None:
    store = Store()
    store.once(FACT, lambda: "value")
    assert store.has(FACT)
    assert list(tmp_path.iterdir()) == []
    store.share(Sharing(tmp_path, KEY))
    assert shared(tmp_path).once(FACT, lambda: "another") == "value"


@pytest.mark.parametrize("value", [None, 0, "", False, [], {}])
def test_values_that_count_as_false_are_kept_too(tmp_path: Path, value: object) -> None:
    store = shared(tmp_path)
    store.once(FACT, lambda: value)
    for again in (store, shared(tmp_path)):
        assert again.once(FACT, lambda: "another") == value


def test_threads_that_ask_at_the_same_time_gather_once(tmp_path: Path) -> None:
    store, together, asked = shared(tmp_path), threading.Barrier(8), []

    def gather() -> int:
        asked.append(threading.get_ident())
        return len(asked)

    def ask(number: int) -> int:
        together.wait()
        # Half of them with a store of their own, as another process would have.
        value: int = (store if number % 2 else shared(tmp_path)).once(FACT, gather)
        return value

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {1}
    assert len(asked) == 1


@pytest.mark.parametrize("sharing", [False, True])
def test_different_facts_do_not_wait_for_each_other(tmp_path: Path, sharing: bool) -> None:
    store, other = (shared(tmp_path) if sharing else Store()), threading.Event()

    def slow() -> bool:
        return other.wait(20)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(store.once, Fact("slow", bool), slow)
        store.once(Fact("quick", Any), other.set)
        assert waiting.result() is True


def test_a_fact_may_ask_for_other_facts(tmp_path: Path) -> None:
    store = shared(tmp_path)
    inner = Fact[int]("inner", int)
    assert store.once(FACT, lambda: store.once(inner, lambda: 1) + 1) == 2


def test_processes_that_ask_at_the_same_time_gather_once(tmp_path: Path) -> None:
    script = """
import os, sys
from pathlib import Path
from pytest_fractal.candidate.store import Fact, Sharing, Store

folder = Path(sys.argv[1])

def gather():
    with (folder / "asked").open("a") as file:
        file.write(f"{os.getpid()}\\n")
    return os.getpid()

sys.stdout.write("ready\\n"); sys.stdout.flush()
key = bytes.fromhex(sys.stdin.readline())
print(Store(Sharing(folder / "facts", key)).once(Fact("key", int), gather))
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
        process.stdin.write(f"{KEY.hex()}\n")
        process.stdin.flush()
    said = {process.communicate()[0] for process in running}
    assert len(said) == 1
    assert len((tmp_path / "asked").read_text().splitlines()) == 1


@pytest.mark.parametrize("kind", [BadInput, HarnessError])
def test_errors_of_input_and_machine_are_remembered(tmp_path: Path, kind: type[Exception]) -> None:
    store, asked = shared(tmp_path), []

    def fail() -> None:
        asked.append(1)
        raise kind("no such folder")

    for again in (store, store, shared(tmp_path)):
        with pytest.raises(kind, match="no such folder"):
            again.once(FACT, fail)
    assert len(asked) == 1


def test_a_bug_is_not_kept(tmp_path: Path) -> None:
    store = shared(tmp_path)
    with pytest.raises(ZeroDivisionError):
        store.once(FACT, lambda: 1 // 0)
    assert store.span("key") is None
    assert store.once(FACT, lambda: "value") == "value"


def test_a_value_that_cannot_be_kept_leaves_nothing_behind(tmp_path: Path) -> None:
    store = shared(tmp_path)
    with pytest.raises(TypeError, match="JSON"):
        store.once(FACT, threading.Lock)
    assert store.once(FACT, lambda: "value") == "value"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key.json", "key.lock"]


def test_spans_and_values_are_known_to_every_store_of_the_folder(tmp_path: Path) -> None:
    store, start = shared(tmp_path), Fact[str]("start", str)
    store.once(start.of("a"), lambda: "a")
    store.once(start.of("b"), lambda: "b")
    store.once(Fact("other", str), lambda: "c")
    with pytest.raises(BadInput):
        store.once(start.of("c"), lambda: raises(BadInput("bad")))
    for again in (store, shared(tmp_path)):
        assert sorted(again.values(start)) == ["a", "b"]
        first, failed = (again.span(start.of(name).name) for name in "ac")
        assert first is not None
        assert failed is not None
        assert failed.started >= first.started > 0
        assert first.seconds >= 0
        assert again.span("never") is None


def raises(error: Exception) -> Any:
    raise error


# What others write there


CHANGED = "was changed by another process"


def text(store: Store, value: object, fact: Fact[Any] = FACT) -> Path:
    store.once(fact, lambda: value)
    assert store._sharing is not None
    return store._sharing.folder / f"{fact.name}.json"


def forged(tmp_path: Path) -> str:
    """A whole file of a fact, made by somebody who knows all but the key."""
    return text(shared(tmp_path / "theirs" / "package-0", b"x" * 32), "forged").read_text()


def of_another_fact(tmp_path: Path) -> str:
    store = shared(tmp_path / "package-0")
    return text(store, "forged", Fact("another", Any)).read_text()


def of_another_candidate(tmp_path: Path) -> str:
    return text(shared(tmp_path / "package-1"), "forged").read_text()


def with_another_value(tmp_path: Path) -> str:
    return text(shared(tmp_path / "package-0"), "value").read_text().replace("value", "forged")


def cut(tmp_path: Path) -> str:
    return text(shared(tmp_path / "package-0"), "value").read_text()[:-1]


@pytest.mark.parametrize(
    "content",
    [
        forged,
        of_another_fact,
        of_another_candidate,
        with_another_value,
        cut,
        lambda _: "",
        lambda _: '"forged"',
        lambda _: "\ud800",
        lambda _: "(" * 100_000,
    ],
)
def test_what_somebody_else_writes_is_no_fact(
    tmp_path: Path, content: Callable[[Path], str]
) -> None:
    written = content(tmp_path).encode(errors="surrogatepass")
    (tmp_path / "package-0").mkdir(exist_ok=True)
    (tmp_path / "package-0" / "key.json").write_bytes(written)
    store = shared(tmp_path / "package-0")
    with pytest.raises(HarnessError, match=CHANGED):
        store.once(FACT, lambda: "gathered anew")
    assert store.peek(FACT) is None
    assert store.span("key") is None
    assert store.values(Fact("ke", Any)) == []


@pytest.mark.parametrize("name", ["key.json", "key.lock"])
@pytest.mark.parametrize("what", ["pipe", "link", "link to itself", "folder"])
def test_nothing_in_the_place_of_a_file_is_waited_for(
    tmp_path: Path, name: str, what: str
) -> None:
    place = tmp_path / "facts" / name
    place.parent.mkdir()
    (tmp_path / "mine").write_text("mine")
    match what:
        case "pipe":
            os.mkfifo(place)
        case "link":
            place.symlink_to(tmp_path / "mine")
        case "link to itself":
            place.symlink_to(place)
        case "folder":
            place.mkdir()
    store = shared(tmp_path / "facts")
    with pytest.raises(HarnessError, match=r"changed by another process|cannot be locked"):
        store.once(FACT, lambda: "value")
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_file_that_is_being_written_is_not_written_through_a_link(tmp_path: Path) -> None:
    """Its name cannot be foreseen, and it is replaced as a whole."""
    (tmp_path / "key.partial").symlink_to(tmp_path / "mine")
    shared(tmp_path).once(FACT, lambda: "value")
    assert not (tmp_path / "mine").exists()
    assert (tmp_path / "key.json").stat().st_mode & 0o777 == 0o600


def test_the_folder_is_for_its_user_alone(tmp_path: Path) -> None:
    shared(tmp_path / "facts")
    assert (tmp_path / "facts").stat().st_mode & 0o777 == 0o700


# The text of facts


FINISHED = Finished(
    ("a", "--b"), -9, "out \udcff", "err\n", 1.5, True, 2.5, ("sleep 9",), (), 7, True
)
START = Start(FINISHED, None, '{"a": \udcff}', "/a/arguments.json", "/a/output.json", "a folder")
PARTS = v1.VERSION_1.parts({})


def run_of(state: Any) -> Run:
    return Run(
        "the sample",  # type: ignore[arg-type]
        (Execution(PARTS[0], "B/03", {"a": [1, {"b": None}], "nan": 1e999}, START),),
        RunBlocked("e", "f", "h", False),
        state,
        "/tmp/x",
        ((0, ModelFault(("images", 0, "zarr_url"), "e", "f", True)),),
        ("a/b",),
    )


FACTS: list[tuple[Any, Any]] = [
    (Interpreter, Interpreter(Path("/usr/bin/python"), "3.11.2", (3, 11), None)),
    (Built, Built(Path("/a/b.whl"))),
    (Built, Built(None, BuildFailure("sdist", "it \ud800 failed"))),
    (
        Probe,
        Probe(
            ("-j", "--metadata-out"),
            START,
            True,
            (Attempt(Invocation(("{arguments}",)), START, False),),
            {"x": [1]},
            ("y",),
        ),
    ),
    (
        Refusals,
        Refusals((Case("lacking", START, True, None), Case("unknown", START, False, START))),
    ),
]


@pytest.mark.parametrize(("kind", "value"), FACTS)
def test_every_fact_comes_back_as_it_was(kind: Any, value: Any) -> None:
    assert decode(kind, encode(value)) == value


@pytest.mark.parametrize(
    "state",
    [
        v1.Dataset({"plate": ["a"], "deep": {"é\ud800": None}}, "/out"),
        Dataset(
            "/zarr", (Image("/zarr/a", None, {"well": "B03"}, {"is_3D": True}),), {"x": False}
        ),
    ],
)
def test_a_run_comes_back_without_its_sample(state: Any) -> None:
    run = run_of(state)
    reported = encode(run, frozenset({"sample"}))
    assert "the sample" not in reported
    assert decode(Run, reported, {"sample": run.sample}) == run


def test_a_server_comes_back_with_all_that_reaches_it() -> None:
    serving = ServerProcess("fractal-server 1.4.10", 12, Path("/log"), Path("/alive"))
    server = Server1("1.4.10", Path("/server"), "http://127.0.0.1:9", serving, "secret")
    again = decode(Server1, encode(server))
    assert vars(again) == vars(server)
    assert again.name == "fractal-server 1.4.10"
    assert "secret" not in repr(server)


def test_what_json_can_read_can_be_kept(tmp_path: Path) -> None:
    """An output may be nested as deep as Python's JSON goes, in a stack of any depth."""
    depth = 100
    while True:
        try:
            value = json.loads("[" * depth + "]" * depth)
        except RecursionError:
            break
        deepest, depth = value, int(depth * 1.1)
    run = run_of(v1.Dataset({"deep": deepest}, "/out"))
    fact, given = Fact[Run]("run", Run), {"sample": run.sample}
    shared(tmp_path).once(fact, lambda: run, given)

    def further_down(levels: int) -> Run:
        if levels:
            return further_down(levels - 1)
        return shared(tmp_path).once(fact, lambda: raises(AssertionError()), given)

    inner: Any = further_down(100).state.value["deep"]
    levels = 0
    while inner:
        inner, levels = inner[0], levels + 1
    assert levels > 500


@dataclass(frozen=True)
class Inner:
    a: int


@dataclass(frozen=True)
class Outer:
    inner: Inner
    maybe: Inner | None = None
    by_name: Mapping[str, Inner] = field(default_factory=dict)


INNER = f'{{"()": "{__name__}.Inner", "a": 1}}'
OUTER = f'{{"()": "{__name__}.Outer"'


@pytest.mark.parametrize(
    "reported",
    [
        INNER,
        f'{OUTER}, "inner": {OUTER}, "a": 1}}}}',
        f'{OUTER}, "inner": 5}}',
        f'{OUTER}, "inner": {INNER}, "maybe": {{"()": "subprocess.Popen", "args": []}}}}',
        f'{OUTER}, "inner": {INNER}, "by_name": []}}',
        f"{OUTER}}}",
        "[]",
        "no JSON",
    ],
)
def test_a_text_of_another_type_makes_nothing(reported: str) -> None:
    with pytest.raises(Undecodable):
        decode(Outer, reported)
    outer = Outer(Inner(1), Inner(2), {"()": Inner(3)})
    assert decode(Outer, encode(outer)) == outer
