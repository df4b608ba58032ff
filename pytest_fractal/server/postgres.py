"""A database for a server that needs PostgreSQL: a throw-away one, or one of a given server's.

Whatever is made here is taken away at the end of the run: see `Lease.at_last`.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from packaging.version import InvalidVersion, Version

from pytest_fractal.errors import BadInput, HarnessError
from pytest_fractal.processes import processes
from pytest_fractal.processes.processes import last_lines
from pytest_fractal.processes.variables import caller, task_variables
from pytest_fractal.server import process

_USER: Final = "fractal"
_OTHER: Final = "postgres"
"""As whom PostgreSQL runs when we are root."""

_LIMIT: Final = 120.0
"""Seconds for each program of PostgreSQL's."""


@dataclass(frozen=True)
class Database:
    """Where a database is."""

    host: str
    """A host, or the folder of a Unix socket."""
    port: int
    user: str
    name: str
    password: str = ""

    @property
    def variables(self) -> dict[str, str]:
        """The settings by which fractal-server 2.x finds it."""
        settings = {
            "POSTGRES_HOST": self.host,
            "POSTGRES_PORT": str(self.port),
            "POSTGRES_USER": self.user,
            "POSTGRES_PASSWORD": self.password,
            "POSTGRES_DB": self.name,
        }
        return {name: value for name, value in settings.items() if value}


def programs() -> Path | None:
    """The folder of PostgreSQL's programs, of the newest version; None where there is none.

    Looked for in PATH, and where Debian, Red Hat, Homebrew and Postgres.app put them.
    """
    if found := shutil.which("initdb"):
        # Resolved: a link may lead to it alone, and not to what else is needed.
        for folder in (Path(found).resolve().parent, Path(found).parent):
            if _has_all(folder):
                return folder
    places = (
        "/usr/lib/postgresql/*/bin",
        "/usr/pgsql-*/bin",
        "/opt/homebrew/opt/postgresql*/bin",
        "/usr/local/opt/postgresql*/bin",
        "/Applications/Postgres.app/Contents/Versions/*/bin",
    )
    folders = [
        folder
        for place in places
        for folder in Path("/").glob(place.removeprefix("/"))
        if _has_all(folder)
    ]
    return max(folders, key=_version, default=None)


def _has_all(folder: Path) -> bool:
    return all((folder / name).exists() for name in ("initdb", "postgres", "pg_ctl"))


def _version(folder: Path) -> Version:
    digits = "".join(
        letter if letter.isdigit() or letter == "." else " " for letter in str(folder)
    ).split()
    try:
        return Version(digits[-1].strip("."))
    except (IndexError, InvalidVersion):
        return Version("0")


def parse_url(url: str) -> Database:
    """Read `postgresql://user:password@host:port/name`. Raises `BadInput` for anything else.

    The folder of a Unix socket may stand behind it, as `?host=/var/run/postgresql`. What is
    missing is what PostgreSQL's own programs would take: `PGUSER`, `PGPASSWORD` and the like,
    and then their defaults.
    """
    parts = urlsplit(url)
    try:
        port = parts.port or int(caller.get("PGPORT") or 5432)
    except ValueError:
        port = 0
    if parts.scheme not in ("postgresql", "postgres") or not port:
        raise BadInput(
            "--fractal-database: this is no URL of PostgreSQL's, "
            "postgresql://user:password@host:port/name"
        )
    user = unquote(parts.username or "") or caller.get("PGUSER") or caller.get("USER", "")
    return Database(
        parse_qs(parts.query).get("host", [""])[0]
        or unquote(parts.hostname or "")
        or caller.get("PGHOST")
        or "localhost",
        port,
        user,
        unquote(parts.path.removeprefix("/")) or user,
        unquote(parts.password or "") or caller.get("PGPASSWORD", ""),
    )


