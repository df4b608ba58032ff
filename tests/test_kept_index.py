"""The index of this suite: PyPI's pages are asked for once, and kept ones stand in for PyPI."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from kept_index import JSON, KeptIndex

WHEEL = "packages/ab/12/demo-1-py3-none-any.whl"
PAGE = '{"meta": {"api-version": "1.1"}, "name": "demo", "files": [{"url": "%s"}]}'


class Upstream:
    """An index that has one package, and says what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.status = 200
        asked, upstream = self.asked, self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                status = max(upstream.status, 404 if "absent" in self.path else 200)
                self.send_response(status)
                self.send_header("Content-Type", JSON)
                self.end_headers()
                content = b"wheel" if WHEEL in self.path else upstream.page
                self.wfile.write(content if status == 200 else b"")

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self.page = (PAGE % f"{self.url}{WHEEL}").encode()
        serving = partial(self._server.serve_forever, poll_interval=0.05)
        threading.Thread(target=serving, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    made = Upstream()
    yield made
    made.close()


@pytest.fixture
def index(tmp_path: Path, upstream: Upstream) -> Iterator[KeptIndex]:
    made = index_of(tmp_path, upstream)
    yield made
    made.close()


def index_of(folder: Path, upstream: Upstream) -> KeptIndex:
    return KeptIndex(folder / "index", f"{upstream.url}simple/", upstream.url)


def asked(index: KeptIndex, path: str = "simple/demo/", **headers: str) -> tuple[int, bytes]:
    """The status and the content of an answer."""
    request = Request(f"{index.url.removesuffix('simple')}{path}", headers=headers)
    try:
        with urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        return error.code, b""


def test_a_page_is_asked_for_once(index: KeptIndex, upstream: Upstream) -> None:
    page = (PAGE % f"/{WHEEL}").encode()
    assert [asked(index) for _ in range(3)] == [(200, page)] * 3
    assert [asked(index, "simple/absent/")[0] for _ in range(2)] == [404, 404]
    assert upstream.asked == ["/simple/demo/", "/simple/absent/"]


def test_a_file_is_asked_for_once(tmp_path: Path, index: KeptIndex, upstream: Upstream) -> None:
    assert asked(index, WHEEL) == (200, b"wheel")
    upstream.close()
    later = index_of(tmp_path, upstream)
    assert [asked(found, WHEEL) for found in (index, later)] == [(200, b"wheel")] * 2
    later.close()
    assert upstream.asked == [f"/{WHEEL}"]


def test_a_file_that_nobody_asks_for_is_removed(
    tmp_path: Path, index: KeptIndex, upstream: Upstream
) -> None:
    asked(index, WHEEL)
    kept = tmp_path / "index" / WHEEL
    os.utime(kept, (0, 0))
    index_of(tmp_path, upstream).close()
    assert not kept.exists()


def test_what_an_installer_has_is_not_sent_again(index: KeptIndex) -> None:
    with urlopen(f"{index.url}/demo/", timeout=10) as answer:
        tag = answer.headers["ETag"]
    assert asked(index, **{"If-None-Match": tag})[0] == 304
    assert asked(index, **{"If-None-Match": '"another"'})[0] == 200


@pytest.mark.parametrize("fault", ["out of reach", "out of order"])
def test_a_page_of_an_earlier_session_stands_in(
    tmp_path: Path, index: KeptIndex, upstream: Upstream, fault: str
) -> None:
    before = [asked(index, f"simple/{name}/") for name in ("demo", "absent")]
    upstream.status = 503
    if fault == "out of reach":
        upstream.close()
    later = index_of(tmp_path, upstream)
    assert [asked(later, f"simple/{name}/") for name in ("demo", "absent")] == before
    later.close()


def test_without_one_the_installer_sees_the_fault_itself(
    index: KeptIndex, upstream: Upstream
) -> None:
    upstream.status = 503
    for path in ("simple/demo/", WHEEL):
        assert asked(index, path)[0] == 503
    # By the index, then by who was sent there.
    assert upstream.asked == ["/simple/demo/"] * 2 + [f"/{WHEEL}"] * 2
