"""What tasks of generation 2 are given, in runs and by fixtures, and what comes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Runner
from generation_2 import COMPOUND, both, does, obeying_wheel
from test_runs import Judged

from pytest_fractal import check_package
from pytest_fractal.report.json_file import render

pytestmark = pytest.mark.usefixtures("any_environment")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return obeying_wheel(tmp_path_factory.mktemp("generation-2"))


MAKE = """
out = {"image_list_updates": [
    {"zarr_url": f"{zarr_dir}/{n}", "attributes": {"n": n}, "types": {"raw": n < 2}}
    for n in range(3)
]}
"""
HAND_ON = """
out = {"parallelization_list": [
    {"zarr_url": url + ".new", "init_args": {"from": url}} for url in zarr_urls
]}
"""
DERIVE = """
out = {"image_list_updates": [{"zarr_url": zarr_url, "origin": init_args["from"]}]}
"""


def test_commands_are_given_what_the_server_gives_them(tmp_path: Path, wheel: Path) -> None:
    """And the image list goes from step to step by the server's rules."""
    chain = [
        does("Convert", MAKE),
        does("Each", 'out = "nothing"'),
        does("Only raw", 'out = {"image_list_updates": [{"zarr_url": zarr_url}]}'),
        both("Both", HAND_ON, DERIVE),
        does("All", 'out = {"image_list_removals": zarr_urls[:1]}'),
        does("Still all", "out = None"),
        both(
            "Convert both",
            'out = {"parallelization_list": [{"zarr_url": zarr_dir + "/last"}]}',
            'out = {"image_list_updates": [{"zarr_url": zarr_url, "types": {"done": True}}]}',
        ),
        does("All", "out = {}"),
    ]
    judged = Judged(tmp_path, wheel, {"keep": True}, chain={"steps": chain})
    steps = [judged.arguments(f"chain.{number}") for number in range(1, 9)]
    # Units of work start in any order, but an init part before them.
    given = [
        sorted(({k: v for k, v in entry.items() if k != "do"} for entry in step), key=str)
        for step in steps
    ]
    (first,) = given[0]
    where = first["zarr_dir"]
    assert first == {"zarr_dir": where}
    raw = [f"{where}/0", f"{where}/1", f"{where}/2"]
    assert given[1] == [{"zarr_url": url} for url in raw]
    assert given[2] == [{"zarr_url": url} for url in raw[:2]]
    assert given[3] == [
        {"zarr_dir": where, "zarr_urls": raw},
        *({"zarr_url": f"{url}.new", "init_args": {"from": url}} for url in raw),
    ]
    # The manifest's output_types filter what later tasks are given.
    new = [f"{url}.new" for url in raw]
    assert given[4] == [{"zarr_dir": where, "zarr_urls": new}]
    assert given[5] == [{"zarr_dir": where, "zarr_urls": raw}]
    assert given[6] == [{"zarr_dir": where}, {"zarr_url": f"{where}/last", "init_args": {}}]
    assert given[7] == [{"zarr_dir": where, "zarr_urls": [*new[1:], f"{where}/last"]}]
    for number in range(1, 9):
        assert judged.broken(f"chain.{number}") == {}


