"""The list of packages, and what of each is judged: a release on a Python, with its extras."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pytest_fractal.errors import BadInput

NEWEST = "newest"

Route = Literal["index", "wheel", "repository"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*$")]
Python = Annotated[str, Field(pattern=r"^3\.\d+$")]


@dataclass(frozen=True)
class Cell:
    """One thing that is judged: the cell of the page."""

    package: str
    release: str
    """A version or a tag; `newest` for what is there today."""
    python: str
    extras: tuple[str, ...]
    route: Route
    source: str
    """The requirement, the URL of the wheel, or the URL of the repository."""

    @property
    def key(self) -> str:
        """Its name in files of results, stable between runs."""
        parts = (self.package, self.release, f"py{self.python}", "+".join(self.extras))
        return re.sub(r"[^\w.+-]", "_", "--".join(filter(None, parts)))


class Package(BaseModel):
    """One entry of the list."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    author: str
    """Who publishes it."""
    home: str = ""
    """Where it is published, for a link."""
    older: Sequence[str] = ()
    """Older releases on the index, or tags of the repository."""
    newest: bool = True
    """Whether the newest release, or the tip of the repository, is judged beside the older."""
    wheels: Mapping[str, str] = {}
    """Release wheels by URL: version -> URL, with `#sha256=` where it is known."""
    repository: str = ""
    """The repository that is built, for a package that is on no index."""
    extras: Mapping[str, Sequence[str]] = {}
    """The extras with which a release, or `newest`, is judged as well."""
    pythons: Sequence[Python] = ()
    """The Pythons, where they are others than those of the list."""

    def cells(self, pythons: Sequence[str]) -> Iterator[Cell]:
        """What of it is judged."""
        for release, route, source in self._releases():
            for python in self.pythons or pythons:
                yield Cell(self.name, release, python, (), route, source)
                if extras := tuple(self.extras.get(release, ())):
                    yield Cell(self.name, release, python, extras, route, source)

    def _releases(self) -> Iterator[tuple[str, Route, str]]:
        newest = (NEWEST,) if self.newest else ()
        if self.repository:
            for tag in (*newest, *self.older):
                yield tag, "repository", self.repository
        elif not self.wheels:
            for version in (*newest, *self.older):
                name = self.name if version == NEWEST else f"{self.name}=={version}"
                yield version, "index", name
        for version, url in self.wheels.items():
            yield version, "wheel", url


class PackageList(BaseModel):
    """The whole list."""

    model_config = ConfigDict(extra="forbid")

    pythons: Sequence[Python] = Field(min_length=1)
    package: Sequence[Package] = Field(min_length=1)

    def cells(self, names: Sequence[str] = ()) -> list[Cell]:
        """What is judged of the packages with these names, or of all."""
        known = {package.name for package in self.package}
        if unknown := sorted(set(names) - known):
            raise BadInput(f"{unknown[0]}: no such package in the list")
        chosen = [package for package in self.package if not names or package.name in names]
        return [cell for package in chosen for cell in package.cells(self.pythons)]


def read_packages(path: Path) -> PackageList:
    """Read a list of packages. Raises `BadInput` where it cannot be used."""
    try:
        listed = PackageList.model_validate(tomllib.loads(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"{path}: cannot be read: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise BadInput(f"{path}: {place}: {first['msg']}") from None
    keys = [cell.key for cell in listed.cells()]
    for key in keys:
        if keys.count(key) > 1:
            raise BadInput(f"{path}: {key} is listed twice")
    return listed
