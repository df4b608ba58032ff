"""Talking to a server's REST API: JSON there and back.

urllib3 rather than the standard library: it takes no proxy unless it is asked to, which
matters for a loopback address, and it knows multipart forms, which generation 2 needs. It
has no dependencies of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import urllib3

from pytest_fractal.errors import HarnessError
from pytest_fractal.server.process import locked

_LIMIT = urllib3.Timeout(connect=10.0, read=120.0)
_REDIRECTS = urllib3.Retry(connect=0, read=0, status=0, other=0, redirect=3)
"""Before 1.4 some paths had no slash at their end."""


class Refused(Exception):
    """The server has answered with a status of 4xx."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status
        self.said = said


class Broke(Refused):
    """The server has answered with a status of 5xx: it did not know what to do."""


class Client:
    """One user of a server.

    With a file for the `lock`, processes that give the same one make one request at a time.
    """

    def __init__(self, url: str, lock: Path | None = None) -> None:
        self._url = url
        self._lock = lock
        self._pool = urllib3.PoolManager(maxsize=16, timeout=_LIMIT, retries=_REDIRECTS)
        # A connection each: what fails in the background closes the one it was asked for on.
        self._headers = {"Connection": "close"}

    def log_in(self, user: str, password: str) -> None:
        """Log in. Raises `HarnessError` when the server does not answer."""
        answer = self._request(
            "POST",
            "/auth/token/login/",
            fields={"username": user, "password": password},
            encode_multipart=False,
        )
        self._headers |= {"Authorization": f"Bearer {answer['access_token']}"}

    def get(self, path: str, /, **query: str | int) -> Any:
        """What the server answers. Raises `Refused` or `Broke` when it does not like it."""
        return self._request("GET", path, fields={key: str(value) for key, value in query.items()})

    def post(
        self,
        path: str,
        json: Any = None,
        *,
        form: Mapping[str, str] | None = None,
        file: Path | None = None,
        **query: str | int,
    ) -> Any:
        """Send JSON, or a form with a file. Raises as `get` does."""
        if query:
            path += "?" + "&".join(f"{key}={value}" for key, value in query.items())
        if form is not None or file is not None:
            fields: dict[str, Any] = dict(form or {})
            if file is not None:
                fields["file"] = (file.name, file.read_bytes(), "application/octet-stream")
            return self._request("POST", path, fields=fields)
        return self._request("POST", path, json=json)

    def patch(self, path: str, json: Any) -> Any:
        """Change something. Raises as `get` does."""
        return self._request("PATCH", path, json=json)

    def _request(self, method: str, path: str, **body: Any) -> Any:
        try:
            with locked(self._lock) if self._lock else nullcontext():
                answer = self._pool.request(
                    method, f"{self._url}{path}", headers=self._headers, **body
                )
        except urllib3.exceptions.HTTPError as error:
            raise HarnessError(f"the server does not answer any more: {error}") from None
        if answer.status >= 400:
            kind = Broke if answer.status >= 500 else Refused
            raise kind(answer.status, _detail(answer))
        return answer.json() if answer.data else None


def _detail(answer: urllib3.BaseHTTPResponse) -> str:
    """The server's own words, without their wrapping."""
    try:
        value = answer.json()
    except ValueError:
        return answer.data.decode(errors="replace")
    detail = value.get("detail", value) if isinstance(value, dict) else value
    if isinstance(detail, list):  # of FastAPI's own validation
        return "; ".join(
            f"{'.'.join(map(str, error.get('loc', ())))}: {error.get('msg')}"
            if isinstance(error, dict)
            else str(error)
            for error in detail
        )
    return str(detail)
