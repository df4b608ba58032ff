"""FR301-FR305 on commands of every kind, each judged by what its process does."""

from __future__ import annotations

import pytest
from command_kinds import Kind, check, judged, named, starts_of
from command_kinds.plain import PLAIN

from pytest_fractal.report.model import CandidateReport


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> CandidateReport:
    return judged(tmp_path_factory.mktemp("plain"), PLAIN)


@named(PLAIN)
def test_each_kind_of_command_is_judged_by_what_it_does(
    plain: CandidateReport, kind: Kind
) -> None:
    check(plain, kind)


@pytest.mark.parametrize(
    ("task", "number"),
    [
        ("missing_module", 1),
        ("missing_name", 1),
        ("attribute_error_in_module", 1),
        ("syntax_error_in_script", 1),
        ("exception_in_package", 1),
        ("segfault_at_import", 1),
        ("missing_interpreter", 1),
        # A plain function names the unknown argument, and none that is missing.
        ("argparse_required", 3),
        ("argparse_parse_known_args", 3),
        # First, not JSON, good but for an unknown one, and good.
        ("ignores_unknown_and_dies_of_the_data", 4),
        # It says nothing: alone, impossible, not JSON, lacking, unknown.
        ("wraps_without_a_word", 6),
        ("accepts_everything", 2),
        # First, and every other manner.
        ("ignores_and_succeeds", 11),
    ],
)
def test_a_command_is_started_no_more_often_than_needed(
    plain: CandidateReport, task: str, number: int
) -> None:
    assert starts_of(plain, task) == number
