"""FR3: the command starts, takes Fractal's options, and reads what it is given."""

from __future__ import annotations

import json
import re
import shlex
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from pytest_fractal.facts import Command
from pytest_fractal.fixes.model import Fix
from pytest_fractal.processes.probing import UNKNOWN, OptionProbe, Refusals
from pytest_fractal.processes.tracebacks import Crash
from pytest_fractal.rules.cite import Source
from pytest_fractal.rules.registry import Note, rule
from pytest_fractal.rules.script_hints import (
    declaring_places,
    fix_for_main_block,
    fix_for_options,
    has_no_main_block,
    main_block,
    where_written,
)
from pytest_fractal.rules.start_hints import advice_for_import, hint_for_end, reads_environment
from pytest_fractal.signatures.control_flow import CallSite, Influence, influence
from pytest_fractal.verdicts import Finding, NotApplicable, Severity

_MISSING: Final = re.compile(r"No module named '?([\w.]+)'?")


@rule(
    "FR301",
    "command-starts",
    needs=("FR002", "FR110", "FR903"),
    cite=(Source.COMMAND_LINE,),
    fix="Start the script in a fresh environment, and fix the first error.",
    example="import cellpose, and cellpose is not among the dependencies.",
)
def starts(command: Command) -> Iterator[Finding]:
    """The command starts: no missing interpreter, no import that fails, no syntax error.

    Fractal never imports a task when it collects it. A missing dependency shows when
    the first job runs, if not here.
    """
    first, probe = command.probe.first, command.probe
    finished, crash = first.finished, first.crash
    if probe.reads:
        # What it imports later than it reads; not what it reported before it went on.
        broken = crash is not None and crash.cannot_import and not _went_on(crash)
    else:
        broken = crash is not None and crash.raised_by_import
    missing = _MISSING.search(first.output_tail) if finished.returncode else None
    if command.misplaced and not probe.reads and finished.returncode:
        yield _misplaced(command)
    elif finished.returncode in (126, 127) and not probe.reads:
        yield _finding(
            command,
            "a program that can be started",
            _said(command),
            "see that the interpreter is there, and that the file may be executed",
        )
    elif broken or (missing and probe.ends_before_options):
        found = _with_place(command, crash.headline if crash else first.output_tail, crash)
        advice = advice_for_import(command, crash, missing and missing[1])
        yield _finding(
            command, "a script that imports what it needs", found, advice.text, crash, advice.fix
        )
    elif finished.returncode < 0 and not finished.timed_out and not probe.reads:
        yield _finding(
            command,
            "a script that starts",
            finished.ending,
            "a compiled dependency crashes while it is imported: run the script with "
            "`python -X faulthandler` to see which",
        )
    elif probe.ends_before_options:
        found = (
            _with_place(command, crash.headline, crash)
            if crash
            else f"{finished.ending}: {_said(command)}"
        )
        yield _finding(
            command,
            "a script that gets as far as its arguments",
            found,
            hint_for_end(command, crash),
            crash,
        )


@rule(
    "FR302",
    "accepts-arguments",
    needs=("FR301",),
    cite=(Source.COMMAND_LINE,),
    fix="Take the two options as `run_fractal_task` of fractal-tasks-core does.",
    example='parser.add_argument("--json"): -j is refused.',
)
def accepts_arguments(command: Command, options: OptionProbe) -> Iterator[Finding]:
    """The command takes the options by which Fractal hands it its two files.

    Fractal adds them to every command, in this order and form. What counts is what
    the process does, not what its help says.
    """
    finished = options.first.finished
    flag, option = command.part.task.generation.flags
    expected = f"a command that takes `{flag} ARGS.json {option} OUT.json`"
    if options.refuses_output_option:
        yield _finding(
            command,
            expected,
            f"it takes {flag}, but refuses {option}: {_said(command)}",
            f"declare the option {option} too, with one value: the path to write the output to",
        )
    elif options.refuses_options:
        invocation = options.reading_invocation
        takes = (
            f"; it does read its arguments when given as `{invocation.words}`"
            if invocation
            else ""
        )
        hint, fix = _fix_for_options(command)
        yield _finding(
            command,
            expected,
            f"{finished.ending}, its arguments unread{takes}: {_said(command)}",
            hint,
            fix=fix,
        )