def test_what_a_sample_gives_is_what_its_task_is_given(tmp_path: Path, wheel: Path) -> None:
    images = [{"zarr_url": "{tmp}/a", "types": {"raw": True}}, {"zarr_url": "{tmp}/b"}]
    judged = Judged(
        tmp_path,
        wheel,
        {"keep": True},
        images=does("Each", "pass", images=images),
        raw=does("Only raw", "pass", images=images),
        one=does("Only raw", "pass", zarr_url="{tmp}/c/"),
        some=does("All", "pass", zarr_urls=["{tmp}/x/d", "{tmp}/x/e"], zarr_dir="{tmp}/x"),
        none=does("All", "pass", images=[]),
        wrong=does("Only raw", "pass", images=images[1:]),
        nothing=both("Both", "out = {'parallelization_list': []}", images=images),
    )
    (one,) = judged.arguments("one")
    folder = Path(one["zarr_url"]).parent.parent
    assert sorted(given["zarr_url"] for given in judged.arguments("images")) == [
        str(folder / "images" / "a"),
        str(folder / "images" / "b"),
    ]
    assert [given["zarr_url"] for given in judged.arguments("raw")] == [str(folder / "raw" / "a")]
    (some,) = judged.arguments("some")
    here = folder / "some"
    assert some["zarr_dir"] == str(here / "x")
    assert some["zarr_urls"] == [str(here / "x" / "d"), str(here / "x" / "e")]
    for sample in ("images", "raw", "one", "some"):
        assert judged.broken(sample) == {}
    assert judged.arguments("none") == judged.arguments("wrong") == []
    assert judged.outcomes("none")["FR401"] == judged.outcomes("wrong")["FR401"] == "fail"
    assert "the dataset has no images" in judged.found("FR401", "none")
    assert 'with the types {"raw": true}' in judged.found("FR401", "wrong")
    assert judged.broken("nothing") == {"FR401": "warn"}
    assert len(judged.arguments("nothing")) == 1


def test_a_converter_finds_no_folder_for_a_new_dataset(tmp_path: Path, wheel: Path) -> None:
    """No server creates a `zarr_dir`. Where a sample names its folder, that is there."""
    tell = "out = {'image_list_updates': [{'zarr_url': zarr_dir + '/a'}]}"
    into, create = "Path(zarr_dir, 'a').mkdir()\n", "import os; os.makedirs(zarr_dir)\n"
    judged = Judged(
        tmp_path,
        wheel,
        needs=does("Convert", into + tell),
        needs_too=both("Convert both", into, "pass"),
        creates=does("Convert", create + into + tell),
        named=does("Convert", into + tell, zarr_dir="{tmp}"),
        beside=does("Convert", into + tell, zarr_dir="{tmp}/new"),
        other=does("Convert", "open('/not/there')"),
        steps={"steps": [does("Convert", tell), does("All", into)]},
    )
    for sample in ("needs", "needs_too", "beside"):
        (finding,) = judged.verdicts["FR401", sample]["findings"]
        assert "os.makedirs(zarr_dir, exist_ok=True)" in finding["hint"]
    for sample in ("creates", "named", "steps.1", "steps.2"):
        assert judged.broken(sample) == {}
    assert "makedirs" not in judged.verdicts["FR401", "other"]["findings"][0]["hint"]


def test_outputs_are_what_the_servers_models_take(tmp_path: Path, wheel: Path) -> None:
    image = [{"zarr_url": "{tmp}/a"}]
    two = [*image, {"zarr_url": "{tmp}/b"}]
    same = 'out = {"image_list_updates": [{"zarr_url": "/data", "attributes": {"at": zarr_url}}]}'
    cases: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
        "unknown": (does("Each", "out = {'metadata': {}}", images=image), {"FR408": "fail"}),
        "relative": (
            does("Convert", "out = {'image_list_updates': [{'zarr_url': 'a'}]}"),
            {"FR408": "fail"},
        ),
        "outside": (
            does("Convert", "out = {'image_list_updates': [{'zarr_url': '/a'}]}"),
            {"FR408": "fail"},
        ),
        "twice": (does("Each", same, images=two), {"FR408": "fail"}),
        "list": (
            does("All", "out = zarr_urls", images=image),
            {"FR403": "fail", "FR408": "blocked"},
        ),
        "silent": (does("All", "out = 'nothing'", images=image), {"FR402": "warn"}),
        "stays": (does("Each", "out = {'image_list_removals': [zarr_url]}", images=image), {}),
        "early": (
            both("Both", "out = {'image_list_updates': []}", images=image),
            {"FR408": "fail"},
        ),
        "late": (
            both("Both", HAND_ON, "out = {'parallelization_list': []}", images=image),
            {"FR408": "fail"},
        ),
        "one_fails": (
            both("Both", HAND_ON, "sys.exit('b.new' in zarr_url)", images=two),
            dict.fromkeys(("FR402", "FR403", "FR404", "FR405", "FR408"), "blocked")
            | {"FR401": "fail"},
        ),
        "nan": (
            does(
                "All",
                "out = {'image_list_updates': [{'zarr_url': zarr_urls[0], "
                "'attributes': {'x': float('nan')}}]}",
                images=image,
            ),
            {"FR403": "warn", "FR408": "fail"},
        ),
    }
    judged = Judged(tmp_path, wheel, **{name: sample for name, (sample, _) in cases.items()})
    assert {name: judged.broken(name) for name in cases} == {
        name: expected for name, (_, expected) in cases.items()
    }
    assert "of the output for the compute part, " in judged.found("FR408", "late")


