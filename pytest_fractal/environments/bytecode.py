"""Bytecode that is kept from run to run.

Each run makes a fresh environment, whose modules would all have to be compiled anew: of pip
that takes longer than to install a wheel, and of the dependencies of a task half of its
first start. So bytecode lies in the user's cache folder, each distribution's by the interpreter
and the very files that it was made of, as its RECORD has them. It is copied into the next
environment, not linked, and Python takes it only where the source has the hash that is written
in it. A file that is damaged, or something else, is made anew.

pip's is compiled before anything of a candidate's is in the environment, so all may have it.
That of dependencies is what the candidate's own processes have left, and is given to the same
candidate alone: it could only deceive itself.
"""

from __future__ import annotations

import _imp
import contextlib
import csv
import hashlib
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from packaging.utils import canonicalize_name

from pytest_fractal.environments.interpreters import Interpreter
from pytest_fractal.files import (
    MEBIBYTE,
    by_use,
    cache_folder,
    open_regular,
    read_regular,
    replacing,
)
from pytest_fractal.processes import processes
from pytest_fractal.processes.variables import basic_variables

if TYPE_CHECKING:
    from pytest_fractal.environments.environments import Environment

_PIPS: Final = re.compile(r"pip/(?:\w+/)*__pycache__/[\w.-]+\.pyc")
_LIMIT: Final = 16 * MEBIBYTE
"""The largest file that is taken; the bytecode of a module has some kilobytes."""
_PIPS_KEPT: Final = 12
"""How many are kept of pip, a megabyte or two each: one for each interpreter and release."""
_ROOM: Final = 1024 * MEBIBYTE
"""What the bytecode of dependencies may take; that which was not used for longest goes first."""
_TIMEOUT: Final = 120.0

_CHECKED: Final = (3).to_bytes(4, "little")
_TIMED: Final = (0).to_bytes(4, "little")
"""PEP 552: what the bytes 4 to 8 say, whether the source's hash or its time and size follow."""


def bring_bytecode(python: Path, interpreter: Interpreter, site_packages: Path) -> None:
    """Give the pip of a fresh environment its bytecode; where that fails, it does without."""
    site_packages = site_packages.resolve()
    records = list(site_packages.glob("pip-*.dist-info/RECORD"))
    if len(records) != 1:
        return
    with contextlib.suppress(OSError):
        modules = _modules(read_regular(records[0], MEBIBYTE), interpreter)
        kept = cache_folder() / "pip-bytecode" / _name(interpreter, "pip", modules)
        if not _unpack(kept, site_packages, _is_pips) and _compile(python, site_packages):
            made = sorted(site_packages.glob("pip/**/*.pyc"))
            _write(kept, ((_below(path, site_packages), path.read_bytes()) for path in made))
            for path in by_use(kept.parent, "*.zip")[:-_PIPS_KEPT]:
                path.unlink(missing_ok=True)


class DependencyBytecode:
    """The bytecode of what a candidate requires.

    `owner` names the candidate, and nobody else; `own` is the name of its distribution, whose
    modules are the author's and change.
    """

    def __init__(self, owner: str, own: str, environment: Environment) -> None:
        self._folder = cache_folder() / "bytecode" / hashlib.sha256(owner.encode()).hexdigest()
        self._own = canonicalize_name(own)
        self._environment = environment
        self._site_packages = environment.site_packages.resolve()

    def bring(self) -> None:
        """Give the dependencies that are installed what earlier runs have compiled."""
        for dependency in self._dependencies():
            if (self._folder / dependency.name).exists():
                _unpack(
                    self._folder / dependency.name,
                    self._site_packages,
                    dependency.modules.__contains__,
                )

    def keep(self) -> None:
        """Keep what this run has compiled, where it is more than what is kept; nothing runs."""
        has_grown = False
        for dependency in self._dependencies():
            there = {
                bytecode: source
                for bytecode, source in dependency.modules.items()
                if os.path.lexists(self._site_packages / bytecode)
            }
            kept = self._folder / dependency.name
            if not there.keys() <= _names(kept):
                _write(kept, self._checked(there.items()))
                has_grown = True
        if not has_grown:  # there may be thousands of files to look at
            return
        room = _ROOM
        for path in reversed(by_use(self._folder.parent, "*.zip")):
            room -= path.stat().st_size
            if room < 0:
                path.unlink(missing_ok=True)

    def _dependencies(self) -> Iterator[_Dependency]:
        interpreter = self._environment.interpreter
        for record in sorted(self._site_packages.glob("*.dist-info/RECORD")):
            distribution = record.parent.name.removesuffix(".dist-info").partition("-")[0]
            if canonicalize_name(distribution) not in (self._own, "pip"):
                with contextlib.suppress(OSError):
                    modules = _modules(read_regular(record, _LIMIT, follow=False), interpreter)
                    yield _Dependency(
                        _name(interpreter, record.parent.name, modules),
                        {bytecode: path for bytecode, (path, _) in modules.items()},
                    )

    def _checked(self, modules: Iterable[tuple[str, str]]) -> Iterator[tuple[str, bytes]]:
        """The bytecode of these modules that fits its source, tied to the source's content."""
        for path, module in modules:
            with contextlib.suppress(OSError):
                if _leads_elsewhere(self._site_packages, path):
                    continue
                bytecode = read_regular(self._site_packages / path, _LIMIT, follow=False)
                source = self._site_packages / module
                content = read_regular(source, _LIMIT, follow=False)
                seen = source.stat()
                stamp = int(seen.st_mtime) & 0xFFFFFFFF, seen.st_size & 0xFFFFFFFF
                timed = _TIMED + b"".join(number.to_bytes(4, "little") for number in stamp)
                code = _imp.source_hash(int.from_bytes(bytecode[:4], "little"), content)
                if bytecode[4:16] in (timed, _CHECKED + code):
                    yield path, bytecode[:4] + _CHECKED + code + bytecode[16:]