@rule(
    "FR303",
    "reads-arguments",
    needs=("FR302",),
    cite=(Source.ARGUMENTS,),
    fix="Load the JSON file that the first option names, and work by its content.",
    example='open("arguments.json") instead of the path behind the option.',
)
def reads_arguments(command: Command) -> Iterator[Finding]:
    """The command reads the file that its first option names.

    All that a task is given stands in that file. Seen on the file itself: a command
    that only asks whether the file exists does not pass.
    """
    probe, finished = command.probe, command.probe.first.finished
    flag, _ = command.part.task.generation.flags
    if not probe.reads:
        said = f": {_said(command)}" if finished.returncode and not finished.timed_out else ""
        runs_nothing = finished.returncode == 0 and has_no_main_block(command)
        yield _finding(
            command,
            f"the file behind {flag} is read",
            f"{finished.ending}, and the file was not read{said}",
            _hint_for_reading(command, runs_nothing=runs_nothing),
            fix=fix_for_main_block(command) if runs_nothing else None,
        )


@rule(
    "FR304",
    "refuses-bad-arguments",
    severity=Severity.WARNING,
    needs=("FR303", "FR305"),
    cite=(Source.SERVER_1, Source.SERVER_2),
    fix="Let the exception through: an exit status above 0 is how Fractal learns of an error.",
    example='args.get("sigma") for a required argument: without it the task goes on.',
)
def refuses_bad_arguments(command: Command, refusals: Refusals) -> Iterator[Finding]:
    """Arguments that are not JSON, lack a required one or hold an unknown one are refused.

    Fractal knows of a mistake only by the exit status. A task that goes on with wrong
    arguments reports success, and the user finds no result, or the wrong one.
    """
    probe = command.probe
    required = ", ".join(map(str, command.part.schema.get("required") or []))
    given = {
        "not-json": "a file that is not JSON",
        "lacking": f"arguments without any required one ({required})",
        "unknown": f"an argument that the task does not know ({UNKNOWN})",
    }
    hints = {
        "not-json": "do not catch the error of json.load, or end with sys.exit(1)",
        "lacking": "read required arguments as args[name], not args.get(name), or call the "
        "function with **args",
        "unknown": "call with **args a function that names all its parameters, without a "
        '**kwargs, or validate them by a model with extra="forbid": unknown names are then '
        "refused",
    }
    is_reported = False
    for case in refusals.cases:
        finished = case.start.finished
        if case.kind == "lacking" and case.start == probe.first:
            given["lacking"] = f"arguments without {', '.join(probe.lacks)}, which is required"
        accepted = finished.returncode == 0
        hangs = finished.timed_out and not case.real
        expected = f"an exit status above 0 for {given[case.kind]}"
        if accepted or hangs:
            found = finished.ending
        elif case.goes_unnoticed:
            expected = f"a refusal of {given[case.kind]}"
            said = _readable(command, case.start.output_tail)
            found = f"it ends as it does without it: {said}"
        else:
            continue
        is_reported = True
        yield _finding(command, expected, found, hints[case.kind])
    if refusals.alike and not is_reported:
        raise NotApplicable("it ends in the same exception for good arguments too, see FR305")


