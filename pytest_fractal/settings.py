"""What the user asked for, checked: the options, and the PACKAGE arguments."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Final, Literal

from packaging.requirements import InvalidRequirement, Requirement

from pytest_fractal.environments.building import BUILD_LIMIT
from pytest_fractal.environments.environments import INSTALLERS, InstallerName
from pytest_fractal.environments.project_table import PROJECT_FILES, is_archive_for_pixi
from pytest_fractal.errors import BadInput
from pytest_fractal.processes.sandbox import Mode, check_mode
from pytest_fractal.report.formats import format_of
from pytest_fractal.rules import REGISTRY, Rule
from pytest_fractal.rules.registry import no_such_rule

_PATH_AND_EXTRAS: Final = re.compile(r"(?P<path>.+?)(?:\[(?P<extras>[^\[\]/]*)\])?")
_CODE: Final = re.compile(r"(?P<code>[^\[\]\s:]+)(?:\[(?P<task>.+)\])?(?:\s*:\s*(?P<reason>.*))?")


@dataclass(frozen=True)
class PackageSpec:
    """One PACKAGE argument: what is to be judged, and where it is found."""

    kind: Literal["source", "wheel", "requirement", "task"]
    text: str
    """As the user typed it."""
    path: Path | None
    """The folder, the wheel file or the file of tasks; None for a requirement."""
    requirement: str | None
    """The requirement without its extras; None for a folder or a file."""
    extras: tuple[str, ...]

    def anchor(self, root: Path) -> str:
        """What node ids begin with: a file relative to `root`, or the requirement."""
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


@dataclass(frozen=True)
class CodePattern:
    """One code or prefix that was selected or ignored, maybe for one task only."""

    code: str
    task: str | None = None
    reason: str | None = None

    def matches(self, rule: Rule, *tasks: str | None) -> bool:
        """Whether it means this rule, for a task that goes by any of these names."""
        return self.means(rule) and (self.task is None or self.task in tasks)

    def means(self, rule: Rule) -> bool:
        """Whether it means this rule, for whatever task."""
        return rule.code.startswith(self.code)


def parse_codes(text: str) -> tuple[CodePattern, ...]:
    """Read codes as the command line has them: `FR1,FR205,FR301[my_task]`."""
    return tuple(_code_pattern(part) for part in re.split(r",(?![^\[]*\])", text) if part.strip())


def parse_ignores(lines: Iterable[str]) -> tuple[CodePattern, ...]:
    """Read ignores as the ini file has them: one a line, `FR205: the reason`."""
    patterns = tuple(_code_pattern(line) for line in lines if line.strip())
    for pattern in patterns:
        if not pattern.reason:
            raise BadInput(
                f"fractal_ignore: {pattern.code} has no reason; "
                f"write `{pattern.code}: why it is ignored`"
            )
    return patterns


def _code_pattern(text: str) -> CodePattern:
    matched = _CODE.fullmatch(text.strip())
    code = matched["code"].upper() if matched else text.strip()
    if matched is None or not any(known.startswith(code) for known in REGISTRY):
        raise no_such_rule(code)
    return CodePattern(code, matched["task"], matched["reason"])


@dataclass(frozen=True)
class Settings:
    """The options of a run, with their defaults."""

    python: str | None = None
    pins: tuple[str, ...] = ()
    installer: InstallerName = "uv"
    select: tuple[CodePattern, ...] = ()
    ignore: tuple[CodePattern, ...] = ()
    strict: bool = False
    timeout: float = 300.0
    """Seconds, for each process of the candidate."""
    build_timeout: float = BUILD_LIMIT
    """Seconds, for each hook of the candidate's build backend."""
    jobs: int = 0
    """How many commands run at the same time."""
    keep: bool = False
    fix: Literal["apply", "diff"] | None = None
    """Whether fixes are applied to the package's files, or only shown."""
    new_samples: bool = False
    """Whether the run only writes first samples: their folder need not be there."""
    reports: tuple[Path, ...] = ()
    samples: Path | None = None
    """Where the samples lie; None for `fractal_samples` in the candidate's folder."""
    environment: Path | None = None
    """An existing environment, in which packages are judged as they are installed."""
    server: str | None = None
    """The version of fractal-server to ask; "" for the one known good, None for none."""
    database: str | None = None
    """Where fractal-server 2.x is given a database: a URL of PostgreSQL's."""
    sandbox: Mode = "auto"
    """Whether walls stand around the candidate's processes: where they can, or must, or not."""

    def __post_init__(self) -> None:
        if self.samples is not None and not (self.samples.is_dir() or self.new_samples):
            raise BadInput(f"{self.samples}: no such folder, from which samples could be read")
        if self.environment is not None:
            for option, given in (
                ("python", self.python is not None),
                ("pin", bool(self.pins)),
                ("server", self.server is not None),
            ):
                if given:
                    raise BadInput(
                        f"--fractal-environment and --fractal-{option} exclude each other: "
                        "nothing is installed into an environment that is there"
                    )
            if not self.environment.is_dir():
                raise BadInput(
                    f"{self.environment}: no such folder, in which a package could be installed"
                )
        if self.installer not in INSTALLERS:
            raise BadInput(f"{self.installer}: no such installer; choose uv or pip")
        for limit in (self.timeout, self.build_timeout):
            if not (limit > 0 and math.isfinite(limit)):
                raise BadInput(f"a time limit of {limit:g} s is of no use; give more than 0")
        check_mode(self.sandbox)
        if self.fix not in (None, "apply", "diff"):
            raise BadInput(
                f"--fractal-fix={self.fix}: choose apply, which is what it does without a value, "
                "or diff"
            )
        if self.jobs < 0:
            raise BadInput(f"{self.jobs} jobs cannot run; give 1 or more")
        for pin in self.pins:
            _check_pin(pin)
        if self.server is None:
            for pattern in self.select:
                if all(rule.asks_server for rule in REGISTRY.values() if pattern.means(rule)):
                    raise BadInput(f"{pattern.code} is only judged with --fractal-server")
        for report in self.reports:
            format_of(report)
            if report.is_dir():
                raise BadInput(f"{report}: this is a folder; a report is written to a file")

    @property
    def width(self) -> int:
        """How many commands run at the same time: what was asked for, or the number of cores."""
        if self.jobs:
            return self.jobs
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1

    def selects(self, rule: Rule, *tasks: str | None) -> bool:
        """Whether the rule is to be judged at all."""
        return not self.select or any(one.matches(rule, *tasks) for one in self.select)

    def ignored(self, rule: Rule, *tasks: str | None) -> str | None:
        """Why the rule is not judged although it could be; None when it is."""
        for pattern in self.ignore:
            if pattern.matches(rule, *tasks):
                return pattern.reason or "on the command line"
        return None

    def check_tasks(self, tasks: Sequence[str]) -> None:
        """Raise `BadInput` for a pattern with a task that there is not among `tasks`."""
        for pattern in (*self.select, *self.ignore):
            if pattern.task is not None and pattern.task not in tasks:
                there = ", ".join(dict.fromkeys(tasks))
                raise BadInput(
                    f"{pattern.code}[{pattern.task}]: no task has this slug; there are: {there}"
                )


def _check_pin(pin: str) -> None:
    try:
        requirement = Requirement(pin)
    except InvalidRequirement:
        operators = []
    else:
        bare = not (requirement.extras or requirement.marker)
        operators = [one.operator for one in requirement.specifier] if bare else []
    if operators != ["=="]:
        raise BadInput(f"{pin}: a pin has the form name==version")
