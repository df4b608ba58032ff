"""Which faults the mutation run puts in: none that cannot be noticed."""

from __future__ import annotations

import pytest

pytest.importorskip("cosmic_ray", reason="the extra `mutation` is not installed")

from mutation.mutants import changes_nothing, mutants_of

SOURCE = """\
def judge(limit: int | None, *, most: int = 3) -> bool | None:
    return limit == most
"""


def test_annotations_and_parameters_hold_no_faults() -> None:
    found = {
        (mutant.operator.partition("/")[2], mutant.line) for mutant in mutants_of("m", SOURCE)
    }
    assert ("NumberReplacer", 1) in found
    assert {operator for operator, line in found if line == 1} == {"NumberReplacer"}
    assert ("ReplaceComparisonOperator_Eq_NotEq", 2) in found


@pytest.mark.parametrize(
    ("before", "after", "is_so"),
    [
        ("a is Kind.ERROR", "a == Kind.ERROR", True),
        ("a is not Kind.ERROR", "a != Kind.ERROR", True),
        ("a is Kind.ERROR", "a <= Kind.ERROR", False),
        ("a is Kind.ERROR", "a is not Kind.ERROR", False),
        ("a is kind.value", "a == kind.value", False),
        ("a is True", "a == True", False),
        ("len(a) == 1", "len(a) is 1", True),
        ("len(a) != 1", "len(a) is not 1", True),
        ("len(a) == 300", "len(a) is 300", False),
        ("a == 1", "a is 1", False),
        ("len(a) == 1", "len(a) >= 1", False),
        ("a", "not a", False),
    ],
)
def test_a_comparison_that_comes_to_the_same_is_no_fault(
    before: str, after: str, is_so: bool
) -> None:
    assert changes_nothing(f"b = 1\nc = {before}\n", f"b = 1\nc = {after}\n") is is_so
