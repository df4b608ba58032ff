"""The lines by which a project depends on one more distribution."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from pytest_fractal.fixes.model import Fix
from pytest_fractal.packaging_hints.project_files import CFG, PYPROJECT, Project
from pytest_fractal.packaging_hints.toml_edits import set_toml


def fix_for_dependencies(tree: Path, names: Sequence[str]) -> Fix | None:
    """The settings of a source tree with these dependencies; None where setup.py tells them."""
    project = Project(tree, PurePosixPath(PYPROJECT))
    if isinstance(project.toml("project"), dict) and "dependencies" not in project.entries(
        "project", "dynamic"
    ):
        listed = [*project.entries("project", "dependencies"), *names]
        is_set = set_toml(project, ("project", "dependencies"), listed)
        return project.hint().fix if is_set else None
    if isinstance(project.toml("tool", "poetry", "dependencies"), dict):
        keys = ("tool", "poetry", "dependencies")
        is_set = all(set_toml(project, (*keys, name), "*") for name in names)
        return project.hint().fix if is_set else None
    for line in project.read(CFG).splitlines():
        if re.fullmatch(r"install_requires\s*=\s*", line):
            project.insert(CFG, line, "\n".join(f"    {name}" for name in names))
            return project.hint().fix
    return None
