"""Whether the machine, and not the candidate, made a process fail: by what it printed last."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from typing import Final

_SIGNS: Final = (
    (
        re.compile(r"No space left on device|Disk quota exceeded|\[Errno (?:28|122)\]"),
        "the disk is full",
    ),
    (
        re.compile(
            r"Temporary failure in name resolution|Name or service not known"
            r"|nodename nor servname provided|Network is unreachable|Connection refused"
            r"|Connection reset by peer|Max retries exceeded with url|ConnectTimeout"
            r"|Read timed out|HTTP Error (?:429|50[0234])|urlopen error timed out",
            re.IGNORECASE,
        ),
        "the network cannot be reached",
    ),
)
_READ_ONLY: Final = re.compile(r"Read-only file system|\[Errno 30\]|Permission denied")


def machine_fault(output: str, variables: Mapping[str, str], *, uses_git: bool) -> str | None:
    """What is wrong with the machine, in one clause; None where nothing shows that.

    `output` is what a process printed that failed with these `variables`; `uses_git` says
    whether git could have been asked there.
    """
    for sign, fault in _SIGNS:
        if sign.search(output):
            return fault
    home = variables.get("HOME", "")
    if home and home in output and _READ_ONLY.search(output) and not os.access(home, os.W_OK):
        return f"the home folder {home} cannot be written"
    if (
        uses_git
        and "git" in output.lower()
        and shutil.which("git", path=variables.get("PATH")) is None
    ):
        return "git is not on PATH"
    return None
