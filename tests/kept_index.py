"""PyPI, asked once for each page and file, however many installers ask for it.

Some thousand installations ask for the same hundred packages. What was fetched is kept on disk:
files stay what they are, and kept pages stand in where PyPI is out of reach.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shutil
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from http.client import HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from pytest_fractal.files import replacing

PAGES = "https://pypi.org/simple/"
FILES = "https://files.pythonhosted.org/"
JSON = "application/vnd.pypi.simple.v1+json"
PORT = 43139
"""The usual one: uv keeps what it has of an index by its URL."""
LONGEST = 20.0
"""Seconds that PyPI may be silent."""
UNUSED = 30 * 86400.0
"""Seconds after which a file that nobody has asked for is removed."""


class KeptIndex:
    """An index by the simple JSON API on this machine, with a folder for what it has fetched."""

    def __init__(self, folder: Path, pages: str = PAGES, files: str = FILES) -> None:
        self._pages, self._files = pages, files
        self._folder = folder
        self._known: dict[str, bytes | None] = {}
        self._away = False
        self._locks: dict[str, threading.Lock] = defaultdict(threading.Lock)
        folder.mkdir(parents=True, exist_ok=True)
        for path in filter(Path.is_file, folder.glob("packages/**/*")):
            if path.stat().st_mtime < time.time() - UNUSED:
                path.unlink(missing_ok=True)
        handler = type("Handler", (_Handler,), {"index": self})
        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", PORT), handler)
        except OSError:  # another session has it
            self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        serving = partial(self._server.serve_forever, poll_interval=0.05)
        threading.Thread(target=serving, daemon=True).start()

    @property
    def url(self) -> str:
        """What pip and uv are given as the URL of their index."""
        return f"http://127.0.0.1:{self._server.server_port}/simple"

    def close(self) -> None:
        """Serve no longer."""
        self._server.shutdown()
        self._server.server_close()

    def elsewhere(self, path: str) -> str:
        """Where PyPI has what is asked for here."""
        if path.startswith("/simple/"):
            return f"{self._pages}{path.removeprefix('/simple/')}"
        return f"{self._files}{path.removeprefix('/')}"

    def page(self, name: str) -> bytes | None:
        """The page of a package; None where PyPI has no such package.

        Raises `OSError` where it can neither be fetched nor was kept.
        """
        with self._locks[name]:
            if name not in self._known:
                self._known[name] = self._page(name)
            return self._known[name]

    def _page(self, name: str) -> bytes | None:
        kept = self._folder / f"{name}.json"  # empty where there is no such package
        try:
            if self._away and kept.exists():
                return kept.read_bytes() or None
            with _asked(f"{self._pages}{name}/", JSON) as answer:
                if answer.headers.get_content_type() != JSON:
                    raise OSError("the index does not answer in JSON")
                page = answer.read().replace(f'"{self._files}'.encode(), b'"/')
        except OSError as error:
            if isinstance(error, HTTPError) and error.code == 404:
                page = b""
            elif kept.exists():
                self._away = True
                return kept.read_bytes() or None
            else:
                raise
        with replacing(kept) as partial:
            partial.write_bytes(page)
        return page or None

    def file(self, path: str) -> Path:
        """A file of a release, as it is kept. Raises `OSError` where it cannot be fetched."""
        kept = self._folder / path
        with self._locks[path]:
            if kept.exists():
                kept.touch()
                return kept
            kept.parent.mkdir(parents=True, exist_ok=True)
            with (
                _asked(f"{self._files}{path}") as answer,
                replacing(kept) as partial,
                partial.open("wb") as written,
            ):
                shutil.copyfileobj(answer, written)
        return kept


def _asked(url: str, accepted: str = "*/*") -> HTTPResponse:
    answer: HTTPResponse = urlopen(Request(url, headers={"Accept": accepted}), timeout=LONGEST)
    return answer


class _Handler(BaseHTTPRequestHandler):
    index: KeptIndex

    def do_GET(self) -> None:
        with contextlib.suppress(ConnectionError):  # an installer that is stopped
            try:
                self._answer()
            except OSError:  # let the installer see for itself
                self._send(302, {"Location": self.index.elsewhere(self.path)})

    do_HEAD = do_GET

    def _answer(self) -> None:
        if page := re.fullmatch(r"/simple/([a-z0-9-]+)/", self.path):
            content = self.index.page(page[1])
            tag = f'"{hashlib.sha256(content or b"").hexdigest()[:32]}"'
            headers = {"ETag": tag, "Cache-Control": "max-age=600", "Content-Type": JSON}
            if content is None:
                self._send(404)
            elif self.headers.get("If-None-Match") == tag:
                self._send(304, headers)
            else:
                self._send(200, headers, content)
        elif re.fullmatch(r"/packages/(?:[0-9a-f]+/)+[\w.+!-]+", self.path):
            content = self.index.file(self.path.removeprefix("/")).read_bytes()
            headers = {"Cache-Control": "max-age=365000000, immutable"}
            self._send(200, headers, content)
        else:
            self._send(404)

    def _send(self, status: int, headers: Mapping[str, str] = {}, content: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
