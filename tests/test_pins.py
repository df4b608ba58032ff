"""Pins with which tasks start again: which trials are made, and that real ones were seen."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import pytest
from conftest import OWN_TESTS, make_wheel
from dated_index import dated_index, release
from generation_2 import COMPOUND, OBEYS, manifest
from generation_2 import task as task_of
from wheel_factory import candidate_of
from wheel_factory import make_wheel as wheel_of

from pytest_fractal.environments.environments import create_bare
from pytest_fractal.environments.installing import would_install
from pytest_fractal.environments.interpreters import find_interpreter
from pytest_fractal.environments.wheels import read_wheel
from pytest_fractal.pins.search import Failure, Pins, Search, Trial
from pytest_fractal.pins.suspects import suspects
from pytest_fractal.pins.trials import Trials
from pytest_fractal.processes.tracebacks import read_crash

RELEASES = ("9.0", "8.0", "7.0", "6.0", "5.0", "4.0", "3.0", "2.0", "1.0")


@dataclass
class World:
    """A package of two tasks; each starts while the versions of some packages are below these."""

    breaks: Mapping[str, Mapping[str, float]]
    """By task: from which version of which package on it no longer starts."""
    past: Mapping[int, Pins] = field(default_factory=dict)
    reported: tuple[str, ...] = ()
    """The packages that tracebacks name."""
    most: int = 100
    refused: Collection[str] = ()
    trials: list[Pins] = field(default_factory=list)

    def has_time(self) -> bool:
        return len(self.trials) < self.most

    def older(self, name: str) -> Sequence[str]:
        return RELEASES if name in self.reported else ()

    def as_of(self, months: int) -> Pins | None:
        return self.past.get(months)

    def trial(self, pins: Pins, tasks: Collection[str]) -> Trial:
        self.trials.append(dict(pins))
        failures = {}
        for task in tasks:
            for name, version in self.breaks.get(task, {}).items():
                if float(pins.get(name, "10.0")) >= version:
                    failures[task] = Failure(f"ImportError: {name}", self.reported)
        refused = next((f"{n}=={v} is refused" for n, v in pins.items() if v in self.refused), "")
        return Trial(frozenset(tasks) - failures.keys(), failures, refused)


def search(world: World) -> tuple[Search, list[str]]:
    lines: list[str] = []
    tasks = ("blur", "crop")
    found = Search(world, tasks, lines.append)
    found.run(world.trial({}, tasks).failures)
    return found, lines


@pytest.mark.parametrize("version", range(1, 10))
def test_the_newest_release_is_found_with_which_a_task_starts(version: int) -> None:
    """In a number of trials that grows as the logarithm of the releases."""
    world = World({"blur": {"numlib": version + 0.5}}, reported=("framework", "numlib"))
    world.older = lambda name: RELEASES if name == "numlib" else ()  # type: ignore[method-assign]
    found, lines = search(world)
    assert found.pins == {"numlib": f"{version}.0"}
    assert found.limits == ({"numlib": f"{version + 1}.0"} if version < 9 else {})
    assert len(world.trials) <= 9
    assert lines[-1] == f"numlib=={version}.0: 2 of 2 tasks start"


def test_two_causes_take_two_pins() -> None:
    world = World(
        {"blur": {"numlib": 7}, "crop": {"imagelib": 3}}, reported=("numlib", "imagelib")
    )
    found, _ = search(world)
    assert found.pins == {"numlib": "6.0", "imagelib": "2.0"}


def test_a_pin_that_breaks_another_requirement_is_none() -> None:
    world = World({"blur": {"numlib": 7}}, reported=("numlib",), refused=("6.0",))
    found, lines = search(world)
    assert found.pins == {"numlib": "5.0"}
    assert "numlib==6.0: numlib==6.0 is refused" in lines


def test_where_no_suspect_helps_the_past_of_the_index_does() -> None:
    """Of all that has changed since, what it takes is kept."""
    past = {f"lib{number}": "4.0" for number in range(20)}
    months = {1: {"lib3": "9.0"}, 3: past}
    world = World({"blur": {"lib7": 7, "lib11": 5}}, past=months)
    found, lines = search(world)
    assert found.pins == {"lib7": "4.0", "lib11": "4.0"}
    assert "as of 3 months ago, lib0==4.0 lib1==4.0 lib2==4.0 and 17 more: blur starts" in lines
    assert len(world.trials) < 40


def test_an_index_without_dates_is_not_guessed_at() -> None:
    found, lines = search(World({"blur": {"numlib": 7}}))
    assert (found.pins, found.complete) == ({}, True)
    assert lines == ["what the index had 1 months ago cannot be found out"]


@pytest.mark.parametrize("most", range(1, 9))
def test_a_search_ends_in_time_with_nothing_but_what_was_seen(most: int) -> None:
    world = World({"blur": {"numlib": 3.5}}, reported=("numlib",), most=most)
    found, _ = search(world)
    if found.pins:
        assert found.pins in world.trials
        assert float(found.pins["numlib"]) < 3.5
    else:
        assert not found.complete


@pytest.mark.parametrize(
    ("frames", "message", "expected"),
    [
        (
            ["tasks/blur.py", "pyarrow/__init__.py"],
            "ImportError: pyarrow requires NumPy 2.0 or newer, found 1.26.4",
            ("pyarrow", "numpy"),
        ),
        (
            ["tasks/blur.py", "zarr/__init__.py", "zarr/storage.py"],
            "ImportError: cannot import name 'blosc' from 'numcodecs.blosc' (/x/blosc.py)",
            ("numcodecs", "zarr"),
        ),
        (
            ["tasks/blur.py", "skimage/io.py"],
            "AttributeError: module 'numpy' has no attribute 'bool'",
            ("numpy", "scikit-image"),
        ),
        (["tasks/blur.py"], "ValueError: no such thing", ()),
        (
            ["tasks/blur.py", "skimage/wrapper.py", "tasks/lazy.py"],
            "ModuleNotFoundError: No module named 'pyshtools'",
            (),
        ),
    ],
)
def test_who_may_have_drifted_is_read_from_the_traceback(
    frames: Sequence[str], message: str, expected: Sequence[str]
) -> None:
    lines = [f'  File "/e/site-packages/{file}", line 3, in <module>' for file in frames]
    crash = read_crash("\n".join(["Traceback (most recent call last):", *lines, message]))
    assert crash is not None
    installed = dict.fromkeys(("pyarrow", "numpy", "numcodecs", "zarr", "scikit-image"), "1")
    owners = {**{name: name for name in installed}, "skimage": "scikit-image", "tasks": "my-tasks"}
    assert suspects(crash, owners, {**installed, "my-tasks": "1"}, "my-tasks") == expected


def test_of_two_commands_the_one_that_does_not_start_tells_why(tmp_path: Path) -> None:
    """The first starts, and ends with an exception of its own."""
    files = {
        "__init__.py": "",
        "init.py": OBEYS.replace("out = main(", "raise ValueError('no image')\nmain("),
        "compute.py": f"import not_there\n{OBEYS}",
    }
    candidate = candidate_of(
        wheel_of(tmp_path, files=files, manifest=manifest(task_of(COMPOUND, name="Both"))), "FR301"
    )
    (failure,) = Trials(candidate, 60).failures(["both"]).values()
    assert failure == Failure("ModuleNotFoundError: No module named 'not_there'", (), False)


def test_a_wheel_that_is_built_anew_goes_on_with_the_same_search(tmp_path: Path) -> None:
    kept = []
    for year in (2025, 2026):
        built = make_wheel(tmp_path / "built")
        wheel = tmp_path / str(year) / built.name
        wheel.parent.mkdir()
        with ZipFile(built) as old, ZipFile(wheel, "w") as new:
            for name in old.namelist():
                new.writestr(ZipInfo(name, (year, 1, 1, 0, 0, 0)), old.read(name))
        kept.append(Trials(candidate_of(wheel, "FR301"), 60).file)
    assert kept[0] == kept[1]


@pytest.mark.parametrize("tells", [True, False])
def test_what_an_index_had_is_known_where_it_tells_when_its_files_came(
    tells: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    links = tmp_path / "links"
    release(links, "driftlib", "1.0", "")
    release(links, "driftlib", "2.0", "")
    dates = {"driftlib-1.0": "2024-01-01T00:00:00Z", "driftlib-2.0": "2025-01-01T00:00:00Z"}
    with dated_index(links, dates if tells else {}) as index:
        monkeypatch.setenv("UV_DEFAULT_INDEX", index)
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
        wheel = read_wheel(
            make_wheel(tmp_path / "dist", extra_metadata="Requires-Dist: driftlib\n")
        )
        environment = create_bare(tmp_path / "environment", find_interpreter(None), pip=True)
        then = would_install(environment, wheel, (), date(2024, 6, 1))
        before_all = would_install(environment, wheel, (), date(2023, 6, 1))
    assert then == ({"driftlib": "1.0"} if tells else None)
    assert before_all is None


@pytest.mark.usefixtures("any_environment")
def test_the_pins_of_a_real_search_were_seen_to_work(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A second search makes but the last trial anew, that of which it tells: the rest is kept."""
    links = tmp_path / "links"
    for version in ("1.0", "1.1", "1.2"):
        release(links, "driftlib", version, "OLD_NAME = 1\n")
    for version in ("2.0", "2.1"):
        release(links, "driftlib", version, "NEW_NAME = 1\n")
    script = (OWN_TESTS / "tested_tasks" / "invert_well.py").read_text()
    wheel = make_wheel(
        tmp_path / "dist",
        changes={"invert_well.py": f"from driftlib import OLD_NAME\n{script}"},
        extra_metadata="Requires-Dist: driftlib\n",
    )
    options = (f"--fractal-package={wheel}", "--fractal-select=FR301", "--fractal-find-pins")
    cache = tmp_path / "cache"
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))

    result = pytester.runpytest_inprocess(*options)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    said = result.stdout.str()
    assert "with these pins 2 of 2 tasks start, without them 1 of 2:" in said
    assert "  --fractal-pin=driftlib==1.2\n" in said
    assert '  {"driftlib": "1.2"}\n' in said
    assert '  "driftlib<2.0",\n' in said
    assert re.search(r"driftlib==2\.0: invert_well does not start: ImportError: cannot", said)
    assert "'driftlib' (driftlib/__init__.py)" in said  # no place of one trial
    (kept,) = (cache / "pytest-fractal" / "find-pins").iterdir()
    kept.write_text(
        kept.read_text().replace("ImportError: cannot", "ImportError: as kept, cannot")
    )
    said = pytester.runpytest_inprocess(*options).stdout.str()
    assert "driftlib==2.0: invert_well does not start: ImportError: as kept, cannot" in said
    assert "  --fractal-pin=driftlib==1.2\n" in said

    pinned = pytester.runpytest_inprocess("--fractal-pin=driftlib==1.2", *options)
    assert pinned.ret == pytest.ExitCode.OK
    assert "there are no pins to find: no task was seen not to start" in pinned.stdout.str()


