"""Bytecode comes from the cache, and never replaces what its source says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_fractal.environments.bytecode import DependencyBytecode, bring_bytecode
from pytest_fractal.environments.environments import Environment, create_bare
from pytest_fractal.environments.interpreters import find_interpreter


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "pytest-fractal" / "pip-bytecode"


def fresh(folder: Path) -> Environment:
    """An environment as it is given to a candidate's wheel."""
    environment = create_bare(folder, find_interpreter(None), pip=True)
    (record,) = environment.site_packages.glob("pip-*.dist-info/RECORD")
    with record.open("a") as lines:  # of a script, which tells where the environment is
        lines.write(f"../../../bin/pip,sha256={folder.name},1\n")
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


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """What the first environment of all leaves in an empty cache; and its bytecode."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        first = modules(fresh(folder / "first"))
    (kept,) = (folder / "cache" / "pytest-fractal" / "pip-bytecode").glob("*.zip")
    return kept, first


@pytest.fixture
def kept(cache: Path, made: tuple[Path, dict[str, bytes]]) -> Path:
    """The one file of a cache that the first environment has filled."""
    cache.mkdir(parents=True)
    return Path(shutil.copy2(made[0], cache))


@pytest.fixture
def first(made: tuple[Path, dict[str, bytes]]) -> dict[str, bytes]:
    """The bytecode of that environment."""
    return made[1]


def test_the_next_environment_gets_the_bytecode_that_the_first_has_made(
    cache: Path, kept: Path, first: dict[str, bytes], tmp_path: Path
) -> None:
    written = kept.stat().st_ino
    second = fresh(tmp_path / "second")
    assert modules(second) == first
    assert {head[4] for head in first.values()} == {3}, "Python looks at the source's hash"
    assert len(first) > 300
    assert [*cache.glob("*.zip")] == [kept]
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
    kept: Path, first: dict[str, bytes], tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    whole = kept.read_bytes()
    kept.write_bytes(damage(whole))
    second = fresh(tmp_path / "second")
    assert modules(second) == first
    assert zipfile.ZipFile(kept).testzip() is None
    assert version(second).startswith("pip ")


def test_nothing_is_written_outside_of_pip(kept: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(kept, "w") as archive:
        archive.writestr("pip/../../../../__pycache__/out.pyc", b"foreign")
        archive.writestr("evil.pth", b"foreign")
    second = fresh(tmp_path / "second")
    assert not [path for path in tmp_path.rglob("*") if path.name in ("out.pyc", "evil.pth")]
    assert version(second).startswith("pip ")


@pytest.mark.usefixtures("kept")
def test_a_source_that_has_changed_is_compiled_anew(tmp_path: Path) -> None:
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


OWNER = "tree\n/somewhere\ntasks"


def with_a_dependency(folder: Path, text: str = "NUMBER = 1\n") -> Environment:
    """An environment in which the packages `library` and `tasks` are installed."""
    environment = create_bare(folder, find_interpreter(None))
    for name in ("library", "tasks"):
        package = environment.site_packages / name
        (package / "inner").mkdir(parents=True)
        lines = ["../../../bin/tool.py,,"]
        for path in ("__init__.py", "inner/odd, name.py", "inner/other.py"):
            (package / path).write_text(text)
            lines.append(f'"{name}/{path}",sha256={hash(text)},')
        info = environment.site_packages / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "RECORD").write_text("\n".join(lines))
    return environment


def compiled(environment: Environment, *modules: str) -> None:
    """Import modules, as a task does."""
    lines = ";".join(f"import {module}" for module in modules)
    variables = {"PATH": os.environ["PATH"]}
    subprocess.run([environment.python, "-c", lines], check=True, env=variables)


def bytecode(environment: Environment) -> list[str]:
    found = environment.site_packages.glob("*/**/*.pyc")
    return sorted(str(path.relative_to(environment.site_packages)) for path in found)


def kept_of(environment: Environment) -> DependencyBytecode:
    return DependencyBytecode(OWNER, "Tasks", environment)


TAG = "cpython-{}{}".format(*sys.version_info)
LIBRARY = f"library/__pycache__/__init__.{TAG}.pyc"
INNER = f"library/inner/__pycache__/other.{TAG}.pyc"


def test_what_a_run_has_compiled_of_dependencies_is_there_for_the_next(
    cache: Path, tmp_path: Path
) -> None:
    """Nothing of the candidate's own package, and nothing that was not compiled."""
    first = with_a_dependency(tmp_path / "first")
    compiled(first, "library", "tasks")
    kept_of(first).keep()
    second = with_a_dependency(tmp_path / "second")
    kept_of(second).bring()
    assert bytecode(second) == [LIBRARY]
    brought = (second.site_packages / LIBRARY).read_bytes()
    compiled(second, "library.inner.other")
    assert (second.site_packages / LIBRARY).read_bytes() == brought, "Python takes it"
    kept_of(second).keep()
    third = with_a_dependency(tmp_path / "third")
    kept_of(third).bring()
    assert bytecode(third) == [LIBRARY, INNER]


