"""The process in which schemas of others are applied and their patterns matched.

A `pattern` may backtrack for centuries, and Python's `re` cannot be stopped from another
thread. So all that a schema can make long happens here, each answer within a limit of
processor time: the system ends the process at it, whatever the process is doing. Nothing
but JSON goes in and out.

A request is two lines, `[operation, limit, arguments]` and the schema's text or null; its
answer is one line. Imports nothing of pytest-fractal.
"""

from __future__ import annotations

import contextlib
import json
import re
import resource
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any, Final
from urllib.parse import quote

from jsonschema import (
    Draft3Validator,
    Draft4Validator,
    Draft6Validator,
    Draft7Validator,
    Draft201909Validator,
    Draft202012Validator,
)
from jsonschema.exceptions import UnknownType, ValidationError, best_match
from jsonschema.protocols import Validator
from jsonschema.validators import extend, validates
from referencing import Registry
from referencing.exceptions import NoSuchAnchor, PointerToNowhere, Unresolvable
from referencing.jsonschema import DRAFT202012, specification_with

_HERE: Final = "urn:pytest-fractal:args-schema"
_MOST_MEMORY: Final = 4 * 1024**3
_LONG: Final = 2000
_MANY: Final = 10_000
"""Up to which length, and how many, parts of schemas are remembered to be valid."""

Keys = tuple[str | int, ...]


def main() -> None:
    """Answer requests until there are no more."""
    with contextlib.suppress(ValueError, OSError):  # where the system knows no such limit
        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    text, schema = "", None
    for request in sys.stdin:
        operation, limit, arguments = json.loads(request)
        signal.setitimer(signal.ITIMER_PROF, limit)
        given = sys.stdin.readline()
        if given != text:
            text, schema = given, _Schema(json.loads(given))
        assert schema is not None
        answer = json.dumps(_answer(schema, operation, arguments))
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


def _answer(schema: _Schema, operation: str, arguments: Sequence[Any]) -> dict[str, Any]:
    # What was known of instances of an earlier request went with them.
    _MEMORY.errors.clear()
    try:
        return {"answer": _OPERATIONS[operation](schema, *arguments)}
    except MemoryError:
        return {"over": "takes too much memory"}
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}"}


class _Schema:
    """One schema, and what resolves its references."""

    def __init__(self, schema: Any) -> None:
        self.schema = schema

    @cached_property
    def _registered(self) -> tuple[str, Registry[Any]]:
        declared = self.schema.get("$schema")
        # FR202 reports a draft that does not exist; the rest of the schema may be as good as any.
        named = declared if isinstance(declared, str) else _LATEST
        specification = specification_with(named, default=DRAFT202012)
        root = specification.create_resource(self.schema)
        base = (root.id() or "").rstrip("#") or _HERE
        registry: Registry[Any] = Registry().with_resource(base, root)
        # An `$id` that is no URI names nothing, nor does what another draft's keyword holds.
        with contextlib.suppress(ValueError, TypeError, AttributeError):
            registry = registry.crawl()
        return base, registry

    def validator(self, keys: Keys, draft_name: str | None) -> Validator:
        """What validates by the part of the schema to which the keys lead.

        `draft_name` is the URI of the draft where the schema names none.
        """
        base, registry = self._registered
        declared = self.schema.get("$schema", draft_name)
        draft = _DRAFTS.get(declared.rstrip("#") if isinstance(declared, str) else _LATEST)
        reference = base + _fragment(keys) if keys else base
        return (draft or _DRAFTS[_LATEST])({"$ref": reference}, registry=registry)

    def check_reference(self, keys: Keys, reference: str) -> None:
        """Look up a reference that stands there. Raises what `referencing` does."""
        base, registry = self._registered
        registry.resolver(base).lookup(_fragment(keys)).resolver.lookup(reference)


