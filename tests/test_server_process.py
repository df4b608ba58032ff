"""The process of a server, which any program stands for: how it ends, and when it is frozen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import processes_below

from pytest_fractal.errors import HarnessError
from pytest_fractal.server import waiting
from pytest_fractal.server.process import Lease, ServerProcess, address, start
from pytest_fractal.server.waiting import last_error, wait

PROGRAM = """
import subprocess, sys, time
# Something that leaves the process group, as a daemon does.
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", {mark!r}],
                 start_new_session=True)
print("running on http://127.0.0.1:1", flush=True)
time.sleep(600)
"""


def serve(folder: Path, program: str = PROGRAM) -> ServerProcess:
    hold = folder / "hold"
    hold.mkdir(exist_ok=True)
    argv = [sys.executable, "-c", program.replace("{mark!r}", repr(str(folder))), str(folder)]
    return start("program", argv, folder=folder, hold=hold, env=os.environ)


def test_a_server_ends_with_everything_when_the_hold_is_released(tmp_path: Path) -> None:
    hold = Lease(tmp_path / "hold")
    serving = serve(tmp_path)
    assert address(serving) == "http://127.0.0.1:1"
    assert not serving.has_ended()
    assert len(processes_below(tmp_path)) >= 3
    hold.release()
    assert serving.has_ended()
    assert not processes_below(tmp_path)


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_a_server_ends_when_its_holder_is_killed(tmp_path: Path, sign: signal.Signals) -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from pathlib import Path; "
            "from pytest_fractal.server.process import Lease; "
            "hold = Lease(Path(sys.argv[1], 'hold')); print('held', flush=True); time.sleep(600)",
            str(tmp_path),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    with holder:
        assert holder.stdout.readline() == "held\n"
        serving = serve(tmp_path)  # by another process of the same run
        address(serving)
        holder.send_signal(sign)
    deadline = time.monotonic() + 30
    while not serving.has_ended():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert not processes_below(tmp_path)


def test_a_server_that_is_started_too_late_ends_at_once(tmp_path: Path) -> None:
    Lease(tmp_path / "hold").release()
    serving = serve(tmp_path)
    deadline = time.monotonic() + 30
    while processes_below(tmp_path):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert serving.has_ended()


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    hold = Lease(tmp_path / "hold")
    serving = serve(tmp_path, "import sys; sys.exit('the port is taken')")
    with pytest.raises(HarnessError, match="program does not start: the port is taken"):
        address(serving)
    hold.release()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "FROZEN_AFTER", 1.5)
    monkeypatch.setattr(waiting, "FROZEN_AFTER_ERROR", 0.3)
    monkeypatch.setattr(waiting, "_POLLS", (0.01, 0.05))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Any]:
    """Starts a program as a server."""
    hold = Lease(tmp_path / "hold")

    def serving(program: str) -> ServerProcess:
        serving = serve(tmp_path, f"import time, sys, subprocess\n{program}\n")
        while "up" not in serving.log.read_text():
            time.sleep(0.01)
        return serving

    yield serving
    hold.release()


def until(serving: ServerProcess, statuses: Any, limit: float = 60.0) -> Any:
    return wait(lambda: next(statuses), str, ["over"], serving, limit)


def ever(status: str) -> Iterator[str]:
    while True:
        yield status


@pytest.mark.usefixtures("quick")
def test_waiting_ends_when_it_is_over(served: Any) -> None:
    serving = served("print('up', flush=True); time.sleep(600)")
    waited = until(serving, iter(["pending", "ongoing", "over"]))
    assert (waited.state, waited.frozen) == ("over", False)


@pytest.mark.usefixtures("quick")
def test_what_changes_no_more_is_frozen(served: Any) -> None:
    waited = until(served("print('up', flush=True); time.sleep(600)"), ever("pending"))
    assert waited.frozen
    assert waited.quiet > 1.5


@pytest.mark.usefixtures("quick")
def test_after_a_traceback_it_is_found_frozen_sooner(served: Any) -> None:
    serving = served(
        "print('up', flush=True); time.sleep(0.2)\n"
        "try: 1 / 0\nexcept Exception: import traceback; traceback.print_exc()\n"
        "time.sleep(600)"
    )
    waited = until(serving, ever("pending"))
    assert waited.frozen
    assert waited.quiet < 1.5
    assert last_error(serving.said(count=99)) == "ZeroDivisionError: division by zero"


@pytest.mark.usefixtures("quick")
def test_it_is_not_frozen_while_a_process_works_on_it(served: Any) -> None:
    serving = served(
        "print('up', flush=True)\nsubprocess.run(['sleep', '2.5'])\nprint('done', flush=True)\n"
        "time.sleep(600)"
    )

    def statuses() -> Iterator[str]:
        while True:
            yield "over" if "done" in serving.log.read_text() else "installing"

    assert not until(serving, statuses()).frozen


@pytest.mark.usefixtures("quick")
def test_the_limit_ends_what_works_for_too_long(served: Any) -> None:
    serving = served("print('up', flush=True); subprocess.run(['sleep', '600'])")
    waited = until(serving, ever("submitted"), limit=2.0)
    assert waited.frozen
    assert waited.at_work