@rule(
    "FR305",
    "depends-on-arguments",
    needs=("FR303",),
    cite=(Source.ARGUMENTS,),
    fix="Fix the exception: the task raises it whatever it is given.",
    example="The runner calls get_type_hints(task_function), and that fails.",
)
def depends_on_arguments(command: Command, refusals: Refusals) -> Iterator[Finding | Note]:
    """Not every start ends in the same exception, whatever the arguments are.

    Such a task starts, takes its options and reads its file, and still no job of it ends
    well. It is started on no arguments, on bad ones and on good ones; the source tells
    whether others could lead elsewhere.
    """
    crash = command.probe.first.crash
    if not refusals.alike or crash is None:
        return
    cause = _influence(command, crash)
    ending = _with_place(command, crash.headline, crash)
    blames_code = crash.type in _MISTAKES and not _names_arguments(command, crash)
    if cause is not Influence.NONE and not (cause is Influence.HANDED_ON and blames_code):
        yield Note(
            f"whatever it was given, it ended in {ending}; whether other arguments would change "
            "that cannot be known: give the task a sample"
        )
        return
    by_machine = _is_of_the_machine(crash)
    hint = (
        "if that is only missing on this machine, ignore this; else let the task do without it"
        if by_machine
        else "fix the exception: on the way to it the script does not look at its arguments"
    )
    yield replace(
        _finding(
            command,
            "an end that depends on the arguments",
            f"the same exception for no arguments, good and bad ones: {ending}",
            hint,
            crash,
        ),
        severity=Severity.WARNING if by_machine else None,
    )


_MISTAKES: Final = frozenset(
    {
        "AttributeError",
        "ConfigError",
        "ImportError",
        "ModuleNotFoundError",
        "NameError",
        "NotImplementedError",
        "PydanticImportError",
        "PydanticSchemaGenerationError",
        "PydanticUndefinedAnnotation",
        "PydanticUserError",
        "TypeError",
        "UnboundLocalError",
    }
)
"""Exceptions that come from code that does not fit together, not of data."""
_MACHINE: Final = re.compile(
    r"\b(cuda|gpus?|nvidia|driver|licen[cs]e|token|credentials?|network|connection|connect|"
    r"download|proxy|display|environment variable|timed out)\b",
    re.IGNORECASE,
)
_MACHINE_ERRORS: Final = re.compile(
    r"(OS|IO|FileNotFound|FileExists|Permission|Timeout|URL|HTTP|SSL|Proxy|gai|Connection\w*|"
    r"Connect|MaxRetry|NewConnection|LocalEntryNotFound|CalledProcess)[eE]rror|"
    r"\w*Timeout"
)


def _influence(command: Command, crash: Crash) -> Influence:
    """What the arguments can have had to do with an exception, by the source in the wheel."""
    if command.installation is None:
        return Influence.POSSIBLE
    places = [
        CallSite(frame.file.rpartition("site-packages/")[2], frame.line, frame.name)
        for frame in crash.frames
    ]
    return influence(command.installation.wheel.contents, places)


def _names_arguments(command: Command, crash: Crash) -> bool:
    properties = command.part.schema.get("properties")
    names = [*(properties if isinstance(properties, dict) else ()), *command.part.reserved.all]
    said = set(re.findall(r"[\w-]+", crash.message))
    return not said.isdisjoint([UNKNOWN, *names])


def _is_of_the_machine(crash: Crash) -> bool:
    """Whether it may be for want of what another machine has: a file, a network, a GPU."""
    named = _MACHINE_ERRORS.fullmatch(crash.type)
    return bool(named or reads_environment(crash) or _MACHINE.search(crash.message))


def _went_on(crash: Crash) -> bool:
    """Whether a failed import was printed by a program that did something else afterwards."""
    one_line = crash.type == "ModuleNotFoundError" or crash.message.startswith("cannot import ")
    in_a_child = bool(crash.frames) and crash.frames[0].file in ("<string>", "<stdin>")
    return in_a_child or (one_line and "\n" in crash.message)


def _misplaced(command: Command) -> Finding:
    (word, path), *_ = command.misplaced.items()
    whole = shlex.join(command.misplaced.get(part, part) for part in command.argv)
    return command.part.task.finding(
        command.part.keys.command,
        expected="absolute paths in a command, since it runs in a folder of its own",
        found=f"{word}: {_said(command)}",
        hint=f"write the absolute path; a file of that name lies at {path}: "
        f'"command": {json.dumps(whole)}',
    )


