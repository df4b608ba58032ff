"""FR201 to FR204: the JSON Schemas of the arguments are there, and valid."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pytest_fractal.environments.wheels import Wheel
from pytest_fractal.facts import PackagedPart, Part
from pytest_fractal.fixes.model import Action, JsonEdit
from pytest_fractal.generations import Generation, PartKeys
from pytest_fractal.json_text import depth_of, shown
from pytest_fractal.rules.cite import Source
from pytest_fractal.rules.dialects import DRAFT_7, DRAFT_2020, implied_dialect, named_dialect
from pytest_fractal.rules.meant_keywords import TYPES, meant_value
from pytest_fractal.rules.registry import rule
from pytest_fractal.rules.reserved_advice import (
    parameter_of,
)
from pytest_fractal.rules.schema_access import (
    checked,
    last_name,
    schema_of,
    value_at,
    with_exact_dialect,
)
from pytest_fractal.rules.signature_match import property_of
from pytest_fractal.schema_checks.client import (
    lost_references,
    schema_faults,
)
from pytest_fractal.signatures.task_function import (
    Parameter,
    Signature,
    Unreadable,
)
from pytest_fractal.task_lists import Manifest
from pytest_fractal.verdicts import Finding, Severity

_TYPES: Final = f"{', '.join(TYPES[:-1])} or {TYPES[-1]}"


@rule(
    "FR201",
    "schemas-included",
    needs=("FR106",),
    cite=(Source.PACKAGE, Source.SERVER_1, Source.SERVER_2),
    fix="Generate a schema for each task, set `has_args_schemas` and `args_schema_version`.",
    example='"has_args_schemas": false',
)
def schemas_included(manifest: Manifest, wheel: Wheel) -> Iterator[Finding]:
    """`has_args_schemas` is true, every task has its schema, `args_schema_version` is set.

    The page demands schemas: the web client draws the form for the arguments from them.
    With one missing, or without a version, the server refuses the package.
    """
    generation = manifest.generation
    assert generation is not None
    flag = manifest.value.get("has_args_schemas")
    have_all = all(
        entry.get(part.args_schema) is not None
        for entry in manifest.entries
        for part in generation.parts(entry)
    )
    if flag is None or str(flag).lower() in ("false", "0", "0.0", "no", "n", "f", "off"):
        yield manifest.finding(
            "has_args_schemas",
            expected="true",
            found='"has_args_schemas" is missing' if flag is None else shown(flag),
            hint='write "has_args_schemas": true, and give each task the schema of its arguments',
            edits=[JsonEdit(Action.SET, ("has_args_schemas",), True, 1)] if have_all else (),
            generated=True,
        )
    version = manifest.value.get("args_schema_version")
    if version is None or not str(version).strip():
        yield manifest.finding(
            "args_schema_version",
            expected=f'how the schemas were made, such as "{generation.schema_version}"',
            found='"args_schema_version" is missing' if version is None else shown(version),
            hint=f'write "args_schema_version": "{generation.schema_version}"',
            edits=[JsonEdit(Action.SET, ("args_schema_version",), generation.schema_version, 2)],
            generated=True,
        )
    for index, entry in enumerate(manifest.entries):
        for part in generation.parts(entry):
            if entry.get(part.args_schema) is None:
                yield manifest.finding(
                    "task_list",
                    index,
                    part.args_schema,
                    expected=f"the JSON Schema of the arguments of {part.executable}",
                    found="null"
                    if part.args_schema in entry
                    else f'"{part.args_schema}" is missing',
                    hint=_hint_for_schema(generation, part, entry, wheel),
                    task=manifest.slug(index),
                    generated=True,
                )


def _hint_for_schema(
    generation: Generation, part: PartKeys, entry: Mapping[str, Any], wheel: Wheel
) -> str:
    """The schema that the function's signature tells; its types are for people to add."""
    by = f"{generation.schema_tool} makes it; " if generation.schema_tool else ""
    try:
        signature = wheel.signatures.of(str(entry.get(part.executable)))
    except Unreadable:
        names = generation.reserved(generation.kind(entry), part).names
        parameters = [Parameter(name, True, False) for name in names]
    else:
        parameters = [parameter for parameter in signature.parameters if not parameter.is_bound]
    skeleton = {
        "type": "object",
        **_known_from_parameters(generation, parameters),
        "additionalProperties": False,
    }
    text = json.dumps(skeleton, indent=2, ensure_ascii=False)
    return (
        f'{by}by hand, write\n"{part.args_schema}": '
        f"{text.encode(errors='backslashreplace').decode()}\n"
        'and give each property its "type"'
    )


