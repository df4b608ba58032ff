"""FR301: what is said of a command that does not start, by how its starts have ended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from given_commands import (
    RUN,
    SCRIPT,
    SITE,
    always,
    command,
    crashed,
    edited,
    findings,
    start,
)
from wheel_factory import TASK_SOURCE

from pytest_fractal.candidate.custom_tasks import CustomTasks
from pytest_fractal.facts import Command
from pytest_fractal.package_spec import parse_task
from pytest_fractal.processes.commands import Start
from pytest_fractal.processes.executors import LocalExecutor
from pytest_fractal.processes.probing import Probe
from pytest_fractal.rules.start_hints import advice_for_import
from pytest_fractal.settings import Settings

MAIN = (SCRIPT, 3, "<module>")
NUMPY = (f"{SITE}/numpy/core.py", 9, "<module>")
OS = ("/usr/lib/python3.11/os.py", 7, "__getitem__")


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
    ("first", "reported", "line"),
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
    tmp_path: Path, first: Start, reported: tuple[str, str, str] | None, line: int | None
) -> None:
    judged, _ = command(tmp_path, first, always(first))
    (found,) = findings("FR301", judged)
    if reported is None:
        assert found.hint == WHATEVER
    else:
        assert (found.expected, found.found, found.hint) == reported
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
    reported = advice(
        tmp_path, exception, *(frames or [NUMPY]), executable="tasks/task.py", **known
    )
    assert reported.startswith(f"demo/{beside} takes the place of") is is_hidden
    if is_hidden:
        assert reported == (
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
    def reported(exception: str, missing: str | None = None) -> str:
        judged = custom(tmp_path, "python3 demo.py", start(1, crashed(exception, MAIN)))
        crash = judged.probe.first.crash
        return advice_for_import(judged, crash, missing).text

    assert reported("IndentationError: x") == (
        "fix the syntax, or name another interpreter in the command"
    )
    assert reported("ModuleNotFoundError: x", "numpy") == (
        "install the module 'numpy' for the interpreter of the command"
    )
    assert "`from your_package.module import" in reported("ImportError: attempted relative import")


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
