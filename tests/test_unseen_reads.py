"""FR301-FR305 on the same commands where the system does not tell who reads a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from command_kinds import ALL_ALIKE, GOOD, NOT_READING, NOT_TAKING, Kind, check, judged, named
from command_kinds.plain import PLAIN

from pytest_fractal.processes.reading import ReadWatch
from pytest_fractal.report.model import CandidateReport

BLIND: Mapping[str, Mapping[str, Any]] = {
    # Fails otherwise than with an impossible option: is trusted to have read.
    "argparse_wants_another_option_too": {"outcomes": GOOD},
    "argparse_j_is_a_number": {"outcomes": GOOD},
    "only_checks_existence_and_fails": {"outcomes": GOOD},
    # So are these, and then end alike whatever the arguments are.
    "argparse_json_text_not_file": {"outcomes": ALL_ALIKE},
    "reads_a_fixed_name": {"outcomes": ALL_ALIKE},
    "reads_standard_input": {"outcomes": ALL_ALIKE},
    "no_gpu_after_parsing": {"outcomes": ALL_ALIKE, "depends": "warn"},
    # Do not tell any two contents apart, nor an option from an impossible one.
    "accepts_everything": {"outcomes": NOT_READING},
    "by_position_and_always_the_same_words": {"outcomes": NOT_TAKING},
}
"""What is judged otherwise where no read can be seen."""


@pytest.fixture(scope="module")
def blind(tmp_path_factory: pytest.TempPathFactory) -> CandidateReport:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ReadWatch, "was_read", lambda _: None)
        return judged(tmp_path_factory.mktemp("blind"), PLAIN)


@named(PLAIN)
def test_where_no_read_is_seen_only_commands_that_fail_early_get_away(
    blind: CandidateReport, kind: Kind
) -> None:
    other = BLIND.get(kind.name)
    check(blind, replace(kind, says="", **other) if other else kind)
