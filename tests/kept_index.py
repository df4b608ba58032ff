"""What PyPI says of packages, asked once in a session of pytest, however many installers ask.

Some thousand installations ask for the same hundred pages. Here each is fetched once, kept on
disk, and kept ones are served where PyPI cannot be reached. The files that the pages name are
fetched from where they lie, and then are in the caches of pip and uv.
"""

from __future__ import annotations

import hashlib
import re
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

PYPI = "https://pypi.org/simple/"
JSON = "application/vnd.pypi.simple.v1+json"
PORT = 43141
"""The usual one: uv keeps what it has of an index by its URL."""
LONGEST = 20.0
"""Seconds that PyPI may take for a page."""


class KeptIndex:
    """Pages of an index by the simple JSON API, with a folder where they are kept."""

    def __init__(self, folder: Path, upstream: str = PYPI) -> None:
        self.upstream = upstream
        self._folder = folder
        self._pages: dict[str, bytes | None] = {}
        self._away = False
        folder.mkdir(parents=True, exist_ok=True)
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

    def page(self, name: str) -> bytes | None:
        """The page of a package; None where the index has no such package.

        Raises `OSError` where it can neither be fetched nor was kept.
        """
        if name not in self._pages:
            self._pages[name] = self._fetched(name)
        return self._pages[name]

    def _fetched(self, name: str) -> bytes | None:
        kept = self._folder / f"{name}.json"
        if self._away and kept.exists():
            return kept.read_bytes()
        request = Request(f"{self.upstream}{name}/", headers={"Accept": JSON})
        try:
            with urlopen(request, timeout=LONGEST) as answer:
                if answer.headers.get_content_type() != JSON:
                    raise OSError("the index does not answer in JSON")
                page: bytes = answer.read()
        except HTTPError as error:
            if error.code == 404:
                return None
            if not kept.exists():
                raise
            return kept.read_bytes()
        except OSError:
            self._away = True
            if not kept.exists():
                raise
            return kept.read_bytes()
        partial = kept.with_suffix(f".{threading.get_ident()}")
        partial.write_bytes(page)
        partial.replace(kept)
        return page


class _Handler(BaseHTTPRequestHandler):
    index: KeptIndex

    def do_GET(self) -> None:
        name = self.path.strip("/").removeprefix("simple/")
        try:
            page = self.index.page(name) if re.fullmatch(r"[a-z0-9-]+", name) else None
        except OSError:  # let the installer see for itself
            self.send_response(302)
            self.send_header("Location", f"{self.index.upstream}{name}/")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if page is None:
            self.send_error(404)
            return
        tag = f'"{hashlib.sha256(page).hexdigest()[:32]}"'
        known = self.headers.get("If-None-Match") == tag
        self.send_response(304 if known else 200)
        self.send_header("ETag", tag)
        self.send_header("Cache-Control", "max-age=600")
        if not known:
            self.send_header("Content-Type", JSON)
            self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        if not known and self.command != "HEAD":
            self.wfile.write(page)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
