"""Starting the commands of a candidate: on a sample, and to see what they do with arguments."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pytest_fractal.candidate.on_cluster import job_options
from pytest_fractal.candidate.store import Fact
from pytest_fractal.facts import Part
from pytest_fractal.processes.commands import ARGUMENTS, OUTPUT, Start, start_command
from pytest_fractal.processes.probing import OptionProbe, Probe, Prober, Refusals
from pytest_fractal.samples.every_argument import make_every_argument
from pytest_fractal.samples.generated import make_arguments

if TYPE_CHECKING:
    from pytest_fractal.candidate.packaged import Candidate

T = TypeVar("T")

PROBE: Final = Fact[Probe]("probe", Probe)
OPTIONS: Final = Fact[OptionProbe]("options", OptionProbe)
REFUSALS: Final = Fact[Refusals]("refusals", Refusals)
"""About each command of each task."""
START: Final = Fact[Start]("start", Start)
"""About each start of a command to probe it."""


def launch(candidate: Candidate, part: Part, arguments: Mapping[str, Any], folder: Path) -> Start:
    """Start a command as Fractal does, in `folder`, which must not exist yet."""
    first, second = part.task.generation.flags
    return _start(
        candidate,
        part,
        candidate.commands.argv(part),
        (first, ARGUMENTS, second, OUTPUT),
        json.dumps(arguments, indent=2).encode(),
        part.task.generation.file_names(part.keys, arguments),
        folder,
    )


def prober(candidate: Candidate, part: Part) -> Prober:
    """What starts a command to know what it does with its arguments."""
    argv = candidate.commands.argv(part)
    task, schema = part.task, part.schema
    runs = candidate.folder / "runs" / task.id
    made = make_arguments(schema)
    data = runs / "data"
    data.mkdir(parents=True, exist_ok=True)
    reserved = task.generation.reserved_values(task.kind, part.keys, data, made)

    def starter(key: str, content: bytes, options: Sequence[str]) -> Start:
        fact = START.of(key, content, *options)
        names = task.generation.file_names(part.keys, reserved)
        folder = runs / fact.name[-8:]
        return candidate.store.once(
            fact, lambda: _start(candidate, part, argv, options, content, names, folder)
        )

    unknown = schema.get("additionalProperties")
    return Prober(
        lambda content, options: starter(shlex.join(argv), content, options),
        starter,
        script=argv[-1],
        package_folder=candidate.commands.own_folder,
        library_folder=candidate.commands.library_folder,
        flags=task.generation.flags,
        wrong_invocations=task.generation.wrong_invocations,
        schema=schema,
        reserved=reserved,
        complete={**made, **reserved},
        every=_every_own(part),
        takes_unknown=bool(unknown)
        or "patternProperties" in schema
        or (unknown is None and part.takes_any_keyword),
    )


def of_part(fact: Fact[T], part: Part) -> Fact[T]:
    """The fact about one command, under which the store keeps what starting it has shown."""
    return fact.of(part.task.id, part.keys.name)


def _start(
    candidate: Candidate,
    part: Part,
    argv: tuple[str, ...],
    options: Sequence[str],
    content: bytes,
    names: tuple[str, str],
    folder: Path,
) -> Start:
    return start_command(
        argv,
        options,
        content,
        names=names,
        folder=folder,
        executor=candidate.executor,
        timeout=candidate.settings.timeout,
        variables=candidate.variables,
        cache_variable=part.task.generation.cache_variable,
        job=job_options(candidate, part),
    )


def _every_own(part: Part) -> dict[str, Any]:
    """A value for each argument of a command's own, and for `init_args`, of a model of its own."""
    return {
        name: value
        for name, value in make_every_argument(part.schema).items()
        if name not in part.reserved.all or (isinstance(value, dict) and value)
    }
