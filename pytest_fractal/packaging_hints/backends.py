"""How to get a manifest into the wheel that lies in the source tree and is lost in between.

This is the mistake that people really make, and its fix differs for every build
backend. A hint names the cause where the candidate's files tell it, and gives the lines
to add, replace or delete; each edit is tried on a copy of the file's text first, and
one that does not read back as intended is described in words instead.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

from pytest_fractal.packaging_hints.patterns import globs, ignores
from pytest_fractal.packaging_hints.project_files import PYPROJECT, Hint, Project
from pytest_fractal.packaging_hints.setuptools import (
    keep_by_setuptools,
    keep_package_by_setuptools,
)
from pytest_fractal.packaging_hints.toml_edits import drop_patterns, extend_list, set_toml

__all__ = ["Hint", "build_backend", "packaging_hint", "packaging_hint_for_module"]


def packaging_hint_for_module(tree: Path, module: PurePosixPath) -> Hint | None:
    """How to make the build backend pack a Python file; None where it is not known.

    `tree` is the folder of the source, `module` the path of the file in it.
    """
    project = Project(tree, module)
    name = _backend(project)
    if name == "setuptools":  # it packs modules by the packages that it finds, not one by one
        keep_package_by_setuptools(project)
    elif name in _BACKENDS:
        _BACKENDS[name](project)
    return None if project.is_silent else project.hint()


def packaging_hint(tree: Path, manifest: PurePosixPath) -> Hint:
    """How to make the candidate's own build backend pack its manifest.

    `tree` is the folder of the source, `manifest` the path of the manifest in it.
    Source: the documentation of each backend, and what its builds were seen to do.
    """
    project = Project(tree, manifest)
    place = project.place_for_manifest()
    if place != manifest:
        project.manifest, project.moved = place, True
        project.says(f"Move {manifest} to {place}: it belongs into the package's own folder.")
        _forget(project, manifest)
    name = _backend(project)
    if name in _BACKENDS:
        _BACKENDS[name](project)
    elif not project.moved:
        project.asks(
            f"The build backend {name} leaves it out: look up in its documentation how files "
            "other than Python modules are packed."
        )
    return project.hint()


def _forget(project: Project, manifest: PurePosixPath) -> None:
    """Take a file out of what hatchling has to include by its path, for it is moved."""
    for target in (("targets", "wheel"), ("targets", "sdist"), ()):
        keys = ("tool", "hatch", "build", *target, "force-include")
        included = project.toml(*keys)
        if isinstance(included, dict) and str(manifest) in included:
            file, _ = project.place_of(keys)
            named = re.compile(rf"""\s*["']{re.escape(str(manifest))}["']\s*=.*""")
            lines = [line for line in project.read(file).splitlines() if named.fullmatch(line)]
            for line in lines:
                project.delete(file, line)


def build_backend(tree: Path) -> str:
    """The family of the build backend of a source tree, such as `setuptools`, or its own name."""
    return _backend(Project(tree, PurePosixPath()))


def _git_ignored(project: Project, files: Sequence[str]) -> bool:
    """Unignore the manifest where one of these .gitignore files ignores it."""
    for file in files:
        folder = PurePosixPath(os.path.relpath((project.tree / file).parent, project.tree))
        try:
            path = PurePosixPath(os.path.relpath(str(project.manifest), folder))
        except ValueError:
            continue
        culprit = None
        for line in map(str.strip, project.read(file).splitlines()):
            if not line or line.startswith("#"):
                continue
            if ignores(line.removeprefix("!"), path):
                culprit = None if line.startswith("!") else line
        if culprit is not None:
            project.says(
                f"{file} ignores it ({culprit}), and the backend leaves out what git ignores."
            )
            project.append(file, f"!{project.manifest.name}")
            return True
    return False


def _git_ignore_files(project: Project) -> list[str]:
    """The .gitignore files that count for the manifest, the strongest first; none without git."""
    tree = project.tree.absolute()
    top = next((place for place in (tree, *tree.parents) if (place / ".git").exists()), None)
    if top is None:
        return []
    start = tree / project.folder
    places = [place for place in (start, *start.parents) if place.is_relative_to(top)]
    return [
        Path(os.path.relpath(place / ".gitignore", tree)).as_posix()
        for place in places
        if (place / ".gitignore").is_file()
    ]


def _backend(project: Project) -> str:
    """The family of the build backend (PEP 517), or its own name."""
    backend = project.toml("build-system", "build-backend", default="setuptools.build_meta")
    requires = project.entries("build-system", "requires")
    families = {name: name for name in ("setuptools", "hatchling", "poetry", "pdm", "uv_build")}
    families |= {"flit": "flit", "flit_core": "flit"}
    family = families.get(re.split(r"[.:]", str(backend))[0])
    if family is None:  # a backend of the project's own, around one of these
        for requirement in requires:
            name = re.split(r"[^\w-]", str(requirement).strip())[0].replace("-", "_")
            family = family or families.get(name.removesuffix("_core").removesuffix("_backend"))
    return family or str(backend)


def _hatchling(project: Project) -> None:
    manifest = project.manifest
    build = ("tool", "hatch", "build")
    targets = [(*build, "targets", target) for target in ("sdist", "wheel")]
    places = [build, *targets]
    found = [
        drop_patterns(project, (*keys, "exclude"), lambda p: ignores(p, manifest))
        for keys in places
    ]
    if not project.toml(*build, "ignore-vcs"):
        # hatchling reads the nearest .gitignore, with or without a repository.
        tree = project.tree.absolute()
        for folder in (tree, *tree.parents):
            if (folder / ".gitignore").is_file():
                file = Path(os.path.relpath(folder / ".gitignore", tree)).as_posix()
                found.append(_git_ignored(project, [file]))
            if (folder / ".gitignore").is_file() or (folder / ".git").exists():
                break
    # A target's own list stands in for the one for all targets.
    lists = {
        (*(build if project.toml(*target, name) is None else target), name): None
        for target in targets
        for name in ("include", "only-include")
    }
    for keys in lists:
        patterns = project.entries(*keys)
        if patterns and not any(ignores(pattern, manifest) for pattern in patterns):
            project.says(f"{project.named(keys)} does not name it.")
            extend_list(project, keys, [str(manifest)])
            found.append(True)
    packages = (*targets[1], "packages")
    listed = project.entries(*packages)
    if listed and not any(ignores(f"/{folder}", manifest) for folder in listed):
        project.says(f"{project.named(packages)} does not name {project.folder}.")
        # Of a folder that is named, what lies above it is not in the paths of the wheel.
        others = [
            item
            for item in listed
            if project.folder not in PurePosixPath(item).parents and (project.tree / item).is_dir()
        ]
        if not set_toml(project, packages, [*others, str(project.folder)]):
            project.says(f"Name {project.folder} there.")
        found.append(True)
    if any(found) or project.moved:
        return
    project.says("Nothing in the project's files tells why hatchling leaves it out.")
    inside = manifest.relative_to("src") if manifest.parts[0] == "src" else manifest
    for target, place in zip(targets, (manifest, inside), strict=True):
        set_toml(project, (*target, "force-include", str(manifest)), str(place))


def _poetry(project: Project) -> None:
    manifest = project.manifest
    poetry = ("tool", "poetry")
    found = [drop_patterns(project, (*poetry, "exclude"), lambda p: globs(p, manifest))]
    found.append(_git_ignored(project, _git_ignore_files(project)))
    packages = project.entries(*poetry, "packages")
    places = [PurePosixPath(p.get("from", ""), p.get("include", "")) for p in packages]
    if packages and not any(globs(str(place), manifest) for place in places):
        project.says(f"`packages` in [tool.poetry] of {PYPROJECT} does not name it.")
        extend_list(project, (*poetry, "packages"), [_poetry_entry(manifest, packages)])
        found.append(True)
    if any(found) or project.moved:
        return
    # An `include` goes before every exclusion, but into a wheel by its whole path:
    # from `src` only the sdist needs it, since the wheel is made of that, without git.
    project.says("Nothing in the project's files tells why poetry-core leaves it out.")
    formats = ["sdist"] if manifest.parts[0] == "src" else ["sdist", "wheel"]
    extend_list(project, (*poetry, "include"), [{"path": str(manifest), "format": formats}])


def _poetry_entry(manifest: PurePosixPath, packages: Sequence[Any]) -> dict[str, str]:
    for entry in packages:  # what goes with it into another folder of the wheel
        if "to" in entry and manifest.is_relative_to(entry.get("from", "")):
            return {**entry, "include": str(manifest.relative_to(entry.get("from", "")))}
    if manifest.parts[0] == "src":
        return {"include": str(manifest.relative_to("src")), "from": "src"}
    return {"include": str(manifest)}


def _flit(project: Project) -> None:
    sdist = ("tool", "flit", "sdist", "exclude")
    if (
        not drop_patterns(project, sdist, lambda p: globs(p, project.manifest))
        and not project.moved
    ):
        project.asks(
            f"flit packs every file of the module's folder: the name in {PYPROJECT} "
            f"([project] or [tool.flit.module]) must be that of {project.folder}."
        )


def _pdm(project: Project) -> None:
    manifest = project.manifest
    build = ("tool", "pdm", "build")
    # What `source-includes` names goes into the sdist alone.
    found = [
        drop_patterns(project, (*build, name), lambda p: globs(p, manifest))
        for name in ("excludes", "source-includes")
    ]
    includes = project.entries(*build, "includes")
    if includes and not any(globs(pattern, manifest) for pattern in includes):
        project.says(f"`includes` in [tool.pdm.build] of {PYPROJECT} does not name it.")
        extend_list(project, (*build, "includes"), [str(manifest)])
        found.append(True)
    if not any(found) and not project.moved:
        project.asks(
            f"pdm-backend packs every file of a package: {project.folder} must be one, "
            f"with an __init__.py, below `package-dir` in [tool.pdm.build] of {PYPROJECT}."
        )


def _uv_build(project: Project) -> None:
    settings = ("tool", "uv", "build-backend")
    found = [
        drop_patterns(project, (*settings, name), lambda p: ignores(p, project.manifest))
        for name in ("source-exclude", "wheel-exclude")
    ]
    if not any(found) and not project.moved:
        project.asks(
            f"uv_build packs every file of the module: `module-name` and `module-root` in "
            f"[tool.uv.build-backend] of {PYPROJECT} must lead to {project.folder}."
        )


_BACKENDS: Final[dict[str, Callable[[Project], None]]] = {
    "setuptools": keep_by_setuptools,
    "hatchling": _hatchling,
    "poetry": _poetry,
    "flit": _flit,
    "pdm": _pdm,
    "uv_build": _uv_build,
}
"""Each tells why its backend loses the manifest, and makes the edits against it."""
