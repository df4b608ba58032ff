"""What a generation has to say; rules ask it, and never for its version."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pytest_fractal.environments.pip_show import PipShow
from pytest_fractal.environments.wheels import Wheel
from pytest_fractal.pointers import Keys

if TYPE_CHECKING:
    from pytest_fractal.generations.meta_keys import SlurmReader


class ModelFaultKind(StrEnum):
    """What is wrong at a place, and so what fixes it."""

    WRONG = "wrong"
    MISSING = "missing"
    UNWANTED = "unwanted"


@dataclass(frozen=True)
class ModelFault:
    """One place where a manifest is not what the server's model takes."""

    keys: Keys
    """The way to the place, from the manifest's root."""
    expected: str
    found: str
    coerced: bool = False
    """The server takes it all the same: it turns it into the right type, or drops it."""
    hint: str = ""
    """How to fix it, where that is more than its kind says."""
    kind: ModelFaultKind = ModelFaultKind.WRONG
    wanted: type | None = None
    """The Python type of the JSON value that is expected, where any of that type would do."""
    choices: tuple[str, ...] = ()
    """The texts of which one is expected."""
    releases: str | None = None
    """The releases of the server that refuse it, such as `>=2,<2.20`; None for all."""

    @property
    def fix(self) -> str:
        """How to fix it."""
        if self.hint:
            return self.hint
        if self.kind is ModelFaultKind.UNWANTED:
            return "remove it"
        if self.kind is ModelFaultKind.MISSING and self.keys:
            return f"add {json.dumps(str(self.keys[-1]))}"
        return f"write {self.expected}"


@dataclass(frozen=True)
class SampleFault:
    """What is wrong with what a sample gives, as the finding on it says."""

    keys: Keys
    """The way to the place, from the sample."""
    expected: str
    found: str
    fix: str
    releases: str | None = None
    """The releases of the server that refuse it; None for all. Others run the sample."""


@dataclass(frozen=True)
class PartKeys:
    """A command that a task may have: which one, and the keys that belong to it."""

    name: str
    """As messages and samples name it where a task has two: `init`, `compute`."""
    executable: str
    """Its keys in a task's entry: of the script below the package's folder,"""
    meta: str
    """of what its execution needs,"""
    args_schema: str
    """and of the JSON Schema of its arguments."""
    command: str
    """The key of the whole command line, in the server's own description of a task."""
    is_parallel: bool
    """Whether it runs once for each unit of work, and by the rules of parallel tasks."""


@dataclass(frozen=True)
class Reserved:
    """The arguments that Fractal supplies to a command."""

    names: tuple[str, ...]
    """Those that it must take."""
    others: tuple[str, ...]
    """Those of other kinds, which it is never given and must not ask for."""
    optional: tuple[str, ...] = ()
    """Those of other kinds that it may know, as long as it can do without."""

    @property
    def all(self) -> tuple[str, ...]:
        """The names that no argument of a task's own may have."""
        return (*self.names, *self.others, *self.optional)


@dataclass(frozen=True)
class Call:
    """One start of a command, as the server would make it."""

    part: PartKeys
    supplied: Mapping[str, Any]
    """The arguments that Fractal supplies."""
    about: str = ""
    """For which unit of work, in words, where there may be several: `the component 'B/03'`."""


@dataclass(frozen=True)
class CallResult:
    """What came of a call."""

    succeeded: bool
    """Whether the command exited with status 0 in time."""
    value: Any
    """What it has written, as JSON; None when it has written nothing."""
    readable: bool = True
    """Whether it has written nothing, or JSON."""
    written: bool = True
    """Whether there is an output file."""


@dataclass(frozen=True)
class RunBlocked:
    """Why the server starts nothing, or nothing more."""

    expected: str
    found: str
    hint: str
    fails: bool = True
    """Whether the job fails with it; else it ends as if all were well."""


class State(Protocol):
    """What the steps of a workflow hand on, in the generation's own terms."""

    @property
    def value(self) -> Mapping[str, Any]:
        """What the server keeps of it in its dataset, as JSON."""


@dataclass(frozen=True)
class ExecutionResult:
    """What a sample has led to."""

    state: State
    """What the next step of a workflow begins with."""
    folder: Path
    """Below which the task has written its data."""
    blocked: RunBlocked | None = None
    faults: tuple[tuple[int, ModelFault], ...] = ()
    """What the server refuses of outputs that are good each for itself: by the number of
    the call, from 0 over all of them, and the way into its output."""


