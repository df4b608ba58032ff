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
class Reserved:
    """The arguments that Fractal supplies to a task."""

    names: tuple[str, ...]
    """Those that the task must take."""
    others: tuple[str, ...]
    """Those of other kinds of tasks, which it is never given."""


class Generation(Protocol):
    """One version of the interface between Fractal and task packages."""

    version: str
    """The `manifest_version`, such as `"1"`."""
    flags: tuple[str, str]
    """The options for the arguments file and for the output file."""
    manifest_keys: frozenset[str]
    """The manifest's keys that the server reads."""
    task_keys: frozenset[str]
    """A task's keys that the server reads."""

    def faults(self, manifest: Mapping[str, Any]) -> Iterator[ModelFault]:
        """Where the manifest is not what the server's model takes, all places at once."""

    custom_keys: frozenset[str]
    """The keys of a task outside any package that the server reads."""

    def custom_faults(self, entry: Any) -> Iterator[ModelFault]:
        """Where a task outside any package is not what the server's model takes."""

    def kind(self, entry: Mapping[str, Any]) -> str:
        """The kind of a task: `parallel`, `non_parallel`."""

    def reserved(self, kind: str) -> Reserved:
        """The arguments that Fractal supplies to a task of this kind."""

    def reserved_values(self, kind: str, folder: Path) -> dict[str, Any]:
        """Values for the reserved arguments, as the server would fill them in, below `folder`."""

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
        """The last part of a task's `source`, as the server makes it from the name."""

    def sources(self, package: str, version: str, extras: Sequence[str], python: str) -> str:
        """What the `source` of each task begins with."""
