"""Judging cells: each by the hermetic command, in a process with limits in time and room.

The processes are this machine's, or jobs of a SLURM cluster, whose nodes must see the folder of
the results and this Python.

A cell whose result lies there already is not judged again, so an interrupted run goes on.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from pytest_fractal.environments.installing import bracketed
from pytest_fractal.errors import BadInput
from pytest_fractal.files import FILE_LIMIT, MEBIBYTE, read_regular, replacing, size_words
from pytest_fractal.processes.watcher import remove_tree
from pytest_fractal.published.digest import Result, State, digest
from pytest_fractal.published.history import read_result, result_json
from pytest_fractal.published.packages import NEWEST, Cell

_LOOK: Final = 2.0
"""Seconds between two looks at the time and the room that a judge takes."""
_GRACE: Final = 30.0
"""Seconds that a judge gets to put things away."""
_TIMED_OUT: Final = (124, 137)
"""How `timeout` ends: by a signal that a program heeds, or by one that it cannot help."""


@dataclass(frozen=True)
class Limits:
    """How cells are judged."""

    jobs: int = 1
    """How many at the same time."""
    seconds: float = 3600.0
    """For each."""
    bytes: int = 20 * 1024 * MEBIBYTE
    """What each may put into its temporary folder."""
    select: str = ""
    """The rules, as `--fractal-select` takes them; all without."""
    server: str | None = None
    """The releases of fractal-server that are asked for real, as `--fractal-server` takes them;
    "" for the newest that reads the package's manifest, None for none."""
    slurm: tuple[str, ...] | None = None
    """The options of `srun` with which each is judged as a job; None to judge here."""
    as_of: date | None = None
    """The day whose index is asked, where this tells when its files came; None for today's."""


def judge_all(
    cells: Sequence[Cell], folder: Path, limits: Limits, tell: Callable[[str], None]
) -> None:
    """Judge the cells of which `folder` has no result yet, and write one file for each.

    `tell` is given a line about each.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stop = threading.Event()

    def judge_one(cell: Cell) -> None:
        path = folder / f"{cell.key}.json"
        with contextlib.suppress(BadInput):
            if read_result(path).state is not State.GAVE_UP:
                tell(f"{cell.key}: judged before")
                return
        result = judge(cell, limits, folder, stop)
        if stop.is_set():
            return
        with replacing(path) as new:
            new.write_bytes(result_json(result))
        is_known = result.starts_known and result.state is State.JUDGED
        starts = f", {result.starting} of {result.tasks} tasks start" if is_known else ""
        tell(f"{cell.key}: {result.said or result.state.value}{starts} ({result.seconds} s)")

    with ThreadPoolExecutor(limits.jobs) as pool:
        try:
            for done in [pool.submit(judge_one, cell) for cell in cells]:
                done.result()
        except BaseException:  # Ctrl-C, too
            pool.shutdown(wait=False, cancel_futures=True)
            stop.set()
            raise


def judge(
    cell: Cell,
    limits: Limits,
    shared: Path | None = None,
    stop: threading.Event | None = None,
) -> Result:
    """Judge one cell. Whatever goes wrong with that stands in its result.

    A job works below the folder `shared`, which its node must see. With `stop`, it ends early.
    """
    today, started = datetime.now(UTC).date(), time.monotonic()
    day = (limits.as_of or today).isoformat()
    place = shared if limits.slurm is not None else None
    folder = Path(tempfile.mkdtemp(prefix="pub-", dir=place))
    report = folder / "report.json"
    said = ""
    try:
        package = _package(cell, folder)
        command = [*_as_job(cell, limits), *_command(cell, package, report, limits)]
        said = _run(command, folder, limits, stop or threading.Event())
        written = json.loads(read_regular(report, FILE_LIMIT, follow=False))
        result = digest(cell, day, time.monotonic() - started, written)
        return replace(result, state=State.GAVE_UP, said=said) if said else result
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        seconds = round(time.monotonic() - started)
        why = said or " ".join(str(error).split())
        return Result(cell, day, State.GAVE_UP, why, seconds=seconds)
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a judge's folder, in which the watcher of its run may still put things away."""
    last = time.monotonic() + _GRACE
    while folder.exists() and time.monotonic() < last:
        remove_tree(folder)
        time.sleep(0.1)


