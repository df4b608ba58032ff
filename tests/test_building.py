"""A wheel is built as a release is, and the author's tree stays as it was.

The projects here bring their own build backend, so that nothing is fetched; builds
with the common backends are in `good_packages/` and `bad_packages/`.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tarfile import TarInfo

import pytest
from conftest import make_wheel
from projects import PYPROJECT, everything, git, holds, project, repository, version

from pytest_fractal.environments.building import (
    BuildEnvironment,
    Built,
    build_from_tree,
    build_release,
)
from pytest_fractal.environments.environments import Environment, create_bare
from pytest_fractal.environments.installers import UvInstaller
from pytest_fractal.environments.installing import install_planned, planned
from pytest_fractal.environments.interpreters import find_interpreter
from pytest_fractal.environments.machine_faults import fault_in_build
from pytest_fractal.environments.project_table import is_for_pixi
from pytest_fractal.environments.repositories import copy_repository
from pytest_fractal.environments.sdists import BadSdist, unpack
from pytest_fractal.environments.trees import copy_tree
from pytest_fractal.errors import HarnessError
from pytest_fractal.package_spec import parse_package
from pytest_fractal.processes.logs import add_to_log
from pytest_fractal.processes.processes import Finished
from pytest_fractal.session import Session
from pytest_fractal.settings import Settings

Build = Callable[[Path], Built]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> BuildEnvironment:
    folder = tmp_path_factory.mktemp("build") / "environment"
    return BuildEnvironment(create_bare(folder, find_interpreter(None)), UvInstaller())


@pytest.fixture
def release(environment: BuildEnvironment, tmp_path: Path) -> Build:
    return lambda source: build_release(source, tmp_path / "made", environment)


@pytest.fixture
def straight(environment: BuildEnvironment, tmp_path: Path) -> Build:
    return lambda source: build_from_tree(source, tmp_path / "straight", environment)


@pytest.fixture
def limited(environment: BuildEnvironment, tmp_path: Path) -> Build:
    return lambda source: build_release(source, tmp_path / "made", environment, 2)


def test_the_wheel_is_made_of_the_sdist(tmp_path: Path, release: Build, straight: Build) -> None:
    source = project(tmp_path / "source", {"demo/sdist_lacks.json": "{}"})
    assert holds(release(source)) == {"__init__.py", "task.py"}
    assert holds(straight(source)) == {"__init__.py", "task.py", "sdist_lacks.json"}


def test_the_source_tree_is_left_untouched(
    tmp_path: Path, release: Build, straight: Build
) -> None:
    """With the repository's own files: git refreshes its index when it is asked."""
    source = repository(project(tmp_path / "source"))
    (source / "demo" / "new.py").write_text("not committed")
    before = everything(source)
    assert version(release(source)) == version(straight(source)) == "1.2"
    assert everything(source) == before


def test_the_version_is_taken_from_the_repository(tmp_path: Path, release: Build) -> None:
    source = repository(project(tmp_path / "source"), "3.4")
    assert version(release(source)) == "3.4"


def test_what_is_changed_since_the_last_commit_counts(tmp_path: Path, release: Build) -> None:
    source = repository(project(tmp_path / "source"), "3.4")
    (source / "demo" / "task.py").write_text("print('changed')")
    assert version(release(source)) == "3.4+dirty"


def test_a_project_in_a_folder_of_a_repository_finds_it(
    tmp_path: Path, release: Build, straight: Build
) -> None:
    top = tmp_path / "top"
    source = project(top / "packages" / "demo-tasks")
    (top / "LICENSE").write_text("all rights")
    (top / "packages" / "other").mkdir()
    (top / "packages" / "other" / "data.txt").write_text("data")
    (source / "LICENSE").symlink_to("../../LICENSE")
    (source / "demo" / "data.txt").symlink_to("../../other/data.txt")
    repository(top, "5.6")
    before = everything(top)
    built = release(source)
    assert version(built) == version(straight(source)) == "5.6"
    assert holds(built) == {"__init__.py", "task.py", "data.txt"}
    assert everything(top) == before


