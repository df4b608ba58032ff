"""From the fix that a rule proposes to the lines of the author's files that it changes."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Final

from pytest_fractal.candidate.packaged import Candidate
from pytest_fractal.files import read_regular
from pytest_fractal.fixes.json_edits import apply_edits
from pytest_fractal.fixes.lines import line_edits
from pytest_fractal.fixes.model import FileFix, Fix
from pytest_fractal.packaging_hints.dependencies import fix_for_dependencies

_LARGEST: Final = 8 * 2**20
"""Bytes of a file that is edited: each edit reads it anew."""


def completed_fix(candidate: Candidate, fix: Fix | None) -> Fix | None:
    """The fix with paths from the author's folder, and the lines that it changes.

    None where it cannot be made: there is no source tree, the file is none of it or is not
    what was judged (a build may write another one), or a place is not there.
    """
    if fix is None or candidate.home is None:
        return None
    try:
        files = [_completed(candidate, candidate.home, file) for file in fix.files]
    except (LookupError, ValueError, OSError):
        return None
    if fix.requires:
        more = fix_for_dependencies(candidate.home, fix.requires)
        files += more.files if more is not None else ()
    return Fix(tuple(files)) if files else None


def _completed(candidate: Candidate, home: Path, change: FileFix) -> FileFix:
    """The change to a file of the author's, with the lines of JSON edits."""
    if ".." in PurePosixPath(change.file).parts:
        raise LookupError(change.file)
    if not change.json and change.digest is None:
        return change  # it is made
    file = candidate.author_files.own(change.file)
    if file is None or file.startswith("../"):
        raise LookupError(change.file)
    content = read_regular(home / file, _LARGEST)
    digest = sha256(content).hexdigest()
    if not change.json:
        if digest != change.digest:
            raise LookupError(file)
        return replace(change, file=file)
    text = content.decode()
    listed = candidate.task_list
    if listed is not None and change.file == listed.path and json.loads(text) != listed.text.value:
        raise LookupError(file)
    lines = line_edits(text, apply_edits(text, change.json))
    return replace(change, file=file, lines=lines, digest=digest)
