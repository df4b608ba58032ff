"""What the machine, the network or the index does is never held against the candidate."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import OWN_TESTS, make_wheel

from pytest_fractal import Outcome, check_package
from pytest_fractal.environments import installing
from pytest_fractal.environments.about_python import about
from pytest_fractal.environments.machine_faults import fault_in_installer
from pytest_fractal.processes.processes import Finished
from pytest_fractal.report.model import CandidateReport

Answer = Callable[[BaseHTTPRequestHandler], None]


def status(code: int) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


def broken_off(request: BaseHTTPRequestHandler) -> None:
    """More is promised than comes."""
    request.send_response(200)
    request.send_header("Content-Type", "text/html")
    request.send_header("Content-Length", "5000")
    request.end_headers()
    request.wfile.write(b"<a href=")
    request.close_connection = True


def broken_off_wheel(request: BaseHTTPRequestHandler) -> None:
    """A page with two wheels, of which only the beginning comes."""
    name = request.path.strip("/").split("/")[-1]
    if name.endswith(".whl"):
        text, length = b"PK\x03\x04" + bytes(100), 5000
    else:
        versions = (about()["setuptools"] or "65.5.0", "99.0")
        wheels = (f"{name.replace('-', '_')}-{v}-py3-none-any.whl" for v in versions)
        text = "".join(f'<a href="/{wheel}">{wheel}</a>' for wheel in wheels).encode()
        length = len(text)
    request.send_response(200)
    request.send_header("Content-Type", "text/html")
    request.send_header("Content-Length", str(length))
    request.end_headers()
    request.wfile.write(text)
    request.close_connection = True


@contextmanager
def index(answer: Answer) -> Iterator[str]:
    """An index on this machine that answers every request in one way; its URL."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing."""

        def do_GET(self) -> None:
            answer(self)

        do_HEAD = do_GET

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/simple"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def use(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str) -> None:
    """Take packages from this index alone, and no cache."""
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("PIP_INDEX_URL", url)
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def only_errors(report: CandidateReport, code: str, cause: str) -> None:
    """Assert that this rule could not be judged for this cause, and that nothing is blamed."""
    installing = {"FR001", "FR002", "FR005", "FR006", "FR301", "FR302", "FR303", "FR401"}
    blamed = [(code, found.found) for code, found in report.findings if code in installing]
    assert blamed == []
    reasons = [verdict.reason for verdict in report.verdicts if verdict.outcome is Outcome.ERROR]
    (reason,) = {verdict.reason for verdict in report.verdicts if verdict.code == code}
    assert cause in str(reason), reason
    assert reason in reasons
    assert "\n" not in str(reason)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (status(503), "the package index answers 503 Service Unavailable: look at the network"),
        (status(429), "the package index answers 429 Too Many Requests: look at the network"),
        (status(401), "the package index answers 401 Unauthorized: look at the network"),
        (status(403), "the package index answers 403 Forbidden: look at the network"),
        (status(404), "as if it were empty: look at the index settings"),
        (broken_off, "the package index broke off in the middle of a file"),
        (broken_off_wheel, "the package index "),
    ],
    ids=["503", "429", "401", "403", "404", "page", "wheel"],
)
@pytest.mark.parametrize("installer", ["uv", "pip"])
@pytest.mark.usefixtures("any_venv")
def test_an_index_that_does_not_answer_is_an_error_with_its_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Answer, cause: str, installer: Any
) -> None:
    wheel = make_wheel(tmp_path, extra_metadata="Requires-Dist: fractal-weather\n")
    with index(answer) as url:
        use(monkeypatch, tmp_path, url)
        (report,) = check_package(wheel, installer=installer, select=["FR0"]).candidates
    only_errors(report, "FR002", cause)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (status(503), "the package index answers 503 Service Unavailable"),
        (status(404), "as if it were empty"),
        (broken_off_wheel, "the package index "),
    ],
    ids=["503", "404", "wheel"],
)
def test_nor_is_a_build_blamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Answer, cause: str
) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(OWN_TESTS, tree, ignore=shutil.ignore_patterns("__pycache__"))
    with index(answer) as url:
        use(monkeypatch, tmp_path, url)
        (report,) = check_package(tree, select=["FR0"]).candidates
    only_errors(report, "FR001", cause)


@pytest.mark.usefixtures("any_environment_of_pip")
def test_a_package_that_is_missing_from_a_living_index_is_held_against_the_candidate(
    tmp_path: Path,
) -> None:
    wheel = make_wheel(tmp_path, extra_metadata="Requires-Dist: pytest-fractal-not-there\n")
    (report,) = check_package(wheel, select=["FR0"]).candidates
    assert [code for code, _ in report.findings] == ["FR002"]


