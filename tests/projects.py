"""Source trees with a build backend of their own, so that nothing is fetched to build them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from pytest_fractal.environments.building import Built
from pytest_fractal.environments.wheels import read_wheel

BACKEND = '''
"""Packs every file of the folder; where.txt tells the steps that were taken."""
import io, os, subprocess, tarfile, zipfile
from pathlib import Path


def _version():
    if Path("PKG-INFO").exists():
        return Path("PKG-INFO").read_text().strip()
    seen = subprocess.run(["git", "describe", "--tags", "--dirty"], capture_output=True, text=True)
    return seen.stdout.strip().replace("-", "+", 1).replace("-", ".") or "0"


def build_sdist(folder, config_settings=None):
    name = f"demo-{_version()}"
    with tarfile.open(f"{folder}/{name}.tar.gz", "w:gz") as archive:
        for path in Path(".").rglob("*"):
            if path.is_file() and ".git" not in path.parts and "sdist_lacks" not in path.name:
                archive.add(path.resolve(), f"{name}/{path}")
        about = tarfile.TarInfo(f"{name}/PKG-INFO")
        about.size = len(_version())
        archive.addfile(about, io.BytesIO(_version().encode()))
    return f"{name}.tar.gz"


def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = f"demo-{_version()}-py3-none-any.whl"
    Path("build").mkdir()
    with zipfile.ZipFile(f"{folder}/{name}", "w") as archive:
        for path in Path("demo").rglob("*"):
            if path.is_file():
                archive.write(path)
        about = f"Metadata-Version: 2.1\\nName: demo\\nVersion: {_version()}\\n"
        archive.writestr(f"demo-{_version()}.dist-info/METADATA", about)
    return name
'''

PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""


def project(folder: Path, files: Mapping[str, str] | None = None, more: str = "") -> Path:
    """Write a project whose package is `demo`; `more` is added to its backend."""
    content = {
        "pyproject.toml": PYPROJECT,
        "backend.py": BACKEND + more,
        "demo/__init__.py": "",
        "demo/task.py": "print('task')",
        **(files or {}),
    }
    for path, text in content.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def git(folder: Path, *arguments: str) -> str:
    """Run git, as somebody, and return what it prints."""
    own = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    finished = subprocess.run(
        ["git", *who, *arguments],
        cwd=folder,
        env=os.environ | own,
        check=True,
        capture_output=True,
        text=True,
    )
    return finished.stdout.strip()


def repository(folder: Path, tag: str = "1.2") -> Path:
    """Commit everything, and tag it."""
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "all")
    git(folder, "tag", tag)
    return folder


def everything(folder: Path) -> dict[str, tuple[int, bytes | str]]:
    """Each path below the folder, with its time of modification and its content."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mtime_ns,
            str(path.readlink()) if path.is_symlink() else path.read_bytes(),
        )
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def holds(built: Built) -> set[str]:
    assert built.failure is None
    assert built.wheel is not None
    return {path.removeprefix("demo/") for path in read_wheel(built.wheel).contents}


def version(built: Built) -> str:
    assert built.failure is None
    assert built.wheel is not None
    return read_wheel(built.wheel).version or ""
