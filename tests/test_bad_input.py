"""What cannot be used is said in one sentence, with the right status, and leaves nothing."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import OWN_TESTS, Ran, Runner, make_wheel

from pytest_fractal import BadInput, HarnessError
from pytest_fractal.candidate.store import Fact, Store
from pytest_fractal.package_spec import parse_package

WHEEL = "tested_tasks-1.0-py3-none-any.whl"


def cut_short(wheel: Path) -> None:
    wheel.write_bytes(wheel.read_bytes()[:-100])


def corrupt_manifest(wheel: Path) -> None:
    """Spoil the data of a member; the end of the file, with its table, is valid."""
    corrupt(wheel, b"manifest_version")


def corrupt_script(wheel: Path) -> None:
    """A member that is read late, if at all."""
    corrupt(wheel, b"number < 1")


def corrupt(wheel: Path, where: bytes) -> None:
    content = bytearray(wheel.read_bytes())
    at = content.index(where)
    content[at : at + 4] = b"XXXX"
    wheel.write_bytes(content)


def no_zip(wheel: Path) -> None:
    wheel.write_text("no zip")


def empty(wheel: Path) -> None:
    wheel.write_bytes(b"")


def test_a_wheel_that_cannot_be_read_leaves_nothing(runner: Runner) -> None:
    cut_short(make_wheel(runner.folder))
    refused(runner.pytest(f"--fractal-package={WHEEL}", "-q"), "not a readable wheel")


@pytest.mark.parametrize("spoil", [cut_short, corrupt_manifest, corrupt_script, no_zip, empty])
def test_a_wheel_that_cannot_be_read(
    pytester: pytest.Pytester, spoil: Callable[[Path], None]
) -> None:
    spoil(make_wheel(pytester.path))
    assert "not a readable wheel" in refused_here(pytester)


def a_pipe(wheel: Path) -> None:
    wheel.unlink()
    os.mkfifo(wheel)


def a_folder(wheel: Path) -> None:
    wheel.unlink()
    wheel.mkdir()


def a_link_to_nothing(wheel: Path) -> None:
    wheel.unlink()
    wheel.symlink_to("nothing.whl")


def a_link_to_itself(wheel: Path) -> None:
    wheel.unlink()
    wheel.symlink_to(wheel.name)


@pytest.mark.parametrize("make", [a_pipe, a_folder, a_link_to_nothing, a_link_to_itself])
def test_what_is_called_a_wheel_and_is_no_file(
    pytester: pytest.Pytester, make: Callable[[Path], None]
) -> None:
    make(make_wheel(pytester.path))
    assert WHEEL in refused_here(pytester)


def refused(ran: Ran, *words: str) -> None:
    """Assert status 4, one sentence with these words, and nothing left behind."""
    assert ran.status == 4, ran.text
    reported = [line for line in ran.err.splitlines() if line]
    assert len(reported) == 1, ran.text
    assert reported[0].startswith("ERROR: ")
    for word in words:
        assert word in reported[0]
    assert "Traceback" not in ran.text
    assert "INTERNALERROR" not in ran.text
    assert ran.left == []


def refused_here(pytester: pytest.Pytester, *options: str) -> str:
    """The one sentence with which a run ends in this process, where a usage error is the same."""
    result = pytester.runpytest_inprocess(f"--fractal-package={WHEEL}", *options)
    assert result.ret == 4
    (reported,) = [line for line in result.errlines if line]
    assert reported.startswith("ERROR: ")
    assert "INTERNALERROR" not in result.stdout.str()
    return reported


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--fractal-package=./nope"], "./nope: no such folder"),
        (["--fractal-package=nope/"], "nope/: no such folder"),
        (["--fractal-package=no project"], "no project: no such folder, and not a requirement"),
        (["--fractal-package=nope.whl"], "nope.whl: no such file"),
        (["--fractal-package=dist/*.whl"], "dist/*.whl: no such file"),
        (["--fractal-package=empty"], "empty: this folder is no Python project"),
        (["--fractal-package=archive.tar.gz"], "archive.tar.gz: neither a folder nor a wheel"),
        (["--fractal-package="], "an empty package was given"),
        (["--fractal-package=name @ git+https://example.org/x"], "give a name and a version"),
        (
            ["--fractal-package=name @ https://example.org/x"],
            "does not end in the name of a wheel",
        ),
        (["--fractal-find-pins=soon"], "--fractal-find-pins=soon: give a number of seconds"),
        (["--fractal-find-pins=0"], "a time limit of 0 s is of no use"),
        ([f"--fractal-package=./{WHEEL}"], "given twice"),
        (["--fractal-package=copy/" + WHEEL], f"the package tested-tasks again, as {WHEEL} is"),
        (["--fractal-select=FR999"], "FR999: no rule has this code"),
        (["--fractal-ignore=XY"], "XY: no rule has this code"),
        (["--fractal-ignore=FR301[nope]"], "FR301[nope]: no task has this slug; there are: make"),
        (
            [f"{WHEEL}::command-starts[nope]"],
            f"{WHEEL}::command-starts[nope]: there is no such check",
        ),
        (["--fractal-python=3.1"], "Python 3.1 was not found"),
        (["--fractal-python=/nope/python"], "/nope/python was not found"),
        (["--fractal-installer=conda"], "conda: no such installer; choose uv or pip"),
        (["--fractal-timeout=0"], "a time limit of 0 s is of no use"),
        (["--fractal-timeout=nan"], "a time limit of nan s is of no use"),
        (["--fractal-jobs=-1"], "-1 jobs cannot run"),
        (["--fractal-pin=numpy"], "numpy: a pin has the form name==version"),
        (["--fractal-pin=numpy>=1"], "numpy>=1: a pin has the form name==version"),
        (["--fractal-report=report.txt"], "report.txt: the suffix tells the format"),
        (["--fractal-report=folder.json"], "folder.json: this is a folder; a report is written"),
        (["--fractal-explain=FR999"], "FR999: no rule has this code"),
        (["-o", "fractal_timeout=soon"], "fractal_timeout: could not convert"),
        (["-o", "fractal_jobs=many"], "fractal_jobs: invalid literal"),
        (["-o", "fractal_ignore=FR301"], "fractal_ignore: FR301 has no reason"),
    ],
    ids=lambda value: None if isinstance(value, list) else value[:40],
)
def test_what_was_typed_is_of_no_use(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    options: list[str],
    words: str,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    make_wheel(pytester.path)
    make_wheel(pytester.path / "copy")
    (pytester.path / "empty").mkdir()
    (pytester.path / "folder.json").mkdir()
    (pytester.path / "archive.tar.gz").touch()
    assert words in refused_here(pytester, *options)
    assert list(tmp_path.glob("pytest-fractal-*")) == []


def test_a_value_of_the_wrong_type_in_toml(pytester: pytest.Pytester) -> None:
    make_wheel(pytester.path)
    pytester.makepyprojecttoml(f'[tool.pytest]\nfractal_package = "{WHEEL}"\n')
    result = pytester.runpytest_inprocess()
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: fractal_package: *expects a list*"])


@pytest.mark.parametrize("workers", [0, 2])
def test_a_task_that_is_not_there_with_workers_and_without_a_terminal(
    runner: Runner, workers: int
) -> None:
    """Workers find the same fault; it is reported once, by the process that the user started."""
    make_wheel(runner.folder)
    refused(
        runner.pytest(
            f"--fractal-package={WHEEL}",
            "--fractal-select=FR301[nope]",
            "-n",
            str(workers),
            *([] if workers else ["-p", "no:terminal"]),
        ),
        "no task has this slug",
    )


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may read everything, so it becomes somebody else meanwhile."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_an_unreadable_folder(tmp_path: Path) -> None:
    (tmp_path / "locked" / "project").mkdir(parents=True)
    (tmp_path / "locked").chmod(0)
    with as_nobody(), pytest.raises(BadInput, match=r"locked/project: cannot be read: .*denied"):
        parse_package("locked/project", tmp_path)
    (tmp_path / "locked").chmod(0o700)


def test_a_file_that_cannot_be_read_is_no_verdict(tmp_path: Path) -> None:
    """An unreadable file of a source tree, a full disk: the machine's fault, not a crash."""
    store = Store()
    for _ in range(2):
        with pytest.raises(HarnessError, match=r"No such file or directory: /.*/nothing here"):
            store.once(Fact("fact", bytes), (tmp_path / "nothing here").read_bytes)
    with pytest.raises(HarnessError, match="Permission denied"):
        store.once(Fact("copy", str), fail_to_copy)


