"""FR4: samples run, and what the tasks write is what Fractal can take."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import PurePath
from typing import Final

from pytest_fractal.json_text import FaultKind, JsonText, read_json, shown, texts_in
from pytest_fractal.pointers import pointer
from pytest_fractal.processes.processes import Limit
from pytest_fractal.processes.validation import disputed_arguments
from pytest_fractal.rules.cite import Source
from pytest_fractal.rules.registry import Note, rule
from pytest_fractal.samples.files import Sample
from pytest_fractal.samples.runs import Execution, ResolvedArguments, Run
from pytest_fractal.schema_checks.client import OverLimit, refusal
from pytest_fractal.verdicts import Finding, NotApplicable, NotChecked, Severity, Skipped


def _expects_success(sample: Sample) -> Skipped | None:
    if sample.expect == "failure":
        return NotApplicable("the sample expects failure, see FR406")
    return None


def is_the_authors(sample: Sample) -> Skipped | None:
    """Why a rule on an author's samples that expect success does not judge this one."""
    return NotChecked(NO_SAMPLE) if sample.made else _expects_success(sample)


def _expects_failure(sample: Sample) -> Skipped | None:
    return NotApplicable("the sample expects success") if sample.expect == "success" else None


def _is_of(*, parallel: bool) -> Callable[[Sample], Skipped | None]:
    """Skips tasks without a command of this kind."""

    def skip_reason(sample: Sample) -> Skipped | None:
        if all(part.is_parallel is not parallel for part in sample.task.run_parts):
            return NotApplicable(f"the task is {sample.task.kind_words}")
        return _expects_success(sample)

    return skip_reason


def _has_output_model(sample: Sample) -> Skipped | None:
    if not sample.task.generation.has_output_model:
        return NotApplicable("in this generation an output may be any object")
    return _expects_success(sample)


def _executions(run: Run, *, parallel: bool) -> Iterator[Execution]:
    return (execution for execution in run.executions if execution.part.is_parallel is parallel)


def _reporting_rule(run: Run, execution: Execution) -> str | None:
    """The rule that reports why the task does not know an argument, or misses one.

    FR207 where the server drops what the sample gives; FR206 where a property is in the schema
    alone, or an argument in the function alone; else FR208, which says it of the sample.
    """
    disputed, given = disputed_arguments(execution.start), execution.arguments
    if any(name in run.sample.args and name not in given for name in disputed):
        return "FR207"
    schema = run.sample.task.entry.get(execution.part.args_schema)
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict):
        return None
    if any((name in properties) is (name in given) for name in disputed):
        return "FR206"
    return "FR208" if disputed else None


NO_SAMPLE: Final = "the task has no sample, see FR407"
_AGAIN: Final = "with --fractal-keep the command line to repeat the run is printed"


@rule(
    "FR401",
    "sample-succeeds",
    needs=("FR303", "FR305", "FR205"),
    cite=(Source.COMMAND_LINE, Source.SERVER_1, Source.SERVER_2),
    fix="Fix the task, or the sample if it expects too much; --fractal-keep keeps its files.",
    example="A sample with which the task raises FileNotFoundError.",
    skip_reason=is_the_authors,
)
def sample_succeeds(run: Run) -> Iterator[Finding]:
    """A sample that expects success exits 0 within the time limit.

    An exit status above 0 is how a task tells Fractal of an error; a task that is
    killed by a signal ends the whole job. Of one that succeeds it is noted when its output
    says "warning": newer servers mark such a run. Where tasks run as SLURM jobs, one that has
    more memory than its `meta` asks for fails too, be it killed for that or not.
    """
    if run.blocked is not None:
        blocked = run.blocked
        yield _finding(
            run,
            None,
            blocked.expected,
            blocked.found,
            blocked.hint,
            None if blocked.fails else Severity.WARNING,
        )
    for execution in run.executions:
        finished = execution.start.finished
        if finished.returncode or finished.timed_out:
            said = execution.start.output_tail or "it says nothing"
            found = _finding(
                run,
                execution,
                "exit status 0",
                f"{finished.ending}: {said}",
                _way_out(run, execution),
            )
            yield replace(found, follows=_reporting_rule(run, execution))
        elif finished.excess:
            yield _finding(
                run,
                execution,
                "no more memory than its job requests",
                f"{finished.excess}: where jobs are held to what they ask for, it is killed",
                _ask_for_more(run, execution, "mem", "memory"),
            )
    if (since := run.sample.task.generation.marks_warnings_since) and run.succeeded:
        yield from _marked(run, since)


