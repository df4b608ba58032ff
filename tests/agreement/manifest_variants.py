"""What there is to mutate in a manifest, by its version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

Way = tuple[str | int, ...]


@dataclass(frozen=True)
class Subject:
    """One kind of task, and which of its fields are mutated."""

    kind: str
    """As the generation calls it."""
    fields: tuple[str, ...]
    inner: tuple[Way, ...] = ()
    """Ways to what lies deeper."""

    @property
    def words(self) -> str:
        """Such as `non-parallel task`."""
        return f"{self.kind.replace('_', '-')} task"


@dataclass(frozen=True)
class Variant:
    """One version of the manifest."""

    manifest_fields: tuple[str, ...]
    subjects: tuple[Subject, ...]
    text_fields: frozenset[str]
    """Those whose texts are changed in all ways."""
    executable: str
    """The key of the executable of a non-parallel task."""
    values: Mapping[str, Mapping[str, Any]]
    """More values for some fields."""


_TEXTS: Final = frozenset({"manifest_version", "args_schema_version", "name", "docs_info"})

_FIELDS_1: Final = (
    "name",
    "executable",
    "input_type",
    "output_type",
    "meta",
    "args_schema",
    "docs_info",
    "docs_link",
)


def _schema(key: str, reserved: str) -> tuple[Way, ...]:
    inner = ("type", "properties", "required", "additionalProperties", "$schema", "definitions")
    properties = ((key, "properties", name) for name in (reserved, "of_its_own"))
    return (*((key, name) for name in inner), *properties)


_INNER_1: Final[tuple[Way, ...]] = (
    ("meta", "parallelization_level"),
    ("meta", "cpus_per_task"),
    ("meta", "anything_else"),
    *_schema("args_schema", "metadata"),
)

VARIANT_1: Final = Variant(
    ("manifest_version", "task_list", "has_args_schemas", "args_schema_version"),
    (Subject("non_parallel", _FIELDS_1, _INNER_1), Subject("parallel", _FIELDS_1, _INNER_1)),
    _TEXTS | {"input_type", "output_type"},
    "executable",
    {"manifest_version": {"1 as a number": 1, "2 as a text": "2", "2 as a number": 2}},
)

_PARTS_2: Final = (
    "type",
    "executable_non_parallel",
    "executable_parallel",
    "meta_non_parallel",
    "meta_parallel",
    "args_schema_non_parallel",
    "args_schema_parallel",
    "input_types",
)
_KINDS_2: Final = (
    "parallel",
    "non_parallel",
    "compound",
    "converter_non_parallel",
    "converter_compound",
)
_TYPE_VALUES_2: Final[Mapping[str, Any]] = {
    "true": True,
    "1": 1,
    "0.0": 0.0,
    "2": 2,
    "1.5": 1.5,
    "null": None,
    "true as a text": "true",
    "yes": "yes",
    "maybe": "maybe",
    "a list": [],
    "an object": {},
}
_TYPES_2: Final[dict[str, Any]] = {how: {"key": value} for how, value in _TYPE_VALUES_2.items()}
_TYPES_2_BY_KEY: Final[dict[str, Any]] = {
    "a blank key": {" ": True},
    "a key with blanks around": {" key ": True},
    "a key with a NUL": {"k\0": True},
    "two keys that differ by a blank": {"key": True, "key ": False},
}

VARIANT_2: Final = Variant(
    ("manifest_version", "task_list", "has_args_schemas", "args_schema_version", "authors"),
    (
        Subject(
            "non_parallel",
            (
                "name",
                *_PARTS_2,
                "output_types",
                "docs_info",
                "docs_link",
                "category",
                "modality",
                "tags",
            ),
            (
                ("meta_non_parallel", "cpus_per_task"),
                ("meta_non_parallel", "anything_else"),
                *_schema("args_schema_non_parallel", "zarr_urls"),
            ),
        ),
        Subject("parallel", _PARTS_2, _schema("args_schema_parallel", "zarr_url")),
        Subject("compound", _PARTS_2),
        Subject("converter_compound", _PARTS_2),
    ),
    _TEXTS | {"category", "modality", "authors"},
    "executable_non_parallel",
    {
        "type": {f"{kind} for its own": kind for kind in _KINDS_2}
        | {"Parallel": "Parallel", "converter": "converter"},
        "tags": {
            "one twice": ["a", "a"],
            "one twice but for blanks": ["a", " a "],
            "one twice but for case": ["a", "A"],
            "a blank one": ["a", " "],
            "one with a NUL": ["a\0"],
            "numbers": [1],
        },
        "input_types": {f"of {how}": value for how, value in _TYPES_2.items()} | _TYPES_2_BY_KEY,
        "output_types": {f"of {how}": value for how, value in _TYPES_2.items()} | _TYPES_2_BY_KEY,
        "args_schema_version": {
            version: version for version in ("pydantic_v1", "pydantic_v2", "fractal_schema_v1")
        },
        "manifest_version": {"1 as a text": "1", "2 as a number": 2, "2.0": "2.0", "3": "3"},
    },
)

VARIANTS: Final[Mapping[str, Variant]] = {"1": VARIANT_1, "2": VARIANT_2}
"""By the manifest's version."""