def test_other_files_other_candidates_and_other_sources_get_none(
    cache: Path, tmp_path: Path
) -> None:
    first = with_a_dependency(tmp_path / "first")
    compiled(first, "library")
    kept_of(first).keep()
    changed = with_a_dependency(tmp_path / "changed", "NUMBER = 2\n")
    kept_of(changed).bring()
    other = with_a_dependency(tmp_path / "other")
    DependencyBytecode("somebody else", "tasks", other).bring()
    assert bytecode(changed) == bytecode(other) == []
    # A source that is not as its RECORD says: Python compiles it anew.
    odd = with_a_dependency(tmp_path / "odd")
    kept_of(odd).bring()
    (odd.site_packages / "library" / "__init__.py").write_text("NUMBER = 3\n")
    line = "import library; print(library.NUMBER)"
    ran = subprocess.run([odd.python, "-c", line], check=True, capture_output=True, text=True)
    assert ran.stdout == "3\n"


@pytest.mark.parametrize("damage", ["cut", "text", "bits", "foreign", "a link"])
def test_bytecode_that_is_damaged_is_removed(cache: Path, tmp_path: Path, damage: str) -> None:
    first = with_a_dependency(tmp_path / "first")
    compiled(first, "library")
    kept_of(first).keep()
    (kept,) = (cache.parent / "bytecode").rglob("*.zip")
    content = kept.read_bytes()
    match damage:
        case "cut":
            kept.write_bytes(content[: len(content) // 2])
        case "text":
            kept.write_text("nothing")
        case "bits":
            at = content.index(b"NUMBER")
            kept.write_bytes(content[:at] + b"LUMBER" + content[at + 6 :])
        case "foreign":
            with zipfile.ZipFile(kept, "a") as archive:
                archive.writestr("library/__init__.py", "NUMBER = 4\n")
        case _:
            kept.rename(tmp_path / "elsewhere.zip")
            kept.symlink_to(tmp_path / "elsewhere.zip")
    second = with_a_dependency(tmp_path / "second")
    kept_of(second).bring()
    assert not os.path.lexists(kept)
    line = "import library; print(library.NUMBER)"
    ran = subprocess.run([second.python, "-c", line], check=False, capture_output=True, text=True)
    assert ran.stdout == "1\n", ran.stderr


def test_bytecode_is_neither_read_nor_written_through_links(cache: Path, tmp_path: Path) -> None:
    first = with_a_dependency(tmp_path / "first")
    compiled(first, "library", "library.inner.other")
    outside = tmp_path / "outside"
    (first.site_packages / "library" / "inner" / "__pycache__").rename(outside)
    (first.site_packages / "library" / "inner" / "__pycache__").symlink_to(outside)
    kept_of(first).keep()
    second = with_a_dependency(tmp_path / "second")
    (tmp_path / "empty").mkdir()
    (second.site_packages / "library" / "__pycache__").symlink_to(tmp_path / "empty")
    kept_of(second).bring()
    assert not any((tmp_path / "empty").iterdir())
    third = with_a_dependency(tmp_path / "third")
    kept_of(third).bring()
    assert bytecode(third) == [LIBRARY]


def test_bytecode_that_does_not_fit_its_source_is_not_kept(cache: Path, tmp_path: Path) -> None:
    """Python passes over it too: the source was changed after it was made."""
    first = with_a_dependency(tmp_path / "first")
    compiled(first, "library", "library.inner.other")
    (first.site_packages / "library" / "inner" / "other.py").write_text("NUMBER = 77\n")
    kept_of(first).keep()
    second = with_a_dependency(tmp_path / "second")
    kept_of(second).bring()
    assert bytecode(second) == [LIBRARY]


def test_room_is_made_by_what_was_not_used_for_longest(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = cache.parent / "bytecode" / "somebody"
    folder.mkdir(parents=True)
    for number in range(5):
        (folder / f"{number}.zip").write_bytes(bytes(1000))
        os.utime(folder / f"{number}.zip", (number, number))
    monkeypatch.setattr("pytest_fractal.environments.bytecode._ROOM", 3000)
    first = with_a_dependency(tmp_path / "first")
    kept_of(first).keep()  # nothing is compiled, so no room is needed
    assert len([*folder.iterdir()]) == 5
    compiled(first, "library")
    kept_of(first).keep()
    assert sorted(path.name for path in folder.iterdir()) == ["3.zip", "4.zip"]
