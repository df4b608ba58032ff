"""FR407: what it prints as a first sample, done literally, keeps the package green."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from generation_2 import FILES, KINDS, OBEYS, manifest, task
from kept_environments import KeptEnvironments
from wheel_factory import TASK_SOURCE, good_manifest, make_wheel

from pytest_fractal import check_package
from pytest_fractal.candidate.packaged import Candidate
from pytest_fractal.first_samples import write_samples
from pytest_fractal.package_spec import parse_package
from pytest_fractal.processes.executors import LocalExecutor
from pytest_fractal.report.model import CandidateReport
from pytest_fractal.report.overview import to_fix
from pytest_fractal.settings import Settings
from pytest_fractal.verdicts import Outcome

pytestmark = pytest.mark.usefixtures("any_environment")


def judged(package: Path, **options: Any) -> CandidateReport:
    (report,) = check_package(package, jobs=1, **options).candidates
    return report


def note(report: CandidateReport) -> tuple[str, str] | None:
    """What FR407 has found, and its fix; None where every task has a sample."""
    (verdict,) = [verdict for verdict in report.verdicts if verdict.code == "FR407"]
    assert verdict.outcome is Outcome.PASS
    assert verdict.task is None
    for found in verdict.findings:
        return found.found, found.hint
    return None


def write_first(fix: str, folder: Path) -> Path:
    """Do what the fix says: write the file, below `folder`."""
    match = re.search(r"write for example (\S+?)(?:, and give --\S+)?:\n {4}(\{.*\})\n", fix)
    assert match is not None, fix
    path = folder / match[1]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(match[2])
    return path


def outcomes(report: CandidateReport, sample: str, task: str | None = None) -> dict[str, str]:
    return {
        verdict.code: verdict.outcome.value
        for verdict in report.verdicts
        if verdict.sample == sample and verdict.outcome is not Outcome.SKIP
        if task in (None, verdict.task)
    }


OPENS = OBEYS.replace(
    "    exec(do, names)",
    """    urls = given.get("zarr_urls", [given["zarr_url"]] if "zarr_url" in given else [])
    for url in () if "init_args" in given else urls:
        assert "multiscales" in json.loads(Path(url, ".zattrs").read_text())""",
)
OPENING = {**FILES, "init.py": OPENS, "compute.py": OPENS}
"""The files of tasks that open the images that they are given."""


def wheel_of_all_kinds(folder: Path, source: str) -> Path:
    files = {**FILES, "init.py": source, "compute.py": source}
    return make_wheel(folder, files=files, manifest=manifest(*map(task, KINDS)))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The samples that are written for a task of each kind, and what is said of that."""
    folder = tmp_path_factory.mktemp("written")
    wheel = wheel_of_all_kinds(folder, OPENS)
    samples = folder / "new" / "samples"
    settings = Settings(samples=samples, new_samples=True)
    return samples, list(write_samples([parse_package(str(wheel), folder)], settings, folder))


@pytest.fixture(scope="module")
def with_written(
    written: tuple[Path, list[str]], environments: KeptEnvironments
) -> CandidateReport:
    """What is said of that package with those samples."""
    samples, _ = written
    (wheel,) = samples.parents[1].glob("*.whl")
    codes = ["FR400", "FR407", "FR401", "FR408", "FR208"]
    with environments.handed_out():
        return judged(wheel, select=codes, samples=samples)


def test_new_samples_are_written_for_each_kind(written: tuple[Path, list[str]]) -> None:
    """Also for compound tasks and converters, each in a file of its own."""
    samples, reported = written
    assert {path.name for path in samples.iterdir()} == {f"a_{kind}_task.json" for kind in KINDS}
    assert "wrote 5 samples" in reported[-1]


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_sample_of_a_task_of_generation_2_is_the_one_that_is_written_and_runs(
    tmp_path: Path, kind: str, written: tuple[Path, list[str]], with_written: CandidateReport
) -> None:
    """On a real image, where the task works on images."""
    wheel = make_wheel(tmp_path, files=OPENING, manifest=manifest(task(kind)))
    reported = note(judged(wheel, select=["FR407"]))
    assert reported is not None
    slug = f"a_{kind}_task"
    assert reported[0] == f"none for 1 of 1: {slug}"
    assert "--fractal-samples=DIR" in reported[1]
    path = write_first(reported[1], tmp_path)
    assert json.loads(path.read_text()) == json.loads((written[0] / path.name).read_text())
    assert note(with_written) is None
    # The task hands on nothing, or tells of no image: a warning.
    expected = "warn" if "compound" in kind or "converter" in kind else "pass"
    assert outcomes(with_written, slug) == {
        "FR208": "pass",
        "FR401": expected,
        "FR408": "pass",
    }


