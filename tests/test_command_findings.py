"""FR3: what is said of a command by how its starts have ended, judged without starting any."""

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
    always,
    command,
    crashed,
    installation_of,
    start,
)
from wheel_factory import TASK_SOURCE

from pytest_fractal.candidate.custom_tasks import CustomTasks
from pytest_fractal.facts import Command
from pytest_fractal.fixes.lines import apply_lines
from pytest_fractal.fixes.model import FileFix
from pytest_fractal.package_spec import parse_task
from pytest_fractal.processes.commands import ARGUMENTS, OUTPUT, Start
from pytest_fractal.processes.executors import LocalExecutor
from pytest_fractal.processes.probing import UNKNOWN, Case, Probe, Refusals
from pytest_fractal.rules import REGISTRY, Note
from pytest_fractal.rules.start_hints import advice_for_import
from pytest_fractal.settings import Settings
from pytest_fractal.verdicts import Finding, NotApplicable, Severity

MAIN = (SCRIPT, 3, "<module>")
NUMPY = (f"{SITE}/numpy/core.py", 9, "<module>")
OS = ("/usr/lib/python3.11/os.py", 7, "__getitem__")


def findings(code: str, *facts: object) -> list[Finding]:
    return [found for found in REGISTRY[code].judge(*facts) if isinstance(found, Finding)]


def notes(code: str, *facts: object) -> list[str]:
    return [str(found) for found in REGISTRY[code].judge(*facts) if isinstance(found, Note)]


def edited(found: Finding, path: str) -> FileFix:
    """What a fix changes, which is this one file."""
    assert found.fix is not None
    (file,) = found.fix.files
    assert file.file == path
    return file


def no_module(name: str, *frames: tuple[str, int, str]) -> str:
    return crashed(f"ModuleNotFoundError: No module named '{name}'", MAIN, *frames)


# --- FR301 ------------------------------------------------------------------------------

STARTS = "a program that can be started"
IMPORTS = "a script that imports what it needs"
GETS_FAR = "a script that gets as far as its arguments"
ADD_CELLPOSE = "add the distribution that brings the module 'cellpose' to the dependencies"
WHATEVER = (
    "it ends like this before it reads its arguments file, whatever the options: see what ends it"
)


