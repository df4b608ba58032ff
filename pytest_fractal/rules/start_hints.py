"""How to fix a command that does not start: what its traceback and the environment tell."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from pytest_fractal.facts import Command, Installation
from pytest_fractal.fixes.model import Fix
from pytest_fractal.processes.tracebacks import Crash
from pytest_fractal.rules.script_hints import fix_for_relative_imports


def reads_environment(crash: Crash) -> bool:
    """Whether the exception is that an environment variable is not set."""
    in_os = ("/os.py", "<frozen os>")
    return (
        crash.type == "KeyError" and bool(crash.frames) and crash.frames[-1].file.endswith(in_os)
    )


_NO_FILE: Final = re.compile(r"No such file or directory: '[^'\n]*site-packages/([^'\n]+)'")


def hint_for_end(command: Command, crash: Crash | None) -> str:
    """What to do about a command that ends before it looks at its options."""
    installation = command.installation
    if crash is not None and installation is not None:
        if (shadow := _shadow(command.part.script, installation, crash)) is not None:
            return shadow
        wheel = installation.wheel
        lacking = _NO_FILE.search(crash.message)
        path = lacking[1] if lacking is not None else ""
        if path.startswith(f"{wheel.package}/") and path not in wheel.contents:
            return (
                f"the wheel does not hold {path}: let the build pack it, as it packs the manifest"
            )
    if crash is not None and reads_environment(crash):
        return (
            f"the environment variable {crash.message} need not be set where Fractal runs the "
            "task: read it with os.environ.get() and a default"
        )
    return (
        "it ends like this before it reads its arguments file, whatever the options: see what "
        "ends it"
    )


class Advice(NamedTuple):
    """What to do, in words; and as edits, where it is plain."""

    text: str
    fix: Fix | None = None


def advice_for_import(command: Command, crash: Crash | None, module: str | None) -> Advice:
    """What to do about a failed import: `module` is what is missing, where that is known."""
    installation = command.installation
    if crash is not None and crash.type in ("SyntaxError", "IndentationError", "TabError"):
        if installation is None:
            return Advice("fix the syntax, or name another interpreter in the command")
        version = installation.environment.interpreter.version
        return Advice(f"fix the syntax for Python {version}, or raise requires-python")
    shadow = _shadow(command.part.script, installation, crash) if installation and crash else None
    if shadow is not None:
        return Advice(shadow)
    if module is not None:
        if installation is None:
            return Advice(f"install the module {module!r} for the interpreter of the command")
        return _advice_for_module(installation, module.partition(".")[0], module)
    said = crash.message if crash else ""
    circle = re.search(r"partially initialized module '([\w.]+)'", said)
    if circle is not None:
        return Advice(
            f"{circle[1]!r} is imported while it is being imported: is one of your files named "
            "like a module that it needs? Else the imports go in a circle"
        )
    unnamed = re.match(r"No package metadata was found for ([\w.-]+)", said)
    if installation is not None and unnamed is not None:
        return Advice(_for_distribution(installation, unnamed[1]))
    drifted = _drifted(installation, crash) if installation and crash else None
    if drifted is not None:
        return Advice(drifted)
    if crash is not None and "attempted relative import" in crash.message:
        package = installation.wheel.package if installation else "your_package"
        return Advice(
            "Fractal runs the file as a script: name the package in its imports, such as "
            f"`from {package}.module import ...` for `from .module import ...`",
            fix_for_relative_imports(command),
        )
    return Advice("fix the exception: it is raised while the script imports what it needs")


IMPORT_NAMES: Final = {
    "attr": ("attrs",),
    "bs4": ("beautifulsoup4",),
    "cv2": (
        "opencv-python",
        "opencv-python-headless",
        "opencv-contrib-python",
        "opencv-contrib-python-headless",
    ),
    "dateutil": ("python-dateutil",),
    "fitz": ("pymupdf",),
    "PIL": ("pillow",),
    "ruamel": ("ruamel-yaml",),
    "skimage": ("scikit-image",),
    "sklearn": ("scikit-learn",),
    "yaml": ("pyyaml",),
}
"""Modules of the field whose distributions have other names, the usual one first."""


def _advice_for_module(installation: Installation, module: str, whole: str) -> Advice:
    wheel, asked = installation.wheel, installation.extras
    if module == wheel.package:
        return Advice(
            f"{whole!r} is a module of the package itself that is not in the wheel: see that the "
            "build takes it along (a folder without __init__.py?)"
        )
    where = _listed_at(installation)
    if module == "pkg_resources":
        return Advice(
            f'add "setuptools<82" to the dependencies{where}, the last with {module}, for a '
            "server's environment has the newest setuptools or none; or take importlib.metadata "
            "and importlib.resources instead, or a release that does"
        )
    distributions = IMPORT_NAMES.get(module, (canonicalize_name(module),))
    for requirement in wheel.requirements:
        if canonicalize_name(requirement.name) not in distributions or requirement.marker is None:
            continue
        for extra in wheel.extras:
            if extra not in asked and requirement.marker.evaluate({"extra": extra}):
                return Advice(
                    f"the extra [{extra}] brings {requirement.name}: ask for it, --fractal-package"
                    f"=...[{extra}], and tell users to collect the package with it; "
                    f"or move {requirement.name} to the dependencies"
                )
    if whole != module and canonicalize_name(module) in installation.versions:
        version = installation.versions[canonicalize_name(module)]
        return Advice(
            f"{module} {version} is installed and has no module {whole!r}: limit its version"
            f"{_declared_at(installation, module)}"
        )
    others = [extra for extra in wheel.extras if extra not in asked]
    maybe = (
        f", or ask for the extra that brings it (there is {', '.join(others)})" if others else ""
    )
    if module in IMPORT_NAMES:
        brings = f"{distributions[0]}, which brings the module {module!r}"
        return Advice(
            f"add {brings}, to the dependencies{where}{maybe}",
            None if others else Fix(requires=distributions[:1]),
        )
    return Advice(
        f"add the distribution that brings the module {module!r} to the dependencies{where}{maybe}"
    )


def _for_distribution(installation: Installation, name: str) -> str:
    """What to do where `importlib.metadata` finds no distribution of this name."""
    own = installation.wheel.distribution
    if canonicalize_name(name).replace("-", "") in canonicalize_name(own).replace("-", "") or (
        canonicalize_name(own).replace("-", "") in canonicalize_name(name).replace("-", "")
    ):
        return f"the project is called {own!r}: ask importlib.metadata for that name, not {name!r}"
    return (
        f"no distribution {name!r} is installed: add it to the dependencies"
        f"{_listed_at(installation)}, or ask for the project's own name, {own!r}"
    )


def _drifted(installation: Installation, crash: Crash) -> str | None:
    """Names the two packages that do not fit together, where the traceback tells."""
    if says := re.match(r"([\w.-]+) requires ([\w.-]+) ", crash.message):
        both = [canonicalize_name(name) for name in says.groups()]
        if all(name in installation.versions for name in both):
            return _does_not_fit(installation, *both)
    importing = next(
        (name for frame in reversed(crash.frames) if (name := _top_module(frame.file))), None
    )
    imported = re.search(r"from '([\w.]+)'|module '([\w.]+)' has no", crash.message)
    if importing is None or imported is None:
        return None
    other = (imported[1] or imported[2]).partition(".")[0]
    if other == installation.wheel.package:
        return f"{imported[1] or imported[2]} is a module of the package itself: fix the import"
    if other in sys.stdlib_module_names:
        version = installation.environment.interpreter.version
        return (
            f"{_installed(installation, importing)} does not fit to Python {version}: limit its "
            "version or requires-python, or fix the line if it is yours"
        )
    if importing == other:
        named = _installed(installation, importing)
        return (
            f"{named} cannot be imported: limit its version in the dependencies"
            f"{_declared_at(installation, importing)}"
        )
    return _does_not_fit(installation, importing, other)


def _does_not_fit(installation: Installation, importing: str, imported: str) -> str:
    """What to do about two modules that do not fit together, and who else has a say in it."""
    one, other = (_installed(installation, module) for module in (importing, imported))
    if importing == installation.wheel.package:
        change = f"limit the version of {_name(installation, imported)} in the dependencies"
        where = _declared_at(installation, imported)
        return (
            f"{one} does not fit to {other}{_held(installation, imported)}: change the import, or "
            f"{change}{where}"
        )
    where = _declared_at(installation, importing) or _declared_at(installation, imported)
    held = f"{_held(installation, importing)}{_held(installation, imported)}"
    return (
        f"{one} does not fit to {other}{held}: limit the version of one of them in the "
        f"dependencies{where}; --fractal-find-pins finds by trial which one works"
    )


def _held(installation: Installation, module: str) -> str:
    """Which distribution keeps that of a module below the lowest version, in a bracket."""
    name = _name(installation, module)
    holding = []
    for holder, requirements in installation.requirements.items():
        for text in requirements:
            try:
                requirement = Requirement(text)
                limits = [
                    Version(limit.version.removesuffix(".*"))
                    for limit in requirement.specifier
                    if limit.operator in ("<", "<=", "==", "~=")
                ]
            except (InvalidRequirement, InvalidVersion):
                continue
            marked = requirement.marker is not None and "extra" in str(requirement.marker)
            if limits and not marked and canonicalize_name(requirement.name) == name:
                holding.append(
                    (min(limits), f"{holder} {installation.versions.get(holder, '')}", requirement)
                )
    if not holding:
        return ""
    _, holder, requirement = min(holding, key=lambda one: one[:2])
    return f" ({holder} asks for {name}{requirement.specifier})"


def _declared_at(installation: Installation, module: str) -> str:
    """Where the source tree names the distribution of a module, or would."""
    line = installation.dependency_lines.get(_name(installation, module))
    return f" ({line})" if line else _listed_at(installation)


def _listed_at(installation: Installation) -> str:
    line = installation.dependency_lines.get("")
    return f" ({line})" if line else ""


def _shadow(script: str, installation: Installation, crash: Crash) -> str | None:
    """The file of the script's folder that takes the place of a module that is imported."""
    folder = PurePosixPath(script).parent
    beside = {
        path.stem: str(path)
        for path in map(PurePosixPath, installation.wheel.contents)
        if path.parent == folder and path.suffix == ".py"
    }
    named = [name.partition(".")[0] for name in re.findall(r"'([\w.]+)'", crash.message)]
    passed = [PurePosixPath(frame.file).stem for frame in crash.frames[1:]]
    at = {
        PurePosixPath(frame.file).stem
        for frame in crash.frames
        if frame.file.endswith(tuple(f"/{path}" for path in beside.values()))
    }
    for name in (*named, *passed):
        is_foreign = name in sys.stdlib_module_names or _name(installation, name) in (
            installation.versions
        )
        if name in beside and is_foreign and (name in named or name in at):
            return (
                f"{beside[name]} takes the place of the module {name!r} that is imported, since "
                "Python looks in the folder of the script first: rename that file"
            )
    return None


def _top_module(file: str) -> str | None:
    _, found, path = file.rpartition("site-packages/")
    return Path(path).parts[0].removesuffix(".py") if found else None


def _name(installation: Installation, module: str) -> str:
    """The normalised name of the distribution that brings a module."""
    names = IMPORT_NAMES.get(module, (canonicalize_name(module),))
    return next((name for name in names if name in installation.versions), names[0])


def _installed(installation: Installation, module: str) -> str:
    name = _name(installation, module)
    version = installation.versions.get(name)
    return f"{name} {version}" if version else json.dumps(module)
