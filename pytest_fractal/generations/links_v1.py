"""Web addresses as the server of generation 1 takes them: the `HttpUrl` of pydantic 1."""

from __future__ import annotations

import re
from typing import Final

_URL: Final = re.compile(
    r"https?://"
    r"(?:[^\s:/]*(?::[^\s/]*)?@)?"  # user and password
    r"(?:(?P<address>(?:\d{1,3}\.){3}\d{1,3}(?=[/:#?]|$)|\[[A-F0-9]*:[A-F0-9:]+\](?=[/:#?]|$))"
    r"|(?P<host>[^\s/:?#]+))?"
    r"(?::(?P<port>\d+))?"
    r"(?:/[^\s?#]*)?(?:\?[^\s#]*)?(?:#[^\s#]*)?",
    re.IGNORECASE,
)
_LABEL: Final = r"[0-9A-Z_a-\U00040000](?:[-0-9A-Z_a-\U00040000]{0,61}[0-9A-Z_a-\U00040000])?"
"""Not compiled until a host is looked at: with such a range, that takes 10 ms."""
_TOP_LEVEL: Final = re.compile(r"[^\W\d_]{2,63}|xn--[a-z0-9_-]{2,63}", re.IGNORECASE)


def problem_of_link(link: str) -> str:
    """What is wrong with a URL by the `HttpUrl` of pydantic 1; empty when nothing is."""
    text = link.strip()
    if not 1 <= len(text) <= 2083:
        return "which is empty" if not text else "which is longer than 2083 characters"
    if re.search(r"\s", text):
        return "which has a blank"
    if not re.match("https?://", text, re.IGNORECASE | re.ASCII):
        return "which does not begin with http:// or https://"
    url = _URL.match(text)
    if url is None or url.end() < len(text):
        return "which is no URL"
    if not (url["host"] or url["address"]):
        return "which names no host"
    if url["port"] and int(url["port"]) > 65535:
        return f"whose port {url['port']} is above 65535"
    return _problem_of_host(url["host"]) if url["host"] else ""


def _problem_of_host(host: str) -> str:
    try:
        encoded = host.encode("idna").decode()
    except UnicodeError as error:
        return f"whose host {host!r} is no host name ({error})"
    # The server stores the encoded form, and checks it again when it reads it.
    for form in (host, encoded):
        *labels, top = form.removesuffix(".").split(".")
        if not all(re.fullmatch(_LABEL, label) for label in labels):
            return f"whose host {form!r} is no host name"
        if not labels or not _TOP_LEVEL.fullmatch(top):
            return f"whose host {form!r} has no top-level domain"
    return ""