@pytest.mark.parametrize(
    ("source", "outcome"),
    [(OPENS, "pass"), (OPENS.replace('{"out": {}}', '{"out": [1]}'), "fail")],
)
def test_without_a_sample_a_task_is_tried_on_a_real_image(
    tmp_path: Path, source: str, outcome: str
) -> None:
    """What it writes is judged, and so it may fail; that nobody gave a sample never does."""
    codes = ["FR401", "FR403", "FR404", "FR408"]
    report = judged(wheel_of_all_kinds(tmp_path, source), select=codes)
    for kind in KINDS:
        got = outcomes(report, "made", f"a_{kind}_task")
        assert outcome in got.values(), kind
        assert "FR401" not in got


@pytest.mark.parametrize("kind", ["parallel", "compound"])
def test_a_sample_that_names_no_image_gets_one_of_the_sample_data(
    tmp_path: Path, kind: str
) -> None:
    """Three lines are a sample."""
    wheel = make_wheel(tmp_path, files=OPENING, manifest=manifest(task(kind)))
    samples = tmp_path / "samples"
    samples.mkdir()
    (samples / "short.json").write_text(json.dumps({"task": f"a {kind} task"}))
    report = judged(wheel, select=["FR400", "FR401"], samples=samples)
    assert outcomes(report, "short")["FR401"] == ("pass" if kind == "parallel" else "warn")


@pytest.mark.parametrize("parallel", [False, True])
def test_the_first_sample_of_a_task_of_generation_1_runs(tmp_path: Path, parallel: bool) -> None:
    whole = good_manifest()
    (entry,) = whole["task_list"]
    source = TASK_SOURCE
    if parallel:
        entry["meta"] = {"parallelization_level": "well"}
        entry["args_schema"]["properties"]["component"] = {"type": "string"}
        entry["args_schema"]["required"].append("component")
        source = source.replace(
            "threshold: int = 3", "component: str, threshold: int = 3"
        ).replace(
            "    return {}",
            '    assert Path(input_paths[0], component, ".zattrs").is_file()\n    return {}',
        )
    wheel = make_wheel(tmp_path, files={"__init__.py": "", "task.py": source}, manifest=whole)
    reported = note(judged(wheel, select=["FR407"]))
    assert reported is not None
    path = write_first(reported[1], tmp_path)
    report = judged(wheel, select=["FR400", "FR401", "FR208"], samples=path.parent)
    assert outcomes(report, "demo_task") == {"FR208": "pass", "FR401": "pass"}


PYPROJECT = """
[build-system]
requires = ["{requires}"]
build-backend = "{backend}"

[project]
name = "demo"
version = "1.0"
"""
SETUPTOOLS = PYPROJECT.format(requires="setuptools", backend="setuptools.build_meta") + (
    '[tool.setuptools.package-data]\ndemo = ["__FRACTAL_MANIFEST__.json"]\n'
)
HATCHLING = PYPROJECT.format(requires="hatchling", backend="hatchling.build")


@pytest.mark.parametrize(
    ("project", "package", "place"),
    [
        (SETUPTOOLS, "demo", "tests/fractal_samples"),
        (SETUPTOOLS, "src/demo", "fractal_samples"),
        (HATCHLING, "demo", "fractal_samples"),
    ],
    ids=["setuptools-flat", "setuptools-src", "hatchling-flat"],
)
def test_the_first_sample_lies_where_the_package_still_builds(
    tmp_path: Path, project: str, package: str, place: str
) -> None:
    """Setuptools takes a second folder beside the package for a second package."""
    folder = tmp_path / package
    folder.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text(project)
    (folder / "__init__.py").write_text("")
    (folder / "task.py").write_text(TASK_SOURCE)
    (folder / "__FRACTAL_MANIFEST__.json").write_text(json.dumps(good_manifest()))
    codes = ["FR001", "FR101", "FR400", "FR407", "FR401"]
    reported = note(judged(tmp_path, select=["FR407"]))
    assert reported is not None
    path = write_first(reported[1], tmp_path)
    assert path == tmp_path / place / "demo_task.json"
    report = judged(tmp_path, select=codes)
    assert {verdict.code: verdict.outcome.value for verdict in report.verdicts} == dict.fromkeys(
        codes, "pass"
    )
    assert note(report) is None


