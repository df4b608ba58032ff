"""FR301-FR305 on commands that do not end."""

from __future__ import annotations

from textwrap import dedent

import pytest
from command_kinds import (
    FUNCTION,
    LENIENT,
    NOT_READING,
    PARSE,
    USUAL,
    Kind,
    check,
    judged,
    named,
    starts_of,
)

from pytest_fractal.report.model import CandidateReport

HANGING = [
    Kind(
        "hangs_before_reading",
        NOT_READING,
        FUNCTION + PARSE + "import time\ntime.sleep(600)\n",
        "hangs before it looks",
    ),
    Kind(
        "hangs_after_reading",
        LENIENT,
        FUNCTION
        + PARSE
        + dedent("""
        import time
        json.load(open(options.json))
        time.sleep(600)
        """),
        "no end within",
    ),
    Kind(
        "hangs_with_children",
        LENIENT,
        FUNCTION
        + PARSE
        + dedent("""
        import subprocess
        json.load(open(options.json))
        subprocess.run(["sh", "-c", "trap '' TERM INT; sleep 600 & wait"])
        """),
        "no end within",
    ),
    Kind("hangs_at_import", NOT_READING, "import time\ntime.sleep(600)\n" + USUAL),
    Kind(
        "hangs_on_what_is_no_json",
        LENIENT,
        FUNCTION
        + PARSE
        + dedent("""
        import time
        while True:
            try:
                arguments = json.load(open(options.json))
            except ValueError:
                time.sleep(1)
            else:
                break
        main(**arguments)
        """),
        "not JSON",
    ),
]


@pytest.fixture(scope="module")
def hanging(tmp_path_factory: pytest.TempPathFactory) -> CandidateReport:
    return judged(tmp_path_factory.mktemp("hanging"), HANGING, timeout=4, jobs=5)


@named(HANGING)
def test_a_command_that_hangs_is_reported_where(hanging: CandidateReport, kind: Kind) -> None:
    check(hanging.verdicts, kind)


@pytest.mark.parametrize(
    ("task", "number"),
    [("hangs_after_reading", 1), ("hangs_with_children", 1), ("hangs_before_reading", 1)],
)
def test_a_command_that_hangs_is_hardly_started_again(
    hanging: CandidateReport, task: str, number: int
) -> None:
    assert starts_of(hanging, task) == number