def fail_to_copy() -> str:
    raise shutil.Error([("a", "b", "[Errno 13] Permission denied: 'a'")])


def test_a_wheel_without_metadata_is_judged(pytester: pytest.Pytester) -> None:
    """The server cannot collect it: that is FR004's to tell."""
    whole = make_wheel(pytester.path / "whole")
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(pytester.path / WHEEL, "w") as new:
        for name in old.namelist():
            if not name.endswith("METADATA"):
                new.writestr(name, old.read(name))
    result = pytester.runpytest_inprocess(f"--fractal-package={WHEEL}", "-q")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    said = result.stdout.str()
    assert "1 fail (FR004)" in said
    assert "FR004 name-and-version: " in said
    assert "error" not in said.splitlines()[-1]


def test_a_folder_whose_project_file_is_broken_is_judged(pytester: pytest.Pytester) -> None:
    (pytester.path / "project").mkdir()
    (pytester.path / "project" / "pyproject.toml").write_text("[project\n")
    result = pytester.runpytest_inprocess("--fractal-package=project", "-q")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "1 fail (FR001)" in result.stdout.str()
    assert "Traceback" not in result.stdout.str() + result.stderr.str()


def test_a_python_above_requires_python_is_refused_as_the_server_does(
    pytester: pytest.Pytester,
) -> None:
    """The faster installer passes over upper bounds."""
    make_wheel(pytester.path, extra_metadata="Requires-Python: >=3,<3.4\n")
    result = pytester.runpytest_inprocess(f"--fractal-package={WHEEL}", "--fractal-select=FR002")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*tested-tasks requires Python <3.4,>=3, and this is *"])


