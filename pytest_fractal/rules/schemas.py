"""FR2: the JSON Schemas of the arguments."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
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
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import NoSuchAnchor, PointerToNowhere, Unresolvable
from referencing.jsonschema import DRAFT202012, specification_with

from pytest_fractal.facts import Manifest, PackagedPart, Part
from pytest_fractal.json_text import depth_of, pointer
from pytest_fractal.rules.dialects import DRAFT_7, DRAFT_2020, implied_dialect, named_dialect
from pytest_fractal.rules.registry import NotApplicable, Note, Source, rule
from pytest_fractal.rules.signature_match import compare
from pytest_fractal.samples.runs import Filled
from pytest_fractal.signatures.task_function import Unreadable
from pytest_fractal.verdicts import Finding, Severity


def _multiple_of(
    validator: Validator, step: float, value: Any, _: object
) -> Iterator[ValidationError]:
    """By the digits that are written: to binary fractions, 0.3 is no multiple of 0.1."""
    if validator.is_type(value, "number") and Fraction(str(value)) % Fraction(str(step)):
        yield ValidationError(f"{value!r} is not a multiple of {step!r}")


_DRAFTS: Final[dict[str, type[Validator]]] = {
    str(draft.META_SCHEMA["$schema"]).rstrip("#"): extend(  # type: ignore[no-untyped-call]
        draft, {"multipleOf": _multiple_of}
    )
    for draft in (
        Draft3Validator,
        Draft4Validator,
        Draft6Validator,
        Draft7Validator,
        Draft201909Validator,
        Draft202012Validator,
    )
}
_HERE: Final = "urn:pytest-fractal:args-schema"
_TYPES: Final = "array, boolean, integer, null, number, object or string"


@rule(
    "FR201",
    "schemas-included",
    needs=("FR106",),
    cite=(Source.PACKAGE, Source.SERVER_1, Source.SERVER_2),
    fix="Generate a schema for each task, set `has_args_schemas` and `args_schema_version`.",
    example='"has_args_schemas": false',
)
def schemas_included(manifest: Manifest) -> Iterator[Finding]:
    """`has_args_schemas` is true, every task has its schema, `args_schema_version` is set.

    The page demands schemas: the web client draws the form for the arguments from them.
    With one missing, or without a version, the server refuses the package.
    """
    generation = manifest.generation
    assert generation is not None
    flag = manifest.value.get("has_args_schemas")
    if flag is None or str(flag).lower() in ("false", "0", "0.0", "no", "n", "f", "off"):
        yield manifest.finding(
            "has_args_schemas",
            expected="true",
            found="it is missing" if flag is None else json.dumps(flag),
            hint='write "has_args_schemas": true, and give each task the schema of its arguments',
        )
    version = manifest.value.get("args_schema_version")
    if version is None or not str(version).strip():
        yield manifest.finding(
            "args_schema_version",
            expected=f'how the schemas were made, such as "{generation.schema_version}"',
            found="it is missing" if version is None else json.dumps(version),
            hint=f'write "args_schema_version": "{generation.schema_version}"',
        )
    for index, entry in enumerate(manifest.entries):
        for part in generation.parts(entry):
            if entry.get(part.args_schema) is None:
                yield manifest.finding(
                    "task_list",
                    index,
                    part.args_schema,
                    expected=f"the JSON Schema of the arguments of {part.executable}",
                    found="null" if part.args_schema in entry else "it is missing",
                    hint=f"generate it from the task's function: {generation.schema_tool}",
                    task=manifest.slug(index),
                )


@rule(
    "FR202",
    "valid-schema",
    needs=("FR106",),
    cite=(Source.PACKAGE,),
    fix="Correct the keyword that the finding names.",
    example='"sigma": {"type": "float"}',
)
def valid_schema(part: Part) -> Iterator[Finding]:
    """Each schema is valid by the draft that it declares.

    Where it declares none, `args_schema_version` says by which one clients read it: draft 7
    for `pydantic_v1`, else 2020-12; by both where that says nothing. A tuple as draft 7 has
    it, `items` that are a list, is a warning in 2020-12: no server refuses it, and the web
    client shows no form.
    """
    schema = schema_of(part)
    if (depth := depth_of(schema)) > part.task.generation.deepest:
        yield part.schema_finding(
            expected=f"lists and objects in at most {part.task.generation.deepest} levels",
            found=f"{depth} levels",
            hint="nest less, and refer to parts in `$defs` by `$ref`: the server cannot tell of "
            "its tasks with this one among them",
        )
        return
    declared = schema.get("$schema")
    implied = implied_dialect(part.task.schema_version)
    dialects = [implied] if implied else [DRAFT_2020, DRAFT_7]
    if declared is not None:
        named = named_dialect(declared)
        is_exact = isinstance(declared, str) and declared.removesuffix("#") == named
        if not is_exact:
            yield part.schema_finding(
                "$schema",
                expected=named
                or "the URI of a JSON Schema draft, such as "
                "https://json-schema.org/draft/2020-12/schema",
                found=json.dumps(declared),
                hint=f"write {named!r}, or remove $schema"
                if named
                else "write the URI of the draft, or remove $schema",
                severity=Severity.WARNING if named else None,
            )
        if named is None:
            return
        dialects = [named]
    drafts = [_DRAFTS[dialect] for dialect in dialects]
    seen = set()
    for draft in drafts:
        name = str(draft.META_SCHEMA.get("$schema")).rstrip("#")
        try:
            errors = sorted(
                draft(draft.META_SCHEMA).iter_errors(schema), key=lambda error: error.json_path
            )
        except RecursionError:
            yield part.schema_finding(
                expected="a schema that a validator can follow to its end",
                found="it is nested too deeply",
                hint="nest less, and refer to parts in `$defs` by `$ref`",
            )
            return
        for error in errors:
            keys = tuple(error.absolute_path)
            if keys in seen:
                continue
            seen.add(keys)
            is_type = bool(keys) and keys[-1] == "type"
            if keys[-1:] == ("items",) and isinstance(error.instance, list) and not declared:
                yield part.schema_finding(
                    *keys,
                    expected="`prefixItems`, as draft 2020-12 has it",
                    found="`items` that are a list, which is a tuple in draft 7",
                    hint="generate the schema anew with pydantic 2, or rename `items` to "
                    "`prefixItems`",
                    severity=Severity.WARNING,
                )
                continue
            yield part.schema_finding(
                *keys,
                expected=_TYPES if is_type else f"what {name} allows here",
                found=json.dumps(error.instance)[:80] if is_type else error.message[:200],
                hint=f"write {_TYPES}"
                if is_type
                else f"correct {keys[-1]!r}"
                if keys
                else "correct the schema",
            )


@rule(
    "FR203",
    "object-schema",
    needs=("FR106",),
    cite=(Source.SERVER_1, Source.SERVER_2),
    fix="Describe the arguments as an object with one schema for each property.",
    example='"properties": []',
)
def object_schema(part: Part) -> Iterator[Finding]:
    """The schema has type object, and `properties` that are an object of objects.

    The web client draws its form from the properties. The server collects anything else,
    and that of generation 1 answers with an internal error when the task is added to a
    workflow. That of generation 2 does not look into the schema: there a property `true` is
    a warning.
    """
    schema = schema_of(part)
    if schema.get("type") != "object":
        yield part.schema_finding(
            *(["type"] if "type" in schema else []),
            expected='"type": "object"',
            found=json.dumps(schema["type"]) if "type" in schema else "no type",
            hint='write "type": "object"',
        )
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        yield part.schema_finding(
            *(["properties"] if "properties" in schema else []),
            expected="`properties`, an object with a schema for each argument",
            found=json.dumps(properties)[:80] if "properties" in schema else "no properties",
            hint='write "properties": {...}',
        )
        return
    for name, value in properties.items():
        if not isinstance(value, dict):
            yield part.schema_finding(
                "properties",
                name,
                expected="a schema that is an object",
                found=json.dumps(value)[:80],
                hint='write {} for "anything"' if value is True else "write an object",
                # Schemas they are, all the same.
                severity=Severity.WARNING
                if isinstance(value, bool) and part.task.generation.takes_boolean_schemas
                else None,
            )


@rule(
    "FR204",
    "local-references",
    needs=("FR202",),
    cite=(Source.SERVER_1, Source.SERVER_2),
    fix="Put what is referred to into `definitions` or `$defs` of the same schema.",
    example='"channel": {"$ref": "#/definitions/Channel"}, and there are no definitions.',
)
def local_references(part: Part) -> Iterator[Finding]:
    """Every `$ref` resolves inside the schema.

    Nothing is ever fetched: neither by the server nor by this tool.
    """
    schema = schema_of(part)
    registry, base = _registry(schema)
    for keys, inner in _subschemas(schema):
        reference = inner.get("$ref")
        if not isinstance(reference, str):
            continue
        try:
            here = registry.resolver(base).lookup(_fragment(keys)).resolver
            here.lookup(reference)
        except (Unresolvable, ValueError, TypeError, LookupError) as error:
            nowhere = isinstance(error, NoSuchAnchor | PointerToNowhere)
            remote = not nowhere and not reference.startswith("#")
            yield part.schema_finding(
                *keys,
                "$ref",
                expected="a reference such as #/definitions/NAME to a part of this schema",
                found=json.dumps(reference)
                + (", which lies elsewhere" if remote else ", which leads nowhere"),
                hint="copy what it refers to into `definitions`, and refer to it there"
                if remote
                else "add the missing definition, or correct the reference",
            )


@rule(
    "FR205",
    "reserved-arguments",
    needs=("FR106", "FR111", "FR115", "FR203"),
    cite=(Source.ARGUMENTS, f"{Source.TOOLS}, the signature constraints"),
    fix="Take exactly the reserved arguments of the task's kind, and generate the schema anew.",
    example="The schema of a parallel task without the property component.",
)
def reserved_arguments(part: Part) -> Iterator[Finding]:
    """The arguments that Fractal supplies are properties, and those of other kinds are not.

    Fractal always passes them: a task that does not know one of them fails when it
    runs, and one that waits for another waits in vain.
    """
    properties = schema_of(part)["properties"]
    required = schema_of(part).get("required")
    for name in part.reserved.names:
        if name not in properties:
            yield part.schema_finding(
                "properties",
                expected=f"a property {name!r}, which Fractal passes to every {part.words}",
                found="there is none",
                hint=f"add the parameter {name!r} to the function and generate the schema anew",
            )
    for name in part.reserved.others:
        if name in properties:
            yield part.schema_finding(
                "properties",
                name,
                expected=f"no property {name!r}: Fractal does not pass it to a {part.words}",
                found="there is one",
                hint="remove it, or set meta.parallelization_level if the task is parallel"
                if name == "component"
                else f"remove {name!r}",
            )
    for name in part.reserved.optional:
        if name in properties and isinstance(required, list) and name in required:
            yield part.schema_finding(
                "properties",
                name,
                expected=f"a default for {name!r}: Fractal does not pass it to a {part.words}",
                found="it is required",
                hint=f"remove {name!r}, or give the parameter a default",
            )


@rule(
    "FR206",
    "schema-matches-function",
    needs=("FR110", "FR203"),
    cite=(Source.PACKAGE,),
    fix="Generate the schema anew from the function.",
    example='def blur(..., sigma=2.0), and the schema says "sigma": {"default": 1.5}.',
)
def schema_matches_function(part: PackagedPart) -> Iterator[Finding]:
    """Properties, required ones and simple defaults agree with the task's function.

    A schema that is older than its function lets users fill in arguments that the task
    refuses, or hides new ones. The signature is read from the source in the wheel.
    """
    schema = schema_of(part)
    signature = part.signature
    if isinstance(signature, Unreadable):
        raise NotApplicable(f"the function's signature cannot be told: {signature}")
    told = {
        pointer("properties", name)
        for name in part.reserved.names
        if name not in schema["properties"]
    }
    for disagreement in compare(signature, schema):
        if disagreement.pointer in told:
            continue  # FR205 has said that Fractal's argument is missing in the schema
        keys = [
            part.replace("~1", "/").replace("~0", "~")
            for part in disagreement.pointer.split("/")[1:]
        ]
        yield part.schema_finding(
            *keys,
            expected=disagreement.expected,
            found=disagreement.found,
            hint=disagreement.hint,
        )


@rule(
    "FR207",
    "defaults-valid",
    severity=Severity.WARNING,
    needs=("FR202", "FR204"),
    cite=(f"{Source.SERVER_1}; else none: a form that is sent as it comes should be accepted",),
    fix="Correct the default, or the schema that it breaks.",
    example='"level": {"type": "integer", "default": null}',
)
def defaults_valid(part: Part) -> Iterator[Finding]:
    """Each `default` is valid under its own subschema, and no reserved argument has one.

    The web client fills the default in; the user who leaves it there is refused. In
    generation 1 so does the server, for every task that is added to a workflow, and a wrong
    default is an error. One for an argument that Fractal supplies makes it drop all
    arguments of the task, without a word.
    """
    schema = schema_of(part)
    filled_in = part.task.generation.filled_in(schema)
    for name in part.reserved.all:
        if name in filled_in:
            yield part.schema_finding(
                "properties",
                name,
                "default",
                expected=f"no default for {name!r}, which Fractal supplies",
                found=f"{json.dumps(filled_in[name])[:80]}, with which the server drops all "
                "arguments that users give",
                hint=f"remove it: write the parameter {name!r} of the function without a default, "
                "and generate the schema anew",
                severity=Severity.ERROR,
            )
    draft = _draft_of(part)
    registry, base = _registry(schema)
    for keys, inner in _subschemas(schema):
        if "default" not in inner:
            continue
        validator = draft({"$ref": base + _fragment(keys)}, registry=registry)
        try:
            error = next(iter(validator.iter_errors(inner["default"])), None)
        except (Unresolvable, re.error, RecursionError, ValueError, TypeError):
            continue  # other rules tell what is wrong with such a schema
        if error is not None:
            at = pointer(*error.absolute_path)
            at = f"{at}: " if at else ""
            shown = json.dumps(inner["default"])
            shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
            yield part.schema_finding(
                *keys,
                "default",
                expected="a default that its own schema allows",
                found=f"{shown}, where {at}{json.dumps(error.instance)} is refused by "
                f"{error.validator!r}: {json.dumps(error.validator_value)[:80]}",
                hint=_without_null(at.removesuffix(": "))
                if error.instance is None
                else "correct the default in the function, or the type of the argument",
                severity=Severity.ERROR
                if keys[:1] == ("properties",) and len(keys) == 2 and keys[1] in filled_in
                else None,
            )


def _without_null(at: str) -> str:
    """The fix for a null in a default, there or at a place within it."""
    if at:
        return f"leave {at} out of the default, or let its type be Optional"
    return "leave the default out, or let the argument's type be Optional"


@rule(
    "FR208",
    "samples-match-schema",
    needs=("FR202", "FR203", "FR204", "FR205"),
    cite=(Source.PACKAGE,),
    fix="Generate the schema anew, or correct the sample.",
    example='{"task": "Blur", "args": {"sigma": "2"}}, and by the schema sigma is a number.',
)
def samples_match_schema(filled: Filled) -> Iterator[Finding | Note]:
    """Every sample, with what Fractal supplies filled in, is valid by the task's schema.

    The web client checks arguments by the schema before it sends them: what the schema
    refuses cannot be run, however well the command would take it.
    """
    sample = filled.sample
    judged = [(part, arguments) for part, arguments in filled.parts if part.has_schema]
    if not judged:
        raise NotApplicable("the task has no args_schema, see FR201")
    if sample.made:
        raise NotApplicable("the task has no sample, see FR407")
    refused = [
        (part, error) for part, arguments in judged if (error := schema_error(part, arguments))
    ]
    if sample.expect == "failure":
        yield Note(
            f"refused by the schema, as expected: {refused[0][1].message[:200]}"
            if refused
            else "the schema allows it; the command must refuse it, see FR406"
        )
        return
    for part, error in refused:
        keys = tuple(error.absolute_path)
        # What Fractal supplies stands beside the task's own arguments.
        given = keys and keys[0] in part.reserved.names
        where, line = sample.place(*(() if given else sample.way_to_args(part)), *keys)
        yield Finding(
            expected=f"arguments that the schema allows; {error.validator}: "
            f"{json.dumps(error.validator_value)[:80]}",
            found=f"{error.message[:200]}",
            hint="correct the sample, or generate the schema anew from the function",
            file=str(sample.file),
            pointer=where,
            line=line,
            task=sample.task.slug,
        )


def schema_error(part: Part, arguments: Mapping[str, Any]) -> ValidationError | None:
    """The best reason why a command's schema refuses these arguments; None when it does not."""
    schema = part.schema
    draft = _draft_of(part)
    registry, base = _registry(schema)
    validator = draft({"$ref": base}, registry=registry)
    try:
        error: ValidationError | None = best_match(validator.iter_errors(dict(arguments)))
        return error
    except (Unresolvable, re.error, RecursionError, ValueError, TypeError):
        return None  # other rules tell what is wrong with such a schema


