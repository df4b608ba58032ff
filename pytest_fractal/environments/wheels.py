"""What a wheel file holds, read without installing it."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from packaging.metadata import parse_email
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from pytest_fractal.errors import BadInput
from pytest_fractal.files import NotRegular, open_regular
from pytest_fractal.signatures.sources import Sources
from pytest_fractal.signatures.task_function import Signatures

MANIFEST_NAME: Final = "__FRACTAL_MANIFEST__.json"

READ_LIMIT: Final = 64 * 2**20
"""How many bytes of one file in a wheel are read: modules have some kilobytes."""


_LONGEST_PATH: Final = 4096
"""In bytes, on Linux."""

_DATA: Final = re.compile(r"^[^/]+\.data/(?:purelib|platlib)/(.+)$")
_METADATA: Final = re.compile(r"[^/]+\.dist-info/METADATA")
_APART: Final = re.compile(r"^[^/]+\.(?:data|dist-info)/")


class TooLarge(BadInput):
    """A file of the package is larger than what is read of one."""


def check_size(path: str, size: int, limit: int = READ_LIMIT) -> None:
    """Raise `TooLarge` for a file of more than `limit` bytes."""
    if size > limit:
        raise TooLarge(
            f"{path} has {size / 2**20:,.1f} MiB; no more than {limit // 2**20} MiB are read"
        )


@dataclass(frozen=True)
class Wheel:
    """The facts of one wheel file."""

    path: Path
    entries: tuple[str, ...]
    """All paths in the archive, in its own order, folders left out; one may be there twice."""
    contents: Mapping[str, bytes] = field(repr=False)
    """The installed files: path below site-packages -> content, read when it is asked for."""
    metadata_path: str | None
    """The path of the wheel's own `*.dist-info/METADATA` in the archive."""
    raw_metadata: bytes = field(repr=False)

    @cached_property
    def _fields(self) -> Mapping[str, object]:
        known, unknown = parse_email(self.raw_metadata)
        return {**known, **unknown}

    @property
    def name(self) -> str | None:
        """The `Name` of METADATA, as written there; None when there is none."""
        return _text(self._fields.get("name"))

    @property
    def version(self) -> str | None:
        """The `Version` of METADATA, as written there; None when there is none."""
        return _text(self._fields.get("version"))

    @property
    def distribution(self) -> str:
        """The name of the package; where METADATA has none, the one of the file name."""
        return self.name or self.path.name.split("-")[0]

    @property
    def package(self) -> str:
        """The folder below site-packages in which the server looks for the package.

        The normalised name with `-` as `_` (fractal-server 1.4.10, `_pip_install`).
        """
        return canonicalize_name(self.distribution).replace("-", "_")

    @property
    def extras(self) -> tuple[str, ...]:
        """The names of the extras, as METADATA provides them."""
        provided = self._fields.get("provides_extra")
        return tuple(map(str, provided)) if isinstance(provided, list) else ()

    @property
    def requires_python(self) -> SpecifierSet:
        """The versions of Python that METADATA allows; all where it does not tell."""
        try:
            return SpecifierSet(str(self._fields.get("requires_python", "")))
        except InvalidSpecifier:
            return SpecifierSet()

    @property
    def requires_anything(self) -> bool:
        """Whether METADATA has a requirement, be it of an extra or one that cannot be read."""
        return bool(self._fields.get("requires_dist"))

    @cached_property
    def requirements(self) -> tuple[Requirement, ...]:
        """What METADATA requires; lines that are no requirements are left out."""
        lines = self._fields.get("requires_dist")
        found = []
        for line in lines if isinstance(lines, list) else ():
            try:
                found.append(Requirement(str(line)))
            except InvalidRequirement:
                continue
        return tuple(found)

    @property
    def record(self) -> str:
        """The text of its RECORD; empty when it has none that can be read."""
        path = (self.metadata_path or "").removesuffix("METADATA") + "RECORD"
        try:
            return self.read(path).decode(errors="replace") if path in self.entries else ""
        except TooLarge:
            return ""

    @cached_property
    def sources(self) -> Sources:
        """Its Python, parsed once for all who look into it."""
        return Sources(self.contents)

    @cached_property
    def signatures(self) -> Signatures:
        """The signatures of the functions that its executables run."""
        return Signatures(self.sources, self.package)

    @cached_property
    def folders(self) -> frozenset[str]:
        """Every folder below site-packages that holds a file."""
        found: set[str] = set()
        for path in self.contents:
            if len(path) > _LONGEST_PATH or not {"", ".."}.isdisjoint(path.split("/")):
                continue  # an installer puts it nowhere
            while path := path.rpartition("/")[0]:
                found.add(path)
        return frozenset(found)

    @property
    def manifests(self) -> tuple[str, ...]:
        """Paths in the archive that *contain* the manifest's name, as the server searches."""
        return tuple(path for path in self.entries if MANIFEST_NAME in path)

    @property
    def metadata_of_the_server(self) -> str | None:
        """The path that the server reads name and version from: the first containing this."""
        return next((path for path in self.entries if "dist-info/METADATA" in path), None)

    def read(self, entry: str, limit: int = READ_LIMIT) -> bytes:
        """The content of a path in the archive. Raises `TooLarge` above `limit` bytes."""
        with _opened(self.path) as archive:
            return _read(archive, entry, limit)

    def size(self, entry: str) -> int:
        """How many bytes `read` would return."""
        with _opened(self.path) as archive:
            return archive.getinfo(entry).file_size


