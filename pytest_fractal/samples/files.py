"""The samples of a package: arguments for its tasks, and what is expected of them.

Each `*.json` file in the folder is one sample, or a workflow: steps that share an output
folder, each of which sees what the ones before it left.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, cast

from pytest_fractal.errors import BadInput
from pytest_fractal.facts import Part, Task
from pytest_fractal.json_text import JsonText, pointer, read_given_json
from pytest_fractal.samples.ome_zarr import OME_ZARR, missing_extra

Expectation = Literal["success", "failure"]

_KEYS: Final = frozenset({"task", "args", "expect"})


@dataclass(frozen=True)
class Sample:
    """One sample, or one step of a workflow."""

    name: str
    """The name of its file; of a step, with its number behind a dot, from 1."""
    file: Path
    task: Task
    args: Mapping[str, Any]
    """The task's own arguments, with placeholders."""
    expect: Expectation = "success"
    reserved: Mapping[str, Any] = field(default_factory=dict)
    """What the author gives of what Fractal supplies, with placeholders."""
    previous: Sample | None = None
    """The step before this one; None for the first, and for a sample."""
    made: bool = False
    """Whether its arguments were made from the schema, for want of a sample."""
    text: JsonText | None = field(default=None, repr=False, compare=False)
    """What its file holds; None for one that was made."""
    way: tuple[str | int, ...] = ()
    """The keys that lead to it in its file: those of a step, `("steps", 0)`."""
    last: bool = True
    """Whether no step after it expects success."""

    @property
    def workflow(self) -> str:
        """The name of the file, which the steps of a workflow share."""
        return self.file.stem

    def args_of(self, part: Part) -> Mapping[str, Any]:
        """The arguments of one of the task's commands."""
        args: Any = self.args
        for key in self.way_to_args(part)[1:]:
            args = args.get(key, {})
        return cast("Mapping[str, Any]", args)

    def way_to_args(self, part: Part) -> tuple[str, ...]:
        """The keys that lead to the arguments of a command: by its name if there are two."""
        return ("args", part.keys.name) if len(self.task.run_parts) > 1 else ("args",)

    def places(self, folder: Path) -> dict[str, str]:
        """What the placeholders stand for, if `folder` is its `{tmp}`."""
        return {
            "samples": str(self.file.parent),
            "tmp": str(folder),
            OME_ZARR: str(folder / OME_ZARR),
        }

    @property
    def uses_ome_zarr(self) -> bool:
        """Whether it names the folder with the sample data."""
        return f"{{{OME_ZARR}}}" in json.dumps([self.args, self.reserved])

    def place(self, *keys: str | int) -> tuple[str | None, int | None]:
        """The JSON pointer to a part of it in its file, and the line of that part.

        Where there is no such part, the line is that of the nearest one above.
        """
        way = (*self.way, *keys)
        if self.text is None:
            return None, None
        found = (self.text.places.get(pointer(*way[:end])) for end in range(len(way), -1, -1))
        place = next(filter(None, found), None)
        return pointer(*way) or None, place.line if place else None


def read_samples(
    folder: Path, tasks: Sequence[Task], elsewhere: Collection[str] = ()
) -> tuple[Sample, ...]:
    """Read every sample in `folder`, in the order of the file names.

    `elsewhere` are names of tasks that others read from the same folder: samples of those
    are passed over. Raises `BadInput`, with file and line, for a sample that cannot be
    read, is not JSON, names no task, or gives an argument that Fractal supplies as the
    task's own.
    """
    samples: dict[str, Sample] = {}
    for file in sorted(folder.glob("*.json")):
        text = read_given_json(file, str(file))
        for sample in _Reader(file, text, tasks, elsewhere).samples():
            # Names become parts of node ids, where few characters are safe.
            if (other := samples.setdefault(sample.name, sample)) is not sample:
                raise BadInput(f"{file}: the sample {sample.name} is in {other.file.name} too")
    return tuple(samples.values())


def placed(value: Any, places: Mapping[str, str]) -> Any:
    """`value` with the placeholders in all its texts replaced, such as `{tmp}`."""
    if isinstance(value, str):
        for name, path in places.items():
            value = value.replace(f"{{{name}}}", path)
        return value
    if isinstance(value, Mapping):
        return {key: placed(inner, places) for key, inner in value.items()}
    if isinstance(value, list):
        return [placed(inner, places) for inner in value]
    return value