class _Memory:
    """What is known while one request is answered."""

    def __init__(self) -> None:
        self.errors: dict[tuple[int, int], ValidationError | None] = {}
        """By the identities of a schema that was referred to and of an instance: the first
        error, None if there is none, or not yet."""
        self.valid: set[str] | None = None
        """Parts of schemas that are valid by the draft in question; None where it is arguments
        that are validated."""


_MEMORY: Final = _Memory()


def _referring(keyword: str, plain: Callable[..., Any]) -> Callable[..., Any]:
    """A keyword that refers to another schema, which applies that to the same thing but once.

    Schemas share parts, and a chain of thirty that refer to the next one twice would be gone
    through 2^30 times. What comes a second time has its first error again, or none. Parts of
    schemas are alike in many tasks: of a draft's own schema, what was valid is remembered.
    """

    def refer(validator: Any, reference: str, instance: Any, schema: Any) -> Iterator[Any]:
        if _MEMORY.valid is not None:
            text = json.dumps(instance) if reference in ("#", "#meta") else ""
            if not text or len(text) > _LONG:
                yield from plain(validator, reference, instance, schema)
            elif text not in _MEMORY.valid:
                errors = list(plain(validator, reference, instance, schema))
                if not errors:
                    if len(_MEMORY.valid) > _MANY:
                        _MEMORY.valid.clear()
                    _MEMORY.valid.add(text)
                yield from errors
            return
        if keyword != "$ref":  # to what another one refers depends on the way there
            yield from plain(validator, reference, instance, schema)
            return
        key = id(validator._resolver.lookup(reference).contents), id(instance)
        if key not in _MEMORY.errors:
            _MEMORY.errors[key] = None  # if it leads back here, that decides nothing
            errors = list(plain(validator, reference, instance, schema))
            if errors:
                first = errors[0]
                _MEMORY.errors[key] = ValidationError(
                    first.message,
                    validator=first.validator,
                    validator_value=first.validator_value,
                    instance=first.instance,
                    schema=first.schema,
                    path=first.relative_path,
                )
            yield from errors
        elif (known := _MEMORY.errors[key]) is not None:
            yield ValidationError.create_from(known)

    return refer


def _multiple_of(
    validator: Validator, step: float, value: Any, _: object
) -> Iterator[ValidationError]:
    """By the digits that are written: to binary fractions, 0.3 is no multiple of 0.1."""
    if validator.is_type(value, "number") and Fraction(str(value)) % Fraction(str(step)):
        yield ValidationError(f"{value!r} is not a multiple of {step!r}")


def _extended(draft: Any) -> type[Validator]:
    references = {
        keyword: _referring(keyword, draft.VALIDATORS[keyword])
        for keyword in ("$ref", "$dynamicRef", "$recursiveRef")
        if keyword in draft.VALIDATORS
    }
    extended = extend(draft, {"multipleOf": _multiple_of, **references})  # type: ignore[no-untyped-call]
    # The library goes on with this one where a schema declares the draft, as drafts' own do.
    registered: type[Validator] = validates(draft.__name__)(extended)  # type: ignore[assignment]
    return registered


_DRAFTS: Final = {
    str(draft.META_SCHEMA["$schema"]).rstrip("#"): _extended(draft)
    for draft in (
        Draft3Validator,
        Draft4Validator,
        Draft6Validator,
        Draft7Validator,
        Draft201909Validator,
        Draft202012Validator,
    )
}
_METASCHEMAS: Final = {uri: draft(draft.META_SCHEMA) for uri, draft in _DRAFTS.items()}
_VALID: Final[dict[str, set[str]]] = {uri: set() for uri in _DRAFTS}
_LATEST: Final = str(Draft202012Validator.META_SCHEMA["$schema"])


def _faults(schema: _Schema, draft: str) -> list[list[Any]] | None:
    """Where the schema is not valid by a draft: keys, message; None where it is too deep."""
    _MEMORY.valid = _VALID[draft]
    try:
        errors = sorted(
            _METASCHEMAS[draft].iter_errors(schema.schema), key=lambda error: error.json_path
        )
    except RecursionError:
        return None
    finally:
        _MEMORY.valid = None
    return [[list(error.absolute_path), error.message[:200]] for error in errors[:1000]]


