"""FR4: samples run, and what the tasks write is what Fractal can take."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from pytest_fractal.machinery.commands import Start
from pytest_fractal.machinery.json_text import JsonText, read_json
from pytest_fractal.rules.registry import NotApplicable, Note, Spec, rule
from pytest_fractal.rules.schemas import schema_error
from pytest_fractal.running import Execution, Filled, Run, Sampling
from pytest_fractal.sample_files import Sample
from pytest_fractal.verdicts import Finding, Severity


def _expects_success(sample: Sample) -> str | None:
    return "the sample expects failure, see FR406" if sample.expect == "failure" else None


def is_the_authors(sample: Sample) -> str | None:
    """Why a rule on an author's samples that expect success passes over this one."""
    return "the task has no sample, see FR407" if sample.made else _expects_success(sample)


def _expects_failure(sample: Sample) -> str | None:
    return "the sample expects success" if sample.expect == "success" else None


def _is_of(kind: str) -> Callable[[Sample], str | None]:
    def passes_over(sample: Sample) -> str | None:
        if sample.task.kind != kind:
            return f"the task is {sample.task.kind.replace('_', '-')}"
        return _expects_success(sample)

    return passes_over


_AGAIN: Final = "with --fractal-keep the command line to repeat the run is printed"


@rule(
    "FR401",
    "sample-succeeds",
    needs=("FR303", "FR205"),
    cite=(Spec.COMMAND_LINE, Spec.SERVER),
    mend="Mend the task, or the sample if it expects too much; --fractal-keep keeps its files.",
    example="A sample with which the task raises FileNotFoundError.",
    passes_over=is_the_authors,
)
def sample_succeeds(run: Run) -> Iterator[Finding]:
    """A sample that expects success exits 0 within the time limit.

    An exit status above 0 is how a task tells Fractal of an error; a task that is
    killed by a signal ends the whole job.
    """
    if run.trouble is not None:
        yield _finding(run, None, "a run that Fractal can start", run.trouble,
                       "mend the task before it in the workflow, or give the sample the metadata "
                       "or the component that it needs")  # fmt: skip
    elif not run.executions:
        yield _finding(run, None, "a run for one component at least",
                       "the list of components is empty: the server starts nothing, and calls "
                       "the task done", "see what the task before it in the workflow has found, "
                       "or give the sample a component", Severity.WARNING)  # fmt: skip
    for execution in run.executions:
        finished = execution.start.finished
        if finished.returncode or finished.timed_out:
            said = execution.start.last_words or "it says nothing"
            yield _finding(run, execution, "exit status 0", f"{finished.ending}: {said}",
                           f"mend the task, or the sample's arguments; {_AGAIN}")  # fmt: skip


@rule(
    "FR402",
    "metadata-written",
    needs=("FR401",),
    cite=(Spec.OUTPUT, Spec.SERVER),
    mend="Write the metadata update, an object or null, to the path of the second option.",
    example="A task that returns its update, and a script that never writes it.",
    passes_over=_is_of("non_parallel"),
)
def metadata_written(run: Run) -> Iterator[Finding]:
    """A non-parallel task that exits 0 has written its metadata file.

    The server goes on without the update, with no more than a line in its log; a later
    parallel task then dies, since its components are missing.
    """
    _succeeded(run)
    _, option = run.sample.task.generation.flags
    for execution in run.executions:
        if execution.start.output is None:
            yield _finding(run, execution, f"a JSON object, or null, in the file behind {option}",
                           "exit status 0, and no such file",
                           f"write the update to the path that follows {option}, also when there "
                           f"is nothing to add: {{}}; {_AGAIN}")  # fmt: skip


@rule(
    "FR403",
    "metadata-is-object",
    needs=("FR401",),
    cite=(Spec.OUTPUT, Spec.SERVER),
    mend="Write one JSON object, or null, with a JSON library.",
    example='json.dump(["B03"], file) instead of {"well": ["B03"]}.',
    passes_over=_is_of("non_parallel"),
)
def metadata_is_object(run: Run) -> Iterator[Finding]:
    """What a non-parallel task writes is one JSON object, or null.

    A list, a number, an empty file or a byte order mark make the job fail; with NaN the
    job ends well, and the dataset can never be read again.
    """
    _succeeded(run)
    for execution in run.executions:
        yield from _no_object(run, execution)


@rule(
    "FR404",
    "parallel-output",
    needs=("FR401",),
    cite=(Spec.OUTPUT, Spec.SERVER),
    mend="Let the parallel task write nothing, null or {}.",
    example='A parallel task that writes {"well": "B03"}.',
    passes_over=_is_of("parallel"),
)
def parallel_output(run: Run) -> Iterator[Finding]:
    """A parallel task writes nothing, or an object or null; and best no keys.

    The page says that its output is ignored. In fact each key becomes a list over the
    components, and overwrites the dataset's own.
    """
    _succeeded(run)
    for execution in run.executions:
        broken = list(_no_object(run, execution))
        yield from broken
        value = _read(execution).value if execution.start.output is not None else None
        if not broken and value:
            keys = ", ".join(sorted(value))
            yield _finding(run, execution, "no keys in the output of a parallel task",
                           f"the keys {keys}, each of which overwrites the dataset's own with a "
                           "list over the components",
                           "return {} or nothing from a parallel task",
                           Severity.WARNING)  # fmt: skip


