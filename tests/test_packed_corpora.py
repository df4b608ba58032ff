"""What static rules say of the bad packages, without a build: their wheels are packed by hand.

`test_corpora.py` judges one of them a rule whole, as it is built, and all of them with `-m slow`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from test_corpora import PACKED, assert_found, expectation
from test_fixes import judged


@pytest.mark.parametrize("bad", PACKED, ids=lambda path: path.name)
def test_static_rules_say_what_is_expected(bad: Path, tmp_path: Path) -> None:
    assert_found(expectation(bad)["finding"], judged(bad, tmp_path))
