"""FR3: the command starts, takes Fractal's options, and reads what it is given."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from packaging.utils import canonicalize_name

from pytest_fractal.facts import Command, Installation
from pytest_fractal.processes.probing import UNKNOWN
from pytest_fractal.processes.tracebacks import Crash
from pytest_fractal.rules.registry import Source, rule
from pytest_fractal.verdicts import Finding, Severity

_MISSING: Final = re.compile(r"No module named '?([\w.]+)'?")


@rule(
    "FR301",
    "command-starts",
    needs=("FR002", "FR110"),
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
        # What it imports later than it reads.
        broken = crash is not None and crash.cannot_import
    else:
        broken = crash is not None and crash.raised_by_import
    missing = _MISSING.search(first.output_tail) if finished.returncode else None
    if finished.returncode in (126, 127) and not probe.reads:
        yield _finding(
            command,
            "a program that can be started",
            _said(command),
            "see that the interpreter is there, and that the file may be executed",
        )
    elif broken or (missing and probe.ends_before_options):
        found = _told(command, crash.headline if crash else first.output_tail, crash)
        hint = _hint_for_import(command, crash, missing and missing[1])
        yield _finding(command, "a script that imports what it needs", found, hint, crash)
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
            _told(command, crash.headline, crash)
            if crash
            else f"{finished.ending}: {_said(command)}"
        )
        yield _finding(
            command,
            "a script that gets as far as its arguments",
            found,
            _hint_for_end(crash),
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
def accepts_arguments(command: Command) -> Iterator[Finding]:
    """The command takes the options by which Fractal hands it its two files.

    Fractal adds them to every command, in this order and form. What counts is what
    the process does, not what its help says.
    """
    probe, finished = command.probe, command.probe.first.finished
    flag, option = command.part.task.generation.flags
    expected = f"a command that takes `{flag} ARGS.json {option} OUT.json`"
    if probe.refuses_output_option:
        yield _finding(
            command,
            expected,
            f"it takes {flag}, but refuses {option}: {_said(command)}",
            f"declare the option {option} too, with one value: the path to write the output to",
        )
    elif probe.refuses_options:
        manner = probe.reading_manner
        takes = f"; it does read its arguments when given as `{manner.words}`" if manner else ""
        yield _finding(
            command,
            expected,
            f"{finished.ending}, its arguments unread{takes}: {_said(command)}",
            f"declare the options {flag} and {option}, each with a path as its value; argparse: "
            f'parser.add_argument("{flag}", required=True) and '
            f'parser.add_argument("{option}", required=True)',
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

    All that a task is told stands in that file. Seen on the file itself: a command
    that only asks whether the file exists does not pass.
    """
    probe, finished = command.probe, command.probe.first.finished
    flag, _ = command.part.task.generation.flags
    if not probe.reads:
        said = f": {_said(command)}" if finished.returncode and not finished.timed_out else ""
        yield _finding(
            command,
            f"the file behind {flag} is read",
            f"{finished.ending}, and the file was not read{said}",
            f"open the path that follows {flag} and load it as JSON, before anything that may fail"
            if not finished.timed_out
            else "the command hangs before it looks at its arguments: see what it waits for",
        )


@rule(
    "FR304",
    "refuses-bad-arguments",
    severity=Severity.WARNING,
    needs=("FR303",),
    cite=(Source.SERVER_1, Source.SERVER_2),
    fix="Let the exception through: an exit status above 0 is how Fractal learns of an error.",
    example='args.get("sigma") for a required argument: without it the task goes on.',
)
def refuses_bad_arguments(command: Command) -> Iterator[Finding]:
    """Arguments that are not JSON, lack a required one or hold an unknown one are refused.

    Fractal knows of a mistake only by the exit status. A task that goes on with wrong
    arguments reports success, and the user finds no result, or the wrong one.
    """
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
        "unknown": "call the function with **args, or validate them with pydantic: "
        "unknown names are then refused",
    }
    for case in command.probe.cases:
        finished = case.start.finished
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
        yield _finding(command, expected, found, hints[case.kind])


def _finding(
    command: Command, expected: str, found: str, hint: str, crash: Crash | None = None
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
    )


def _said(command: Command) -> str:
    return _readable(command, command.probe.first.output_tail) or "it says nothing"


def _readable(command: Command, text: str) -> str:
    """A text without the places of this one run."""
    first = command.probe.first
    names = {first.arguments_file: "ARGS.json", first.output_file: "OUT.json"}
    if command.installation is not None:
        names[f"{command.installation.environment.site_packages}/"] = ""
    for path, name in names.items():
        text = text.replace(path, name)
    return text


def _told(command: Command, found: str, crash: Crash | None) -> str:
    found = _readable(command, found)
    if crash is None or not crash.frames:
        return found
    # Where it happened in what was installed says more than where in the interpreter's own files.
    installed = [frame for frame in crash.frames if "site-packages/" in frame.file]
    frame = (installed or crash.frames)[-1]
    file = frame.file.rpartition("site-packages/")[2]
    return f"{found} ({file}, line {frame.line})"


def _hint_for_end(crash: Crash | None) -> str:
    in_os = ("/os.py", "<frozen os>")
    if (
        crash is not None
        and crash.type == "KeyError"
        and crash.frames
        and crash.frames[-1].file.endswith(in_os)
    ):
        return (
            f"the environment variable {crash.message} need not be set where Fractal runs the "
            "task: read it with os.environ.get() and a default"
        )
    return (
        "it ends like this before it reads its arguments file, whatever the options: see what "
        "ends it"
    )