def _known_from_parameters(
    generation: Generation, parameters: Iterable[Parameter]
) -> dict[str, Any]:
    """The `properties` and `required` of a function, as far as its signature has them."""
    known = list(parameters)
    return {
        "properties": {
            parameter.name: generation.reserved_shapes.get(parameter.name, property_of(parameter))
            for parameter in known
        },
        "required": [parameter.name for parameter in known if parameter.required],
    }


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
            hint="nest less, and refer to parts in `$defs` by `$ref`: the server cannot list "
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
                found=shown(declared),
                hint=f"write {named!r}, or remove $schema"
                if named
                else "write the URI of the draft, or remove $schema",
                severity=Severity.WARNING if named else None,
                edits=[JsonEdit(Action.SET, ("$schema",), named)] if named else (),
            )
        if named is None:
            return
        dialects = [named]
    seen = set()
    for draft in dialects:
        faults = checked(schema_faults, schema, draft)
        if faults is None:
            yield part.schema_finding(
                expected="a schema that a validator can follow to its end",
                found="it is nested too deeply",
                hint="nest less, and refer to parts in `$defs` by `$ref`",
            )
            return
        for keys, message in faults:
            if keys in seen:
                continue
            seen.add(keys)
            yield _keyword_finding(part, keys, message, draft, is_declared=declared is not None)


def _keyword_finding(
    part: Part, keys: tuple[str | int, ...], message: str, draft: str, *, is_declared: bool
) -> Finding:
    """What is wrong with the keyword at a place of the schema, and what it plainly means."""
    is_name = bool(keys) and last_name(keys) == len(keys) - 1
    keyword = str(keys[-1]) if keys and not is_name else ""
    value = value_at(part.schema, keys)
    is_type = keyword == "type"
    if keyword == "items" and isinstance(value, list) and draft == DRAFT_2020:
        is_free = "prefixItems" not in value_at(part.schema, keys[:-1])
        return part.schema_finding(
            *keys,
            expected="`prefixItems`, as draft 2020-12 has it",
            found="`items` that are a list, which is a tuple in draft 7",
            hint="rename `items` to `prefixItems`, or generate the schema anew with pydantic 2",
            severity=None if is_declared else Severity.WARNING,
            edits=[JsonEdit(Action.RENAME, keys, "prefixItems")] if is_free else (),
        )
    meant = meant_value(keyword, value, value_at(part.schema, keys[:-1]))
    if meant is not None:
        hint = f"write {json.dumps(keyword)}: {json.dumps(meant)}"
    elif is_type:
        hint = f"write {_TYPES}"
    elif is_name:
        hint = 'write a schema in its place, such as {"type": "string"}'
    else:
        named = next((key for key in reversed(keys) if isinstance(key, str)), None)
        hint = f"correct {named!r}" if named is not None else "correct the schema"
    return part.schema_finding(
        *keys,
        expected=_TYPES if is_type else f"what {draft} allows here",
        found=shown(value) if is_type else message,
        hint=hint,
        edits=[JsonEdit(Action.SET, keys, meant)] if meant is not None else (),
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
            found=shown(schema["type"]) if "type" in schema else "no type",
            hint='write "type": "object"',
            edits=[JsonEdit(Action.SET, ("type",), "object")],
        )
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        yield part.schema_finding(
            *(["properties"] if "properties" in schema else []),
            expected="`properties`, an object with a schema for each argument",
            found=shown(properties) if "properties" in schema else "no properties",
            hint='write "properties": {...}, with a schema for each argument',
            edits=_edits_for_properties(part),
        )
        return
    for name, value in properties.items():
        if not isinstance(value, dict):
            shape = _shape_of(part, name)
            yield part.schema_finding(
                "properties",
                name,
                expected="a schema that is an object",
                found=shown(value),
                hint=f"write {json.dumps(shape)}",
                edits=[JsonEdit(Action.SET, ("properties", name), shape)] if value is True else (),
                # Schemas they are, all the same.
                severity=Severity.WARNING
                if isinstance(value, bool) and part.task.generation.takes_boolean_schemas
                else None,
            )


def _shape_of(part: Part, name: str) -> Mapping[str, Any]:
    """The schema of an argument, as far as its function tells it; {} allows anything."""
    shape = part.task.generation.reserved_shapes.get(name)
    parameter = parameter_of(part, name)
    return shape or (property_of(parameter) if parameter is not None else {})


def _edits_for_properties(part: Part) -> Iterator[JsonEdit]:
    """The properties of the function, and which of them are required, if it is known."""
    signature = part.signature if isinstance(part, PackagedPart) else None
    if isinstance(signature, Signature) and not signature.doubt:
        parameters = [parameter for parameter in signature.parameters if not parameter.is_bound]
        for key, value in _known_from_parameters(part.task.generation, parameters).items():
            yield JsonEdit(Action.SET, (key,), value)


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
    for keys, is_remote in checked(lost_references, with_exact_dialect(schema)):
        yield part.schema_finding(
            *keys,
            "$ref",
            expected="a reference such as #/definitions/NAME to a part of this schema",
            found=shown(value_at(schema, (*keys, "$ref")))
            + (", which lies elsewhere" if is_remote else ", which leads nowhere"),
            hint="copy what it refers to into `definitions`, and refer to it there"
            if is_remote
            else "add the missing definition, or correct the reference",
        )
