"""A package as it is installed in an environment that somebody else has made.

Nothing is written there, and nothing of the package is imported.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pytest_fractal.environments.environments import Environment
from pytest_fractal.environments.interpreters import find_interpreter
from pytest_fractal.environments.wheels import READ_LIMIT, Wheel, check_size, installed_path
from pytest_fractal.errors import BadInput
from pytest_fractal.files import MEBIBYTE, read_regular
from pytest_fractal.processes import processes
from pytest_fractal.processes.variables import basic_variables

_LIMIT: Final = 1024 * MEBIBYTE
"""The largest installed file that is read."""

_SEARCH: Final = """
import importlib.util, json, sys
found = importlib.util.find_spec(sys.argv[1])
print(json.dumps(list(found.submodule_search_locations or ()) if found else []))
"""


@dataclass(frozen=True)
class InstalledWheel(Wheel):
    """What was installed, as of a wheel; `path` is its `*.dist-info` folder."""

    package_root: Path
    """Where its package's folder is: of an editable installation, in a source tree."""

    def read(self, entry: str, limit: int = READ_LIMIT) -> bytes:
        """The content of an installed file."""
        content = self.contents[entry]
        check_size(entry, len(content), limit)
        return content

    def size(self, entry: str) -> int:
        """How many bytes `read` would return."""
        return len(self.read(entry))


def find_environment(folder: Path) -> Environment:
    """The environment in a folder: of venv, conda or pixi.

    Raises `BadInput` when there is none, or its Python does not run.
    """
    python = folder / "bin" / "python"
    if not python.exists():
        inside = folder / ".pixi" / "envs" / "default"
        hint = f"; there is one in {inside}" if (inside / "bin" / "python").exists() else ""
        raise BadInput(f"{folder}: no environment, for it has no bin/python{hint}")
    return Environment(folder, find_interpreter(str(python)))


def find_installed(environment: Environment, wanted: Requirement) -> InstalledWheel:
    """The distribution that is installed under a name.

    Raises `BadInput` when there is none, when its version is none of those that are
    wanted, or when it does not tell its files.
    """
    site_packages, name = environment.site_packages, canonicalize_name(wanted.name)
    there = {
        canonicalize_name(distribution.name): distribution
        for distribution in distributions(path=[str(site_packages)])
        if distribution.name
    }
    if name not in there:
        alike = difflib.get_close_matches(name, there, 1)
        hint = f"; did you mean {alike[0]}?" if alike else ""
        raise BadInput(
            f"{environment.folder}: {wanted.name} is not among the {len(there)} packages that are "
            f"installed in this environment{hint}"
        )
    distribution = there[name]
    if not wanted.specifier.contains(distribution.version, prereleases=True):
        raise BadInput(f"{environment.folder}: it has {name} {distribution.version}, not {wanted}")
    recorded = [str(path) for path in distribution.files or () if path.suffix != ".pyc"]
    metadata = next((path for path in recorded if path.endswith(".dist-info/METADATA")), None)
    if metadata is None:
        raise BadInput(
            f"{environment.folder}: {name} has no RECORD of its files; install it anew by pip"
        )
    package = name.replace("-", "_")
    root = site_packages / package
    files = {
        path: site_packages / path
        for path in recorded
        if not path.startswith(("/", "..")) and installed_path(path) is not None
    }
    if _is_editable(distribution, recorded) and (elsewhere := _package_root(environment, package)):
        root = elsewhere
        files = {f"{package}/{path}": root / path for path in _below(root)}
    return InstalledWheel(
        (site_packages / metadata).parent,
        tuple(dict.fromkeys([*recorded, *files])),
        _Files(files),
        metadata,
        read_regular(site_packages / metadata, _LIMIT),
        root,
    )


def editable_sources(environment: Environment) -> tuple[Path, ...]:
    """The source trees that packages of an environment are imported from."""
    found = []
    for distribution in distributions(path=[str(environment.site_packages)]):
        if _is_editable(distribution, []):
            url = json.loads(distribution.read_text("direct_url.json") or "{}").get("url", "")
            found.append(Path(url2pathname(urlsplit(str(url)).path)))
    return tuple(found)


def _is_editable(distribution: Distribution, recorded: list[str]) -> bool:
    try:
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    except ValueError:
        origin = {}
    marked = isinstance(origin, dict) and (origin.get("dir_info") or {}).get("editable")
    return bool(marked) or any(path.endswith(".pth") for path in recorded)


def _package_root(environment: Environment, package: str) -> Path | None:
    """Where the environment's Python would import a package from, without importing it."""
    finished = processes.run(
        [environment.python, "-I", "-B", "-c", _SEARCH, package],
        cwd=environment.folder,
        env=basic_variables(),
        timeout=60,
    )
    try:
        found = json.loads(finished.stdout)
    except ValueError:
        return None
    return Path(found[0]) if found else None


def _below(root: Path) -> Iterator[str]:
    for path in sorted(root.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(root).as_posix()


class _Files(Mapping[str, bytes]):
    """Reads a file when it is asked for."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files

    def __getitem__(self, path: str) -> bytes:
        file = self._files[path]
        try:
            return read_regular(self._files[path], _LIMIT)
        except OSError as error:
            raise BadInput(f"{file}: cannot be read: {error.strerror}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __contains__(self, path: object) -> bool:
        return path in self._files
