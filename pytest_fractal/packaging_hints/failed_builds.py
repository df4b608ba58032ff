"""What to do about a build that fails, where its words and the source tree tell."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from pytest_fractal.packaging_hints.backends import build_backend

_NO_FILE: Final = re.compile(
    r"(?:No such file or directory|[Ff]ile does not exist|[Ff]ile not found): '?([^'\n]{1,1000})"
)
_NO_MODULE: Final = re.compile(r"No module named '([\w.]{1,200})'")


def build_hint(source: Path, stage: str, said: str) -> str | None:
    """The fix for a build of `source` that ended at a stage, or None where nothing tells."""
    if "cannot be unpacked: the link" in said:
        return (
            "put the file itself in the place of the link, or leave the link out of the sdist; "
            "`python -m build` refuses it too"
        )
    if "License classifiers have been superseded" in said:
        return 'remove the classifiers that begin with "License ::": `license` says it'
    if file := _NO_FILE.search(said):
        path = file[1].strip()
        if not path.startswith("/") and os.path.lexists(source / path):
            return _into_the_sdist(source, path) if stage == "wheel" else None
        return f"add {path} to the folder, or take it out of pyproject.toml or setup.py"
    if module := _NO_MODULE.search(said):
        return _for_module(source, stage, module[1], said)
    return None


def _for_module(source: Path, stage: str, name: str, said: str) -> str | None:
    place = name.replace(".", "/")
    found = [
        path.relative_to(source).as_posix()
        for ending in (f"{place}.py", f"{place}/__init__.py")
        for path in (source / ending, *sorted(source.glob(f"*/{ending}")))
        if path.is_file()
    ]
    if found:
        return _into_the_sdist(source, found[0]) if stage == "wheel" else None
    hint = (
        f"add the distribution that brings the module {name!r} to the `requires` of [build-system]"
    )
    if "read_attr" in said:  # of setuptools, which imports the package for its version
        hint += ", or write the version in pyproject.toml instead of reading it from the package"
    return hint


def _into_the_sdist(source: Path, path: str) -> str:
    lost = f"the wheel is built from the sdist, and that lacks {path}"
    if build_backend(source) == "setuptools":
        return f"{lost}: add the line\n    include {path}\nto MANIFEST.in"
    return f"{lost}: add it to what the build backend puts into the sdist"