def test_a_submodule_and_a_worktree_are_repositories_too(
    tmp_path: Path, release: Build, straight: Build
) -> None:
    origin = repository(project(tmp_path / "origin"), "7.8")
    git(origin, "worktree", "add", "-q", str(tmp_path / "worktree"))
    assert version(release(tmp_path / "worktree")) == "7.8"
    top = tmp_path / "top"
    top.mkdir()
    git(top, "init", "-q")
    git(top, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(origin), "sub")
    git(top / "sub", "fetch", "-q", "--tags")
    assert version(straight(top / "sub")) == "7.8"


def test_a_login_in_the_repositorys_settings_reaches_no_build(tmp_path: Path) -> None:
    """As `actions/checkout` leaves one, and as a URL or a helper may hold one."""
    source = repository(project(tmp_path / "source"), "2.0")
    git(source, "remote", "add", "origin", "https://me:hush1@example.org/demo.git")
    git(source, "remote", "add", "other", "ssh://git@example.org/demo.git")
    git(source, "config", "http.https://example.org/.extraheader", "AUTHORIZATION: basic hush2")
    git(source, "config", "url.https://x:hush3@example.org/.insteadOf", "https://example.org/")
    git(source, "config", "credential.helper", "!echo password=hush4")
    git(source, "config", "includeIf.gitdir:/**.path", "/hush5/git-credentials.config")
    git(source, "config", "filter.demo.clean", "cat")
    copy = tmp_path / "copy"
    copy.mkdir()
    assert copy_repository(source, copy)
    settings = (copy / ".git" / "config").read_text()
    assert "hush" not in settings
    assert git(copy, "remote", "get-url", "origin").strip() == "https://example.org/demo.git"
    assert git(copy, "config", "filter.demo.clean").strip() == "cat"
    assert git(copy, "describe", "--tags").strip() == "2.0"


def test_the_variables_of_a_git_hook_mean_nothing(
    tmp_path: Path, release: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = repository(project(tmp_path / "other"), "1.0")
    source = repository(project(tmp_path / "source"), "2.0")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
    before = everything(other)
    assert version(release(source)) == "2.0"
    assert everything(other) == before


def test_links_lead_where_they_led(tmp_path: Path, release: Build) -> None:
    source = project(tmp_path / "source")
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "one.json").write_text("{}")
    (source / "demo" / "relative.json").symlink_to("../../shared/one.json")
    (source / "demo" / "absolute.json").symlink_to(tmp_path / "shared" / "one.json")
    (source / "demo" / "inside.py").symlink_to("task.py")
    (source / "demo" / "dangling").symlink_to("nowhere")
    assert holds(release(source)) == {
        "__init__.py",
        "task.py",
        "relative.json",
        "absolute.json",
        "inside.py",
    }


def test_what_earlier_builds_and_tools_left_stays_behind(tmp_path: Path) -> None:
    source = project(
        tmp_path / "source",
        {
            "build/lib/demo/old.py": "",
            "demo.egg-info/SOURCES.txt": "",
            ".tox/a": "",
            "my-env/pyvenv.cfg": "",
            "demo/__pycache__/a.pyc": "",
            "demo/build/keep.py": "",
        },
    )
    os.mkfifo(source / "pipe")
    copy = copy_tree(source, tmp_path / "copy")
    assert {str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file()} == {
        "pyproject.toml",
        "backend.py",
        "demo/__init__.py",
        "demo/task.py",
        "demo/build/keep.py",
    }


