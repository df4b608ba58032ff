"""The dialects of JSON Schema: which one a schema is written in."""

from __future__ import annotations

from typing import Final

DRAFT_7: Final = "http://json-schema.org/draft-07/schema"
DRAFT_2020: Final = "https://json-schema.org/draft/2020-12/schema"
RELEASED: Final = (
    "http://json-schema.org/draft-03/schema",
    "http://json-schema.org/draft-04/schema",
    "http://json-schema.org/draft-06/schema",
    DRAFT_7,
    "https://json-schema.org/draft/2019-09/schema",
    DRAFT_2020,
)

_IMPLIED: Final = {
    "pydantic_v1": DRAFT_7,
    "pydantic_v2": DRAFT_2020,
    "fractal_schema_v1": DRAFT_2020,
}


def implied_dialect(schema_version: object) -> str | None:
    """The dialect that an `args_schema_version` stands for: the web client compiles by it."""
    return _IMPLIED.get(schema_version) if isinstance(schema_version, str) else None


def named_dialect(uri: object) -> str | None:
    """The released dialect that a `$schema` means, also where its URI is not quite the right one.

    `http` and `https`, and a `#` behind it, are what people mix up.
    """
    if not isinstance(uri, str):
        return None
    bare = uri.removesuffix("#").partition("://")[2]
    return next((known for known in RELEASED if known.partition("://")[2] == bare), None)
