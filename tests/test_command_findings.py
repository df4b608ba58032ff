"""FR302 to FR305: what is said of a command by how its starts have ended; none is started."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from given_commands import (
    IMPOSSIBLE_FIRST,
    IMPOSSIBLE_SECOND,
    RUN,
    SCRIPT,
    SITE,
    command,
    crashed,
    edited,
    findings,
    installation_of,
    notes,
    start,
)
from wheel_factory import TASK_SOURCE

from pytest_fractal.facts import Command
from pytest_fractal.fixes.lines import apply_lines
from pytest_fractal.processes.commands import ARGUMENTS, OUTPUT, Start
from pytest_fractal.processes.probing import UNKNOWN, Case, Refusals
from pytest_fractal.rules import REGISTRY
from pytest_fractal.verdicts import Finding, NotApplicable, Severity

MAIN = (SCRIPT, 3, "<module>")
OS = ("/usr/lib/python3.11/os.py", 7, "__getitem__")


# --- FR302 ------------------------------------------------------------------------------

EXPECTED = "a command that takes `-j ARGS.json --metadata-out OUT.json`"
REFUSED = start(2, "error: unrecognized arguments: -j")


def options_reported(folder: Path, *attempts: Any, first: Start = REFUSED, **more: Any) -> Finding:
    (found,) = findings("FR302", *command(folder, first, attempts, **more))
    assert found.expected == EXPECTED
    assert (found.file, found.line) == ("demo/task.py", None)
    return found


def test_an_output_option_that_is_refused(tmp_path: Path) -> None:
    first = start(2, f"no such option: --metadata-out {RUN}/out.json")
    found = options_reported(tmp_path, (("-j", ARGUMENTS), start(0, read=True)), first=first)
    assert found.found == (
        "it takes -j, but refuses --metadata-out: no such option: --metadata-out OUT.json"
    )
    assert found.hint == (
        "declare the option --metadata-out too, with one value: the path to write the output to"
    )


def with_options(first: str, second: str) -> str:
    source = TASK_SOURCE.replace('"-j", "--json"', f'{first}, dest="json"')
    return source.replace('"--metadata-out"', f'{second}, dest="metadata_out"')


OTHERS = ("--args-json", ARGUMENTS, "--out-json", OUTPUT)


def test_another_way_that_is_taken_is_reported_with_the_names_to_add(tmp_path: Path) -> None:
    files = {"__init__.py": "", "task.py": with_options('"--args-json"', '"--out-json"')}
    found = options_reported(tmp_path, (OTHERS, start(0, read=True)), files=files)
    assert found.found == (
        "exit status 2, its arguments unread; it does read its arguments when given as "
        "`--args-json ARGS.json --out-json OUT.json`: error: unrecognized arguments: -j"
    )
    assert found.hint == (
        "give the option --args-json the name -j and --out-json the name --metadata-out too "
        "(demo/task.py:14, demo/task.py:15)"
    )
    file = edited(found, "demo/task.py")
    assert [edit.added for edit in file.lines] == [
        (
            '    parser.add_argument("--args-json", "-j", dest="json", required=True)',
            '    parser.add_argument("--out-json", "--metadata-out", dest="metadata_out", '
            "required=True)",
        )
    ]


def test_only_the_name_that_differs_is_added(tmp_path: Path) -> None:
    way = ("-j", ARGUMENTS, "--out", OUTPUT)
    files = {"__init__.py": "", "task.py": with_options('"-j"', '"--out"')}
    found = options_reported(tmp_path, (way, start(0, read=True)), files=files)
    assert found.hint == "give the option --out the name --metadata-out too (demo/task.py:15)"


def test_a_name_that_another_option_has_is_named(tmp_path: Path) -> None:
    taken = 'parser.add_argument("-j", "--jobs")\n    parser.add_argument("--args-json"'
    source = TASK_SOURCE.replace('parser.add_argument("-j", "--json"', taken)
    source = source.replace("--metadata-out", "--out-json")
    files = {"__init__.py": "", "task.py": source}
    found = options_reported(tmp_path, (OTHERS, start(0, read=True)), files=files)
    assert found.hint == (
        "take the name -j from the option that has it (demo/task.py:14), and then give the option "
        "--args-json the name -j and --out-json the name --metadata-out too"
    )
    assert found.fix is None


def test_options_that_are_declared_elsewhere_are_named(tmp_path: Path) -> None:
    files = {"__init__.py": "", "task.py": "import own_runner\n"}
    found = options_reported(tmp_path / "1", (OTHERS, start(0, read=True)), files=files)
    assert found.hint == (
        "take -j for --args-json and --metadata-out for --out-json, in whatever the script leaves "
        "its options to"
    )
    written = {**files, "task.py": "read('--args-json')\n", "b.txt": "'--args-json'"}
    found = options_reported(tmp_path / "2", (OTHERS, start(0, read=True)), files=written)
    assert found.hint == (
        "take -j for --args-json and --metadata-out for --out-json (demo/task.py:1)"
    )


def test_options_that_argparse_asks_for_are_known_by_its_words(tmp_path: Path) -> None:
    def reported(folder: str, *required: str) -> str:
        asked = f"the following arguments are required: {', '.join(required)}"
        first = start(2, f"usage: x\ntask.py: error: {asked}\n")
        refused = [(IMPOSSIBLE_FIRST, first), (IMPOSSIBLE_SECOND, first)]
        return options_reported(tmp_path / folder, *refused, first=first).hint

    assert reported("1", "-i/--input", "--output").startswith(
        "take -j for --input and --metadata-out for --output"
    )
    assert reported("2", "--result", "--input").startswith(
        "take -j for --input and --metadata-out for --result"
    )
    declare = (
        "declare the options -j and --metadata-out, each with a path as its value; argparse: "
        'parser.add_argument("-j", required=True) and '
        'parser.add_argument("--metadata-out", required=True)'
    )
    assert reported("3", "--input") == declare
    assert reported("4", "--output", "--out") == declare
    assert reported("5", "input", "--output") == declare
    assert reported("6", "--input", "--output", "--more") == declare
    assert options_reported(tmp_path / "7", ((ARGUMENTS,), start(0, read=True))).hint == declare
    positional = ((ARGUMENTS, OUTPUT), start(0, read=True))
    assert options_reported(tmp_path / "8", positional).hint == declare


def test_a_command_that_takes_its_options_is_fine(tmp_path: Path) -> None:
    assert findings("FR302", *command(tmp_path, start(1, read=True))) == []


# --- FR303 ------------------------------------------------------------------------------

READ = "the file behind -j is read"
OPEN = "open the path that follows -j and load it as JSON, before anything that may fail"


@pytest.mark.parametrize(
    ("first", "found", "hint"),
    [
        (start(0), "exit status 0, and the file was not read", OPEN),
        (start(4, "oh"), "exit status 4, and the file was not read: oh", OPEN),
        (
            start(-9, "oh", timed_out=True),
            "no end within 3 s, and the file was not read",
            "the command hangs before it looks at its arguments: see what it waits for",
        ),
    ],
)
def test_a_file_that_is_not_read(tmp_path: Path, first: Start, found: str, hint: str) -> None:
    judged, _ = command(tmp_path, first)
    (reported,) = findings("FR303", judged)
    assert (reported.expected, reported.found, reported.hint, reported.fix) == (
        READ,
        found,
        hint,
        None,
    )


def test_a_file_that_is_read_is_fine(tmp_path: Path) -> None:
    judged, _ = command(tmp_path, start(1, read=True))
    assert findings("FR303", judged) == []


DEFINES = '"""A task."""\nimport json\n\nA = 1\nB: int = 2\n\n\n'
FUNCTION = (
    "def other(x):\n    return x\n\n\nasync def later():\n    pass\n\n\nclass C:\n    pass\n"
)
RUNS_NOTHING = "the script defines its functions and calls none of them: add to its end\n"


def hint_for_silence(folder: Path, source: str, name: str = "task.py", **more: Any) -> Finding:
    files = {"__init__.py": "", name: source}
    judged, _ = command(folder, start(0), files=files, executable=name, **more)
    (found,) = findings("FR303", judged)
    return found


def test_a_script_that_only_defines_gets_the_lines_that_run_its_task(tmp_path: Path) -> None:
    found = hint_for_silence(tmp_path, DEFINES + FUNCTION)
    block = [
        'if __name__ == "__main__":',
        "    import argparse",
        "    import json",
        "",
        "    parser = argparse.ArgumentParser()",
        '    parser.add_argument("-j", dest="arguments", required=True)',
        '    parser.add_argument("--metadata-out", dest="output", required=True)',
        "    paths = parser.parse_args()",
        "    with open(paths.arguments) as file:",
        "        output = other(**json.load(file))",
        '    with open(paths.output, "w") as file:',
        "        json.dump(output, file)",
    ]
    indented = [f"    {line}" if line else "" for line in block]
    assert found.hint == RUNS_NOTHING + "\n".join(indented) + "\n"
    file = edited(found, "demo/task.py")
    source = DEFINES + FUNCTION
    assert apply_lines(source, file.lines) == source + "\n\n" + "\n".join(block) + "\n"


@pytest.mark.parametrize(
    ("generation", "metadata", "module"),
    [
        ("1", "fractal-tasks-core", "fractal_tasks_core.tasks._utils"),
        ("1", "Fractal_Tasks.Core[x]>=1", "fractal_tasks_core.tasks._utils"),
        ("2", "fractal-task-tools", "fractal_task_tools.task_wrapper"),
    ],
)
def test_a_runner_that_is_required_runs_the_task(
    tmp_path: Path, generation: str, metadata: str, module: str
) -> None:
    required = {"generation": generation, "metadata": f"Requires-Dist: {metadata}"}
    found = hint_for_silence(tmp_path, DEFINES + FUNCTION, **required)
    assert found.hint == RUNS_NOTHING + (
        '    if __name__ == "__main__":\n'
        f"        from {module} import run_fractal_task\n\n"
        "        run_fractal_task(task_function=other)\n"
    )


@pytest.mark.parametrize(
    ("source", "function", "is_there"),
    [
        ("def a(x):\n    pass\n\n\ndef task(y):\n    pass\n", "task", True),
        (
            "def a(x):\n    pass\n\n\ndef b(*, input_paths, output_path, metadata): pass\n",
            "b",
            True,
        ),
        ("def b(input_paths, output_path, *, metadata): pass\n", "b", True),
        ("def _a(x):\n    pass\n\n\ndef b(x):\n    pass\n", "b", True),
        ("def _a(x):\n    pass\n", "task", False),
        ("import json\n", "task", False),
    ],
)
def test_the_function_of_a_script_is_the_likeliest(
    tmp_path: Path, source: str, function: str, is_there: bool
) -> None:
    found = hint_for_silence(tmp_path, source)
    assert f"output = {function}(**json.load(file))" in found.hint
    assert (found.fix is not None) is is_there


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("main()\n", "task.py"),
        ("x = 1\nif x:\n    pass\n", "task.py"),
        ("def broken(:\n", "task.py"),
        ("x = 1\n", "task.sh"),
    ],
)
def test_a_script_that_does_more_gets_no_such_lines(
    tmp_path: Path, source: str, name: str
) -> None:
    found = hint_for_silence(tmp_path, source, name)
    assert (found.hint, found.fix) == (OPEN, None)


def test_a_script_that_only_defines_and_fails_gets_no_such_lines(tmp_path: Path) -> None:
    files = {"__init__.py": "", "task.py": FUNCTION}
    judged, _ = command(tmp_path, start(2), files=files)
    (found,) = findings("FR303", judged)
    assert found.hint == OPEN


# --- FR304 ------------------------------------------------------------------------------

HINTS = {
    "not-json": "do not catch the error of json.load, or end with sys.exit(1)",
    "lacking": "read required arguments as args[name], not args.get(name), or call the function "
    "with **args",
    "unknown": "call with **args a function that names all its parameters, without a **kwargs, or "
    'validate them by a model with extra="forbid": unknown names are then refused',
}
GIVEN = {
    "not-json": "a file that is not JSON",
    "lacking": "arguments without any required one (input_paths, output_path, metadata)",
    "unknown": f"an argument that the task does not know ({UNKNOWN})",
}


@pytest.mark.parametrize("kind", HINTS)
def test_what_is_accepted_that_should_be_refused(tmp_path: Path, kind: Any) -> None:
    judged, _ = command(tmp_path, start(1, read=True))
    case = Case(kind, start(0, read=True))
    (found,) = findings("FR304", judged, Refusals((case,)))
    assert (found.expected, found.found, found.hint) == (
        f"an exit status above 0 for {GIVEN[kind]}",
        "exit status 0",
        HINTS[kind],
    )
    assert findings("FR304", judged, Refusals((Case(kind, start(1, read=True)),))) == []
    late = start(-9, read=True, timed_out=True)
    (found,) = findings("FR304", judged, Refusals((Case(kind, late),)))
    assert found.found == "no end within 3 s"
    assert findings("FR304", judged, Refusals((Case(kind, late, real=True),))) == []


def test_what_the_first_start_lacked_is_named(tmp_path: Path) -> None:
    first = start(0, read=True)
    judged, _ = command(tmp_path, first, lacks=("a", "b"))
    (found,) = findings("FR304", judged, Refusals((Case("lacking", first),)))
    assert found.expected == "an exit status above 0 for arguments without a, b, which is required"


def test_an_unknown_argument_that_changes_nothing_goes_unnoticed(tmp_path: Path) -> None:
    judged, _ = command(tmp_path, start(1, read=True))
    end = start(1, crashed("ValueError: no plate", MAIN), read=True)
    (found,) = findings("FR304", judged, Refusals((Case("unknown", end, True, end),)))
    assert (found.expected, found.found) == (
        f"a refusal of {GIVEN['unknown']}",
        "it ends as it does without it: ValueError: no plate",
    )
    other = start(1, crashed("ValueError: no well", MAIN), read=True)
    assert findings("FR304", judged, Refusals((Case("unknown", end, True, other),))) == []


def test_what_ends_in_the_same_exception_anyhow_refuses_nothing(tmp_path: Path) -> None:
    judged, _ = command(tmp_path, start(1, read=True))
    end = start(1, crashed("ValueError: no plate", MAIN), read=True)
    with pytest.raises(NotApplicable, match="the same exception for good arguments too, see"):
        findings("FR304", judged, Refusals((Case("unknown", end),), (end,)))
    accepted = Case("unknown", start(0, read=True))
    assert len(findings("FR304", judged, Refusals((accepted,), (end,)))) == 1


# --- FR305 ------------------------------------------------------------------------------

SOURCE = "import json\n\nraise_it()\nfor_reading = json.load(open('x'))\n"
SAME = "an end that depends on the arguments"
FIX = "fix the exception: on the way to it the script does not look at its arguments"
MACHINE = "if that is only missing on this machine, ignore this; else let the task do without it"


def always_ends(
    folder: Path, exception: str, *frames: tuple[str, int, str], **more: Any
) -> tuple[Command, Refusals]:
    first = start(1, crashed(exception, *(frames or [MAIN])), read=True)
    files = {"__init__.py": "", "task.py": SOURCE}
    judged, _ = command(folder, first, files=files, **more)
    return judged, Refusals((), (first,))


@pytest.mark.parametrize(
    ("exception", "frames", "severity"),
    [
        ("TypeError: no annotation", (), None),
        ("ValueError: no such thing", (), None),
        ("FileNotFoundError: model", (), Severity.WARNING),
        ("ConnectionResetError: gone", (), Severity.WARNING),
        ("ReadTimeoutError: gone", (), None),
        ("CalledProcessError: x", (), Severity.WARNING),
        ("RuntimeError: no CUDA device", (), Severity.WARNING),
        ("RuntimeError: a licence is missing", (), Severity.WARNING),
        ("RuntimeError: tokenized", (), None),
        ("KeyError: 'HOME'", (MAIN, OS), Severity.WARNING),
        ("KeyError: 'HOME'", (MAIN, ("<frozen os>", 7, "__getitem__")), Severity.WARNING),
        ("KeyError: 'HOME'", (), None),
    ],
)
def test_an_exception_whatever_the_arguments(
    tmp_path: Path,
    exception: str,
    frames: Sequence[tuple[str, int, str]],
    severity: Severity | None,
) -> None:
    judged, refusals = always_ends(tmp_path, exception, *frames)
    (found,) = findings("FR305", judged, refusals)
    assert (found.expected, found.found) == (
        SAME,
        f"the same exception for no arguments, good and bad ones: {exception} "
        "(demo/task.py, line 3)",
    )
    assert (found.hint, found.severity) == (MACHINE if severity else FIX, severity)
    assert (found.file, found.line) == ("demo/task.py", 3)


CALL = "import json\n\nmain(json.load(open('x')))\n"


@pytest.mark.parametrize(
    ("exception", "is_broken"),
    [
        ("TypeError: it fits not", True),
        ("AttributeError: no x", True),
        ("ValueError: it fits not", False),
        ("TypeError: metadata fits not", False),
        ("TypeError: threshold fits not", False),
        (f"TypeError: {UNKNOWN}", False),
    ],
)
def test_of_a_call_that_hands_arguments_on_mistakes_of_code_are_reported(
    tmp_path: Path, exception: str, is_broken: bool
) -> None:
    """Not where the exception names one of the arguments."""
    judged, refusals = always_ends(
        tmp_path, exception, MAIN, (f"{SITE}/runner.py", 9, "main"), schema=None
    )
    files = {"__init__.py": "", "task.py": CALL}
    judged, _ = command(tmp_path, judged.probe.first, files=files)
    reported = findings("FR305", judged, refusals)
    assert [found.expected for found in reported] == [SAME] * is_broken
    if not is_broken:
        assert notes("FR305", judged, refusals) == [
            f"whatever it was given, it ended in {exception} (runner.py, line 9); whether other "
            "arguments would change that cannot be known: give the task a sample"
        ]


def test_without_its_source_an_exception_may_depend_on_arguments(tmp_path: Path) -> None:
    judged, refusals = always_ends(tmp_path, "TypeError: no annotation", installed=False)
    assert findings("FR305", judged, refusals) == []
    assert notes("FR305", judged, refusals) == [
        "whatever it was given, it ended in TypeError: no annotation (demo/task.py, line 3); "
        "whether other arguments would change that cannot be known: give the task a sample"
    ]


def test_commands_that_do_not_always_end_alike_are_fine(tmp_path: Path) -> None:
    judged, refusals = always_ends(tmp_path, "TypeError: no annotation")
    assert [*REGISTRY["FR305"].judge(judged, Refusals())] == []
    done, _ = command(tmp_path, start(0, read=True))
    assert findings("FR305", done, refusals) == []


def test_installations_are_given_as_they_are(tmp_path: Path) -> None:
    known = installation_of(tmp_path, versions={"numpy": "2.0"})
    assert known.versions == {"demo": "1.0", "numpy": "2.0"}
