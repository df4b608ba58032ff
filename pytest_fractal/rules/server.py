"""FR9: what a real fractal-server does with the package. Only judged with --fractal-server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from pytest_fractal.json_text import shown
from pytest_fractal.rules.cite import Source
from pytest_fractal.rules.output import is_the_authors
from pytest_fractal.rules.registry import Note, rule
from pytest_fractal.samples.files import Sample
from pytest_fractal.samples.runs import Run
from pytest_fractal.server.comparing import MISSING, Difference, differences
from pytest_fractal.server.facts import Collection, ListedTask, ServerResponse, ServerRun
from pytest_fractal.task_lists import Manifest
from pytest_fractal.verdicts import Finding, NotApplicable, NotChecked, Severity, Skipped


def _is_whole(sample: Sample) -> Skipped | None:
    """Why there is nothing to say of a sample that a server cannot run, or not yet."""
    if nothing := is_the_authors(sample):
        return nothing
    if not sample.last:
        return NotApplicable("judged with the last step of the workflow")
    step = sample
    while step.previous is not None:
        if step.reserved:
            names = ", ".join(step.reserved)
            return NotChecked(
                f"the step {step.name} gives its own {names}; on a server it has what the step "
                "before has left"
            )
        step = step.previous
    return None


_TELL: Final = (
    "fix what the server names, or what a rule says that is ignored here; where every rule "
    "holds, please tell the authors of pytest-fractal too"
)


@rule(
    "FR901",
    "server-collects",
    needs=(lambda known: known.decides_collection,),
    cite=(Source.PACKAGE, Source.SERVER_1, Source.SERVER_2),
    fix="Fix what the server's own words name; --fractal-keep keeps its log.",
    example='Two tasks with the slug my_task: the collection stays at "collecting" for ever.',
)
def server_collects(collection: Collection, manifest: Manifest) -> Iterator[Finding | Note]:
    """A real fractal-server collects the wheel, and lists the tasks that the report lists.

    What the server does is the last word. It is asked when everything is in order that it
    could refuse; a rule that is ignored does not keep it from being asked.
    """
    collected = collection.collected
    file = manifest.path if manifest else None
    if collected.outcome != "done":
        yield Finding(
            f"{collected.server} collects the wheel", _ending(collected, "collection"), _TELL, file
        )
        return
    reported = {task.source or task.name: task for task in collection.reported}
    listed = {task.source or task.name: task for task in collected.tasks}
    for key in [*reported, *(key for key in listed if key not in reported)]:
        here, there = reported.get(key), listed.get(key)
        if here != there:
            yield Finding(
                f"{collected.server} lists {_listed(here)}",
                f"it lists {_listed(there)}",
                _TELL,
                file,
            )
    yield Note(f"{collected.server} took {collected.seconds:.0f} s")


@rule(
    "FR902",
    "server-runs",
    needs=(
        "FR901",
        lambda known: known.code.startswith("FR4") and known.severity is Severity.ERROR,
    ),
    cite=(Source.COMMAND_LINE, Source.OUTPUT, Source.SERVER_1, Source.SERVER_2),
    fix="Let the task depend on nothing but its arguments and what lies at its paths.",
    example="A task that resolves a relative path: its working directory is another there.",
    skip_reason=_is_whole,
)
def server_runs(run: Run, server_run: ServerRun) -> Iterator[Finding | Note]:
    """A real fractal-server runs the workflow to its end, with the same metadata as here.

    In generation 2 that is the image list. Paths in it are compared as they would be here.
    What differs between two runs here too, such as a time, is not compared.
    """
    where, line = run.sample.place()

    def finding(expected: str, found: str, hint: str) -> Finding:
        return Finding(
            expected, found, hint, str(run.sample.file), where, line, task=run.sample.task.slug
        )

    if not run.succeeded:
        raise NotChecked("the sample does not succeed here")
    if server_run.outcome != "done":
        yield finding(
            f"{server_run.server} runs it as it runs here, and the job is done",
            _ending(server_run, "job"),
            "see what the task takes from its surroundings: environment variables, "
            f"the working directory, the network; else {_TELL}",
        )
        return
    for difference in differences(run.dataset, server_run.dataset):
        if difference.pointer not in server_run.varying:
            yield finding(
                f"the metadata as it is here{_at(difference)}: {_short(difference.here)}",
                f"on {server_run.server}: {_short(difference.there)}",
                "let the task take from its arguments, and from what lies at its "
                "paths, what it writes there",
            )
    if server_run.varying:
        yield Note(f"not compared, for it differs here too: {', '.join(server_run.varying)}")


def _ending(answer: ServerResponse, what: str) -> str:
    """How something ended, in our words and the server's."""
    said = _shortened(answer.said) or "it says nothing"
    match answer.outcome:
        case "refused":
            return f"it refuses with status {answer.status}: {said}"
        case "broken":
            return f"it breaks, and answers with status {answer.status}: {said}"
        case "frozen" if answer.at_work:
            return (
                f"the {what} is still {answer.status!r} after {answer.quiet:.0f} s, though it "
                f"could have ended long since. Its last words: {said}"
            )
        case "frozen":
            return (
                f"the {what} stays {answer.status!r} for ever: nothing has changed for "
                f"{answer.quiet:.0f} s, and no process works on it. Its last words: {said}"
            )
    return f"its {what} fails: {said}"


def _shortened(said: str) -> str:
    """The first line, which often says what failed, and the last ones, which say why."""
    lines = [line.rstrip() for line in said.splitlines() if line.strip()]
    return "\n".join(lines if len(lines) <= 8 else [lines[0], "[...]", *lines[-6:]])


def _listed(task: ListedTask | None) -> str:
    if task is None:
        return "no such task"
    source = [f"source {task.source}"] if task.source else []
    commands = [f"{key} {line}" for key, line in sorted(task.commands.items())]
    return ", ".join([json.dumps(task.name), *source, *commands])


def _at(difference: Difference) -> str:
    return f" at {difference.pointer}" if difference.pointer else ""


def _short(value: Any) -> str:
    return "nothing" if value is MISSING else shown(value, 200)
