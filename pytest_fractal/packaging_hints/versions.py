"""What to do where a build cannot tell the version of the package."""

from __future__ import annotations

import re
from typing import Final

_NO_TAG: Final = re.compile(
    r"unable to detect version|cannot find the version from scm|not in a git repository"
    r"|unable to detect version control|does not appear to be a git repository",
    re.IGNORECASE,
)
"""As setuptools-scm and hatch-vcs say it, pdm-backend, versioningit and dunamai."""

_COMMANDS: Final = (
    "git init",
    "git add .",
    'git commit -m "First version"',
    "git tag 0.1.0",
)


def version_hint(said: str) -> str | None:
    """The fix, if a backend said that it found no git tag to take the version from."""
    if not _NO_TAG.search(said):
        return None
    lines = "".join(f"\n    {command}" for command in _COMMANDS)
    return f"make a git tag, which the version is taken from. In the package folder run{lines}"