def _references(schema: _Schema) -> list[list[Any]]:
    """The references that lead nowhere: keys of the schema that has it, and whether elsewhere."""
    found = []
    for keys, inner in _subschemas(schema.schema):
        reference = inner.get("$ref")
        if not isinstance(reference, str):
            continue
        try:
            schema.check_reference(keys, reference)
        except (Unresolvable, AttributeError, ValueError, TypeError, LookupError) as error:
            nowhere = isinstance(error, NoSuchAnchor | PointerToNowhere)
            found.append([list(keys), not nowhere and not reference.startswith("#")])
    return found


def _defaults(schema: _Schema, draft: str | None = None) -> list[list[Any]]:
    """The defaults that their own schemas refuse: keys of the schema that has it, and why."""
    found = []
    for keys, inner in _subschemas(schema.schema):
        if "default" in inner:
            with _not_understood():
                errors = schema.validator(keys, draft).iter_errors(inner["default"])
                if (error := next(iter(errors), None)) is not None:
                    found.append([list(keys), _plain_error(error)])
    return found


def _refusal(schema: _Schema, arguments: Any, draft: str | None = None) -> list[Any] | None:
    """The best reason why the schema refuses these arguments; None when it does not."""
    with _not_understood():
        error = best_match(schema.validator((), draft).iter_errors(arguments))
        return None if error is None else _plain_error(error)
    return None


def _match(_: _Schema, pattern: str, texts: Sequence[str]) -> int | None:
    """The first of the texts in which a pattern is found; None for none."""
    with _not_understood():
        expression = re.compile(pattern)
        return next((at for at, text in enumerate(texts) if expression.search(text)), None)
    return None


_OPERATIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "faults": _faults,
    "references": _references,
    "defaults": _defaults,
    "refusal": _refusal,
    "match": _match,
}


def _not_understood() -> contextlib.suppress:
    """Passes over what other rules say of a schema, or what only other languages' `re` reads."""
    return contextlib.suppress(
        Unresolvable,
        UnknownType,
        re.error,
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    )


def _plain_error(error: ValidationError) -> list[Any]:
    """Of an error, what crosses the pipe: where, the message, cut, the keyword and its value."""
    path = list(error.absolute_path)
    return [path, error.message[:200], error.validator, error.instance, error.validator_value]


def _fragment(keys: Keys) -> str:
    """The part of a schema to which the keys lead, as a URI has it."""
    parts = (str(key).replace("~", "~0").replace("/", "~1") for key in keys)
    return "#" + quote("".join(f"/{part}" for part in parts), safe="/", errors="replace")


_ONE: Final = frozenset(
    {
        "additionalItems",
        "additionalProperties",
        "contains",
        "contentSchema",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
_LISTS: Final = frozenset({"allOf", "anyOf", "items", "oneOf", "prefixItems"})
_MAPS: Final = frozenset(
    {"$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"}
)


def _subschemas(schema: Mapping[str, Any]) -> Iterator[tuple[Keys, Mapping[str, Any]]]:
    """Every schema within the schema, itself included, and the way to each.

    Only keywords are followed: a property may be called `default`, and a default may
    look like a schema.
    """
    waiting: list[tuple[Keys, Mapping[str, Any]]] = [((), schema)]
    while waiting:
        keys, part = waiting.pop()
        yield keys, part
        inner: list[tuple[Keys, Any]] = []
        for key, value in part.items():
            if key in _ONE and isinstance(value, dict):
                inner.append(((*keys, key), value))
            elif key in _LISTS and isinstance(value, list):
                inner += (((*keys, key, index), item) for index, item in enumerate(value))
            elif key in _MAPS and isinstance(value, dict):
                inner += (((*keys, key, name), item) for name, item in value.items())
        waiting += ((way, item) for way, item in reversed(inner) if isinstance(item, dict))


if __name__ == "__main__":
    main()
