"""The database of a fractal-server 2.x: one of our own, or one at a URL."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from conftest import processes_below

from pytest_fractal.errors import BadInput
from pytest_fractal.server import postgres
from pytest_fractal.server.postgres import Database
from pytest_fractal.server.process import Lease
from pytest_fractal.server.servers import ServerRelease, running_server

needs_postgres = pytest.mark.skipif(
    postgres.why_none() is not None, reason=f"no PostgreSQL: {postgres.why_none()}"
)


@needs_postgres
def test_a_throw_away_postgresql_starts_and_leaves_nothing(tmp_path: Path) -> None:
    hold = Lease(tmp_path / "hold")
    cluster = postgres.Cluster(tmp_path / "hold")
    try:
        cluster.create()
        database = cluster.start()
        assert (cluster.folder / ".s.PGSQL.5432").is_socket()
        assert database.host == str(cluster.folder)
        assert processes_below(cluster.folder)
    finally:
        hold.release()
    assert not cluster.folder.exists()
    assert not processes_below(cluster.folder)


@pytest.mark.parametrize(
    ("url", "database"),
    [
        (
            "postgresql://u:p%40w@db.example.org:5433/name",
            Database("db.example.org", 5433, "u", "name", "p@w"),
        ),
        ("postgres://u@localhost", Database("localhost", 5432, "u", "u")),
        ("postgresql:///name?host=/run/Own", Database("/run/Own", 5432, "me", "name", "secret")),
    ],
)
def test_a_database_url_is_read_as_postgresql_reads_it(
    url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PGPORT", "PGHOST", "PGUSER", "PGPASSWORD"):
        monkeypatch.delenv(name, raising=False)
    if database.user == "me":
        monkeypatch.setenv("PGUSER", "me")
        monkeypatch.setenv("PGPASSWORD", "secret")
    assert postgres.parse_url(url) == database


def test_what_is_no_database_url_is_reported_without_its_password() -> None:
    for url in ("mysql://u:secret@h/n", "postgresql://u:secret@h:port/n", "secret"):
        with pytest.raises(BadInput, match="no URL of PostgreSQL's") as error:
            postgres.parse_url(url)
        assert "secret" not in str(error.value)


def test_without_postgresql_and_without_a_url_generation_2_is_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(postgres, "programs", lambda: None)
    edition = ServerRelease("2", "2.24.2")
    with pytest.raises(BadInput, match=r"needs PostgreSQL, .* give --fractal-database=URL"):
        edition.check_database(None)
    edition.check_database("postgresql://u@h/n")
    ServerRelease("1", "1.4.10").check_database(None)


@pytest.mark.slow
@needs_postgres
def test_a_database_is_made_at_a_url_and_dropped_again(tmp_path: Path) -> None:
    hold = Lease(tmp_path / "hold")
    try:
        cluster = postgres.Cluster(tmp_path / "hold")
        cluster.create()
        given = cluster.start()
        url = f"postgresql://{given.user}@/{given.name}?host={given.host}"

        def databases() -> list[str]:
            script = (
                "import psycopg, sys; print(*(name for name, in psycopg.connect(sys.argv[1])"
                ".execute('SELECT datname FROM pg_database WHERE NOT datistemplate')))"
            )
            python = ServerRelease.chosen("", "2")[0].environment().python  # has psycopg
            ran = subprocess.run(
                [python, "-c", script, url], capture_output=True, text=True, check=True
            )
            return ran.stdout.split()

        with running_server("2", database_url=url) as server:
            assert server.client.get("/api/v2/task/") == []
            assert len(databases()) == 2
        assert databases() == ["postgres"]
    finally:
        hold.release()