@pytest.mark.parametrize(
    ("first", "told", "line"),
    [
        (
            start(126, f"bash: {RUN}/args.json {RUN}/out.json {RUN}/x {SCRIPT}: no interpreter"),
            (
                STARTS,
                "bash: ARGS.json OUT.json x demo/task.py: no interpreter",
                "see that the interpreter is there, and that the file may be executed",
            ),
            None,
        ),
        (
            start(127),
            (
                STARTS,
                "it says nothing",
                "see that the interpreter is there, and that the file may be executed",
            ),
            None,
        ),
        (
            start(-11),
            (
                "a script that starts",
                "killed by signal SIGSEGV",
                "a compiled dependency crashes while it is imported: run the script with "
                "`python -X faulthandler` to see which",
            ),
            None,
        ),
        (
            start(1, no_module("cellpose")),
            (
                IMPORTS,
                "ModuleNotFoundError: No module named 'cellpose' (demo/task.py, line 3)",
                ADD_CELLPOSE,
            ),
            3,
        ),
        (
            start(1, "Error in library: No module named cellpose"),
            (IMPORTS, "Error in library: No module named cellpose", ADD_CELLPOSE),
            None,
        ),
        (
            start(1, crashed("OSError: no library\nsecond", MAIN, NUMPY)),
            (
                IMPORTS,
                "OSError: no library (numpy/core.py, line 9)",
                "fix the exception: it is raised while the script imports what it needs",
            ),
            3,
        ),
        (
            start(1, crashed("ValueError: no\nsecond", MAIN, (SCRIPT, 7, "main"))),
            (GETS_FAR, "ValueError: no (demo/task.py, line 7)", WHATEVER),
            7,
        ),
        (
            start(1, crashed("ValueError: no", ("/elsewhere.py", 5, "<module>"))),
            (GETS_FAR, "ValueError: no (/elsewhere.py, line 5)", WHATEVER),
            None,
        ),
        (
            start(1, crashed("KeyError: 'DATA'", MAIN, OS)),
            (
                GETS_FAR,
                "KeyError: 'DATA' (demo/task.py, line 3)",
                "the environment variable 'DATA' need not be set where Fractal runs the task: "
                "read it with os.environ.get() and a default",
            ),
            3,
        ),
        (start(1, crashed("KeyError: 'DATA'", MAIN)), None, 3),
        (start(1, crashed("OSError: 'DATA'", MAIN, OS)), None, 3),
        (start(3), (GETS_FAR, "exit status 3: it says nothing", WHATEVER), None),
        (
            start(3, stdout="out of luck\n"),
            (GETS_FAR, "exit status 3: out of luck", WHATEVER),
            None,
        ),
        (
            start(1, f'  File "{SCRIPT}", line 7\n    x\nSyntaxError: invalid syntax\n'),
            (
                IMPORTS,
                "SyntaxError: invalid syntax (demo/task.py, line 7)",
                "fix the syntax for Python 3.11.7, or raise requires-python",
            ),
            7,
        ),
    ],
)
def test_a_command_that_does_not_start(
    tmp_path: Path, first: Start, told: tuple[str, str, str] | None, line: int | None
) -> None:
    judged, _ = command(tmp_path, first, always(first))
    (found,) = findings("FR301", judged)
    if told is None:
        assert found.hint == WHATEVER
    else:
        assert (found.expected, found.found, found.hint) == told
    assert (found.file, found.line, found.task) == ("demo/task.py", line, "demo_task")
    assert (found.severity, found.fix) == (None, None)


@pytest.mark.parametrize(
    ("status", "stderr", "is_broken"),
    [
        (0, "", False),
        (1, no_module("cellpose", (SCRIPT, 7, "main")), True),
        (1, crashed("ImportError: please install x\nmore", MAIN), True),
        (1, crashed("ModuleNotFoundError: No module named 'x'\nand went on", MAIN), False),
        (1, crashed("ImportError: cannot import name 'x' from 'y'\nand went on", MAIN), False),
        (1, crashed("ImportError: x", ("<string>", 1, "<module>")), False),
        (1, crashed("ImportError: x", ("<stdin>", 1, "<module>")), False),
        (1, crashed("ImportError: x"), True),
        (1, crashed("ValueError: x", MAIN, (f"{SITE}/a.py", 9, "<module>")), False),
        (1, "No module named 'cellpose'", False),
        (126, "", False),
        (127, "", False),
        (-11, "", False),
    ],
)
def test_what_has_read_its_arguments_has_started_unless_it_cannot_import(
    tmp_path: Path, status: int, stderr: str, is_broken: bool
) -> None:
    judged, _ = command(tmp_path, start(status, stderr, read=True))
    assert [found.expected for found in findings("FR301", judged)] == [IMPORTS] * is_broken


def test_what_hangs_or_says_nothing_of_options_may_have_started(tmp_path: Path) -> None:
    late, _ = command(tmp_path / "1", start(-9, timed_out=True))
    assert findings("FR301", late) == []
    other = start(2, "usage: task.py")
    usage, _ = command(tmp_path / "2", other, always(other))
    assert findings("FR301", usage) == []
    quiet = start(0, "No module named 'cellpose'")
    done, _ = command(tmp_path / "3", quiet, always(quiet))
    assert findings("FR301", done) == []


