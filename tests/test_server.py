"""A real fractal-server: asked by a run, by an author's test, and gone when that ends."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import time
from pathlib import Path

import pytest
import wheel_factory
from conftest import OWN_TESTS, ROOT, Runner, make_wheel, processes_below
from test_postgres import needs_postgres

from pytest_fractal import Outcome, check_package
from pytest_fractal.errors import BadInput

SAMPLES = OWN_TESTS / "fractal_samples"
HOME = os.environ["HOME"]
"""Below which servers are kept that were installed; `pytester` has another one."""


def example() -> str:
    """The test that docs/fixtures.md shows."""
    page = (ROOT / "docs" / "fixtures.md").read_text("utf-8")
    found = re.search(r"```python\n(def test_wells_are_inverted_on_a_server.*?)```", page, re.S)
    assert found is not None
    return found[1]


def test_a_good_package_passes_on_a_real_server_that_all_workers_share(
    runner: Runner, good_wheel: Path
) -> None:
    (runner.folder / "test_own.py").write_text(
        f"""
import pytest

{example()}

@pytest.mark.parametrize("number", range(2))
def test_there_is_one_server(fractal_server, number):
    assert [task.name for task in fractal_server.tasks] == ["Make wells", "Invert well"]
    print("asked", fractal_server.url)

def test_its_api(fractal_server):
    assert [task["version"] for task in fractal_server.client.get("/api/v1/task/")] == ["1.0"] * 2