@dataclass(frozen=True)
class _Dependency:
    name: str
    """Of the file in which its bytecode is kept."""
    modules: Mapping[str, str]
    """The path of the bytecode of each module -> that of its source."""


def _modules(record: bytes, interpreter: Interpreter) -> dict[str, tuple[str, str]]:
    """The path of each module's bytecode -> that of its source and its hash, by RECORD."""
    tag = "cpython-{}{}".format(*interpreter.version_info)
    found: dict[str, tuple[str, str]] = {}
    for row in csv.reader(record.decode("utf-8", "replace").splitlines()):
        if not row or not row[0].endswith(".py"):
            continue
        path = PurePosixPath(row[0])
        if path.suffix == ".py" and not path.is_absolute() and ".." not in path.parts:
            bytecode = path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc"
            found[str(bytecode)] = str(path), "".join(row[1:2])
    return found


def _name(
    interpreter: Interpreter, distribution: str, modules: Mapping[str, tuple[str, str]]
) -> str:
    """The name of a file for the bytecode of a distribution, by all that it depends on.

    Those are the lines of its RECORD about modules: others, those of scripts, say where the
    environment is.
    """
    listed = "\n".join(f"{path} {digest}" for path, digest in modules.values())
    subject = f"{interpreter.path}\n{interpreter.version}\n{distribution}\n{listed}"
    return f"{hashlib.sha256(subject.encode()).hexdigest()[:32]}.zip"


def _is_pips(name: str) -> bool:
    return _PIPS.fullmatch(name) is not None


def _below(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _compile(python: Path, site_packages: Path) -> bool:
    finished = processes.run(
        # -f: what was unpacked of a damaged file is to be replaced.
        [
            *(python, "-I", "-m", "compileall", "-q", "-f"),
            *("--invalidation-mode", "checked-hash", site_packages / "pip"),
        ],
        cwd=site_packages,
        env=basic_variables(),
        timeout=_TIMEOUT,
    )
    return finished.returncode == 0


_DAMAGES: Final = (
    OSError,
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    RuntimeError,
    EOFError,
)
"""What reading a zip file raises that is none, or is damaged."""


def _names(kept: Path) -> frozenset[str]:
    """What a file of bytecode holds; nothing where it is none."""
    try:
        with open_regular(kept, follow=False) as file, zipfile.ZipFile(file) as archive:
            return frozenset(archive.namelist())
    except _DAMAGES:
        return frozenset()


def _unpack(kept: Path, site_packages: Path, is_wanted: Callable[[str], bool]) -> bool:
    """Whether there is bytecode, which is now beside the sources.

    A file that is damaged, or holds something else, is removed.
    """
    try:
        with open_regular(kept, follow=False) as file, zipfile.ZipFile(file) as archive:
            made: set[Path] = set()
            for entry in archive.infolist():
                if not is_wanted(entry.filename) or entry.file_size > _LIMIT:
                    raise zipfile.BadZipFile(entry.filename)
                target = site_packages / entry.filename
                if target.parent not in made:
                    if _leads_elsewhere(site_packages, entry.filename):
                        continue
                    target.parent.mkdir(exist_ok=True)
                    made.add(target.parent)
                target.write_bytes(archive.read(entry))
        os.utime(kept)
    except _DAMAGES:
        with contextlib.suppress(OSError):
            kept.unlink()
        return False
    return bool(made)


def _leads_elsewhere(site_packages: Path, path: str) -> bool:
    """Whether the folder of a file is not where its path says: somebody has put a link there."""
    folder = (site_packages / path).parent
    return folder.resolve() != folder or (site_packages / path).is_symlink()


def _write(kept: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Write a file of bytecode, whole or not at all."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    with replacing(kept) as partial, zipfile.ZipFile(partial, "w") as archive:
        for name, content in files:
            archive.writestr(name, content)
