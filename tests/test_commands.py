"""FR301-FR305 on commands of every kind, each judged by what its process does.

They are judged twice, by the same starts: as they are, and as they look where the system does not
tell who reads a file.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from command_kinds import (
    ALL_ALIKE,
    GOOD,
    NOT_READING,
    NOT_TAKING,
    Kind,
    check,
    named,
    starts_of,
    wheel_of,
)
from command_kinds.plain import PLAIN

from pytest_fractal.candidate.store import Fact, Store
from pytest_fractal.engine import Engine
from pytest_fractal.package_spec import parse_package
from pytest_fractal.processes.commands import Start
from pytest_fractal.processes.probing import OptionProbe, Probe, Refusals
from pytest_fractal.processes.reading import ReadWatch
from pytest_fractal.report.model import CandidateReport
from pytest_fractal.selection import parse_codes
from pytest_fractal.session import Session
from pytest_fractal.settings import Settings

T = TypeVar("T")

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

OF_EACH_SORT = {
    # It ends in an exception of its arguments, by itself or in another process.
    *("argparse_required", "argparse_reads_while_parsing", "ignores_unknown"),
    *("reader_shared_but_read_by_script_1", "reader_shared_but_read_by_script_2"),
    *("no_gpu_after_reading", "raises_whatever_it_is_given", "no_licence_after_reading"),
    *("checks_its_own_types_before_its_arguments", "missing_module_later"),
    "module_missing_in_a_thread_and_in_a_child",
    # With a word, without one, by a signal, or not at all.
    *("by_position", "wraps_without_a_word", "kills_itself_when_wrong"),
    *("logs_arguments_then_ignores_unknown", "echo_in_the_exception"),
    # It refuses the second option, or both, and other ways are tried until one is taken.
    *("argparse_reads_while_parsing_and_refuses_output", "loop_reading_at_once_then_raising"),
    *("argparse_no_output_option", "getopt_output_refused", "getopt_short"),
    *("argparse_json_only", "equals_sign_only", "positional_only", "generation_2"),
    *("loop_refusing_without_naming", "usage_and_success_unless_positional"),
    # None is.
    *("argparse_subcommand", "loop_refusing_with_exception", "usage_and_success"),
    # It does the same whatever it is given.
    *("ignores_and_succeeds", "ignores_and_fails", "random_words_and_no_gpu"),
    # It ends before that.
    *("missing_module", "segfault_at_import", "missing_interpreter"),
}
"""One of each sort that there is, by how it ends, how often it is started, and what is said of it.

The others go the same way, and are judged so in long runs alone.
"""


class WithoutReads(Store):
    """The facts of another store, where no start tells whether it has read its file.

    What is concluded from the starts is concluded anew, and only those that nobody has made yet
    are made.
    """

    def __init__(self, known: Store) -> None:
        super().__init__()
        self.known = known

    def once(
        self, fact: Fact[T], gather: Callable[[], T], given: Mapping[str, Any] | None = None
    ) -> T:
        if fact.type in (Probe, OptionProbe, Refusals):
            return super().once(fact, gather, given)
        value = self.known.once(fact, gather, given)
        if isinstance(value, Start):
            return replace(value, read=None, finished=replace(value.finished, read=None))
        return value


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """A run over a package of all these commands."""
    wheel = wheel_of(tmp_path_factory.mktemp("plain"), PLAIN)
    settings = Settings(select=parse_codes("FR3"))
    with contextlib.closing(
        Session([parse_package(str(wheel), wheel.parent)], settings, wheel.parent)
    ) as session:
        session.prepare()
        yield session


@pytest.fixture(scope="module")
def plain(session: Session) -> CandidateReport:
    """What is said of all of them."""
    ((anchor, engine),) = session.engines.items()
    checks = engine.plan()
    engine.run_ahead(checks, session.width)
    return session.report(anchor, [engine.verdict(check) for check in checks])


@pytest.fixture(scope="module")
def blind(session: Session, plain: CandidateReport) -> Iterator[Engine]:
    """Says it where no read can be seen, when all else is known of them."""
    (engine,) = session.engines.values()
    candidate = engine.candidate
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ReadWatch, "was_read", lambda _: None)
        patch.setattr(candidate, "store", WithoutReads(candidate.store))
        yield Engine(candidate)


@named(PLAIN)
def test_each_kind_of_command_is_judged_by_what_it_does(
    plain: CandidateReport, kind: Kind
) -> None:
    check(plain.verdicts, kind)


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
        # First, and every other way to hand over arguments.
        ("ignores_and_succeeds", 11),
    ],
)
def test_a_command_is_started_no_more_often_than_needed(
    plain: CandidateReport, task: str, number: int
) -> None:
    assert starts_of(plain, task) == number


@named(PLAIN, slow={kind.name for kind in PLAIN} - OF_EACH_SORT - BLIND.keys())
def test_where_no_read_is_seen_only_commands_that_fail_early_get_away(
    blind: Engine, kind: Kind
) -> None:
    checks = [check for check in blind.plan() if check.task and check.task.id == kind.name]
    other = BLIND.get(kind.name)
    verdicts = [blind.verdict(check) for check in checks]
    check(verdicts, replace(kind, says="", **other) if other else kind)
