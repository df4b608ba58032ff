"""What the acceptance tests share: wheels made by hand, and runs in processes of their own."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kept_environments import KeptEnvironments
from kept_index import KeptIndex
from reporting import hostile_report, real_report
from xdist.scheduler import LoadScopeScheduling

# Imported here once, and not again in each run within this process.
import pytest_fractal.pytest_plugin.suite  # noqa: F401
from pytest_fractal.environments.indexes import has_index, merged_settings
from pytest_fractal.files import cache_folder
from pytest_fractal.processes.supervisor import descendants
from pytest_fractal.report.model import Report

pytest.register_assert_rewrite("command_kinds")

# Some machines set it; each run in a process of its own would compile the whole plugin anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

MEMORY = Path("/dev/shm")
ROOM = 4 << 30
"""Bytes that temporary files may take: a tenth of it is usual."""


def in_memory() -> Path | None:
    """A folder of this user's in memory; None where programs cannot run there, or few fit.

    A run makes and removes some thousand small files. Where many were just removed, ext4 takes
    up to ten times as long to make a new one.
    """
    folder = MEMORY / f"ft{os.getuid()}"  # short: the path of a socket has 108 bytes
    try:
        seen = os.statvfs(MEMORY)
        if seen.f_flag & os.ST_NOEXEC or seen.f_bavail * seen.f_frsize < ROOM:
            return None
        # Others may pass: where this is root, PostgreSQL runs as another user.
        folder.mkdir(mode=0o711, exist_ok=True)
        about = folder.lstat()
    except (OSError, AttributeError):  # no such folder, or no such system
        return None
    return folder if stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid() else None


if not {"TMPDIR", "TEMP", "TMP"} & os.environ.keys() and (memory := in_memory()):
    os.environ["TMPDIR"] = tempfile.tempdir = str(memory)

# Only for PyPI: another index may want a login. Workers of pytest-xdist inherit the variables.
if has_index() and not (merged_settings("pip").index or merged_settings("uv").index):
    with contextlib.suppress(OSError):  # nothing can be kept
        INDEX = KeptIndex(cache_folder() / "tests" / "index")
        os.environ["PIP_INDEX_URL"] = os.environ["UV_DEFAULT_INDEX"] = INDEX.url

ROOT = Path(__file__).parents[1]
OWN_TESTS = ROOT / "good_packages" / "with_own_tests"
MANIFEST = "__FRACTAL_MANIFEST__.json"

MakeWheel = Callable[..., Path]

PROCESSES = (
    *("interpreters", "web_form", "bytecode", "servers", "ome_zarr", "published", "model_match"),
    *("packaging_hints", "fixes", "building", "html_report", "wheel_urls", "fuzz", "limits"),
    *("supervisor", "up_to_date", "generation_2_runs", "building_runs", "hermetic", "fixtures"),
    *("slurm", "bad_input", "backends", "indexes", "docs", "pins", "secrets", "pip_decides"),
    *("live", "rules_command", "files", "job_log", "interrupted", "samples", "acceptance"),
    *("slurm_runs", "environment", "install_weather", "agreement", "postgres", "server_process"),
    *("server_environment", "server", "custom_tasks", "action", "reports", "tampering"),
    *("slurm_accounts", "runs", "first_samples", "shared_starts", "hanging_commands"),
    *("command_libraries", "commands", "left", "real_packages", "corpora"),
)
"""The test files that start real builds or many processes, the slowest last.

Those on a SLURM mostly wait, so they are apart from each other.
"""

SPREAD = {
    *("fuzz", "files", "job_log", "interrupted", "install_weather", "postgres"),
    *("server_process", "server_environment", "server", "custom_tasks"),
    *("shared_starts", "left", "real_packages", "corpora"),
}
"""Those of them whose tests share nothing, so that each may run in any of pytest-xdist's workers.

Every other file runs in one worker: what its fixtures build and judge is built and judged once.
"""


class InWorkers(LoadScopeScheduling):  # type: ignore[misc]
    """Hands out files as a whole, and those that are `SPREAD` test by test."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, _ = nodeid.partition("::")
        return nodeid if Path(file).stem.removeprefix("test_") in SPREAD else file


def pytest_xdist_auto_num_workers() -> int:
    """For `-n auto`: a worker more than there are processors, since tests wait for processes."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    return 1 + (len(affinity(0)) if affinity else os.cpu_count() or 1)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> InWorkers | None:
    if config.getoption("dist") != "load":
        return None
    config.option.loadscopereorder = False  # the order of PROCESSES
    return InWorkers(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The fast parts first: a mistake in them shows within seconds."""
    order = {f"test_{name}": number for number, name in enumerate(PROCESSES, 1)}
    items.sort(key=lambda item: order.get(item.path.stem, 0))
    for item in items:
        if item.path.stem not in order and item.get_closest_marker("slow") is None:
            item.add_marker("quick")


