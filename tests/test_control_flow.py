"""What the source of a program tells of the exception that ended it."""

from __future__ import annotations

from textwrap import dedent

import pytest

from pytest_fractal.signatures.control_flow import CallSite, Influence, influence, is_caught


def line_of(source: str, mark: str) -> int:
    return next(n for n, line in enumerate(source.splitlines(), 1) if mark in line)


@pytest.mark.parametrize(
    ("handler", "caught"),
    [
        ("except ImportError:\n    print(1)", True),
        ("except (OSError, ImportError) as error:\n    log.exception(error)", True),
        ("except Exception:\n    found = None", True),
        ("except:\n    pass", True),
        ("except OSError:\n    pass", False),
        ("except ImportError:\n    raise", False),
        ("except ImportError as e:\n    raise RuntimeError from e", False),
        ("except ImportError:\n    sys.exit('please install it')", False),
        ("except ImportError:\n    os._exit(3)", False),
        ("finally:\n    print(1)", False),
    ],
)
def test_an_exception_is_caught_by_a_handler_that_goes_on(handler: str, caught: bool) -> None:
    source = f"import sys, os\ntry:\n    import cupy\n{handler}\n"
    assert is_caught(source.encode(), 3, "ModuleNotFoundError") is caught


def test_lines_outside_the_try_are_not_caught() -> None:
    source = b"try:\n    pass\nexcept ImportError:\n    import cupy\nelse:\n    import cupy\n"
    assert not is_caught(source, 4, "ImportError")
    assert not is_caught(source, 6, "ImportError")
    assert not is_caught(b"this is no Python", 1, "ImportError")


READ = "import json, sys\narguments = json.load(open(sys.argv[2]))\n"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("raise ValueError('x')  # here", Influence.NONE),
        ("import os\nos.environ['X']  # here", Influence.NONE),
        ("if sys.version_info < (3, 99):\n    raise ValueError  # here", Influence.NONE),
        ("for word in ('a', 'b'):\n    raise ValueError(word)  # here", Influence.NONE),
        ("with lock:\n    raise ValueError('x')  # here", Influence.NONE),
        (
            "if sys.path:\n    pass\nelse:\n    sys.exit()\nraise ValueError  # here",
            Influence.NONE,
        ),
        ("model.run(**arguments)  # here", Influence.HANDED_ON),
        ("name = arguments['x']\nmodel.run(name)  # here", Influence.HANDED_ON),
        ("raise ValueError(arguments)  # here", Influence.POSSIBLE),
        ("if not arguments:\n    raise ValueError  # here", Influence.POSSIBLE),
        ("if 'x' in arguments:\n    sys.exit()\nraise ValueError  # here", Influence.POSSIBLE),
        (
            "for x in arguments:\n    if x:\n        break\nelse:\n    raise ValueError  # here",
            Influence.POSSIBLE,
        ),
        ("try:\n    run(arguments)\nexcept E:\n    raise ValueError  # here", Influence.POSSIBLE),
        (
            "while 1:\n    try:\n        run(arguments)\n        break\n    except E:\n"
            "        pass\n    raise ValueError  # here",
            Influence.POSSIBLE,
        ),
        ("assert arguments  # here", Influence.POSSIBLE),
        ("assert not sys.path  # here", Influence.NONE),
        (
            "found = []\nfound.append(arguments)\nif found:\n    raise E  # here",
            Influence.POSSIBLE,
        ),
        ("match arguments:\n    case {}:\n        raise E  # here", Influence.POSSIBLE),
        (
            "if (n := len(arguments)) > 9:\n    pass\nif n:\n    raise E  # here",
            Influence.POSSIBLE,
        ),
        ("def ok():\n    return 1\nif not ok():\n    raise E  # here", Influence.POSSIBLE),
        ("if open('settings.json').read():\n    raise E  # here", Influence.POSSIBLE),
    ],
)
def test_input_has_a_part_where_it_may_decide(source: str, expected: Influence) -> None:
    whole = READ + source
    place = CallSite("p/script.py", line_of(whole, "# here"), "<module>")
    assert influence({"p/script.py": whole.encode()}, [place]) is expected


RUNNER = dedent("""
    import argparse, json
    def run(function, model):
        parser = argparse.ArgumentParser()
        parser.add_argument("-j", TYPE)
        options = parser.parse_args()
        if options.j == "x":
            return None
        arguments = json.load(open(options.j))
        if hints(function) != hints(model):
            raise ValueError  # here
        function(**arguments)  # call
""")


@pytest.mark.parametrize(
    ("kind", "call", "expected"),
    [
        ("type=str", "run(task, Model)", Influence.NONE),
        ("type=Path", "run(task, model=Model)", Influence.NONE),
        # An option's type may read the file.
        ("type=read", "run(task, Model)", Influence.POSSIBLE),
        ("type=str", "run(task, json.load(open('x')))", Influence.POSSIBLE),
    ],
)
def test_what_a_function_is_called_with_is_followed(
    kind: str, call: str, expected: Influence
) -> None:
    script = f"import json\nfrom p.runner import run\n{call}\n"
    runner = RUNNER.replace("TYPE", kind)
    files = {"p/script.py": script.encode(), "p/runner.py": runner.encode()}
    places = [
        CallSite("p/script.py", 3, "<module>"),
        CallSite("p/runner.py", line_of(runner, "# here"), "run"),
    ]
    assert influence(files, places) is expected


def test_a_function_that_a_library_calls_may_be_called_with_anything() -> None:
    source = b"import click\n@click.command()\ndef main(j):\n    if j:\n        raise E\nmain()\n"
    places = [
        CallSite("p/script.py", 6, "<module>"),
        CallSite("click/core.py", 99, "invoke"),
        CallSite("p/script.py", 5, "main"),
    ]
    assert influence({"p/script.py": source}, places) is Influence.POSSIBLE


def test_nothing_is_said_of_files_that_are_not_there() -> None:
    assert influence({}, [CallSite("p/script.py", 1, "<module>")]) is Influence.POSSIBLE
    assert influence({"a.py": b"("}, [CallSite("a.py", 1, "<module>")]) is Influence.POSSIBLE
    assert influence({"a.py": b"x"}, [CallSite("a.py", 99, "<module>")]) is Influence.POSSIBLE
