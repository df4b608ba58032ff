"""pip's bytecode comes from the cache, and never replaces what its source says."""

from __future__ import annotations

import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_fractal.environments.bytecode import bring_bytecode
from pytest_fractal.environments.environments import Environment, create_bare
from pytest_fractal.environments.interpreters import find_interpreter


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "pytest-fractal" / "pip-bytecode"


def fresh(folder: Path) -> Environment:
    """An environment as it is given to a candidate's wheel."""
    environment = create_bare(folder, find_interpreter(None), pip=True)
    bring_bytecode(environment.python, environment.interpreter, environment.site_packages)
    return environment


def version(environment: Environment) -> str:
    argv = [str(environment.python), "-m", "pip", "--version"]
    ran = subprocess.run(argv, check=False, capture_output=True, text=True)
    return ran.stdout + ran.stderr


def modules(environment: Environment) -> dict[str, bytes]:
    """The heads of the files: their format, and the hash of the source."""
    return {
        path.relative_to(environment.site_packages).as_posix(): path.read_bytes()[:16]
        for path in environment.site_packages.glob("pip/**/*.pyc")
    }


def test_the_next_environment_gets_the_bytecode_that_the_first_has_made(
    cache: Path, tmp_path: Path
) -> None:
    first = modules(fresh(tmp_path / "first"))
    (kept,) = cache.glob("*.zip")
    written = kept.stat().st_ino
    second = fresh(tmp_path / "second")
    assert modules(second) == first
    assert {head[4] for head in first.values()} == {3}, "Python looks at the source's hash"
    assert len(first) > 300
    assert kept.stat().st_ino == written, "it is not made anew"
    version(second)
    assert modules(second) == first, "pip takes it"


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:5000] + b"damaged" + whole[5007:],
    ],
    ids=["broken off", "changed"],
)
def test_a_damaged_file_is_made_anew(
    cache: Path, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    first = modules(fresh(tmp_path / "first"))
    (kept,) = cache.glob("*.zip")
    whole = kept.read_bytes()
    kept.write_bytes(damage(whole))
    second = fresh(tmp_path / "second")
    assert modules(second) == first
    assert zipfile.ZipFile(kept).testzip() is None
    assert version(second).startswith("pip ")


def test_nothing_is_written_outside_of_pip(cache: Path, tmp_path: Path) -> None:
    fresh(tmp_path / "first")
    (kept,) = cache.glob("*.zip")
    with zipfile.ZipFile(kept, "w") as archive:
        archive.writestr("pip/../../../../__pycache__/out.pyc", b"foreign")
        archive.writestr("evil.pth", b"foreign")
    second = fresh(tmp_path / "second")
    assert not [path for path in tmp_path.rglob("*") if path.name in ("out.pyc", "evil.pth")]
    assert version(second).startswith("pip ")


def test_a_source_that_has_changed_is_compiled_anew(cache: Path, tmp_path: Path) -> None:
    environment = fresh(tmp_path / "first")
    source = environment.site_packages / "pip" / "__init__.py"
    source.write_text("raise SystemExit('another pip')\n")
    assert version(environment) == "another pip\n"


def test_without_a_cache_that_can_be_written_pip_does_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert version(fresh(tmp_path / "first")).startswith("pip ")


def test_the_oldest_go_when_there_are_many(cache: Path, tmp_path: Path) -> None:
    cache.mkdir(parents=True)
    for number in range(20):
        (cache / f"{number}.zip").touch()
    fresh(tmp_path / "first")
    assert len(list(cache.glob("*.zip"))) == 12
