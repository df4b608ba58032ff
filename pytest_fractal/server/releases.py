"""What fractal-server's releases need and how they are asked: the one table that knows versions.

A row says what has changed with a release; all else stays as it was in the row above. It is from
the releases' own metadata and sources, and from running them: those of `TRIED` have collected
packages and run their samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from itertools import accumulate
from typing import Any, Final

from packaging.specifiers import SpecifierSet
from packaging.version import Version


class Database(Enum):
    """Where a server keeps what it knows."""

    SQLITE = auto()
    """A file."""
    POSTGRESQL = auto()


class Administrator(Enum):
    """When the first user is made, and from what."""

    AT_START = auto()
    """When the server starts; the password is in a variable."""
    BY_SET_DB = auto()
    """With the tables, by `fractalctl set-db`; the password is in a variable."""
    BY_INIT_DB_DATA = auto()
    """By `fractalctl init-db-data`, with the resource on which tasks run."""


class Upload(Enum):
    """How it is given a wheel."""

    PATH = auto()
    """As JSON, with a path that the server reads."""
    FORM = auto()
    """As a form, with the file itself."""


@dataclass(frozen=True)
class Span:
    """What holds for all releases from one on."""

    since: Version
    python: SpecifierSet
    """What it runs on: its own `Requires-Python`, less what its dependencies do not run on."""
    tasks_python: tuple[str, ...]
    """For which versions of Python it makes environments of tasks."""
    beside: tuple[str, ...]
    """What to install beside it: requirements that it does not name."""
    database: Database
    administrator: Administrator
    upload: Upload
    has_activities: bool
    """Whether it reports a collection at `task-group/activity/`, else at `task/collect/`."""
    pins: str
    """The key of the pinned versions."""
    images: str
    """The key of the images in the answer to a query."""
    normalizes_sources: bool
    """Whether the package in a task's `source` is its normalised name, else as METADATA has it."""
    has_project_folders: bool
    """Whether a dataset lies below a folder of the project, else at any `zarr_dir`."""
    takes_task_lists: bool
    """Whether tasks are added to a workflow as a list, else one at a time by a query."""

    @property
    def generation(self) -> str:
        """The version of the manifests that it takes: its own major version."""
        return str(self.since.major)


def _minors(first: int, last: int) -> tuple[str, ...]:
    return tuple(f"3.{minor}" for minor in range(first, last + 1))


_FIRST: Final = Span(
    since=Version("1.3.0"),
    python=SpecifierSet(">=3.9,<3.14"),
    tasks_python=_minors(6, 30),  # whatever is in PATH
    # passlib imports pkg_resources without requiring it, and fails with a newer bcrypt.
    beside=("setuptools < 81", "bcrypt < 4.1"),
    database=Database.SQLITE,
    administrator=Administrator.AT_START,
    upload=Upload.PATH,
    has_activities=False,
    pins="pinned_package_versions",
    images="images",
    normalizes_sources=False,
    has_project_folders=False,
    takes_task_lists=False,
)


_CHANGES: Final[Mapping[str, Mapping[str, Any]]] = {
    "1.4.3": {"normalizes_sources": True},
    "2.0.0": {},
    "2.3.0": {"tasks_python": _minors(9, 12)},
    "2.4.0": {"administrator": Administrator.BY_SET_DB},
    "2.7.0": {"python": SpecifierSet(">=3.10,<3.13")},
    "2.9.0": {"database": Database.POSTGRESQL, "has_activities": True, "beside": ()},
    "2.10.0": {"upload": Upload.FORM},
    "2.14.0": {"images": "items"},
    "2.14.6": {"python": SpecifierSet(">=3.11,<3.13")},
    "2.15.7": {"python": SpecifierSet(">=3.11,<3.14"), "tasks_python": _minors(9, 13)},
    "2.16.0": {"pins": "pinned_package_versions_post"},
    "2.17.0": {
        "administrator": Administrator.BY_INIT_DB_DATA,
        "tasks_python": _minors(9, 14),
    },
    "2.18.0": {"python": SpecifierSet(">=3.11,<3.15"), "has_project_folders": True},
    "2.18.6": {"python": SpecifierSet(">=3.12,<3.15")},
    "2.21.0": {"takes_task_lists": True},
}
"""What has changed, by the release with which it did."""


def _changed(span: Span, row: tuple[str, Mapping[str, Any]]) -> Span:
    return replace(span, since=Version(row[0]), **row[1])


SPANS: Final = tuple(accumulate(_CHANGES.items(), _changed, initial=_FIRST))
"""The table, the oldest first."""

NEWEST: Final = {"1": Version("1.4.10"), "2": Version("2.24.2")}
"""The newest release of each generation that the table was checked against."""

OLDEST_HELD: Final = {"1": Version("1.4.10"), "2": Version("2.18.5")}
"""The oldest release of each generation that the rules are held against."""

TRIED: Final = ("1.3.14", "1.4.10", "2.0.6", "2.14.16", "2.18.5", "2.24.2")
"""Those that have really collected a package and run its samples."""


def span_of(version: str) -> Span:
    """What holds for a release; for one that is not known, what holds for its neighbour below.

    For one that is older than all of them, it is the oldest.
    """
    wanted = Version(version)
    before = [span for span in SPANS if span.since <= wanted]
    return before[-1] if before else SPANS[0]


def is_known(version: str) -> bool:
    """Whether the table was checked against releases around this one."""
    wanted = Version(version)
    newest = NEWEST.get(str(wanted.major))
    return newest is not None and SPANS[0].since <= wanted <= newest and not wanted.is_prerelease


def concern_newest(concerned: str) -> bool:
    """Whether these releases, such as `>=2,<2.20`, hold the newest one that is known."""
    return any(SpecifierSet(concerned).filter(NEWEST.values()))


def newest_known(offered: Iterable[str], generation: str) -> Sequence[str]:
    """The releases among these that take such manifests and are known, the newest first."""
    there = {Version(version) for version in offered}
    known = [
        version for version in there if str(version.major) == generation and is_known(str(version))
    ]
    return [str(version) for version in sorted(known, reverse=True)]
