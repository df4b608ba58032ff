"""A candidate cannot take over its judge, and what it changes for others is noticed."""

from __future__ import annotations

import ast
import base64
import hashlib
import json
import os
import sys
from pathlib import Path

import pytest
import wheel_factory
from conftest import OWN_TESTS, ROOT, Runner, make_wheel
from kept_environments import KeptEnvironments
from projects import project
from wheel_factory import TASK_SOURCE, good_manifest

from pytest_fractal import Outcome, check_package
from pytest_fractal.candidate.codec import decode, encode
from pytest_fractal.candidate.environment_changes import running_at
from pytest_fractal.environments.snapshots import ChangeKind, Snapshot
from pytest_fractal.processes import sandbox
from pytest_fractal.processes.commands import Start
from pytest_fractal.processes.processes import Finished
from pytest_fractal.processes.sandbox import Mode
from pytest_fractal.report.model import CandidateReport

FORBIDDEN_MODULES = {"pickle", "_pickle", "marshal", "shelve", "dill", "yaml", "runpy", "imp"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "import_module", "load_module"}
OWN_MODULES = {
    ROOT / "pytest_fractal" / "__init__.py",
    ROOT / "pytest_fractal" / "report" / "formats.py",
    # Runs in the build's own process, which is the candidate's.
    ROOT / "pytest_fractal" / "environments" / "backend_hook.py",
}
"""Imports this package's own modules, when their names are asked for."""

JUDGE = [*sorted((ROOT / "pytest_fractal").rglob("*.py")), ROOT / ".github" / "action" / "run.py"]


