"""What it means when an installer fails: the machine's fault, or what it says of a package."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from pytest_fractal.processes.processes import Finished, last_lines

_INDEX: Final = "look at the network, the proxy and the index settings of pip and uv"

_FAULTS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE | re.MULTILINE), sentence)
    for pattern, sentence in (
        (
            r"no space left on device|disk quota exceeded|os error (?:28|122)\b",
            "the disk is full ({}): make room, or set TMPDIR to a folder on another disk",
        ),
        (
            r"read-only file system|os error 30\b",
            "{installer} cannot write ({}): look at TMPDIR, HOME and the cache folder",
        ),
        (
            r"dns error|error sending request|failed to lookup address|could not connect"
            r"|tunnel error|client error \(Connect\)|network is unreachable|connection refused"
            r"|failed to establish a new connection|temporary failure in name resolution"
            r"|name or service not known|max retries exceeded|ProxyError|ConnectTimeout"
            r"|read timed out|operation timed out|connection reset by peer"
            r"|network connectivity is disabled|network was disabled"
            r"|certificate verify failed|invalid peer certificate",
            "the package index cannot be reached ({}): " + _INDEX,
        ),
        (
            r"error decoding response body|request or response body error"
            r"|end of file before message length|connection closed before message completed"
            r"|peer closed connection|IncompleteRead|incomplete-download|connection broken"
            r"|not enough bytes were received|error reading a body from connection",
            "the package index broke off in the middle of a file ({}): " + _INDEX,
        ),
        (
            r"Wheel '(?P<name>[^']+)' located at \S*pip-unpack\S* is invalid",
            "the package index hands out a file that is no wheel ({}): " + _INDEX,
        ),
        (
            r"(?:\(|HTTP error |\s)(?P<cause>(?:401|403|407|408|429|5\d\d)"
            r" (?:Unauthorized|Forbidden|Proxy Authentication Required|Request Timeout"
            r"|Too Many Requests|Internal Server Error|Not Implemented|Bad Gateway"
            r"|Service Unavailable|Gateway Timeout|Server Error|Client Error))",
            "the package index answers {}: " + _INDEX,
        ),
        (
            r"HTTP error (?P<cause>401|403|407|408|429|5\d\d) while getting",
            "the package index answers {}: " + _INDEX,
        ),
        (
            r"^error: (?P<cause>(?:unexpected argument|unrecognized subcommand|invalid value"
            r"|the argument)[^\n]*)|^(?P<no>no such option: [^\n]*)",
            "{installer} does not take the call of pytest-fractal ({}): upgrade {installer}",
        ),
    )
)


def machine_fault(finished: Finished, installer: str) -> str | None:
    """Why the machine, the network or the index is to blame for a failure; None if none is."""
    if not finished.returncode:
        return None
    if finished.timed_out:
        return f"{installer} was given up: {finished.ending}"
    if finished.returncode < 0:
        return (
            f"{installer} was {finished.ending}: maybe the machine has run out of memory, or "
            "somebody has ended it"
        )
    if finished.returncode in (126, 127) and not finished.seconds:
        return f"{installer} cannot be started: {finished.stderr}"
    return fault_told(f"{finished.stderr}\n{finished.stdout}", installer)


def fault_told(said: str, installer: str) -> str | None:
    """What an installer that failed says of the machine, the network or the index, if it does."""
    for pattern, sentence in _FAULTS:
        if found := pattern.search(said):
            cause = next(filter(None, found.groups()), found[0].lower())
            return sentence.format(cause, installer=installer)
    return None


def is_broken_download(finished: Finished) -> bool:
    """Whether uv could not read a file that it was handed, as if it were cut off."""
    return bool(finished.returncode) and "Failed to read from zip file" in finished.stderr


class FailureKind(Enum):
    """Why an installer refuses what it was asked for."""

    PYTHON = auto()
    """A package is not for this version of Python."""
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
        told = last_lines(finished.stderr or finished.stdout, 1)
        return InstallFailure(FailureKind.PIP, f"pip, which the wheel replaces, fails: {told}")
    if wrong := _PYTHON.search(said):
        return InstallFailure(
            FailureKind.PYTHON,
            f"{wrong['name']} requires Python {wrong['wants']}, and this is {wrong['is']}",
        )
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
    if content := _CONTENT.search(finished.stderr):
        return InstallFailure(FailureKind.CONTENT, content[0].strip().removeprefix("ERROR: "))
    told = _told(finished)
    if "No solution found" in said or "ResolutionImpossible" in said or "No matching" in said:
        return InstallFailure(FailureKind.REQUIREMENTS, told)
    return InstallFailure(FailureKind.OTHER, told)


def _told(finished: Finished) -> str:
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