def custom(folder: Path, line: str, first: Start, **misplaced: str) -> Command:
    """A command of a task outside any package."""
    task = '{"name": "Demo", "command": "python3 tasks/demo.py", "source": "s:1"}'
    (folder / "demo.json").write_text(task)
    spec = parse_task("demo.json", folder)
    (entry,) = CustomTasks(spec, Settings(), folder / "facts", LocalExecutor(1)).tasks
    (part,) = entry.run_parts
    probe = Probe(entry.generation.flags, first, bool(first.read))
    return Command(part, tuple(line.split()), probe, None, misplaced)


def test_a_relative_path_of_a_custom_task_is_given_as_an_absolute_one(tmp_path: Path) -> None:
    place = {"tasks/demo.py": "/home/me/my tasks/demo.py"}
    judged = custom(tmp_path, "python3 tasks/demo.py", start(2, "no such file"), **place)
    (found,) = findings("FR301", judged)
    assert found.expected == "absolute paths in a command, since it runs in a folder of its own"
    assert found.found == "tasks/demo.py: no such file"
    assert found.hint == (
        "write the absolute path; a file of that name lies at /home/me/my tasks/demo.py: "
        '"command": "python3 \'/home/me/my tasks/demo.py\'"'
    )
    assert (found.pointer, found.task) == ("/command", "demo")
    for harmless in (start(0), start(2, read=True)):
        judged = custom(tmp_path, "python3 tasks/demo.py", harmless, **place)
        assert findings("FR301", judged) == []


# --- what to do about an import ---------------------------------------------------------


def advice(
    folder: Path, exception: str, *frames: tuple[str, int, str], **installation: Any
) -> str:
    """The fix for a script that ends in this exception while it imports."""
    first = start(1, crashed(exception, MAIN, *frames))
    judged, _ = command(folder, first, always(first), **installation)
    (found,) = findings("FR301", judged)
    assert found.expected == IMPORTS
    return found.hint


def module(name: str) -> str:
    return f"ModuleNotFoundError: No module named '{name}'"


LINES = {"": "pyproject.toml, line 6", "numpy": "pyproject.toml, line 7"}


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        (
            "demo.tools",
            {},
            "'demo.tools' is a module of the package itself that is not in the wheel: see that "
            "the build takes it along (a folder without __init__.py?)",
        ),
        (
            "pkg_resources",
            {},
            'add "setuptools<82" to the dependencies, the last with pkg_resources, for a '
            "server's environment has the newest setuptools or none; or take importlib.metadata "
            "and importlib.resources instead, or a release that does",
        ),
        (
            "cellpose.models",
            {"dependency_lines": LINES},
            "add the distribution that brings the module 'cellpose' to the dependencies "
            "(pyproject.toml, line 6)",
        ),
        (
            "skimage",
            {"dependency_lines": LINES},
            "add scikit-image, which brings the module 'skimage', to the dependencies "
            "(pyproject.toml, line 6)",
        ),
        (
            "numpy.old",
            {"versions": {"numpy": "2.0"}, "dependency_lines": LINES},
            "numpy 2.0 is installed and has no module 'numpy.old': limit its version "
            "(pyproject.toml, line 7)",
        ),
        (
            "numpy",
            {"versions": {"numpy": "2.0"}},
            "add the distribution that brings the module 'numpy' to the dependencies",
        ),
        (
            "cellpose",
            {"metadata": "Provides-Extra: gpu\nRequires-Dist: cellpose; extra == 'gpu'"},
            "the extra [gpu] brings cellpose: ask for it, --fractal-package=...[gpu], and tell "
            "users to collect the package with it; or move cellpose to the dependencies",
        ),
        (
            "torch",
            {
                "metadata": "Provides-Extra: gpu\nProvides-Extra: all\n"
                "Requires-Dist: numpy\nRequires-Dist: cellpose; extra == 'gpu'"
            },
            "add the distribution that brings the module 'torch' to the dependencies, or ask for "
            "the extra that brings it (there is gpu, all)",
        ),
        (
            "yaml",
            {"metadata": "Provides-Extra: gpu"},
            "add pyyaml, which brings the module 'yaml', to the dependencies, or ask for "
            "the extra that brings it (there is gpu)",
        ),
        (
            "cellpose",
            {
                "metadata": "Provides-Extra: gpu\nRequires-Dist: cellpose; extra == 'gpu'\n"
                "Requires-Dist: cellpose; python_version < '3'",
                "extras": ("gpu",),
            },
            ADD_CELLPOSE,
        ),
    ],
)
def test_a_module_that_is_missing(
    tmp_path: Path, name: str, known: dict[str, Any], expected: str
) -> None:
    assert advice(tmp_path, module(name), **known) == expected