@rule(
    "FR405",
    "done-when-it-exits",
    needs=("FR401",),
    cite=(Spec.OUTPUT,),
    mend="Wait for every thread, process and writer before the command ends.",
    example="subprocess.Popen(...) without wait() at the end of the task.",
    passes_over=_expects_success,
)
def done_when_it_exits(run: Run) -> Iterator[Finding]:
    """When the command exits, everything is on disk and no process of its is left.

    Fractal starts the next task at once. What is still being written then is read half,
    and on a cluster the batch system kills what is left.
    """
    _succeeded(run)
    for execution in run.executions:
        if left := execution.start.finished.left:
            more = f" and {len(left) - 3} more" if len(left) > 3 else ""
            yield _finding(run, execution, "no process of the command's after it has ended",
                           f"still running: {'; '.join(left[:3])}{more}",
                           "join the processes that the task starts, and start none that "
                           "outlives it")  # fmt: skip
    if run.changed:
        more = f" and {len(run.changed) - 3} more" if len(run.changed) > 3 else ""
        yield _finding(run, None, "everything on disk when the command has ended",
                       f"written afterwards: {', '.join(run.changed[:3])}{more}",
                       "join the processes that the task starts before it ends")  # fmt: skip


@rule(
    "FR406",
    "sample-fails-as-expected",
    needs=("FR303",),
    cite=("none: what the package's author expects",),
    mend="Let the schema or the command refuse these arguments, or expect success.",
    example='{"task": "Blur", "args": {"sigma": -1}, "expect": "failure"}, and the task takes it.',
    passes_over=_expects_failure,
)
def sample_fails_as_expected(run: Run, filled: Filled) -> Iterator[Finding | Note]:
    """A sample that expects failure is refused, by the schema or by the command.

    Such a sample shows that a mistake is told before hours of computing.
    """
    by = []
    if error := schema_error(run.sample.task, filled.arguments):
        by.append(f"by the schema ({error.message[:120]})")
    endings = {execution.start.finished.ending for execution in run.executions}
    ending = ", ".join(sorted(endings)) or run.trouble or "runs for no component"
    if run.refused:
        by.append(f"by the command ({ending})")
    if by:
        yield Note(f"refused {' and '.join(by)}")
        return
    yield _finding(run, None, "a refusal, by the schema or by an exit status above 0",
                   f"the schema allows these arguments, and the command: {ending}",
                   f"check the argument in the task, or narrow its schema; {_AGAIN}")  # fmt: skip


@rule(
    "FR407",
    "has-sample",
    severity=Severity.WARNING,
    needs=("FR106",),
    cite=("none: what is never run is never tested",),
    mend="Add a file to fractal_samples/ with the task's name and arguments.",
    example="A package without a folder fractal_samples/.",
)
def has_sample(sampling: Sampling) -> Iterator[Finding]:
    """The task has at least one sample that expects success.

    Without one the task is only started, never run to its end.
    """
    task = sampling.task
    if not any(sample.expect == "success" and not sample.made for sample in sampling.samples):
        example = json.dumps({"task": task.name, "args": sampling.made_arguments})
        yield task.finding(
            expected="a sample that expects success",
            found=f"{len(sampling.samples)} that expect failure" if sampling.samples else "none",
            hint=f"write for example fractal_samples/{task.id}.json: {example}; a task that works "
            "on what others have written belongs in a workflow of steps (docs/samples.md)",
        )


def _succeeded(run: Run) -> None:
    """Raise `NotApplicable` where arguments that were made up did not lead to an output."""
    if run.sample.made and not run.succeeded:
        start = run.executions[0].start if run.executions else None
        said = start.last_words.splitlines() if start else []
        raise NotApplicable(
            "the task has no sample, and arguments made from its schema did not do"
            + (f": {_without_places(said[0].strip(), start)}" if said and start else "")
        )


def _without_places(text: str, start: Start) -> str:
    """A text without the folder of this one run, so that two runs say the same."""
    return text.replace(str(Path(start.arguments_file).parents[2]), "{tmp}")


def _read(execution: Execution) -> JsonText:
    return read_json((execution.start.output or "").encode("utf-8", "surrogateescape"))


def _no_object(run: Run, execution: Execution) -> Iterator[Finding]:
    """What makes an output unfit: it is no strict JSON, or no object and not null."""
    if execution.start.output is None:
        return
    text = _read(execution)
    # Of a key given twice, JSON readers take the last: neither page nor server minds.
    faults = [one.message for one in text.faults if not one.message.startswith("the key ")]
    found = faults[0] if faults else ""
    if not execution.start.output.strip():
        found = "an empty file"
    elif not found and not (text.value is None or isinstance(text.value, dict)):
        found = _short(text.value)
    if found:
        yield _finding(run, execution, "one JSON object, or null, as UTF-8", found,
                       "write the update with json.dump, and return a dict from the task's "
                       "function")  # fmt: skip


def _finding(
    run: Run,
    execution: Execution | None,
    expected: str,
    found: str,
    hint: str,
    severity: Severity | None = None,
) -> Finding:
    sample = run.sample
    where, line = sample.place()
    about = (
        f" for the component {execution.component!r}" if execution and execution.component else ""
    )
    return Finding(
        expected=f"{expected}{about}",
        found=found.strip(),
        hint=hint,
        file=None if sample.made else str(sample.file),
        pointer=where,
        line=line,
        task=sample.task.slug,
        severity=severity,
    )


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