"""
    )
    ran = runner.pytest(
        "test_own.py",
        f"--fractal-package={good_wheel}",
        f"--fractal-samples={SAMPLES}",
        "--fractal-server",
        "--fractal-select=FR9",
        "-n2",
        "-v",
        "-rP",
    )
    assert ran.status == 0, ran.text
    assert re.search(r"PASSED \S*::server-collects", ran.out), ran.text
    assert re.search(r"PASSED \S*::server-runs\[invert_well-wells\.2\]", ran.out), ran.text
    assert len(set(re.findall(r"^asked (\S+)", ran.out, re.M))) == 1, ran.text
    assert ran.left == []
    assert not processes_below(runner.temporary)


@pytest.mark.slow
def test_what_differs_here_too_is_not_compared_and_a_component_can_be_named(
    tmp_path: Path,
) -> None:
    script = (OWN_TESTS / "tested_tasks" / "make_wells.py").read_text()
    returned = 'return {"well": wells}'
    assert returned in script
    varying = 'import uuid\n    return {"well": wells, "id": uuid.uuid4().hex}'
    changes = {"make_wells.py": script.replace(returned, varying)}
    wheel = make_wheel(tmp_path / "dist", changes=changes)
    samples = tmp_path / "samples"
    samples.mkdir()
    for name, sample in {
        "made": {"task": "Make wells", "args": {"number": 2}},
        "one": {
            "task": "Invert well",
            "args": {"maximum": 3},
            "component": "well_7",
            "metadata": {"kept": [1]},
        },
    }.items():
        (samples / f"{name}.json").write_text(json.dumps(sample))
    (report,) = check_package(wheel, samples=samples, server=True, select=["FR9"]).candidates
    verdicts = {verdict.sample: verdict for verdict in report.verdicts if verdict.sample}
    assert {verdict.outcome for verdict in verdicts.values()} == {Outcome.PASS}
    assert verdicts["made"].reason == "not compared, for it differs here too: /id"
    assert verdicts["one"].reason is None


@pytest.mark.parametrize("workers", [0, 2])
def test_ctrl_c_stops_the_server_and_leaves_nothing(
    runner: Runner, good_wheel: Path, workers: int
) -> None:
    process = runner.start(
        *runner.argv(
            f"--fractal-package={good_wheel}",
            "--fractal-server",
            "--fractal-select=FR901",
            "-n",
            str(workers),
        )
    )
    deadline = time.monotonic() + 100
    while not any(runner.temporary.glob("*/package-0/server-*/tasks/.fractal/*")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    ran = runner.finish(process)
    assert ran.status == 2, ran.text
    assert ran.left == []
    assert not processes_below(runner.temporary)


@pytest.mark.usefixtures("any_environment")
def test_a_server_is_not_asked_about_what_another_rule_refuses(tmp_path: Path) -> None:
    manifest = wheel_factory.good_manifest()
    (entry,) = manifest["task_list"]
    manifest["task_list"].append(entry)
    wheel = wheel_factory.make_wheel(tmp_path, manifest=manifest)
    (candidate,) = check_package(wheel, server=True, select=["FR9"]).candidates
    outcomes = {verdict.code: verdict.outcome for verdict in candidate.verdicts}
    assert outcomes["FR901"] is Outcome.BLOCKED
    assert candidate.verdicts[0].reason == "blocked by FR109"


@pytest.mark.usefixtures("any_environment")
def test_without_the_option_no_rule_asks_a_server(good_wheel: Path) -> None:
    report = check_package(good_wheel, select=["FR108"], samples=SAMPLES)
    assert [verdict.code for verdict in report.candidates[0].verdicts] == ["FR108"]
    everything = check_package(good_wheel, ignore=["FR2", "FR3", "FR4"]).candidates[0]
    assert not any(verdict.code.startswith("FR9") for verdict in everything.verdicts)
    with pytest.raises(BadInput, match="FR901 is only judged with --fractal-server"):
        check_package(good_wheel, select=["FR901"])


def test_an_authors_test_is_skipped_without_the_option(
    pytester: pytest.Pytester, good_wheel: Path
) -> None:
    own = pytester.makepyfile("def test_it(fractal_server): 1 / 0")
    result = pytester.runpytest_inprocess(
        own, f"--fractal-package={good_wheel}", "--fractal-select=FR108", "-rs"
    )
    assert result.ret == 0, result.outlines
    result.stdout.fnmatch_lines(["*a real server only runs with --fractal-server*"])


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ("tests", "this is no version of fractal-server"),
        ("9.0", "takes manifest version '9', and the package has '1'"),
        ("1.4.10,2.18.5", "takes manifest version '2', and the package has '1'"),
        ("1.4.99999", "the package index has no fractal-server 1.4.99999"),
    ],
)
def test_a_server_that_cannot_be_had_is_reported_before_anything_is_judged(
    pytester: pytest.Pytester, good_wheel: Path, asked: str, complaint: str
) -> None:
    result = pytester.runpytest_inprocess(
        f"--fractal-package={good_wheel}", f"--fractal-server={asked}"
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert complaint in result.stderr.str()
    assert "Traceback" not in result.stdout.str() + result.stderr.str()


def test_the_ini_file_can_ask_for_the_server(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, good_wheel: Path
) -> None:
    monkeypatch.setenv("HOME", HOME)
    for setting, checks in (("default", 1), ("1.4.10", 1), ("", 0)):
        pytester.makeini(f"[pytest]\nfractal_server = {setting}\n")
        result = pytester.runpytest_inprocess(f"--fractal-package={good_wheel}", "--co", "-q")
        assert result.stdout.str().count("::server-collects") == checks


def test_the_hermetic_command_takes_no_argument_for_a_version(
    runner: Runner, good_wheel: Path
) -> None:
    ran = runner.hermetic("--fractal-server", good_wheel, "--co", "-q")
    assert ran.status == 0, ran.text
    assert "::server-collects" in ran.out


def test_each_of_several_servers_has_verdicts_of_its_own(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, good_wheel: Path
) -> None:
    monkeypatch.setenv("HOME", HOME)
    words = (f"--fractal-package={good_wheel}", f"--fractal-samples={SAMPLES}", "--co", "-q")
    result = pytester.runpytest_inprocess(
        *words, "--fractal-server=1.4.9,1.4.10", "--fractal-select=FR9"
    )
    assert result.ret == 0, result.outlines
    listed = result.stdout.str()
    assert "::server-collects[1.4.9]" in listed
    assert "::server-runs[invert_well-wells.2-1.4.10]" in listed
    assert "not tried before" not in listed
    alone = pytester.runpytest_inprocess(*words, "--fractal-server=1.4.10", "--fractal-select=FR9")
    assert re.search("::server-collects$", alone.stdout.str(), re.M)


@pytest.mark.slow
@needs_postgres
@pytest.mark.parametrize(
    "name", ["hatchling_src_fractal_task_tools", "setuptools_flat_argparse_generation_2"]
)
def test_a_good_package_of_generation_2_passes_on_a_real_server(name: str) -> None:
    (report,) = check_package(
        ROOT / "good_packages" / name, server=True, select=["FR9"]
    ).candidates
    assert report.findings == ()
    passed = [verdict.code for verdict in report.verdicts if verdict.outcome is Outcome.PASS]
    assert set(passed) == {"FR901", "FR902"}


MAKES_AN_IMAGE = """
import argparse, json
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--args-json")
parser.add_argument("--out-json")
given = parser.parse_args()
args = json.loads(Path(given.args_json).read_text())
image = {"zarr_url": args["zarr_dir"] + "/new", "attributes": {"n": args["n"]}}
Path(given.out_json).write_text(json.dumps({"image_list_updates": [image]}))
"""


@pytest.mark.slow
@needs_postgres
def test_releases_of_the_whole_span_collect_a_package_and_run_its_sample(tmp_path: Path) -> None:
    task = {
        "name": "Make",
        "executable_non_parallel": "make.py",
        "type": "non_parallel",
        "args_schema_non_parallel": {
            "type": "object",
            "properties": {
                "zarr_urls": {"type": "array", "items": {"type": "string"}},
                "zarr_dir": {"type": "string"},
                "n": {"type": "integer"},
            },
        },
    }
    manifest = {
        "manifest_version": "2",
        "has_args_schemas": True,
        "args_schema_version": "pydantic_v2",
        "task_list": [task],
    }
    wheel = wheel_factory.make_wheel(
        tmp_path / "dist",
        files={"__init__.py": "", "make.py": MAKES_AN_IMAGE},
        manifest=manifest,
    )
    samples = tmp_path / "samples"
    samples.mkdir()
    sample = {"task": "Make", "args": {"n": 3}, "images": [{"zarr_url": "{tmp}/old"}]}
    (samples / "with é.json").write_text(json.dumps(sample))
    asked = ("2.0.6", "2.14.16", "2.18.5", "2.24.2")
    (report,) = check_package(
        wheel, samples=samples, server=",".join(asked), select=["FR9"]
    ).candidates
    assert report.findings == ()
    outcomes = {(verdict.server, verdict.code): verdict.outcome for verdict in report.verdicts}
    assert outcomes == dict.fromkeys(itertools.product(asked, ("FR901", "FR902")), Outcome.PASS)


@pytest.mark.slow
def test_both_ends_of_generation_1_collect_a_package_and_run_its_samples() -> None:
    folder = ROOT / "good_packages" / "flit_src_getopt"
    (report,) = check_package(folder, server="1.3.14,1.4.10", select=["FR9"]).candidates
    assert report.findings == ()
    passed = {
        (verdict.server, verdict.code)
        for verdict in report.verdicts
        if verdict.outcome is Outcome.PASS
    }
    assert passed == set(itertools.product(("1.3.14", "1.4.10"), ("FR901", "FR902")))