def command_line(pid: int) -> str:
    """Of a process; empty where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ""


def processes_below(folder: Path) -> list[str]:
    """The processes that were started with a path below this folder."""
    listed = subprocess.run(["ps", "-axww", "-o", "args="], capture_output=True, text=True)
    return [line for line in listed.stdout.splitlines() if str(folder) in line]


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """Those of pytest-xdist, which get their code by a pipe."""
    return [pid for pid in descendants(process.pid) if "sys.stdin.readline()" in command_line(pid)]


def make_wheel(
    folder: Path,
    name: str = "tested_tasks",
    changes: Mapping[str, str | None] | None = None,
    extra_metadata: str = "",
) -> Path:
    """Zip the package `with_own_tests` as a wheel, under another name if one is given.

    `changes` maps paths below the package's folder to a new content, or to None for a
    file that is left out. Nothing is built, and the wheel needs nothing of the network.
    """
    source = OWN_TESTS / "tested_tasks"
    files: dict[str, str | None] = {
        path.name: path.read_text().replace("tested_tasks", name)
        for path in sorted(source.iterdir())
        if path.is_file()
    }
    files |= changes or {}
    info = f"{name}-1.0.dist-info"
    entries = {f"{name}/{path}": text for path, text in files.items() if text is not None}
    entries[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{extra_metadata}"
    )
    entries[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    entries[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*entries, f"{info}/RECORD"])
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in entries.items():
            archive.writestr(path, text)
    return wheel


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> KeptEnvironments:
    """Those that are handed out by `any_environment`, by all workers alike."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    return KeptEnvironments(shared / "environments")


@pytest.fixture
def any_environment(environments: KeptEnvironments) -> Iterator[None]:
    """Runs in this process take environments that were made for another test."""
    with environments.handed_out():
        yield


@pytest.fixture
def any_environment_of_pip(environments: KeptEnvironments) -> Iterator[None]:
    """The same, and pip installs the wheels in them."""
    with environments.handed_out(pip=True):
        yield


@pytest.fixture
def any_venv(environments: KeptEnvironments) -> Iterator[None]:
    """The same of what `python -m venv` makes alone; what an index hands out is their own."""
    with environments.venvs_handed_out():
        yield


@pytest.fixture(scope="session")
def good_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of two tasks that breaks no rule."""
    return make_wheel(tmp_path_factory.mktemp("good"))


@pytest.fixture(scope="session")
def broken_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, but `invert_well` imports a module that is not there (FR301)."""
    script = (OWN_TESTS / "tested_tasks" / "invert_well.py").read_text()
    return make_wheel(
        tmp_path_factory.mktemp("broken"),
        changes={"invert_well.py": f"import not_there\n{script}"},
    )


@dataclass(frozen=True)
class Ran:
    """How a run in a process of its own ended."""

    status: int
    out: str
    err: str
    left: list[str]
    """What it has left in the folder for temporary files."""
    folder: Path
    """Where it was run."""

    @property
    def words(self) -> str:
        """Its output on one line, however it was folded."""
        return " ".join(self.out.split())

    @property
    def text(self) -> str:
        """All that it printed."""
        return self.out + self.err


def _heed_signals() -> None:
    """What a shell starts in the background ignores Ctrl-C, and below nohup the end of it."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Runner:
    """Starts pytest, and the hermetic command, as a user does."""

    def __init__(self, folder: Path, temporary: Path) -> None:
        self.folder = folder
        self.temporary = temporary

    def start(
        self, *argv: str | Path, cwd: Path | None = None, **variables: str
    ) -> subprocess.Popen[str]:
        """Start a command in a process group of its own."""
        own = ("PYTEST_", "FRACTAL_", "COV_", "GITHUB_")
        env = {name: value for name, value in os.environ.items() if not name.startswith(own)}
        return subprocess.Popen(
            [str(word) for word in argv],
            cwd=cwd or self.folder,
            env=env | {"TMPDIR": str(self.temporary), "COLUMNS": "100"} | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=_heed_signals,
        )

    def finish(self, process: subprocess.Popen[str]) -> Ran:
        """Wait for its end."""
        try:
            out, err = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            pytest.fail(f"no end within 120 s:\n{out}\n{err}")
        return Ran(process.returncode, out, err, self.left(), self.folder)

    def left(self) -> list[str]:
        """What lies in the folder for temporary files, less what pytest keeps of its workers."""
        names = sorted(path.name for path in self.temporary.iterdir())
        return [name for name in names if not name.startswith("pytest-of-")]

    def command(self, *argv: str | Path, cwd: Path | None = None, **variables: str) -> Ran:
        """Run a command to its end."""
        return self.finish(self.start(*argv, cwd=cwd, **variables))

    def pytest(self, *arguments: str | Path, cwd: Path | None = None, **variables: str) -> Ran:
        """Run pytest, without a cache, in a folder without a configuration."""
        return self.command(*self.argv(*arguments), cwd=cwd, **variables)

    def argv(self, *arguments: str | Path) -> list[str | Path]:
        """The command that `pytest` runs.

        Without the plugins of what this suite needs itself, zarr and hypothesis: no user has
        them for our sake, and they take longer to import than all the rest.
        """
        without = ("-p", "no:cacheprovider", "-p", "no:zarr", "-p", "no:hypothesispytest")
        return [sys.executable, "-P", "-m", "pytest", *without, *arguments]

    def hermetic(self, *arguments: str | Path, cwd: Path | None = None, **variables: str) -> Ran:
        """Run the console script."""
        script = Path(sys.executable).with_name("pytest-fractal")
        return self.command(script, *arguments, cwd=cwd, **variables)


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """Runs in a fresh folder, with a fresh folder for temporary files."""
    folder, temporary = tmp_path / "work", tmp_path / "temporary"
    folder.mkdir()
    temporary.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n")  # so that nothing above is found
    return Runner(folder, temporary)


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory, environments: KeptEnvironments) -> Report:
    """A report on a package that breaks three rules."""
    with environments.handed_out():
        return real_report(tmp_path_factory.mktemp("reports"))


@pytest.fixture(scope="session")
def hostile(real: Report) -> Report:
    """The same, with texts that would break out of any format."""
    return hostile_report(real)
