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
from test_corpora import BAD, NEEDS_BUILD, PACKED, expectation
from test_corpora import judged as judged_by_all
from test_fixes import judged as judged_as_packed

from pytest_fractal.rules import REGISTRY
from pytest_fractal.verdicts import Severity

pytestmark = pytest.mark.usefixtures("any_environment")

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
        "FR106_types_cannot_be_inferred",
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
    "the build of the author's own code must be changed, as the backend's error says": (
        "FR001_backend_not_required",
        "FR001_backend_raises",
        "FR001_build_requirement_not_on_index",
        "FR001_sdist_lacks_a_file_of_the_build",
        "FR001_setup_py_imports_undeclared",
        "FR001_syntax_error_in_pyproject",
    ),
    "which requirement or release is to change, its author decides": (
        "FR002_dependencies_exclude_each_other",
        "FR002_extra_not_there",
        "FR002_no_release_is_new_enough",
        "FR002_python_excluded",
        "FR002_python_of_the_future",
        "FR005_pin_breaks_a_requirement",
        "FR301_dependency_drifted",
    ),
    "a folder or a name is to be changed in all imports": (
        "FR003_namespace_folder",
        "FR003_upper_case_folder",
    ),
    "the wheel is built, and never renamed by hand": (
        "FR004_file_name_of_another",
        "FR004_file_name_without_tags",
        "FR004_no_version_in_metadata",
    ),
    "what belongs into the wheel, its author knows": (
        "FR006_hatch_keeps_ignored_file",
        "FR006_hatch_sdist_lacks_data",
        "FR006_setuptools_manifest_in_excludes",
        "FR101_no_manifest",
        "FR301_data_file_not_in_wheel",
        "FR301_subpackage_not_in_wheel",
    ),
    "it must be said in other words": (
        "FR117_author_looks_like_a_place",
        "FR117_home_page_names_the_manifest",
        "FR117_summary_names_the_manifest",
    ),
    "the package's generator makes the manifest, see test_from_template": (
        "FR210_constraint_not_in_manifest",
    ),
    "the distribution that brings a module, or the extra, must be chosen": (
        "FR301_in_a_part",
        "FR301_module_of_an_extra",
    ),
    "the script must be written otherwise": (
        "FR301_syntax_error",
        "FR302_equals_sign_only",
        "FR302_j_means_jobs",
        "FR302_long_option_only",
        "FR302_no_metadata_out",
        "FR302_positional_arguments",
        "FR302_subcommand_needed",
        "FR303_ignores_its_arguments",
        "FR303_only_checks_existence",
        "FR303_reads_a_fixed_name",
        "FR303_reads_standard_input",
        "FR304_accepts_missing_arguments",
        "FR304_accepts_what_is_no_json",
        "FR304_drops_unknown_arguments",
        "FR304_hides_every_error",
        "FR304_reads_only_what_it_knows",
        "FR305_runner_refuses_the_function",
        "FR409_rewrites_its_own_data",
    ),
    "the sample or the task is wrong, and which of them its author knows": (
        "FR400_image_outside_zarr_dir",
        "FR401_component_with_a_quote",
        "FR401_components_are_no_list",
        "FR401_components_collide",
        "FR401_compute_fails",
        "FR401_converter_tells_of_no_image",
        "FR401_exit_1",
        "FR401_init_hands_on_nothing",
        "FR401_killed_by_a_signal",
        "FR401_level_missing",
        "FR401_no_component_found",
        "FR401_one_component_of_three",
        "FR406_accepts_a_negative_number",
        "FR406_makes_what_is_missing",
        "FR406_sample_without_a_component",
    ),
    "the task must write something else, or wait for what it has started": (
        "FR402_converter_writes_nothing",
        "FR402_writes_elsewhere",
        "FR402_writes_nothing",
        "FR402_writes_only_what_is_not_empty",
        "FR403_byte_order_mark",
        "FR403_empty_file",
        "FR403_half_a_surrogate_pair",
        "FR403_init_writes_a_list",
        "FR403_list",
        "FR403_nan",
        "FR403_nan_handed_on",
        "FR403_number",
        "FR403_python_for_json",
        "FR403_two_documents",
        "FR404_empty_file",
        "FR404_folder_for_the_file",
        "FR404_keys",
        "FR404_list",
        "FR404_list_in_generation_2",
        "FR405_daemon",
        "FR405_daemon_of_a_compute_part",
        "FR405_daemon_that_ends_soon",
        "FR405_forked_child",
        "FR405_multiprocessing_left",
        "FR405_popen_not_waited_for",
        "FR405_shell_in_the_background",
        "FR408_attribute_is_a_list",
        "FR408_init_args_no_object",
        "FR408_init_part_updates_images",
        "FR408_keys_of_generation_1",
        "FR408_null_for_a_list",
        "FR408_number_here_text_there",
        "FR408_outside_zarr_dir",
        "FR408_relative_path",
        "FR408_removes_unknown_image",
        "FR408_two_units_update_one_image",
        "FR408_type_is_a_number",
        "FR408_updated_and_removed",
    ),
}
"""Why a fix takes a person, and the packages of which at least one finding has such a fix."""

FAST = {
    "FR101_hatchling_excluded",
    "FR102_manifest_in_subfolder",
    "FR302_options_of_generation_2",
    "FR303_no_main_block",
    "FR400_misspelt_key",
}
"""Of what needs a build, one of each kind that is tried every time."""

REASONS = {name: reason for reason, names in BY_PEOPLE.items() for name in names}
BUILT = [path for path in BAD if path.name.startswith(NEEDS_BUILD)]


def copied(bad: Path, folder: Path) -> Path:
    return Path(copytree(bad, folder / bad.name, ignore=ignore_patterns("expected.toml")))


@pytest.mark.parametrize("bad", PACKED, ids=lambda path: path.name)
def test_a_printed_fix_does_what_it_says(bad: Path, tmp_path: Path) -> None:
    tree, code = copied(bad, tmp_path), bad.name.partition("_")[0]
    before = judged_as_packed(tree, tmp_path / "1")
    assert {broken for broken, _ in before} == {code}
    left = apply_fixes(tree, [found for _, found in before])
    assert bool(left) is (bad.name in REASONS), [found.hint for found in left]
    after = judged_as_packed(tree, tmp_path / "2")
    assert {(left, found.pointer) for left, found in after} == {
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
        (left, found.found, found.hint)
        for left, found in after.findings
        if left == code or REGISTRY[left].severity is not Severity.NOTE
    ] == []


def test_who_needs_a_person_is_among_the_bad_packages() -> None:
    assert {*REASONS} | FAST <= {path.name for path in BAD}
    assert len(REASONS) == sum(map(len, BY_PEOPLE.values())), "listed twice"
