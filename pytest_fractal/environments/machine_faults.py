"""Whether the machine, and not the candidate, made a build or an installer fail.

What it printed shows it. Builds and installers share the words for a full disk and for a
network that is not there.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from typing import Final

from pytest_fractal.processes.processes import Finished

_DISK: Final = r"no space left on device|disk quota exceeded|os error (?:28|122)\b"
_READ_ONLY: Final = r"read-only file system|os error 30\b"
_NETWORK: Final = (
    r"dns error|error sending request|failed to lookup address|could not connect"
    r"|tunnel error|client error \(Connect\)|network is unreachable|connection refused"
    r"|failed to establish a new connection|temporary failure in name resolution"
    r"|name or service not known|nodename nor servname provided|max retries exceeded"
    r"|ProxyError|ConnectTimeout|read timed out|operation timed out|urlopen error timed out"
    r"|connection reset by peer|network connectivity is disabled|network was disabled"
    r"|certificate verify failed|invalid peer certificate"
)
_NO_HOST: Final = (
    r"could(?:n't| not) resolve (?:host(?:name)?|proxy):? (?P<host>[\w.-]+)"
    r"|failed to connect to (?P<unreached>[\w.-]+) port|connect to host (?P<ssh>[\w.-]+) port"
)
"""What git says, of its own or by curl and ssh."""
_IN_BUILDS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), fault)
    for pattern, fault in (
        (rf"{_DISK}|\[Errno (?:28|122)\]", "the disk is full"),
        (rf"{_NETWORK}|{_NO_HOST}|HTTP Error (?:429|50[0234])", "the network cannot be reached"),
    )
)
_INDEX: Final = "look at the network, the proxy and the index settings of pip and uv"

_IN_INSTALLERS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE | re.MULTILINE), sentence)
    for pattern, sentence in (
        (
            _DISK,
            "the disk is full ({}): make room, or set TMPDIR to a folder on another disk",
        ),
        (
            _READ_ONLY,
            "{installer} cannot write ({}): look at TMPDIR, HOME and the cache folder",
        ),
        (
            r"Because (?P<cause>\S+) was not found in the cache[\s\S]*"
            r"network (?:connectivity is|was) disabled",
            "{installer} works offline and has no {}: add it to what {installer} finds there",
        ),
        (
            _NO_HOST,
            "{}, where a requirement lies, cannot be reached: look at the network and the proxy",
        ),
        (
            _NETWORK,
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
            r"Failed to inspect Python interpreter(?:[^\n]*\n *cause: (?P<cause>[^\n]+))*",
            "{installer} cannot start the interpreter of the new environment ({}): look at TMPDIR "
            "and at the Python that it is made with",
        ),
        (
            r"^error: (?P<cause>(?:unexpected argument|unrecognized subcommand|invalid value"
            r"|the argument)[^\n]*)|^(?P<no>no such option: [^\n]*)",
            "{installer} does not take the call of pytest-fractal ({}): upgrade {installer}",
        ),
    )
)

_NO_WRITING: Final = re.compile(rf"{_READ_ONLY}|\[Errno 30\]|permission denied", re.IGNORECASE)


def fault_in_build(output: str, variables: Mapping[str, str], *, uses_git: bool) -> str | None:
    """What is wrong with the machine, in one clause; None where nothing shows that.

    `output` is what a process printed that failed with these `variables`; `uses_git` says
    whether git could have been asked there.
    """
    for sign, fault in _IN_BUILDS:
        if sign.search(output):
            return fault
    home = variables.get("HOME", "")
    if home and home in output and _NO_WRITING.search(output) and not os.access(home, os.W_OK):
        return f"the home folder {home} cannot be written"
    if (
        uses_git
        and "git" in output.lower()
        and shutil.which("git", path=variables.get("PATH")) is None
    ):
        return "git is not on PATH"
    return None


def fault_in_installer(finished: Finished, installer: str) -> str | None:
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
    return fault_in_output(f"{finished.stderr}\n{finished.stdout}", installer)


def fault_in_output(said: str, installer: str) -> str | None:
    """What an installer that failed says of the machine, the network or the index, if it does."""
    for pattern, sentence in _IN_INSTALLERS:
        if found := pattern.search(said):
            cause = next(filter(None, found.groups()), found[0].lower())
            return sentence.format(cause, installer=installer)
    return None