def ended(code: int, stderr: str = "", seconds: float = 1.0, timed_out: bool = False) -> Finished:
    return Finished(("uv", "pip"), code, "", stderr, seconds, timed_out)


@pytest.mark.parametrize(
    ("finished", "sentence"),
    [
        (ended(0, "No space left on device"), None),
        (ended(1, "Because x was not found in the package registry"), None),
        (ended(-9), "uv was killed by signal SIGKILL: maybe the machine has run out of memory"),
        (ended(-9, seconds=3600, timed_out=True), "uv was given up: no end within 3600 s"),
        (ended(126, "Permission denied", 0.0), "uv cannot be started: Permission denied"),
        (ended(2, "error: x (os error 28)"), "the disk is full (os error 28): make room"),
        (ended(1, "OSError: [Errno 28] No space left on device"), "the disk is full"),
        (ended(2, "cause: Read-only file system"), "uv cannot write (read-only file system)"),
        (ended(2, "error: unexpected argument '--x' found"), "does not take the call"),
        (
            ended(
                2,
                "error: Failed to inspect Python interpreter from provided path at `bin/python`\n"
                "  cause: Failed to query Python interpreter at `bin/python`\n"
                "  cause: Permission denied (os error 13)",
            ),
            "uv cannot start the interpreter of the new environment (Permission denied (os",
        ),
        (
            ended(
                1,
                "cause: Because setuptools was not found in the cache and you require it\n\n"
                "hint: Packages were unavailable because the network was disabled.",
            ),
            "uv works offline and has no setuptools: add it to what uv finds there",
        ),
        (
            ended(1, "fatal: unable to access 'https://h.org/a/': Could not resolve host: h.org"),
            "h.org, where a requirement lies, cannot be reached: look at the network",
        ),
        (
            ended(
                1,
                "fatal: unable to access 'https://h.org/a/': Failed to connect to h.org port 443",
            ),
            "h.org, where a requirement lies, cannot be reached",
        ),
        (
            ended(1, "ssh: Could not resolve hostname h.org: Name or service not known"),
            "h.org, where a requirement lies, cannot be reached",
        ),
        (ended(1, "fatal: repository 'https://h.org/a/' not found"), None),
    ],
)
def test_what_an_installer_says_of_the_machine(finished: Finished, sentence: str | None) -> None:
    reported = fault_in_installer(finished, "uv")
    assert reported == sentence if sentence is None else sentence in str(reported)


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.mark.parametrize(
    ("does", "cause"),
    [
        ("kill -9 $$", "uv was killed by signal SIGKILL"),
        ("echo 'error: failed to write (os error 28)' >&2; exit 2", "the disk is full"),
        ("echo \"error: unexpected argument '--x' found\" >&2; exit 2", "upgrade uv"),
    ],
)
def test_an_installer_that_is_ended_or_refuses_our_call_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str, cause: str
) -> None:
    uv = script(tmp_path / "uv", does)
    monkeypatch.setattr(installing, "_uv", lambda: [str(uv)])
    wheel = make_wheel(tmp_path)
    (report,) = check_package(wheel, select=["FR0"]).candidates
    only_errors(report, "FR002", cause)


@pytest.mark.parametrize("home", ["missing", "read-only"])
def test_a_home_that_is_of_no_use_is_no_hindrance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    """uv keeps its files below it, unless it is given another place."""
    folder = tmp_path / "home"
    if home == "read-only":
        folder.write_text("no folder can be made in here, not even by root")
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "UV_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(folder))
    (report,) = check_package(make_wheel(tmp_path), select=["FR002"]).candidates
    assert {verdict.outcome for verdict in report.verdicts} == {Outcome.PASS}


def test_a_path_may_hold_what_means_something_in_a_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "a#b c%20d ä [x]"
    (place / "tmp").mkdir(parents=True)
    monkeypatch.setattr("tempfile.tempdir", str(place / "tmp"))
    wheel = make_wheel(place / "dist", extra_metadata="Requires-Dist: six\n")
    (report,) = check_package(wheel, select=["FR002", "FR117"]).candidates
    assert [
        verdict.reason for verdict in report.verdicts if verdict.outcome is not Outcome.PASS
    ] == []


@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="only root can mount")
@pytest.mark.parametrize("option", ["noexec", "size=1m"])
def test_a_temporary_folder_that_is_of_no_use_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", option, "tmpfs", str(place)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        monkeypatch.setattr("tempfile.tempdir", str(place))
        (report,) = check_package(make_wheel(tmp_path), select=["FR0"]).candidates
        cause = "mounted noexec" if option == "noexec" else "o space left on device"
        only_errors(report, "FR002", cause)
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