def _hint_for_import(command: Command, crash: Crash | None, module: str | None) -> str:
    installation = command.installation
    if crash is not None and crash.type in ("SyntaxError", "IndentationError", "TabError"):
        if installation is None:
            return "fix the syntax, or name another interpreter in the command"
        version = installation.environment.interpreter.version
        return f"fix the syntax for Python {version}, or raise requires-python"
    hidden = re.search(r"'([\w.]+)' is not a package", crash.message if crash else "")
    if hidden is not None and hidden[1] == Path(command.part.script).stem:
        return f"{command.part.script} hides the module {hidden[1]!r} that it imports: rename it"
    if module is not None:
        if installation is None:
            return f"install the module {module!r} for the interpreter that the command names"
        return _hint_for_module(installation, module.partition(".")[0], module)
    circle = re.search(r"partially initialized module '([\w.]+)'", crash.message if crash else "")
    if circle is not None:
        return (
            f"{circle[1]!r} is imported while it is being imported: is one of your files named "
            "like a module that it needs? Else the imports go in a circle"
        )
    drifted = _drifted(installation, crash) if installation and crash else None
    if drifted is not None:
        return drifted
    if crash is not None and "attempted relative import" in crash.message:
        package = installation.wheel.package if installation else "your_package"
        return (
            "Fractal runs the file as a script: name the package in its imports, such as "
            f"`from {package}.module import ...` for `from .module import ...`"
        )
    return "fix the exception: it is raised while the script imports what it needs"


IMPORT_NAMES: Final = {
    "attr": ("attrs",),
    "bs4": ("beautifulsoup4",),
    "cv2": (
        "opencv-python",
        "opencv-python-headless",
        "opencv-contrib-python",
        "opencv-contrib-python-headless",
    ),
    "dateutil": ("python-dateutil",),
    "fitz": ("pymupdf",),
    "PIL": ("pillow",),
    "ruamel": ("ruamel-yaml",),
    "skimage": ("scikit-image",),
    "sklearn": ("scikit-learn",),
    "yaml": ("pyyaml",),
}
"""Modules of the field whose distributions have other names, the usual one first."""


def _hint_for_module(installation: Installation, module: str, whole: str) -> str:
    wheel, asked = installation.wheel, installation.extras
    if module == wheel.package:
        return (
            f"{whole!r} is a module of the package itself that is not in the wheel: see that the "
            "build takes it along (a folder without __init__.py?)"
        )
    distributions = IMPORT_NAMES.get(module, (canonicalize_name(module),))
    for requirement in wheel.requirements:
        if canonicalize_name(requirement.name) not in distributions or requirement.marker is None:
            continue
        for extra in wheel.extras:
            if extra not in asked and requirement.marker.evaluate({"extra": extra}):
                return (
                    f"the extra [{extra}] brings {requirement.name}: ask for it, --fractal-package"
                    f"=...[{extra}], and tell users to collect the package with it; "
                    f"or move {requirement.name} to the dependencies"
                )
    if whole != module and canonicalize_name(module) in installation.versions:
        version = installation.versions[canonicalize_name(module)]
        return f"{module} {version} is installed and has no module {whole!r}: limit its version"
    others = [extra for extra in wheel.extras if extra not in asked]
    maybe = (
        f", or ask for the extra that brings it (there is {', '.join(others)})" if others else ""
    )
    if module in IMPORT_NAMES:
        brings = f"{distributions[0]}, which brings the module {module!r}"
        return f"add {brings}, to the dependencies{maybe}"
    return f"add the distribution that brings the module {module!r} to the dependencies{maybe}"


def _drifted(installation: Installation, crash: Crash) -> str | None:
    """Names the two packages that do not fit together, where the traceback tells."""
    if says := re.match(r"([\w.-]+) requires ([\w.-]+) ", crash.message):
        both = [canonicalize_name(name) for name in says.groups()]
        if all(name in installation.versions for name in both):
            one, other = (f"{name} {installation.versions[name]}" for name in both)
            return _does_not_fit(one, other)
    importing = next(
        (name for frame in reversed(crash.frames) if (name := _top_module(frame.file))), None
    )
    imported = re.search(r"from '([\w.]+)'|module '([\w.]+)' has no", crash.message)
    if importing is None or imported is None:
        return None
    other = (imported[1] or imported[2]).partition(".")[0]
    if other == installation.wheel.package:
        return f"{imported[1] or imported[2]} is a module of the package itself: fix the import"
    if other in sys.stdlib_module_names:
        version = installation.environment.interpreter.version
        return (
            f"{_installed(installation, importing)} does not fit to Python {version}: limit its "
            "version or requires-python, or fix the line if it is yours"
        )
    names = [_installed(installation, module) for module in (importing, other)]
    if importing == other:
        return f"{names[0]} cannot be imported: limit its version in the dependencies"
    return _does_not_fit(*names)


def _does_not_fit(one: str, other: str) -> str:
    return (
        f"{one} does not fit to {other}: limit the version of one of them in the "
        "dependencies, or pin it (--fractal-pin) to see which works"
    )


def _top_module(file: str) -> str | None:
    _, found, path = file.rpartition("site-packages/")
    return Path(path).parts[0].removesuffix(".py") if found else None


def _installed(installation: Installation, module: str) -> str:
    for name in IMPORT_NAMES.get(module, (canonicalize_name(module),)):
        if version := installation.versions.get(canonicalize_name(name)):
            return f"{name} {version}"
    return json.dumps(module)
