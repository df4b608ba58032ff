"""The bytecode of pip, kept from run to run.

Each run makes a fresh environment, in which pip would have to be compiled again before it
installs anything: that takes longer than the installation of a wheel. So its bytecode lies in
the user's cache folder, by the interpreter and the very files of pip that it was made of. It is
made before anything of a candidate's is in the environment, and copied, not linked. Python
takes it only where the source has the hash that is written in it; a file that is damaged, or
something else, is made anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import zipfile
import zlib
from pathlib import Path
from typing import Final

from pytest_fractal.environments.interpreters import Interpreter
from pytest_fractal.files import MEBIBYTE, cache_folder, open_regular, read_regular
from pytest_fractal.processes import processes
from pytest_fractal.processes.variables import basic_variables

_MODULE: Final = re.compile(r"pip/(?:\w+/)*__pycache__/[\w.-]+\.pyc")
_LIMIT: Final = 16 * MEBIBYTE
"""The largest bytecode of one module that is taken; those of pip have some kilobytes."""
_KEPT: Final = 12
"""How many are kept, a megabyte or two each: one for each interpreter and release of pip."""
_TIMEOUT: Final = 120.0


def bring_bytecode(python: Path, interpreter: Interpreter, site_packages: Path) -> None:
    """Give the pip of a fresh environment its bytecode; where that fails, it does without."""
    records = list(site_packages.glob("pip-*.dist-info/RECORD"))
    if len(records) != 1:
        return
    with contextlib.suppress(OSError):
        record = read_regular(records[0], MEBIBYTE)
        subject = f"{interpreter.path}\n{interpreter.version}\n".encode() + record
        key = hashlib.sha256(subject).hexdigest()[:32]
        kept = cache_folder() / "pip-bytecode" / f"{key}.zip"
        if not _unpack(kept, site_packages) and _compile(python, site_packages):
            _keep(kept, site_packages)


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


def _unpack(kept: Path, site_packages: Path) -> bool:
    """Whether there is bytecode, which is now beside the sources."""
    try:
        with open_regular(kept, follow=False) as file, zipfile.ZipFile(file) as archive:
            made: set[Path] = set()
            for entry in archive.infolist():
                if not _MODULE.fullmatch(entry.filename) or entry.file_size > _LIMIT:
                    return False
                target = site_packages / entry.filename
                if target.parent not in made:
                    target.parent.mkdir(exist_ok=True)
                    made.add(target.parent)
                target.write_bytes(archive.read(entry))
        os.utime(kept)
    except (OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError):
        return False
    return bool(made)


def _keep(kept: Path, site_packages: Path) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    partial = kept.with_name(f"{kept.stem}.{secrets.token_hex(8)}")
    try:
        with zipfile.ZipFile(partial, "w") as archive:
            for path in sorted(site_packages.glob("pip/**/*.pyc")):
                archive.write(path, path.relative_to(site_packages).as_posix())
        partial.replace(kept)
    finally:
        partial.unlink(missing_ok=True)
    newest = sorted(kept.parent.glob("*.zip"), key=lambda path: path.stat().st_mtime)
    for path in newest[:-_KEPT]:
        path.unlink(missing_ok=True)
