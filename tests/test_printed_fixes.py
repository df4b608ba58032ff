"""The fixes that are printed, done literally in every bad package: the rule then passes.

Where the fix of a finding is data, it is applied as `--fractal-fix` does; where it is words
that say all, `printed_fixes` does what they say. No other rule may break by it. What takes a
person is listed here, with the reason.
"""

from __future__ import annotations

from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest
from printed_fixes import apply_fixes, form_of
from test_corpora import BAD, expectation
from test_corpora import judged as judged_by_all
from test_fixes import judged as judged_as_packed

from pytest_fractal.rules import REGISTRY
from pytest_fractal.verdicts import Severity

BY_PEOPLE = {
    "what is missing must be thought of, or written": (
        "FR106_executable_missing",
        "FR106_name_null",
        "FR106_no_executable",
        "FR108_no_tasks",
        "FR115_compound_without_init",
        "FR118_near_the_standard_words",
        "FR204_definition_missing",
        "FR204_web_address",
    ),
    "what is there may mean several things": (
        "FR106_refused_by_the_second_model",
        "FR106_several_breaches",
        "FR106_task_list_is_object",
        "FR106_types_cannot_be_told",
        "FR110_absolute_path",
        "FR111_cpus_are_text",
        "FR111_level_is_blank",
        "FR111_level_is_number",
        "FR111_nothing_at_a_time",
        "FR202_unknown_type",
        "FR207_not_in_enum",
        "FR207_wrong_type",
        "FR208_reserved_argument_of_another_type",
    ),
    "a name must be thought of": (
        "FR109_differs_by_a_blank",
        "FR109_same_name",
        "FR109_same_slug",
        "FR116_name_grows_in_lower_case",
        "FR116_name_of_many_bytes",
    ),
    "the function is changed first, and the schema generated anew": (
        "FR209_several_at_once",
        "FR209_union_of_models",
        "FR209_union_of_types",
    ),
}
"""Why a fix takes a person, and the packages of which at least one finding has such a fix."""

NEEDS_BUILD = ("FR0", "FR101", "FR102", "FR103_in_ext", "FR117", "FR210", "FR3", "FR4")
"""What is judged of a wheel that a backend has built, or of commands that were started."""
FAST = {
    "FR101_hatchling_excluded",
    "FR102_manifest_in_subfolder",
    "FR302_options_of_generation_2",
    "FR303_no_main_block",
    "FR400_misspelt_key",
}
"""Of what needs a build, one of each kind that is tried every time."""

REASONS = {name: reason for reason, names in BY_PEOPLE.items() for name in names}
PACKED = [path for path in BAD if not path.name.startswith((*NEEDS_BUILD, "FR9"))]
BUILT = [path for path in BAD if path.name.startswith(NEEDS_BUILD)]


def copied(bad: Path, folder: Path) -> Path:
    return Path(copytree(bad, folder / bad.name, ignore=ignore_patterns("expected.toml")))


@pytest.mark.parametrize("bad", PACKED, ids=lambda path: path.name)
def test_a_printed_fix_does_what_it_says(bad: Path, tmp_path: Path) -> None:
    tree, code = copied(bad, tmp_path), bad.name.partition("_")[0]
    before = judged_as_packed(tree, tmp_path / "1")
    assert {one for one, _ in before} == {code}
    left = apply_fixes(tree, [found for _, found in before])
    assert bool(left) is (bad.name in REASONS), [found.hint for found in left]
    after = judged_as_packed(tree, tmp_path / "2")
    assert {(one, found.pointer) for one, found in after} == {
        (code, found.pointer) for found in left
    }, [found.hint for _, found in after]


@pytest.mark.parametrize(
    "bad",
    [pytest.param(path, marks=[] if path.name in FAST else [pytest.mark.slow]) for path in BUILT],
    ids=lambda path: path.name,
)
def test_a_printed_fix_does_what_it_says_when_built(bad: Path, tmp_path: Path) -> None:
    said = expectation(bad)
    options = {key: value for key, value in said.items() if key not in ("finding", "slow")}
    tree, code = copied(bad, tmp_path), bad.name.partition("_")[0]
    report = judged_by_all(tree, select=[code], **options)
    before = [found for _, found in report.findings]
    assert before
    if bad.name in REASONS:
        assert any(found.fix is None and form_of(found) is None for found in before)
        return
    assert apply_fixes(tree, before) == []
    after = judged_by_all(tree, **options)
    # What is only noted, such as that there are no samples, was not judged before.
    assert [
        (one, found.found, found.hint)
        for one, found in after.findings
        if one == code or REGISTRY[one].severity is not Severity.NOTE
    ] == []


def test_who_needs_a_person_is_among_the_bad_packages() -> None:
    assert {*REASONS} | FAST <= {path.name for path in BAD}
    assert len(REASONS) == sum(map(len, BY_PEOPLE.values())), "listed twice"
