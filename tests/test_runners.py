"""What a runner of the wheel's own does to the arguments, as far as its source tells."""

from __future__ import annotations

from textwrap import dedent, indent

import pytest

from pytest_fractal.rules.signature_match import compare
from pytest_fractal.signatures.sources import Sources
from pytest_fractal.signatures.task_function import Signature, Signatures

HEAD = """\
import argparse, json, logging
from pathlib import Path
from pydantic import validate_call
def read(path):
    return json.loads(Path(path).read_text())
"""


def signature(
    body: str, call: str = "run(task_function=demo)", parameters: str = "task_function"
) -> Signature:
    """The signature of a task that is handed to a runner with this body."""
    runner = f"{HEAD}def run({parameters}):\n" + indent(dedent(body), "    ")
    script = f"from pkg.runner import run\ndef demo(*, zarr_url, logger): pass\n{call}\n"
    files = {"pkg/demo.py": script.encode(), "pkg/runner.py": runner.encode()}
    return Signatures(Sources(files), "pkg").of("demo.py")


def pointers(found: Signature, *names: str) -> list[str]:
    schema = {"properties": {name: {} for name in names}, "required": list(names)}
    return [mismatch.pointer for mismatch in compare(found, schema)]


@pytest.mark.parametrize(
    "body",
    [
        "task_function(**json.load(open('x')), logger=logging.getLogger())",
        "pars = read('x')\npars['logger'] = 1\ntask_function(**pars)",
        "pars = read('x')\npars.setdefault('logger', 1)\ntask_function(**pars)",
        "pars = read('x')\npars.update(logger=1)\ntask_function(**pars)",
        "pars = read('x')\npars.update({'logger': 1})\ntask_function(**pars)",
        "task_function(**{**read('x'), 'logger': 1})",
        "pars = read('x')\ntask_function(**(pars | {'logger': 1}))",
        "f = validate_call(task_function)\nf(**read('x'), logger=1)",
        "validate_call(task_function)(**read('x'), logger=1)",
        "with open('x') as f:\n    pars = json.load(f)\nreturn task_function(logger=1, **pars)",
        "def inner():\n    return task_function(**read('x'), logger=1)\nreturn inner()",
    ],
)
def test_what_the_runner_adds_need_not_be_in_the_schema(body: str) -> None:
    found = signature(body)
    assert found.doubt is None
    assert pointers(found, "zarr_url") == []


@pytest.mark.parametrize(
    "body",
    [
        "pars = read('x')\nlevel = pars.pop('level', 3)\ntask_function(**pars, logger=1)",
        "pars = read('x')\ndel pars['level']\ntask_function(**pars, logger=1)",
    ],
)
def test_what_the_runner_keeps_need_not_be_a_parameter(body: str) -> None:
    found = signature(body)
    assert found.doubt is None
    assert pointers(found, "zarr_url", "level") == []


def test_a_runner_that_hands_all_on_leaves_nothing_in_doubt() -> None:
    found = signature("task_function(**json.loads(Path('x').read_text()))")
    assert found.doubt is None
    assert pointers(found, "zarr_url") == ["/properties/logger"]


@pytest.mark.parametrize(
    "body",
    [
        "pars = read('x')\npars.update(other())\ntask_function(**pars)",
        "pars = read('x')\npars[name] = 1\ntask_function(**pars)",
        "pars = read('x')\npars.clear()\ntask_function(**pars)",
        "task_function(**{name: value for name, value in read('x').items()})",
        "task_function(**Model(**read('x')).dict())",
        "task_function(**dict(read('x'), logger=1))",
        "task_function(read('x'), 1)",
        "Runner(task_function).start()",
        "REGISTERED.append(task_function)",
        "from other import go\ngo(task_function)",
    ],
)
def test_what_is_not_plain_is_a_doubt(body: str) -> None:
    assert signature(body).doubt


def test_a_runner_may_leave_the_call_to_another_function() -> None:
    body = """
        def start(function, arguments_file):
            function(**read(arguments_file), logger=1)
        start(task_function, "x")
    """
    found = signature(body)
    assert (found.doubt, pointers(found, "zarr_url")) == (None, [])


@pytest.mark.parametrize("call", ["run(demo)", "run(3, demo)", "run(task_function=demo, level=3)"])
def test_the_function_may_be_handed_on_in_any_manner(call: str) -> None:
    parameters = "level, task_function" if "3, " in call else "task_function, level=3"
    found = signature("task_function(**read('x'), logger=1)", call, parameters)
    assert (found.doubt, pointers(found, "zarr_url")) == (None, [])


@pytest.mark.parametrize(
    ("source", "doubted"),
    [
        ("from fractal_task_tools.task_wrapper import run_fractal_task", False),
        ("from fractal_tasks_core.tasks._utils import run_fractal_task", False),
        ("from somebody_elses.runner import run_fractal_task", True),
    ],
)
def test_runners_of_others_are_known_or_in_doubt(source: str, doubted: bool) -> None:
    script = f"{source}\ndef demo(*, zarr_url): pass\nrun_fractal_task(task_function=demo)\n"
    found = Signatures(Sources({"pkg/demo.py": script.encode()}), "pkg").of("demo.py")
    assert bool(found.doubt) is doubted
