"""Verdicts on published releases, kept in a table: what changes in it is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from pytest_fractal.published.digest import Result
from pytest_fractal.published.judging import Limits

HERE: Final = Path(__file__).parent
RELEASES: Final = HERE / "releases.toml"
TABLE: Final = HERE / "verdicts.json"
AS_OF: Final = Limits(select="FR0,FR1,FR2,FR3", seconds=1800, as_of=date(2026, 11, 25))
"""What is said of a release with the dependencies that the index had on one day."""


@dataclass(frozen=True)
class Row:
    """What the table has of a release."""

    version: str
    generation: str
    tasks: int
    starting: int
    verdicts: dict[str, str]
    causes: list[str]
    """What fails, each once, as the page names it."""

    @classmethod
    def of(cls, result: Result) -> dict[str, Any]:
        """The row that a result makes, as JSON."""
        fails = (f"{cause.code}: {cause.text}" for cause in result.causes if cause.fails)
        return vars(
            cls(
                result.version,
                result.generation,
                result.tasks,
                result.starting,
                dict(result.verdicts),
                list(dict.fromkeys(fails)),
            )
        )
