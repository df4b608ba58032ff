"""A wheel by its URL: fetched within limits, verified, and what is wrong said in a sentence."""

from __future__ import annotations

import base64
import hashlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import Runner

from pytest_fractal.environments.downloads import fetch_wheel, parse_wheel_url
from pytest_fractal.errors import BadInput, HarnessError
from pytest_fractal.package_spec import parse_package

NAME = "tested_tasks-1.0-py3-none-any.whl"
LOGIN = "Basic " + base64.b64encode(b"me:s3cret").decode()


class Site(ThreadingHTTPServer):
    """A web server that answers by the first part of a path, and remembers who was let in."""

    def __init__(self, wheel: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.wheel = wheel
        self.targets: dict[str, str] = {}
        """Where the paths below /to/ lead."""
        self.logins: list[tuple[str, str | None]] = []

    def url(self, path: str, login: str = "") -> str:
        return f"http://{login}127.0.0.1:{self.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        self.server.logins.append((self.path, self.headers["Authorization"]))
        first = self.path.split("/")[1]
        wheel = self.server.wheel
        if first == "to":
            self.send_response(302)
            self.send_header("Location", self.server.targets[self.path.split("/")[2]])
            self.end_headers()
        elif first == "private" and self.headers["Authorization"] != LOGIN:
            self._answer(401, b"who are you?")
        elif first in ("files", "private"):
            self._answer(200, wheel)
        elif first == "page":
            self._answer(200, b"<!doctype html><h1>Sign in</h1>", "text/html; charset=utf-8")
        elif first == "text":
            self._answer(200, b"version https://git-lfs.github.com/spec/v1\n")
        elif first == "cut":
            self._answer(200, wheel[: len(wheel) // 2])
        elif first == "broken-off":
            self.send_response(200)
            self.send_header("Content-Length", str(len(wheel) + 1))
            self.end_headers()
            self.wfile.write(wheel)
        elif first == "endless":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(wheel[:4])
            while True:
                try:
                    self.wfile.write(bytes(2**16))
                except OSError:
                    return
        elif first == "slow":
            self.send_response(200)
            self.end_headers()
            for byte in wheel:
                try:
                    self.wfile.write(bytes([byte]))
                except OSError:
                    return
                time.sleep(0.02)
        else:
            self._answer(int(first), b"no")

    def _answer(self, status: int, body: bytes, kind: str = "binary/octet-stream") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def site(good_wheel: Path) -> Iterator[Site]:
    server = Site(good_wheel.read_bytes())
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def fetch(site: Site, path: str, folder: Path, login: str = "", **limits: float) -> Path:
    return fetch_wheel(parse_wheel_url(site.url(path, login)), folder, **limits)  # type: ignore[arg-type]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_wheel_at_a_url_is_judged(runner: Runner, site: Site) -> None:
    """Node ids begin with the file's name, and a login is never printed."""
    url = site.url(f"/private/{NAME}?key=k3y#sha256={sha256(site.wheel)}", "me:s3cret@")
    ran = runner.hermetic(url, "--fractal-select=FR0,FR102", "-v", "--fractal-report=out.json")
    assert ran.status == 0, ran.text
    assert f"{NAME}::manifest-at-package-root" in ran.out
    report = (runner.folder / "out.json").read_text()
    for text in (ran.text, report):
        assert "s3cret" not in text
        assert "k3y" not in text
    assert site.url(f"/private/{NAME}#sha256={sha256(site.wheel)}") in report


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (f"/404/{NAME}", "the server answers 404: there is no such file"),
        (f"/private/{NAME}", "the server answers 401: it wants a login"),
        (f"/page/{NAME}", "it leads to a page and not a wheel"),
        (f"/text/{NAME}", "what is there is no wheel, but another file"),
        (f"/cut/{NAME}", "the file there is no readable wheel"),
        (f"/files/{NAME}#sha256={'0' * 64}", "the file there has another sha256"),
        (f"/files/{NAME}#sha256=12", "no hash that can be verified"),
        ("/files/tasks.tar.gz", "does not end in the name of a wheel"),
    ],
)
def test_a_bad_answer_is_one_sentence(
    pytester: pytest.Pytester, site: Site, path: str, said: str
) -> None:
    ran = pytester.runpytest_inprocess(f"--fractal-package={site.url(path)}", "-q")
    assert ran.ret == 4
    (line,) = (line for line in ran.errlines if line.startswith("ERROR: "))
    assert said in line
    assert "Traceback" not in ran.stdout.str() + ran.stderr.str()


@pytest.mark.parametrize("path", [f"/503/{NAME}", f"/broken-off/{NAME}"])
def test_what_the_network_does_is_an_error_of_the_harness(
    pytester: pytest.Pytester, site: Site, path: str
) -> None:
    ran = pytester.runpytest_inprocess(f"--fractal-package={site.url(path)}", "-q")
    assert ran.ret == 1
    assert "error" in ran.stdout.str()
    assert "Traceback" not in ran.stdout.str() + ran.stderr.str()


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=r"cannot be fetched: .*refused"):
        fetch_wheel(parse_wheel_url(f"http://127.0.0.1:9/{NAME}"), tmp_path)