@pytest.mark.parametrize(
    ("name", "metadata", "requires"),
    [
        ("skimage", "", ("scikit-image",)),
        ("skimage", "Provides-Extra: gpu", None),
        ("cellpose", "", None),
    ],
)
def test_a_distribution_that_is_known_for_sure_is_added_by_the_fix(
    tmp_path: Path, name: str, metadata: str, requires: tuple[str, ...] | None
) -> None:
    first = start(1, no_module(name))
    judged, _ = command(tmp_path, first, always(first), metadata=metadata)
    (found,) = findings("FR301", judged)
    assert (found.fix.requires if found.fix else None) == requires


DRIFT = "--fractal-find-pins finds by trial which one works"


@pytest.mark.parametrize(
    ("exception", "frame", "known", "expected"),
    [
        (
            "ImportError: cannot import name 'x' from 'zarr.core' (/env/zarr.py)",
            NUMPY,
            {
                "versions": {"numpy": "2.0", "zarr": "3.1"},
                "requirements": {"demo": ("numpy<3", "numpy>=1", "nonsense ==", "zarr")},
                "dependency_lines": LINES,
            },
            "numpy 2.0 does not fit to zarr 3.1 (demo 1.0 asks for numpy<3): limit the version of "
            f"one of them in the dependencies (pyproject.toml, line 7); {DRIFT}",
        ),
        (
            "ImportError: cannot import name 'x' from 'zarr.core' (/env/zarr.py)",
            NUMPY,
            {
                "versions": {"numpy": "2.0", "zarr": "3.1", "other": "5"},
                "requirements": {
                    "demo": ("zarr~=3.1", "numpy!=2; extra == 'gpu'", "zarr>2"),
                    "other": ("zarr==3.*",),
                    "gone": ("zarr<=3; extra == 'gpu'",),
                },
            },
            "numpy 2.0 does not fit to zarr 3.1 (other 5 asks for zarr==3.*): limit the version "
            f"of one of them in the dependencies; {DRIFT}",
        ),
        (
            "AttributeError: module 'zarr' has no attribute 'open'",
            NUMPY,
            {"versions": {"numpy": "2.0"}},
            'numpy 2.0 does not fit to "zarr": limit the version of one of them in the '
            f"dependencies; {DRIFT}",
        ),
        (
            "AttributeError: module 'collections' has no attribute 'Mapping'",
            NUMPY,
            {"versions": {"numpy": "1.0"}},
            "numpy 1.0 does not fit to Python 3.11.7: limit its version or requires-python, or "
            "fix the line if it is yours",
        ),
        (
            "ImportError: cannot import name 'x' from 'numpy.core'",
            NUMPY,
            {"versions": {"numpy": "2.0"}, "dependency_lines": LINES},
            "numpy 2.0 cannot be imported: limit its version in the dependencies "
            "(pyproject.toml, line 7)",
        ),
        (
            "ImportError: cannot import name 'x' from 'demo.tools'",
            MAIN,
            {},
            "demo.tools is a module of the package itself: fix the import",
        ),
        (
            "ImportError: cannot import name 'x' from 'skimage.draw'",
            MAIN,
            {
                "versions": {"scikit-image": "0.25"},
                "requirements": {"demo": ("scikit-image<1",)},
                "dependency_lines": LINES,
            },
            "demo 1.0 does not fit to scikit-image 0.25 (demo 1.0 asks for scikit-image<1): "
            "change the import, or limit the version of scikit-image in the dependencies "
            "(pyproject.toml, line 6)",
        ),
        (
            "ImportError: Numba requires NumPy 2.1 or less. Got NumPy 2.2",
            NUMPY,
            {"versions": {"numba": "0.6", "numpy": "2.2"}},
            "numba 0.6 does not fit to numpy 2.2: limit the version of one of them in the "
            f"dependencies; {DRIFT}",
        ),
        (
            "ImportError: Numba requires NumPy 2.1 or less. Got NumPy 2.2",
            NUMPY,
            {"versions": {"numpy": "2.2"}},
            "fix the exception: it is raised while the script imports what it needs",
        ),
        (
            "AttributeError: partially initialized module 'demo.a' has no attribute 'x' (most "
            "likely due to a circular import)",
            NUMPY,
            {},
            "'demo.a' is imported while it is being imported: is one of your files named like a "
            "module that it needs? Else the imports go in a circle",
        ),
    ],
)
def test_modules_that_do_not_fit_together(
    tmp_path: Path,
    exception: str,
    frame: tuple[str, int, str],
    known: dict[str, Any],
    expected: str,
) -> None:
    assert advice(tmp_path, exception, frame, **known) == expected


