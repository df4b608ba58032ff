"""Patterns by which packaging files name other files."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from pytest_fractal.schema_checks.client import first_match


def ignores(pattern: str, path: PurePosixPath) -> bool:
    """Whether a pattern of gitignore names the path, or a folder around it."""
    names_folder = pattern.endswith("/")
    body = pattern.strip("/")
    anchored = "/" in pattern.rstrip("/")
    regex = "" if anchored else "(?:.*/)?"
    regex += pattern_regex(body) + ("/.*" if names_folder else "(?:/.*)?")
    return is_named_by(path, regex)


def is_named_by(path: PurePosixPath, regex: str) -> bool:
    """Whether a regular expression matches the whole path; False where it is none.

    It was made from a pattern of the candidate's, which may take for ever to match.
    """
    return first_match(rf"\A(?:{regex})\Z", (str(path),)) is not None


def globs(pattern: str, path: PurePosixPath) -> bool:
    """Whether a glob from the root names the path, or a folder around it."""
    return ignores("/" + pattern.removeprefix("./").lstrip("/"), path)


def pattern_regex(pattern: str) -> str:
    """The regular expression for what a pattern of gitignore matches."""
    parts = {"**/": "(?:.*/)?", "/**": "/.*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    regex = ""
    for token in re.findall(r"\*\*/|/\*\*$|\*\*|\*|\?|\[[^\]]+\]|\\?.", pattern):
        if token in parts:
            regex += parts[token]
        elif len(token) > 2:
            regex += token.replace("[!", "[^")
        else:
            regex += re.escape(token[-1])
    return regex
