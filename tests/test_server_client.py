"""What is said to a server and by it, and whose fault it is."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from pytest_fractal.errors import HarnessError
from pytest_fractal.server.client import Broke, Client, Refused


class Answering(BaseHTTPRequestHandler):
    """Answers with the status that is the last part of the path, and what it was sent."""

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length).decode()
        status = int(self.path.rpartition("/")[2].partition("?")[0])
        reported = (
            {"detail": [{"loc": ["body", "name"], "msg": "missing"}]} if status == 422 else body
        )
        self.send_response(status)
        self.end_headers()
        self.wfile.write(b"plainly broken" if status == 500 else json.dumps(reported).encode())

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
