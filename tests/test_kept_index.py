"""The index of this suite: PyPI's pages are asked for once, and kept ones stand in for PyPI."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from kept_index import JSON, KeptIndex

PAGE = b'{"meta": {"api-version": "1.1"}, "name": "demo", "files": []}'


class Upstream:
    """An index that has one package, and says what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.status = 200
        asked, upstream = self.asked, self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                status = upstream.status if "demo" in self.path else 404
                self.send_response(status)
                self.send_header("Content-Type", JSON)
                self.end_headers()
                self.wfile.write(PAGE if status == 200 else b"")

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/simple/"
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
    made = KeptIndex(tmp_path / "index", upstream.url)
    yield made
    made.close()


def asked(index: KeptIndex, name: str = "demo", **headers: str) -> tuple[int, bytes, str]:
    request = Request(f"{index.url}/{name}/", headers=headers)
    try:
        with urlopen(request, timeout=10) as answer:
            return answer.status, answer.read(), answer.headers["ETag"]
    except HTTPError as error:
        return error.code, b"", ""


def test_a_page_is_asked_for_once(index: KeptIndex, upstream: Upstream) -> None:
    pages = [asked(index)[:2] for _ in range(3)]
    assert pages == [(200, PAGE)] * 3
    assert [asked(index, "absent")[0] for _ in range(2)] == [404, 404]
    assert upstream.asked == ["/simple/demo/", "/simple/absent/"]


def test_what_an_installer_has_is_not_sent_again(index: KeptIndex) -> None:
    tag = asked(index)[2]
    assert asked(index, **{"If-None-Match": tag})[0] == 304
    assert asked(index, **{"If-None-Match": '"another"'})[0] == 200


@pytest.mark.parametrize("fault", ["out of reach", "out of order"])
def test_a_page_of_an_earlier_session_stands_in(
    tmp_path: Path, index: KeptIndex, upstream: Upstream, fault: str
) -> None:
    assert asked(index)[0] == 200
    upstream.status = 503
    if fault == "out of reach":
        upstream.close()
    later = KeptIndex(tmp_path / "index", upstream.url)
    try:
        assert asked(later)[:2] == (200, PAGE)
    finally:
        later.close()


def test_without_one_the_installer_sees_the_fault_itself(
    index: KeptIndex, upstream: Upstream
) -> None:
    upstream.status = 503
    assert asked(index)[0] == 503
    assert upstream.asked == ["/simple/demo/"] * 2  # by the index, then by who was sent there
