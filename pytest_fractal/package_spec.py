"""The PACKAGE and FILE arguments: what is to be judged, and where it is."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path
from typing import Final, Literal

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from pytest_fractal.environments.downloads import WheelUrl, parse_wheel_url
from pytest_fractal.environments.project_table import PROJECT_FILES, is_archive_for_pixi
from pytest_fractal.errors import BadInput

_PATH_AND_EXTRAS: Final = re.compile(r"(?P<path>.+?)(?:\[(?P<extras>[^\[\]/]*)\])?")
_DIRECT: Final = re.compile(
    r"(?:(?P<name>[\w.-]+)\s*(?:\[(?P<extras>[^\[\]/]*)\])?\s*@\s*)?(?P<url>https?://.+)",
    re.IGNORECASE,
)
"""A URL, alone or as pip writes a requirement with one: `name[extras] @ URL`."""
_URL_EXTRAS: Final = re.compile(r"\[([\w.,\s-]*)\](?=[?#]|$)")


@dataclass(frozen=True)
class PackageSpec:
    """One PACKAGE argument: what is to be judged, and where it is found."""

    kind: Literal["source", "wheel", "requirement", "url", "task"]
    text: str
    """As the user typed it; of a URL, without what may be a login."""
    path: Path | None
    """The folder, the wheel file or the file of tasks; None for a requirement or a URL."""
    requirement: str | None
    """The requirement without its extras; None for anything else."""
    extras: tuple[str, ...]
    url: WheelUrl | None = field(default=None, repr=False)
    """Where the wheel is fetched; None for anything else."""

    @property
    def option(self) -> str:
        """The option that takes it: `package` or `task`."""
        return "task" if self.kind == "task" else "package"

    @property
    def tree(self) -> Path | None:
        """The source tree that it names; None for anything else."""
        return self.path if self.kind == "source" else None

    def anchor(self, root: Path) -> str:
        """What node ids begin with: a file relative to `root`, its name, or the requirement."""
        if self.url is not None:
            return self.url.file_name
        if self.path is None:
            assert self.requirement is not None
            return self.requirement
        file = self.path
        if self.kind == "source":
            names = (*PROJECT_FILES, "setup.cfg")
            file /= next((name for name in names if (file / name).is_file()), names[0])
        return Path(os.path.relpath(file, root)).as_posix()


def parse_package(text: str, folder: Path) -> PackageSpec:
    """Read a PACKAGE argument; relative paths start at `folder`.

    Raises `BadInput` when it names nothing that can be judged.
    """
    if direct := _DIRECT.fullmatch(text.strip()):
        return _at_url(direct["url"], direct["extras"] or "", direct["name"])
    matched = _PATH_AND_EXTRAS.fullmatch(text.strip())
    if matched is None:
        raise BadInput("an empty package was given: name a folder, a wheel or a requirement")
    extras = tuple(part.strip() for part in (matched["extras"] or "").split(",") if part.strip())
    try:
        return _found(text, matched["path"], extras, folder)
    except (OSError, RuntimeError) as error:  # unreadable; the home of nobody
        raise BadInput(f"{text}: cannot be read: {error}") from None


def _found(text: str, place: str, extras: tuple[str, ...], folder: Path) -> PackageSpec:
    path = folder / Path(place).expanduser()
    if path.is_dir() and path.suffix != ".whl":
        if not any((path / name).is_file() for name in PROJECT_FILES):
            raise BadInput(
                f"{text}: this folder is no Python project: it has neither pyproject.toml "
                "nor setup.py"
            )
        return PackageSpec("source", text, path.resolve(), None, extras)
    if place.endswith(".whl"):
        return PackageSpec("wheel", text, _one_wheel(place, path), None, extras)
    if path.is_file() and is_archive_for_pixi(path):
        raise BadInput(
            f"{text}: a release for pixi, which is not run here; unpack it, run `pixi install` in "
            "its folder, and judge it there: --fractal-package=FOLDER "
            "--fractal-environment=FOLDER/.pixi/envs/default"
        )
    if path.exists():
        raise BadInput(f"{text}: neither a folder nor a wheel; unpack an sdist before judging it")
    if re.match(r"[.~]|.*[/\\]", text) and "@" not in text:
        raise BadInput(f"{text}: no such folder")
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        raise BadInput(
            f"{text}: no such folder, and not a requirement such as name==1.2"
        ) from None
    if requirement.url or requirement.marker:
        raise BadInput(f"{text}: give a name and a version; for a file, its path")
    return PackageSpec(
        "requirement",
        text,
        None,
        f"{requirement.name}{requirement.specifier}",
        tuple(sorted(requirement.extras)),
    )


def _at_url(text: str, extras: str, name: str | None) -> PackageSpec:
    """A wheel by its URL; extras may also stand behind its name, or behind the hash."""
    if (found := _URL_EXTRAS.search(text)) is not None:
        extras, text = found[1], text[: found.start()] + text[found.end() :]
    url = parse_wheel_url(text)
    there = url.file_name.partition("-")[0]
    if name is not None and canonicalize_name(name) != canonicalize_name(there):
        raise BadInput(f"{url.shown}: this is a wheel of {there}, not of {name}")
    wanted = tuple(part.strip() for part in extras.split(",") if part.strip())
    shown = f"{url.shown}[{','.join(wanted)}]" if wanted else url.shown
    return PackageSpec("url", shown, None, None, wanted, url)


def parse_task(text: str, folder: Path) -> PackageSpec:
    """Read a FILE argument of a task outside any package; raises `BadInput` if it is not there."""
    path = folder / Path(text).expanduser()
    if not path.is_file():
        raise BadInput(f"{text}: no such file, in which a task could be described")
    return PackageSpec("task", text, path.resolve(), None, ())


def _one_wheel(text: str, path: Path) -> Path:
    # Shells leave --fractal-package=dist/*.whl alone.
    if path.is_file():
        return path.resolve()
    found = sorted(glob(str(path))) if "*" in text else []  # noqa: PTH207
    if len(found) > 1:
        names = ", ".join(Path(path).name for path in found)
        raise BadInput(f"{text}: {len(found)} wheels match: {names}")
    if not found or not Path(found[0]).is_file():
        raise BadInput(f"{text}: no such file")
    return Path(found[0]).resolve()