@pytest.mark.usefixtures("any_environment")
def test_the_past_of_the_index_has_the_pins_where_no_traceback_names_what_moved(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`driftlib` has one release; it fails by what `hiddenlib` is, of which it says nothing."""
    links = tmp_path / "links"
    sees = "from importlib.metadata import version\n\nassert version('hiddenlib') < '2'\n"
    release(links, "driftlib", "1.0", sees)
    days = {"1.0": 900, "1.1": 400, "1.2": 45, "2.0": 10}
    for version in days:
        release(links, "hiddenlib", version, "")
    came = {f"hiddenlib-{version}": days[version] for version in days} | {"driftlib-1.0": 900}
    now = datetime.now(UTC)
    dates = {name: (now - timedelta(days=ago)).isoformat() for name, ago in came.items()}
    script = (OWN_TESTS / "tested_tasks" / "invert_well.py").read_text()
    wheel = make_wheel(
        tmp_path / "dist",
        changes={"invert_well.py": f"import driftlib\n{script}"},
        extra_metadata="Requires-Dist: driftlib\nRequires-Dist: hiddenlib\n",
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with dated_index(links, dates) as index:
        monkeypatch.setenv("UV_INDEX", index)
        result = pytester.runpytest_inprocess(
            f"--fractal-package={wheel}", "--fractal-select=FR301", "--fractal-find-pins"
        )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    said = result.stdout.str()
    assert "as of 1 months ago, hiddenlib==1.2: invert_well starts" in said
    assert "with these pins 2 of 2 tasks start, without them 1 of 2:" in said
    assert "  --fractal-pin=hiddenlib==1.2\n" in said
