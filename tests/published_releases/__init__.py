"""Verdicts on published releases, kept in a table: what changes in it is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pytest_fractal.published.digest import Result
from pytest_fractal.published.judging import Limits

HERE: Final = Path(__file__).parent
RELEASES: Final = HERE / "releases.toml"
TABLE: Final = HERE / "verdicts.json"
STATIC: Final = Limits(select="FR001,FR003,FR004,FR006,FR1,FR20", seconds=900)
"""The rules that install nothing: what they say of a release does not depend on the day."""


@dataclass(frozen=True)
class Row:
    """What the table has of a release."""

    version: str
    generation: str
    tasks: int
    verdicts: dict[str, str]

    @classmethod
    def of(cls, result: Result) -> dict[str, Any]:
        """The row that a result makes, as JSON."""
        verdicts = dict(result.verdicts)
        return vars(cls(result.version, result.generation, result.tasks, verdicts))