@pytest.mark.parametrize(
    ("files", "more", "stage", "message"),
    [
        ({}, "raise RuntimeError('broken at import')", "sdist", "broken at import"),
        ({}, "def build_sdist(*_): raise RuntimeError('no sdist today')", "sdist", "no sdist"),
        ({}, "def build_wheel(*_): raise RuntimeError('no wheel today')", "wheel", "no wheel"),
        ({}, "def build_wheel(*_): raise SystemExit(3)", "wheel", ""),
        ({}, "def build_wheel(*_): os.kill(os.getpid(), 9)", "wheel", ""),
        ({}, "def build_sdist(*_): return 'demo-1.tar.gz'", "sdist", "made nothing"),
        (
            {},
            "_sdist = build_sdist\n"
            "def build_sdist(folder, *_):\n"
            "    Path(folder, 'second.txt').touch()\n"
            "    return _sdist(folder)",
            "sdist",
            "made demo-0.tar.gz, second.txt, where one sdist was asked for",
        ),
        (
            {},
            "def build_sdist(folder, *_):\n"
            "    Path(folder, 'demo-1.tar.gz').write_bytes(b'no archive')\n"
            "    return 'demo-1.tar.gz'",
            "sdist",
            "demo-1.tar.gz cannot be unpacked",
        ),
        (
            {},
            "def build_sdist(folder, *_):\n"
            "    with tarfile.open(f'{folder}/demo-1.tar.gz', 'w:gz') as archive:\n"
            "        archive.add('pyproject.toml', '../outside.toml')\n"
            "    return 'demo-1.tar.gz'",
            "sdist",
            "demo-1.tar.gz cannot be unpacked",
        ),
        (
            {},
            "def build_sdist(folder, *_):\n"
            "    tarfile.open(f'{folder}/demo-1.tar.gz', 'w:gz').close()\n"
            "    return 'demo-1.tar.gz'",
            "sdist",
            "does not hold exactly one folder",
        ),
        ({"pyproject.toml": "[build-system"}, "", "settings", "pyproject.toml"),
        ({"pyproject.toml": "[build-system]\nrequires = 5"}, "", "settings", "requires"),
        (
            {"pyproject.toml": PYPROJECT.replace('"backend"', '"none.such"')},
            "",
            "sdist",
            "none",
        ),
        (
            {"pyproject.toml": PYPROJECT.replace("[]", '["???"]')},
            "",
            "requirements",
            "???",
        ),
    ],
)
def test_a_build_that_fails_says_where_and_why(
    tmp_path: Path, release: Build, files: Mapping[str, str], more: str, stage: str, message: str
) -> None:
    built = release(project(tmp_path / "source", files, more))
    assert built.wheel is None
    assert built.failure is not None
    assert built.failure.stage == stage
    assert message in built.failure.message
    assert built.failure.message.strip()
    assert not (tmp_path / "outside.toml").exists()


def test_the_exception_that_ends_a_build_is_reported_before_its_traceback(
    tmp_path: Path, release: Build
) -> None:
    more = "def build_sdist(*_): b'\\xe9'.decode()"
    failure = release(project(tmp_path / "source", {}, more)).failure
    assert failure is not None
    headline, *rest = failure.message.split("\n")
    assert headline.startswith("UnicodeDecodeError: 'utf-8' codec can't decode byte 0xe9")
    assert any("in build_sdist" in line for line in rest)


def test_what_a_build_says_of_its_place_is_seen_from_the_folder(
    tmp_path: Path, release: Build
) -> None:
    more = "def build_sdist(*_): raise OSError(f'no tag for {os.getcwd()}, see {__file__}')"
    failure = release(project(tmp_path / "source", {}, more)).failure
    assert failure is not None
    said = failure.message.split("\n")[0]
    assert said.startswith("OSError: no tag for the folder, see ")
    assert str(tmp_path) not in said


def spoiled(kind: str, spoil: str) -> str:
    """A hook that makes something else in place of its sdist or wheel, at `made`."""
    name = {"sdist": "demo-1.tar.gz", "wheel": "demo-1-py3-none-any.whl"}[kind]
    return f"def build_{kind}(folder, *_):\n    made = Path(folder, {name!r})\n    {spoil}\n"


@pytest.mark.parametrize("kind", ["sdist", "wheel"])
@pytest.mark.parametrize(
    "spoil",
    [
        "made.mkdir()",
        "os.mkfifo(made)",
        "made.symlink_to(__file__)",
        "made.symlink_to(made)",
        "made.symlink_to('/dev/zero')",
    ],
)
def test_only_a_regular_file_is_an_sdist_or_a_wheel(
    tmp_path: Path, release: Build, kind: str, spoil: str
) -> None:
    built = release(project(tmp_path / "source", more=spoiled(kind, spoil)))
    assert built.failure is not None
    assert built.failure.stage == kind
    assert "is not a regular file" in built.failure.message