@pytest.mark.parametrize(
    ("beside", "exception", "frames", "is_hidden"),
    [
        ("tasks/random.py", "ImportError: cannot import name 'x' from 'random'", (), True),
        ("tasks/numpy.py", "ImportError: cannot import name 'x' from 'numpy'", (), True),
        ("random.py", "ImportError: cannot import name 'x' from 'random'", (), False),
        ("tasks/random.txt", "ImportError: cannot import name 'x' from 'random'", (), False),
        ("tasks/tools.py", "ImportError: cannot import name 'x' from 'tools'", (), False),
        ("tasks/demo.py", "ModuleNotFoundError: 'demo.x': 'demo' is not a package", (), True),
        (
            "tasks/random.py",
            "OSError: x",
            (("/usr/lib/tempfile.py", 1, "<module>"), (f"{SITE}/demo/tasks/random.py", 1, "f")),
            True,
        ),
        (
            "tasks/random.py",
            "OSError: x",
            (("/usr/lib/random.py", 1, "<module>"), ("/usr/lib/x.py", 1, "f")),
            False,
        ),
    ],
)
def test_a_file_beside_the_script_that_takes_the_place_of_a_module(
    tmp_path: Path,
    beside: str,
    exception: str,
    frames: Sequence[tuple[str, int, str]],
    is_hidden: bool,
) -> None:
    name = Path(beside).stem
    files = {"__init__.py": "", beside: "", "tasks/task.py": TASK_SOURCE}
    known = {"files": files, "versions": {"numpy": "2.0"}}
    told = advice(tmp_path, exception, *(frames or [NUMPY]), executable="tasks/task.py", **known)
    assert told.startswith(f"demo/{beside} takes the place of") is is_hidden
    if is_hidden:
        assert told == (
            f"demo/{beside} takes the place of the module '{name}' that is imported, since "
            "Python looks in the folder of the script first: rename that file"
        )


def test_a_script_with_relative_imports_gets_the_packages_name(tmp_path: Path) -> None:
    source = "from . import a\nfrom .b.c import (\n    d,\n)\nfrom .. import e\nimport json\n"
    files = {"__init__.py": "", "tasks/task.py": source}
    first = start(1, crashed("ImportError: attempted relative import with no known parent", MAIN))
    judged, _ = command(tmp_path, first, always(first), files=files, executable="tasks/task.py")
    (found,) = findings("FR301", judged)
    assert found.hint == (
        "Fractal runs the file as a script: name the package in its imports, such as "
        "`from demo.module import ...` for `from .module import ...`"
    )
    file = edited(found, "demo/tasks/task.py")
    assert [(edit.removed, edit.added) for edit in file.lines] == [
        (
            ("from . import a", "from .b.c import ("),
            ("from demo.tasks import a", "from demo.tasks.b.c import ("),
        ),
        (("from .. import e",), ("from demo import e",)),
    ]


