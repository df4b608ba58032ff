"""Places in a JSON document: the way there, and the JSON pointer (RFC 6901) that names it."""

from __future__ import annotations

Keys = tuple[str | int, ...]
"""The way to a place from the document's root: names of members, numbers of items."""
Pointer = str


def escape(key: str) -> str:
    """A key as it stands in a JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1")


def pointer(*keys: str | int) -> Pointer:
    """The JSON pointer that goes through these keys and indexes."""
    return "".join(f"/{escape(str(key))}" for key in keys)
