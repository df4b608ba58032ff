"""Mutants of what a wheel says of itself: METADATA, RECORD, its version, and `.pth` files."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_fractal.environments.wheels import MANIFEST_NAME

from .bases import Base
from .mutant import Mutant, about_folder


def metadata_mutants(base: Base) -> Iterator[Mutant]:
    """All of them; a server installs them by a real pip. Not of what needs other packages."""
    if base.requirements:
        return
    yield from _metadata(base)
    yield from _records(base)
    yield from _paths(base)
    if "!" not in about_folder(base):
        yield _with_epoch(base)


def _mutant(base: Base, what: str, how: str, files: dict[str, bytes]) -> Mutant:
    return Mutant(what, how, base, files, base.manifest, by_pip=True)


def _metadata(base: Base) -> Iterator[Mutant]:
    path = f"{about_folder(base)}/METADATA"
    good = base.files[path].decode()
    head, _, body = good.partition("\n\n")
    head, blank = head.rstrip("\n"), "\n\n"
    version = next(line for line in head.splitlines() if line.startswith("Version:"))
    name = next(line for line in head.splitlines() if line.startswith("Name:"))
    for how, text in {
        "as it is": good,
        **{
            f"{field} with the manifest's name": f"{head}\n{field}: {value}{blank}{body}"
            for field, value in {
                "Home-page": f"https://example.org/{MANIFEST_NAME}",
                "Project-URL": f"Homepage, https://example.org/{MANIFEST_NAME}",
                "License": MANIFEST_NAME,
                "Author": MANIFEST_NAME,
                "Keywords": MANIFEST_NAME,
            }.items()
            if f"\n{field}: " not in head or field == "Project-URL"
        },
        "Author with a place": f"{head}\nAuthor: A Location: B{blank}{body}",
        "License with a name": f"{head}\nLicense: the Name: of it{blank}{body}",
        "the version without a blank": good.replace(version, version.replace(": ", ":")),
        "the name without a blank": good.replace(name, name.replace(": ", ":")),
        "the version with two blanks": good.replace(version, version.replace(": ", ":  ")),
        "a key that begins with Version before it": good.replace(
            version, f"Version-Note: none at all\n{version}"
        ),
        "Windows line ends": good.replace("\n", "\r\n"),
        "a body with the manifest's name": f"{head}\n\n{MANIFEST_NAME}\n",
        "no version": good.replace(f"{version}\n", ""),
    }.items():
        yield _mutant(base, "METADATA", how, {**base.files, path: text.encode()})


def _records(base: Base) -> Iterator[Mutant]:
    """A `RECORD` that lists what is not there, or otherwise than it is."""
    path = base.manifest_path
    lines = [f"{name},,\n" for name in base.files]
    others = [line for line in lines if not line.startswith(f"{path},")]
    for how, record in {
        "empty": [],
        "without the manifest": others,
        "a manifest that is not there": [*lines, f"{base.package}/old/{MANIFEST_NAME},,\n"],
        "the manifest twice": [*lines, f"{path},,\n"],
        "the manifest by an absolute path": [*others, f"/opt/{path},,\n"],
        "the manifest with backslashes": [*others, path.replace("/", "\\") + ",,\n"],
        "the manifest with ./ before": [*others, f"./{path},,\n"],
        "the manifest with .. within": [*others, f"{base.package}/../{path},,\n"],
        "rows of two columns": [line[:-2] + "\n" for line in lines],
        "rows of four columns": [line[:-1] + ",\n" for line in lines],
    }.items():
        files = dict(base.files)
        yield Mutant(
            "RECORD",
            how,
            base,
            files,
            base.manifest,
            record="".join(record).encode() or b"\n",
            by_pip=True,
        )


def _paths(base: Base) -> Iterator[Mutant]:
    """What a `.pth` file prints when Python starts, and with it `pip show`."""
    for how, text in {
        "that prints the manifest's name": f"import sys; print('{MANIFEST_NAME}')\n",
        "that prints a place": "import sys; print('Location: /nowhere')\n",
        "that prints something else": "import sys; print('hello')\n",
        "that prints nothing": "import sys\n",
    }.items():
        files = {"own.pth": text.encode(), **base.files}
        yield _mutant(base, "a .pth file", how, files)


def _with_epoch(base: Base) -> Mutant:
    about = about_folder(base)
    name, version = about.removesuffix(".dist-info").split("-")
    files = {
        path.replace(about, f"{name}-1!{version}.dist-info"): content.replace(
            f"Version: {version}".encode(), f"Version: 1!{version}".encode()
        )
        if path == f"{about}/METADATA"
        else content
        for path, content in base.files.items()
    }
    return Mutant(
        "the version",
        "with an epoch",
        base,
        files,
        base.manifest,
        version=f"1!{version}",
        by_pip=True,
    )