def _fix_for_options(command: Command) -> tuple[str, Fix | None]:
    """How a command gets the options that it lacks, in words and as edits."""
    probe = command.probe
    flag, option = command.part.task.generation.flags
    taken = probe.reading_invocation.options if probe.reading_invocation else ()
    own = (taken[0], taken[2]) if len(taken) == 4 else _required_options(command)
    if own is not None and all(name.startswith("-") for name in own):
        pairs = zip(own, (flag, option), strict=True)
        names = {old: new for old, new in pairs if old != new}
        others = " and ".join(f"{old} the name {new}" for old, new in names.items())
        if (fix := fix_for_options(command, names)) is not None:
            return f"give the option {others} too{where_written(command, *names)}", fix
        if (other := _taken_by_another(command, names)) is not None:
            name, place = other
            return (
                f"take the name {name} from the option that has it ({place}), and then give "
                f"the option {others} too"
            ), None
        renamed = " and ".join(f"{new} for {old}" for old, new in names.items())
        return f"take {renamed}{where_written(command, *names)}", None
    return (
        f"declare the options {flag} and {option}, each with a path as its value; argparse: "
        f'parser.add_argument("{flag}", required=True) and '
        f'parser.add_argument("{option}", required=True)'
    ), None


def _taken_by_another(command: Command, names: Mapping[str, str]) -> tuple[str, str] | None:
    """The first new name that another option has where these are declared, and its place."""
    own = {place.rpartition(":")[0] for old in names for place in declaring_places(command, old)}
    for name in names.values():
        for place in declaring_places(command, name):
            if place.rpartition(":")[0] in own:
                return name, place
    return None


def _required_options(command: Command) -> tuple[str, str] | None:
    """The two options that argparse asks for, that for the output last; None for others."""
    asked = _REQUIRED.search(command.probe.first.finished.stderr)
    names = [name.split("/")[-1] for name in asked[1].split(", ")] if asked else []
    outputs = [name for name in names if _OUTPUT.match(name)]
    if len(names) != 2 or len(outputs) != 1:
        return None
    (other,) = {*names} - {*outputs}
    return other, outputs[0]


_REQUIRED: Final = re.compile(r"the following arguments are required: ([^\s,]+(?:, [^\s,]+)*)")
_OUTPUT: Final = re.compile(r"--?(?:o$|out|metadata|result|update)")


def _hint_for_reading(command: Command, *, runs_nothing: bool) -> str:
    finished = command.probe.first.finished
    flag, _ = command.part.task.generation.flags
    if finished.timed_out:
        return "the command hangs before it looks at its arguments: see what it waits for"
    if runs_nothing:
        return (
            "the script defines its functions and calls none of them: add to its end\n"
            + textwrap.indent(main_block(command), "    ")
        )
    return f"open the path that follows {flag} and load it as JSON, before anything that may fail"


def _finding(
    command: Command,
    expected: str,
    found: str,
    hint: str,
    crash: Crash | None = None,
    fix: Fix | None = None,
) -> Finding:
    """A finding about a task's script: at the line of it that the traceback of `crash` shows."""
    part = command.part
    lines = [
        frame.line
        for frame in (crash.frames if crash else ())
        if frame.file.endswith(f"/{part.script}")
    ]
    return Finding(
        expected=expected,
        found=found.strip(),
        hint=hint,
        file=part.script,
        line=lines[-1] if lines else None,
        task=part.task.slug,
        fix=fix,
    )


def _said(command: Command) -> str:
    return _readable(command, command.probe.first.output_tail) or "it says nothing"


def _readable(command: Command, text: str) -> str:
    """A text without the places of this one run."""
    first = command.probe.first
    names = {
        first.arguments_file: "ARGS.json",
        first.output_file: "OUT.json",
        f"{Path(first.output_file).parent}/": "",
    }
    if command.installation is not None:
        names[f"{command.installation.environment.site_packages}/"] = ""
    for path, name in names.items():
        text = text.replace(path, name)
    return text


def _with_place(command: Command, found: str, crash: Crash | None) -> str:
    found = _readable(command, found)
    if crash is None or not crash.frames:
        return found
    # Where it happened in what was installed says more than where in the interpreter's own files.
    installed = [frame for frame in crash.frames if "site-packages/" in frame.file]
    frame = (installed or crash.frames)[-1]
    file = frame.file.rpartition("site-packages/")[2]
    return f"{found} ({file}, line {frame.line})"
