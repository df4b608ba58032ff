"""Running what generates a package's manifest, on a copy of the package."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_fractal.candidate.store import Fact
from pytest_fractal.environments.environments import Environment
from pytest_fractal.environments.project_table import PYPROJECT
from pytest_fractal.environments.wheels import MANIFEST_NAME
from pytest_fractal.facts import GeneratedManifest
from pytest_fractal.files import read_regular
from pytest_fractal.json_text import MOST_BYTES, MOST_LEVELS, read_json
from pytest_fractal.processes.executors import Executor
from pytest_fractal.processes.processes import last_lines
from pytest_fractal.processes.variables import task_variables
from pytest_fractal.task_lists import Generator

if TYPE_CHECKING:
    from pytest_fractal.candidate.packaged import Candidate


_GENERATED: Final = Fact[GeneratedManifest]("generated-manifest", GeneratedManifest)


def generated_manifest(candidate: Candidate) -> GeneratedManifest:
    """What the package's own generator makes of it, where it is installed."""
    manifest, installation = candidate.manifest, candidate.installation
    assert manifest is not None
    assert manifest.generator is not None
    generator, tree = manifest.generator, candidate.spec.tree
    project = tree / PYPROJECT if tree is not None else None
    return candidate.store.once(
        _GENERATED,
        lambda: _generate(
            generator,
            candidate.package_root,
            installation.environment,
            candidate.executor,
            folder=candidate.folder / "generated-manifest",
            project_file=project if project is not None and project.is_file() else None,
            timeout=candidate.settings.timeout,
            variables=candidate.variables,
        ),
    )


def _generate(
    generator: Generator,
    package_root: Path,
    environment: Environment,
    executor: Executor,
    *,
    folder: Path,
    project_file: Path | None,
    timeout: float,
    variables: Mapping[str, str],
) -> GeneratedManifest:
    """Generate the manifest of the package that is installed at `package_root`.

    The generator writes into the folder from which the package is imported, so it runs on a
    copy below `folder`, which must not exist yet; of large files there are links. Beside it
    lies a copy of the `project_file`, where fractal-task-tools looks for the authors.
    """
    copy = folder / package_root.name
    _copy(package_root, copy)
    if project_file is not None:
        shutil.copy(project_file, folder / project_file.name)
    before = (copy / MANIFEST_NAME).stat().st_mtime_ns
    temporary = folder / "tmp"
    temporary.mkdir()
    finished = executor.run(
        _argv(generator, environment, folder),
        cwd=folder,
        env={
            **task_variables(temporary),
            **variables,
            "PYTHONPATH": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        timeout=timeout,
        room=folder,
    )
    if finished.returncode:
        said = last_lines(finished.stderr or finished.stdout, 1)
        return GeneratedManifest(None, f"{finished.ending}: {said}" if said else finished.ending)
    try:
        if (copy / MANIFEST_NAME).lstat().st_mtime_ns == before:
            return GeneratedManifest(None, "it ends, and has written no manifest")
        text = read_json(read_regular(copy / MANIFEST_NAME, MOST_BYTES, follow=False), MOST_LEVELS)
    except OSError as error:
        return GeneratedManifest(None, f"what it writes cannot be read: {error.strerror}")
    if text.faults:
        return GeneratedManifest(None, f"it writes no JSON: {text.faults[0].message}")
    return GeneratedManifest(json.dumps(text.value))


def _argv(generator: Generator, environment: Environment, folder: Path) -> Sequence[str | Path]:
    if generator.script is not None:
        return [environment.python, folder / generator.script]
    program, *words = generator.command.split()
    return [environment.scripts / program, *words]


def _copy(source: Path, target: Path) -> None:
    """Copy a package's folder: links to its files, but for the manifest."""
    for path, folders, files in os.walk(source):
        folders[:] = [name for name in folders if name != "__pycache__"]
        there = target / Path(path).relative_to(source)
        there.mkdir(parents=True)
        for name in files:
            if Path(path) == source and name == MANIFEST_NAME:
                (there / name).write_bytes(read_regular(Path(path, name), MOST_BYTES))
            else:
                (there / name).symlink_to(Path(path, name))
