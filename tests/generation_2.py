"""Manifests, tasks and samples of generation 2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wheel_factory import make_wheel

MISSING: Any = object()

NON_PARALLEL, PARALLEL = "non_parallel", "parallel"
COMPOUND = "compound"
CONVERTER_NON_PARALLEL, CONVERTER_COMPOUND = "converter_non_parallel", "converter_compound"

RESERVED = {
    (NON_PARALLEL, "init"): ("zarr_urls", "zarr_dir"),
    (PARALLEL, "compute"): ("zarr_url",),
    (COMPOUND, "init"): ("zarr_urls", "zarr_dir"),
    (COMPOUND, "compute"): ("zarr_url", "init_args"),
    (CONVERTER_NON_PARALLEL, "init"): ("zarr_dir",),
    (CONVERTER_COMPOUND, "init"): ("zarr_dir",),
    (CONVERTER_COMPOUND, "compute"): ("zarr_url", "init_args"),
}
SCHEMAS = {
    "zarr_url": {"type": "string"},
    "zarr_urls": {"type": "array", "items": {"type": "string"}},
    "zarr_dir": {"type": "string"},
    "init_args": {"type": "object"},
}
SUFFIXES = {"init": "non_parallel", "compute": "parallel"}


def task(kind: str, **own: Any) -> dict[str, Any]:
    """The entry of a task of this kind, whose executables are `init.py` and `compute.py`."""
    entry: dict[str, Any] = {"name": f"A {kind} task", "type": kind, "docs_info": "A task."}
    for (of, part), names in RESERVED.items():
        if of == kind:
            suffix = SUFFIXES[part]
            entry |= {
                f"executable_{suffix}": f"{part}.py",
                f"meta_{suffix}": {"mem": 1000},
                f"args_schema_{suffix}": {
                    "type": "object",
                    "properties": {
                        **{name: SCHEMAS[name] for name in names},
                        "do": {"type": "string", "default": "pass", "maxLength": 3000},
                    },
                    "required": list(names),
                    "additionalProperties": False,
                },
            }
    return {**entry, **own}


def manifest(*tasks: dict[str, Any], **top: Any) -> dict[str, Any]:
    """A manifest of version 2 that breaks no rule, unless what is given does."""
    whole = {
        "manifest_version": "2",
        "has_args_schemas": True,
        "args_schema_version": "pydantic_v2",
        "task_list": list(tasks) or [task(PARALLEL)],
        **top,
    }
    return {key: value for key, value in whole.items() if value is not MISSING}


FILES = {"__init__.py": "", "init.py": "", "compute.py": ""}


KINDS = (NON_PARALLEL, PARALLEL, COMPOUND, CONVERTER_NON_PARALLEL, CONVERTER_COMPOUND)


OBEYS = '''\
"""Does as its argument `do` says, a piece of Python, and answers with what that binds to `out`."""

import argparse
import json
import os
import sys
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--args-json", required=True)
parser.add_argument("--out-json", required=True)
options = parser.parse_args()


def main(*, do="pass", **given):
    names = globals() | given | {"out": {}}
    exec(do, names)
    return names["out"]


out = main(**json.loads(Path(options.args_json).read_text()))
if out != "nothing":
    Path(options.out_json).write_text(json.dumps(out))
'''


def does(name: str, do: str, **more: Any) -> dict[str, Any]:
    """A sample of a task with one command."""
    return {"task": name, "args": {"do": do}, **more}


def both(name: str, init: str, compute: str = "pass", **more: Any) -> dict[str, Any]:
    """A sample of a task with two."""
    return {"task": name, "args": {"init": {"do": init}, "compute": {"do": compute}}, **more}


def obeying_wheel(folder: Path) -> Path:
    """Tasks of every kind, each of which does as its argument `do` says."""
    files = {"__init__.py": "", "init.py": OBEYS, "compute.py": OBEYS}
    tasks = [
        task(PARALLEL, name="Each"),
        task(NON_PARALLEL, name="All"),
        task(COMPOUND, name="Both", output_types={"done": True}),
        task(CONVERTER_NON_PARALLEL, name="Convert"),
        task(CONVERTER_COMPOUND, name="Convert both"),
        task(PARALLEL, name="Only raw", input_types={"raw": True}),
        task(NON_PARALLEL, name="Still all", input_types={"done": False}),
    ]
    return make_wheel(folder, files=files, manifest=manifest(*tasks))