def _draft_of(part: Part) -> type[Validator]:
    """The validator by which a command's schema is read."""
    named = named_dialect(part.schema.get("$schema"))
    return _DRAFTS[named or implied_dialect(part.task.schema_version) or DRAFT_2020]


def schema_of(part: Part) -> Mapping[str, Any]:
    """The schema of a command's arguments. Raises `NotApplicable` where there is none."""
    if not part.has_schema:
        raise NotApplicable("it has no JSON Schema of its arguments, see FR201")
    return part.schema


def _registry(schema: Mapping[str, Any]) -> tuple[Registry[Any], str]:
    """What knows this schema and the parts of it, and fetches nothing; and the schema's URI."""
    named = named_dialect(schema.get("$schema"))
    specification = specification_with(named) if named else DRAFT202012
    root = specification.create_resource(schema)
    base = (root.id() or "").rstrip("#") or _HERE
    registry: Registry[Any] = Registry().with_resource(base, root)
    # An `$id` that is no URI names nothing, nor does what another draft's keyword holds.
    with contextlib.suppress(ValueError, TypeError):
        registry = registry.crawl()
    return registry, base


def _fragment(keys: tuple[str | int, ...]) -> str:
    """The part of a schema to which the keys lead, as a URI has it."""
    return "#" + quote(pointer(*keys), safe="/", errors="replace")


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


def _subschemas(
    schema: Mapping[str, Any], keys: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, Any]]]:
    """Every schema within the schema, itself included, and the way to each.

    Only keywords are followed: a property may be called `default`, and a default may
    look like a schema.
    """
    yield keys, schema
    for key, value in schema.items():
        inner: list[tuple[tuple[str | int, ...], Any]] = []
        if key in _ONE and isinstance(value, dict):
            inner = [((key,), value)]
        elif key in _LISTS and isinstance(value, list):
            inner = [((key, index), part) for index, part in enumerate(value)]
        elif key in _MAPS and isinstance(value, dict):
            inner = [((key, name), part) for name, part in value.items()]
        for way, part in inner:
            if isinstance(part, dict):
                yield from _subschemas(part, (*keys, *way))
