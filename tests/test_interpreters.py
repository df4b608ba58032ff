"""Interpreters are found by version, path or name, and say what their environments start with."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from uv import find_uv_bin

from pytest_fractal.environments.interpreters import Interpreter, find_interpreter
from pytest_fractal.errors import BadInput

OUR_VERSION = ".".join(map(str, sys.version_info[:3]))
OUR_MINOR = ".".join(map(str, sys.version_info[:2]))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any Python but what the test puts there: bin/ and pyenv/versions/."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "uv"))
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def script(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def other_python(path: Path, version: str) -> Path:
    """Stands for a Python of a version that the machine need not have."""
    answer = json.dumps({"path": str(path), "version": version, "setuptools": None})
    return script(path, f"echo '{answer}'")


def our_python(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(find_interpreter(None).path)
    return path


def test_none_is_the_python_that_runs_us() -> None:
    found = find_interpreter(None)
    assert found.version == OUR_VERSION
    assert found.version_info == sys.version_info[:2]
    base = Path(sys._base_executable)  # type: ignore[attr-defined]
    assert found.path == base


def test_an_environments_python_stands_for_its_base(tmp_path: Path) -> None:
    """Environments are not nested."""
    venv.create(tmp_path / "env", symlinks=True)
    found = find_interpreter(str(tmp_path / "env" / "bin" / "python"))
    assert found.path.resolve() == Path(sys.executable).resolve()
    assert tmp_path not in found.path.parents


def test_setuptools_is_what_python_m_venv_installs(tmp_path: Path) -> None:
    pytest.importorskip("ensurepip")
    found = find_interpreter(None)
    subprocess.run([found.path, "-I", "-m", "venv", tmp_path / "env"], check=True)
    installed = {
        match[1]
        for path in tmp_path.glob("env/lib/*/site-packages/*.dist-info")
        if (match := re.fullmatch(r"setuptools-(.+)\.dist-info", path.name))
    }
    assert installed == ({found.setuptools} if found.setuptools else set())


@pytest.mark.parametrize("form", ["{}", "python{}"])
@pytest.mark.parametrize("version", [OUR_MINOR, OUR_VERSION])
def test_a_version_is_found_in_path(world: Path, form: str, version: str) -> None:
    our_python(world / "bin" / f"python{OUR_MINOR}")
    assert find_interpreter(form.format(version)).version == OUR_VERSION


def test_a_version_is_found_under_the_bare_name_of_python(world: Path) -> None:
    our_python(world / "bin" / "python3")
    assert find_interpreter(OUR_MINOR).version == OUR_VERSION


def test_a_shim_that_fails_is_passed_over_for_pyenvs_own_version(world: Path) -> None:
    script(world / "bin" / f"python{OUR_MINOR}", "echo pyenv: command not found >&2; exit 127")
    our_python(world / "pyenv" / "versions" / OUR_VERSION / "bin" / "python")
    found = find_interpreter(OUR_MINOR)
    assert found.version == OUR_VERSION
    assert found.path != world / "bin" / f"python{OUR_MINOR}"


def test_pyenvs_newest_patch_release_is_taken(world: Path) -> None:
    """The newest by version, not by the alphabet; other names in the folder do no harm."""
    for version in ("3.8.2", "3.8.10", "3.8.9", "3.80.1"):
        other_python(world / "pyenv" / "versions" / version / "bin" / "python", version)
    other_python(world / "pyenv" / "versions" / "pypy3.8-7.3" / "bin" / "python", "3.8.99")
    assert find_interpreter("3.8").version == "3.8.10"
    assert find_interpreter("3.8.9") == Interpreter(
        world / "pyenv" / "versions" / "3.8.9" / "bin" / "python", "3.8.9", (3, 8)
    )


def test_another_patch_release_in_path_does_not_do(world: Path) -> None:
    other_python(world / "bin" / "python3.8", "3.8.2")
    with pytest.raises(BadInput, match=r"3\.8\.9 was not found.* there are 3\.8\.2$"):
        find_interpreter("3.8.9")


def test_what_uv_has_installed_is_found(world: Path) -> None:
    """An interpreter in uv's own folder, beside a shim that makes uv itself stop."""
    script(world / "bin" / f"python{OUR_MINOR}", "exit 127")
    base = find_interpreter(None).path
    listed = subprocess.check_output(
        [find_uv_bin(), "python", "list", "--only-installed", "--output-format", "json"],
        env={**os.environ, "PATH": str(base.parent)},
        stderr=subprocess.DEVNULL,
    )
    key = next(python["key"] for python in json.loads(listed) if python["version"] == OUR_VERSION)
    our_python(world / "uv" / key / "bin" / f"python{OUR_MINOR}")
    assert find_interpreter(OUR_MINOR).version == OUR_VERSION


def test_a_version_that_is_nowhere_says_where_was_looked_and_what_is_there(world: Path) -> None:
    other_python(world / "pyenv" / "versions" / "3.9.18" / "bin" / "python", "3.9.18")
    other_python(world / "pyenv" / "versions" / "3.10.2" / "bin" / "python", "3.10.2")
    with pytest.raises(BadInput) as caught:
        find_interpreter("3.7")
    assert str(caught.value) == (
        f"Python 3.7 was not found: looked in PATH, among pyenv's versions in "
        f"{world / 'pyenv' / 'versions'} and among those that uv has installed; "
        f"there are 3.9.18, 3.10.2"
    )


def test_paths_may_be_relative_or_begin_with_the_home_folder(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_python(world / "tools" / "py", "3.9.1")
    monkeypatch.setenv("HOME", str(world))
    for path in ("tools/py", "./tools/py", "~/tools/py", str(world / "tools" / "py")):
        assert find_interpreter(path).version == "3.9.1"


def test_a_name_in_path_is_an_executable(world: Path) -> None:
    other_python(world / "bin" / "mypython", "3.9.1")
    assert find_interpreter("mypython").path == world / "bin" / "mypython"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("echo first >&2; echo no such thing >&2; exit 3", "exit status 3, no such thing"),
        ("kill -9 $$", "killed by signal SIGKILL"),
        ("echo hello", "it does not answer as Python does"),
        ("echo []", "it does not answer as Python does"),
    ],
)
def test_an_executable_that_is_no_python_is_reported(world: Path, body: str, why: str) -> None:
    path = script(world / "thing", body)
    with pytest.raises(BadInput) as caught:
        find_interpreter(str(path))
    assert str(caught.value) == f"{path} does not run as a Python interpreter: {why}"


def test_a_file_that_is_not_executable_is_reported(world: Path) -> None:
    (world / "plain").write_text("")
    with pytest.raises(BadInput, match="does not run as a Python interpreter: exit status 126"):
        find_interpreter("./plain")


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("nowhere/python", "the interpreter nowhere/python was not found: there is no such file"),
        ("nopython", "the interpreter nopython was not found: it is no file, nor in PATH"),
        (".", "the interpreter . is a folder, not an executable"),
        ("", "the interpreter is an empty text, not a version such as 3.10 or a path"),
    ],
)
def test_what_is_not_there_is_reported_in_one_sentence(
    world: Path, wanted: str, message: str
) -> None:
    with pytest.raises(BadInput) as caught:
        find_interpreter(wanted)
    assert str(caught.value) == message