def _as_job(cell: Cell, limits: Limits) -> list[str]:
    """What has a command run as a job; the time that this waits for its turn does not count."""
    if limits.slurm is None:
        return []
    minutes = math.ceil((limits.seconds + 2 * _GRACE) / 60)
    return [
        *("srun", "--quiet", "--input=none", "--ntasks=1"),
        *(f"--job-name={cell.key}", f"--time={minutes}", *limits.slurm),
        *("timeout", f"--kill-after={_GRACE:g}", f"{limits.seconds:g}"),
    ]


def _command(cell: Cell, package: str, report: Path, limits: Limits) -> list[str]:
    extras = bracketed(cell.extras)
    if cell.route == "index":
        name, equals, version = package.partition("==")
        whole = f"{name}{extras}{equals}{version}"
    else:
        whole = f"{package}{extras}"
    words = [sys.executable, "-m", "pytest_fractal", whole, "-q", "--tb=no"]
    words += [f"--fractal-python={cell.python}", f"--fractal-report={report}"]
    if limits.server is not None:
        words += [f"--fractal-server={limits.server}" if limits.server else "--fractal-server"]
    return words + ([f"--fractal-select={limits.select}"] if limits.select else [])


def _package(cell: Cell, folder: Path) -> str:
    """What the judge is given: for a repository, the folder of a clone."""
    if cell.route != "repository":
        return cell.source
    branch = [] if cell.release == NEWEST else [f"--branch={cell.release}"]
    # With its tags: versions are made of them.
    cloned = subprocess.run(
        ["git", "clone", "--quiet", *branch, "--", cell.source, str(folder / cell.package)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=600,
    )
    if cloned.returncode:
        said = cloned.stderr.strip().splitlines() or [f"git ended with {cloned.returncode}"]
        why = next((line for line in said if line.startswith("fatal: ")), said[-1])
        raise OSError(f"{cell.source} cannot be cloned: {why}")
    return str(folder / cell.package)


def _run(command: Sequence[str], folder: Path, limits: Limits, stop: threading.Event) -> str:
    """Run the judge within its limits; returns why nothing came of it, as far as that is known."""
    temporary = folder / "t"
    temporary.mkdir()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **_index_as_of(limits.as_of), "TMPDIR": str(temporary)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    deadline = math.inf if limits.slurm is not None else time.monotonic() + limits.seconds
    over = ""
    while not over:
        with contextlib.suppress(subprocess.TimeoutExpired):
            _, complaint = process.communicate(timeout=_LOOK)
            break
        if stop.is_set():
            over = "it was stopped"
        elif time.monotonic() > deadline:
            over = f"it took longer than {limits.seconds:g} s"
        elif _size(temporary) > limits.bytes:
            over = f"it took more room than {size_words(limits.bytes)}"
    else:
        complaint = _end(process)
    by_slurm = _ended_by_slurm(complaint)
    # SLURM ends a job for its memory with the status of `timeout`, and says so.
    is_timed_out = limits.slurm is not None and process.returncode in _TIMED_OUT
    if is_timed_out and not over and not by_slurm:
        over = f"it took longer than {limits.seconds:g} s"
    errors = [line for line in complaint.splitlines() if line.startswith("ERROR: ")]
    said = " ".join(errors).removeprefix("ERROR: ")
    return over or said or by_slurm or _said_by("srun", complaint)


def _index_as_of(day: date | None) -> dict[str, str]:
    """The settings with which uv and pip leave out what was uploaded after a day."""
    if day is None:
        return {}
    end = f"{day + timedelta(days=1)}T00:00:00Z"
    return {"UV_EXCLUDE_NEWER": end, "PIP_UPLOADED_PRIOR_TO": end}


def _ended_by_slurm(complaint: str) -> str:
    """Why SLURM has ended the judge; empty where it says nothing of that."""
    return _said_by(r"slurmstepd(?:-\S+)?", complaint)


def _said_by(program: str, complaint: str) -> str:
    lines = re.findall(rf"^{program}: (?:error: )+(.*)", complaint, re.M)
    return "; ".join(dict.fromkeys(lines))


def _end(process: subprocess.Popen[str]) -> str:
    """End the judge; it takes that as Ctrl-C, and ends what it has started."""
    process.terminate()
    try:
        return process.communicate(timeout=_GRACE)[1]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.communicate()[1]


def _size(folder: Path) -> int:
    """The room that files take, those that are linked from elsewhere left out."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                found = os.lstat(os.path.join(place, name))  # noqa: PTH118
                if found.st_nlink == 1:
                    total += found.st_blocks * 512
    return total
