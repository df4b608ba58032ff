"""A real fractal-server: asked by a run, by an author's test, and gone when that ends."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import wheel_factory
from conftest import OWN_TESTS, ROOT, Runner, make_wheel
from packaging.specifiers import SpecifierSet

from pytest_fractal import Outcome, check_package
from pytest_fractal.environments.environments import Environment
from pytest_fractal.environments.interpreters import Interpreter, find_interpreter, find_within
from pytest_fractal.errors import BadInput, HarnessError
from pytest_fractal.server import postgres, releases, servers, waiting
from pytest_fractal.server.client import Broke, Client, Refused
from pytest_fractal.server.comparing import MISSING, differences, moved
from pytest_fractal.server.environment import server_environment
from pytest_fractal.server.postgres import Database
from pytest_fractal.server.process import Lease, ServerProcess, address, start
from pytest_fractal.server.releases import Administrator, Upload
from pytest_fractal.server.releases import Database as Database_
from pytest_fractal.server.servers import ServerRelease, running_server
from pytest_fractal.server.waiting import last_error, wait

SAMPLES = OWN_TESTS / "fractal_samples"


def example() -> str:
    """The test that docs/fixtures.md shows."""
    page = (ROOT / "docs" / "fixtures.md").read_text("utf-8")
    found = re.search(r"```python\n(def test_wells_are_inverted_on_a_server.*?)```", page, re.S)
    assert found is not None
    return found[1]


def test_a_good_package_passes_on_a_real_server_that_all_workers_share(
    runner: Runner, good_wheel: Path
) -> None:
    (runner.folder / "test_own.py").write_text(
        f"""
import pytest

{example()}

@pytest.mark.parametrize("number", range(2))
def test_there_is_one_server(fractal_server, number):
    assert [task.name for task in fractal_server.tasks] == ["Make wells", "Invert well"]
    print("asked", fractal_server.url)

def test_its_api(fractal_server):
    assert [task["version"] for task in fractal_server.client.get("/api/v1/task/")] == ["1.0"] * 2
