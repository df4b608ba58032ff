"""What a generation has to say; rules ask it, and never for its version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class ModelFault:
    """One place where a manifest is not what the server's model takes."""

    keys: tuple[str | int, ...]
    """The way to the place, from the manifest's root."""
    expected: str
    found: str
    coerced: bool = False
    """The server takes it all the same: it turns it into the right type, or drops it."""


@dataclass(frozen=True)
class PartKeys:
    """A command that a task may have: which one, and the keys that tell of it."""

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


class Generation(Protocol):
    """One version of the interface between Fractal and task packages."""

    version: str
    """The `manifest_version`, such as `"1"`."""
    takes_integer_version: bool
    """Whether the server takes the version as a number too."""
    flags: tuple[str, str]
    """The options for the arguments file and for the output file."""
    wrong_manners: tuple[tuple[str, ...], ...]
    """Other ways in which commands take the two files by mistake, the likeliest first.

    With `{arguments}` and `{output}` for the paths.
    """
    manifest_keys: frozenset[str]
    """The manifest's keys that the server reads."""
    task_keys: frozenset[str]
    """A task's keys that the server reads."""
    kind_key: str | None
    """The key by which a task itself says of which kind it is."""
    type_keys: tuple[str, ...]
    """The keys of a task that name a type of what it reads or writes."""
    schema_version: str
    """An `args_schema_version` of today."""
    form_schema_versions: frozenset[str] | None
    """Each `args_schema_version` whose own tool refuses what the web client's form cannot draw.

    None where nothing is known of what it cannot draw.
    """
    schema_tool: str
    """What generates the schemas from the tasks' functions."""
    bad_in_executables: str
    """A regular expression: a character that breaks the command line or is refused in it."""

    def faults(self, manifest: Mapping[str, Any]) -> Iterator[ModelFault]:
        """Where the manifest is not what the server's model takes, all places at once."""

    custom_keys: frozenset[str]
    """The keys of a task outside any package that the server reads."""

    def custom_faults(self, entry: Any) -> Iterator[ModelFault]:
        """Where a task outside any package is not what the server's model takes."""

    def meta_faults(self, meta: Mapping[str, Any]) -> Iterator[ModelFault]:
        """What the server cannot use in the object `meta`; the keys lead from there.

        One that counts only on a SLURM cluster is `coerced`.
        """

    def link_problem(self, link: str) -> str:
        """What is wrong with a `docs_link` by the server's model; empty when nothing is."""

    def second_manifest(self, path: str, *, is_first: bool) -> str | None:
        """What the server makes of this file beside the manifest; None if it passes it over.

        `is_first` says that it stands before the manifest in the archive.
        """

    def kind(self, entry: Mapping[str, Any]) -> str:
        """The kind of a task: `parallel`, `non_parallel`, ..."""

    def parts(self, entry: Mapping[str, Any]) -> tuple[PartKeys, ...]:
        """The commands that the entry of a task tells of, in the order of their execution."""

    def runs(self, kind: str) -> tuple[PartKeys, ...]:
        """The commands that the server executes for a task of this kind, in their order."""

    def reserved(self, kind: str, part: PartKeys) -> Reserved:
        """The arguments that Fractal supplies to this command of a task of this kind."""

    def reserved_values(
        self, kind: str, part: PartKeys, folder: Path, made: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Values for the reserved arguments, as the server would fill them in, below `folder`.

        `made` are arguments made from the command's schema, for those that it describes.
        """

    def components(
        self, entry: Mapping[str, Any], metadata: Mapping[str, Any], given: str | None
    ) -> tuple[tuple[str | None, ...], str | None]:
        """For which components a task runs: None alone for a non-parallel one.

        `given` is the one that a sample names. Behind them stands why the server could
        start nothing, or None.
        """

    def seen_metadata(self, name: str, kind: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """The dataset's metadata as the server hands it to the task of this name."""

    def merged(
        self, kind: str, metadata: Mapping[str, Any], outputs: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """The dataset's metadata after the task has written these outputs."""

    def slug(self, name: str) -> str:
        """What the server makes of a task's name where a name has to be simple."""

    def identities(self, name: str) -> Mapping[str, str]:
        """What no two tasks may have alike: what it is called -> what this name gives."""

    def source(
        self, package: str, version: str, extras: Sequence[str], python: str, slug: str
    ) -> str | None:
        """The `source` of a task, by which the server tells tasks apart; None if it has none."""
