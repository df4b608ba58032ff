"""What servers of all versions have in common, as seen from their REST API."""

from __future__ import annotations

import shlex
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pytest_fractal.errors import HarnessError
from pytest_fractal.processes.processes import cancellable_sleep
from pytest_fractal.server.client import Broke, Client, Refused
from pytest_fractal.server.facts import Collected, Job, Outcome, ServerResponse, ServerRun
from pytest_fractal.server.process import ServerProcess
from pytest_fractal.server.waiting import Waited, last_error, wait

A = TypeVar("A", bound=ServerResponse)

JobEnd = tuple[Outcome, str, str, Mapping[str, Any]]
"""How something ended: the outcome, the last status, the server's words, and more."""


@dataclass(eq=False)
class RestServer:
    """A running server; see `Server`. It can be handed to the other processes of a run."""

    user: ClassVar[str]
    """Its administrator."""

    version: str
    folder: Path
    url: str
    serving: ServerProcess
    password: str = field(repr=False)
    name: str = field(init=False)
    # Each process of the run has a client of its own.
    _client: Client | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        self.name = f"fractal-server {self.version}"

    @property
    def client(self) -> Client:
        """The server's API, for a user who may do everything."""
        if self._client is None:
            self._client = self.log_in()  # not before that is done: several threads ask
        return self._client

    def log_in(self) -> Client:
        """A new client. Raises `HarnessError` when the server does not answer."""
        client = Client(self.url, self.requests_lock)
        client.log_in(self.user, self.password)
        return client

    @property
    def requests_lock(self) -> Path | None:
        """A file by which requests wait for each other, where they have to."""
        return None

    def collect(
        self,
        wheel: Path,
        *,
        extras: Sequence[str] = (),
        pins: Mapping[str, str] | None = None,
        python: tuple[str, Path] | None = None,
    ) -> Collected:
        """See `Server`."""
        version = self._offer(*python) if python else ""
        return self._outcome_of(
            Collected, lambda since: self._collect(since, wheel, extras, pins or {}, version)
        )

    def run(self, job: Job, collected: Collected, limit: float) -> ServerRun:
        """See `Server`."""
        return self._outcome_of(ServerRun, lambda since: self._run(since, job, collected, limit))

    def _collect(
        self,
        since: int,
        wheel: Path,
        extras: Sequence[str],
        pins: Mapping[str, str],
        python: str,
    ) -> JobEnd:
        """Let it collect a wheel; `since` is where its log ended before."""
        raise NotImplementedError

    def _run(self, since: int, job: Job, collected: Collected, limit: float) -> JobEnd:
        """Let it run a job; `since` is where its log ended before."""
        raise NotImplementedError

    def _outcome_of(self, kind: type[A], ask: Callable[[int], JobEnd]) -> A:
        """What came of a request; `ask` is called with where the server's log ended before."""
        started, since = time.monotonic(), self.serving.log_size()
        more: Mapping[str, Any] = {}
        outcome: Outcome
        try:
            outcome, status, said, more = ask(since)
        except Broke as broke:
            outcome, status = "broken", str(broke.status)
            said = self.words(since) or broke.said
        except Refused as refused:
            outcome, status, said = "refused", str(refused.status), refused.said
        except (LookupError, TypeError) as error:  # nothing can be made of what it tells
            raise HarnessError(
                f"{self.name} answers in another form than those that are known here: {error!r}"
            ) from error
        seconds = time.monotonic() - started
        return kind(self.name, outcome, status, said.strip(), seconds, **more)

    def _job_end(
        self, since: int, path: str, limit: float, dataset: Callable[[], Mapping[str, Any]]
    ) -> JobEnd:
        """Wait for the end of a job; `dataset` asks for what it leaves when all went well."""
        return self._end(
            since,
            lambda: self.client.get(path),
            ("done", "failed"),
            limit,
            lambda _: {"dataset": dataset()},
        )

    def _end(
        self,
        since: int,
        ask: Callable[[], Mapping[str, Any]],
        over: tuple[str, str],
        limit: float,
        more: Callable[[Mapping[str, Any]], Mapping[str, Any]],
        words: Sequence[str] = ("log",),
    ) -> JobEnd:
        """Wait for the end of what the answers to `ask` report.

        `over` are the statuses of what went well and of what failed, `words` the keys under
        which a failure is explained, the best first, and `more` reads an answer that is good.
        """
        waited = wait(ask, lambda state: str(state["status"]), over, self.serving, limit)
        state = waited.state
        status = state["status"]
        if waited.frozen:
            return self.frozen(waited, status, since, state.get("log"))
        if status == over[1]:
            return "failed", status, next(filter(None, map(state.get, words)), ""), {}
        return "done", status, "", more(state)

    def frozen(self, waited: Waited, status: str, since: int, log: str | None) -> JobEnd:
        """How something ended that has not ended, and never will."""
        more = {"quiet": waited.quiet, "at_work": waited.at_work}
        return "frozen", status, self.words(since) or log or "", more

    def words(self, since: int) -> str:
        """The exception that the server has printed since then; "" when there is none."""
        for _ in range(20):  # it is printed after the answer
            if words := last_error(self.serving.said(since, count=10_000)):
                return words
            cancellable_sleep(0.1)
        return ""

    def _offer(self, version: str, executable: Path) -> str:
        """Let the server find this interpreter when it is asked for this version."""
        script = interpreter_script(self.folder, version)
        # Not a link: an environment made through one would not find the standard library.
        script.write_text(f'#!/bin/sh\nexec {shlex.quote(str(executable))} "$@"\n')
        script.chmod(0o755)
        return version


def interpreter_script(folder: Path, version: str) -> Path:
    """Where the server in `folder` finds an interpreter of this version, if it is offered."""
    return folder / "bin" / f"python{version}"


def own_copy(wheel: Path, folder: Path) -> Path:
    """The wheel where no path has a blank, at which a server would break it."""
    copy = folder / wheel.name
    shutil.copy(wheel, copy)
    return copy


def id_of(task: str, collected: Collected) -> int:
    """By which number the server knows a task that it has collected."""
    return next(listed.id for listed in collected.tasks if listed.name == task)