def test_a_download_has_limits_in_size_and_time(site: Site, tmp_path: Path) -> None:
    for path in ("/files/", "/endless/"):
        with pytest.raises(BadInput, match="has more than 1000 bytes"):
            fetch(site, path + NAME, tmp_path, size=1000)
    with pytest.raises(HarnessError, match="no answer in time"):
        fetch(site, f"/slow/{NAME}", tmp_path, seconds=0.3)


def test_redirects_are_followed_to_wheels_and_take_no_login_elsewhere(
    site: Site, good_wheel: Path, tmp_path: Path
) -> None:
    """As a release page does, which leads to a store with a name and a key of its own."""
    site.targets = {
        "store": site.url("/files/4711?key=1").replace("127.0.0.1", "localhost"),
        "here": f"/private/{NAME}",
        "sign-in": site.url("/page/login"),
        "round": f"/to/round/{NAME}",
        "disk": good_wheel.as_uri(),
    }
    taken = fetch(site, f"/to/store/{NAME}", tmp_path, "me:s3cret@")
    assert (taken.name, taken.read_bytes()) == (NAME, site.wheel)
    assert site.logins == [(f"/to/store/{NAME}", LOGIN), ("/files/4711?key=1", None)]
    assert fetch(site, f"/to/here/{NAME}", tmp_path, "me:s3cret@").read_bytes() == site.wheel
    for where, said in (
        ("sign-in", r"it leads to http://127\.0\.0\.1:\d+/page/login, which is a page"),
        ("round", "without an end"),
        ("disk", "which is not on the web"),
    ):
        with pytest.raises(BadInput, match=said):
            fetch(site, f"/to/{where}/{NAME}", tmp_path)


def test_a_login_may_stand_in_netrc(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password s3cret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert fetch(site, f"/private/{NAME}", tmp_path / "got").read_bytes() == site.wheel


@pytest.mark.parametrize(
    "text",
    [
        "https://host.org/a-1-py3-none-any.whl[gpu,  io]",
        "https://me:pw@host.org/a-1-py3-none-any.whl[gpu,io]?key=1",
        "a[gpu,io] @ https://host.org/a-1-py3-none-any.whl",
    ],
)
def test_extras_stand_where_pip_writes_them_or_behind_the_name(text: str, tmp_path: Path) -> None:
    spec = parse_package(text, tmp_path)
    assert (spec.kind, spec.extras) == ("url", ("gpu", "io"))
    assert spec.text == "https://host.org/a-1-py3-none-any.whl[gpu,io]"
    assert "pw" not in repr(spec)


@pytest.mark.parametrize(
    "text",
    [
        "https://[::1/a-1-py3-none-any.whl",
        "https:///a-1-py3-none-any.whl",
        "https://host.org:port/a-1-py3-none-any.whl",
        "b @ https://host.org/a-1-py3-none-any.whl",
    ],
)
def test_what_is_no_address_of_a_wheel_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        parse_package(text, tmp_path)