def test_without_an_installation_the_advice_names_the_interpreter(tmp_path: Path) -> None:
    def told(exception: str, missing: str | None = None) -> str:
        judged = custom(tmp_path, "python3 demo.py", start(1, crashed(exception, MAIN)))
        crash = judged.probe.first.crash
        return advice_for_import(judged, crash, missing).text

    assert told("IndentationError: x") == (
        "fix the syntax, or name another interpreter in the command"
    )
    assert told("ModuleNotFoundError: x", "numpy") == (
        "install the module 'numpy' for the interpreter of the command"
    )
    assert "`from your_package.module import" in told("ImportError: attempted relative import")


# --- FR302 ------------------------------------------------------------------------------

EXPECTED = "a command that takes `-j ARGS.json --metadata-out OUT.json`"
REFUSED = start(2, "error: unrecognized arguments: -j")


def options_told(folder: Path, *attempts: Any, first: Start = REFUSED, **more: Any) -> Finding:
    (found,) = findings("FR302", *command(folder, first, attempts, **more))
    assert found.expected == EXPECTED
    assert (found.file, found.line) == ("demo/task.py", None)
    return found


def test_an_output_option_that_is_refused(tmp_path: Path) -> None:
    first = start(2, f"no such option: --metadata-out {RUN}/out.json")
    found = options_told(tmp_path, (("-j", ARGUMENTS), start(0, read=True)), first=first)
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


def test_another_way_that_is_taken_is_told_with_the_names_to_add(tmp_path: Path) -> None:
    files = {"__init__.py": "", "task.py": with_options('"--args-json"', '"--out-json"')}
    found = options_told(tmp_path, (OTHERS, start(0, read=True)), files=files)
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
    found = options_told(tmp_path, (way, start(0, read=True)), files=files)
    assert found.hint == "give the option --out the name --metadata-out too (demo/task.py:15)"


def test_a_name_that_another_option_has_is_named(tmp_path: Path) -> None:
    taken = 'parser.add_argument("-j", "--jobs")\n    parser.add_argument("--args-json"'
    source = TASK_SOURCE.replace('parser.add_argument("-j", "--json"', taken)
    source = source.replace("--metadata-out", "--out-json")
    files = {"__init__.py": "", "task.py": source}
    found = options_told(tmp_path, (OTHERS, start(0, read=True)), files=files)
    assert found.hint == (
        "take the name -j from the option that has it (demo/task.py:14), and then give the option "
        "--args-json the name -j and --out-json the name --metadata-out too"
    )
    assert found.fix is None


def test_options_that_are_declared_elsewhere_are_named(tmp_path: Path) -> None:
    files = {"__init__.py": "", "task.py": "import own_runner\n"}
    found = options_told(tmp_path / "1", (OTHERS, start(0, read=True)), files=files)
    assert found.hint == (
        "take -j for --args-json and --metadata-out for --out-json, in whatever the script leaves "
        "its options to"
    )
    written = {**files, "task.py": "read('--args-json')\n", "b.txt": "'--args-json'"}
    found = options_told(tmp_path / "2", (OTHERS, start(0, read=True)), files=written)
    assert found.hint == (
        "take -j for --args-json and --metadata-out for --out-json (demo/task.py:1)"
    )