# The network


@pytest.fixture
def offline(tmp_path: Path) -> dict[str, str]:
    """Variables under which every index and proxy is a closed port of this machine."""
    closed = "http://127.0.0.1:9/"
    names = ["PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "http_proxy", "https_proxy"]
    nothing = {
        "PIP_FIND_LINKS": "",
        "UV_FIND_LINKS": "",
        "PIP_NO_CACHE_DIR": "1",
        "PIP_RETRIES": "0",
        "UV_HTTP_RETRIES": "0",
        "UV_CACHE_DIR": str(tmp_path / "uv-cache"),
    }
    return dict.fromkeys(names, closed) | nothing


def test_a_requirement_without_network(runner: Runner, offline: dict[str, str]) -> None:
    ran = runner.pytest("--fractal-package=fractal-tasks-core==0.14.3", "-q", cwd=None, **offline)
    refused(ran, "fractal-tasks-core==0.14.3: the package index cannot be reached")


def test_a_source_tree_without_network(runner: Runner, offline: dict[str, str]) -> None:
    """The package is not to blame: an error, which blocks the rest; never a pass."""
    shutil.copytree(OWN_TESTS, runner.folder / "project")
    ran = runner.pytest(
        "--fractal-package=project", "-q", "--fractal-report=report.json", cwd=None, **offline
    )
    assert ran.status == 1, ran.text
    assert "1 error (FR001)" in ran.out
    assert "the package index cannot be reached" in ran.out
    assert "look at the network" in ran.words
    assert "failed" not in ran.out.splitlines()[-1]
    assert "passed" not in ran.out.splitlines()[-1]
    assert "Traceback" not in ran.text
    assert '"passed": false' in (runner.folder / "report.json").read_text()
    assert ran.left == []


def test_a_requirement_that_does_not_exist(runner: Runner) -> None:
    ran = runner.pytest("--fractal-package=pytest-fractal-not-there==9", "-q")
    refused(ran, "pytest-fractal-not-there==9: the package index has nothing for this")