def test_samples_beside_the_package_count_before_those_in_its_tests(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(HATCHLING)
    spec = parse_package(str(tmp_path), tmp_path)
    for name in ("tests/fractal_samples", "fractal_samples"):
        (tmp_path / name).mkdir(parents=True)
        candidate = Candidate(spec, Settings(), tmp_path / "run", LocalExecutor(1))
        assert candidate.sample_runs.folder == tmp_path / name


def test_a_note_never_fails(tmp_path: Path) -> None:
    report = check_package(make_wheel(tmp_path), select=["FR407"], strict=True)
    assert report.passed
    assert note(report.candidates[0]) is not None
    assert to_fix(report.candidates[0], strict=True) == ()


def test_of_many_tasks_without_a_sample_some_are_named(tmp_path: Path) -> None:
    listed = good_manifest()
    (blur,) = listed["task_list"]
    listed["task_list"] = [blur | {"name": f"Blur {number}"} for number in range(7)]
    wheel = make_wheel(tmp_path, manifest=listed)
    found = note(judged(wheel, select=["FR407"]))
    assert found is not None
    assert found[0] == "none for 7 of 7: blur_0, blur_1, blur_2, blur_3, blur_4 and 2 more"


def test_new_samples_say_what_to_fill_in_and_never_replace_a_file(tmp_path: Path) -> None:
    whole = good_manifest()
    first = whole["task_list"][0]
    first["args_schema"]["properties"]["kernel"] = {"type": "string"}
    first["args_schema"]["required"].append("kernel")
    whole["task_list"] += [{**first, "name": "Second task"}, {**first, "name": "Third task"}]
    wheel = make_wheel(tmp_path, manifest=whole)
    samples = tmp_path / "samples"
    samples.mkdir()
    (samples / "own.json").write_text('{"task": "Second task", "args": {"kernel": "a"}}')
    mine = samples / "third_task.json"
    mine.write_text("not yet")
    settings = Settings(samples=samples, new_samples=True)
    specs = [parse_package(str(wheel), tmp_path)]
    reported = "\n".join(write_samples(specs, settings, tmp_path))
    assert "demo_task.json: see whether the values that were made up are good: kernel" in reported
    assert "third_task.json: left alone, it is there already" in reported
    assert mine.read_text() == "not yet"
    assert {path.name for path in samples.iterdir()} == {
        "own.json",
        "third_task.json",
        "demo_task.json",
    }
    written = json.loads((samples / "demo_task.json").read_text())
    assert written["args"] == {"kernel": "text"}
    mine.unlink()
    list(write_samples(specs, settings, tmp_path))
    assert list(write_samples(specs, settings, tmp_path)) == [f"{wheel}: every task has a sample"]


def test_the_command_writes_samples_and_exits(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path)

    def run(*options: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "pytest_fractal", *options, "--fractal-new-samples"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        return done.returncode, done.stdout + done.stderr

    status, said = run(str(wheel), "--fractal-samples=there")
    assert (status, said.splitlines()[0]) == (
        0,
        "there/demo_task.json: it runs the task with its defaults; "
        "see whether that is a good example",
    )
    status, said = run(str(wheel))
    assert status == 4
    assert "--fractal-new-samples: " in said
    assert "Traceback" not in said


def test_what_has_no_tasks_to_write_samples_for_is_reported(pytester: pytest.Pytester) -> None:
    for package in ("nowhere", str(pytester.path)):
        result = pytester.runpytest_inprocess(
            "--fractal-new-samples", f"--fractal-package={package}"
        )
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        (line,) = [line for line in result.errlines if line.strip()]
        assert "--fractal-new-samples: " in line
