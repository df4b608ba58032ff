"""Manifests of both versions that nobody would write: good ones, changed at random."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any, Final

SOURCE: Final = """\
import json, sys


def main(*, zarr_url=None, zarr_urls=None, zarr_dir=None, init_args=None, input_paths=None,
         output_path=None, metadata=None, component=None, a=1, b="x"):
    return None


if __name__ == "__main__":
    main(**json.load(open(sys.argv[2])))
"""
"""Of `task.py`, the executable of all tasks."""

_LEAF: Final = "\ue000%d,%s\ue001"
"""Stands for brackets that are too many for `json.dumps`."""

TEXTS: Final = (
    "",
    " ",
    "\0",
    "\ud800",
    "\udfff\ud800",
    "\u202e\u0085\u2028",
    "é" * 300,
    "x" * 6_000,
    "a" * 100,
    "1",
    "true",
    "null",
    "../../etc/passwd",
    "/",
    "task.py",
    "::error::x",
    "<script>]]>`|*",
    "#/$defs/d0",
    "#",
    "https://example.org/x",
    "http://[x",
    "http://xn--a/",
    "{tmp}",
    "%s%n{0}{x!r}",
    "'\"\\",
    "\n\r\t",
    "İ",
    "~1~0/",
    "object",
    "string",
    "2000-01-01",
    "1e400",
)
NUMBERS: Final[tuple[Any, ...]] = (
    0,
    -1,
    1,
    0.1,
    -0.0,
    1e-320,
    1e308,
    10**18,
    2**63,
    -(10**400),
    10**4000,
    5e-324,
    True,
    False,
)
PATTERNS: Final = (
    "^(a+)+$",
    "^(a|a)*b$",
    r"(\w+\s?)+$",
    "^(([a-z])+.)+[A-Z]([a-z])+$",
    r"\p{L}",
    "(?<n>a)",
    "[",
    "a{1,100000}",
    "(?i)x",
    "((((((((((a*)*)*)*)*)*)*)*)*)*b",
    "^[A-Z][0-9]+$",
    "x*" * 30 + "y",
    "\ud800",
    "(a{500}){500}",
)
KEYWORDS: Final = (
    "type",
    "properties",
    "required",
    "items",
    "prefixItems",
    "additionalProperties",
    "patternProperties",
    "enum",
    "const",
    "default",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "$ref",
    "$id",
    "$anchor",
    "$dynamicRef",
    "$dynamicAnchor",
    "$recursiveRef",
    "$schema",
    "$defs",
    "definitions",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "multipleOf",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "propertyNames",
    "minProperties",
    "dependentSchemas",
    "dependentRequired",
    "dependencies",
    "unevaluatedProperties",
    "unevaluatedItems",
    "contains",
    "minContains",
    "additionalItems",
    "title",
    "description",
    "discriminator",
    "name",
    "examples",
    "id",
    "extends",
)


def manifests(seed: int, start: int, count: int) -> Iterator[tuple[int, bytes]]:
    """So many manifests from a number on; of a seed and a number always the same one."""
    for number in range(start, start + count):
        yield number, _Maker(random.Random(f"{seed}-{number}")).manifest()


def good(version: str) -> dict[str, Any]:
    """A manifest of which most is right."""
    common: dict[str, Any] = {
        "manifest_version": version,
        "has_args_schemas": True,
        "args_schema_version": "pydantic_v2" if version == "2" else "pydantic_v1",
    }
    if version == "1":
        names = ("input_paths", "output_path", "metadata")
        task = {"executable": "task.py", "input_type": "zarr", "output_type": "zarr", "meta": {}}
        return {
            **common,
            "task_list": [{"name": "First", **task, "args_schema": _schema(*names)}],
        }
    return {
        **common,
        "authors": "A. Nobody",
        "task_list": [
            {
                "name": "First",
                "executable_non_parallel": "task.py",
                "meta_non_parallel": {"cpus_per_task": 1},
                "args_schema_non_parallel": _schema("zarr_urls", "zarr_dir"),
                "input_types": {"is_3D": True},
                "output_types": {},
            },
            {
                "name": "Second",
                "type": "compound",
                "executable_non_parallel": "task.py",
                "executable_parallel": "task.py",
                "meta_parallel": {},
                "args_schema_non_parallel": _schema("zarr_urls", "zarr_dir"),
                "args_schema_parallel": _schema("zarr_url", "init_args"),
                "category": "Conversion",
                "modality": "HCS",
                "tags": ["x"],
                "docs_info": "x",
                "docs_link": "https://example.org/x",
            },
        ],
    }


def _schema(*reserved: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            **{name: {"title": name} for name in reserved},
            "a": {"type": "integer", "default": 1},
            "b": {"$ref": "#/$defs/d0"},
        },
        "required": [*reserved],
        "additionalProperties": False,
        "$defs": {"d0": {"type": "string", "default": "x"}},
    }


class _Maker:
    """Makes one manifest."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def manifest(self) -> bytes:
        """Its text, which need not be JSON."""
        chance = self._chance
        value: Any = good(chance.choice("12"))
        for _ in range(chance.choice((1, 1, 2, 3, 6))):
            chance.choice(self._changes)(self, value)
        text = json.dumps(value, indent=chance.choice((None, 2)), ensure_ascii=True)
        while "\\ue000" in text:
            before, _, rest = text.partition('"\\ue000')
            number, _, after = rest.partition('\\ue001"')
            depth, _, opening = number.partition(",")
            if opening == "[":
                nested = "[" * int(depth) + "]" * int(depth)
            else:
                nested = '{"a":' * int(depth) + "1" + "}" * int(depth)
            text = before + nested + after
        content = text.encode()
        return self._spoilt(content) if chance.random() < 0.05 else content

    def _spoilt(self, content: bytes) -> bytes:
        chance = self._chance
        at = chance.randrange(len(content) + 1)
        kind = chance.randrange(6)
        if kind == 0:
            return content[:at]
        if kind == 1:
            return content[:at] + bytes([chance.randrange(256)]) + content[at:]
        if kind == 2:
            return b"\xef\xbb\xbf" + content
        if kind == 3:
            return content.replace(b": 1", chance.choice((b": NaN", b": -Infinity", b": 1e999")))
        if kind == 4:
            return content.replace(b'"name"', b'"name": 1, "name"')
        return chance.choice((b"", b"null", b"[]", b'"x"', b"{}", b"1" * 5000, b"[" * 100_000))

    def _places(self, value: Any) -> list[tuple[Any, Any]]:
        """Each container and key of a value."""
        found, waiting = [], [value]
        while waiting:
            whole = waiting.pop()
            inner = (
                list(whole.items())
                if isinstance(whole, dict)
                else list(enumerate(whole))
                if isinstance(whole, list)
                else []
            )
            found += [(whole, key) for key, _ in inner]
            waiting += [part for _, part in inner]
        return found

    def _anywhere(self, value: Any) -> tuple[Any, Any]:
        places = self._places(value)
        return self._chance.choice(places) if places else ([None], 0)

    def _replace(self, value: Any) -> None:
        whole, key = self._anywhere(value)
        whole[key] = self.value(3)

    def _remove(self, value: Any) -> None:
        whole, key = self._anywhere(value)
        del whole[key]

    def _swap(self, value: Any) -> None:
        (one, key), (other, name) = self._anywhere(value), self._anywhere(value)
        one[key], other[name] = copy.deepcopy(other[name]), copy.deepcopy(one[key])

    def _rename(self, value: Any) -> None:
        whole, key = self._anywhere(value)
        if isinstance(whole, dict):
            whole[self.text()] = whole.pop(key)

    def _add(self, value: Any) -> None:
        whole, key = self._anywhere(value)
        if isinstance(whole, dict):
            whole[self._chance.choice((self.text(), *KEYWORDS, key))] = self.value(3)
        else:
            whole.append(copy.deepcopy(whole[key]))

    def _deepen(self, value: Any) -> None:
        whole, key = self._anywhere(value)
        depth = self._chance.choice((50, 120, 200, 250, 260, 930, 5000, 100_000))
        whole[key] = _LEAF % (depth, self._chance.choice("[{"))

    def _of_schemas(self, value: Any) -> Iterator[dict[str, Any]]:
        for whole, key in self._places(value):
            if isinstance(key, str) and key.startswith("args_schema") and key != _VERSION:
                schema = whole[key]
                if isinstance(schema, dict):
                    yield schema

    def _share(self, value: Any) -> None:
        """Let a schema refer to the same parts again and again."""
        chance = self._chance
        for schema in self._of_schemas(value):
            key = chance.choice(
                ("allOf", "anyOf", "oneOf", "properties", "prefixItems", "items", "mixed", "one")
            )
            depth = chance.choice((3, 16, 30, 60, 300))
            parts = {f"d{level}": self._level(key, level + 1) for level in range(depth)}
            parts[f"d{depth}"] = chance.choice(
                ({"type": "integer"}, {}, {"$ref": "#/$defs/d0"}, self.schema(1))
            )
            schema["$defs"] = parts
            properties = schema.get("properties")
            if isinstance(properties, dict):
                properties["a"] = {"$ref": "#/$defs/d0", "default": self.value(2)}
                if chance.random() < 0.5:
                    schema["required"] = [*properties]
                if chance.random() < 0.2:
                    properties["a"]["unevaluatedProperties"] = False

    def _level(self, key: str, below: int) -> dict[str, Any]:
        part = {"$ref": f"#/$defs/d{below}"}
        if key == "mixed":
            key = self._chance.choice(("allOf", "anyOf", "oneOf", "properties", "items"))
        if key == "one":
            return part
        if key == "properties":
            return {"type": "object", key: {"a": part, "b": part}, "required": ["a", "b"]}
        if key == "items":
            return {"type": "array", "items": part, "minItems": self._chance.choice((1, 2, 100))}
        return {key: [part, dict(part)]}

    def _pattern(self, value: Any) -> None:
        chance = self._chance
        pattern = chance.choice(PATTERNS)
        for schema in self._of_schemas(value):
            properties = schema.get("properties")
            if isinstance(properties, dict):
                properties["a"] = chance.choice(
                    (
                        {"type": "string", "pattern": pattern, "default": "a" * 60},
                        {"type": "string", "pattern": pattern, "minLength": 60},
                        {"patternProperties": {pattern: {}}, "default": {"a" * 60: 1}},
                        {"propertyNames": {"pattern": pattern}, "default": {"a" * 60: 1}},
                        {"format": "regex", "default": pattern},
                    )
                )
                schema["required"] = ["a"]

    def _subschema(self, value: Any) -> None:
        for schema in self._of_schemas(value):
            properties = schema.get("properties")
            if isinstance(properties, dict):
                properties[self.text()] = self.schema(4)
                if self._chance.random() < 0.5:
                    schema["required"] = [*properties]

    _VERSIONS = (
        "http://json-schema.org/draft-%s/schema#",
        "https://json-schema.org/draft/%s/schema",
    )

    def _declare(self, value: Any) -> None:
        chance = self._chance
        for schema in self._of_schemas(value):
            schema["$schema"] = chance.choice(
                (
                    *(self._VERSIONS[0] % number for number in ("03", "04", "06", "07")),
                    *(self._VERSIONS[1] % number for number in ("2019-09", "2020-12", "next")),
                )
            )
            if chance.random() < 0.5:
                schema[chance.choice(("$id", "id"))] = self.text()

    def _repeat(self, value: Any) -> None:
        tasks = value.get("task_list") if isinstance(value, dict) else None
        if isinstance(tasks, list) and 0 < len(tasks) < 10:
            tasks *= self._chance.choice((2, 3, 20))

    _changes: Final[tuple[Callable[[_Maker, Any], None], ...]] = (
        _replace,
        _replace,
        _replace,
        _remove,
        _swap,
        _rename,
        _add,
        _add,
        _deepen,
        _share,
        _pattern,
        _subschema,
        _subschema,
        _declare,
        _repeat,
    )

    def text(self) -> str:
        """A text that means something somewhere."""
        return self._chance.choice((*TEXTS, *PATTERNS, *KEYWORDS))

    def value(self, depth: int) -> Any:
        """Any JSON value."""
        chance = self._chance
        kind = chance.randrange(9 if depth else 5)
        if kind < 2:
            return self.text()
        if kind < 4:
            return chance.choice(NUMBERS)
        if kind == 4:
            return None
        many = range(chance.choice((0, 1, 2, 3)))
        if kind == 5:
            return [self.value(depth - 1) for _ in many]
        if kind == 6:
            return {self.text(): self.value(depth - 1) for _ in many}
        return self.schema(depth)

    def schema(self, depth: int) -> Any:
        """Something like a JSON Schema."""
        chance = self._chance
        made: dict[str, Any] = {}
        for _ in range(chance.choice((1, 2, 3, 4))):
            keyword = chance.choice(KEYWORDS)
            if chance.random() < 0.3 or not depth:
                made[keyword] = self.value(max(depth - 1, 0))
            elif keyword in ("allOf", "anyOf", "oneOf", "prefixItems"):
                made[keyword] = [self.schema(depth - 1) for _ in range(chance.randrange(1, 4))]
            elif keyword in ("properties", "patternProperties", "$defs", "dependentSchemas"):
                made[keyword] = {self.text(): self.schema(depth - 1), "a": self.schema(depth - 1)}
            elif keyword == "type":
                types = ("object", "array", "string", "integer", "number", "boolean", "null")
                made[keyword] = chance.choice((*types, list(types[:2])))
            elif keyword in ("required", "enum"):
                made[keyword] = [self.text(), "a", self.value(1)][: chance.randrange(4)]
            elif keyword.startswith(("min", "max", "exclusive", "multiple")):
                made[keyword] = chance.choice(NUMBERS)
            elif keyword in ("$ref", "$dynamicRef", "$recursiveRef"):
                made[keyword] = chance.choice(("#", "#/$defs/d0", "#/properties/a", self.text()))
            else:
                made[keyword] = self.schema(depth - 1)
        return made


_VERSION: Final = "args_schema_version"
