"""What is said of published releases changes with no commit that does not say so."""

from __future__ import annotations

import json

import pytest

from pytest_fractal.published.digest import State
from pytest_fractal.published.judging import judge
from pytest_fractal.published.packages import Cell, read_packages

from . import AS_OF, RELEASES, TABLE, Row

LISTED = read_packages(RELEASES)
ROWS = json.loads(TABLE.read_text("utf-8"))
KEPT = [cell for cell in LISTED.cells() if cell.key in ROWS]


def test_the_table_is_of_enough_releases_by_enough_authors_and_of_both_generations() -> None:
    assert len(KEPT) == len(ROWS) >= 12
    packages = {cell.package for cell in KEPT}
    assert len({listed.author for listed in LISTED.package if listed.name in packages}) >= 8
    assert {row["generation"] for row in ROWS.values()} == {"1", "2"}


@pytest.mark.slow
@pytest.mark.parametrize("cell", KEPT, ids=lambda cell: str(cell.key))
def test_the_verdicts_on_a_release_are_those_of_the_table(cell: Cell) -> None:
    result = judge(cell, AS_OF)
    assert result.state is not State.GAVE_UP, result.said
    assert Row.of(result) == ROWS[cell.key]
