"""A real fractal-server: installed, started, asked and stopped.

    from pytest_fractal.server import running_server

    with running_server("1") as server:
        collected = server.collect(Path("dist/my_tasks-1.0-py3-none-any.whl"))
        assert collected.outcome == "done", collected.said
        run = server.run(job, collected, limit=300)

Servers of the two generations are used alike; what differs between them is in a module each.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Final, Protocol

from pytest_fractal.server import version1
from pytest_fractal.server.environment import server_environment
from pytest_fractal.server.facts import Collected, Job, ListedTask, ServerRun, Step
from pytest_fractal.server.process import Hold, Serving, hold_file

__all__ = [
    "Collected", "Hold", "Job", "ListedTask", "Server", "ServerRun", "Step", "running_server",
    "server_environment", "start_server",
]  # fmt: skip


class Server(Protocol):
    """A server that is running. It can be handed to the other processes of a run."""

    name: str
    """Such as `fractal-server 1.4.10`."""
    url: str
    """Such as `http://127.0.0.1:41235`."""
    folder: Path
    """Where it keeps its database, its environments and the files of its jobs."""
    serving: Serving
    """Its process, and its log."""

    def collect(
        self,
        wheel: Path,
        *,
        extras: Sequence[str] = (),
        pins: Mapping[str, str] | None = None,
        python: tuple[str, Path] | None = None,
    ) -> Collected:
        """Let it collect a wheel, and wait until it has.

        `pins` are versions by the names of distributions. `python` is a version (`3.11`)
        and the executable that it is to mean; without it, the server takes its own. Raises
        `HarnessError` when the server does not answer; everything else is told.
        """

    def run(self, job: Job, collected: Collected, limit: float) -> ServerRun:
        """Run a workflow of tasks that it has collected, and wait for its end.

        `limit` counts seconds, from the last change of its status. Raises as `collect` does.
        """


_MODULES: Final[Mapping[str, ModuleType]] = {"1": version1}
"""By the version of the manifest that they take."""


def default_version(generation: str) -> str:
    """The version of fractal-server that is known to be good for this manifest version."""
    version: str = _MODULES[generation].DEFAULT
    return version


def start_server(generation: str, version: str, folder: Path, hold: Path) -> Server:
    """Start a server that lives while `hold` is locked (see `Hold`), in a new `folder`.

    `generation` is the version of the manifests that it is to take. Raises `BadInput` when
    this version cannot be installed, and `HarnessError` when it does not start.
    """
    module = _MODULES[generation]
    environment = server_environment(module.recipe(version))
    server: Server = module.start(environment, version, folder, hold)
    return server


@contextmanager
def running_server(generation: str, version: str = "") -> Iterator[Server]:
    """A server of one's own, in a temporary folder; without a version, the one known good.

    Raises as `start_server` does.
    """
    with tempfile.TemporaryDirectory(prefix="pytest-fractal-server-") as text:
        folder = Path(text).resolve()
        hold = Hold(folder)
        try:
            yield start_server(
                generation, version or default_version(generation), folder / "server",
                hold_file(folder),
            )  # fmt: skip
        finally:
            hold.release()
