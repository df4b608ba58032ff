"""FR205 to FR208: the schemas name the arguments that the commands take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pytest_fractal.facts import PackagedPart, Part, Validation
from pytest_fractal.fixes.model import Action, JsonEdit
from pytest_fractal.json_text import shown
from pytest_fractal.pointers import pointer
from pytest_fractal.rules.cite import Source
from pytest_fractal.rules.model_match import compare_models
from pytest_fractal.rules.registry import Note, rule
from pytest_fractal.rules.reserved_advice import (
    edits_for_default,
    edits_to_add,
    edits_to_remove,
    hint_for_default,
    hint_to_add,
    hint_to_remove,
    lacks_parameter,
    parameter_of,
)
from pytest_fractal.rules.sample_advice import advice_for_sample
from pytest_fractal.rules.schema_access import (
    checked,
    implied_draft,
    refused_by,
    schema_of,
    value_at,
    with_exact_dialect,
)
from pytest_fractal.rules.signature_match import SchemaMismatch, compare
from pytest_fractal.samples.runs import ResolvedArguments
from pytest_fractal.schema_checks.client import (
    refusal,
    refused_defaults,
)
from pytest_fractal.signatures.task_function import (
    Unreadable,
)
from pytest_fractal.verdicts import Finding, NotApplicable, NotChecked, Severity


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
                hint=hint_to_add(part, name),
                edits=edits_to_add(part, name),
                in_code=lacks_parameter(part, name),
            )
    for name in part.reserved.others:
        if name in properties:
            parallel = (
                ", or set meta.parallelization_level if the task is parallel"
                if name == "component"
                else ""
            )
            yield part.schema_finding(
                "properties",
                name,
                expected=f"no property {name!r}: Fractal does not pass it to a {part.words}",
                found="there is one",
                hint=hint_to_remove(part, name) + parallel,
                edits=edits_to_remove(part, name) if not parallel else (),
                in_code=parameter_of(part, name) is not None,
            )
    for name in part.reserved.optional:
        if name in properties and isinstance(required, list) and name in required:
            taken = parameter_of(part, name)
            yield part.schema_finding(
                "properties",
                name,
                expected=f"a default for {name!r}: Fractal does not pass it to a {part.words}",
                found="it is required",
                hint=f'take "{name}" out of `required`'
                if taken is not None and not taken.required
                else f"{hint_to_remove(part, name)}, or give the parameter a default and "
                f'take "{name}" out of `required`',
                edits=[JsonEdit(Action.DROP, ("required",), name)]
                if taken is not None and not taken.required
                else edits_to_remove(part, name),
                in_code=taken is not None and taken.required,
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
    refuses, or hides new ones. The signature is read from the source in the wheel, or what
    the class takes that the task makes of its arguments; the values of a `Literal` are
    compared too. Where the task is started, what its pydantic models refuse of arguments
    made from the schema, by their type or for a field of a model within, disagrees with it
    too.
    """
    schema, signature = schema_of(part), part.signature
    mismatches: list[SchemaMismatch] = []
    unknown = ""
    # FR205 has said which of Fractal's arguments are missing in the schema.
    unlisted = [name for name in part.reserved.names if name not in schema["properties"]]
    if isinstance(signature, Unreadable):
        unknown = str(signature)
    else:
        mismatches = list(compare(signature, schema, unlisted))
        if signature.doubt and mismatches:
            mismatches, unknown = [], signature.doubt
    by_models = compare_models(
        part,
        validation,
        _refused_by(part, validation.arguments),
        # What the source says about the function's own parameters, it says better.
        names_are_known=not unknown,
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
    if unknown and not mismatches:
        raise NotChecked("the function's signature cannot be known", str(unknown))


def _property(name: str) -> str:
    return pointer("properties", name)


def _refused_by(part: Part, arguments: Mapping[str, Any]) -> frozenset[str]:
    """The arguments of those that the schema itself refuses."""
    left = {name: value for name, value in arguments.items() if name in part.schema["properties"]}
    refused: set[str] = set()
    # What is not there is refused too, and first.
    schema = with_exact_dialect(part.schema)
    lenient = {key: value for key, value in schema.items() if key != "required"}
    while left and (refusing := checked(refusal, lenient, left, implied_draft(part))) is not None:
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
                hint=hint_for_default(part, name),
                edits=edits_for_default(part, name),
                severity=Severity.ERROR,
                in_code=(taken := parameter_of(part, name)) is not None and not taken.required,
            )
    for keys, refused in checked(
        refused_defaults, with_exact_dialect(part.schema), implied_draft(part)
    ):
        at = pointer(*refused.keys)
        is_filled_in = keys[:1] == ("properties",) and len(keys) == 2 and keys[1] in filled_in
        # The task takes a null all the same: pydantic 1 writes `Optional[float]` as a number.
        is_wrong = is_filled_in and refused.instance is not None
        yield part.schema_finding(
            *keys,
            "default",
            expected="a default that its own schema allows",
            found=f"{shown(value_at(schema, (*keys, 'default')))}, where {f'{at}: ' if at else ''}"
            f"{shown(refused.instance)} is refused by {refused.keyword!r}: "
            f"{shown(refused.allowed)}",
            hint=_without_null(at)
            if refused.instance is None
            else "correct the default in the function, or the type of the argument",
            severity=Severity.ERROR if is_wrong else None,
            in_code=True,
            edits=[JsonEdit(Action.REMOVE, (*keys, "default"))]
            if refused.instance is None and not at
            else (),
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
        if (refused := refused_by(part, arguments)) is not None
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
        hint, fix = (
            ("correct the sample, or generate the schema anew from the function", None)
            if given
            else advice_for_sample(sample, part, refused)
        )
        yield Finding(
            expected=f"arguments that the schema allows; {refused.keyword}: "
            f"{shown(refused.allowed)}",
            found=refused.message,
            hint=hint,
            file=str(sample.file),
            pointer=where,
            line=line,
            task=sample.task.slug,
            fix=fix,
        )
