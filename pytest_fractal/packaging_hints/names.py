"""Making the name of a project and the folder of its package agree, by edits to its settings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from pytest_fractal.packaging_hints.backends import build_backend, packaging_hint
from pytest_fractal.packaging_hints.project_files import CFG, PYPROJECT, SETUP, Hint, Project
from pytest_fractal.packaging_hints.toml_edits import set_toml


def naming_hint(
    tree: Path, package: str, folders: Sequence[str], manifests: Sequence[PurePosixPath]
) -> Hint | None:
    """How a package gets the folder that its name calls for; None where people must rename it.

    `package` is the folder that a server looks for, `folders` are those that the wheel has
    instead, and `manifests` those in the tree, the likeliest first. Where the tree has the
    folder, the backend must pack it; else the project gets the name of the folder that there
    is: one line, and no import changes.
    """
    for place in (PurePosixPath(package), PurePosixPath("src", package)):
        if (tree / place / "__init__.py").is_file() or any(
            manifest.parent == place for manifest in manifests
        ):
            name = manifests[0].name if manifests else "__init__.py"
            return packaging_hint(tree, place / name)
    own = [
        manifest.parent.name for manifest in manifests if manifest.parent.name in folders
    ] or list(folders)
    if len(own) != 1 or _as_folder(own[0]) != own[0]:
        return None
    if manifests and all(manifest.parent.name != own[0] for manifest in manifests):
        return None  # the package is a folder within that one
    renamed = _renamed_project(tree, package, own[0].replace("_", "-"))
    # The name of a project may be known elsewhere: people decide, so there are only words.
    return replace(renamed, fix=None) if renamed is not None else None


def flat_layout_hint(tree: Path, manifests: Sequence[PurePosixPath]) -> Hint | None:
    """The lines by which setuptools takes one package of several folders that lie beside it."""
    if build_backend(tree) != "setuptools" or not manifests or len(manifests[0].parts) != 2:
        return None
    project = Project(tree, manifests[0])
    folder = str(manifests[0].parent)
    keys = ("tool", "setuptools", "packages", "find", "include")
    if not set_toml(project, keys, [folder, f"{folder}.*"]):
        return None
    return project.hint()


def _renamed_project(tree: Path, package: str, name: str) -> Hint | None:
    """The project with another name, where its settings tell the old one in plain text."""
    project = Project(tree, PurePosixPath(PYPROJECT))
    for keys in (("project", "name"), ("tool", "poetry", "name")):
        if _as_folder(str(project.toml(*keys))) == package and set_toml(project, keys, name):
            return project.hint()
    for file, pattern in (
        (CFG, r"name\s*[=:]\s*(?P<name>\S+)\s*"),
        (SETUP, r"""\s*name\s*=\s*["'](?P<name>[^"']+)["'],?\s*"""),
    ):
        for line in project.read(file).splitlines():
            written = re.fullmatch(pattern, line)
            if written and _as_folder(written["name"]) == package:
                start, end = written.span("name")
                project.replace(file, line, line[:start] + name + line[end:])
                return project.hint()
    return None


def _as_folder(name: str) -> str:
    """The folder that a name calls for."""
    return re.sub(r"[-_.]+", "_", name).lower()