TaskExecution = Generator[tuple[Call, ...], Sequence[CallResult], ExecutionResult]
"""A sample as the server runs it: batches of calls that may run at the same time."""


@dataclass(frozen=True)
class Misreading:
    """What a server reads otherwise than it was meant."""

    expected: str
    """What it would read rightly."""
    found: str
    """The line or the value by which it is misled."""
    place: Literal["METADATA", "RECORD", "pip show", "file name"]
    """Where that stands, or that something else prints it beside what `pip show` does."""


class Generation(Protocol):
    """One version of the interface between Fractal and task packages."""

    version: str
    """The `manifest_version`, such as `"1"`."""
    takes_integer_version: bool
    """Whether the server takes the version as a number too."""
    flags: tuple[str, str]
    """The options for the arguments file and for the output file."""

    def file_names(self, part: PartKeys, arguments: Mapping[str, Any]) -> tuple[str, str]:
        """What the server calls these two files, for a command that gets these arguments."""

    wrong_invocations: tuple[tuple[str, ...], ...]
    """Other ways in which commands take the two files by mistake, the likeliest first.

    With `{arguments}` and `{output}` for the paths.
    """
    manifest_keys: frozenset[str]
    """The manifest's keys that the server reads."""
    task_keys: frozenset[str]
    """A task's keys that the server reads."""
    executable_keys: frozenset[str]
    """A task's keys that name a script."""
    kind_key: str | None
    """The key by which a task itself says of which kind it is."""
    kinds: tuple[str, ...]
    """The values of that key; empty where there is none."""
    standard_words: Mapping[str, tuple[str, ...]]
    """The keys of a task that take any text, with the words that are usual there."""
    type_keys: tuple[str, ...]
    """The keys of a task that name a type of what it reads or writes."""
    schema_version: str
    """An `args_schema_version` of today."""
    form_schema_versions: frozenset[str] | None
    """Each `args_schema_version` whose own tool refuses what the web client's form cannot draw.

    None where nothing is known of what it cannot draw.
    """
    takes_boolean_schemas: bool
    """Whether a property whose schema is `true` or `false` does no harm."""
    schema_tool: str
    """What generates the schemas from the tasks' functions; empty where no command does."""
    runners: Mapping[str, str]
    """Distributions that have a `run_fractal_task` for these options, and its module."""
    bad_in_executables: str
    """A regular expression: a character that breaks the command line or is refused in it."""

    def faults(self, manifest: Mapping[str, Any]) -> Iterator[ModelFault]:
        """Where the manifest is not what the server's model takes, all places at once."""

    custom_keys: frozenset[str]
    """The keys of a task outside any package that the server reads."""

    def custom_faults(self, entry: Any) -> Iterator[ModelFault]:
        """Where a task outside any package is not what the server's model takes."""

    def meta_faults(self, meta: Mapping[str, Any], part: PartKeys) -> Iterator[ModelFault]:
        """What the server cannot use in the object `meta` of a part; the keys lead from there.

        One that counts only on a SLURM cluster is `coerced`.
        """

    slurm: SlurmReader
    """How its servers read `meta` for a job on SLURM (`make_slurm_job`)."""
    state: type[State]
    """What the steps of a workflow hand on: a dataclass of JSON."""
    refused_by: str
    """The servers that refuse its manifests, such as `fractal-server 2.x`; empty for none."""
    deepest: int
    """How many lists and objects may lie within each other in `meta` or a schema."""

    def link_problem(self, link: str) -> str:
        """What is wrong with a `docs_link` by the server's model; empty when nothing is."""

    kinds_since: Mapping[str, str]
    """The kinds of tasks that not all servers know, and the first release that does."""
    cache_variable: str | None
    """The variable that names a task a folder for what it may use again."""
    marks_warnings_since: str | None
    """The first release that marks a run whose output says `warning`; None if none does."""

    upgraded_first: tuple[str, ...]
    """What the server upgrades in a fresh environment before it installs the package."""
    pins_at_once: bool
    """Whether the server installs all pinned versions by one call of pip."""

    def misreadings(self, wheel: Wheel, shown: PipShow, manifest: str) -> Iterator[Misreading]:
        """What the server misreads of METADATA and of what `pip show` prints.

        `manifest` is the path of the manifest below site-packages.
        """

    def second_manifest(self, path: str, *, is_first: bool) -> str | None:
        """What the server makes of this file beside the manifest; None if it passes it over.

        `is_first` says that it stands before the manifest in the archive.
        """

    def kind(self, entry: Mapping[str, Any]) -> str:
        """The kind of a task: `parallel`, `non_parallel`, ..."""

    def parts(self, entry: Mapping[str, Any]) -> tuple[PartKeys, ...]:
        """The commands that the entry of a task has, in the order of their execution."""

    def runs(self, kind: str) -> tuple[PartKeys, ...]:
        """The commands that the server executes for a task of this kind, in their order."""

    def reserved(self, kind: str, part: PartKeys) -> Reserved:
        """The arguments that Fractal supplies to this command of a task of this kind."""

    reserved_shapes: Mapping[str, Mapping[str, Any]]
    """The least JSON Schema of each argument that Fractal supplies."""

    def filled_in(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """The arguments that the server itself takes from a command's schema, as defaults."""

    def as_handed_on(
        self, schema: Mapping[str, Any], arguments: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """The task's own arguments as the server hands them on, of those that a user gives."""

    def reserved_values(
        self, kind: str, part: PartKeys, folder: Path, made: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Values for the reserved arguments, as the server would fill them in, below `folder`.

        `made` are arguments made from the command's schema, for those that it describes.
        """

    sample_keys: frozenset[str]
    """What a sample may give beside the task's own arguments."""
    unstorable: str
    """A regular expression: a character that the server cannot store in arguments."""

    def sample_folders(self, kind: str) -> tuple[str, ...]:
        """The folders that a task finds in the `{tmp}` of its sample; `.` is that itself."""

    def sample_faults(self, kind: str, given: Mapping[str, Any]) -> Iterator[SampleFault]:
        """What is wrong with what a sample gives beside the arguments.

        `given` has paths in the place of placeholders, and also what is `handed_on`.
        """

    handed_on: Mapping[str, Any]
    """What a sample gives for the later steps of its workflow too, and what it is by default."""

    def made_sample(
        self, kind: str, entry: Mapping[str, Any], data: str | None = None
    ) -> dict[str, Any]:
        """What a sample that is made for want of one gives beside the arguments.

        `data` is the folder of the sample data (`ome_zarr.py`), if the sample is to name it.
        """

    def images_for(self, kind: str, given: Mapping[str, Any], data: str) -> dict[str, Any]:
        """The image of the sample data for a sample that needs one and names none.

        Empty where it needs none, names some, or its metadata would have to name them.
        """

    def play(
        self,
        name: str,
        entry: Mapping[str, Any],
        given: Mapping[str, Any],
        before: Any,
        folder: Path,
    ) -> TaskExecution:
        """Run a task once, as the server does.

        `given` is what the sample gives beside the arguments, `before` the state that the
        step before it has left, None for the first, and `folder` the `{tmp}` of the sample.
        Yields calls, and is sent an answer for each of them in the same order.
        """

    must_write: bool
    """Whether a command that is not parallel has to write its output file."""
    refuses_nan: bool
    """Whether NaN and Infinity break something wherever they stand in an output."""
    parallel_keys: str | None
    """What becomes of keys in the output of a parallel command; None where it may have some."""
    has_output_model: bool
    """Whether outputs have fields that the server checks."""

    def output_faults(self, kind: str, part: PartKeys, value: Any) -> Iterator[ModelFault]:
        """Where an output, an object or null, is not what the server's model takes."""

    def slug(self, name: str) -> str:
        """What the server makes of a task's name where a name has to be simple."""

    def name_fault(self, name: str) -> ModelFault | None:
        """Why a name is too long for the server; None when it is not. It has no keys."""

    def identities(self, name: str) -> Mapping[str, str]:
        """What no two tasks may have alike: what it is called -> what this name gives."""

    def twin_releases(self, name: str, other: str) -> str | None:
        """The releases to which two tasks with these names are one; None for all."""

    def source(
        self, package: str, version: str, extras: Sequence[str], python: str, slug: str
    ) -> str | None:
        """The `source` of a task, by which the server tells tasks apart; None if it has none."""