def test_a_wheel_that_is_no_archive_is_the_backends_fault(tmp_path: Path, release: Build) -> None:
    spoil = spoiled("wheel", "made.write_text('no zip')")
    built = release(project(tmp_path / "source", more=spoil))
    assert built.failure is not None
    assert built.failure.stage == "wheel"
    assert built.failure.message.startswith("demo-1-py3-none-any.whl: not a readable wheel")


def test_what_a_hook_leaves_for_us_is_opened_without_waiting(
    tmp_path: Path, release: Build
) -> None:
    """It can replace the file for its result when we do not write to that any more."""
    more = """
import atexit
_sdist = build_sdist
def spoil(folder):
    for path in folder.glob("*.json"):
        path.unlink()
        os.mkfifo(path)
def build_sdist(folder, *_):
    atexit.register(spoil, Path(folder).parent)
    return _sdist(folder)
"""
    built = release(project(tmp_path / "source", more=more))
    assert built.failure is not None
    assert built.failure.message == "build_sdist ended without a result"


def test_a_build_that_does_not_end_is_ended(tmp_path: Path, limited: Build) -> None:
    more = "import time\ndef build_wheel(*_): time.sleep(1000)"
    built = limited(project(tmp_path / "source", more=more))
    assert built.failure is not None
    assert built.failure.timed_out
    assert built.failure.message == "build_wheel did not end within 2 s"


def test_nothing_outlives_a_build(tmp_path: Path, release: Build) -> None:
    """Not even what leaves the process group and its session."""
    more = """
_wheel = build_wheel
def build_wheel(folder, *_):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execvp("sleep", ["sleep", "987654"])
        os._exit(0)
    return _wheel(folder)
"""
    assert version(release(project(tmp_path / "source", more=more))) == "0"
    lines = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert "sleep 987654" not in lines.stdout.splitlines()


def test_the_log_of_a_build_is_bounded(tmp_path: Path) -> None:
    log = tmp_path / "build.log"
    for number in range(1000):
        add_to_log(log, f"line {number}\n".encode(), limit=2000)
        assert log.stat().st_size <= 2000
    lines = log.read_text().splitlines()
    assert lines[:2] == ["line 0", "line 1"]
    assert lines[-1] == "line 999"
    assert "[... left out ...]" in lines
    log.unlink()
    os.mkfifo(log)
    add_to_log(log, b"nobody reads this")


class Counting(UvInstaller):
    """Remembers what it was asked to install."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Sequence[str]] = []

    def install(self, environment: Environment, requirements: Sequence[str]) -> Finished:
        self.asked.append(requirements)
        return super().install(environment, requirements)


def test_what_builds_need_is_installed_once(tmp_path: Path) -> None:
    """Also what the backend asks for: it builds when that is there."""
    needed = f"tested_tasks @ {make_wheel(tmp_path).as_uri()}"
    more_needed = f"more_tasks @ {make_wheel(tmp_path, name='more_tasks').as_uri()}"
    table = PYPROJECT.replace("requires = []", f"requires = ['{needed}']")
    more = f"""
import tested_tasks
_sdist, _wheel = build_sdist, build_wheel
def get_requires_for_build_sdist(*_): return ["{needed}"]
def get_requires_for_build_wheel(*_): return ("{more_needed}", "{needed}")
def build_wheel(*arguments):
    import more_tasks
    return _wheel(*arguments)
"""
    source = project(tmp_path / "source", {"pyproject.toml": table}, more)
    made = create_bare(tmp_path / "environment", find_interpreter(None))
    installer = Counting()
    environment = BuildEnvironment(made, installer)
    assert version(build_release(source, tmp_path / "release", environment)) == "0"
    assert installer.asked == [[needed], [more_needed, needed]]
    assert version(build_from_tree(source, tmp_path / "straight", environment)) == "0"
    assert len(installer.asked) == 2


def test_candidates_of_a_run_ask_the_index_once_for_what_their_builds_need(
    tmp_path: Path,
) -> None:
    """Each has an environment of its own: what one changes in it is not the other's."""
    installer, plans = Counting(), dict[tuple[str, ...], tuple[str, ...]]()
    versions = []
    for name in ("first", "second"):
        made = create_bare(tmp_path / name, find_interpreter(None))
        environment = BuildEnvironment(made, installer, plans)
        assert environment.require(["flit-core >=3"]) is not None
        versions.append(made.versions())
        module = made.site_packages / "flit_core" / "__init__.py"
        assert b"changed" not in module.read_bytes()
        module.unlink()
        module.write_text("changed")
    assert "flit-core" in versions[0]
    assert versions[0] == versions[1]
    assert installer.asked == [["flit-core >=3"]]