def own_database(at: Database, python: Path, hold: Path) -> Database:
    """A new database on the server where the given one is, dropped when the hold ends.

    `python` is one that has psycopg. Raises `HarnessError` when it cannot be made.
    """
    name = f"pytest_fractal_{secrets.token_hex(6)}"

    def statement(text: str) -> tuple[list[str], dict[str, str]]:
        script = (
            "import os, sys, psycopg; "
            "psycopg.connect(autocommit=True, connect_timeout=20).execute(sys.argv[1])"
        )
        env = {
            "PGHOST": at.host,
            "PGPORT": str(at.port),
            "PGUSER": at.user,
            "PGPASSWORD": at.password,
            "PGDATABASE": at.name,
        }
        return [str(python), "-I", "-c", script, text], env

    argv, env = statement(f"CREATE DATABASE {name}")
    finished = processes.run(argv, cwd=hold, env=task_variables(hold) | env, timeout=_LIMIT)
    if finished.returncode:
        reason = last_lines(finished.stderr, 1)
        raise HarnessError(f"no database can be made on {at.host}:{at.port}: {reason}")
    process.at_last(hold, *statement(f"DROP DATABASE {name} WITH (FORCE)"))
    return Database(at.host, at.port, at.user, name, at.password)


def why_none() -> str | None:
    """Why no PostgreSQL can be started here, as a sentence; None where one can."""
    if programs() is None:
        return "its programs (initdb, postgres) were not found"
    if os.geteuid() == 0 and (not shutil.which("runuser") or not _is_user(_OTHER)):
        return f"it does not run as root, and there is no user {_OTHER} or no `runuser`"
    return None


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


class Cluster:
    """A PostgreSQL server of our own, which listens on a Unix socket alone.

    PostgreSQL refuses to run as root; then it runs as the user `postgres`. Raises
    `HarnessError` where that cannot be.
    """

    def __init__(self, hold: Path) -> None:
        folder = programs()
        if folder is None or why_none():
            raise HarnessError(f"PostgreSQL cannot be started: {why_none()}")
        self._programs = folder
        self._hold = hold
        self._before = ["runuser", "-u", _OTHER, "--"] if os.geteuid() == 0 else []
        # Not below the run's folder: another user has to come in, and the path of a socket is
        # short.
        self.folder = Path(tempfile.mkdtemp(prefix="pytest-fractal-pg-"))
        process.at_last(hold, ["rm", "-rf", str(self.folder)], {})
        self._env = task_variables(self.folder) | {"LC_ALL": "C"}

    def create(self, template: Path | None = None) -> None:
        """Make the files of a cluster, or copy them from `template`."""
        data = self.folder / "data"
        if template is not None:
            shutil.copytree(template, data)
        self._hand_over()
        if template is None:
            self._checked(
                [
                    self._programs / "initdb",
                    "-D",
                    data,
                    "-U",
                    _USER,
                    "-A",
                    "trust",
                    "--no-sync",
                    "--encoding=UTF8",
                ]
            )

    def start(self) -> Database:
        """Start it; it ends with the hold."""
        serving = process.start(
            "postgres",
            [
                *self._before,
                self._programs / "postgres",
                "-D",
                self.folder / "data",
                "-c",
                "listen_addresses=",
                "-c",
                f"unix_socket_directories={self.folder}",
                "-c",
                "fsync=off",
                "-c",
                "full_page_writes=off",
            ],
            folder=self.folder,
            hold=self._hold,
            env=self._env,
        )
        started = time.monotonic()
        while "ready to accept connections" not in serving.log.read_text(errors="replace"):
            if process.ended(serving) or time.monotonic() - started > process.START_LIMIT:
                raise HarnessError(f"PostgreSQL does not start: {serving.said(count=3)}")
            processes.cancellable_sleep(0.05)
        return Database(str(self.folder), 5432, _USER, "postgres")

    def stop(self, keep: Path) -> None:
        """Stop it in good order, and keep its files, which `create` takes, in a new folder."""
        self._checked(
            [self._programs / "pg_ctl", "-D", self.folder / "data", "-m", "fast", "-w", "stop"]
        )
        partial = keep.with_name(f"{keep.name}.{secrets.token_hex(4)}")
        shutil.copytree(self.folder / "data", partial)
        partial.rename(keep)

    def _hand_over(self) -> None:
        """Give all files to the user as whom it runs."""
        if self._before:
            for path in (self.folder, *self.folder.rglob("*")):
                shutil.chown(path, _OTHER, _OTHER)

    def _checked(self, argv: Sequence[str | Path]) -> None:
        finished = processes.run(
            [*self._before, *argv], cwd=self.folder, env=self._env, timeout=_LIMIT
        )
        if finished.returncode:
            said = last_lines(finished.stderr or finished.stdout, 2)
            raise HarnessError(f"PostgreSQL cannot be set up: {said}")


def layout() -> str:
    """A name that tells apart the versions of PostgreSQL whose files differ."""
    folder = programs()
    return str(folder).strip("/").replace("/", "-") if folder else "none"