_NO_FILE: Final = re.compile(r"No such file or directory: '([^'\n]{1,1000})'")
"""As Python says it."""


def _way_out(run: Run, execution: Execution) -> str:
    """How to fix what did not succeed."""
    limit = execution.start.finished.limit
    if limit is None:
        said = _NO_FILE.search(execution.start.output_tail)
        lacking = said[1] if said is not None else ""
        zarr_dir = execution.arguments.get("zarr_dir", "/")
        if PurePath(lacking).is_relative_to(zarr_dir) and not os.path.lexists(zarr_dir):
            return (
                "the server does not create the zarr_dir of a new dataset: let the task do it, "
                "with `os.makedirs(zarr_dir, exist_ok=True)` and `import os`"
            )
        if lacking[:1] not in ("", "/") and os.path.lexists(run.sample.file.parent / lacking):
            path = json.dumps(f"{{samples}}/{lacking}", ensure_ascii=False)
            return (
                f"the file lies beside the sample, and a task runs in another folder: write {path}"
            )
        return f"fix the task, or the sample's arguments; {_AGAIN}"
    if limit is Limit.MEMORY:
        return _ask_for_more(run, execution, "mem", "memory")
    return _ask_for_more(run, execution, "time", "time")


def _ask_for_more(run: Run, execution: Execution, key: str, much: str) -> str:
    return (
        f"let {execution.part.meta!r} of the task {run.sample.task.name!r} ask for more "
        f'(its key "{key}"), or let the task take less {much}'
    )


def _marked(run: Run, since: str) -> Iterator[Finding]:
    """What newer servers search in the log of a run, and the web client then marks."""
    for execution in run.executions:
        finished = execution.start.finished
        lines = (finished.stdout + "\n" + finished.stderr).splitlines()
        if (said := next((line for line in lines if "warning" in line.lower()), None)) is not None:
            yield _finding(
                run,
                execution,
                "an output without the word warning",
                f"{said.strip()[:200]!r}: fractal-server {since} and newer mark such a run, and "
                "the web client shows the mark",
                "leave it if a user is to look at it; else silence the warning, or log it below "
                "the level WARNING",
                Severity.NOTE,
                f">={since}",
            )
            return


@rule(
    "FR402",
    "metadata-written",
    needs=("FR303", "FR205", "FR401"),
    cite=(Source.OUTPUT, Source.SERVER_1, Source.SERVER_2),
    fix="Write the metadata update, an object or null, to the path of the second option.",
    example="A task that returns its update, and a script that never writes it.",
    skip_reason=_is_of(parallel=False),
)
def metadata_written(run: Run) -> Iterator[Finding]:
    """A non-parallel task that exits 0 has written its metadata file.

    The server goes on without the update, with no more than a line in its log. In
    generation 1 a later parallel task then dies, since its components are missing; in
    generation 2 an init command has found nothing to compute. A warning there, for the
    server takes a missing file for null.
    """
    _succeeded(run)
    generation = run.sample.task.generation
    _, option = generation.flags
    for execution in _executions(run, parallel=False):
        if execution.start.output is None:
            there = execution.start.obstacle or "no such file"
            yield _finding(
                run,
                execution,
                f"a JSON object, or null, in the file behind {option}",
                f"exit status 0, and {there}",
                f"write the update to the path that follows {option}, also when there "
                f"is nothing to add: {{}}; {_AGAIN}",
                None if generation.must_write else Severity.WARNING,
                is_of_script=True,
            )


@rule(
    "FR403",
    "metadata-is-object",
    needs=("FR303", "FR205", "FR401"),
    cite=(Source.OUTPUT, Source.SERVER_1, Source.SERVER_2),
    fix="Write one JSON object, or null, with a JSON library.",
    example='json.dump(["B03"], file) instead of {"well": ["B03"]}.',
    skip_reason=_is_of(parallel=False),
)
def metadata_is_object(run: Run) -> Iterator[Finding]:
    """What a non-parallel task writes is one JSON object, or null.

    A list, a number, an empty file or a byte order mark make the job fail. With NaN the
    job of generation 1 ends well, and the dataset can never be read again; in generation 2
    it does harm in an image's attributes (FR408), and elsewhere it is just no JSON.
    """
    _succeeded(run)
    for execution in _executions(run, parallel=False):
        if not (execution.start.obstacle and run.sample.task.generation.must_write):  # see FR402
            yield from _no_object(run, execution)


