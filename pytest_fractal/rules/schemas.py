"""FR2: the JSON Schemas of the arguments."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar

from pytest_fractal.environments.wheels import Wheel
from pytest_fractal.facts import Manifest, PackagedPart, Part, Validation
from pytest_fractal.fixes.model import Action, JsonEdit
from pytest_fractal.generations import Generation, PartKeys
from pytest_fractal.json_text import depth_of, shown
from pytest_fractal.pointers import Keys, pointer
from pytest_fractal.rules.cite import Source
from pytest_fractal.rules.dialects import DRAFT_7, DRAFT_2020, implied_dialect, named_dialect
from pytest_fractal.rules.model_match import compare_models
from pytest_fractal.rules.registry import Note, rule
from pytest_fractal.rules.signature_match import SchemaMismatch, compare, property_of
from pytest_fractal.samples.runs import ResolvedArguments
from pytest_fractal.schema_checks.client import (
    OverLimit,
    Refusal,
    lost_references,
    refusal,
    refused_defaults,
    schema_faults,
)
from pytest_fractal.signatures.task_function import (
    Parameter,
    Signature,
    Unreadable,
    read_signature,
)
from pytest_fractal.verdicts import Finding, NotApplicable, NotChecked, Severity

T = TypeVar("T")
_TYPES: Final = "array, boolean, integer, null, number, object or string"


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
        signature = read_signature(wheel.contents, wheel.package, str(entry.get(part.executable)))
    except Unreadable:
        names = generation.reserved(generation.kind(entry), part).names
        parameters = [Parameter(name, True, False) for name in names]
    else:
        parameters = [parameter for parameter in signature.parameters if not parameter.is_bound]
    properties = {
        parameter.name: generation.reserved_shapes.get(parameter.name, property_of(parameter))
        for parameter in parameters
    }
    skeleton = {
        "type": "object",
        "properties": properties,
        "required": [parameter.name for parameter in parameters if parameter.required],
        "additionalProperties": False,
    }
    text = json.dumps(skeleton, indent=2, ensure_ascii=False)
    return (
        f'{by}by hand, write\n"{part.args_schema}": '
        f"{text.encode(errors='backslashreplace').decode()}\n"
        'and give each property its "type"'
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
                found=shown(declared),
                hint=f"write {named!r}, or remove $schema"
                if named
                else "write the URI of the draft, or remove $schema",
                severity=Severity.WARNING if named else None,
            )
        if named is None:
            return
        dialects = [named]
    seen = set()
    for draft in dialects:
        faults = _checked(schema_faults, schema, draft)
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
            is_type = bool(keys) and keys[-1] == "type"
            if keys[-1:] == ("items",) and isinstance(_at(schema, keys), list) and not declared:
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
                expected=_TYPES if is_type else f"what {draft} allows here",
                found=shown(_at(schema, keys)) if is_type else message,
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
            found=shown(schema["type"]) if "type" in schema else "no type",
            hint='write "type": "object"',
        )
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        yield part.schema_finding(
            *(["properties"] if "properties" in schema else []),
            expected="`properties`, an object with a schema for each argument",
            found=shown(properties) if "properties" in schema else "no properties",
            hint='write "properties": {...}',
        )
        return
    for name, value in properties.items():
        if not isinstance(value, dict):
            yield part.schema_finding(
                "properties",
                name,
                expected="a schema that is an object",
                found=shown(value),
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
    for keys, is_remote in _checked(lost_references, _exact(schema)):
        yield part.schema_finding(
            *keys,
            "$ref",
            expected="a reference such as #/definitions/NAME to a part of this schema",
            found=shown(_at(schema, (*keys, "$ref")))
            + (", which lies elsewhere" if is_remote else ", which leads nowhere"),
            hint="copy what it refers to into `definitions`, and refer to it there"
            if is_remote
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
                found=f"no property {name!r}",
                hint=_hint_for_reserved(part, name),
                edits=_edits_for_reserved(part, name),
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


def _hint_for_reserved(part: Part, name: str) -> str:
    """Which of the two lacks a reserved argument: the schema alone, or the function as well."""
    shape = json.dumps(part.task.generation.reserved_shapes[name])
    add = f'add "{name}": {shape} to its properties, and "{name}" to its `required`'
    signature = part.signature if isinstance(part, PackagedPart) else None
    if not isinstance(signature, Signature):
        return f"if the function takes {name!r}, {add}; else give it that parameter first"
    function = f"`{signature.function}()` ({signature.file}:{signature.line})"
    parameters = {parameter.name: parameter for parameter in signature.parameters}
    if name in parameters:
        if not parameters[name].required:
            add = f'add "{name}": {shape} to its properties'
        return f"{function} takes it, the schema lacks it: {add}"
    if signature.takes_any_keyword:
        return f"{function} takes any argument, the schema lacks this one: {add}"
    return f"neither {function} nor the schema has it: give the function that parameter, and {add}"


def _edits_for_reserved(part: Part, name: str) -> Iterator[JsonEdit]:
    """The property that the schema lacks; none where the function must be changed first."""
    signature = part.signature if isinstance(part, PackagedPart) else None
    if not isinstance(signature, Signature):
        return
    known = {parameter.name: parameter for parameter in signature.parameters}
    if name not in known and not signature.takes_any_keyword:
        return
    shape = part.task.generation.reserved_shapes[name]
    yield JsonEdit(Action.SET, ("properties", name), shape)
    if name not in known or known[name].required:
        is_there = isinstance(part.schema.get("required"), list)
        yield (
            JsonEdit(Action.ADD, ("required",), name)
            if is_there
            else JsonEdit(Action.SET, ("required",), [name])
        )


@rule(
    "FR206",
    "schema-matches-function",
    needs=("FR110", "FR203"),
    cite=(Source.PACKAGE,),
    fix="Generate the schema anew from the function.",
    example='def blur(..., sigma=2.0), and the schema says "sigma": {"default": 1.5}.',
)
def schema_matches_function(part: PackagedPart, validation: Validation) -> Iterator[Finding]:
    """Properties, required ones and simple defaults agree with the task's function.

    A schema that is older than its function lets users fill in arguments that the task
    refuses, or hides new ones. The signature is read from the source in the wheel. Where
    the task is started, what its pydantic models refuse of arguments made from the schema,
    by their type or for a field of a model within, disagrees with it too.
    """
    schema, signature = schema_of(part), part.signature
    mismatches: list[SchemaMismatch] = []
    untold = ""
    # FR205 has said which of Fractal's arguments are missing in the schema.
    unlisted = [name for name in part.reserved.names if name not in schema["properties"]]
    if isinstance(signature, Unreadable):
        untold = str(signature)
    else:
        mismatches = list(compare(signature, schema, unlisted))
        if signature.doubt and mismatches:
            mismatches, untold = [], signature.doubt
    by_models = compare_models(
        part,
        validation,
        _refused_by(part, validation.arguments),
        # What the source tells of the function's own parameters, it tells better.
        names_are_known=not untold,
    )
    mismatches += [
        by_model for by_model in by_models if by_model.pointer not in map(_property, unlisted)
    ]
    for mismatch in mismatches:
        keys = [
            part.replace("~1", "/").replace("~0", "~") for part in mismatch.pointer.split("/")[1:]
        ]
        yield part.schema_finding(
            *keys,
            expected=mismatch.expected,
            found=mismatch.found,
            hint=mismatch.hint,
            edits=mismatch.edits,
        )
    if untold and not mismatches:
        raise NotChecked("the function's signature cannot be known", str(untold))


def _property(name: str) -> str:
    return pointer("properties", name)


def _refused_by(part: Part, arguments: Mapping[str, Any]) -> frozenset[str]:
    """The arguments of those that the schema itself refuses."""
    left = {name: value for name, value in arguments.items() if name in part.schema["properties"]}
    refused: set[str] = set()
    # What is not there is refused too, and first.
    schema = _exact(part.schema)
    lenient = {key: value for key, value in schema.items() if key != "required"}
    while (
        left and (refusing := _checked(refusal, lenient, left, _implied_draft(part))) is not None
    ):
        name = str(next(iter(refusing.keys), ""))
        if name not in left:
            return frozenset(arguments)
        refused.add(name)
        del left[name]
    return frozenset(refused)


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
    default is an error, but for a null. One for an argument that Fractal supplies makes it
    drop all arguments of the task, without a word.
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
                found=f"{shown(filled_in[name])}, with which the server drops all "
                "arguments that users give",
                hint=f"remove it: write the parameter {name!r} of the function without a default, "
                "and generate the schema anew",
                severity=Severity.ERROR,
            )
    for keys, refused in _checked(refused_defaults, _exact(part.schema), _implied_draft(part)):
        at = pointer(*refused.keys)
        is_filled_in = keys[:1] == ("properties",) and len(keys) == 2 and keys[1] in filled_in
        # The task takes a null all the same: pydantic 1 writes `Optional[float]` as a number.
        is_wrong = is_filled_in and refused.instance is not None
        yield part.schema_finding(
            *keys,
            "default",
            expected="a default that its own schema allows",
            found=f"{shown(_at(schema, (*keys, 'default')))}, where {f'{at}: ' if at else ''}"
            f"{shown(refused.instance)} is refused by {refused.keyword!r}: "
            f"{shown(refused.allowed)}",
            hint=_without_null(at)
            if refused.instance is None
            else "correct the default in the function, or the type of the argument",
            severity=Severity.ERROR if is_wrong else None,
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
def samples_match_schema(resolved: ResolvedArguments) -> Iterator[Finding | Note]:
    """Every sample, with what Fractal supplies filled in, is valid by the task's schema.

    The web client checks arguments by the schema before it sends them: what the schema
    refuses cannot be run, however well the command would take it.
    """
    sample = resolved.sample
    judged = [(part, arguments) for part, arguments in resolved.parts if part.has_schema]
    if not judged:
        raise NotApplicable("the task has no args_schema, see FR201")
    if sample.made:
        raise NotChecked("the task has no sample, see FR407")
    refusals = [
        (part, refused)
        for part, arguments in judged
        if (refused := _refused(part, arguments)) is not None
    ]
    if sample.expect == "failure":
        yield Note(
            f"refused by the schema, as expected: {refusals[0][1].message}"
            if refusals
            else "the schema allows it; the command must refuse it, see FR406"
        )
        return
    for part, refused in refusals:
        # What Fractal supplies stands beside the task's own arguments.
        given = refused.keys and refused.keys[0] in part.reserved.names
        where, line = sample.place(*(() if given else sample.way_to_args(part)), *refused.keys)
        yield Finding(
            expected=f"arguments that the schema allows; {refused.keyword}: "
            f"{shown(refused.allowed)}",
            found=refused.message,
            hint="correct the sample, or generate the schema anew from the function",
            file=str(sample.file),
            pointer=where,
            line=line,
            task=sample.task.slug,
        )


def _checked(check: Callable[..., T], schema: Mapping[str, Any], *arguments: Any) -> T:
    """What a check of a schema says. Raises `NotChecked` where that takes too long."""
    try:
        return check(schema, *arguments)
    except OverLimit as reason:
        raise NotChecked(
            f"applying the schema {reason}; see whether a `pattern` in it goes back "
            "and forth, as ^(a+)+$ does"
        ) from None


def _at(schema: Any, keys: Keys) -> Any:
    """What stands at a place of a schema."""
    for key in keys:
        schema = schema[key]
    return schema


def _refused(part: Part, arguments: Mapping[str, Any]) -> Refusal | None:
    return _checked(refusal, _exact(part.schema), arguments, _implied_draft(part))


def _implied_draft(part: Part) -> str:
    """The draft by which clients read a command's schema that names none."""
    return implied_dialect(part.task.schema_version) or DRAFT_2020


def _exact(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema that names its draft by the right URI, where what it names is nearly one."""
    named = named_dialect(schema.get("$schema"))
    return {**schema, "$schema": named} if named else schema


def schema_of(part: Part) -> Mapping[str, Any]:
    """The schema of a command's arguments. Raises `NotApplicable` where there is none."""
    if not part.has_schema:
        raise NotApplicable("it has no JSON Schema of its arguments, see FR201")
    return part.schema
