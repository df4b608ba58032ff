"""FR3: what a finding on a command tells its reader."""

from __future__ import annotations

import re
from pathlib import Path

from wheel_factory import TASK_SOURCE, make_wheel

from pytest_fractal import check_package


def test_a_package_that_refuses_another_is_named_with_both_versions(tmp_path: Path) -> None:
    """Compiled modules check what they run with themselves: installers know nothing of it."""
    refuses = 'raise ImportError("pip requires Setuptools 99.0 or newer, found 1.0")\n'
    wheel = make_wheel(tmp_path, files={"__init__.py": "", "task.py": refuses + TASK_SOURCE})
    (candidate,) = check_package(wheel, select=["FR301"]).candidates
    ((_, finding),) = candidate.findings
    assert re.match(r"pip \d[\w.]+ does not fit to setuptools \d[\w.]+: limit ", finding.hint)
