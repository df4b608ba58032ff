"""FR209: the web client can draw a form for the arguments."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_fractal.facts import Part
from pytest_fractal.rules.cite import Source
from pytest_fractal.rules.dialects import DRAFT_7, implied_dialect
from pytest_fractal.rules.form_drawing import undrawn
from pytest_fractal.rules.form_limits import form_limits
from pytest_fractal.rules.registry import rule
from pytest_fractal.rules.schema_access import schema_of
from pytest_fractal.verdicts import Finding, NotApplicable, Severity


@rule(
    "FR209",
    "web-form",
    severity=Severity.WARNING,
    needs=("FR202", "FR203", "FR204"),
    cite=(
        "fractal-web 1.29.6, its `FormManager`",
        f"{Source.TOOLS}, the restrictions E01-E22 of its validate_schema",
    ),
    fix="Change the type hint as the finding says, and generate the schema anew.",
    example='"level": {"anyOf": [{"type": "integer"}, {"type": "string"}]}',
)
def web_form(part: Part) -> Iterator[Finding]:
    """The web client can draw a form for the arguments.

    JSON Schema can say more than the form of Fractal's web client can ask for: it shows an
    error in the place of an argument, or no form at all. Where `args_schema_version` is
    `fractal_schema_v1`, the tasks' own tool, fractal-task-tools, refuses to make some more
    schemas, and that is an error.
    """
    task, schema = part.task, schema_of(part)
    versions = task.generation.form_schema_versions
    if versions is None:
        raise NotApplicable("of the form for schemas of this generation no limit is known")
    refused = set()
    for limit in form_limits(schema) if task.schema_version in versions else ():
        refused.add(limit.keys)
        is_said = not limit.is_in_code or task.listed.generator is not None
        then = "" if is_said else "; then generate the schema anew"
        yield part.schema_finding(
            *limit.keys,
            expected=limit.expected,
            found=f"{limit.found}: fractal-task-tools refuses it ({limit.code})",
            hint=limit.hint + then,
            severity=Severity.ERROR,
            in_code=limit.is_in_code,
        )
    is_draft_7 = implied_dialect(task.schema_version) == DRAFT_7
    for place in undrawn(schema, part.reserved.all, is_draft_7=is_draft_7):
        if place.keys not in refused:
            yield part.schema_finding(
                *place.keys,
                expected=place.expected,
                found=place.found,
                hint=place.hint,
                in_code=place.is_in_code,
            )
