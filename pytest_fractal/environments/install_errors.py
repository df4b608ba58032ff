"""What it means when an installer refuses a package, in the line that matters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from pytest_fractal.processes.processes import Finished, last_lines


def is_broken_download(finished: Finished) -> bool:
    """Whether uv could not read a file that it was handed, as if it were cut off."""
    return bool(finished.returncode) and "Failed to read from zip file" in finished.stderr


class FailureKind(Enum):
    """Why an installer refuses what it was asked for."""

    PYTHON = auto()
    """A package is not for this version of Python."""
    PLATFORM = auto()
    """The wheel is for another platform, or for another version of Python by its file name."""
    BUILD = auto()
    """There is no wheel of a package, and building one failed."""
    METADATA = auto()
    """The METADATA of a package is not what the standard allows."""
    CONTENT = auto()
    """A wheel holds what no wheel may hold."""
    PIP = auto()
    """The wheel has replaced pip by something that does not run."""
    REQUIREMENTS = auto()
    """No releases meet all requirements."""
    OTHER = auto()


@dataclass(frozen=True)
class InstallFailure:
    """Why an installer refuses what it was asked for, in the line that matters."""

    kind: FailureKind
    message: str


_PYTHON: Final = re.compile(
    r"Package '(?P<name>[^']+)' requires a different Python: (?P<is>\S+) not in '(?P<wants>[^']+)'"
)
_UNMET: Final = re.compile(
    r"Could not find a version that satisfies the requirement (?P<name>[\w.-]+)=="
    r"(?P<version>[\w.+!]+) \(from (?!versions:)(?P<by>[^)]+)\)"
)
_IGNORED: Final = re.compile(
    r"Ignored the following versions that require a different python version: (?P<versions>.*)"
)
_BUILD: Final = (
    re.compile(r"Failed to build `(?P<name>[^`=@ ]+)(?:==(?P<version>[^`]+))?[^`]*`"),
    re.compile(r"Failed to build '(?P<name>[^'=]+)'"),
    re.compile(r"Failed (?:building wheel for|to build) (?P<name>[\w.-]+)"),
    re.compile(r"(?P<name>)(?:metadata-generation-failed|subprocess-exited-with-error)"),
)
_COLLECTED: Final = re.compile(
    r"(?:Downloading|Using cached) \S*?(?P<name>[\w.]+)-(?P<version>[^-/\s]+)\.(?:tar\.\w+|zip)\b"
)
_METADATA: Final = re.compile(
    r"Requested (?P<name>\S+) from .+? has invalid metadata: (?P<why>.+(?:\n    .+)?)"
)
_UNDECODABLE: Final = re.compile(
    r"(?:Error decoding metadata for|UnicodeDecodeError:).*|.*codec can't decode.*METADATA.*"
)
_CONTENT: Final = re.compile(
    r"(?:For req: [^\n]*|[^\n]*(?:has an invalid wheel|trying to install outside|Wheel-Version)"
    r"[^\n]*)"
)


def explain(finished: Finished, python: str) -> InstallFailure:
    """What an installer that failed says of a package, for a version of Python such as 3.11.7."""
    said = f"{finished.stdout}\n{finished.stderr}"
    if finished.argv[-1:] == ("--version",):
        last = last_lines(finished.stderr or finished.stdout, 1)
        return InstallFailure(FailureKind.PIP, f"pip, which the wheel replaces, fails: {last}")
    if wrong := _PYTHON.search(said):
        return InstallFailure(
            FailureKind.PYTHON,
            f"{wrong['name']} requires Python {wrong['wants']}, and this is {wrong['is']}",
        )
    if wrong_python := _wrong_python(said, python):
        return InstallFailure(FailureKind.PYTHON, wrong_python)
    if metadata := _METADATA.search(said):
        why = " ".join(metadata["why"].split())
        return InstallFailure(
            FailureKind.METADATA, f"pip refuses the METADATA of {metadata['name']}: {why}"
        )
    if undecodable := _UNDECODABLE.search(said):
        return InstallFailure(
            FailureKind.METADATA, f"pip cannot read METADATA: {undecodable[0].strip()}"
        )
    for pattern in _BUILD:
        if built := pattern.search(said):
            return InstallFailure(FailureKind.BUILD, _unbuilt(built, said, finished, python))
    if "is not a supported wheel on this platform" in said:
        return InstallFailure(FailureKind.PLATFORM, _reason(finished))
    if content := _CONTENT.search(finished.stderr):
        return InstallFailure(FailureKind.CONTENT, content[0].strip().removeprefix("ERROR: "))
    reason = _reason(finished)
    if "No solution found" in said or "ResolutionImpossible" in said or "No matching" in said:
        return InstallFailure(FailureKind.REQUIREMENTS, reason)
    return InstallFailure(FailureKind.OTHER, reason)


def _wrong_python(said: str, python: str) -> str | None:
    """Which release that must be installed is for other versions of Python, as pip has it."""
    unmet, ignored = _UNMET.search(said), _IGNORED.search(said)
    if unmet is None or ignored is None:
        return None
    for release in ignored["versions"].split("; "):
        version, _, wants = release.partition(" Requires-Python ")
        if version == unmet["version"]:
            return (
                f"{unmet['name']} {version}, which {unmet['by']} requires, requires Python "
                f"{wants}, and this is {python}"
            )
    return None


def _reason(finished: Finished) -> str:
    """The lines of an output that give a reason."""
    lines = (finished.stderr or finished.stdout).splitlines()
    if pip := [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]:
        return "\n".join(line for line in pip if not line.startswith("Ignored the following"))
    noise = ("Using Python ", "Resolved ", "warning: ", "error: No solution found")
    uv = [line.strip().removeprefix("cause: ") for line in lines if not line.startswith(noise)]
    return last_lines("\n".join(uv)) or finished.ending


def _unbuilt(built: re.Match[str], said: str, finished: Finished, python: str) -> str:
    name, version = built["name"], built.groupdict().get("version")
    sdists = [found for found in _COLLECTED.finditer(said) if not name or _same(found, name)]
    if sdists:
        name, version = sdists[-1]["name"], version or sdists[-1]["version"]
    short = ".".join(python.split(".")[:2])
    what = f"{name} {version or ''}".strip() or "a requirement"
    return (
        f"there is no wheel of {what} for Python {short}, so it had to be built, and that failed: "
        f"{_cause(said) or finished.ending}"
    )


def _same(sdist: re.Match[str], name: str) -> bool:
    return re.sub(r"[-_.]+", "-", sdist["name"]).lower() == re.sub(r"[-_.]+", "-", name).lower()


def _cause(said: str) -> str:
    """The line in the output of a build that names the error."""
    lines = [line.strip(" |│╰─>×") for line in said.splitlines()]
    wrong = [
        line
        for line in lines
        if re.search(r"\b(?:\w*Error|\w*Exception|error|ERROR) ?:", line)
        and not re.match(r"(?:ERROR|error): (?:Failed|subprocess|metadata-gen|Cannot)", line)
        and "returned non-zero exit status" not in line
    ]
    return wrong[-1][:300] if wrong else ""
