"""`python -m tests.published_releases FOLDER`: judge the releases anew, and write the table.

`FOLDER` keeps what was judged, so an interrupted run goes on.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pytest_fractal.published.digest import State
from pytest_fractal.published.history import read_result
from pytest_fractal.published.judging import judge_all
from pytest_fractal.published.packages import read_packages

from . import AS_OF, RELEASES, TABLE, Row

folder = Path(sys.argv[1])
cells = read_packages(RELEASES).cells()
judge_all(cells, folder, AS_OF, print)
results = [read_result(folder / f"{cell.key}.json") for cell in cells]
rows = {result.cell.key: Row.of(result) for result in results if result.state is not State.GAVE_UP}
TABLE.write_text(json.dumps(rows, indent=1) + "\n")
print(f"{len(rows)} of {len(cells)} releases: {TABLE}")
