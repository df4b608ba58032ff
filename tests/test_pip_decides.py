"""What pip refuses is refused, what it takes is taken, and both servers read what it shows."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from conftest import MANIFEST, OWN_TESTS

from pytest_fractal import check_package
from pytest_fractal.environments.environments import Environment
from pytest_fractal.environments.install_errors import FailureKind, explain
from pytest_fractal.environments.installers import INSTALLERS, UvInstaller
from pytest_fractal.environments.installing import InstallerName
from pytest_fractal.environments.interpreters import find_interpreter
from pytest_fractal.environments.pip_show import (
    PipShow,
    expected_pip_show,
    is_predictable,
    run_pip_show,
)
from pytest_fractal.environments.wheels import Wheel, read_wheel
from pytest_fractal.generations import GENERATIONS
from pytest_fractal.processes.processes import Finished

pytestmark = pytest.mark.usefixtures("any_environment_of_pip")

NAME = "tested_tasks"


@dataclass
class Odd:
    """A wheel that is odd in one way."""

    metadata: str = ""
    """More lines of METADATA."""
    record: Sequence[Sequence[str]] | None = None
    """More rows of RECORD."""
    bare_record: str | None = None
    """RECORD as it stands, in place of the usual."""
    entries: Sequence[tuple[str, str]] = ()
    compression: int = zipfile.ZIP_DEFLATED
    before: bytes = b""
    version: str = "1.0"
    about: str | None = None
    """METADATA as it stands, in place of the usual."""
    files: Mapping[str, str] = field(default_factory=dict)
    wheel: str = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"

    def write(self, folder: Path) -> Path:
        source = OWN_TESTS / NAME
        info = f"{NAME}-{self.version}.dist-info"
        own = {f"{NAME}/{path.name}": path.read_text() for path in sorted(source.glob("*.*"))}
        about = f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {self.version}\n{self.metadata}"
        content = [
            *own.items(),
            *self.entries,
            (f"{info}/METADATA", self.about or about),
            (f"{info}/WHEEL", self.wheel),
        ]
        text = io.StringIO()
        rows = [[path, "", ""] for path, _ in [*content, (f"{info}/RECORD", "")]]
        csv.writer(text).writerows([*rows, *(self.record or ())])
        record = text.getvalue() if self.bare_record is None else self.bare_record
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", self.compression) as made:
            for path, part in [*content, (f"{info}/RECORD", record)]:
                made.writestr(path, part)
        wheel = folder / f"{NAME}-{self.version}-py3-none-any.whl"
        wheel.write_bytes(self.before + archive.getvalue())
        return wheel


def together(*odds: Odd) -> Odd:
    """A wheel that is odd in all of these ways, of which no two are about the same."""
    ways = [(name, value) for odd in odds for name, value in vars(odd).items()]
    usual = vars(Odd())
    return Odd(
        **{
            "metadata": "".join(odd.metadata for odd in odds),
            "record": [row for odd in odds for row in odd.record or ()],
        }
        | {
            name: value
            for name, value in ways
            if value != usual[name] and name not in ("metadata", "record")
        }
    )


DATA = f"{NAME}-1.0.data"

REFUSED = {
    "a file above": (Odd(entries=[("../x.txt", "x")]), FailureKind.CONTENT),
    "an absolute path": (Odd(entries=[(f"/{NAME}/x.txt", "x")]), FailureKind.CONTENT),
    "out of data": (Odd(entries=[(f"{DATA}/data/../../x", "x")]), FailureKind.CONTENT),
    "a scheme of its own": (Odd(entries=[(f"{DATA}/x", "x")]), FailureKind.CONTENT),
    "an old requirement": (Odd("Requires-Dist: six (>=1.*)\n"), FailureKind.METADATA),
    "an old extra": (
        Odd("Provides-Extra: a\nRequires-Dist: six (>=1.*); extra == 'a'\n"),
        FailureKind.METADATA,
    ),
    "another Python": (Odd("Requires-Python: >=3.99\n"), FailureKind.PYTHON),
    "a Python of the past": (Odd("Requires-Python: >=3,<3.4\n"), FailureKind.PYTHON),
}

TAKEN = {
    "bzip2": Odd(compression=zipfile.ZIP_BZIP2),
    "lzma": Odd(compression=zipfile.ZIP_LZMA),
    "something before the archive": Odd(before=b"#!/bin/sh\nexit\n"),
    "no rows": Odd(bare_record=""),
    "rows of two columns": Odd(bare_record=f"{NAME}/{MANIFEST},\n"),
    "rows of four columns": Odd(bare_record=f"{NAME}/{MANIFEST},,,x\n"),
    "a line break in a name": Odd(entries=[(f"{NAME}/a\nb.txt", "x")]),
    "no version of Python": Odd("Requires-Python: 3.x\n"),
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Environment, set[Path]]:
    """An environment in which one wheel is installed after the other, and what it begins with."""
    folder = tmp_path_factory.mktemp("pip") / "environment"
    environment = UvInstaller(["pip"]).create(folder, find_interpreter(None))
    return environment, {*environment.site_packages.iterdir()}


@pytest.fixture
def empty(shared: tuple[Environment, set[Path]]) -> Environment:
    """The same, without what the last test has installed."""
    environment, own = shared
    for path in {*environment.site_packages.iterdir()} - own:  # pip takes a second for it
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return environment


def refused(environment: Environment, odd: Odd, folder: Path) -> FailureKind:
    finished = UvInstaller().install_wheel(environment, read_wheel(odd.write(folder)), ())
    assert finished.returncode
    return explain(finished, environment.interpreter.version).kind


@pytest.mark.parametrize("way", REFUSED)
def test_what_pip_refuses_is_refused(tmp_path: Path, empty: Environment, way: str) -> None:
    odd, kind = REFUSED[way]
    assert refused(empty, odd, tmp_path) is kind


AT_FAULT = {
    "../x.txt": Odd(entries=[("../x.txt", "x")]),
    f"{NAME}-1.0.dist-info/entry_points.txt": Odd(
        entries=[(f"{NAME}-1.0.dist-info/entry_points.txt", "[console_scripts]\nrun = a\n")]
    ),
    f"{NAME}-1.0.dist-info/WHEEL": Odd(wheel="Root-Is-Purelib: true\nTag: py3-none-any\n"),
    "pip/__init__.py": Odd(
        entries=[("pip/__init__.py", ""), ("pip/__main__.py", "raise SystemExit('mine')")]
    ),
}


@pytest.mark.parametrize("file", AT_FAULT)
def test_the_file_at_fault_is_named(tmp_path: Path, file: str) -> None:
    wheel = AT_FAULT[file].write(tmp_path)
    (report,) = check_package(wheel, select=["FR002"], jobs=1).candidates
    ((_, found),) = report.findings
    assert found.file == file


def test_a_wheel_that_replaces_pip_is_refused(tmp_path: Path) -> None:
    """The server goes on to use it."""
    environment = UvInstaller(["pip"]).create(tmp_path / "environment", find_interpreter(None))
    own = [("pip/__init__.py", ""), ("pip/__main__.py", "raise SystemExit('mine')")]
    assert refused(environment, Odd(entries=own), tmp_path) is FailureKind.PIP


def assert_expected(real: PipShow, wheel: Wheel) -> None:
    """Assert that pip has printed what was known beforehand."""
    expected = expected_pip_show(wheel)
    assert [line for line in real.about if not line.startswith("Require")] == [*expected.about]
    assert {*expected.files} <= {*real.files}  # and what pip itself has written


TAKEN_TOGETHER = (
    ("bzip2", "something before the archive", "no rows", "no version of Python"),
    ("lzma", "rows of two columns"),
    ("rows of four columns",),
    ("a line break in a name",),
)


@pytest.mark.parametrize("ways", TAKEN_TOGETHER, ids=" and ".join)
def test_what_pip_takes_is_taken(tmp_path: Path, empty: Environment, ways: Sequence[str]) -> None:
    wheel = read_wheel(together(*(TAKEN[way] for way in ways)).write(tmp_path))
    assert UvInstaller().install_wheel(empty, wheel, ()).returncode == 0
    shown = run_pip_show(empty, wheel)
    for reader in GENERATIONS.values():
        assert list(reader.misreadings(wheel, shown, f"{NAME}/{MANIFEST}")) == []
    if ASKED.keys().isdisjoint(ways):
        assert_expected(shown, wheel)


def test_a_dependency_that_pip_refuses_is_refused(tmp_path: Path) -> None:
    """uv takes its METADATA: `Requires-Dist: PyYAML (>=5.1.*)`."""
    wheel = Odd("Requires-Dist: omegaconf==2.0.6\n").write(tmp_path)
    (report,) = check_package(wheel, select=["FR002"], jobs=1).candidates
    ((code, found),) = report.findings
    assert code == "FR002"
    assert "omegaconf==2.0.6" in found.found
    assert ".* suffix can only be used with" in found.found
    assert "newer release" in found.hint


MISLEADING = {
    "a home page": Odd(f"Home-page: https://example.org/{MANIFEST}\n"),
    "a labelled home page": Odd(f"Project-URL: Home Page, https://example.org/{MANIFEST}\n"),
    "a continued licence": Odd("License: x\n        Location: y\n        Name: z\n"),
    "an expression": Odd(
        about=f"Metadata-Version: 2.4\nName: {NAME}\nVersion: 1.0\nLicense: Name: a\n"
        "License-Expression: MIT\n"
    ),
    "an address without a label": Odd("Project-URL: https://example.org\n"),
    "a ghost": Odd(record=[[f"{NAME}/ghost{MANIFEST}", "", ""]]),
    "an absolute row": Odd(record=[[f"/etc/{MANIFEST}", "", ""]]),
    "a row twice": Odd(record=[[f"{NAME}/{MANIFEST}", "", ""]]),
    "a row with a dot": Odd(record=[[f"./{NAME}/{MANIFEST}", "", ""]]),
    "a backslash": Odd(record=[[f"{NAME}\\{MANIFEST}", "", ""]]),
    "nothing": Odd(),
    "a summary": Odd("Summary: Surname: x, Version: 3, Files:\n"),
}

ASKED = {
    "a continued licence": MISLEADING["a continued licence"],
    "an address without a label": MISLEADING["an address without a label"],
    "a line break in a name": TAKEN["a line break in a name"],
    "a blank after a name": Odd(entries=[(f"{NAME}/x.txt ", "x")]),
    "a line at each start": Odd(entries=[("noise.pth", "import sys; print('x')\n")]),
    "a module at each start": Odd(entries=[("sitecustomize.py", "print('x')\n")]),
    "a package at each start": Odd(entries=[("usercustomize/__init__.py", "print('x')\n")]),
}
"""What pip prints of these is not taken as known."""


SHOWN_TOGETHER = (
    (
        *("a home page", "a summary", "a ghost", "an absolute row", "a row twice"),
        *("a row with a dot", "a backslash"),
    ),
    ("a continued licence",),
    ("an address without a label",),  # of which pip breaks
    ("a labelled home page",),
    ("an expression",),
    ("nothing",),
)


@pytest.mark.parametrize("ways", SHOWN_TOGETHER, ids=lambda ways: ways[0])
def test_what_pip_shows_is_known_beforehand(
    tmp_path: Path, empty: Environment, ways: Sequence[str]
) -> None:
    """A run that installs nothing judges by it: it must be what the real pip prints."""
    wheel = read_wheel(together(*(MISLEADING[way] for way in ways)).write(tmp_path))
    assert UvInstaller().install_wheel(empty, wheel, ()).returncode == 0
    real, expected = run_pip_show(empty, wheel), expected_pip_show(wheel)
    assert (real.failure is None) == (expected.failure is None)
    shown = [line for line in real.about if not line.startswith(("Requires", "Required-by"))]
    assert tuple(shown) == expected.about
    assert [path for path in real.files if MANIFEST in path] == [
        path for path in expected.files if MANIFEST in path
    ]
    if ASKED.keys().isdisjoint(ways):
        assert_expected(real, wheel)


@pytest.mark.parametrize("way", [*TAKEN, *MISLEADING, *ASKED])
def test_pip_is_asked_where_something_else_may_be_printed(
    tmp_path: Path, empty: Environment, way: str
) -> None:
    """Elsewhere, what is expected is what it prints: see the tests above."""
    wheel = read_wheel((TAKEN | MISLEADING | ASKED)[way].write(tmp_path))
    if "each start" in way:
        assert UvInstaller().install_wheel(empty, wheel, ()).returncode == 0
    assert is_predictable(empty, expected_pip_show(wheel)) is (way not in ASKED)


def test_every_odd_wheel_is_shown_to_pip() -> None:
    assert {way for ways in TAKEN_TOGETHER for way in ways} == set(TAKEN)
    assert {way for ways in SHOWN_TOGETHER for way in ways} == set(MISLEADING)


def misread(generation: str, odd: Odd, folder: Path, shown: PipShow | None = None) -> list[str]:
    wheel = read_wheel(odd.write(folder))
    shown = shown or expected_pip_show(wheel)
    reader = GENERATIONS[generation]
    return [
        misreading.found for misreading in reader.misreadings(wheel, shown, f"{NAME}/{MANIFEST}")
    ]


@pytest.mark.parametrize(
    ("generation", "odd", "found"),
    [
        ("2", MISLEADING["nothing"], []),
        ("2", MISLEADING["a home page"], [f"Home-page: https://example.org/{MANIFEST}"]),
        ("2", MISLEADING["a continued licence"], ["Name: z", "Location: y"]),
        ("2", MISLEADING["an expression"], []),
        ("2", MISLEADING["a ghost"], [f"{NAME}/ghost{MANIFEST}"]),
        ("2", MISLEADING["a row twice"], [f"{NAME}/{MANIFEST}"]),
        ("2", MISLEADING["a backslash"], [f"{NAME}\\{MANIFEST}"]),
        ("2", MISLEADING["a summary"], []),
        ("2", Odd("Summary: A Name:\n"), ["Summary: A Name:"]),
        ("2", Odd(version="1!2.0"), ["1!2.0"]),
        ("1", Odd(version="1!2.0"), []),
        ("1", MISLEADING["a home page"], []),
        ("1", MISLEADING["a ghost"], []),
        ("1", MISLEADING["a continued licence"], ["Location: y"]),
        (
            "1",
            Odd(about=f"Metadata-Version:2.1\nName:{NAME}\nVersion:1.0\n"),
            [f"Name:{NAME}", "Version:1.0"],
        ),
        (
            "1",
            Odd(about=f"Metadata-Version: 2.1\nname: {NAME}\nVersion: 1.0 \n"),
            ["there is no such line"],
        ),
        ("2", Odd(about=f"Metadata-Version:2.1\nName:{NAME}\nVersion:1.0\n"), []),
    ],
)
def test_what_a_server_misreads(
    tmp_path: Path, generation: str, odd: Odd, found: list[str]
) -> None:
    assert misread(generation, odd, tmp_path) == found


def test_what_is_printed_whenever_python_starts_misleads_both(tmp_path: Path) -> None:
    odd = Odd(entries=[("noise.pth", "import sys; sys.stdout.write('Location: /nowhere\\n')\n")])
    (report,) = check_package(odd.write(tmp_path), select=["FR002", "FR117"]).candidates
    ((code, found),) = report.findings
    assert (code, found.found, found.file) == ("FR117", "Location: /nowhere", "noise.pth")
    assert ".pth" in found.hint


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        (
            "  × Failed to build `scipy==1.12.0`\n  ├─▶ The build backend returned an error\n"
            "      ../meson.build:1:0: ERROR: Unknown compiler(s): [['gfortran']]\n",
            FailureKind.BUILD,
            "no wheel of scipy 1.12.0 for Python 3.13, so it had to be built, and that failed: "
            "../meson.build:1:0: ERROR: Unknown compiler(s): [['gfortran']]",
        ),
        (
            "Downloading scipy-1.12.0.tar.gz (56.8 MB)\n"
            "  error: subprocess-exited-with-error\n"
            "  ModuleNotFoundError: No module named 'numpy'\n"
            "ERROR: Failed to build 'scipy' when getting requirements to build wheel\n",
            FailureKind.BUILD,
            "no wheel of scipy 1.12.0 for Python 3.13, so it had to be built, and that failed: "
            "ModuleNotFoundError: No module named 'numpy'",
        ),
        (
            "ERROR: Package 'a' requires a different Python: 3.13.0 not in '<3.12'",
            FailureKind.PYTHON,
            "a requires Python <3.12, and this is 3.13.0",
        ),
        (
            "ERROR: Ignored the following versions that require a different python version: 0.9 "
            "Requires-Python <3.12; 1.5.6 Requires-Python <3.13,>=3.11\n"
            "ERROR: Could not find a version that satisfies the requirement core==1.5.6 (from a) "
            "(from versions: 0.1, 2.0)\n"
            "ERROR: No matching distribution found for core==1.5.6",
            FailureKind.PYTHON,
            "core 1.5.6, which a requires, requires Python <3.13,>=3.11, and this is 3.13.0",
        ),
        (
            "ERROR: Ignored the following versions that require a different python version: 0.9 "
            "Requires-Python <3.12\n"
            "ERROR: Could not find a version that satisfies the requirement core==1.5.6 (from a) "
            "(from versions: 0.1, 2.0)\n"
            "ERROR: No matching distribution found for core==1.5.6",
            FailureKind.REQUIREMENTS,
            "No matching distribution found for core==1.5.6",
        ),
    ],
)
def test_a_failure_is_reported_by_the_line_that_matters(
    said: str, kind: FailureKind, words: str
) -> None:
    failure = explain(Finished(("pip",), 1, "", said, 1.0), "3.13.0")
    assert failure.kind is kind
    assert words in failure.message


@pytest.mark.parametrize(
    ("generation", "python", "module", "imports"),
    [
        ("1", "3.11", "pkg_resources", True),
        ("2", "3.11", "pkg_resources", False),
        ("1", "3.12", "setuptools", False),
        ("2", "3.12", "setuptools", True),
    ],
)
@pytest.mark.parametrize("installer", ["uv", pytest.param("pip", marks=pytest.mark.slow)])
def test_the_generation_says_what_an_environment_begins_with(
    tmp_path: Path,
    generation: str,
    python: str,
    module: str,
    imports: bool,
    installer: InstallerName,
) -> None:
    """fractal-server 2.x upgrades setuptools first; 1.x leaves what `python -m venv` brings."""
    interpreter = find_interpreter(python)
    upgraded = GENERATIONS[generation].upgraded_first
    made = INSTALLERS[installer](upgraded).create(tmp_path / "environment", interpreter)
    imported = subprocess.run([made.python, "-c", f"import {module}"], capture_output=True)
    assert (imported.returncode == 0) == imports, imported.stderr


def test_a_release_for_another_python_is_a_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the end of a run in which other packages are judged too."""
    index = tmp_path / "index"
    index.mkdir()
    Odd("Requires-Python: >=3.99\n").write(index)
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    (report,) = check_package("tested-tasks==1.0", select=["FR0"], jobs=1).candidates
    ((code, found),) = report.findings
    assert code == "FR002"
    assert "requires Python >=3.99" in found.found
