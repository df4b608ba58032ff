"""What real servers were seen to do with packages that break a rule, read from a table."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

_TABLE: Final = Path(__file__).with_name("observed.toml")


class Observation(NamedTuple):
    """What one version of the server did."""

    server: str
    """The version of fractal-server."""
    package: str
    """What the package has, or what its task does."""
    reaction: str
    """What the server did."""


@cache
def observations() -> Mapping[str, tuple[Observation, ...]]:
    """All of them, by the code of the rule."""
    table = tomllib.loads(_TABLE.read_text("utf-8"))
    return {code: tuple(Observation(*row) for row in rows) for code, rows in table.items()}