def test_what_the_cache_lacks_is_left_to_the_index(tmp_path: Path) -> None:
    made = create_bare(tmp_path / "environment", find_interpreter(None))
    finished = UvInstaller().install(made, ["flit-core >=3"])
    (pin,) = planned(finished)
    bare = create_bare(tmp_path / "bare", find_interpreter(None))
    assert install_planned(bare, [pin, "tested-tasks-that-nobody-has==1.0"]) is None
    assert bare.versions() == {}
    assert install_planned(bare, [pin]) is not None
    assert bare.versions() == made.versions()
    assert planned(replace(finished, stderr=" + a==1\n + b==2 (from file:///b.whl)\n")) == ()


def test_the_processes_of_a_run_install_once_what_a_build_needs(tmp_path: Path) -> None:
    table = PYPROJECT.replace("requires = []", "requires = ['flit-core >=3']")
    source = project(tmp_path / "source", {"pyproject.toml": table})
    specs = [parse_package(str(source), tmp_path)]
    with contextlib.ExitStack() as ending:
        first = Session(specs, Settings(), tmp_path)
        ending.callback(first.close)
        (candidate,) = (engine.candidate for engine in first.engines.values())
        assert candidate.builds.release.built.wheel is not None
        log = candidate.folder / "build-environment.log"
        installer_said = log.read_text().count("Using Python")
        assert installer_said
        second = Session(specs, Settings(), tmp_path, shared=first.share_facts())
        ending.callback(second.close)
        (candidate,) = (engine.candidate for engine in second.engines.values())
        assert candidate.builds.from_tree.tree_wheel is not None
        assert log.read_text().count("Using Python") == installer_said


def test_what_replaces_a_build_requirement_makes_it_installed_again(tmp_path: Path) -> None:
    made = create_bare(tmp_path / "environment", find_interpreter(None))
    environment = BuildEnvironment(made, UvInstaller())
    old, new = (
        f"tested_tasks @ {make_wheel(tmp_path / name, changes=changes).as_uri()}"
        for name, changes in (("old", {}), ("new", {"new.py": ""}))
    )
    added = made.site_packages / "tested_tasks" / "new.py"
    for wanted, is_there in ((old, False), (new, True), (old, False)):
        finished = environment.require([wanted])
        assert finished is not None
        assert finished.returncode == 0
        assert added.exists() == is_there
    assert environment.require([old]) is None


def test_each_hook_has_a_process_of_its_own(tmp_path: Path, release: Build) -> None:
    more = """
import atexit, shutil, tempfile
shared = tempfile.mkdtemp()
atexit.register(shutil.rmtree, shared)
_wheel = build_wheel
def get_requires_for_build_wheel(*_):
    os.chdir("/")
    os.environ["CHANGED"] = "1"
    return []
def build_wheel(*arguments):
    assert "CHANGED" not in os.environ
    assert os.path.isdir(shared)
    return _wheel(*arguments)
"""
    assert version(release(project(tmp_path / "source", more=more))) == "0"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("os.kill(os.getpid(), 9)", "killed by signal SIGKILL"),
        ("raise ValueError('what')", "ValueError: what"),
        ("os._exit(0)", "get_requires_for_build_sdist ended without a result"),
        ("os._exit(5)", "exit status 5"),
        ("return [1]", "get_requires_for_build_sdist gave no list of requirements"),
        ("return {'a': 1}", "get_requires_for_build_sdist gave no list of requirements"),
    ],
)
def test_a_backend_that_cannot_say_what_it_needs_is_reported(
    tmp_path: Path, release: Build, body: str, message: str
) -> None:
    more = f"def get_requires_for_build_sdist(*_): {body}\n"
    built = release(project(tmp_path / "source", more=more))
    assert built.failure is not None
    assert built.failure.message.splitlines()[0] == message