def test_options_that_argparse_asks_for_are_known_by_its_words(tmp_path: Path) -> None:
    def told(folder: str, *required: str) -> str:
        asked = f"the following arguments are required: {', '.join(required)}"
        first = start(2, f"usage: x\ntask.py: error: {asked}\n")
        refused = [(IMPOSSIBLE_FIRST, first), (IMPOSSIBLE_SECOND, first)]
        return options_told(tmp_path / folder, *refused, first=first).hint

    assert told("1", "-i/--input", "--output").startswith(
        "take -j for --input and --metadata-out for --output"
    )
    assert told("2", "--result", "--input").startswith(
        "take -j for --input and --metadata-out for --result"
    )
    declare = (
        "declare the options -j and --metadata-out, each with a path as its value; argparse: "
        'parser.add_argument("-j", required=True) and '
        'parser.add_argument("--metadata-out", required=True)'
    )
    assert told("3", "--input") == declare
    assert told("4", "--output", "--out") == declare
    assert told("5", "input", "--output") == declare
    assert told("6", "--input", "--output", "--more") == declare
    assert options_told(tmp_path / "7", ((ARGUMENTS,), start(0, read=True))).hint == declare
    positional = ((ARGUMENTS, OUTPUT), start(0, read=True))
    assert options_told(tmp_path / "8", positional).hint == declare


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
    (told,) = findings("FR303", judged)
    assert (told.expected, told.found, told.hint, told.fix) == (READ, found, hint, None)


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
def test_of_a_call_that_hands_arguments_on_mistakes_of_code_are_told(
    tmp_path: Path, exception: str, is_broken: bool
) -> None:
    """Not where the exception names one of the arguments."""
    judged, refusals = always_ends(
        tmp_path, exception, MAIN, (f"{SITE}/runner.py", 9, "main"), schema=None
    )
    files = {"__init__.py": "", "task.py": CALL}
    judged, _ = command(tmp_path, judged.probe.first, files=files)
    told = findings("FR305", judged, refusals)
    assert [found.expected for found in told] == [SAME] * is_broken
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


@pytest.mark.parametrize(
    ("exception", "fix"),
    [
        (
            "AttributeError: module 'logging' has no attribute 'getLogger'",
            "demo/tasks/logging.py takes the place of the module 'logging' that is imported, "
            "since Python looks in the folder of the script first: rename that file",
        ),
        (
            f"FileNotFoundError: [Errno 2] No such file or directory: '{SITE}/demo/cfg/m.yaml'",
            "the wheel does not hold demo/cfg/m.yaml: let the build pack it, as it packs the "
            "manifest",
        ),
        (
            f"FileNotFoundError: [Errno 2] No such file or directory: '{SITE}/demo/__init__.py'",
            WHATEVER,
        ),
        ("FileNotFoundError: [Errno 2] No such file or directory: '/data/demo/x'", WHATEVER),
    ],
)
def test_what_ends_a_script_before_its_arguments(tmp_path: Path, exception: str, fix: str) -> None:
    files = {"__init__.py": "", "tasks/logging.py": "", "tasks/task.py": TASK_SOURCE}
    frame = (f"{SITE}/demo/tasks/task.py", 2, "<module>")
    first = start(1, crashed(exception, frame))
    judged, _ = command(tmp_path, first, always(first), files=files, executable="tasks/task.py")
    (found,) = findings("FR301", judged)
    assert (found.expected, found.hint) == (GETS_FAR, fix)


@pytest.mark.parametrize(
    ("asked", "fix"),
    [
        (
            "demo_tasks",
            "the project is called 'demo': ask importlib.metadata for that name, not 'demo_tasks'",
        ),
        (
            "other",
            "no distribution 'other' is installed: add it to the dependencies, or ask for the "
            "project's own name, 'demo'",
        ),
    ],
)
def test_metadata_of_a_distribution_that_is_not_there(
    tmp_path: Path, asked: str, fix: str
) -> None:
    said = f"PackageNotFoundError: No package metadata was found for {asked}"
    assert advice(tmp_path, said, NUMPY) == fix
