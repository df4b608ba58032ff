"""Runs one command on a node of a cluster, as `executors.run_watched` does on this machine.

Usage: python -m pytest_fractal.processes.slurm_node FOLDER, as the script of a SLURM job.

FOLDER holds a request for each task of the job's array, by its number, and is where the answer
goes; nothing else connects the node with the run. Both are JSON with a message authentication
code, whose key comes in the environment of the job: a command of the candidate's could write
into that folder too. So this process has no secret that others of the same user can read, and
forgets the key before it starts anything.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import hmac
import json
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter

from pytest_fractal.errors import BadInput, HarnessError
from pytest_fractal.files import FILE_LIMIT, read_regular
from pytest_fractal.processes import supervisor
from pytest_fractal.processes.executors import run_watched
from pytest_fractal.processes.processes import Canceller, Finished
from pytest_fractal.processes.sandbox import Mode, Sandbox, set_up

KEY: Final = "PYTEST_FRACTAL_KEY"
"""The variable of the job that holds the key of its run."""
REQUEST: Final = ".request"
ANSWER: Final = ".answer"
SEEN: Final = ".seen"
"""The suffixes of files: what is to be run, what came of it, and the memory until now."""
_CLAIM: Final = ".claim"
_LOOK: Final = 0.25
"""Seconds between two looks at the memory, and at whether the run is there yet."""
_SKEW: Final = 0.5
"""Seconds by which the clock of a file server differs noticeably from that of the node."""


@dataclass(frozen=True)
class Walls:
    """What a node has to know of the run's sandbox."""

    folder: str
    mode: Mode
    readable: tuple[str, ...]
    writable: tuple[str, ...]


@dataclass(frozen=True)
class Request:
    """One command to be run; the arguments of `executors.run_watched`."""

    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]
    timeout: float
    room: str
    named: tuple[str, ...]
    watched: str | None
    lines: tuple[str, ...]
    """What a shell is to run before it, within the same walls."""
    walls: Walls | None


@dataclass(frozen=True)
class Answer:
    """What came of it."""

    finished: Finished | None
    """None where it could not be run."""
    failure: str = ""
    """Why not: a fault of the machine."""
    asked_to_end: bool = False
    """Whether the scheduler has asked the job to end."""
    node: str = ""
    memory: int = 0
    """The most that the command's processes had at a time, in bytes; looked at now and then."""


_ANSWER: Final = TypeAdapter(Answer)


class Forged(Exception):
    """Something that was not written by the run, nor by its jobs."""


def seal(key: bytes, name: str, value: object) -> bytes:
    """A dataclass as JSON, with the code by which whoever has the key knows it again."""
    content = json.dumps(dataclasses.asdict(value)).encode()  # type: ignore[call-overload]
    return _code(key, name, content) + b"\n" + content


def _unsealed(key: bytes, name: str, sealed: bytes) -> Any:
    code, _, content = sealed.partition(b"\n")
    if not hmac.compare_digest(code, _code(key, name, content)):
        raise Forged(name)
    return json.loads(content)


def _code(key: bytes, name: str, content: bytes) -> bytes:
    return hmac.new(key, name.encode() + b"\0" + content, hashlib.sha256).hexdigest().encode()


def read_answer(key: bytes, folder: Path, number: int) -> Answer:
    """The answer to a request. Raises `Forged`, and `OSError` where there is none."""
    name = f"{number}{ANSWER}"
    sealed = read_regular(folder / name, FILE_LIMIT, follow=False)
    try:
        return _ANSWER.validate_python(_unsealed(key, f"{folder.name}/{name}", sealed))
    except ValueError:
        raise Forged(name) from None


def write_request(key: bytes, folder: Path, number: int, request: Request) -> None:
    """Put a request where a node finds it."""
    name = f"{number}{REQUEST}"
    (folder / name).write_bytes(seal(key, f"{folder.name}/{name}", request))


def _read_request(key: bytes, folder: Path, number: int) -> Request:
    name = f"{number}{REQUEST}"
    sealed = read_regular(folder / name, FILE_LIMIT, follow=False)
    fields = _unsealed(key, f"{folder.name}/{name}", sealed)
    walls = fields.pop("walls")
    return Request(walls=Walls(**walls) if walls else None, **fields)


