"""An index of made-up releases that tells when its files came, by the simple JSON API."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from zipfile import ZipFile


def release(folder: Path, name: str, version: str, source: str) -> None:
    """Put a release of a package of one module, as a wheel, into a folder of wheels."""
    folder.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    with ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}/__init__.py", source)
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        record = f"{name}/__init__.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n"
        wheel.writestr(f"{info}/RECORD", record)


@contextmanager
def dated_index(folder: Path, dates: Mapping[str, str]) -> Iterator[str]:
    """Serve the wheels in a folder; yields the URL of the index.

    `dates` has the upload time of each wheel, as `name-version`; without, none is reported.
    """
    handler = type("Dated", (_Index,), {"folder": folder, "dates": dates})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/simple"
        finally:
            server.shutdown()


class _Index(BaseHTTPRequestHandler):
    folder: Path
    dates: Mapping[str, str]

    def do_GET(self) -> None:
        name = self.path.strip("/").rpartition("/")[2]
        if name.endswith(".whl"):
            self._answer((self.folder / name).read_bytes(), "binary/octet-stream")
            return
        files = []
        for path in sorted(self.folder.glob(f"{name}-*.whl")):
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            file = {"filename": path.name, "url": path.name, "hashes": {"sha256": digest}}
            came = self.dates.get("-".join(path.name.split("-")[:2]))
            files.append(file | ({"upload-time": came} if came else {}))
        if not files:
            self.send_error(404)
            return
        reported = {"meta": {"api-version": "1.1"}, "name": name, "files": files, "versions": []}
        self._answer(json.dumps(reported).encode(), "application/vnd.pypi.simple.v1+json")

    def _answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
