"""FR400 and FR407: a task has samples, which the server would take."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from pytest_fractal.rules.cite import Source
from pytest_fractal.rules.registry import DOCUMENTATION, rule
from pytest_fractal.samples.runs import PackageSamples
from pytest_fractal.verdicts import Finding, NotChecked, Severity, first_names

_MOST_NAMES: Final = 5
"""Tasks without a sample that are listed by name."""
_LONGEST_EXAMPLE: Final = 2000


@rule(
    "FR400",
    "sample-is-usable",
    needs=("FR105",),
    cite=(Source.SERVER_1, Source.SERVER_2),
    fix=f"Correct the file at the place that is named; {DOCUMENTATION}samples/ has all keys.",
    example='{"task": "Blur", "arguments": {}}: the key is "args".',
)
def sample_is_usable(samples: PackageSamples) -> Iterator[Finding]:
    """Every file of samples can be read, names tasks, and gives what a server would take.

    A server refuses an image that a dataset lists twice or that lies outside of its
    `zarr_dir`, an input path that is not absolute, and text that its database cannot
    store. Nothing is run on a sample that cannot be used; all others are judged.
    """
    if not samples.samples and not samples.problems:
        raise NotChecked("there are no samples, see FR407")
    for problem in samples.problems:
        yield Finding(
            problem.expected,
            problem.found,
            problem.fix,
            str(problem.file),
            problem.pointer,
            problem.line,
            problem.column,
            task=problem.task,
            releases=problem.releases,
            fix=problem.change,
        )


@rule(
    "FR407",
    "has-sample",
    severity=Severity.NOTE,
    needs=("FR106",),
    cite=("none: what is never run is never tested",),
    fix="Run once with --fractal-new-samples, or write a file such as fractal_samples/blur.json: "
    '{"task": "Blur", "args": {"sigma": 1.5}, "zarr_url": "{ome_zarr}/plate.zarr/B/03/0"}.',
    example="A package without a folder fractal_samples/.",
)
def has_sample(samples: PackageSamples) -> Iterator[Finding]:
    """Each task has at least one sample that expects success.

    Without one the task is only started, never run to its end.
    """
    if not samples.untried:
        return
    first = samples.untried[0]
    slugs = [first_sample.task.slug for first_sample in samples.untried]
    names = first_names(slugs, _MOST_NAMES)
    where = samples.folder or "DIR"
    option = "" if samples.folder else ", and give --fractal-samples=DIR"
    example = json.dumps(first.value)
    if len(example) > _LONGEST_EXAMPLE:
        example = json.dumps({"task": first.task.name, "args": {}}).replace("{}", "{...}")
    yield Finding(
        "for each task a sample that expects success",
        f"none for {len(samples.untried)} of {samples.tasks}: {names}",
        "run once with --fractal-new-samples, which writes them"
        f"\nor write for example {where}/{first.task.id}.json{option}:"
        f"\n    {example}"
        "\nA task that works on what others have written belongs in a workflow of steps: "
        f"{DOCUMENTATION}samples/",
    )
