"""A wheel by its URL: within limits, by the user's proxies, certificates and logins.

A login in a URL is sent to that place only, and neither it nor what stands behind a `?`,
which may be a key, is ever in a message.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import netrc
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import SplitResult, parse_qsl, unquote, urljoin, urlsplit, urlunsplit

from pytest_fractal.environments.indexes import merged_settings
from pytest_fractal.environments.logins import known_logins
from pytest_fractal.errors import BadInput, HarnessError
from pytest_fractal.files import MEBIBYTE, size_words
from pytest_fractal.processes.variables import caller

DOWNLOAD_SIZE: Final = 1024 * MEBIBYTE
"""The largest wheel that is fetched."""
DOWNLOAD_LIMIT: Final = 900.0
"""Seconds after which a download is given up."""
_SILENCE: Final = 60.0
"""Seconds that a server may say nothing."""
_REDIRECTS: Final = 10
_HASHES: Final[Mapping[str, int]] = {"sha256": 64, "sha384": 96, "sha512": 128}
"""The hashes that are verified, and how many hexadecimal digits each has."""
_MACHINE: Final = frozenset({407, 408, 425, 429})
"""The statuses, beside those of 500 and more, by which a server or a proxy fails for now."""


@dataclass(frozen=True)
class WheelUrl:
    """The address of a wheel, and what it must hash to."""

    parts: SplitResult
    """Without the fragment; it may hold a login."""
    algorithm: str | None
    digest: str

    @property
    def file_name(self) -> str:
        """The wheel's name."""
        return unquote(self.parts.path).rpartition("/")[2]

    @property
    def shown(self) -> str:
        """The address as it may be printed."""
        fragment = f"{self.algorithm}={self.digest}" if self.algorithm else ""
        return _shown(self.parts._replace(fragment=fragment))


def parse_wheel_url(text: str) -> WheelUrl:
    """Read the address of a wheel, with `#sha256=...` or without.

    Raises `BadInput` when it is none, or names a hash that cannot be verified.
    """
    try:
        whole = urlsplit(text.strip())
        _ = whole.port
    except ValueError:
        raise BadInput("the address of a wheel is given that is no URL") from None
    url = WheelUrl(whole._replace(fragment="", scheme=whole.scheme.lower()), None, "")
    shown = url.shown
    if not whole.hostname:
        raise BadInput(f"{shown}: this URL names no host")
    if not re.fullmatch(r"[^/\\\0]+\.whl", url.file_name):
        raise BadInput(
            f"{shown}: this URL does not end in the name of a wheel, .whl; for anything else, "
            "download it and name the folder"
        )
    for name, value in parse_qsl(whole.fragment, keep_blank_values=True):
        if name in ("egg", "subdirectory"):
            continue
        length = _HASHES.get(name)
        if length is None or not re.fullmatch(f"[0-9a-fA-F]{{{length}}}", value):
            raise BadInput(
                f"{shown}: what follows # is no hash that can be verified; give "
                "#sha256= and 64 hexadecimal digits"
            )
        url = WheelUrl(url.parts, name, value.lower())
    return url