@rule(
    "FR404",
    "parallel-output",
    needs=("FR303", "FR205", "FR401"),
    cite=(Source.OUTPUT, Source.SERVER_1, Source.SERVER_2),
    fix="Let the parallel task write nothing, null or {}.",
    example='A parallel task that writes {"well": "B03"}.',
    skip_reason=_is_of(parallel=True),
)
def parallel_output(run: Run) -> Iterator[Finding]:
    """A parallel task writes nothing, or an object or null; in generation 1 best no keys.

    The page says that its output is ignored. In fact each key becomes a list over the
    components, and overwrites the dataset's own. In generation 2 it is read as that of any
    other task, see FR408.
    """
    _succeeded(run)
    becomes = run.sample.task.generation.parallel_keys
    for execution in _executions(run, parallel=True):
        broken = list(_no_object(run, execution))
        yield from broken
        value = _read(execution).value if execution.start.output is not None else None
        if not broken and value and becomes:
            keys = ", ".join(sorted(value))
            yield _finding(
                run,
                execution,
                "no keys in the output of a parallel task",
                f"the keys {keys}, each of which {becomes}",
                "return {} or nothing from a parallel task",
                Severity.WARNING,
                is_of_script=True,
            )


@rule(
    "FR405",
    "no-background-work",
    needs=("FR303", "FR205", "FR401"),
    cite=(Source.OUTPUT, Source.SERVER_1, Source.SERVER_2),
    fix="Wait for every thread, process and writer before the command ends.",
    example="subprocess.Popen(...) without wait() at the end of the task.",
    skip_reason=_expects_success,
)
def done_when_it_exits(run: Run) -> Iterator[Finding]:
    """When the command exits, everything is on disk and no process of its is left.

    Fractal starts the next task at once. What is still being written then is read half,
    and on a cluster the batch system ends a process that is still at work, with its work.

    A process that only waits, and has written nothing, is a warning: no server waits for
    it, and the job is done. Whatever it waits to do is lost on a cluster.
    """
    _succeeded(run)
    for execution in run.executions:
        finished = execution.start.finished
        if left := finished.working or finished.left:
            more = f" and {len(left) - 3} more" if len(left) > 3 else ""
            is_harmful = bool(finished.working or run.changed)
            does = "at work" if finished.working else "idle"
            yield _finding(
                run,
                execution,
                "no process of the command's after it has ended",
                f"still there, {does}: {'; '.join(left[:3])}{more}",
                "join the processes that the task starts, and start none that outlives it",
                None if is_harmful else Severity.WARNING,
            )
    if run.changed:
        more = f" and {len(run.changed) - 3} more" if len(run.changed) > 3 else ""
        yield _finding(
            run,
            None,
            "everything on disk when the command has ended",
            f"written afterwards: {', '.join(run.changed[:3])}{more}",
            "join the processes that the task starts before it ends",
        )


@rule(
    "FR406",
    "sample-fails-as-expected",
    needs=("FR303",),
    cite=("none: what the package's author expects",),
    fix="Let the schema or the command refuse these arguments, or expect success.",
    example='{"task": "Blur", "args": {"sigma": -1}, "expect": "failure"}, and the task takes it.',
    skip_reason=_expects_failure,
)
def sample_fails_as_expected(run: Run, resolved: ResolvedArguments) -> Iterator[Finding | Note]:
    """A sample that expects failure is refused, by the schema or by the command.

    Such a sample shows that a mistake is noticed before hours of computing.
    """
    by = []
    for part, arguments in resolved.parts:
        with suppress(OverLimit):
            if refused := refusal(part.schema, arguments):
                by.append(f"by the schema ({refused.message[:120]})")
    endings = {execution.start.finished.ending for execution in run.executions}
    ending = ", ".join(sorted(endings)) or (run.blocked.found if run.blocked else "")
    if run.refused:
        by.append(f"by the command ({ending})")
    if by:
        yield Note(f"refused {' and '.join(by)}")
        return
    yield _finding(
        run,
        None,
        "a refusal, by the schema or by an exit status above 0",
        f"the schema allows these arguments, and the command: {ending}",
        f"check the argument in the task, or narrow its schema; {_AGAIN}",
    )