"""
    )
    ran = runner.pytest(
        "test_own.py",
        f"--fractal-package={good_wheel}",
        f"--fractal-samples={SAMPLES}",
        "--fractal-server",
        "--fractal-select=FR9",
        "-n2",
        "-v",
        "-rP",
    )
    assert ran.status == 0, ran.text
    assert re.search(r"PASSED \S*::server-collects", ran.out), ran.text
    assert re.search(r"PASSED \S*::server-runs\[invert_well-wells\.2\]", ran.out), ran.text
    assert len(set(re.findall(r"^asked (\S+)", ran.out, re.M))) == 1, ran.text
    assert ran.left == []
    assert not processes_below(runner.temporary)


@pytest.mark.slow
def test_what_differs_here_too_is_not_compared_and_a_component_can_be_named(
    tmp_path: Path,
) -> None:
    script = (OWN_TESTS / "tested_tasks" / "make_wells.py").read_text()
    returned = 'return {"well": wells}'
    assert returned in script
    varying = 'import uuid\n    return {"well": wells, "id": uuid.uuid4().hex}'
    changes = {"make_wells.py": script.replace(returned, varying)}
    wheel = make_wheel(tmp_path / "dist", changes=changes)
    samples = tmp_path / "samples"
    samples.mkdir()
    for name, sample in {
        "made": {"task": "Make wells", "args": {"number": 2}},
        "one": {
            "task": "Invert well",
            "args": {"maximum": 3},
            "component": "well_7",
            "metadata": {"kept": [1]},
        },
    }.items():
        (samples / f"{name}.json").write_text(json.dumps(sample))
    (report,) = check_package(wheel, samples=samples, server=True, select=["FR9"]).candidates
    verdicts = {verdict.sample: verdict for verdict in report.verdicts if verdict.sample}
    assert {verdict.outcome for verdict in verdicts.values()} == {Outcome.PASS}
    assert verdicts["made"].reason == "not compared, for it differs here too: /id"
    assert verdicts["one"].reason is None


def processes_below(folder: Path) -> list[str]:
    """The processes that were started with a path below this folder."""
    listed = subprocess.run(["ps", "-axww", "-o", "args="], capture_output=True, text=True)
    return [line for line in listed.stdout.splitlines() if str(folder) in line]


@pytest.mark.parametrize("workers", [0, 2])
def test_ctrl_c_stops_the_server_and_leaves_nothing(
    runner: Runner, good_wheel: Path, workers: int
) -> None:
    process = runner.start(
        *runner.argv(
            f"--fractal-package={good_wheel}",
            "--fractal-server",
            "--fractal-select=FR901",
            "-n",
            str(workers),
        )
    )
    deadline = time.monotonic() + 100
    while not any(runner.temporary.glob("*/package-0/server-*/tasks/.fractal/*")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    ran = runner.finish(process)
    assert ran.status == 2, ran.text
    assert ran.left == []
    assert not processes_below(runner.temporary)


def test_a_server_is_not_asked_about_what_another_rule_refuses() -> None:
    report = check_package(ROOT / "bad_packages" / "FR109_same_slug", server=True, select=["FR9"])
    (candidate,) = report.candidates
    outcomes = {verdict.code: verdict.outcome for verdict in candidate.verdicts}
    assert outcomes["FR901"] is Outcome.BLOCKED
    assert candidate.verdicts[0].reason == "blocked by FR109"


def test_without_the_option_no_rule_asks_a_server(good_wheel: Path) -> None:
    report = check_package(good_wheel, select=["FR108"], samples=SAMPLES)
    assert [verdict.code for verdict in report.candidates[0].verdicts] == ["FR108"]
    everything = check_package(good_wheel, ignore=["FR2", "FR3", "FR4"]).candidates[0]
    assert not any(verdict.code.startswith("FR9") for verdict in everything.verdicts)
    with pytest.raises(BadInput, match="FR901 is only judged with --fractal-server"):
        check_package(good_wheel, select=["FR901"])


def test_an_authors_test_is_skipped_without_the_option(runner: Runner, good_wheel: Path) -> None:
    (runner.folder / "test_own.py").write_text("def test_it(fractal_server): 1 / 0\n")
    ran = runner.pytest(
        "test_own.py", f"--fractal-package={good_wheel}", "--fractal-select=FR108", "-rs"
    )
    assert ran.status == 0, ran.text
    assert "a real server only runs with --fractal-server" in ran.out


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ("tests", "this is no version of fractal-server"),
        ("9.0", "takes manifest version '9', and the package has '1'"),
        ("1.4.10,2.18.5", "takes manifest version '2', and the package has '1'"),
        ("1.4.99999", "the package index has no fractal-server 1.4.99999"),
    ],
)
def test_a_server_that_cannot_be_had_is_told_before_anything_is_judged(
    runner: Runner, good_wheel: Path, asked: str, complaint: str
) -> None:
    ran = runner.pytest(f"--fractal-package={good_wheel}", f"--fractal-server={asked}")
    assert ran.status == 4, ran.text
    assert complaint in ran.err
    assert "Traceback" not in ran.text


def test_the_ini_file_can_ask_for_the_server(runner: Runner, good_wheel: Path) -> None:
    for setting, checks in (("default", 1), ("1.4.10", 1), ("", 0)):
        (runner.folder / "pytest.ini").write_text(f"[pytest]\nfractal_server = {setting}\n")
        ran = runner.pytest(f"--fractal-package={good_wheel}", "--co", "-q")
        assert ran.out.count("::server-collects") == checks, ran.text


def test_the_hermetic_command_takes_no_argument_for_a_version(
    runner: Runner, good_wheel: Path
) -> None:
    ran = runner.hermetic("--fractal-server", good_wheel, "--co", "-q")
    assert ran.status == 0, ran.text
    assert "::server-collects" in ran.out


# --- the environment of the server -------------------------------------------------------


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No environment of a server is there; but uv keeps its own cache."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    monkeypatch.setenv("UV_CACHE_DIR", os.environ.get("UV_CACHE_DIR") or str(Path(home, "uv")))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_an_environment_is_made_once_however_many_ask_at_once(empty_cache: Path) -> None:
    made: list[Path] = []

    def finish(environment: Environment) -> None:
        made.append(environment.folder)

    arguments = ["1.4.10", finish]
    threads = [threading.Thread(target=server_environment, args=arguments) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    environment = server_environment("1.4.10", finish)
    assert made == [environment.folder]
    assert environment.folder.is_relative_to(empty_cache)
    assert environment.versions()["fractal-server"] == "1.4.10"


def test_an_environment_whose_interpreter_is_gone_is_made_anew(empty_cache: Path) -> None:
    made: list[Path] = []

    def finish(environment: Environment) -> None:
        made.append(environment.folder)

    environment = server_environment("1.4.10", finish)
    environment.python.unlink()
    environment.python.symlink_to(empty_cache / "gone")
    assert server_environment("1.4.10", finish).python.exists()
    assert len(made) == 2


# --- which release, and on which interpreter ---------------------------------------------


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


def test_a_release_that_is_not_known_is_told_as_such() -> None:
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


def test_no_fitting_interpreter_is_told_with_what_would_fit() -> None:
    with pytest.raises(BadInput, match=r"no Python >=3\.20 was .* `uv python install 3\.20`"):
        find_within(SpecifierSet(">=3.20"))
    with pytest.raises(BadInput, match=r"no Python <3 was found in PATH, in pyenv or in uv"):
        find_within(SpecifierSet("<3"))


def test_a_server_that_makes_no_environments_for_a_python_says_so() -> None:
    ServerRelease("2", "2.14.16").check_python("3.12")
    with pytest.raises(BadInput, match=r"for Python 3\.9 to 3\.12, not for 3\.13; give --fractal"):
        ServerRelease("2", "2.14.16").check_python("3.13")


def test_each_of_several_servers_has_verdicts_of_its_own(runner: Runner, good_wheel: Path) -> None:
    words = (f"--fractal-package={good_wheel}", f"--fractal-samples={SAMPLES}", "--co", "-q")
    ran = runner.pytest(*words, "--fractal-server=1.4.9,1.4.10", "--fractal-select=FR9")
    assert ran.status == 0, ran.text
    assert "::server-collects[1.4.9]" in ran.out
    assert "::server-runs[invert_well-wells.2-1.4.10]" in ran.out
    assert "not tried before" not in ran.out
    alone = runner.pytest(*words, "--fractal-server=1.4.10", "--fractal-select=FR9")
    assert re.search("::server-collects$", alone.out, re.M), alone.text


# --- PostgreSQL, for generation 2 --------------------------------------------------------

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


def test_what_is_no_database_url_is_told_without_its_password() -> None:
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
@pytest.mark.parametrize(
    "name", ["hatchling_src_fractal_task_tools", "setuptools_flat_argparse_generation_2"]
)
def test_a_good_package_of_generation_2_passes_on_a_real_server(name: str) -> None:
    (report,) = check_package(
        ROOT / "good_packages" / name, server=True, select=["FR9"]
    ).candidates
    assert report.findings == ()
    passed = [verdict.code for verdict in report.verdicts if verdict.outcome is Outcome.PASS]
    assert set(passed) == {"FR901", "FR902"}


MAKES_AN_IMAGE = """
import argparse, json
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--args-json")
parser.add_argument("--out-json")
given = parser.parse_args()
args = json.loads(Path(given.args_json).read_text())
image = {"zarr_url": args["zarr_dir"] + "/new", "attributes": {"n": args["n"]}}
Path(given.out_json).write_text(json.dumps({"image_list_updates": [image]}))
"""


@pytest.mark.slow
@needs_postgres
def test_releases_of_the_whole_span_collect_a_package_and_run_its_sample(tmp_path: Path) -> None:
    task = {
        "name": "Make",
        "executable_non_parallel": "make.py",
        "type": "non_parallel",
        "args_schema_non_parallel": {
            "type": "object",
            "properties": {
                "zarr_urls": {"type": "array", "items": {"type": "string"}},
                "zarr_dir": {"type": "string"},
                "n": {"type": "integer"},
            },
        },
    }
    manifest = {
        "manifest_version": "2",
        "has_args_schemas": True,
        "args_schema_version": "pydantic_v2",
        "task_list": [task],
    }
    wheel = wheel_factory.make_wheel(
        tmp_path / "dist",
        files={"__init__.py": "", "make.py": MAKES_AN_IMAGE},
        manifest=manifest,
    )
    samples = tmp_path / "samples"
    samples.mkdir()
    sample = {"task": "Make", "args": {"n": 3}, "images": [{"zarr_url": "{tmp}/old"}]}
    (samples / "with é.json").write_text(json.dumps(sample))
    asked = ("2.0.6", "2.14.16", "2.18.5", "2.24.2")
    (report,) = check_package(
        wheel, samples=samples, server=",".join(asked), select=["FR9"]
    ).candidates
    assert report.findings == ()
    outcomes = {(verdict.server, verdict.code): verdict.outcome for verdict in report.verdicts}
    assert outcomes == dict.fromkeys(itertools.product(asked, ("FR901", "FR902")), Outcome.PASS)


@pytest.mark.slow
def test_both_ends_of_generation_1_collect_a_package_and_run_its_samples() -> None:
    folder = ROOT / "good_packages" / "flit_src_getopt"
    (report,) = check_package(folder, server="1.3.14,1.4.10", select=["FR9"]).candidates
    assert report.findings == ()
    passed = {
        (verdict.server, verdict.code)
        for verdict in report.verdicts
        if verdict.outcome is Outcome.PASS
    }
    assert passed == set(itertools.product(("1.3.14", "1.4.10"), ("FR901", "FR902")))


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


# --- its process, which any program stands for here --------------------------------------

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


# --- waiting ------------------------------------------------------------------------------


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


# --- talking, comparing -------------------------------------------------------------------


class Answering(BaseHTTPRequestHandler):
    """Answers with the status that is the last part of the path, and what it was sent."""

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length).decode()
        status = int(self.path.rpartition("/")[2].partition("?")[0])
        told = {"detail": [{"loc": ["body", "name"], "msg": "missing"}]} if status == 422 else body
        self.send_response(status)
        self.end_headers()
        self.wfile.write(b"plainly broken" if status == 500 else json.dumps(told).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # must not matter
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Client(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


def test_the_client_tells_refusals_from_breakdowns(client: Client) -> None:
    assert json.loads(client.post("/200", {"a": 1})) == {"a": 1}
    with pytest.raises(Refused, match=r"body\.name: missing") as refused:
        client.post("/422")
    assert not isinstance(refused.value, Broke)
    with pytest.raises(Broke, match="plainly broken"):
        client.post("/500")


def test_a_server_that_is_gone_is_no_fault_of_the_packages() -> None:
    with pytest.raises(HarnessError, match="does not answer any more"):
        Client("http://127.0.0.1:1").get("/")


def test_differences_are_told_where_they_are() -> None:
    one = {"a": [1, {"b": 2}], "c": 1, "same": [None]}
    other = {"a": [1, {"b": 3}], "d": 1, "same": [None]}
    assert [(each.pointer, each.one, each.other) for each in differences(one, other)] == [
        ("/a/1/b", 2, 3),
        ("/c", 1, MISSING),
        ("/d", MISSING, 1),
    ]
    assert [each.pointer for each in differences({"a": 1}, {"a": True})] == ["/a"]
    assert [each.pointer for each in differences({"a": [1]}, {"a": [1, 2]})] == ["/a"]


@pytest.mark.parametrize(
    ("here", "there", "are_equal"),
    [
        (6.02e23, 602000000000000000000000, True),
        (1.7e308, 17 * 10**307, True),
        (-0.0, 0.0, True),
        (1.0, 1, True),
        (6.02e23, 602000000000000000000001, True),  # the same float
        (2**53, 2**53 + 1, False),
        (1.5, 1, False),
        (1.0, 10**400, False),
        (1.0, True, False),
        (0, False, False),
        ("1", 1, False),
        (None, 0, False),
    ],
)
def test_numbers_are_compared_by_their_value(here: Any, there: Any, are_equal: bool) -> None:
    """PostgreSQL gives a large decimal back as an integer; seen with fractal-server 2.18.5."""
    for left, right in ((here, there), (there, here)):
        assert bool(list(differences([left], [right]))) is not are_equal


def test_paths_are_told_as_those_of_another_place() -> None:
    value = {"/one/a": ["/one/b", 1, None, "x:/one"]}
    assert moved(value, {"/one": "/two"}) == {"/two/a": ["/two/b", 1, None, "x:/two"]}
