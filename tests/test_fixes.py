"""Every fix that is data, applied: the finding goes, and no other comes.

What builds bring is proven in `test_packaging_hints.py`; here wheels are packed by hand.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from wheel_factory import good_manifest, make_wheel

from pytest_fractal.candidate.builds import BUILD
from pytest_fractal.candidate.packaged import Candidate
from pytest_fractal.engine import Engine
from pytest_fractal.environments.building import Built
from pytest_fractal.environments.wheels import MANIFEST_NAME
from pytest_fractal.fixes.applying import Change, Plan, plan_changes, write
from pytest_fractal.fixes.json_edits import apply_edits, conflict
from pytest_fractal.fixes.lines import apply_lines, line_edits
from pytest_fractal.fixes.model import Action, FileFix, Fix, JsonEdit, LineEdit
from pytest_fractal.package_spec import parse_package
from pytest_fractal.packaging_hints.dependencies import fix_for_dependencies
from pytest_fractal.packaging_hints.names import naming_hint
from pytest_fractal.processes.executors import LocalExecutor
from pytest_fractal.selection import parse_codes
from pytest_fractal.settings import Settings
from pytest_fractal.verdicts import Finding, Outcome

ROOT = Path(__file__).parent.parent
FIXABLE = (
    *("FR101", "FR104", "FR105", "FR106", "FR107", "FR110", "FR111", "FR112", "FR114", "FR116"),
    *("FR201", "FR202", "FR203", "FR205", "FR206", "FR207"),
)
BAD = sorted(path for path in (ROOT / "bad_packages").iterdir() if path.name.startswith(FIXABLE))
STATIC = "FR003,FR004,FR10,FR110,FR111,FR112,FR113,FR114,FR115,FR116,FR118,FR20"


def packed(tree: Path, folder: Path) -> Path:
    """A wheel of the package in the tree, with every file but what is not packed."""
    project = tomllib.loads((tree / "pyproject.toml").read_text()).get("project", {})
    name = project.get("name", tree.name)
    package = re.sub(r"[-_.]+", "_", name).lower()
    inside = next(path for path in (tree / package, tree / "src" / package) if path.is_dir())
    files = {path.relative_to(inside).as_posix(): path.read_bytes() for path in _files(inside)}
    manifest = files.pop(MANIFEST_NAME)
    return make_wheel(folder, name, "1.0", files, manifest)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def judged(tree: Path, scratch: Path, codes: str = STATIC) -> list[tuple[str, Finding]]:
    """What is found in a source tree by static rules, on a wheel that was packed by hand."""
    settings = Settings(select=parse_codes(codes))
    candidate = Candidate(
        parse_package(str(tree), tree), settings, scratch / "run", LocalExecutor(1)
    )
    built = Built(packed(tree, scratch))
    candidate.store.once(BUILD, lambda: built)
    engine = Engine(candidate)
    verdicts = [engine.verdict(check) for check in engine.plan()]
    assert [verdict for verdict in verdicts if verdict.outcome is Outcome.ERROR] == []
    return [(verdict.code, found) for verdict in verdicts for found in verdict.findings]


def applied(tree: Path, found: Sequence[tuple[str, Finding]]) -> Plan:
    plan = plan_changes(tree, [finding.fix for _, finding in found if finding.fix is not None])
    for change in plan.changes:
        write(tree, change)
    return plan


@pytest.mark.parametrize(
    "bad",
    [folder for folder in BAD if not folder.name.startswith("FR101")],
    ids=lambda path: path.name,
)
def test_a_fix_changes_what_it_says_and_that_once(bad: Path, tmp_path: Path) -> None:
    tree = tmp_path / bad.name
    copytree(bad, tree)
    before = judged(tree, tmp_path / "1")
    if all(found.fix is None for _, found in before):
        return
    text = next(tree.rglob(MANIFEST_NAME)).read_text()
    plan = applied(tree, before)
    assert plan.left == []
    unfixed = [(code, found.pointer) for code, found in before if found.fix is None]
    after = judged(tree, tmp_path / "2")
    assert [(code, found.pointer) for code, found in after] == unfixed
    # Only what was edited has changed, and a second time nothing does.
    new = next(tree.rglob(MANIFEST_NAME)).read_text()
    touched = sum(
        len(edit.removed) + len(edit.added)
        for _, found in before
        for file in (found.fix.files if found.fix else ())
        for edit in file.lines
    )
    assert len(set(text.splitlines()) ^ set(new.splitlines())) <= touched
    assert applied(tree, after).changes == []


@pytest.mark.usefixtures("any_environment")
def test_fixes_are_applied_by_the_option(pytester: pytest.Pytester) -> None:
    """With a real build: the diff is shown, and the next run is green."""
    tree = pytester.path / "tree"
    copytree(ROOT / "bad_packages" / "FR101_setuptools_pyproject", tree)
    project = tree / "pyproject.toml"
    original = project.read_bytes()

    def run(option: str) -> str:
        result = pytester.runpytest_inprocess(
            f"--fractal-package={tree}", "--fractal-select=FR001,FR1", option
        )
        return result.stdout.str() + result.stderr.str()

    shown = run("--fractal-fix=diff")
    assert "nothing was written; --fractal-fix applies it" in shown
    assert "+[tool.setuptools.package-data]" in shown
    assert project.read_bytes() == original
    fixed = run("--fractal-fix")
    assert "fixed: pyproject.toml" in fixed
    assert "--fractal-fix" not in fixed.rpartition("next: ")[2]
    assert project.read_bytes().startswith(original.rstrip())
    again = run("--fractal-fix")
    assert "failed" not in again
    assert "no finding has a fix" in again
    assert "choose apply" in run("--fractal-fix=all")


# --- JSON -------------------------------------------------------------------------------

WHOLE: dict[str, Any] = {"a": 1, "b": {"x": [1, 2]}, "c": [], "d": {}}
EDITS = (
    JsonEdit(Action.SET, ("a",), {"q": [1, {"z": 2}]}),
    JsonEdit(Action.SET, ("new",), "ü", 1),
    JsonEdit(Action.ADD, ("b", "x"), 7, 0),
    JsonEdit(Action.ADD, ("c",), 7),
    JsonEdit(Action.ADD, ("c",), 8),
    JsonEdit(Action.SET, ("d", "k"), [1]),
    JsonEdit(Action.DROP, ("b", "x"), 2),
    JsonEdit(Action.RENAME, ("b",), "bb"),
)
EDITED = {
    "a": {"q": [1, {"z": 2}]},
    "new": "ü",
    "bb": {"x": [7, 1]},
    "c": [7, 8],
    "d": {"k": [1]},
}


@pytest.mark.parametrize("indent", [2, 4, "\t", None])
def test_edited_json_keeps_order_and_format(indent: int | str | None) -> None:
    text = json.dumps(WHOLE, indent=indent)
    edited = apply_edits(text, EDITS)
    assert edited == json.dumps(EDITED, indent=indent)
    assert apply_lines(text, line_edits(text, edited)) == edited


def test_edited_json_keeps_line_ends_letters_and_odd_blanks() -> None:
    text = '{ "ü" : 1 ,\r\n\t"list":[ 1,2 ],"last":{"x":0} }\r\n'
    edits = [
        JsonEdit(Action.SET, ("more",), "ö"),
        JsonEdit(Action.DROP, ("list",), 2),
        JsonEdit(Action.REMOVE, ("last", "x")),
    ]
    assert apply_edits(text, edits) == (
        '{ "ü" : 1 ,\r\n\t"list":[ 1 ],"last":{},\r\n\t"more" : "ö" }\r\n'
    )


@pytest.mark.parametrize(
    "edit",
    [
        JsonEdit(Action.REMOVE, ("x",)),
        JsonEdit(Action.RENAME, ("a",), "c"),
        JsonEdit(Action.DROP, ("c",), 1),
        JsonEdit(Action.ADD, ("a",), 1),
        JsonEdit(Action.SET, ("c", 3), 1),
        JsonEdit(Action.SET, ("a", "b"), 1),
    ],
)
def test_an_edit_to_what_is_not_there_is_refused(edit: JsonEdit) -> None:
    with pytest.raises((LookupError, ValueError)):
        apply_edits(json.dumps(WHOLE), [edit])


def test_edits_that_exclude_each_other_are_reported() -> None:
    remove = JsonEdit(Action.REMOVE, ("b",))
    assert conflict(remove, JsonEdit(Action.SET, ("b", "x"), 1))
    assert conflict(remove, JsonEdit(Action.RENAME, ("b",), "c"))
    assert not conflict(remove, remove)
    assert not conflict(remove, JsonEdit(Action.REMOVE, ("bb",)))
    rename = JsonEdit(Action.RENAME, ("b",), "c")
    assert not conflict(rename, JsonEdit(Action.SET, ("b", "x"), 1))
    add = JsonEdit(Action.ADD, ("r",), "x")
    assert not conflict(add, JsonEdit(Action.ADD, ("r",), "y"))


# --- files ------------------------------------------------------------------------------


def fix_of(folder: Path, name: str, line: int, added: str) -> Fix:
    content = (folder / name).read_bytes()
    removed = (content.decode().splitlines()[line - 1],)
    edit = LineEdit(line, removed, (added,))
    return Fix((FileFix(name, lines=(edit,), digest=sha256(content).hexdigest()),))


def test_a_file_that_changed_since_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    fix = fix_of(tmp_path, "a.txt", 2, "2")
    (tmp_path / "a.txt").write_text("one\ntwo\nthree\n")
    plan = plan_changes(tmp_path, [fix])
    assert plan == Plan([], ["a.txt: it has changed since it was read"])


def test_a_file_that_is_changed_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n")
    (change,) = plan_changes(tmp_path, [fix_of(tmp_path, "a.txt", 1, "1")]).changes
    (tmp_path / "a.txt").write_text("mine\n")
    with pytest.raises(OSError, match="by somebody else"):
        write(tmp_path, change)
    assert (tmp_path / "a.txt").read_text() == "mine\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_nothing_outside_the_folder_is_written(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    outside = tmp_path / "outside.txt"
    outside.write_text("one\n")
    (home / "link.txt").symlink_to(outside)
    for name in ("link.txt", "../outside.txt"):
        plan = plan_changes(home, [fix_of(home, name, 1, "1")])
        assert plan.changes == []
        assert "out of the package's folder" in plan.left[0]
    assert outside.read_text() == "one\n"


def test_fixes_of_one_place_are_made_once_or_the_first_wins(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo\nthree\n")
    first, third = (fix_of(tmp_path, "a.txt", line, "new") for line in (1, 3))
    other = fix_of(tmp_path, "a.txt", 1, "other")
    plan = plan_changes(tmp_path, [first, first, other, third])
    assert plan.changes == [Change("a.txt", b"one\ntwo\nthree\n", b"new\ntwo\nnew\n")]
    assert len(plan.left) == 1


def test_a_written_file_keeps_its_mode(tmp_path: Path) -> None:
    script = tmp_path / "a.py"
    script.write_text("one\n")
    script.chmod(0o755)
    (change,) = plan_changes(tmp_path, [fix_of(tmp_path, "a.py", 1, "1")]).changes
    write(tmp_path, change)
    assert script.stat().st_mode & 0o777 == 0o755


# --- what is said -----------------------------------------------------------------------

PYPROJECT = (
    '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    '[project]\nname = "demo"\nversion = "1.0"\n'
)


def tree_with(folder: Path, manifest: object, **files: str) -> Path:
    """A source tree with the good package, a changed manifest and more files of the package."""
    package = folder / "demo"
    package.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PYPROJECT)
    source = make_wheel(folder / "good")
    import zipfile

    with zipfile.ZipFile(source) as archive:
        for name in ("__init__.py", "task.py"):
            (package / name).write_bytes(archive.read(f"demo/{name}"))
    for name, text in files.items():
        path = package / name.replace("__", "/")
        path = path.with_name(f"{path.name}.py")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    (package / MANIFEST_NAME).write_text(json.dumps(manifest, indent=2))
    return folder


def test_a_generated_manifest_is_fixed_where_it_comes_from(tmp_path: Path) -> None:
    manifest = good_manifest()
    (entry,) = manifest["task_list"]
    entry["docs_link"] = ""
    entry["args_schema"]["properties"]["threshold"]["default"] = 4
    tree = tree_with(tmp_path / "tree", manifest, dev__task_list="TASK_LIST = []\n")
    found = dict(judged(tree, tmp_path))
    assert set(found) == {"FR114", "FR206"}
    command = "\n    fractal-manifest create --package demo\n"
    assert found["FR206"].hint.startswith(f"generate the manifest anew:{command}")
    assert found["FR114"].hint.startswith(
        f"in demo/dev/task_list.py, let DOCS_LINK be None or the whole URL; then run{command}"
    )
    assert [finding.fix for finding in found.values()] == [None, None]


def test_what_only_the_code_can_fix_is_changed_before_the_manifest_is_generated(
    tmp_path: Path,
) -> None:
    manifest = good_manifest()
    (entry,) = manifest["task_list"]
    entry["args_schema"]["properties"]["threshold"]["default"] = "high"
    tree = tree_with(tmp_path / "tree", manifest, dev__task_list="TASK_LIST = []\n")
    found = dict(judged(tree, tmp_path))
    assert found["FR207"].hint.startswith(
        "correct the default in the function, or the type of the argument; then generate the "
        "manifest anew:\n    fractal-manifest create --package demo\n"
    )
    assert found["FR206"].hint.startswith("generate the manifest anew:\n")


def test_a_manifest_of_an_own_script_names_that(tmp_path: Path) -> None:
    manifest = good_manifest() | {"args_schema_version": ""}
    tree = tree_with(
        tmp_path / "tree", manifest, dev__task_list="", dev__create_manifest="create()\n"
    )
    ((code, found),) = judged(tree, tmp_path, "FR201")
    assert code == "FR201"
    assert "\n    python demo/dev/create_manifest.py\n" in found.hint


def test_a_missing_schema_is_made_from_the_signature_and_works(tmp_path: Path) -> None:
    manifest = good_manifest()
    (entry,) = manifest["task_list"]
    whole = entry.pop("args_schema")
    tree = tree_with(tmp_path / "tree", manifest)
    ((_, found),) = judged(tree, tmp_path / "1")
    reported = json.loads(re.search(r'"args_schema": (\{.*\})\n', found.hint, re.DOTALL)[1])  # type: ignore[index]
    assert reported["required"] == whole["required"]
    assert reported["properties"]["threshold"] == {
        "title": "Threshold",
        "type": "integer",
        "default": 3,
    }
    entry["args_schema"] = reported
    (tree / "demo" / MANIFEST_NAME).write_text(json.dumps(manifest))
    assert judged(tree, tmp_path / "2") == []


@pytest.mark.parametrize("renamed", [False, True])
def test_what_is_required_already_is_not_listed_twice(tmp_path: Path, renamed: bool) -> None:
    manifest = good_manifest()
    schema = manifest["task_list"][0]["args_schema"]
    shape = schema["properties"].pop("metadata")
    if renamed:
        schema["properties"]["metadatas"] = shape
        schema["required"].append("metadatas")
    tree = tree_with(tmp_path / "tree", manifest)
    assert applied(tree, judged(tree, tmp_path / "1")).left == []
    assert judged(tree, tmp_path / "2") == []


def test_several_fixes_of_one_file_are_made_at_once(tmp_path: Path) -> None:
    """A renamed property, a missing one, a wrong default and a misspelt key."""
    manifest = good_manifest()
    (entry,) = manifest["task_list"]
    properties = entry["args_schema"]["properties"]
    entry["args_schema"]["properties"] = {
        "input_path": properties["input_paths"],
        "metadata": properties["metadata"],
        "threshold": {"type": "integer", "default": 5},
        "gone": {"type": "string"},
        "output_path": properties["output_path"],
    }
    entry["args_schema"]["required"] = ["input_path", "gone", "output_path", "metadata"]
    entry["docs_lnk"] = entry.pop("docs_link")
    tree = tree_with(tmp_path / "tree", manifest)
    source = tree / "demo" / "task.py"
    source.write_text(source.read_text().replace("threshold", "sigma: float, threshold"))
    before = judged(tree, tmp_path / "1", "FR107,FR206")
    plan = applied(tree, before)
    assert plan.left == []
    after = judged(tree, tmp_path / "2", "FR107,FR206")
    (fixed,) = json.loads((tree / "demo" / MANIFEST_NAME).read_text())["task_list"]
    assert [(code, found.hint) for code, found in after] == []
    assert "docs_link" in fixed
    assert "sigma" in fixed["args_schema"]["required"]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"pyproject.toml": '[project]\nname = "MyTasks"\n'}, 'name = "my-tasks"'),
        ({"pyproject.toml": '[tool.poetry]\nname = "mytasks"\n'}, 'name = "my-tasks"'),
        ({"setup.cfg": "[metadata]\nname = MyTasks\n"}, "name = my-tasks"),
        ({"setup.py": 'setup(\n    name="MyTasks",\n)\n'}, 'name="my-tasks",'),
    ],
)
def test_the_name_of_the_project_is_offered_first(
    tmp_path: Path, files: dict[str, str], words: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "my_tasks").mkdir()
    hint = naming_hint(tmp_path, "mytasks", ["my_tasks", "docs"], [Path("my_tasks", "m.json")])  # type: ignore[list-item]
    assert hint is not None
    assert words in [line.strip() for line in hint.text.partition("by\n")[2].splitlines()]
    assert hint.fix is None, "whether the project may have another name, its author decides"


def test_no_project_can_be_named_after_a_folder_with_capitals(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "my-tasks"\n')
    assert naming_hint(tmp_path, "my_tasks", ["MyTasks"], []) is None


@pytest.mark.parametrize(
    ("file", "text", "line"),
    [
        ("pyproject.toml", '[project]\nname = "a"\ndependencies = ["b"]\n', '["b", "x"]'),
        ("pyproject.toml", '[project]\ndependencies = [\n    "b",\n]\n', '    "x",\n'),
        ("pyproject.toml", '[project]\nname = "a"\n', 'dependencies = ["x"]'),
        ("pyproject.toml", '[tool.poetry.dependencies]\npython = ">=3.9"\n', 'x = "*"'),
        ("setup.cfg", "[options]\ninstall_requires =\n    b\n", "install_requires =\n    x\n"),
        ("setup.py", 'setup(install_requires=["b"])\n', None),
    ],
)
def test_a_dependency_is_added_where_the_others_stand(
    tmp_path: Path, file: str, text: str, line: str | None
) -> None:
    (tmp_path / file).write_text(text)
    fix = fix_for_dependencies(tmp_path, ["x"])
    if line is None:
        assert fix is None
        return
    assert fix is not None
    ((change,), left) = ((plan := plan_changes(tmp_path, [fix])).changes, plan.left)
    assert left == []
    assert line in change.after.decode()


def test_a_wheel_has_no_fix(tmp_path: Path) -> None:
    """Only a source tree can be changed."""
    manifest = good_manifest() | {"manifest_version": 1}
    wheel = make_wheel(tmp_path, manifest=manifest)
    candidate = Candidate(
        parse_package(str(wheel), tmp_path), Settings(), tmp_path / "run", LocalExecutor(1)
    )
    engine = Engine(candidate)
    (check,) = [check for check in engine.plan() if check.rule.code == "FR105"]
    assert [found.fix for found in engine.verdict(check).findings] == [None]


def test_a_manifest_that_the_build_changes_has_no_fix(tmp_path: Path) -> None:
    """The tree's file is not what was judged."""
    tree = tree_with(tmp_path / "tree", good_manifest())
    candidate = Candidate(
        parse_package(str(tree), tree), Settings(), tmp_path / "run", LocalExecutor(1)
    )
    other = make_wheel(tmp_path, manifest=good_manifest() | {"manifest_version": 1})
    candidate.store.once(BUILD, lambda: Built(other))
    engine = Engine(candidate)
    (check,) = [check for check in engine.plan() if check.rule.code == "FR105"]
    assert [found.fix for found in engine.verdict(check).findings] == [None]


def test_tags_in_one_text_are_taken_apart(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    copytree(ROOT / "good_packages" / "setuptools_flat_argparse_generation_2", tree)
    file = tree / "image_tools" / MANIFEST_NAME
    text = file.read_text()
    file.write_text(text.replace('"tags": []', '"tags": "Blur, Filter"', 1))
    applied(tree, judged(tree, tmp_path / "1", "FR106"))
    assert json.loads(file.read_text())["task_list"][0]["tags"] == ["Blur", "Filter"]
    assert judged(tree, tmp_path / "2", "FR106") == []
