"""What the page needs of a report, as data that is kept from run to run.

The report comes from the judge's own process and is read as plain JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from pytest_fractal.published.packages import Cell
from pytest_fractal.report.servers import ServerRange


class Light(StrEnum):
    """What the rules of one kind come to."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"
    GREY = "grey"
    """Nothing was judged."""


class State(StrEnum):
    """What came of judging a cell."""

    JUDGED = "judged"
    OTHER_PYTHON = "other-python"
    """The package says that it is not for this Python."""
    NEEDS_PIXI = "needs-pixi"
    GAVE_UP = "gave-up"
    """Time or room was over, or the judge failed: nothing is said of the package."""


LIGHTS: Final[Mapping[str, tuple[str, ...]]] = {
    "collectable": ("FR0", "FR1", "FR9"),
    "starts": ("FR3",),
    "schema and form": ("FR2",),
}
"""The lights, and the codes of the rules behind each."""
_STARTS: Final = "FR301"
_SAMPLES: Final = frozenset({"FR208", "FR407"})
"""What is said where samples are missing: published packages bring none."""
_LONGEST: Final = 200
"""Characters of a cause on the page."""
_PLACE: Final = re.compile(r" \(\S+, line \d+\)$")
_INDEX: Final = re.compile(r"/task_list/\d+")
_EXTRA: Final = re.compile(r"^the (extra \[[^\]]+\]) brings ")
_LACKS: Final = re.compile(r"^(\S+ \d\S*) is installed and has no module ")
_MISFIT: Final = re.compile(r"^(\S+ \d\S*) does not fit to (\S+ \d[^\s(:,]*)")


@dataclass(frozen=True)
class Cause:
    """What fails or warns, for one or several tasks."""

    code: str
    fails: bool
    text: str
    hint: str
    tasks: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """What came of a cell."""

    cell: Cell
    day: str
    """When it was judged, or the day whose index was asked, as ISO writes it."""
    state: State
    said: str = ""
    """Why it was given up."""
    version: str = ""
    wheel: str = ""
    sha256: str = ""
    generation: str = ""
    starting: int = 0
    tasks: int = 0
    starts_known: bool = False
    """Whether starting was judged at all."""
    servers: tuple[ServerRange, ...] = ()
    """Which releases of fractal-server take it."""
    lights: Mapping[str, Light] = field(default_factory=dict)
    causes: tuple[Cause, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    verdicts: Mapping[str, str] = field(default_factory=dict)
    """What fails, warns or was not checked, by `code` or `code[task]`: what a comparison takes."""
    seconds: int = 0
    since: str = ""
    """The day since which it has been as it is."""
    changed: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """The versions that were others in the run before: name -> then, now."""


def digest(cell: Cell, day: str, seconds: float, report: Mapping[str, Any]) -> Result:
    """What the report of the judge on one candidate says of a cell."""
    (candidate,) = report["candidates"]
    verdicts = [
        verdict
        for verdict in candidate["verdicts"]
        if verdict["code"] not in _SAMPLES or verdict["outcome"] == "fail"
    ]
    starts = [verdict for verdict in verdicts if verdict["code"] == _STARTS and verdict["task"]]
    good = [verdict for verdict in starts if verdict["outcome"] in ("pass", "warn")]
    starts_known = any(verdict["outcome"] != "skip" for verdict in starts)
    state = State.JUDGED
    if not (
        _is_for(cell.python, candidate["requires_python"])
        and _fits(cell.python, candidate["wheel"])
    ):
        state = State.OTHER_PYTHON
    elif candidate["needs_pixi"] and not starts_known:
        state = State.NEEDS_PIXI
    errors = [verdict for verdict in verdicts if verdict["outcome"] == "error"]
    said = ""
    if state is State.JUDGED and (errors or not report["complete"]):
        state = State.GAVE_UP
        said = errors[0]["reason"] if errors else "the run was interrupted"
    return Result(
        cell=cell,
        day=day,
        state=state,
        said=said or "",
        version=candidate["version"] or "",
        wheel=candidate["wheel"] or "",
        sha256=candidate["wheel_sha256"] or "",
        generation=candidate["generation"] or "",
        starting=len(good),
        tasks=len(candidate["tasks"]),
        starts_known=starts_known,
        servers=tuple(ServerRange(**answer) for answer in candidate["servers"]),
        lights={name: _light(verdicts, codes) for name, codes in LIGHTS.items()},
        causes=tuple(_causes(verdicts)),
        versions=candidate["versions"],
        verdicts=dict(sorted(_table(verdicts))),
        seconds=round(seconds),
    )


def _is_for(python: str, requires: str) -> bool:
    try:
        return not requires or SpecifierSet(requires).contains(f"{python}.99", prereleases=True)
    except InvalidSpecifier:
        return True


def _fits(python: str, wheel: str | None) -> bool:
    """Whether the tags of a wheel name this Python; its platform is not asked for."""
    try:
        tags = parse_wheel_filename(wheel or "")[3]
    except InvalidWheelFilename:
        return True
    version = tuple(map(int, python.split(".")))
    plain = "cp{}{}".format(*version)
    known = [
        *cpython_tags(version, [plain], ["any"]),
        *compatible_tags(version, plain, ["any"]),
    ]
    supported = {(tag.interpreter, tag.abi) for tag in known}
    return any((tag.interpreter, tag.abi) in supported for tag in tags)


def _light(verdicts: Sequence[Mapping[str, Any]], codes: tuple[str, ...]) -> Light:
    outcomes = {verdict["outcome"] for verdict in verdicts if verdict["code"].startswith(codes)}
    if "fail" in outcomes:
        return Light.RED
    if outcomes <= {"skip", "error", "blocked"}:
        return Light.GREY
    return Light.YELLOW if "warn" in outcomes else Light.GREEN


def _causes(verdicts: Sequence[Mapping[str, Any]]) -> Iterator[Cause]:
    """Each finding that fails or warns; one that several tasks share comes once."""
    found: dict[tuple[str, bool, str, str], list[str]] = {}
    for verdict in verdicts:
        for finding in verdict["findings"] if verdict["outcome"] in ("fail", "warn") else ():
            fails = verdict["outcome"] == "fail"
            text, hint = root_cause(finding["found"], finding["hint"]), finding["hint"]
            task = verdict["task"] or finding["task"]
            tasks = found.setdefault((verdict["code"], fails, text, hint), [])
            if task and task not in tasks:
                tasks.append(task)
    for (code, fails, text, hint), tasks in sorted(found.items(), key=lambda item: not item[0][1]):
        yield Cause(code, fails, text, hint, tuple(tasks))


def root_cause(found: str, hint: str) -> str:
    """A finding in a few words, alike for all packages in which it is the same."""
    if misfit := _MISFIT.match(hint):
        return f"{misfit[1]} against {misfit[2]}"
    if lacks := _LACKS.match(hint):
        return f"{lacks[1]} lacks modules that are imported"
    if extra := _EXTRA.match(hint):
        return f"without the {extra[1]}"
    first = _PLACE.sub("", _INDEX.sub("/task_list/*", found.partition("\n")[0]))
    return first if len(first) <= _LONGEST else f"{first[: _LONGEST - 3]}..."


def _table(verdicts: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for verdict in verdicts:
        unchecked = verdict["skip"] == "not-checked" and not verdict["code"].startswith("FR4")
        if unchecked or verdict["outcome"] in ("fail", "warn", "error"):
            task = f"[{verdict['task']}]" if verdict["task"] else ""
            yield f"{verdict['code']}{task}", verdict["skip"] or verdict["outcome"]
