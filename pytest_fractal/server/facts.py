"""What a real server did with a package, and with the jobs that it was given.

Facts only: what they mean is for the rules to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Outcome = Literal["done", "refused", "failed", "frozen", "broken"]
"""How something that was asked of the server ended.

`refused`: at once, by a status of 4xx. `failed`: in the background, and the server says so.
`frozen`: it is neither done nor failed, and nothing works on it any more; it stays so for
ever. `broken`: the server answers with a status of 5xx, then or ever since.
"""


@dataclass(frozen=True)
class ServerResponse:
    """How something ended on the server, in the server's own words."""

    server: str
    """Such as `fractal-server 1.4.10`."""
    outcome: Outcome
    status: str
    """The last status that it gave, such as `collecting`; of a request, `422`."""
    said: str
    """Its own last words: the error, or the end of its log."""
    seconds: float
    """From the request to the end, or to where it was given up."""
    quiet: float = field(default=0.0, kw_only=True)
    """For how long nothing had changed when it was found to be frozen, in seconds."""
    at_work: bool = field(default=False, kw_only=True)
    """Whether it was frozen with a process at work, which has taken too long."""


@dataclass(frozen=True)
class ListedTask:
    """A task as the server lists it."""

    name: str
    commands: Mapping[str, str]
    """Its command lines, by the keys under which the server tells them."""
    source: str | None
    """None where the server keeps none."""
    id: int = field(default=0, compare=False)
    """By which the server knows it."""


@dataclass(frozen=True)
class Collected(ServerResponse):
    """What the server made of a wheel."""

    tasks: tuple[ListedTask, ...] = ()
    """Those that it lists for the package; none unless it is done."""
    environment: str = ""
    """The folder of the environment that it has made."""
    python: str = ""
    """The version that it was asked to make the environment with, such as `3.11`."""


@dataclass(frozen=True)
class Collection:
    """What the server made of a wheel, beside what this tool says of it."""

    collected: Collected
    reported: tuple[ListedTask, ...]
    """The tasks as the report lists them, but as they would be in the server's environment."""


@dataclass(frozen=True)
class ServerRun(ServerResponse):
    """What came of a workflow on the server."""

    dataset: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What the dataset holds afterwards: its metadata, or in generation 2 its `images`."""
    varying: tuple[str, ...] = ()
    """Where that differs between two runs here too: JSON pointers.

    Only sought where the server and here differ.
    """


@dataclass(frozen=True)
class Step:
    """One step of a job."""

    task: str
    """The name of the task."""
    args: Mapping[str, Any]
    """The task's own arguments, without placeholders.

    In generation 2 those of each command, by `args_non_parallel` and `args_parallel`.
    """


@dataclass(frozen=True)
class Job:
    """A workflow on a dataset, as it is given to a server. All paths are absolute."""

    name: str
    steps: tuple[Step, ...]
    output_path: str
    """Where it writes; in generation 2, the `zarr_dir`."""
    input_paths: tuple[str, ...] = ()
    """Only in generation 1."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What the dataset holds before. Only in generation 1."""
    given: tuple[str, ...] = ()
    """The keys of that which a sample has no need of, but the server has."""
    images: tuple[Mapping[str, Any], ...] = ()
    """The images of the dataset before, each with a `zarr_url`. Only in generation 2."""