OWN_TESTS = """
import pytest

HAND_ON = "out = {'parallelization_list': [{'zarr_url': u + '.new'} for u in zarr_urls]}"


def test_one_command(run_fractal_task, tmp_path):
    run = run_fractal_task("Each", {"do": "out = {'at': zarr_url}"}, zarr_url=str(tmp_path))
    assert (run.returncode, run.metadata, run.computed) == (0, {"at": str(tmp_path)}, ())
    assert run.argv[2] == "--args-json"


def test_reserved_arguments_are_filled_in(run_fractal_task):
    wrote = run_fractal_task("All", {"do": "out = {'urls': zarr_urls, 'dir': zarr_dir}"}).metadata
    assert wrote["urls"][0].startswith(wrote["dir"])


def test_both_commands(run_fractal_task, tmp_path):
    removes = "out = {'image_list_removals': [zarr_url]}"
    args = {"init": {"do": HAND_ON}, "compute": {"do": removes}}
    run = run_fractal_task("Both", args, zarr_urls=["/a", "/b"], zarr_dir=str(tmp_path))
    assert len(run.metadata["parallelization_list"]) == 2
    removed = [one.metadata["image_list_removals"] for one in run.computed]
    assert removed == [["/a.new"], ["/b.new"]]
    assert run.succeeded
    args["compute"] = {"do": "sys.exit(zarr_url == '/b.new')"}
    run = run_fractal_task("Both", args, images=[{"zarr_url": "/a"}, {"zarr_url": "/b"}])
    assert not run.succeeded
    assert [one.returncode for one in run.computed] == [0, 1]
    assert run_fractal_task("Both", {"init": {"do": "sys.exit(2)"}}).computed == ()


def test_a_part(run_fractal_task):
    run = run_fractal_task(
        "Both", {"do": "out = init_args"}, part="compute", init_args={"x": 1}
    )
    assert run.metadata == {"x": 1}
    with pytest.raises(pytest.fail.Exception, match="has no part 'x'; it has: init, compute"):
        run_fractal_task("Both", part="x")
    with pytest.raises(pytest.fail.Exception, match="'init_args' is not given to both as a whole"):
        run_fractal_task("Both", init_args={})


def test_task(fractal_task):
    assert [part.schema["type"] for part in fractal_task.parts] == ["object"] * len(
        fractal_task.parts
    )
"""


def test_fixtures_run_a_command_or_the_whole_of_a_task(runner: Runner, wheel: Path) -> None:
    (runner.folder / "test_own.py").write_text(OWN_TESTS)
    ran = runner.pytest("test_own.py", f"--fractal-package={wheel}", "-m", "not fractal")
    assert ran.status == 0, ran.text
    assert "11 passed" in ran.out


def test_the_report_tells_of_both_commands(wheel: Path) -> None:
    (candidate,) = json.loads(render(check_package(wheel, select=["FR1"])))["candidates"]
    assert candidate["generation"] == "2"
    tasks = {task["name"]: task for task in candidate["tasks"]}
    assert [task["source"] for task in tasks.values()] == [None] * 7
    assert tasks["Both"]["kind"] == COMPOUND
    assert tasks["Convert both"]["slug"] == "convert_both"
    commands = tasks["Both"]["commands"]
    assert list(commands) == ["command_non_parallel", "command_parallel"]
    assert [Path(argv[1]).name for argv in commands.values()] == ["init.py", "compute.py"]
    assert tasks["Both"]["command"] == commands["command_non_parallel"]
    assert list(tasks["Each"]["commands"]) == ["command_parallel"]
