"""Commands whose starts are given, not made: what rules say of them takes no process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from wheel_factory import TASK_SOURCE, candidate_of, good_manifest, make_wheel

from pytest_fractal.environments.environments import Environment
from pytest_fractal.environments.interpreters import Interpreter
from pytest_fractal.facts import Command, Installation
from pytest_fractal.fixes.model import FileFix
from pytest_fractal.processes.commands import ARGUMENTS, OUTPUT, Start
from pytest_fractal.processes.probing import IMPOSSIBLE, Attempt, Invocation, OptionProbe
from pytest_fractal.processes.processes import Finished
from pytest_fractal.rules import REGISTRY, Note
from pytest_fractal.verdicts import Finding

SITE = "/env/lib/python3.11/site-packages"
SCRIPT = f"{SITE}/demo/task.py"
RUN = "/tmp/run"

FractalOptions = ("-j", ARGUMENTS, "--metadata-out", OUTPUT)
IMPOSSIBLE_FIRST = (IMPOSSIBLE, ARGUMENTS, "--metadata-out", OUTPUT)
IMPOSSIBLE_SECOND = ("-j", ARGUMENTS, IMPOSSIBLE, OUTPUT)

Frames = Sequence[tuple[str, int, str]]


def crashed(exception: str, *frames: tuple[str, int, str]) -> str:
    """A traceback: the exception in words, and file, line and function of each frame."""
    lines = [f'  File "{file}", line {line}, in {name}\n    ...' for file, line, name in frames]
    return "\n".join(["Traceback (most recent call last):", *lines, exception, ""])


def start(
    returncode: int = 1, stderr: str = "", stdout: str = "", read: bool = False, **more: Any
) -> Start:
    """One start that ended like this."""
    finished = Finished((SCRIPT,), returncode, stdout, stderr, 3.0, **more)
    return Start(finished, read, None, f"{RUN}/args.json", f"{RUN}/out.json")


def installation_of(
    folder: Path,
    files: Mapping[str, str] | None = None,
    metadata: str = "",
    manifest: object = None,
    **facts: Any,
) -> Installation:
    """A wheel, as if it were installed for Python 3.11 in /env."""
    files = {"__init__.py": "", "task.py": TASK_SOURCE} if files is None else files
    wheel = make_wheel(folder, files=files, metadata=metadata, manifest=manifest)
    environment = Environment(Path("/env"), Interpreter(Path("/python"), "3.11.7", (3, 11)))
    known = {"finished": None, "extras": (), "pins": (), "unmet": (), **facts}
    known["versions"] = {"demo": "1.0", **facts.get("versions", {})}
    return Installation(environment, candidate_of(wheel).wheel, **known)


def command(
    folder: Path,
    first: Start,
    attempts: Iterable[tuple[Sequence[str], Start]] = (),
    *,
    whole: Start | None = None,
    lacks: tuple[str, ...] = (),
    installed: bool = True,
    executable: str = "task.py",
    generation: str = "1",
    schema: Mapping[str, Any] | None = None,
    **installation: Any,
) -> tuple[Command, OptionProbe]:
    """The one command of a package, and what is known of its options.

    `attempts` are other ways in which it was started, with how it ended in each.
    """
    manifest = good_manifest()
    entry = manifest["task_list"][0] | {"executable": executable}
    if schema is not None:
        entry["args_schema"] = schema
    if generation == "2":
        entry = {"name": "Demo task", "executable_parallel": executable}
    manifest |= {"manifest_version": generation, "task_list": [entry]}
    facts = installation_of(folder, manifest=manifest, **installation)
    (task,) = candidate_of(facts.wheel.path).tasks
    (part,) = task.run_parts
    tried = tuple(
        Attempt(Invocation(tuple(options)), there, bool(there.read)) for options, there in attempts
    )
    probe = OptionProbe(
        task.generation.flags, first, bool(first.read), tried, lacks=lacks, whole=whole
    )
    return Command(part, (SCRIPT,), probe, facts if installed else None), probe


def always(end: Start) -> list[tuple[Sequence[str], Start]]:
    """The other ways to start a command that ends the same in each."""
    return [(IMPOSSIBLE_FIRST, end), (IMPOSSIBLE_SECOND, end)]


def findings(code: str, *facts: object) -> list[Finding]:
    return [found for found in REGISTRY[code].judge(*facts) if isinstance(found, Finding)]


def notes(code: str, *facts: object) -> list[str]:
    return [str(found) for found in REGISTRY[code].judge(*facts) if isinstance(found, Note)]


def edited(found: Finding, path: str) -> FileFix:
    """What a fix changes, which is this one file."""
    assert found.fix is not None
    (file,) = found.fix.files
    assert file.file == path
    return file
