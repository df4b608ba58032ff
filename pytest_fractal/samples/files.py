"""The samples of a package: arguments for its tasks, and what is expected of them.

Each `*.json` file in the folder is one sample, or a workflow: steps that share an output
folder, each of which sees what the ones before it left.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal, cast

from pytest_fractal.facts import Part, Task
from pytest_fractal.files import read_regular
from pytest_fractal.fixes.lines import line_edits
from pytest_fractal.fixes.model import Action, FileFix, Fix, JsonEdit, json_fix
from pytest_fractal.json_text import (
    MOST_BYTES,
    MOST_LEVELS,
    FaultKind,
    JsonText,
    read_json,
    repaired,
    shown,
    texts_in,
)
from pytest_fractal.pointers import Keys, pointer
from pytest_fractal.samples.ome_zarr import OME_ZARR, named_data

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
    way: Keys = ()
    """The keys that lead to it in its file: those of a step, `("steps", 0)`."""
    last: bool = True
    """Whether no step after it expects success."""
    is_usable: bool = True
    """Whether its file is free of problems; else it is never run, and has no arguments."""

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

    def make_folders(self, folder: Path, *, first: bool) -> None:
        """Make the folders that its task finds, if `folder` is its `{tmp}`.

        `first` says whether no step of its workflow comes before it.
        """
        found = self.task.generation.sample_folders(self.task.kind)
        if not first or any("{tmp}" in text for _, text in texts_in([self.args, self.reserved])):
            found = (".", *found)
        folder.parent.mkdir(parents=True, exist_ok=True)
        for name in found:
            (folder / name).mkdir(parents=True, exist_ok=True)

    @property
    def named_data(self) -> frozenset[str]:
        """What of the sample data it names: images, and plates."""
        return named_data(text for _, text in texts_in([self.args, self.reserved]))

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


@dataclass(frozen=True)
class SampleProblem:
    """Why a file, and with it all of its steps, cannot be used, if only on some servers."""

    file: Path
    expected: str
    found: str
    fix: str
    pointer: str | None = None
    line: int | None = None
    task: str | None = None
    """The slug of the task that it is about; None where it names none."""
    releases: str | None = None
    """The releases of the server that refuse it; None for all, and then nothing is run on it."""
    column: int | None = None
    change: Fix | None = None
    """The fix as edits, where it is plain."""


@dataclass(frozen=True)
class SampleFiles:
    """What was read of the files in a folder of samples."""

    samples: tuple[Sample, ...] = ()
    """Every sample that names a task, usable or not, in the order of the file names."""
    problems: tuple[SampleProblem, ...] = ()


def read_samples(
    folder: Path, tasks: Sequence[Task], elsewhere: Collection[str] = ()
) -> SampleFiles:
    """Read every sample in `folder`.

    `elsewhere` are names of tasks that others read from the same folder: samples of those
    are passed over.
    """
    samples: dict[str, Sample] = {}
    problems: list[SampleProblem] = []
    for file in sorted(folder.glob("[!.]*.json")):  # none that macOS or an editor hides there
        read = _Reader(file, tasks, elsewhere)
        own = read.samples()
        for sample in own:
            # Names become parts of node ids, where few characters are safe.
            if (other := samples.get(sample.name)) is not None:
                read.problem(
                    "a name of its own",
                    f"the sample {sample.name} is in {other.file.name} too",
                    "rename one of the two files",
                    task=sample.task,
                )
        problems += read.problems
        is_unusable = any(problem.releases is None for problem in read.problems)
        for sample in _unusable(own) if is_unusable else own:
            samples.setdefault(sample.name, sample)
    return SampleFiles(tuple(samples.values()), tuple(problems))


def _unusable(steps: Sequence[Sample]) -> Iterator[Sample]:
    """The samples of a file with a problem: without all that may be wrong in them."""
    previous = None
    for step in steps:
        previous = replace(step, args={}, reserved={}, previous=previous, is_usable=False)
        yield previous


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


class _Unusable(Exception):
    """Ends the reading of a sample, when its problem has been reported."""


class _Reader:
    """Reads one file, and keeps all its problems."""

    def __init__(self, file: Path, tasks: Sequence[Task], elsewhere: Collection[str]) -> None:
        self.problems: list[SampleProblem] = []
        self._file = file
        self._text = JsonText(None, {}, ())
        self._tasks = tasks
        self._elsewhere = {_loosely(name) for name in elsewhere}
        self._name = re.sub(r"[^\w.+()=@-]", "_", file.stem)

    def samples(self) -> list[Sample]:
        """Those that name a task, be they usable or not."""
        try:
            self._read()
            value = self._mapping(self._text.value, (), None)
            if "steps" not in value:
                if self._is_elsewhere([value]):
                    return []
                return [self._sample(value, (), self._name, None)]
            steps = value["steps"]
            if self._is_elsewhere(steps if isinstance(steps, list) else ()):
                return []
            self._known(value, {"steps"}, (), None)
            if not isinstance(steps, list) or not steps:
                raise self._unusable(
                    "a list of samples, not empty",
                    shown(steps),
                    f'write {{"steps": [{_EXAMPLE}, ...]}}',
                    "steps",
                )
        except _Unusable:
            return []
        return list(self._steps(steps))

    def problem(
        self,
        expected: str,
        found: str,
        fix: str,
        *keys: str | int,
        task: Task | None = None,
        releases: str | None = None,
        edit: JsonEdit | None = None,
    ) -> None:
        """Tell of a problem at the place to which the keys lead; `edit` makes it go."""
        place = self._text.places.get(pointer(*keys))
        self.problems.append(
            SampleProblem(
                self._file,
                expected,
                found,
                fix,
                pointer(*keys) or None,
                place.line if place else None,
                task.slug if task else None,
                releases,
                change=json_fix(str(self._file), edit) if edit is not None else None,
            )
        )

    def _unusable(
        self, expected: str, found: str, fix: str, *keys: str | int, task: Task | None = None
    ) -> _Unusable:
        self.problem(expected, found, fix, *keys, task=task)
        return _Unusable()

    def _read(self) -> None:
        try:
            content = read_regular(self._file, MOST_BYTES)
        except OSError as error:
            found = f"it cannot be read: {error.strerror}"
            raise self._unusable(
                "a JSON file", found, "write a sample there, or rename it"
            ) from None
        self._text = read_json(content, MOST_LEVELS)
        if not self._text.faults:
            return
        change = None
        if (text := repaired(content)) is not None:
            lines = line_edits(content.decode(), text)
            file = FileFix(str(self._file), lines=lines, digest=sha256(content).hexdigest())
            change = Fix((file,))
        for fault in self._text.faults:
            self.problems.append(
                SampleProblem(
                    self._file,
                    "strict JSON, in UTF-8",
                    fault.message,
                    "save the file as UTF-8 without a byte order mark"
                    if fault.kind is FaultKind.ENCODING
                    else "correct it here; no comments, no comma behind the last element",
                    fault.pointer,
                    fault.place.line if fault.place else None,
                    column=fault.place.column if fault.place else None,
                    change=change,
                )
            )
        raise _Unusable

    def _steps(self, steps: Sequence[Any]) -> Iterator[Sample]:
        previous: Sample | None = None
        for index, value in enumerate(steps):
            keys = ("steps", index)
            after = [step for step in steps[index + 1 :] if isinstance(step, dict)]
            last = all(following.get("expect") == "failure" for following in after)
            try:
                step = self._mapping(value, keys, None)
                if previous is not None and previous.expect == "failure":
                    self.problem(
                        "no step after one that expects failure",
                        "one: the server goes no further there",
                        "make it the last step, or a sample of its own",
                        *keys,
                    )
                name = f"{self._name}.{index + 1}"
                sample = replace(self._sample(step, keys, name, previous), last=last)
            except _Unusable:
                continue
            yield sample
            previous = sample

    def _is_elsewhere(self, steps: Sequence[Any]) -> bool:
        """Whether all tasks are such that others read their samples, and none is of ours."""
        names = [step.get("task") if isinstance(step, dict) else None for step in steps]
        return bool(names) and all(
            isinstance(name, str)
            and _loosely(name) in self._elsewhere
            and not _called(name, self._tasks)
            for name in names
        )

    def _sample(
        self,
        value: Mapping[str, Any],
        keys: Keys,
        name: str,
        previous: Sample | None,
    ) -> Sample:
        """The sample, whose task at least is known."""
        try:
            task = self._task(value.get("task"), keys)
        except _Unusable:
            if self._tasks:  # all of one generation, so the keys are known
                self._known(value, _KEYS | self._tasks[0].generation.sample_keys, keys, None)
            raise
        sample = Sample(name, self._file, task, {}, previous=previous, text=self._text, way=keys)
        own_keys = task.generation.sample_keys
        self._known(value, _KEYS | own_keys, keys, task)
        expect = value.get("expect", "success")
        if expect not in ("success", "failure"):
            fix = 'write "failure" if schema or command must refuse it, or leave it out'
            self.problem('"success" or "failure"', shown(expect), fix, *keys, "expect", task=task)
            return sample
        given = {key: value[key] for key in value if key in own_keys}
        if previous is None and expect == "success":
            given |= task.generation.images_for(task.kind, given, f"{{{OME_ZARR}}}")
        sample = replace(sample, expect=expect, reserved=given)
        try:
            args = self._mapping(value.get("args", {}), (*keys, "args"), task)
            self._check_args(task, args, keys)
        except _Unusable:
            return sample
        sample = replace(sample, args=args)
        self._check_given(sample)
        if expect == "success":
            self._check_texts(sample)
        return sample

    def _check_given(self, sample: Sample) -> None:
        """See that the server takes what is given beside the arguments."""
        generation = sample.task.generation
        given = dict(sample.reserved)
        for name, default in generation.handed_on.items():
            step: Sample | None = sample
            while step is not None and name not in step.reserved:
                step = step.previous
            given.setdefault(name, step.reserved[name] if step else default)
        # Placeholders stand for absolute paths; in messages they are shown again.
        places = {name: f"/{{{name}}}" for name in ("samples", "tmp")}
        places[OME_ZARR] = f"/{{tmp}}/{OME_ZARR}"
        for fault in generation.sample_faults(sample.task.kind, placed(given, places)):
            texts = (text.replace("/{", "{") for text in (fault.expected, fault.found, fault.fix))
            keys = (*sample.way, *fault.keys)
            self.problem(*texts, *keys, task=sample.task, releases=fault.releases)

    def _check_texts(self, sample: Sample) -> None:
        """See that the server can store all texts."""
        unstorable = re.compile(sample.task.generation.unstorable)
        for name, value in (("args", sample.args), *sample.reserved.items()):
            for way, text in texts_in(value, name):
                if bad := unstorable.search(text):
                    self.problem(
                        "texts that the server can store",
                        f"{shown(text)}, which has the character {bad[0]!a}: the server "
                        "answers with an internal error",
                        "remove the character",
                        *sample.way,
                        *way,
                        task=sample.task,
                    )

    def _check_args(self, task: Task, args: Mapping[str, Any], keys: Keys) -> None:
        """See that the arguments of each command are an object without those of Fractal's."""
        parts = {part.keys.name: part for part in task.run_parts}
        several = len(parts) > 1
        for key in args if several else ():
            if key not in parts:
                form = ", ".join(f"{json.dumps(name)}: {{...}}" for name in parts)
                raise self._unusable(
                    f"the arguments of both parts of a {task.kind_words} task: {{{form}}}",
                    f"the key {shown(key)}",
                    f"move the argument into the object of the part that takes it: {{{form}}}",
                    *keys,
                    "args",
                    key,
                    task=task,
                )
        for name, part in parts.items():
            way = (*keys, "args", name) if several else (*keys, "args")
            own = self._mapping(args.get(name, {}), way, task) if several else args
            for argument in part.reserved.all:
                if argument in own:
                    self.problem(
                        "the task's own arguments alone",
                        f"{argument!r}, which Fractal supplies",
                        f"move {argument!r} out of `args`, beside it"
                        if argument in task.generation.sample_keys
                        else f"remove {argument!r}",
                        *way,
                        argument,
                        task=task,
                    )

    def _task(self, name: object, keys: Keys) -> Task:
        found = _called(name, self._tasks)
        if len(found) == 1:
            return found[0]
        there = ", ".join(dict.fromkeys(task.slug for task in self._tasks)) or "none"
        if found:
            raise self._unusable(
                "the name of one task",
                f"{shown(name)}, which may be {' or '.join(task.name for task in found)}",
                "write the name as the manifest has it",
                *keys,
                "task",
            )
        if name is None:
            raise self._unusable(
                "a sample that names its `task`", "none", f'add "task"; there are: {there}', *keys
            )
        near = difflib.get_close_matches(str(name), [task.name for task in self._tasks], 1, 0.8)
        self.problem(
            "the name of a task",
            f"{shown(name)}",
            f"write {json.dumps(near[0])}" if near else f"write one of: {there}",
            *keys,
            "task",
            edit=JsonEdit(Action.SET, (*keys, "task"), near[0]) if near else None,
        )
        raise _Unusable

    def _known(
        self,
        value: Mapping[str, Any],
        known: frozenset[str] | set[str],
        keys: Sequence[str | int],
        task: Task | None,
    ) -> None:
        for key in value:
            if key not in known:
                near = difflib.get_close_matches(key, known, 1)
                is_free = bool(near) and near[0] not in value
                self.problem(
                    f"no key but {', '.join(sorted(known))}",
                    shown(key),
                    f"rename it to {near[0]!r}" if is_free else "remove it",
                    *keys,
                    key,
                    task=task,
                    edit=JsonEdit(Action.RENAME, (*keys, key), near[0]) if is_free else None,
                )

    def _mapping(
        self, value: object, keys: Sequence[str | int], task: Task | None
    ) -> Mapping[str, Any]:
        if not isinstance(value, dict):
            example = "{}" if task else _EXAMPLE
            raise self._unusable(
                "an object", shown(value), f"write an object: {example}", *keys, task=task
            )
        return value


_EXAMPLE: Final = '{"task": "My task", "args": {...}}'


def _called(name: object, tasks: Sequence[Task]) -> list[Task]:
    """The tasks that a sample may mean: by name or slug, else whatever case and separators."""
    if not isinstance(name, str):
        return []
    for task in tasks:
        if name in (task.name, task.slug, task.id):
            return [task]
    loose = _loosely(name)
    return [
        task for task in tasks if loose and loose in map(_loosely, (task.name, task.slug, task.id))
    ]


def _loosely(name: str) -> str:
    """A name without its case and the separators between words."""
    return re.sub(r"[\W_]+", " ", name.casefold()).strip()