class _Reader:
    """Reads one file."""

    def __init__(
        self, file: Path, text: JsonText, tasks: Sequence[Task], elsewhere: Collection[str]
    ) -> None:
        self._file = file
        self._text = text
        self._tasks = tasks
        self._elsewhere = elsewhere
        self._name = re.sub(r"[^\w.+()=@-]", "_", file.stem)

    def samples(self) -> list[Sample]:
        value = self._mapping(self._text.value, ())
        if "steps" not in value:
            if self._is_elsewhere([value]):
                return []
            return [self._sample(value, (), self._name, None)]
        self._known(value, {"steps"}, ())
        steps = value["steps"]
        if not isinstance(steps, list) or not steps:
            raise self._bad("`steps` must be a list of samples, not empty", "steps")
        if self._is_elsewhere(steps):
            return []
        samples: list[Sample] = []
        for index, step in enumerate(steps):
            keys = ("steps", index)
            previous = samples[-1] if samples else None
            if previous is not None and previous.expect == "failure":
                raise self._bad("no step can follow one that expects failure", *keys)
            name = f"{self._name}.{index + 1}"
            after = [one for one in steps[index + 1 :] if isinstance(one, dict)]
            last = all(one.get("expect") == "failure" for one in after)
            samples.append(
                replace(self._sample(self._mapping(step, keys), keys, name, previous), last=last)
            )
        return samples

    def _is_elsewhere(self, steps: Sequence[Any]) -> bool:
        """Whether all tasks are such that others read their samples, and none is of ours."""
        names = [step.get("task") if isinstance(step, dict) else None for step in steps]
        ours = {name for task in self._tasks for name in (task.name, task.slug, task.id)}
        return all(
            isinstance(name, str) and name in self._elsewhere and name not in ours
            for name in names
        )

    def _sample(
        self,
        value: Mapping[str, Any],
        keys: tuple[str | int, ...],
        name: str,
        previous: Sample | None,
    ) -> Sample:
        task = self._task(value.get("task"), keys)
        own_keys = task.generation.sample_keys
        self._known(value, _KEYS | own_keys, keys)
        args = self._mapping(value.get("args", {}), (*keys, "args"))
        self._check_args(task, args, keys)
        expect = value.get("expect", "success")
        if expect not in ("success", "failure"):
            raise self._bad('`expect` is "success" or "failure"', *keys, "expect")
        given = {key: value[key] for key in value if key in own_keys}
        somewhere = dict.fromkeys(("samples", "tmp", OME_ZARR), "/")
        for where, message in task.generation.sample_faults(task.kind, placed(given, somewhere)):
            raise self._bad(message, *keys, *where)
        sample = Sample(
            name, self._file, task, args, expect, given, previous, text=self._text, way=keys
        )
        if sample.uses_ome_zarr and (missing := missing_extra()):
            raise self._bad(f"{{{OME_ZARR}}} {missing}", *keys)
        return sample

    def _check_args(
        self, task: Task, args: Mapping[str, Any], keys: tuple[str | int, ...]
    ) -> None:
        """See that the arguments of each command are an object without those of Fractal's."""
        parts = {part.keys.name: part for part in task.run_parts}
        several = len(parts) > 1
        for key in args if several else ():
            if key not in parts:
                raise self._bad(
                    f"the arguments of a {task.kind_words} task are "
                    f"{{{', '.join(f'{json.dumps(name)}: {{...}}' for name in parts)}}}, "
                    f"not {key!r}",
                    *keys,
                    "args",
                    key,
                )
        for name, part in parts.items():
            way = (*keys, "args", name) if several else (*keys, "args")
            own = self._mapping(args.get(name, {}), way) if several else args
            for argument in part.reserved.all:
                if argument in own:
                    raise self._bad(
                        f"{argument!r} is an argument that Fractal supplies: give it beside "
                        "`args`, not in it",
                        *way,
                        argument,
                    )

    def _task(self, name: object, keys: tuple[str | int, ...]) -> Task:
        found = [task for task in self._tasks if name in (task.name, task.slug, task.id)]
        if found:
            return found[0]
        there = ", ".join(task.slug for task in self._tasks) or "none"
        if name is None:
            raise self._bad(f"it names no `task`; there are: {there}", *keys)
        raise self._bad(f"no task is called {json.dumps(name)}; there are: {there}", *keys, "task")

    def _known(
        self, value: Mapping[str, Any], known: frozenset[str] | set[str], keys: Sequence[str | int]
    ) -> None:
        for key in value:
            if key not in known:
                there = ", ".join(sorted(known))
                raise self._bad(f"{key!r} means nothing here; a sample has: {there}", *keys, key)

    def _mapping(self, value: object, keys: Sequence[str | int]) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            raise self._bad("an object is needed here", *keys)
        return value

    def _bad(self, message: str, *keys: str | int) -> BadInput:
        place = self._text.places.get(pointer(*keys))
        return BadInput(f"{self._file}{f':{place.line}' if place else ''}: {message}")
