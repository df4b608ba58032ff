"""What fractal-server 2.x takes as a manifest of version 2 and as its tasks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, TypeAdapter
from pydantic import ValidationError as Invalid

from pytest_fractal.generations import images
from pytest_fractal.generations.faults import faults_of
from pytest_fractal.generations.protocol import (
    ModelFault,
    ModelFaultKind,
    PartKeys,
)
from pytest_fractal.json_text import shown

NonBlankStr = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
"""A text that is not blank."""


Kind = Literal[
    "parallel", "non_parallel", "compound", "converter_non_parallel", "converter_compound"
]


INIT: Final = PartKeys(
    "init",
    "executable_non_parallel",
    "meta_non_parallel",
    "args_schema_non_parallel",
    "command_non_parallel",
    is_parallel=False,
)


COMPUTE: Final = PartKeys(
    "compute",
    "executable_parallel",
    "meta_parallel",
    "args_schema_parallel",
    "command_parallel",
    is_parallel=True,
)


PARTS: Final = (INIT, COMPUTE)


class TaskModel(BaseModel):
    """One entry of `task_list`, as fractal-server 2.18.5 takes it.

    What both its models ask for: `TaskManifestV2`, and the stricter `TaskCreate`, which is
    made of it. Types are left open here, for images have them too, and what other rules
    judge with better words: `meta_*` (FR111), `docs_link` (FR114), and an `args_schema_*`
    that is null (FR201).
    """

    model_config = ConfigDict(extra="ignore")

    name: NonBlankStr
    executable_non_parallel: str | None = None
    executable_parallel: str | None = None
    input_types: Any = None
    output_types: Any = None
    meta_non_parallel: Any = None
    meta_parallel: Any = None
    args_schema_non_parallel: dict[str, Any] | None = None
    args_schema_parallel: dict[str, Any] | None = None
    docs_info: str | None = None
    docs_link: Any = None
    category: NonBlankStr | None = None
    modality: NonBlankStr | None = None
    tags: list[NonBlankStr] = []
    type: Kind | None = None


class ManifestModel(BaseModel):
    """The manifest, as fractal-server 2.18.5 takes it (`ManifestV2`).

    FR201 judges whether the schemas and their version are there.
    """

    model_config = ConfigDict(extra="ignore")

    manifest_version: str
    task_list: list[TaskModel]
    has_args_schemas: bool = False
    args_schema_version: str | None = None
    authors: NonBlankStr | None = None


_BOOLEAN: Final = TypeAdapter(bool)


def _is_boolean(value: object) -> bool:
    try:
        _BOOLEAN.validate_python(value)
    except Invalid:
        return False
    return True


def _task_faults(task: Mapping[str, Any]) -> Iterator[ModelFault]:
    """What the server refuses, or coerces, beyond the types of a task's fields."""
    if all(task.get(part.executable) is None for part in PARTS):
        yield ModelFault(
            (), f"{INIT.executable} or {COMPUTE.executable}, or both", "neither of them"
        )
    for part in PARTS:
        if task.get(part.executable) is not None:
            continue
        if (meta := task.get(part.meta, {})) != {}:
            yield ModelFault(
                (part.meta,),
                f"no {part.meta}, or {{}}, without {part.executable}",
                shown(meta),
                kind=ModelFaultKind.UNWANTED,
            )
        if isinstance(schema := task.get(part.args_schema), dict):
            yield ModelFault(
                (part.args_schema,),
                f"no {part.args_schema} without {part.executable}",
                shown(schema),
                kind=ModelFaultKind.UNWANTED,
            )
    for part in PARTS:
        schema = task.get(part.args_schema)
        for fault in key_faults(schema) if isinstance(schema, dict) else ():
            yield replace(fault, keys=(part.args_schema, *fault.keys))
    for key in ("input_types", "output_types"):
        yield from images.type_faults(task.get(key, {}), (key,))
    tags = task.get("tags")
    seen: set[str] = set()
    for index, tag in enumerate(tags if isinstance(tags, list) else ()):
        if isinstance(tag, str) and tag.strip():
            if tag.strip() in seen:
                yield ModelFault(("tags", index), "each tag once", f"{shown(tag)} again")
            seen.add(tag.strip())


def key_faults(value: Mapping[str, Any]) -> Iterator[ModelFault]:
    """Keys that are blank, or the same once they are stripped."""
    seen: set[str] = set()
    for key in value:
        bare = key.strip()
        if not bare:
            yield ModelFault((key,), "a key that is not blank", shown(key))
        elif bare in seen:
            yield ModelFault(
                (key,), "keys that differ by more than blanks", f"{json.dumps(key)} again"
            )
        seen.add(bare)


def manifest_faults(manifest: Mapping[str, Any]) -> Iterator[ModelFault]:
    """Where the server's models of manifest and tasks refuse it."""
    yield from faults_of(ManifestModel, manifest)
    value = manifest.get("has_args_schemas", False)
    if not isinstance(value, bool) and _is_boolean(value):
        yield ModelFault(
            ("has_args_schemas",),
            "true or false",
            f"{shown(value)}, which the server turns into it",
            coerced=True,
            wanted=bool,
        )
    tasks = manifest.get("task_list")
    for index, task in enumerate(tasks if isinstance(tasks, list) else ()):
        for fault in _task_faults(task) if isinstance(task, dict) else ():
            yield replace(fault, keys=("task_list", index, *fault.keys))