def test_a_hook_is_found_as_the_standard_says(tmp_path: Path, release: Build) -> None:
    """A backend may be an object in a module, and must lie in its backend-path."""
    table = PYPROJECT.replace('"backend"', '"backend:inner.hooks"')
    more = (
        "class inner:\n    class hooks:\n        build_sdist = staticmethod(build_sdist)\n"
        "        build_wheel = staticmethod(build_wheel)\n"
        "        get_requires_for_build_wheel = staticmethod(lambda *_: [])\n"
    )
    assert version(release(project(tmp_path / "source", {"pyproject.toml": table}, more))) == "0"


def test_a_backend_outside_of_its_path_is_none(tmp_path: Path, release: Build) -> None:
    table = PYPROJECT.replace('"backend"', '"json"')
    built = release(project(tmp_path / "source", {"pyproject.toml": table}))
    assert built.failure is not None
    assert "not in its backend-path" in built.failure.message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\n\nname = 'caf\xe9'", "pyproject.toml, line 3: the byte 0xe9 is not UTF-8"),
        (b"a = " + b"[" * 5000, "nested too deeply"),
        (b"build-system = 5", "`build-system` is no table"),
        (b"[build-system]", "has no `requires`"),
        (b"[build-system]\nrequires = []\nbackend = 'x'", "has no key backend"),
        (b"[build-system]\nrequires = []\nbuild-backend = 1", "is no text"),
        (b"[build-system]\nrequires = []\nbackend-path = 'x'", "is no list"),
        (b"\x00", "cannot be read"),
    ],
)
def test_settings_that_cannot_be_read_are_reported(
    tmp_path: Path, release: Build, content: bytes, message: str
) -> None:
    source = project(tmp_path / "source")
    (source / "pyproject.toml").write_bytes(content)
    assert not is_for_pixi(source)
    built = release(source)
    assert built.failure is not None
    assert built.failure.stage == "settings"
    assert message in built.failure.message


def test_a_project_file_that_is_no_file(tmp_path: Path, release: Build) -> None:
    source = project(tmp_path / "source", {"setup.py": ""})
    (source / "pyproject.toml").unlink()
    os.mkfifo(source / "pyproject.toml")
    (source / "pixi.toml").symlink_to("pixi.toml")
    assert not is_for_pixi(source)


@pytest.mark.parametrize(
    ("raised", "fault"),
    [
        ("OSError(28, 'No space left on device')", "the disk is full"),
        ("OSError(122, 'Disk quota exceeded')", "the disk is full"),
        ("OSError('Temporary failure in name resolution')", "the network cannot be reached"),
        ("OSError('HTTP Error 503: Service Unavailable')", "the network cannot be reached"),
    ],
)
def test_the_machine_is_blamed_for_its_own_faults(
    tmp_path: Path, release: Build, raised: str, fault: str
) -> None:
    more = f"def build_sdist(*_): raise {raised}"
    with pytest.raises(HarnessError, match=f"the build failed: {fault} "):
        release(project(tmp_path / "source", more=more))


