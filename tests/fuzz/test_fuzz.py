"""No manifest brings about an internal error: a part that fits into every run.

The whole: `python -m tests.fuzz --count 100000`.
"""

from __future__ import annotations

import faulthandler

import pytest

from .judge import judge
from .manifests import manifests

COUNT = 120


@pytest.mark.parametrize("start", range(0, COUNT, 40))
def test_no_manifest_brings_about_an_internal_error(
    start: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Many have a pattern that is given up: not only after a second.
    monkeypatch.setattr("pytest_fractal.schema_checks.client._LONGEST", 0.1)
    # What hangs tells where; nothing here depends on the clock but that.
    faulthandler.dump_traceback_later(600, exit=True)
    try:
        broken = {}
        for number, content in manifests(0, start, 40):
            try:
                judge(content)
            except Exception as error:
                broken[number] = repr(error)
        assert broken == {}
    finally:
        faulthandler.cancel_dump_traceback_later()
