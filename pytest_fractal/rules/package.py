"""FR0: the package can be built, installed and found."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Final

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from pytest_fractal.environments.install_errors import FailureKind, InstallFailure, explain
from pytest_fractal.environments.wheels import Wheel
from pytest_fractal.facts import Build, Bundle, Installation, TreeBuild
from pytest_fractal.packaging_hints.failed_builds import build_hint
from pytest_fractal.packaging_hints.names import flat_layout_hint, naming_hint
from pytest_fractal.packaging_hints.versions import version_hint
from pytest_fractal.rules.cite import Source
from pytest_fractal.rules.manifest import SEPARATOR_HINT
from pytest_fractal.rules.registry import rule
from pytest_fractal.verdicts import Finding, NotApplicable, Severity


@rule(
    "FR001",
    "builds-a-wheel",
    cite=(Source.PACKAGE,),
    fix="Run `python -m build` in the folder and fix what it complains about.",
    example="setup.py imports numpy, and [build-system] requires only setuptools.",
)
def builds_a_wheel(build: Build) -> Iterator[Finding]:
    """An isolated build of the source gives exactly one wheel, by way of the sdist.

    Fractal installs wheels only. A release is built as sdist first, then the wheel
    from that sdist, each in an isolated environment; a build that works in the
    author's own environment can still fail there.
    """
    failure = build.built.failure
    if failure is None:
        if build.kind != "source":
            what = "requirement" if build.kind == "requirement" else "wheel"
            raise NotApplicable(f"the {what} was not built here")
        return
    if build.kind == "requirement":
        yield Finding(
            expected="a wheel on the package index: Fractal installs nothing else",
            found=failure.message,
            hint="build with `python -m build` and upload the wheel beside the sdist",
            file=build.text,
        )
        return
    if failure.timed_out:
        yield Finding(
            expected="a build that ends",
            found=failure.message,
            hint="see what it waits for with `python -m build`; if it does take that long, give "
            "it more: --fractal-build-timeout=SECONDS",
            file="pyproject.toml",
        )
        return
    hints = {
        "settings": "fix pyproject.toml: TOML in UTF-8 without a byte order mark, whose "
        "[build-system] names in `requires` what is needed to build and in `build-backend` who "
        "builds",
        "requirements": "fix the `requires` of [build-system]: each must be on the index and "
        "have a version that fits",
        "sdist": "run `python -m build --sdist` and fix what it complains about",
        "wheel": "the wheel is built from the unpacked sdist: see that the sdist holds every file "
        "that the build needs; `python -m build` shows the same error",
    }
    packing = None
    if build.source is not None and "packages discovered in a flat-layout" in failure.message:
        packing = flat_layout_hint(build.source, build.source_manifests)
    yield Finding(
        expected="one sdist, and one wheel built from it",
        found=f"the build ended at its {failure.stage}: {failure.message}",
        hint=packing.text
        if packing is not None
        else version_hint(failure.message)
        or (build.source and build_hint(build.source, failure.stage, failure.message))
        or hints[failure.stage],
        file=_file_of_build(build.source),
        fix=packing.fix if packing is not None else None,
    )


def _file_of_build(source: Path | None) -> str:
    """The file that says how a project is built."""
    names = ("pyproject.toml", "setup.py")
    there = [name for name in names if source is not None and (source / name).exists()]
    return (there or ["pyproject.toml"])[0]


@rule(
    "FR002",
    "installs",
    needs=("FR001", "FR004"),
    cite=(Source.PACKAGE,),
    fix="Fix the requirement or the `requires-python` that the installer names.",
    example='dependencies = ["numpy>=99"]: no release is that new.',
)
def installs(installation: Installation) -> Iterator[Finding]:
    """The wheel and the extras asked for install into a fresh environment.

    The server makes a virtual environment for each version of a package and installs
    the wheel there; when that fails, no task is collected. What pip refuses is refused,
    also where a faster installer would take it: files that lead out of the wheel, a
    requirement in a form that the standard does not have, a Python that `requires-python`
    excludes.
    """
    if installation.finished is None:
        folder = installation.environment.folder
        raise NotApplicable(f"nothing is installed: it is judged as it is in {folder}")
    for extra in installation.extras:
        known = {canonicalize_name(name) for name in installation.wheel.extras}
        if canonicalize_name(extra) not in known:
            yield Finding(
                expected=f"an extra {extra!r}, as it was asked for",
                found=f"no extra {extra!r}; the wheel has "
                + (", ".join(installation.wheel.extras) or "none"),
                hint=f"declare {extra!r} in [project.optional-dependencies], or ask for another",
                file=installation.wheel.metadata_path,
            )
    if not installation.finished.returncode:
        return
    python = installation.environment.interpreter.version
    failure = explain(installation.finished, python)
    failure = replace(failure, message=_as_in_the_wheel(failure.message, installation))
    yield Finding(
        expected=f"an installation of {installation.wheel.path.name} under Python {python}",
        found=failure.message,
        hint=_hint_for_install(failure, installation.wheel),
        file=_file_at_fault(failure, installation.wheel),
    )


def _hint_for_install(failure: InstallFailure, wheel: Wheel) -> str:
    file = _file_at_fault(failure, wheel) or ""
    if failure.kind is FailureKind.CONTENT and PurePosixPath(file).name in _OF_BACKENDS:
        return _OF_BACKENDS[PurePosixPath(file).name]
    if failure.kind is FailureKind.CONTENT and file in wheel.entries:
        return f"leave {file} out of the wheel, and build it anew with a current build backend"
    return _INSTALL_FIXES[failure.kind]


def _file_at_fault(failure: InstallFailure, wheel: Wheel) -> str | None:
    """The path in the archive that an installer complains about; METADATA for requirements."""
    if failure.kind is FailureKind.PIP:
        return next((path for path in wheel.entries if path.startswith("pip/")), None)
    if failure.kind is FailureKind.PLATFORM:
        return wheel.path.name
    if failure.kind is not FailureKind.CONTENT:
        return wheel.metadata_path
    said = failure.message
    named = [path for path in wheel.entries if f"'{path}'" in said or f'"{path}"' in said]
    beside = (wheel.metadata_path or "").removesuffix("METADATA")
    for pattern, name in (
        (r"entry point", "entry_points.txt"),
        (r"Wheel-Version|\bWHEEL\b", "WHEEL"),
        (r"\bRECORD\b", "RECORD"),
    ):
        if re.search(pattern, said) and f"{beside}{name}" in wheel.entries:
            named.append(f"{beside}{name}")
    return named[0] if named else wheel.path.name


_OF_BACKENDS: Final = {
    "entry_points.txt": "write each command in [project.scripts] as `name = "
    '"package.module:function"`, and build the wheel anew',
    "RECORD": "build the wheel anew with a current build backend",
    "WHEEL": "build the wheel anew with a current build backend",
}
"""What to do about the files that build backends write."""


def _as_in_the_wheel(message: str, installation: Installation) -> str:
    """What an installer says, without folders that are there in this run alone."""
    for folder in (installation.wheel.path.parent, installation.environment.site_packages):
        message = message.replace(f"{folder}/", "").replace(str(folder), folder.name)
    return message


_INSTALL_FIXES: Final = {
    FailureKind.PYTHON: "change `requires-python`, or choose another interpreter by "
    "--fractal-python",
    FailureKind.PLATFORM: "its file name says for which Python and platform it is: choose that "
    "interpreter by --fractal-python, or build a wheel for this one; one without compiled code is "
    "py3-none-any",
    FailureKind.BUILD: "require a release that has a wheel for this Python, or choose another "
    "interpreter by --fractal-python",
    FailureKind.METADATA: "require a newer release of what pip names, whose METADATA follows the "
    "standard; for the wheel's own METADATA, build it anew with a current build backend",
    FailureKind.CONTENT: "build the wheel anew with a current build backend, and without the file "
    "that pip names",
    FailureKind.REQUIREMENTS: "change the requirement that no release meets, or one of those that "
    "exclude each other",
    FailureKind.PIP: "leave the folder pip/ out of the wheel: it replaces the pip that the server "
    "goes on to use",
    FailureKind.OTHER: "fix what the installer names",
}


@rule(
    "FR003",
    "package-folder",
    needs=("FR001", "FR004"),
    cite=(Source.SERVER_1, Source.SERVER_2),
    fix="Rename the project, or the import folder, so that they agree.",
    example='name = "My-Tasks", and the import folder is called MyTasks/ instead of my_tasks/.',
)
def package_folder(bundle: Bundle) -> Iterator[Finding]:
    """The import folder is the normalised name of the package, with `-` as `_`.

    The server looks for executables in `site-packages/<that folder>` alone and ends
    with "Could not determine package installation location." when it is not there.
    """
    wheel = bundle.wheel
    if wheel.package in wheel.folders:
        return
    tops = sorted({folder for folder in wheel.folders if "/" not in folder})
    has = ", ".join(f"{top}/" for top in tops) or "no folder at all"
    naming = (
        naming_hint(bundle.source, wheel.package, tops, bundle.source_manifests)
        if bundle.source is not None
        else None
    )
    yield Finding(
        expected=f"a folder {wheel.package}/ in the wheel, from the name {wheel.distribution!r}",
        found=f"the wheel has {has}",
        hint=f"{naming.text}\nor rename the import folder to {wheel.package}"
        if naming is not None and naming.fix is None
        else naming.text
        if naming is not None
        else SEPARATOR_HINT
        if any(path.startswith(f"{wheel.package}\\") for path in wheel.entries)
        else f"rename the import folder to {wheel.package!r} (lower case, and runs of - _ . as "
        f"one _), or give the project a name that becomes the folder's",
        file=wheel.path.name,
        fix=naming.fix if naming is not None else None,
    )


@rule(
    "FR004",
    "name-and-version",
    needs=("FR001",),
    cite=(Source.SERVER_1, Source.SERVER_2, Source.PACKAGING),
    fix="Give the project a name and a version; never rename a wheel by hand.",
    example="A wheel that was renamed by hand to my_tasks.whl.",
)
def name_and_version(wheel: Wheel) -> Iterator[Finding]:
    """Name and version can be read from METADATA, and the file name is a wheel's.

    The server reads the first from METADATA, splits the second at its dashes, and
    builds the `source` of every task from them.
    """
    if wheel.metadata_path is None:
        yield Finding(
            expected="a *.dist-info/METADATA in the wheel",
            found="there is none",
            hint="build the wheel anew with a build backend: `python -m build`",
            file=wheel.path.name,
        )
    elif wheel.metadata_of_the_server != wheel.metadata_path:
        yield Finding(
            expected=f"{wheel.metadata_path} as the first METADATA in the wheel",
            found=f"{wheel.metadata_of_the_server} before it, from which the server takes "
            "name and version",
            hint=f"leave {wheel.metadata_of_the_server} out of the wheel",
            file=wheel.metadata_of_the_server,
        )
    for field, value in (("Name", wheel.name), ("Version", wheel.version)):
        if wheel.metadata_path is not None and value is None:
            yield Finding(
                expected=f"a line `{field}: ...`",
                found="there is none",
                hint=f"set `{field.lower()}` in the [project] table of pyproject.toml",
                file=wheel.metadata_path,
            )
    try:
        wheel.raw_metadata.decode()
    except UnicodeDecodeError as error:
        yield Finding(
            expected="METADATA in UTF-8, as the server reads it",
            found=f"byte 0x{wheel.raw_metadata[error.start]:02x} is not UTF-8",
            hint="build the wheel anew with a current build backend",
            file=wheel.metadata_path,
        )
    version = None
    if wheel.version is not None:
        try:
            version = Version(wheel.version)
        except InvalidVersion:
            yield Finding(
                expected="a version such as 1.2.0 (PEP 440)",
                found=wheel.version,
                hint="set a `version` that follows PEP 440",
                file=wheel.metadata_path,
            )
    if wheel.path.suffix == ".dist-info":
        return  # of what is installed nobody knows the wheel's file name
    hint = "build the wheel anew, and keep the name that the build backend gives it"
    try:
        file_name, file_version, _, _ = parse_wheel_filename(wheel.path.name)
    except InvalidWheelFilename as error:
        yield Finding(
            expected="NAME-VERSION-PYTHON-ABI-PLATFORM.whl",
            found=f"{wheel.path.name} ({error})",
            hint=hint,
            file=wheel.path.name,
        )
        return
    other_name = wheel.name is not None and canonicalize_name(wheel.name) != file_name
    if other_name or version not in (None, file_version):
        yield Finding(
            expected=f"a file name that begins with name and version in METADATA, "
            f"{wheel.name} and {wheel.version}",
            found=wheel.path.name,
            hint=hint,
            file=wheel.path.name,
        )


@rule(
    "FR005",
    "consistent-dependencies",
    severity=Severity.WARNING,
    needs=("FR002",),
    cite=("none: the installer's own check",),
    fix="Choose requirements and pins that agree with each other.",
    example="The package requires zarr<3, and --fractal-pin=zarr==3.0.1 is installed after it.",
)
def consistent_dependencies(installation: Installation) -> Iterator[Finding]:
    """After installing and pinning, no requirement is unmet.

    Pinned versions are installed one after the other behind the package, whatever it
    requires; a task may then fail in a way that nobody can trace back to the pin.
    """
    for line in installation.unmet:
        yield Finding(
            expected="every requirement met",
            found=line,
            hint="change the pin, or the requirement that excludes it"
            if installation.pins
            else "add what is missing to the dependencies, or loosen the requirement",
            file=installation.wheel.metadata_path,
        )


@rule(
    "FR006",
    "same-wheel-from-tree",
    severity=Severity.WARNING,
    needs=("FR001",),
    cite=("none: packages were released empty because only one of the two ways was tried",),
    fix="Make the sdist hold everything that the wheel needs.",
    example="MANIFEST.in leaves data/model.json out of the sdist; `pip install .` still finds it.",
)
def same_wheel_from_tree(tree: TreeBuild) -> Iterator[Finding]:
    """A wheel built straight from the tree holds the same files as the one from the sdist.

    `pip install .` takes the one way and a release the other, so what the author tests
    need not be what users get.
    """
    if tree.built is None:
        raise NotApplicable("there is no source tree")
    if tree.tree_wheel is None:
        failure = tree.built.failure
        yield Finding(
            expected="a wheel built straight from the source tree, as `pip install .` does",
            found=failure.message if failure else "no wheel",
            hint="run `python -m build --wheel` in the folder and fix what it complains about",
            file="pyproject.toml",
        )
        return
    released, direct = set(tree.wheel.contents), set(tree.tree_wheel.contents)
    if lost := sorted(direct - released):
        yield Finding(
            expected="the same files in both wheels",
            found=f"the wheel by way of the sdist lacks {_listed(lost)}",
            hint="the sdist leaves them out: look at its include and exclude settings "
            "(MANIFEST.in, [tool.*.sdist]) and at .gitignore",
            file="pyproject.toml",
        )
    if added := sorted(released - direct):
        yield Finding(
            expected="the same files in both wheels",
            found=f"only the wheel by way of the sdist holds {_listed(added)}",
            hint="make the two ways agree: look at the include and exclude settings of the wheel, "
            "and at files that are generated while the sdist is built",
            file="pyproject.toml",
        )


def _listed(paths: list[str]) -> str:
    more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
    return ", ".join(paths[:5]) + more