def test_git_that_is_not_there_is_the_machines_fault(
    tmp_path: Path, release: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = repository(project(tmp_path / "source"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HarnessError, match="git is not on PATH"):
        release(source)


def test_a_home_that_cannot_be_written_is_the_machines_fault(tmp_path: Path) -> None:
    said = f"PermissionError: [Errno 13] Permission denied: '{tmp_path}/none/.cache'"
    there = {"HOME": f"{tmp_path}/none"}
    fault = fault_in_build(said, there, uses_git=False)
    assert fault == f"the home folder {tmp_path}/none cannot be written"
    assert fault_in_build(said, {"HOME": str(tmp_path)}, uses_git=False) is None


@pytest.mark.parametrize("name", ["a b", "50%41", "#1", "é"])
def test_a_path_may_have_any_character(
    tmp_path: Path, environment: BuildEnvironment, name: str
) -> None:
    source = project(tmp_path / name / name)
    built = build_release(source, tmp_path / name / "made", environment)
    assert version(built) == "0"


def test_no_repository_is_found_around_the_build(
    tmp_path: Path, environment: BuildEnvironment
) -> None:
    """The folder for temporary files may be in one."""
    source = project(tmp_path / "source")
    around = repository(project(tmp_path / "around"))
    assert version(build_release(source, around / "made", environment)) == "0"


def test_a_commit_by_the_build_is_not_the_authors(
    tmp_path: Path, release: Build, straight: Build
) -> None:
    more = """
def _touch():
    Path("../other/file").write_text("changed")
    for words in ("commit --allow-empty -qm x", "tag 99", "config a.b c", "stash -qu"):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=b", *words.split()])
if Path("../other").exists():
    _touch()
"""
    top = tmp_path / "top"
    source = project(top / "demo-tasks", more=more)
    (top / "other").mkdir()
    (top / "other" / "file").write_text("as it was")
    repository(top)
    before = everything(top)
    assert version(release(source)).startswith("99")
    assert version(straight(source)).startswith("99")
    assert everything(top) == before


@pytest.mark.parametrize(
    ("element", "message"),
    [
        (lambda: member("../out"), "would lie outside"),
        (lambda: member("demo/../../out"), "would lie outside"),
        (lambda: member("demo/link", tarfile.SYMTYPE, "../../out"), "leads out"),
        (lambda: member("demo/link", tarfile.SYMTYPE, "/etc"), "leads out"),
        (lambda: member("demo/hard", tarfile.LNKTYPE, "../../out"), "not found"),
        (lambda: member("demo/pipe", tarfile.FIFOTYPE), "neither a file nor a folder"),
        (lambda: member("demo/disk", tarfile.BLKTYPE), "neither a file nor a folder"),
    ],
)
def test_an_sdist_is_unpacked_in_its_folder_only(
    tmp_path: Path, element: Callable[[], tarfile.TarInfo], message: str
) -> None:
    archive = sdist(tmp_path, member("demo/file"), element())
    with pytest.raises(BadSdist, match=message):
        unpack(archive, tmp_path / "there")
    assert not (tmp_path / "out").exists()


def test_a_pipe_in_the_place_of_an_sdist_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "demo-1.0.tar.gz")
    with pytest.raises(BadSdist, match="a named pipe"):
        unpack(tmp_path / "demo-1.0.tar.gz", tmp_path / "there")


def test_what_an_sdist_holds_is_unpacked(tmp_path: Path) -> None:
    archive = sdist(
        tmp_path,
        member("demo", tarfile.DIRTYPE),
        member("demo/run.sh", mode=0o4777),
        member("demo/deep/file"),
        member("demo/link", tarfile.SYMTYPE, "deep/file"),
        member("demo/folder", tarfile.SYMTYPE, "deep"),
        member("demo/folder/through", tarfile.REGTYPE),
        member("demo/hard", tarfile.LNKTYPE, "demo/run.sh"),
        member("/demo/absolute"),
        member("demo/deep/file"),
    )
    top = unpack(archive, tmp_path / "there")
    assert top == tmp_path / "there" / "demo"
    files = {path.relative_to(top).as_posix() for path in top.rglob("*") if path.is_file()}
    assert {"run.sh", "link", "hard", "absolute", "deep/file", "deep/through"} <= files
    assert (top / "run.sh").stat().st_mode & 0o7777 == 0o755
    assert (top / "deep" / "file").stat().st_mtime == 1_000_000


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> TarInfo:
    element = tarfile.TarInfo(name)
    element.type, element.linkname, element.mode, element.mtime = kind, link, mode, 1_000_000
    return element


def sdist(folder: Path, *members: TarInfo) -> Path:
    with tarfile.open(folder / "demo-1.tar.gz", "w:gz") as archive:
        for element in members:
            archive.addfile(element, io.BytesIO(b""))
    return folder / "demo-1.tar.gz"


def test_a_byte_order_mark_in_pyproject_is_reported(tmp_path: Path, release: Build) -> None:
    source = project(tmp_path / "source")
    content = (source / "pyproject.toml").read_bytes()
    (source / "pyproject.toml").write_bytes(b"\xef\xbb\xbf" + content)
    failure = release(source).failure
    assert failure is not None
    assert (failure.stage, failure.message) == (
        "settings",
        "pyproject.toml begins with a byte order mark (BOM), which tomllib refuses",
    )
