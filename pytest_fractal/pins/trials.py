"""Trials of pins: each a run of its own, with an environment of its own.

What was tried is kept in the user's cache folder, by the wheel and what was installed with
it, so a search that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from zipfile import ZipFile

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version
from pydantic import TypeAdapter, ValidationError

from pytest_fractal.candidate.packaged import Candidate
from pytest_fractal.engine import Engine
from pytest_fractal.environments.environments import create_bare
from pytest_fractal.environments.installing import run_pip, would_install
from pytest_fractal.errors import HarnessError
from pytest_fractal.facts import Installation
from pytest_fractal.files import FILE_LIMIT, cache_folder, read_regular
from pytest_fractal.package_spec import PackageSpec
from pytest_fractal.pins.search import Failure, Pins, Trial
from pytest_fractal.pins.suspects import module_owners, suspects
from pytest_fractal.rules.command import starts
from pytest_fractal.selection import parse_codes
from pytest_fractal.session import Session
from pytest_fractal.verdicts import Outcome, Skipped

_STARTS: Final = "FR301"
_TRIED: Final = TypeAdapter(dict[str, Trial])
_VERSIONS: Final = re.compile(r"^Available versions: (.+)$", re.MULTILINE)
_BUT: Final = re.compile(r", but .*")


class Trials:
    """The trials for one candidate that was judged, and what the index has for them.

    `limit` is how many seconds may have passed when the last trial begins.
    """

    def __init__(self, candidate: Candidate, limit: float) -> None:
        self.candidate = candidate
        installation: Installation = candidate.installation
        self._base = installation
        self._deadline = time.monotonic() + limit
        self._tried: dict[str, Trial] = {}
        self._made: set[str] = set()
        """The trials that were made now."""
        self._older: dict[str, Sequence[str]] = {}
        known = [
            _content(candidate.wheel.path),
            candidate.interpreter.version,
            candidate.settings.installer,
            [*candidate.spec.extras],
            [*candidate.settings.pins],
            sorted(installation.versions.items()),
        ]
        key = hashlib.sha256(json.dumps(known).encode()).hexdigest()
        self.file = cache_folder() / "find-pins" / f"{candidate.wheel.distribution}-{key}.json"
        with contextlib.suppress(OSError, ValidationError):
            self._tried = _TRIED.validate_json(read_regular(self.file, FILE_LIMIT, follow=False))

    def has_time(self) -> bool:
        """See `Laboratory`."""
        return time.monotonic() < self._deadline

    def trial(self, pins: Pins, tasks: Collection[str]) -> Trial:
        """See `Laboratory`. Raises `HarnessError` where the machine or the index fails."""
        key = _key(pins, tasks)
        if key not in self._tried:
            self._make(key, pins, tasks)
        return self._tried[key]

    def confirm(self, pins: Pins, tasks: Collection[str]) -> Trial:
        """The same, of this run: what is kept may be of another time."""
        key = _key(pins, tasks)
        if key not in self._made:
            self._make(key, pins, tasks)
        return self._tried[key]

    def older(self, name: str) -> Sequence[str]:
        """See `Laboratory`."""
        if name not in self._older:
            self._older[name] = self._ask_older(name)
        return self._older[name]

    def as_of(self, months: int) -> Pins | None:
        """See `Laboratory`."""
        before = datetime.now(UTC).date() - timedelta(days=months * 365 // 12)
        folder = self.candidate.folder / "as-of-environment"
        environment = create_bare(folder, self.candidate.interpreter, pip=True)
        wheel = self.candidate.wheel
        then = would_install(environment, wheel, self.candidate.spec.extras, before)
        if then is None:
            return None
        there = self._base.versions
        return {name: v for name, v in then.items() if there.get(name, v) != v}

    def failures(self, tasks: Collection[str]) -> Mapping[str, Failure]:
        """Why tasks of the candidate itself do not start."""
        return _failures(self.candidate, tasks, self._base)

    def _make(self, key: str, pins: Pins, tasks: Collection[str]) -> None:
        self._tried[key] = self._run(pins, tasks)
        self._made.add(key)
        self._keep()

    def _run(self, pins: Pins, tasks: Collection[str]) -> Trial:
        wanted = [f"{name}=={version}" for name, version in pins.items()]
        pinned = {pin.partition("==")[0] for pin in wanted}
        given = [pin for pin in self.candidate.settings.pins if pin.split("==")[0] not in pinned]
        settings = replace(
            self.candidate.settings,
            pins=(*given, *wanted),
            select=parse_codes(_STARTS),
            ignore=(),
            keep=False,
            fix=None,
            find_pins=None,
            samples=None,
            server=None,
            reports=(),
        )
        wheel = self.candidate.wheel.path
        spec = PackageSpec("wheel", str(wheel), wheel, None, self.candidate.spec.extras)
        session = Session([spec], settings, wheel.parent)
        try:
            session.prepare()
            (engine,) = session.engines.values()
            return _judged(engine, tasks, self._base, session.width)
        finally:
            session.close()

    def _ask_older(self, name: str) -> Sequence[str]:
        installed = self._base.versions.get(name)
        finished = run_pip(self._base.environment, "index", "versions", name)
        listed = _VERSIONS.search(finished.stdout)
        if listed is None or installed is None:
            return ()
        versions = []
        for text in listed[1].split(", "):
            with contextlib.suppress(InvalidVersion):
                versions.append(Version(text))
        return [
            str(version)
            for version in sorted(versions, reverse=True)
            if version < Version(installed)
        ]

    def _keep(self) -> None:
        """Write down what was tried; where that fails, the search goes on without."""
        with contextlib.suppress(OSError):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=self.file.parent)
            with os.fdopen(descriptor, "wb") as file:
                file.write(_TRIED.dump_json(self._tried))
            Path(name).replace(self.file)


def _content(wheel: Path) -> list[tuple[str, int, int]]:
    """What a wheel holds. A wheel that is built anew differs in the times of its files."""
    with ZipFile(wheel) as archive:
        return sorted((file.filename, file.file_size, file.CRC) for file in archive.infolist())


def _key(pins: Pins, tasks: Collection[str]) -> str:
    return json.dumps([sorted(pins.items()), sorted(tasks)])


def _judged(engine: Engine, tasks: Collection[str], base: Installation, width: int) -> Trial:
    candidate = engine.candidate
    checks = [check for check in engine.plan() if check.task and check.task.id in tasks]
    engine.run_ahead(checks, width)
    verdicts = {check.task.id: engine.verdict(check) for check in checks if check.task}
    installation: Installation = candidate.installation
    finished = installation.finished
    if finished is not None and finished.returncode:
        failure = Failure("it does not install")
        return Trial(frozenset(), dict.fromkeys(tasks, failure), failure.headline)
    for verdict in verdicts.values():
        if verdict.outcome is Outcome.ERROR:
            raise HarnessError(verdict.reason or "a start could not be judged")
    good = (Outcome.PASS, Outcome.WARN)
    started = frozenset(task for task, verdict in verdicts.items() if verdict.outcome in good)
    failing = [task for task in tasks if task not in started]
    new = _unmet(installation) - _unmet(base)
    return Trial(
        started,
        _failures(candidate, failing, installation),
        f"leaves unmet: {min(new)}" if new else "",
    )


def _unmet(installation: Installation) -> set[str]:
    return {_BUT.sub("", line) for line in installation.unmet}


def _failures(
    candidate: Candidate, tasks: Collection[str], installation: Installation
) -> dict[str, Failure]:
    owners = module_owners(installation.environment) if tasks else {}
    own = canonicalize_name(candidate.wheel.distribution)
    place = f"{installation.environment.site_packages}/"  # another in each trial
    found: dict[str, Failure] = {}
    for task in candidate.tasks:
        for part in task.run_parts if task.id in tasks else ():
            with contextlib.suppress(Skipped):
                command = candidate.commands.started(part)
                crash = command.probe.first.crash
                # The other command of a task may end with an exception once it has started.
                if crash is not None and task.id not in found and any(starts(command)):
                    named = suspects(crash, owners, installation.versions, own)
                    headline = crash.headline.replace(place, "")
                    found[task.id] = Failure(headline, named, bool(named))
    return {task: found.get(task, Failure("it does not start")) for task in tasks}
