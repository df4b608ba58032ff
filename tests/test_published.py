"""The page of results: what is judged, what is kept from run to run, and what the page says."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import html5lib
import pytest
from conftest import OWN_TESTS, ROOT, Runner, make_wheel
from dated_index import dated_index, release

from pytest_fractal.errors import BadInput
from pytest_fractal.published import judging
from pytest_fractal.published.__main__ import main
from pytest_fractal.published.digest import Cause, Light, Result, State, digest, root_cause
from pytest_fractal.published.history import (
    Results,
    merged,
    read_result,
    read_results,
    result_json,
    results_json,
)
from pytest_fractal.published.judging import Limits, judge, judge_all
from pytest_fractal.published.packages import Cell, PackageList, read_packages
from pytest_fractal.published.page import badges, render_page
from pytest_fractal.report.model import Report
from pytest_fractal.report.servers import ServerRange

LISTED = PackageList.model_validate(
    {
        "pythons": ["3.11", "3.12"],
        "package": [
            {"name": "blobs", "author": "A & B", "older": ["1.0"], "extras": {"newest": ["gpu"]}},
            {"name": "wells", "author": "C", "repository": "https://host.org/wells"},
        ],
    }
)
BLOBS, WITH_GPU, AT_312, *OTHERS, WELLS = LISTED.cells()
GREEN = {"collectable": Light.GREEN, "starts": Light.GREEN, "schema and form": Light.GREEN}
MISFIT = Cause("FR301", True, "pyarrow 26.0.1 against numpy 1.26.4", "limit it", ("blur",))


def result(cell: Cell, day: str = "2026-11-02", **fields: Any) -> Result:
    good = Result(
        cell,
        day,
        State.JUDGED,
        version="1.1",
        starting=3,
        tasks=3,
        starts_known=True,
        lights=GREEN,
    )
    return replace(good, **fields)


def broken(cell: Cell, day: str = "2026-11-09") -> Result:
    lights = {**GREEN, "starts": Light.RED}
    return result(cell, day, starting=1, lights=lights, causes=(MISFIT,))


def page(*found: Result) -> str:
    keys = [cell.key for cell in LISTED.cells()]
    return render_page(LISTED, merged(Results(), found, keys))


def test_the_list_of_this_repository_can_be_read() -> None:
    listed = read_packages(ROOT / "published" / "packages.toml")
    cells = listed.cells()
    assert len({package.author for package in listed.package}) >= 8
    assert {cell.route for cell in cells} == {"index", "repository", "wheel"}
    assert len({cell.key for cell in cells}) == len(cells)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("package = 1", "pythons"),
        ('pythons = ["3.11"]\n[[package]]\nname = "../x"\nauthor = "a"', "package.0.name"),
        ('pythons = ["3.11"]\n[[package]]\nname = "x"\nauthor = "a"\nolder = ["1", "1"]', "twice"),
        ("pythons", "cannot be read"),
    ],
)
def test_a_list_that_cannot_be_used_is_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "packages.toml"
    path.write_text(text)
    with pytest.raises(BadInput, match=said):
        read_packages(path)


def test_what_is_judged_is_each_release_on_each_python_with_each_set_of_extras() -> None:
    keys = [cell.key for cell in LISTED.cells(["blobs"])]
    assert len(keys) == 2 * 2 + 2
    assert keys[:2] == ["blobs--newest--py3.11", "blobs--newest--py3.11--gpu"]
    with pytest.raises(BadInput, match="no such package"):
        LISTED.cells(["blob"])


def test_a_report_is_digested_to_what_the_page_needs(real: Report) -> None:
    reported = real.to_dict()
    found = digest(BLOBS, "2026-11-02", 12.4, reported)
    (one,) = reported["candidates"]
    outcomes = [v["outcome"] for v in one["verdicts"] if v["code"] == "FR301" and v["task"]]
    assert (found.state, found.version, found.seconds) == (State.JUDGED, one["version"], 12)
    assert found.starting == outcomes.count("pass")
    assert found.tasks == len(one["tasks"])
    assert found.sha256 == one["wheel_sha256"]
    assert found.versions == one["versions"] != {}
    assert [server.takes for server in found.servers] == [False, True, None]
    failing = {v["code"] for v in one["verdicts"] if v["outcome"] == "fail"}
    assert {cause.code for cause in found.causes if cause.fails} == failing
    assert read_results(results_json(Results("", {"k": found})), "r").cells == {"k": found}

    one["requires_python"] = ">=3.12"
    assert digest(BLOBS, "", 1, reported).state is State.OTHER_PYTHON
    compiled = {"requires_python": "", "wheel": "blobs-1.0-cp312-cp312-linux_x86_64.whl"}
    assert digest(BLOBS, "", 1, {**reported, "candidates": [one | compiled]}).state is (
        State.OTHER_PYTHON
    )
    stable = {**compiled, "wheel": "blobs-1.0-cp39-abi3-linux_x86_64.whl"}
    assert digest(BLOBS, "", 1, {**reported, "candidates": [one | stable]}).state is State.JUDGED
    one |= {"requires_python": "<3.12", "needs_pixi": True}
    assert (
        digest(BLOBS, "", 1, reported).state is State.JUDGED
    )  # commands were started all the same
    for verdict in one["verdicts"]:
        if verdict["code"] == "FR301":
            verdict |= {"outcome": "skip", "skip": "not-checked"}
    assert digest(BLOBS, "", 1, reported).state is State.NEEDS_PIXI


def test_a_misfit_is_named_by_the_two_releases() -> None:
    hint = "pyarrow 26.0.1 does not fit to numpy 1.26.4 (basicpy 2.0.2 asks for numpy<2): limit"
    assert root_cause("ImportError: pyarrow requires", hint) == MISFIT.text
    pointer = "/task_list/3/args_schema/title: a, generated: b"
    assert root_cause(pointer, "") == "/task_list/*/args_schema/title: a, generated: b"
    hint = "zarr 3.1.6 is installed and has no module 'zarr.n5': limit its version"
    assert root_cause("ModuleNotFoundError: ...", hint) == (
        "zarr 3.1.6 lacks modules that are imported"
    )
    hint = "the extra [gpu] brings cellpose: ask for it, or move cellpose to the dependencies"
    assert root_cause("ModuleNotFoundError: ...", hint) == "without the extra [gpu]"
    found = "ImportError: no name 'a' (zarr/storage.py, line 3)\nmore"
    assert root_cause(found, "add it") == "ImportError: no name 'a'"
    assert root_cause("x" * 300, "") == "x" * 197 + "..."


def test_a_run_is_shown_beside_the_one_before() -> None:
    """A cell keeps the day since which it is as it is; one that was given up keeps all."""
    keys = [cell.key for cell in LISTED.cells()]
    first = merged(Results(), [result(BLOBS, versions={"numpy": "1"}), result(WELLS)], keys)
    again = [result(BLOBS, "2026-11-09", versions={"numpy": "2"}), broken(WELLS)]
    second = merged(first, again, keys)
    assert second.day == "2026-11-09"
    blobs, wells = second.cells[BLOBS.key], second.cells[WELLS.key]
    assert (blobs.day, blobs.since) == ("2026-11-09", "2026-11-02")
    assert blobs.changed == {"numpy": ("1", "2")}
    assert wells.since == "2026-11-09"

    gave_up = Result(BLOBS, "2026-11-16", State.GAVE_UP, "it took longer than 3600 s")
    third = merged(second, [gave_up], [BLOBS.key])
    assert third.cells == {BLOBS.key: blobs}
    assert merged(Results(), [gave_up], keys).cells[BLOBS.key].state is State.GAVE_UP


def test_the_page_says_what_starts_since_when_and_why_not() -> None:
    html = page(
        broken(BLOBS),
        result(WITH_GPU, state=State.OTHER_PYTHON),
        result(OTHERS[0], state=State.NEEDS_PIXI),
        result(AT_312, version="1.0"),
        broken(WELLS),
    )
    text = " ".join(html5lib.parse(html, namespaceHTMLElements=False).itertext())
    assert "1 of 3 tasks start" in text
    assert "since 2026-11-09" in text
    assert "not for this Python" in text
    assert "needs pixi" in text
    assert "not judged yet" in text
    assert "by A & B" in text
    assert "newest (1.1)" in text
    assert "(1.0 is the newest for this Python)" in text
    shared = html[html.index("Causes that several packages share") :]
    assert shared.index(MISFIT.text) < shared.index('href="#blobs"') < shared.index('id="blobs"')


def test_the_page_begins_with_the_newest_releases_on_each_python() -> None:
    html = page(broken(BLOBS), result(AT_312, state=State.NEEDS_PIXI), result(OTHERS[0]))
    table = html[html.index('<table id="all"') : html.index("<section")]
    text = [*filter(str.strip, html5lib.parseFragment(table, "div").itertext())]
    assert text == [
        *("Newest release", "3.11", "3.12"),
        *("blobs", "1 of 3", "needs pixi"),
        *("wells", "–", "–"),
    ]
    assert '<td class="red">1 of 3</td>' in table


def test_the_page_says_which_servers_take_a_release() -> None:
    refused = ServerRange("1.x", False, 'manifest_version "2"')
    takes = (ServerRange("2.x", True), refused)
    html = page(result(BLOBS, servers=takes), result(AT_312, servers=(refused,)), result(WELLS))
    text = " ".join(html5lib.parse(html, namespaceHTMLElements=False).itertext())
    assert "2.x: yes (Python 3.11)" in text
    assert '1.x: no, manifest_version "2" (Python 3.12)' in text
    both = page(result(BLOBS, servers=takes), result(AT_312, servers=takes))
    assert "2.x: yes<" in both


@pytest.mark.parametrize("workflow", ["docs", "published"])
def test_the_page_takes_the_place_of_no_page_of_the_docs(workflow: str) -> None:
    """These are `site/NAME/index.html`, for each `docs/NAME.md`."""
    text = (ROOT / ".github" / "workflows" / f"{workflow}.yml").read_text("utf-8")
    (folder,) = re.findall(r"published page \S+ site/(\S+) --before", text)
    assert f"pytest-fractal/{folder}/" in (ROOT / "docs" / "published.md").read_text("utf-8")
    assert not (ROOT / "docs" / f"{folder}.md").exists()


def test_nothing_of_a_package_becomes_markup() -> None:
    bad = "</style><script>alert(1)</script>"
    cause = Cause("FR301", True, bad, bad, (bad,))
    lights = {**GREEN, "starts": Light.RED}
    html = page(result(BLOBS, version=bad, causes=(cause,), wheel=bad, sha256=bad, lights=lights))
    assert "<script" not in html
    assert html.count("</style>") == 1


def test_a_badge_tells_the_worst_of_the_newest_release() -> None:
    keys = [cell.key for cell in LISTED.cells()]
    found = badges(LISTED, merged(Results(), [result(BLOBS), broken(AT_312)], keys))
    assert "1 of 3 tasks start" in found["blobs"]
    assert "not judged" in found["wells"]
    unknown = result(BLOBS, starting=0, starts_known=False)
    found = badges(LISTED, merged(Results(), [unknown, broken(AT_312)], keys))
    assert "1 of 3 tasks start" in found["blobs"]


def cell_of(wheel: Path) -> Cell:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return Cell("tested", "1.0", version, (), "wheel", str(wheel))


def test_a_cell_is_judged_once_by_a_process_of_its_own(good_wheel: Path, tmp_path: Path) -> None:
    """And again only when that was given up."""
    cell, lines = cell_of(good_wheel), list[str]()
    limits = Limits(select="FR001,FR1,FR301")
    judge_all([cell], tmp_path, limits, lines.append)
    judge_all([cell], tmp_path, limits, lines.append)
    assert lines[0].startswith(f"{cell.key}: judged, 2 of 2 tasks start")
    assert lines[1:] == [f"{cell.key}: judged before"]
    found = read_result(tmp_path / f"{cell.key}.json")
    assert found.lights == {**GREEN, "schema and form": Light.GREY}
    (tmp_path / f"{cell.key}.json").write_bytes(result_json(replace(found, state=State.GAVE_UP)))
    judge_all([cell], tmp_path, Limits(select="FR001,FR1"), lines.append)
    assert lines[2].startswith(f"{cell.key}: judged (")


def test_time_and_room_are_limited(
    good_wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "_LOOK", 0.1)  # a small wheel is judged within two seconds
    cell = cell_of(good_wheel)
    late = judge(cell, Limits(seconds=0.1))
    assert (late.state, late.said) == (State.GAVE_UP, "it took longer than 0.1 s")
    large = judge(cell, Limits(bytes=0))
    assert (large.state, large.said) == (State.GAVE_UP, "it took more room than 0 bytes")
    gone = judge(replace(cell, source=str(tmp_path / "gone.whl")), Limits())
    assert gone.state is State.GAVE_UP
    assert gone.said.endswith("gone.whl: no such file")
    nowhere = replace(cell, route="repository", source=str(tmp_path / "nowhere"))
    assert "cannot be cloned: fatal: " in judge(nowhere, Limits()).said


def test_a_cell_is_judged_with_what_the_index_had_on_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    links = tmp_path / "links"
    release(links, "driftlib", "1.0", "OLD_NAME = 1\n")
    release(links, "driftlib", "2.0", "")
    script = (OWN_TESTS / "tested_tasks" / "invert_well.py").read_text()
    wheel = make_wheel(
        tmp_path / "dist",
        changes={"invert_well.py": f"from driftlib import OLD_NAME\n{script}"},
        extra_metadata="Requires-Dist: driftlib\n",
    )
    dates = {"driftlib-1.0": "2026-03-01T00:00:00Z", "driftlib-2.0": "2026-05-31T23:00:00Z"}
    with dated_index(links, dates) as index:
        monkeypatch.setenv("UV_INDEX", index)
        limits = Limits(select="FR301")
        on = {
            day: judge(cell_of(wheel), replace(limits, as_of=date.fromisoformat(day)))
            for day in ("2026-05-30", "2026-05-31")
        }
    assert {day: (found.day, found.starting) for day, found in on.items()} == {
        "2026-05-30": ("2026-05-30", 2),
        "2026-05-31": ("2026-05-31", 1),
    }
    keys = [cell_of(wheel).key]
    later = merged(merged(Results(), [on["2026-05-30"]], keys), [on["2026-05-31"]], keys)
    assert later.cells[keys[0]].changed["driftlib"] == ("1.0", "2.0")
    assert later.cells[keys[0]].since == "2026-05-31"


def test_the_command_makes_the_page(
    runner: Runner, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = tmp_path / "packages.toml"
    listed.write_text('pythons = ["3.11"]\n[[package]]\nname = "blobs"\nauthor = "A"\n')
    (cell,) = read_packages(listed).cells()
    results = tmp_path / "results"
    results.mkdir()
    (results / f"{cell.key}.json").write_bytes(result_json(broken(cell)))
    start = ["--packages", str(listed)]
    before: Mapping[str, str] = {}
    for _ in range(2):
        site = str(tmp_path / "site")
        assert main([*start, "page", str(results), site, "--before", f"{site}/results.json"]) == 0
        before = before or json.loads((tmp_path / "site" / "results.json").read_text())
    assert json.loads((tmp_path / "site" / "results.json").read_text()) == before
    assert "1 of 3 tasks start" in (tmp_path / "site" / "index.html").read_text()
    assert (tmp_path / "site" / "badges" / "blobs.svg").read_text().startswith("<svg")
    assert main([*start, "names"]) == 0
    assert capsys.readouterr().out.endswith('["blobs"]\n')
    assert main(["--packages", str(tmp_path / "none.toml"), "names"]) == 4
    assert main([*start, "judge", str(results), "--as-of", "yesterday"]) == 4
    assert "--as-of=yesterday: this is no day such as 2026-05-31" in capsys.readouterr().err