@pytest.mark.parametrize("file", JUDGE, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_nothing_is_unpickled_evaluated_or_imported_by_name(file: Path) -> None:
    found = []
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        match node:
            case ast.Import(names=names):
                found += [name.name for name in names]
            case ast.ImportFrom(module=str(module), names=names):
                found += [module, *(f"{module}.{name.name}" for name in names)]
            case ast.Call(func=ast.Name(id=name)):
                found += [f"{name}()"]
            case ast.Call(func=ast.Attribute(value=ast.Name(id="re"))):
                pass
            case ast.Call(func=ast.Attribute(attr=name)):
                found += [f"{name}()"]
    calls = set() if file in OWN_MODULES else {f"{name}()" for name in FORBIDDEN_CALLS}
    assert not calls & set(found)
    assert not FORBIDDEN_MODULES & {name.partition(".")[0] for name in found}


WALLED = pytest.mark.skipif(bool(sandbox._obstacle()), reason="no walls stand here")

FORGER = """
import os, pickle
from pathlib import Path

def forge():
    run = next(p for p in Path(__file__).resolve().parents if p.name.startswith("pytest-fractal-"))

    class Forged:
        def __reduce__(self):
            return (os.mkdir, (str(run.parent / "taken-over"),))

    names = ["install", "build", "environment", "interpreter", "snapshot"]
    for folder in [p for p in run.rglob("*") if p.name in ("facts", "package-0") and p.is_dir()]:
        names += [path.stem for path in folder.glob("*.json")]
        for name in names:
            for suffix in (".pickle", ".json"):
                place = folder / (name + suffix)
                if folder.name == "package-0" and suffix == ".json" and not place.exists():
                    continue
                place.unlink(missing_ok=True)
                place.write_bytes(pickle.dumps(Forged()))
                (run.parent / "forged").touch()

forge()
"""


@pytest.fixture(scope="module")
def forging(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel with a task that replaces every fact in the folder of the run."""
    script = (OWN_TESTS / "tested_tasks" / "make_wells.py").read_text()
    return make_wheel(
        tmp_path_factory.mktemp("forging"), changes={"make_wells.py": f"{FORGER}\n{script}"}
    )


@pytest.mark.usefixtures("any_environment")
def test_without_workers_there_is_no_fact_to_forge(forging: Path, tmp_path: Path) -> None:
    """They are in memory alone."""
    report = check_package(forging, select=["FR3"], sandbox="off", folder=tmp_path)
    assert report.passed
    assert not (tmp_path / "taken-over").exists()


@pytest.mark.parametrize("walls", ["off", pytest.param("required", marks=WALLED)])
def test_facts_that_a_task_forges_change_no_verdict(
    runner: Runner, forging: Path, walls: str
) -> None:
    reported = runner.folder / "report.json"
    ran = runner.pytest(
        f"--fractal-package={forging}",
        "--fractal-select=FR3",
        "-q",
        "-n2",
        f"--fractal-sandbox={walls}",
        f"--fractal-report={reported}",
    )
    assert "taken-over" not in ran.left
    report = json.loads(reported.read_text())
    broken = {
        verdict["code"]: verdict
        for verdict in report["candidates"][0]["verdicts"]
        if verdict["outcome"] in ("fail", "error")
    }
    if walls == "off":
        # Facts that were known before still count; those that are read from then on do not.
        assert "forged" in ran.left
        assert ran.status == 1, ran.text
        assert not report["passed"]
        assert {verdict["outcome"] for verdict in broken.values()} <= {"error"}
        assert "changed by another process" in ran.text
    else:
        # There is nothing to forge: facts are out of sight.
        assert ran.status == 0, ran.text
        assert broken == {}
    assert "Traceback" not in ran.text


@pytest.mark.parametrize("walls", ["off", pytest.param("required", marks=WALLED)])
def test_the_key_of_the_facts_is_in_no_argument_variable_or_file(
    runner: Runner, tmp_path: Path, walls: str
) -> None:
    """Another process sees command lines, environments of its own children, and files."""
    spy = (
        "import os, pathlib\n"
        "here = pathlib.Path(__file__).resolve()\n"
        "run = next(p for p in here.parents if p.name.startswith('pytest-fractal-'))\n"
        "lines = [repr(dict(os.environ))]\n"
        "for p in pathlib.Path('/proc').glob('[0-9]*/cmdline'):\n"
        "    try: lines.append(p.read_text(errors='replace'))\n"
        "    except OSError: pass\n"
        "for p in run.rglob('*'):\n"
        "    if p.is_file() and 'environment' not in p.parts:\n"
        "        lines.append(p.read_text(errors='replace'))\n"
        "here.with_name('seen').write_text('\\n'.join(lines))\n"
    )
    script = (OWN_TESTS / "tested_tasks" / "make_wells.py").read_text()
    wheel = make_wheel(tmp_path / "spy", changes={"make_wells.py": f"{spy}\n{script}"})
    (runner.folder / "conftest.py").write_text(
        "import pathlib\n"
        "def pytest_configure(config):\n"
        "    given = getattr(config, 'workerinput', {}).get('fractal_run')\n"
        f"    given and pathlib.Path({str(tmp_path / 'key')!r}).write_text(given[-1])\n"
    )
    (runner.folder / "test_one.py").write_text("def test_one(): pass\n")
    ran = runner.pytest(
        *(".", f"--fractal-package={wheel}", "-q", "-n1", "--fractal-select=FR303"),
        *(f"--fractal-sandbox={walls}", "--fractal-keep"),
    )
    assert ran.status == 0, ran.text
    key = (tmp_path / "key").read_text()
    assert len(key) == 64
    (seen,) = runner.temporary.rglob("seen")
    said = seen.read_text()
    assert ('"started"' in said) == (walls == "off")  # a fact: within walls none is seen
    assert key not in said


PLANTER = """
def _plant():
    run = next(one for one in Path(".").resolve().parents if one.name.startswith("package-"))
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    folder = run / "environment" / "lib" / version / "site-packages"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "not_there.py").touch()

import sys
_plant()
_bare = build_wheel


def build_wheel(folder, *rest):
    name = _bare(folder)
    about = {"WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\n", "RECORD": ""}
    with zipfile.ZipFile(f"{folder}/{name}", "a") as archive:
        for path, text in about.items():
            archive.writestr(f"demo-{_version()}.dist-info/{path}", text)
    return name
"""


@pytest.mark.usefixtures("any_environment")
@pytest.mark.parametrize("walls", ["auto", "off"])
def test_what_a_build_puts_into_the_environment_is_not_found_by_tasks(
    tmp_path: Path, walls: Mode
) -> None:
    """A wheel is judged in the environment that a server would make, whoever built it."""
    manifest = good_manifest()
    tree = project(
        tmp_path / "tree",
        {
            "demo/__FRACTAL_MANIFEST__.json": json.dumps(manifest),
            "demo/task.py": f"import not_there\n{TASK_SOURCE}",
        },
        PLANTER,
    )
    (candidate,) = check_package(tree, select=["FR301"], sandbox=walls).candidates
    ((code, found),) = candidate.findings
    assert code == "FR301"
    assert "No module named 'not_there'" in found.found


# The environment


HERE = "import os, pathlib, sys; here = pathlib.Path(__file__).resolve().parent\n"

CHANGES = {
    "empties": ("(here / 'other.py').write_text('')", "fail", "changed: {}/other.py"),
    "removes": (
        "(here / 'folder' / 'data.txt').unlink(missing_ok=True)",
        "fail",
        "removed: {}/folder/data.txt",
    ),
    "adds": ("(here / 'new.py').write_text('')", "fail", "added: {}/new.py"),
    "imports": ("(here.parent / 'x.pth').write_text('import os')", "fail", "added: {}/../x.pth"),
    "settles": (
        "open(sys.prefix + '/pyvenv.cfg', 'a').write('a = b\\n')",
        "fail",
        "changed: pyvenv.cfg",
    ),
    "installs": ("open(sys.prefix + '/bin/tool', 'w').write('')", "fail", "added: bin/tool"),
    "hides": (
        "old = (here / 'data.txt').stat(); open(here / 'data.txt', 'r+').write('1'); "
        "os.utime(here / 'data.txt', ns=(old.st_atime_ns, old.st_mtime_ns))",
        "fail",
        "changed: {}/data.txt",
    ),
    "caches": ("(here / 'cache.json').write_text('{}')", "warn", "added: {}/cache.json"),
    "prepares": ("(here / '__pycache__').mkdir(exist_ok=True)", "pass", ""),
    "compiles": (
        "(here / '__pycache__').mkdir(exist_ok=True); "
        "(here / '__pycache__' / 'x.nbi').write_text('')",
        "pass",
        "",
    ),
    "reads": ("(here / 'data.txt').read_text()", "pass", ""),
}
"""By the name of a task: how its script begins, the verdict of FR409 on it, and what is found."""


@pytest.fixture(scope="module")
def changing(
    tmp_path_factory: pytest.TempPathFactory, environments: KeptEnvironments
) -> CandidateReport:
    """A package of tasks that each do one of these, one after the other."""
    manifest = good_manifest()
    (entry,) = manifest["task_list"]
    manifest["task_list"] = [
        {**entry, "name": name, "executable": f"{name}.py"} for name in CHANGES
    ]
    scripts = {
        f"{name}.py": f"{HERE}{line}\n{TASK_SOURCE}" for name, (line, *_) in CHANGES.items()
    }
    data = {"data.txt": "0" * 100, "folder/data.txt": "", "other.py": "pass\n", "__init__.py": ""}
    wheel = wheel_factory.make_wheel(
        tmp_path_factory.mktemp("changing"), files=scripts | data, manifest=manifest
    )
    with environments.handed_out():
        (candidate,) = check_package(wheel, select=["FR409"], jobs=1).candidates
    return candidate


@pytest.mark.parametrize("task", CHANGES)
def test_what_a_task_changes_in_its_environment_is_reported(
    changing: CandidateReport, task: str
) -> None:
    """Of this task alone, though all of them share the environment."""
    _, outcome, found = CHANGES[task]
    (verdict,) = [verdict for verdict in changing.verdicts if verdict.task == task]
    assert verdict.outcome == outcome, verdict
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    packages = f"lib/{version}/site-packages"
    expected = found.replace("{}/..", packages).replace("{}", f"{packages}/demo")
    assert [finding.found for finding in verdict.findings] == ([expected] if found else [])
    assert {finding.file for finding in verdict.findings} <= {f"demo/{task}.py"}


def test_a_change_is_of_the_start_during_which_it_was_made() -> None:
    """The next start may follow within the tick of a file system's clock."""
    first, second = (
        (task, None, Start(Finished((), 0, "", "", 1.0, started=began), None, None, "", ""))
        for task, began in [("make_wells", 10.0), ("invert_well", 11.005)]
    )
    starts = [first, second]
    assert [*running_at(starts, 10.999)] == [first]
    assert [*running_at(starts, 11.01)] == [second]
    assert [*running_at(starts, 11.002)] == [first, second]
    assert [*running_at(starts, 9.99)] == [first]
    assert [*running_at(starts, 9.9)] == []


def emptying(folder: Path) -> Path:
    """A wheel with a task that empties the script of the other one."""
    script = (OWN_TESTS / "tested_tasks" / "make_wells.py").read_text()
    line = "(here / 'invert_well.py').write_text('')"
    return make_wheel(folder, changes={"make_wells.py": f"{HERE}{line}\n{script}"})


@pytest.mark.usefixtures("any_environment")
def test_an_environment_that_was_changed_by_one_of_two_at_work_is_never_passed(
    tmp_path: Path,
) -> None:
    """It may not be known which of them it was."""
    samples = OWN_TESTS / "fractal_samples"
    report = check_package(emptying(tmp_path), samples=samples, select=["FR409"], jobs=2)
    (candidate,) = report.candidates
    outcomes = {verdict.outcome for verdict in candidate.verdicts if verdict.task == "make_wells"}
    assert outcomes & {Outcome.FAIL, Outcome.ERROR}


def test_an_environment_that_was_changed_is_never_passed_by_workers(runner: Runner) -> None:
    reported = runner.folder / "report.json"
    ran = runner.pytest(
        f"--fractal-package={emptying(runner.folder)}",
        f"--fractal-samples={OWN_TESTS / 'fractal_samples'}",
        f"--fractal-report={reported}",
        "--fractal-select=FR409",
        *("-q", "-n2"),
    )
    assert ran.left == [], ran.text
    (candidate,) = json.loads(reported.read_text())["candidates"]
    outcomes = {
        verdict["outcome"] for verdict in candidate["verdicts"] if verdict["task"] == "make_wells"
    }
    assert outcomes & {"fail", "error"}


def environment(folder: Path) -> Path:
    """Something like an environment: a package with hashes in its RECORD, and a file without."""
    for path, text in {
        "lib/a/__init__.py": "a = 1\n",
        "lib/own/task.py": "own\n",
        "lib/a-1.dist-info/RECORD": "a/__init__.py,sha256=PLACE,6\n",
        "bin/python": "",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    digest = hashlib.sha256(b"a = 1\n").digest()
    hashed = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    record = folder / "lib/a-1.dist-info/RECORD"
    record.write_text(record.read_text().replace("PLACE", hashed))
    return folder


def test_a_file_that_others_link_is_not_changed_by_that(tmp_path: Path) -> None:
    """Installers link files from their caches: each new environment changes the inode."""
    folder = environment(tmp_path / "environment")
    for name in ("lib/a/__init__.py", "lib/own/task.py"):
        os.link(folder / name, tmp_path / name.replace("/", "-"))
    before = Snapshot.taken(folder, "lib/own/")
    for name in ("lib/a/__init__.py", "lib/own/task.py"):
        os.link(folder / name, tmp_path / f"{name.replace('/', '-')}-again")
    assert list(before.changes()) == []


@pytest.mark.parametrize("name", ["lib/a/__init__.py", "lib/own/task.py"])
def test_a_linked_file_is_known_by_its_hash(tmp_path: Path, name: str) -> None:
    folder = environment(tmp_path / "environment")
    os.link(folder / name, tmp_path / "cache")
    before = Snapshot.taken(folder, "lib/own/")
    seen = (folder / name).stat()
    with (folder / name).open("r+") as file:
        file.write("b")
    os.utime(folder / name, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    (change,) = before.changes()
    assert (change.path, change.kind) == (name, ChangeKind.CHANGED)


def test_a_snapshot_can_be_handed_to_another_process(tmp_path: Path) -> None:
    folder = environment(tmp_path / "environment")
    (tmp_path / "x.whl").touch()
    before = Snapshot.taken(folder, "lib/own/", (tmp_path / "x.whl", tmp_path / "not there"))
    again = decode(Snapshot, encode(before))
    assert again == before
    assert list(again.changes()) == []
    (tmp_path / "x.whl").write_text("changed")
    assert [change.path for change in again.changes()] == [str(tmp_path / "x.whl")]


def test_links_and_pipes_are_not_followed(tmp_path: Path) -> None:
    folder = environment(tmp_path / "environment")
    os.mkfifo(folder / "lib/own/pipe")
    (folder / "lib/own/loop").symlink_to(folder)
    (folder / "lib/own/gone").symlink_to("nowhere")
    before = Snapshot.taken(folder, "lib/own/")
    assert list(before.changes()) == []
    (folder / "lib/own/gone").unlink()
    assert [change.kind for change in before.changes()] == [ChangeKind.REMOVED]
