"""Makes wheels by hand: a test about a wheel's content need not wait for a build."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from pytest_fractal.candidate.packaged import Candidate
from pytest_fractal.engine import Engine
from pytest_fractal.environments.wheels import MANIFEST_NAME
from pytest_fractal.package_spec import parse_package
from pytest_fractal.processes.executors import LocalExecutor
from pytest_fractal.selection import parse_codes
from pytest_fractal.settings import Settings
from pytest_fractal.verdicts import Outcome, Verdict

TASK_SOURCE = '''\
"""A task that takes its arguments and does nothing."""

import argparse
import json
from pathlib import Path


def main(*, input_paths: list, output_path: str, metadata: dict, threshold: int = 3) -> dict:
    return {}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("-j", "--json", required=True)
    parser.add_argument("--metadata-out", required=True)
    options = parser.parse_args()
    arguments = json.loads(Path(options.json).read_text())
    Path(options.metadata_out).write_text(json.dumps(main(**arguments)))
'''
"""The source of `task.py`, the executable of the good manifest's one task."""


def good_manifest() -> dict[str, Any]:
    """A fresh manifest of version 1 that breaks no rule, with one task, `Demo task`."""
    return {
        "manifest_version": "1",
        "has_args_schemas": True,
        "args_schema_version": "pydantic_v1",
        "task_list": [
            {
                "name": "Demo task",
                "executable": "task.py",
                "input_type": "zarr",
                "output_type": "zarr",
                "meta": {"cpus_per_task": 1, "mem": 1000},
                "args_schema": {
                    "title": "DemoTask",
                    "type": "object",
                    "properties": {
                        "input_paths": {"type": "array", "items": {"type": "string"}},
                        "output_path": {"type": "string"},
                        "metadata": {"type": "object"},
                        "threshold": {"type": "integer", "default": 3},
                    },
                    "required": ["input_paths", "output_path", "metadata"],
                    "additionalProperties": False,
                },
                "docs_info": "Does nothing.",
                "docs_link": "https://example.org/demo",
            }
        ],
    }


def make_wheel(
    folder: Path,
    name: str = "demo",
    version: str = "1.0",
    files: Mapping[str, str | bytes] | None = None,
    manifest: object = None,
    metadata: str = "",
) -> Path:
    """Write the wheel NAME-VERSION-py3-none-any.whl into `folder`; returns its path.

    `files` maps paths in the package's folder to their content; without it they are
    those of the good manifest. `manifest` is what the manifest holds: bytes and text
    as they are, anything else as JSON; without it, the good one. `metadata` are more
    lines of METADATA, such as `Provides-Extra: gpu`.
    """
    stem = canonicalize_name(name).replace("-", "_")
    manifest = good_manifest() if manifest is None else manifest
    text = manifest if isinstance(manifest, str | bytes) else json.dumps(manifest, indent=2)
    inside = {"__init__.py": "", "task.py": TASK_SOURCE} if files is None else files
    about = f"{stem}-{version}.dist-info"
    more = f"{metadata.strip()}\n" if metadata.strip() else ""
    content: dict[str, str | bytes] = {
        **{f"{stem}/{path}": part for path, part in inside.items()},
        f"{stem}/{MANIFEST_NAME}": text,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{more}",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in (*content, f"{about}/RECORD"))
    return write_archive(
        folder / f"{stem}-{version}-py3-none-any.whl", {**content, f"{about}/RECORD": record}
    )


def write_archive(path: Path, content: Mapping[str, str | bytes]) -> Path:
    """Write a zip archive with just these paths, in this order; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for inner, part in content.items():
            archive.writestr(inner, part)
    return path


def candidate_of(wheel: Path, *codes: str, samples: Path | None = None) -> Candidate:
    """The candidate that is a wheel, of which the rules of these codes are selected, or all."""
    settings = Settings(select=parse_codes(",".join(codes)), samples=samples)
    folder = wheel.parent / f"judged-{wheel.stem}"
    return Candidate(parse_package(str(wheel), wheel.parent), settings, folder, LocalExecutor(1))


def verdicts(wheel: Path, *codes: str, samples: Path | None = None) -> list[Verdict]:
    """The verdicts on a wheel by the rules of these codes; nothing is installed or started.

    That holds as long as no code is of a rule that needs an environment.
    """
    engine = Engine(candidate_of(wheel, *codes, samples=samples))
    return [engine.verdict(check) for check in engine.plan()]


def broken(wheel: Path, *codes: str) -> list[tuple[str, str | None, str | None]]:
    """Code, task and pointer of each finding by the rules of these codes.

    A verdict that is an `error` fails the test at once.
    """
    judged = verdicts(wheel, *codes)
    assert [verdict for verdict in judged if verdict.outcome is Outcome.ERROR] == []
    return [
        (verdict.code, found.task, found.pointer)
        for verdict in judged
        for found in verdict.findings
    ]
