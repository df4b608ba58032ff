"""From the fix that a rule proposes to the lines of the author's files that it changes."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Final

from pytest_fractal.candidate.packaged import Candidate
from pytest_fractal.files import read_regular
from pytest_fractal.fixes.json_edits import apply_edits
from pytest_fractal.fixes.lines import line_edits
from pytest_fractal.fixes.model import FileFix, Fix

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
        return Fix(tuple(_completed(candidate, file) for file in fix.files))
    except (LookupError, ValueError, OSError):
        return None


def _completed(candidate: Candidate, change: FileFix) -> FileFix:
    home = candidate.home
    assert home is not None
    if not change.json:
        if ".." in PurePosixPath(change.file).parts:
            raise LookupError(change.file)
        return _in_tree(candidate, change)
    listed = candidate.task_list
    file = candidate.own_file(change.file)
    if file is None or listed is None or change.file != listed.path:
        raise LookupError(change.file)
    content = read_regular(home / file, _LARGEST)
    text = content.decode()
    if json.loads(text) != listed.text.value:
        raise LookupError(file)
    return replace(
        change,
        file=file,
        lines=line_edits(text, apply_edits(text, change.json)),
        digest=sha256(content).hexdigest(),
    )


def _in_tree(candidate: Candidate, change: FileFix) -> FileFix:
    """A change to lines, told of the manifest in the wheel or of a file of the author's."""
    listed, home = candidate.task_list, candidate.home
    if listed is None or change.file != listed.path:
        return change
    file = candidate.own_file(change.file)
    if file is None or home is None:
        raise LookupError(change.file)
    if sha256(read_regular(home / file, _LARGEST)).hexdigest() != change.digest:
        raise LookupError(file)
    return replace(change, file=file)
