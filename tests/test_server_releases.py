"""Which release of fractal-server is asked, on which interpreter, and what each needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet

from pytest_fractal.environments.interpreters import Interpreter, find_interpreter, find_within
from pytest_fractal.errors import BadInput
from pytest_fractal.server import releases, servers
from pytest_fractal.server.releases import Administrator, Upload
from pytest_fractal.server.releases import Database as Database_
from pytest_fractal.server.servers import ServerRelease


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Says which releases the index offers; None: it does not answer."""

    def offers(*versions: str, installed: Sequence[str] = (), answers: bool = True) -> None:
        servers.newest_version.cache_clear()
        offered = list(versions) if answers else None
        monkeypatch.setattr(servers, "offered_versions", lambda: offered)
        monkeypatch.setattr(servers, "installed_versions", lambda: list(installed))

    return offers


def chosen(asked: str, generation: str | None) -> list[str]:
    return [release.version for release in ServerRelease.chosen(asked, generation)]


@pytest.mark.parametrize(
    ("asked", "generation", "versions"),
    [
        ("1.3.0", "1", ["1.3.0"]),
        ("2.17.0", None, ["2.17.0"]),
        ("2.18.5, 2.24.2", "2", ["2.18.5", "2.24.2"]),
        ("2.18.5,2.18.5", "2", ["2.18.5"]),
        ("2.99.0", "2", ["2.99.0"]),
    ],
)
def test_the_versions_that_are_asked_for_are_taken(
    asked: str, generation: str | None, versions: list[str]
) -> None:
    assert chosen(asked, generation) == versions


def test_without_a_version_it_is_the_newest_known_one_that_the_index_has(
    index: Callable[..., None],
) -> None:
    index("2.18.5", "1.4.9", "1.4.10", "2.18.4", "2.99.0", "1.5.0a1")
    assert chosen("", "1") == chosen("default", None) == ["1.4.10"]
    assert chosen("", "2") == ["2.18.5"]


def test_a_release_that_no_python_here_runs_is_not_chosen(
    index: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    index("2.24.2", "2.18.5")

    def of_this_machine(version: str) -> Interpreter:
        if version == "2.24.2":
            raise BadInput("it runs on Python >=3.12,<3.15, and no such was found")
        return find_interpreter(None)

    monkeypatch.setattr(servers, "server_interpreter", of_this_machine)
    assert chosen("", "2") == ["2.18.5"]


def test_where_the_index_does_not_answer_what_is_installed_is_asked(
    index: Callable[..., None],
) -> None:
    index(answers=False, installed=["2.18.5", "2.14.16", "1.4.10"])
    assert chosen("", "2") == ["2.18.5"]
    index(answers=False)
    assert chosen("", "2") == [str(releases.NEWEST["2"])]


def test_a_release_that_is_not_known_is_reported_as_such() -> None:
    assert ServerRelease("2", "2.24.2").description == "fractal-server 2.24.2"
    assert ServerRelease("2", "2.99.0").description == (
        f"fractal-server 2.99.0 (not tried before: 2.0.0 to {releases.NEWEST['2']} are known)"
    )
    assert "not tried before" in ServerRelease("2", "2.24.2a1").description
    assert "not tried before" in ServerRelease("1", "1.2.5").description


@pytest.mark.parametrize(
    ("version", "python", "database", "traits"),
    [
        ("1.3.14", "3.9.18", Database_.SQLITE, {"upload": Upload.PATH}),
        ("2.0.6", "3.11.7", Database_.SQLITE, {"administrator": Administrator.AT_START}),
        ("2.8.1", "3.10.13", Database_.SQLITE, {"administrator": Administrator.BY_SET_DB}),
        ("2.9.2", "3.10.13", Database_.POSTGRESQL, {"has_activities": True}),
        ("2.14.16", "3.12.1", Database_.POSTGRESQL, {"has_project_folders": False}),
        ("2.18.5", "3.11.7", Database_.POSTGRESQL, {"takes_task_lists": False}),
        ("2.24.2", "3.12.1", Database_.POSTGRESQL, {"takes_task_lists": True}),
        ("2.99.0", "3.12.1", Database_.POSTGRESQL, {"has_project_folders": True}),
    ],
)
def test_the_table_says_what_each_release_needs(
    version: str, python: str, database: Database_, traits: dict[str, Any]
) -> None:
    span = releases.span_of(version)
    assert span.python.contains(python)
    assert span.database is database
    assert {name: getattr(span, name) for name in traits} == traits


def test_the_table_is_in_order_and_its_tried_releases_are_known() -> None:
    since = [span.since for span in releases.SPANS]
    assert since == sorted(since)
    assert all(map(releases.is_known, releases.TRIED))
    assert {str(newest) for newest in releases.NEWEST.values()} <= {*releases.TRIED}


def test_pytests_own_interpreter_runs_a_server_if_it_will_do() -> None:
    own = find_interpreter(None)
    assert find_within(SpecifierSet(f"=={own.version}")) == own
    assert find_within(SpecifierSet(">=3.9")) == own


def test_no_fitting_interpreter_is_reported_with_what_would_fit() -> None:
    with pytest.raises(BadInput, match=r"no Python >=3\.20 was .* `uv python install 3\.20`"):
        find_within(SpecifierSet(">=3.20"))
    with pytest.raises(BadInput, match=r"no Python <3 was found in PATH, in pyenv or in uv"):
        find_within(SpecifierSet("<3"))


def test_a_server_that_makes_no_environments_for_a_python_says_so() -> None:
    ServerRelease("2", "2.14.16").check_python("3.12")
    with pytest.raises(BadInput, match=r"for Python 3\.9 to 3\.12, not for 3\.13; give --fractal"):
        ServerRelease("2", "2.14.16").check_python("3.13")
