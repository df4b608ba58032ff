"""Where files lie in the author's repository, as code scanning and annotations name them."""

from __future__ import annotations

import os
from pathlib import Path

from pytest_fractal.report.model import CandidateReport
from pytest_fractal.verdicts import SourceLocation


def repository_root(home: Path) -> Path:
    """The root of the repository that a folder is in; the folder itself where it is in none.

    On GitHub that is the workspace, into which the repository was checked out.
    """
    workspace = os.environ.get("GITHUB_WORKSPACE")
    if workspace and home.is_relative_to(root := Path(workspace).resolve()):
        return root
    return next((place for place in (home, *home.parents) if (place / ".git").exists()), home)


def in_repository(candidate: CandidateReport, place: SourceLocation | None) -> str | None:
    """The path of a place's file from the root of the repository, with `/`; None if outside."""
    if place is None or candidate.home is None:
        return None
    file = Path(os.path.normpath(candidate.home / place.file))
    root = repository_root(candidate.home)
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else None
