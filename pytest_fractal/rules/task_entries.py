"""FR109 to FR115: the entries of the manifest say what the server understands."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from pytest_fractal.facts import PackagedTask, Part, Task
from pytest_fractal.fixes.model import Action, JsonEdit
from pytest_fractal.generations import ModelFault, ModelFaultKind, PartKeys
from pytest_fractal.json_text import depth_of, shown
from pytest_fractal.rules.cite import Source
from pytest_fractal.rules.registry import rule
from pytest_fractal.task_lists import TaskList
from pytest_fractal.verdicts import Finding, NotApplicable, Severity


@rule(
    "FR109",
    "unique-tasks",
    needs=("FR106",),
    cite=(Source.SERVER_1, Source.SERVER_2),
    fix="Give the tasks names that differ by more than case and blanks.",
    example='Two tasks called "Convert image" and "convert_image".',
)
def unique_tasks(tasks: TaskList) -> Iterator[Finding]:
    """Names, and the slugs made of them, are unique.

    In generation 1 the slug is the last part of a task's `source`, which is unique in the
    server's database: with two alike the collection freezes at "collecting", without an
    error. In generation 2 the same name twice is refused. Of two that differ in blanks at
    their ends, servers before 2.23.3 make two tasks of one name, and newer ones freeze.
    """
    assert tasks.generation is not None
    taken: dict[tuple[str, str], str] = {}
    for index, entry in enumerate(tasks.entries):
        name = str(entry.get("name"))
        given = tasks.generation.identities(name)
        twin = next((one for pair in given.items() if (one := taken.get(pair)) is not None), None)
        if twin is not None:
            made = "".join(f" (slug {slug!r})" for what, slug in given.items() if what == "slug")
            releases = tasks.generation.twin_releases(name, twin)
            does = f": servers {releases} never end the collection" if releases else ""
            yield tasks.finding(
                *tasks.way(index),
                "name",
                expected=f"a {' and a '.join(reversed(list(given)))} that no other task has",
                found=f"{name!r}{made}, beside {twin!r}{does}",
                hint="rename one of the two: "
                f"{'case and blanks do' if made else 'blanks at the ends do'} not count",
                task=tasks.slug(index),
                releases=releases,
            )
        for pair in given.items():
            taken.setdefault(pair, name)


@rule(
    "FR111",
    "valid-meta",
    needs=("FR106",),
    cite=(Source.META, Source.SERVER_1, Source.SERVER_2),
    fix="Make `meta` an object, and give each key that the finding names a value of its type.",
    example='"meta": null',
)
def meta(part: Part) -> Iterator[Finding]:
    """`meta` is an object, and what the server's runners read in it is of use to them.

    In generation 1, with `meta` null the server collects the task, and each job with it
    stays "submitted" for ever; a level that is no text makes the job fail when it runs. In
    generation 2 all but objects are refused. A `parallel_tasks_per_job` that is no whole
    number above 0 makes jobs fail, or end without having run anything. What only a SLURM
    cluster reads is a warning.
    """
    task, key = part.task, part.keys.meta
    if key not in task.entry:
        return
    value = part.meta
    if not isinstance(value, dict):
        yield task.finding(
            key,
            expected="an object",
            found=shown(value),
            hint=f'write "{key}": {{}}, or leave it out',
            edits=[JsonEdit(Action.SET, (key,), {})] if not value else (),
        )
        return
    if (depth := depth_of(value)) > task.generation.deepest:
        yield task.finding(
            key,
            expected=f"lists and objects in at most {task.generation.deepest} levels",
            found=f"{depth} levels",
            hint="nest less: the server cannot list its tasks with this one among them",
        )
    for fault in task.generation.meta_faults(value, part.keys):
        edits = tuple(_edits_for_meta(fault, key, value))
        written = [f"write {shown(edit.value)}" for edit in edits if edit.action is Action.SET]
        yield task.finding(
            key,
            *fault.keys,
            expected=fault.expected,
            found=fault.found,
            hint=written[0] if written else fault.fix,
            severity=Severity.WARNING if fault.coerced else None,
            releases=fault.releases,
            edits=edits,
        )


def _edits_for_meta(fault: ModelFault, key: str, value: Mapping[str, Any]) -> Iterator[JsonEdit]:
    """What is plainly meant by a key of `meta`: a number for a text that spells it, or nothing."""
    if len(fault.keys) != 1:
        return
    written = value.get(str(fault.keys[0]))
    if fault.kind is ModelFaultKind.UNWANTED:
        yield JsonEdit(Action.REMOVE, (key, *fault.keys))
    elif isinstance(written, str) and re.fullmatch(r"\s*[1-9]\d{0,8}\s*", written):
        yield JsonEdit(Action.SET, (key, *fault.keys), int(written))
    elif fault.keys == ("mem",) and (read := _MEMORY.fullmatch(str(written))):
        yield JsonEdit(Action.SET, (key, *fault.keys), f"{read[1]}{read[2].upper()}")


_MEMORY: Final = re.compile(r"\s*([1-9]\d*)\s*([MGT])i?B?\s*", re.IGNORECASE)
"""An amount as people write it, such as 4GB; to SLURM that is 4G."""


@rule(
    "FR112",
    "task-types",
    needs=("FR106",),
    cite=(Source.METADATA, Source.SERVER_1),
    fix='Write a type such as "image" or "zarr", or "Any" for no check.',
    example='"input_type": ""',
)
def task_types(task: Task) -> Iterator[Finding]:
    """`input_type` and `output_type` are not blank.

    The server refuses blank ones, after the installation. Only the exact word `Any`
    stands for no check. Generation 2 has no such fields.
    """
    if not task.generation.type_keys:
        raise NotApplicable("tasks of this generation have no input_type and output_type")
    for key in task.generation.type_keys:
        value = str(task.entry.get(key, ""))
        if not value.strip():
            yield task.finding(
                key,
                expected='a type such as "image" or "zarr", or "Any"',
                found=shown(value),
                hint='write "Any" where no check is wanted',
            )
        elif value.strip().lower() == "any" and value.strip() != "Any":
            yield task.finding(
                key,
                expected='"Any", if no check is meant',
                found=shown(value),
                hint='write "Any": the word counts with this case only',
                severity=Severity.WARNING,
                edits=[JsonEdit(Action.SET, (key,), "Any")],
            )


@rule(
    "FR113",
    "has-docs",
    severity=Severity.WARNING,
    needs=("FR106",),
    cite=(Source.PACKAGE,),
    fix="Add `docs_info`, a text, or `docs_link`, a URL.",
    example="A task with neither docs_info nor docs_link.",
)
def docs(task: PackagedTask) -> Iterator[Finding]:
    """Every task has `docs_info` or `docs_link`.

    The web client shows them to the people who choose among tasks.
    """
    if not any(str(task.entry.get(key) or "").strip() for key in ("docs_info", "docs_link")):
        yield task.finding(
            expected="docs_info or docs_link",
            found="neither docs_info nor docs_link",
            hint='add "docs_info": "what the task does", or "docs_link": "https://..."',
        )


@rule(
    "FR114",
    "docs-link-url",
    needs=("FR106",),
    cite=(Source.SERVER_1, Source.SERVER_2),
    fix="Write a whole http or https URL, or leave `docs_link` out.",
    example='"docs_link": "my-lab.org/docs"',
)
def docs_link_url(task: Task) -> Iterator[Finding]:
    """`docs_link` is a http or https URL that the server's model takes.

    It refuses everything else, an empty text too; in generation 1 also
    `http://localhost/`, with the bare text `'task_list'`.
    """
    link = task.entry.get("docs_link")
    if link is None:
        raise NotApplicable("the task has no docs_link")
    problem = task.generation.link_problem(link) if isinstance(link, str) else "which is no text"
    if problem:
        yield task.finding(
            "docs_link",
            expected="a URL such as https://example.org/docs, or null",
            found=f"{shown(link)}, {problem}",
            hint=f"remove docs_link, or write the whole URL{_whole_link(task, link)}",
            edits=[JsonEdit(Action.REMOVE, ("docs_link",))] if not str(link).strip() else (),
            listed="let DOCS_LINK be None or the whole URL",
        )


def _whole_link(task: Task, link: Any) -> str:
    """The URL that a text without a scheme would be; empty where it would be none."""
    whole = f"https://{link}"
    if not str(link).strip() or "://" in str(link) or task.generation.link_problem(whole):
        return ""
    return f": {json.dumps(whole)}, if it is there"


@rule(
    "FR115",
    "type-matches-executables",
    needs=("FR106",),
    cite=(Source.SERVER_2,),
    fix="Name the type that the executables call for, or leave `type` out.",
    example='"type": "compound" and only "executable_parallel".',
)
def type_matches_executables(task: PackagedTask) -> Iterator[Finding]:
    """The task's `type` agrees with which executables there are.

    The server does not compare them. It collects the task, and when a job comes to an
    executable that is missing, it ends with `Command "None" is not valid`. An executable
    that the type does not call for is never run.
    """
    generation = task.generation
    if generation.kind_key is None:
        raise NotApplicable("tasks of this generation have no type")
    there, wanted = generation.parts(task.entry), generation.runs(task.kind)
    missing = [part for part in wanted if part not in there]
    needless = [part for part in there if part not in wanted]
    fitting = [kind for kind in generation.kinds if _calls_for(task, kind, there)]
    for part in missing:
        add = f"add {part.executable}, the path of the script that it runs"
        # An executable that the type does not call for may be the one that is meant.
        meant = fitting[0] if needless and len(fitting) == 1 else None
        yield task.finding(
            generation.kind_key,
            expected=f"{part.executable}, which a task of the type {task.kind!r} runs",
            found=f"{needless[0].executable} instead" if needless else "there is none",
            hint=f'write "{generation.kind_key}": "{meant}"; or {add}' if meant else add,
            edits=[JsonEdit(Action.SET, (generation.kind_key,), meant)] if meant else (),
        )
    for part in needless if not missing else ():
        own = (part.executable, part.meta, part.args_schema)
        keys = [key for key in own if key in task.entry]
        yield task.finding(
            part.executable,
            expected=f"no {part.executable} for a task of the type {task.kind!r}",
            found=f"{json.dumps(task.entry[part.executable])}, which is never run",
            hint=f"remove {' and '.join(keys)}, or change {generation.kind_key!r}",
            severity=Severity.WARNING,
        )


def _calls_for(task: Task, kind: str, parts: Collection[PartKeys]) -> bool:
    """Whether a kind of task runs just these commands, with the arguments that they take."""
    if {*task.generation.runs(kind)} != {*parts}:
        return False
    for part in parts:
        schema = task.entry.get(part.args_schema)
        properties = schema.get("properties") if isinstance(schema, dict) else None
        known = properties if isinstance(properties, dict) else {}
        if not known.keys() >= {*task.generation.reserved(kind, part).names}:
            return False
    return True