@rule(
    "FR408",
    "output-model",
    needs=("FR303", "FR205", "FR401", "FR403", "FR404"),
    cite=(Source.SERVER_2,),
    fix="Write image_list_updates and image_list_removals, or of an init part the "
    "parallelization_list, as the server's models take them.",
    example='{"image_list_updates": [{"zarr_url": "plate.zarr/B/03/0"}]}: not absolute.',
    skip_reason=_has_output_model,
)
def output_model(run: Run) -> Iterator[Finding]:
    """What a task of generation 2 writes is what the server's models of outputs take.

    They are strict: another key, a path that is not absolute, or an image that is listed
    twice with different content make the job fail after the task has done its work, and
    with it all that the task has listed is lost.
    """
    _succeeded(run)
    generation, kind = run.sample.task.generation, run.sample.task.kind
    for number, execution in enumerate(run.executions):
        own = generation.output_faults(kind, execution.part, _read(execution).value)
        for fault in (*own, *(fault for index, fault in run.faults if index == number)):
            yield _finding(
                run,
                execution,
                f"{fault.expected}, at {pointer(*fault.keys) or 'the root'} of the output",
                fault.found,
                f"{fault.fix}; {_AGAIN}",
                Severity.WARNING if fault.coerced else None,
                fault.releases,
                is_of_script=True,
            )


def _succeeded(run: Run) -> None:
    """Raise `NotChecked` where arguments that were made up did not lead to an output."""
    if run.sample.made and not run.succeeded:
        said = run.executions[0].start.output_tail.splitlines() if run.executions else []
        raise NotChecked(
            "the task has no sample, and arguments made from its schema did not do",
            run.readable(said[0].strip()) if said else "",
        )


def _read(execution: Execution) -> JsonText:
    return read_json((execution.start.output or "").encode("utf-8", "surrogateescape"))


def _no_object(run: Run, execution: Execution) -> Iterator[Finding]:
    """What makes an output unfit: it is no strict JSON, or no object and not null."""
    if execution.start.output is None:
        if obstacle := execution.start.obstacle:
            yield _finding(
                run,
                execution,
                "a file at the path of the second option",
                obstacle,
                "write nothing but the update to this very path, or nothing at all",
                is_of_script=True,
            )
        return
    text = _read(execution)
    # Of a key given twice, JSON readers take the last: neither page nor server minds.
    faults = [fault for fault in text.faults if fault.kind is not FaultKind.REPEATED_KEY]
    found = faults[0].message if faults else ""
    hint = _HINTS_FOR_JSON.get(faults[0].kind, _WITH_JSON) if faults else _WITH_JSON
    # What stands at a place within a text that can be read: NaN or Infinity.
    harmless = bool(faults) and all(fault.pointer is not None for fault in faults)
    harmless = harmless and not run.sample.task.generation.refuses_nan
    if not execution.start.output.strip():
        found, hint = "an empty file", "write {} where there is nothing to tell"
    elif not (text.value is None or isinstance(text.value, dict)) and (harmless or not found):
        found, harmless = shown(text.value), False
        hint = "return a dict from the task's function, with this as the value of a key"
    elif not found and any(
        re.search("[\ud800-\udfff]", inner) for _, inner in texts_in(text.value)
    ):
        found = "half of a surrogate pair in a text, which cannot be written as UTF-8"
        hint = 'leave it out of the text: text.encode("utf-8", "ignore").decode()'
    if found:
        yield _finding(
            run,
            execution,
            "one JSON object, or null, as UTF-8",
            found,
            hint,
            Severity.WARNING if harmless else None,
            is_of_script=True,
        )


_WITH_JSON: Final = "write the update with json.dump, and return a dict from the task's function"
_HINTS_FOR_JSON: Final = {
    FaultKind.ENCODING: 'open the file to write with encoding="utf-8"',
    FaultKind.NOT_FINITE: "return None or a number in its place: json.dump writes NaN as it is, "
    "and refuses it with allow_nan=False",
}


def _finding(
    run: Run,
    execution: Execution | None,
    expected: str,
    found: str,
    hint: str,
    severity: Severity | None = None,
    releases: str | None = None,
    *,
    is_of_script: bool = False,
) -> Finding:
    """A finding about a sample; `is_of_script` says that the script must be changed."""
    sample = run.sample
    where, line = sample.place()
    about = f" for {execution.about}" if execution and execution.about else ""
    parts = (part for part in sample.task.parts if execution and part.keys == execution.part)
    script = next((part.script for part in parts), None)
    return Finding(
        expected=run.readable(f"{expected}{about}"),
        found=run.readable(found.strip()),
        hint=f"in {script}, {hint}" if is_of_script and script else hint,
        file=script if sample.made else str(sample.file),
        pointer=where,
        line=line,
        task=sample.task.slug,
        severity=severity,
        releases=releases,
    )