def installed_path(entry: str) -> str | None:
    """Where a path in the archive comes to lie below site-packages; None for elsewhere."""
    if moved := _DATA.match(entry):
        return moved[1]
    return None if _APART.match(entry) else entry


def read_wheel(path: Path) -> Wheel:
    """Read the wheel file at `path`.

    Raises `BadInput` when it is no whole zip archive. A wheel without METADATA is
    read: rule FR004 judges that.
    """
    with _opened(path) as archive:
        entries = tuple(info.filename for info in archive.infolist() if not info.is_dir())
        metadata_path = next((name for name in entries if _METADATA.fullmatch(name)), None)
        raw_metadata = _read(archive, metadata_path) if metadata_path else b""
    installed = {}
    for entry in entries:
        if (place := installed_path(entry)) is not None:
            installed[place] = entry
    return Wheel(path, entries, _Contents(path, installed), metadata_path, raw_metadata)


def check_whole(path: Path) -> None:
    """Read every file in a wheel. Raises `BadInput` when one is damaged."""
    with _opened(path) as archive:
        if damaged := archive.testzip():
            raise BadInput(f"{path}: not a readable wheel: {damaged} in it is damaged")


class _Contents(Mapping[str, bytes]):
    """Reads a file of the wheel when it is asked for: some wheels hold gigabytes of weights."""

    def __init__(self, wheel: Path, installed: Mapping[str, str]) -> None:
        self._wheel = wheel
        self._installed = installed

    def __getitem__(self, path: str) -> bytes:
        entry = self._installed[path]
        with _opened(self._wheel) as archive:
            return _read(archive, entry)

    def __iter__(self) -> Iterator[str]:
        return iter(self._installed)

    def __len__(self) -> int:
        return len(self._installed)

    def __contains__(self, path: object) -> bool:
        return path in self._installed


def _read(archive: zipfile.ZipFile, entry: str, limit: int = READ_LIMIT) -> bytes:
    # More than the declared size is never unpacked: the checksum fails then.
    check_size(entry, archive.getinfo(entry).file_size, limit)
    return archive.read(entry)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive, for as long as it is read; what is wrong with it is bad input."""
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            yield archive
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file") from None
    except NotRegular as error:
        raise BadInput(f"{path}: not a wheel: it is {error.what}") from None
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        OSError,
        NotImplementedError,
        RuntimeError,
        ValueError,
    ) as error:
        raise BadInput(
            f"{path}: not a readable wheel, a zip archive ({error or type(error).__name__})"
        ) from None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value.strip() else None