def main() -> None:
    """Run the command of the request, and write the answer."""
    supervisor.hide()
    key = bytes.fromhex(os.environ.pop(KEY))
    folder = Path(sys.argv[1])
    number = int(os.environ["SLURM_ARRAY_TASK_ID"])
    stopper, asked = Canceller(), threading.Event()

    def end(*_: object) -> None:
        asked.set()
        # Not here: what is interrupted may hold the lock that this takes.
        threading.Thread(target=stopper.stop).start()

    signal.signal(signal.SIGTERM, end)
    request = _read_request(key, folder, number)
    try:
        # A job may be started twice: by hand, or where its node seemed to be lost.
        os.close(os.open(folder / f"{number}{_CLAIM}", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        return
    memory = _Memory(folder / f"{number}{SEEN}", stopper)
    try:
        finished, failure = _run(request, stopper), ""
    except (BadInput, HarnessError, OSError) as error:
        finished, failure = None, " ".join(str(error).split())
    node = os.environ.get("SLURMD_NODENAME") or socket.gethostname()
    answer = Answer(finished, failure, asked.is_set(), node, memory.most)
    sealed = seal(key, f"{folder.name}/{number}{ANSWER}", answer)
    new = folder / f"{number}{ANSWER}.new"
    new.write_bytes(sealed)
    new.rename(folder / f"{number}{ANSWER}")


def _run(request: Request, stopper: Canceller) -> Finished:
    if (walls := request.walls) is not None:
        sandbox = Sandbox(Path(walls.folder), walls.mode, map(Path, walls.readable))
        sandbox.share(map(Path, walls.writable), write=True)
        if walls.mode == "required" and not sandbox.stands:
            raise HarnessError(f"--fractal-sandbox=required: {sandbox.obstacle}")
        set_up(sandbox)
    argv = list(request.argv)
    if request.lines:
        # As in the server's script: one that fails does not keep the command from being started.
        argv = ["/bin/sh", "-c", "\n".join((*request.lines, 'exec "$@"')), "sh", *argv]
    finished = run_watched(
        argv,
        cwd=Path(request.cwd),
        env={**request.env, **_of_job()},
        timeout=request.timeout,
        stopper=stopper,
        room=Path(request.room),
        named=map(Path, request.named),
        watched=Path(request.watched) if request.watched else None,
    )
    ended = finished.ended
    if ended is not None:
        ended += _ahead(Path(request.cwd))
    return dataclasses.replace(finished, argv=tuple(request.argv), ended=ended)


def _of_job() -> dict[str, str]:
    """What a task is given of the job that it runs in."""
    names = ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
    return {
        name: value
        for name, value in os.environ.items()
        if name in names or (name.startswith("SLURM") and name not in ("SLURM_CONF", "SLURM_JWT"))
    }


def _ahead(folder: Path) -> int:
    """By how many nanoseconds the clock of the files is ahead; 0 where they share one."""
    with contextlib.suppress(OSError):
        trial = folder.parent / ".trial-of-clocks"
        trial.touch()
        ahead = trial.stat().st_mtime_ns - time.time_ns()
        trial.unlink()
        return ahead if abs(ahead) > _SKEW * 10**9 else 0
    return 0


class _Memory:
    """Looks how much memory all processes below this one have, for as long as it lives.

    What is seen is kept in a file, for the job may be ended at any time. A job whose run is gone,
    with its folder, ends itself.
    """

    def __init__(self, file: Path, stopper: Canceller) -> None:
        self.most = 0
        self._file = file
        self._stopper = stopper
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        written = 0
        while self._file.parent.is_dir():
            self.most = max(self.most, sum(map(_memory_of, supervisor.descendants())))
            if self.most > written * 1.05:
                written = self.most
                with contextlib.suppress(OSError):
                    self._file.write_text(str(written))
            time.sleep(_LOOK)
        self._stopper.stop()


def _memory_of(pid: int) -> int:
    """What nobody but this process needs in memory, in bytes; its share of what some need.

    Nothing that could be read again from a file counts, so no limit is kept by giving it up.
    0 for a process that has ended, that cannot be looked into, or that is ours.
    """
    with contextlib.suppress(OSError, ValueError):
        if supervisor.__file__.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
            return 0
        mapped = Path(f"/proc/{pid}/smaps_rollup").read_text()
        return (
            sum(int(size) for size in re.findall(r"^Pss_(?:Anon|Shmem):\s*(\d+)", mapped, re.M))
            << 10
        )
    return 0


if __name__ == "__main__":
    main()
