"""What one start of a command shows is used by several rules, and for several tasks."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_kinds import GOOD, HELPERS, Kind, check, judged, starts_of, wheel_of
from command_kinds.plain import PLAIN

from pytest_fractal import check_package

pytestmark = pytest.mark.usefixtures("any_environment")

COSTLY = ("argparse_required", "wraps_without_a_word", "ignores_and_succeeds", "missing_module")


@pytest.mark.parametrize(
    ("rule", "numbers"),
    [
        ("FR301", (1, 1, 1, 1)),
        # How it treats its options, where it fails without a word or reads nothing.
        ("FR302", (1, 3, 11, 1)),
        ("FR303", (1, 3, 11, 1)),
        ("FR304", (3, 6, 11, 1)),
        ("FR305", (3, 6, 11, 1)),
    ],
)
def test_a_rule_costs_no_start_that_others_need(
    tmp_path: Path, rule: str, numbers: tuple[int, ...]
) -> None:
    kinds = [kind for kind in PLAIN if kind.name in COSTLY]
    (report,) = check_package(wheel_of(tmp_path, kinds), select=[rule]).candidates
    assert tuple(starts_of(report, task) for task in COSTLY) == numbers


RUN = """
import argparse, json
def run(function, read=json.load):
    parser = argparse.ArgumentParser()
    parser.add_argument("-j", required=True)
    parser.add_argument("--metadata-out", required=True)
    arguments = read(open(parser.parse_args().j))
    missing = [name for name in ("number", "metadata") if name not in arguments]
    if missing:
        raise ValueError(f"missing {missing}, unknown {list(arguments)}")
    function(**arguments)
"""


@pytest.mark.parametrize(
    ("place", "script", "shared"),
    [
        ("reader.py", "from kinds.reader import run\nrun(print)\n", True),
        # Beside the package, as what it requires is.
        ("../library.py", "from library import run\nrun(print)\n", True),
        (
            "../library.py",
            "import library, kinds.own\nlibrary.run(print, kinds.own.read)\n",
            False,
        ),
    ],
)
def test_tasks_whose_reading_is_done_by_one_helper_share_the_start_on_no_json(
    tmp_path: Path, place: str, script: str, shared: bool
) -> None:
    kinds = [Kind(f"task_{number}", GOOD, script) for number in range(4)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(HELPERS, place, RUN)
        patch.setitem(
            HELPERS, "own.py", "import json\ndef read(file):\n    return json.load(file)\n"
        )
        report = judged(tmp_path, kinds)
    for kind in kinds:
        check(report.verdicts, kind)
    assert len(report.runs) == (len(kinds) + 1 if shared else 2 * len(kinds))
