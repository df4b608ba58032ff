"""What fractal-server 1.x takes as a manifest of version 1, and as a task outside any package."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from pytest_fractal.generations.faults import faults_of
from pytest_fractal.generations.protocol import (
    ModelFault,
)
from pytest_fractal.json_text import shown
from pytest_fractal.pointers import Keys


def _text(value: object) -> object:
    # pydantic 1, by which the server reads manifests, turns numbers into text.
    return str(value) if isinstance(value, int | float) else value


Text = Annotated[str, BeforeValidator(_text)]


class TaskModel(BaseModel):
    """One entry of `task_list`, as fractal-server 1.4.10 takes it (`TaskManifestV1`).

    What other rules judge with better words is left open here: `meta` (FR111),
    `docs_link` (FR114), and an `args_schema` that is null (FR201).
    """

    model_config = ConfigDict(extra="ignore")

    name: Text
    executable: Text
    input_type: Text
    output_type: Text
    meta: Any = None
    args_schema: dict[str, Any] | None = None
    docs_info: Text | None = None
    docs_link: Any = None


class ManifestModel(BaseModel):
    """The manifest, as fractal-server 1.4.10 takes it (`ManifestV1`)."""

    model_config = ConfigDict(extra="ignore")

    manifest_version: Text
    task_list: list[TaskModel]
    has_args_schemas: bool = False
    args_schema_version: Text | None = None


class CustomTaskModel(BaseModel):
    """A task outside any package, as it is posted to fractal-server 1.4.10 (`TaskCreate`)."""

    model_config = ConfigDict(extra="ignore")

    name: Text
    command: Text
    input_type: Text
    output_type: Text
    source: Text
    meta: Any = None
    version: Text | None = None
    args_schema: dict[str, Any] | None = None
    args_schema_version: Text | None = None
    docs_info: Text | None = None
    docs_link: Any = None


def _forbidden_key(value: Any, keys: Keys) -> Iterator[ModelFault]:
    """What pydantic 1 calls the first argument of its models: no data may be called so."""
    if isinstance(value, dict) and _SELF in value:
        found = f"{_SELF!r}, which the server's library cannot take"
        yield ModelFault((*keys, _SELF), f"no key {_SELF!r}", found, hint="rename or remove it")


_SELF: Final = "__pydantic_self__"


def _blank(manifest: Mapping[str, Any]) -> Iterator[ModelFault]:
    """Names that the server's second model refuses: `TaskCreate` strips them first."""
    tasks = manifest.get("task_list")
    for index, task in enumerate(tasks if isinstance(tasks, list) else ()):
        name = task.get("name") if isinstance(task, dict) else None
        if isinstance(name, str) and not name.strip():
            yield ModelFault(("task_list", index, "name"), "a name", shown(name))


def _coerced(manifest: Mapping[str, Any]) -> Iterator[ModelFault]:
    """What the model takes although it has another type."""
    value = manifest.get("has_args_schemas", False)
    if not isinstance(value, bool) and isinstance(value, int | float | str):
        try:
            ManifestModel(manifest_version="1", task_list=[], has_args_schemas=value)  # type: ignore[arg-type]
        except ValidationError:
            return
        found = f"{shown(value)}, which the server turns into it"
        yield ModelFault(("has_args_schemas",), "true or false", found, coerced=True, wanted=bool)
    texts = {"name", "executable", "input_type", "output_type", "docs_info"}
    tasks = manifest.get("task_list")
    for index, task in enumerate(tasks if isinstance(tasks, list) else ()):
        for key in sorted(texts & set(task)) if isinstance(task, dict) else ():
            if isinstance(task[key], int | float):
                found = f"{shown(task[key])}, which the server turns into it"
                yield ModelFault(
                    ("task_list", index, key), "a string", found, coerced=True, wanted=str
                )


def manifest_faults(manifest: Mapping[str, Any]) -> Iterator[ModelFault]:
    """Where the server's models of manifest and tasks refuse it."""
    yield from faults_of(ManifestModel, manifest)
    yield from _forbidden_key(manifest, ())
    tasks = manifest.get("task_list")
    for index, task in enumerate(tasks if isinstance(tasks, list) else ()):
        yield from _forbidden_key(task, ("task_list", index))
    yield from _coerced(manifest)
    yield from _blank(manifest)


def custom_task_faults(entry: Any) -> Iterator[ModelFault]:
    """Where the model of a posted task refuses it: blank texts too, where they are given."""
    yield from faults_of(CustomTaskModel, entry)
    yield from _forbidden_key(entry, ())
    for key in ("version", "args_schema_version"):
        if isinstance(entry, dict) and key in entry and entry[key] is None:
            yield ModelFault((key,), f"a {key}, or no such key", "null", hint="remove it")
    for key in ("name", "command", "source", "version", "args_schema_version"):
        value = entry.get(key) if isinstance(entry, dict) else None
        if isinstance(value, str) and not value.strip():
            yield ModelFault((key,), f"a {key} that is not blank", shown(value))
    command = entry.get("command") if isinstance(entry, dict) else None
    if isinstance(command, str):
        try:
            shlex.split(command)
        except ValueError as error:  # the server's job fails, "UNKNOWN ERROR"
            found = f"{shown(command)}: {str(error).lower()}"
            yield ModelFault(("command",), "a command that a shell could split", found)