def fetch_wheel(
    url: WheelUrl, folder: Path, *, size: int = DOWNLOAD_SIZE, seconds: float = DOWNLOAD_LIMIT
) -> Path:
    """Fetch the file into `folder` and verify its hash.

    Raises `BadInput` where the address leads to no wheel, to a larger one than `size`, or to
    another than the hash says; `HarnessError` where the network or the server fails, or takes
    longer than `seconds`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / url.file_name
    deadline = time.monotonic() + seconds
    try:
        response, way = _open(url, deadline)
        with closing(response):
            _check_head(url, response, way, size)
            found = _save(url, response, path, size, deadline)
    except urllib.error.HTTPError as error:
        error.close()
        raise _refused(url, error.code) from None
    except TimeoutError:
        raise HarnessError(f"{url.shown} cannot be fetched: no answer in time: {_LOOK}") from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        text = re.sub(r"://[^/@\s]+@", "://***@", " ".join(str(reason).split()))
        said = text or type(reason).__name__
        raise HarnessError(f"{url.shown} cannot be fetched: {said}: {_LOOK}") from None
    if url.algorithm and found != url.digest:
        raise BadInput(
            f"{url.shown}: the file there has another {url.algorithm}: {found}; it has been "
            "changed, or the hash is that of another file"
        )
    return path


_LOOK: Final = "look at the network, the proxy and the certificates"


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Redirects are followed one by one: none may take a login along."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> None:
        """Follow none."""


def _open(url: WheelUrl, deadline: float) -> tuple[Any, list[SplitResult]]:
    """The answer, and the places that led to it; the first is the one that was asked for."""
    way = [url.parts]
    while len(way) <= _REDIRECTS:
        here = way[-1]
        same_place = _origin(here) == _origin(url.parts)
        request = urllib.request.Request(urlunsplit(here._replace(netloc=_bare(here))))
        if (login := _login(here if here.username else url.parts)) and same_place:
            request.add_header("Authorization", login)
        limit = max(0.1, min(_SILENCE, deadline - time.monotonic()))
        try:
            return _opener(here).open(request, timeout=limit), way
        except urllib.error.HTTPError as error:
            target = error.headers.get("Location") if error.code in _MOVED else None
            if not target:
                raise
            error.close()
            way.append(_followed(url, here, target))
    raise BadInput(f"{url.shown}: it leads from one address to another without an end")


_MOVED: Final = frozenset({301, 302, 303, 307, 308})


def _followed(url: WheelUrl, here: SplitResult, target: str) -> SplitResult:
    try:
        there = urlsplit(urljoin(urlunsplit(here), target))
        _ = there.port
    except ValueError:
        raise BadInput(f"{url.shown}: it leads to an address that is no URL") from None
    if there.scheme not in ("http", "https") or not there.hostname:
        raise BadInput(f"{url.shown}: it leads to {_shown(there)}, which is not on the web")
    if here.scheme == "https" and there.scheme == "http":
        raise BadInput(f"{url.shown}: it leads from https to {_shown(there)}, without encryption")
    return there._replace(fragment="")


def _opener(place: SplitResult) -> urllib.request.OpenerDirector:
    settings = merged_settings("pip")
    context = ssl.create_default_context()
    own = next(filter(None, map(caller.get, ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"))), None)
    if certificates := settings.certificates or own:
        try:
            context.load_verify_locations(Path(certificates).expanduser())
        except (OSError, ssl.SSLError):
            raise BadInput(f"{certificates}: no file of certificates") from None
    known = {name.lower(): value for name, value in caller.items() if value}
    proxies = {
        "http": known.get("http_proxy") or known.get("all_proxy") or settings.http_proxy,
        "https": known.get("https_proxy") or known.get("all_proxy") or settings.https_proxy,
        "no": known.get("no_proxy") or settings.no_proxy,
    }
    used = {scheme: value for scheme, value in proxies.items() if value}
    host = place.netloc.rpartition("@")[2]
    if urllib.request.proxy_bypass_environment(host, used):  # type: ignore[attr-defined]
        used = {}
    used.pop("no", None)
    return urllib.request.build_opener(
        urllib.request.ProxyHandler(used),
        urllib.request.HTTPSHandler(context=context),
        _NoRedirects(),
    )


def _login(place: SplitResult) -> str | None:
    """The header of a login: the URL's own, else what the user keeps in a `.netrc`."""
    user, password = unquote(place.username or ""), unquote(place.password or "")
    if not place.username:
        known: netrc.netrc | None = known_logins()
        found = known.authenticators(place.hostname or "") if known else None
        if found is None:
            return None
        user, password = found[0], found[2] or ""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _check_head(url: WheelUrl, response: Any, way: list[SplitResult], size: int) -> None:
    length = response.headers.get("Content-Length", "")
    if length.isdecimal() and int(length) > size:
        raise _too_large(url, size)
    if response.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
        to = f"{_shown(way[-1])}, which is " if len(way) > 1 else ""
        raise BadInput(
            f"{url.shown}: it leads to {to}a page and not a wheel; give the address of the file "
            "itself"
        )


def _save(url: WheelUrl, response: Any, path: Path, size: int, deadline: float) -> str:
    """Write the answer to `path`; returns its hash."""
    computed = hashlib.new(url.algorithm or "sha256")
    got = 0
    with path.open("wb") as file:
        while chunk := response.read1(MEBIBYTE):
            if not got and not chunk.startswith(b"PK"[: len(chunk)]):
                raise BadInput(f"{url.shown}: what is there is no wheel, but another file")
            got += len(chunk)
            if got > size:
                raise _too_large(url, size)
            if time.monotonic() > deadline:
                raise TimeoutError
            computed.update(chunk)
            file.write(chunk)
    length = response.headers.get("Content-Length", "")
    if length.isdecimal() and got < int(length):
        raise http.client.IncompleteRead(b"", int(length) - got)
    if not got:
        raise BadInput(f"{url.shown}: the file there is empty")
    return computed.hexdigest()


def _refused(url: WheelUrl, status: int) -> Exception:
    answers = f"{url.shown}: the server answers {status}"
    if status >= 500 or status in _MACHINE:
        return HarnessError(f"{answers}: try again later, or {_LOOK}")
    if status in (401, 403):
        return BadInput(f"{answers}: it wants a login, https://USER:PASSWORD@... or a .netrc")
    return BadInput(f"{answers}: there is no such file")


def _too_large(url: WheelUrl, size: int) -> BadInput:
    return BadInput(f"{url.shown}: the file there has more than {size_words(size)}")


def _origin(place: SplitResult) -> tuple[str, str | None, int]:
    return place.scheme, place.hostname, place.port or {"http": 80, "https": 443}[place.scheme]


def _bare(place: SplitResult) -> str:
    return place.netloc.rpartition("@")[2]


def _shown(place: SplitResult) -> str:
    return urlunsplit(place._replace(netloc=_bare(place), query=""))
