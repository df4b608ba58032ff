"""FR209: the web client can draw a form for the arguments."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_fractal.facts import Part
from pytest_fractal.rules.form_limits import form_limits
from pytest_fractal.rules.registry import NotApplicable, Source, rule
from pytest_fractal.rules.schemas import schema_of
from pytest_fractal.verdicts import Finding, Severity


@rule(
    "FR209",
    "web-form",
    severity=Severity.WARNING,
    needs=("FR202", "FR203", "FR204"),
    cite=(f"{Source.TOOLS}, the restrictions E01-E22 of its validate_schema",),
    fix="Change the type hint as the finding says, and generate the schema anew.",
    example='"invert": {"anyOf": [{"type": "boolean"}, {"type": "null"}], "default": null}',
)
def web_form(part: Part) -> Iterator[Finding]:
    """The web client can draw a form for the arguments.

    JSON Schema can say more than the form of Fractal's web client can ask for. Where
    `args_schema_version` is `fractal_schema_v1` the tasks' own tool, fractal-task-tools,
    refuses such a schema, and it is an error here too; for older schemas a warning.
    """
    task = part.task
    versions = task.generation.form_schema_versions
    if versions is None:
        raise NotApplicable("of the form for schemas of this generation no limit is known")
    strict = task.schema_version in versions
    for limit in form_limits(schema_of(part)):
        again = "" if "anew" in limit.hint else "; then generate the schema anew"
        yield task.finding(
            part.keys.args_schema,
            *limit.keys,
            expected=limit.expected,
            found=f"{limit.found} ({limit.code})",
            hint=limit.hint + again,
            severity=Severity.ERROR if strict and limit.refused else Severity.WARNING,
        )
