"""The .gitignore of a project, which must mean the same wherever a copy of it lies.

hatchling ignores the whole file where one of its patterns matches the path of the project's
own folder (`load_vcs_exclusion_patterns` in hatchling 1.33): with `tmp/` in it, what is
built below /tmp holds what the file leaves out.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from pathspec import GitIgnoreSpec

from pytest_fractal.files import read_regular

GITIGNORE: Final = ".gitignore"

NEUTRAL_PLACE: Final = "/=/="
"""A folder that only a pattern for everything matches, such as `*`."""

_SIZE_LIMIT: Final = 10_000_000


def find_gitignore(folder: Path, top: Path) -> Path | None:
    """The file that holds for a project in `folder`: its own, else the next above it, to `top`."""
    for place in (folder, *folder.parents):
        if (place / GITIGNORE).is_file():
            return place / GITIGNORE
        if place == top:
            break
    return None


def read_patterns(gitignore: Path | None) -> GitIgnoreSpec:
    """The patterns of a file; none where it cannot be read."""
    try:
        lines = read_regular(gitignore, _SIZE_LIMIT).decode().splitlines() if gitignore else []
        return GitIgnoreSpec.from_lines(lines)
    except (OSError, ValueError):
        return GitIgnoreSpec.from_lines([])


def pretend_place(gitignore: Path, folder: Path, place: str) -> bool:
    """Let the file mean in `folder` what it means in `place`; tells whether it was changed.

    A pattern for that very path is added, which matches nothing else.
    """
    patterns = read_patterns(gitignore)
    wanted = patterns.match_file(place)
    if patterns.match_file(str(folder)) == wanted:
        return False
    own = re.sub(r"([\\*?\[\] !#])", r"\\\1", str(folder))
    text = gitignore.read_bytes() + f"\n{'' if wanted else '!'}{own}\n".encode()
    gitignore.unlink()  # it may be a link
    gitignore.write_bytes(text)
    return True
