"""The servers of all generations, which are used alike; a module each knows what differs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Protocol

from packaging.version import InvalidVersion, Version

from pytest_fractal.environments.environments import Environment
from pytest_fractal.errors import BadInput, HarnessError
from pytest_fractal.samples.files import Sample
from pytest_fractal.server import postgres, releases, version1, version2
from pytest_fractal.server.client import Client
from pytest_fractal.server.environment import (
    installed_versions,
    offered_versions,
    server_environment,
    server_interpreter,
)
from pytest_fractal.server.facts import Collected, Job, ListedTask, ServerRun, Step
from pytest_fractal.server.process import Lease, ServerProcess


class Server(Protocol):
    """A server that is running. It can be handed to the other processes of a run."""

    name: str
    """Such as `fractal-server 1.4.10`."""
    url: str
    """Such as `http://127.0.0.1:41235`."""
    folder: Path
    """Where it keeps its database, its environments and the files of its jobs."""
    serving: ServerProcess
    """Its process, and its log."""

    @property
    def client(self) -> Client:
        """Its REST API, for a user who may do everything."""

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
        `HarnessError` when the server does not answer; everything else is reported.
        """

    def step(self, task: ListedTask, args: Mapping[str, Any]) -> Step:
        """The step that runs a task on these arguments, as a sample has them."""

    def job(self, steps: Sequence[Sample], folder: Path) -> Job:
        """The job that runs these samples in a workflow, with `folder` as their `{tmp}`."""

    def run(self, job: Job, collected: Collected, limit: float) -> ServerRun:
        """Run a workflow of tasks that it has collected, and wait for its end.

        `limit` counts seconds, from the last change of its status. Raises as `collect` does.
        """


_MODULES: Final[Mapping[str, ModuleType]] = {"1": version1, "2": version2}
"""By the version of the manifest that they take, which is their own major version."""

_KINDS: Final[Mapping[str, type[Server]]] = {"1": version1.Server1, "2": version2.Server2}


@dataclass(frozen=True)
class ServerRelease:
    """Which server it is to be."""

    generation: str
    """The version of the manifests that it takes."""
    version: str

    @classmethod
    def chosen(cls, asked: str, generation: str | None) -> tuple[ServerRelease, ...]:
        """The versions that were asked for; without one, the newest that can be had.

        `asked` has commas between versions; `default` and "" are none. Raises `BadInput` for a
        version that is none, or that takes other manifests than those of `generation`; None is
        that of a package without a manifest.
        """
        versions = [version.strip() for version in asked.split(",") if version.strip()]
        if versions in ([], ["default"]):
            known = generation or "1"
            return (cls(known, newest_version(known)),)
        return tuple(dict.fromkeys(cls._of(version, generation) for version in versions))

    @classmethod
    def _of(cls, asked: str, generation: str | None) -> ServerRelease:
        try:
            version = Version(asked)
        except InvalidVersion:
            raise BadInput(
                f"--fractal-server={asked}: this is no version of fractal-server; write "
                "--fractal-server=VERSION, or --fractal-server behind all else"
            ) from None
        major = str(version.major)
        if major not in _MODULES or generation not in (None, major):
            known = [generation] if generation else list(_MODULES)
            good = " or ".join(str(releases.NEWEST[manifests]) for manifests in known)
            has = f", and the package has {generation!r}" if generation else ""
            raise BadInput(
                f"--fractal-server={asked}: this server takes manifest version {major!r}{has}; "
                f"choose {good}"
            )
        return cls(major, str(version))

    @property
    def is_known(self) -> bool:
        """Whether what is known here was checked against this release."""
        return releases.is_known(self.version)

    @property
    def description(self) -> str:
        """Its name, and whether it is a release of which nothing is known here."""
        if self.is_known:
            return f"fractal-server {self.version}"
        first, last = releases.SPANS[0].since, releases.NEWEST[self.generation]
        if self.generation == "2":
            first = next(span.since for span in releases.SPANS if span.generation == "2")
        return f"fractal-server {self.version} (not tried before: {first} to {last} are known)"

    @property
    def kind(self) -> type[Server]:
        """The class of what `start` returns: a dataclass."""
        return _KINDS[self.generation]

    def environment(self) -> Environment:
        """Where it is installed, which is made if need be.

        Raises `BadInput` when it cannot be installed, and `HarnessError` when the network
        or the disk is to blame.
        """
        finish = version1.finish if self.generation == "1" else lambda _: None
        return server_environment(self.version, finish)

    def check_python(self, version: str) -> None:
        """Raise `BadInput` when it makes no environments of tasks for this Python: `3.11`."""
        offered = releases.span_of(self.version).tasks_python
        if self.is_known and version not in offered:
            raise BadInput(
                f"--fractal-server={self.version}: this server collects packages for Python "
                f"{offered[0]} to {offered[-1]}, not for {version}; give --fractal-python"
            )

    def check_database(self, url: str | None) -> None:
        """Raise `BadInput` when it needs a database, and can be given none.

        `url` is where PostgreSQL can make one; without it, PostgreSQL itself must be there.
        """
        if releases.span_of(self.version).database is releases.Database.SQLITE:
            return
        if url:
            postgres.parse_url(url)
        elif reason := postgres.why_none():
            raise BadInput(
                f"--fractal-server: fractal-server {self.version} needs PostgreSQL, which cannot "
                f"be started here: {reason}; install it, or give --fractal-database=URL"
            )

    def start(self, folder: Path, hold: Path, database_url: str | None = None) -> Server:
        """Start it in a new `folder`; it lives while there is a `Lease` of the folder `hold`.

        `database_url` is where PostgreSQL can make a database; without one, a PostgreSQL is
        started for a server that needs it. Raises as `environment` does, and `HarnessError`
        when it does not start.
        """
        module = _MODULES[self.generation]
        server: Server = module.start(self.environment(), self.version, folder, hold, database_url)
        return server


@cache
def newest_version(generation: str) -> str:
    """The newest release of a generation that is known, that the index has and that runs here.

    Where the index cannot be asked, the newest that was installed before; else the newest.
    """
    newest = str(releases.NEWEST[generation])
    try:
        offered = offered_versions()
    except HarnessError:
        offered = None
    if offered is None:
        there = releases.newest_known(installed_versions(), generation)
        return next(iter(there), newest)
    for version in releases.newest_known(offered, generation):
        with suppress(BadInput):
            server_interpreter(version)
            return version
    return newest


@contextmanager
def running_server(
    generation: str, version: str = "", database_url: str | None = None
) -> Iterator[Server]:
    """A server of one's own, in a temporary folder; without a version, the newest.

    Raises as `ServerRelease` does. `database_url`: see there.
    """
    (edition,) = ServerRelease.chosen(version, generation)
    with tempfile.TemporaryDirectory(prefix="pytest-fractal-server-") as text:
        folder = Path(text).resolve()
        hold = Lease(folder / "hold")
        try:
            yield edition.start(folder / "server", folder / "hold", database_url)
        finally:
            hold.release()
