"""Commands of every kind, what the rules say of each, and how they are judged.

Every script is the executable of a task of its own; a few wheels, made by hand, hold
them all, so that there is nothing to build and few environments to make.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from wheel_factory import make_wheel

from pytest_fractal import check_package
from pytest_fractal.report.model import CandidateReport
from pytest_fractal.verdicts import Verdict

Outcomes = tuple[str, str, str, str]

GOOD: Outcomes = ("pass", "pass", "pass", "pass")
LENIENT: Outcomes = ("pass", "pass", "pass", "warn")
NEVER_WELL: Outcomes = ("pass", "pass", "pass", "blocked")
ALL_ALIKE: Outcomes = ("pass", "pass", "pass", "skip")
NOT_READING: Outcomes = ("pass", "pass", "fail", "blocked")
NOT_TAKING: Outcomes = ("pass", "fail", "blocked", "blocked")
NOT_STARTING: Outcomes = ("fail", "blocked", "blocked", "blocked")

SCHEMA = {
    "type": "object",
    "properties": {
        "input_paths": {"type": "array", "items": {"type": "string"}},
        "output_path": {"type": "string"},
        "metadata": {"type": "object"},
        "number": {"type": "integer"},
    },
    "required": ["input_paths", "output_path", "metadata", "number"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Kind:
    """One kind of command, and what the four rules say of it."""

    name: str
    outcomes: Outcomes
    script: str
    says: str = ""
    """What the finding must tell."""
    depends: str = "pass"
    """What FR305 says, where the file is read at all."""


# What most scripts are made of: the task's function, the usual parser, and the end.
FUNCTION = """
import argparse, json, os, sys
def main(*, input_paths, output_path, metadata, number):
    return {}
def work(args, out):
    with open(args) as file:
        arguments = json.load(file)
    with open(out, "w") as file:
        json.dump(main(**arguments), file)
"""
PARSE = """
parser = argparse.ArgumentParser()
parser.add_argument("-j", "--json", required=True)
parser.add_argument("--metadata-out", required=True)
options = parser.parse_args()
"""
WORK = """
work(options.json, options.metadata_out)
"""
USUAL = FUNCTION + PARSE + WORK


def argparse_with(parser: str, then: str = WORK, parse: str = "parser.parse_args()") -> str:
    return f"{FUNCTION}{dedent(parser)}\noptions = {parse}\n{dedent(then)}"


REFUSING_OUTPUT = argparse_with(
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("-j", required=True, type=lambda path: json.load(open(path)))
    """,
    "main(**options.j)",
)
"""It reads its arguments while it parses its options, and refuses the second of those."""


def trying(handler: str) -> str:
    """The usual command, with what it does about an exception of the task's."""
    call = "try:\n    main(**json.load(open(options.json)))\n"
    return FUNCTION + PARSE + call + dedent(handler).lstrip("\n")


def loop(body: str) -> str:
    return FUNCTION + "words = sys.argv[1:]\n" + dedent(body)


def reading(how: str) -> str:
    """The usual command, with another way of getting at the text of the file."""
    return FUNCTION + PARSE + "path = options.json\n" + dedent(how) + "main(**json.loads(text))\n"


HELPERS = {
    "__init__.py": "",
    "helper.py": "",
    "outdated.py": "import os\nos.nothing\n",
    "broken.py": "print 'done'\n",
    "raising.py": "raise OSError('no licence')\n",
    "crashing.py": "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n",
    "worker.py": dedent("""
        def run(arguments):
            if set(arguments) != {"input_paths", "output_path", "metadata", "number"}:
                raise TypeError("wrong arguments")
        """),
}


def wheel_of(folder: Path, kinds: list[Kind], metadata: str = "") -> Path:
    entries = [
        {
            "name": kind.name,
            "executable": f"{kind.name}.py",
            "input_type": "zarr",
            "output_type": "zarr",
            "meta": {},
            "args_schema": SCHEMA,
        }
        for kind in kinds
    ]
    manifest = {
        "manifest_version": "1",
        "task_list": entries,
        "has_args_schemas": True,
        "args_schema_version": "pydantic_v1",
    }
    files = HELPERS | {f"{kind.name}.py": kind.script for kind in kinds}
    return make_wheel(folder, "kinds", files=files, manifest=manifest, metadata=metadata)


def judged(folder: Path, kinds: list[Kind], metadata: str = "", **options: Any) -> CandidateReport:
    wheel = wheel_of(folder, kinds, metadata)
    (report,) = check_package(wheel, select=["FR3"], **options).candidates
    return report


def check(given: Iterable[Verdict], kind: Kind) -> None:
    """Compare the verdicts on one kind of command, among those given, with what is said of it."""
    verdicts = {verdict.code: verdict for verdict in given if verdict.task == kind.name}
    outcomes = {code: str(verdict.outcome) for code, verdict in verdicts.items()}
    reported = "\n".join(
        f"{found.expected} | {found.found} | {found.hint}"
        for verdict in verdicts.values()
        for found in verdict.findings
    )
    codes = ("FR301", "FR302", "FR303", "FR304", "FR305")
    depends = "blocked" if {"fail", "blocked"} & {*kind.outcomes[:3]} else kind.depends
    assert outcomes == dict(zip(codes, (*kind.outcomes, depends), strict=True)), reported
    assert kind.says in reported


def named(kinds: list[Kind], slow: Collection[str] = ()) -> pytest.MarkDecorator:
    """A test for each kind, those of the names in `slow` in long runs only."""
    marked = [
        pytest.param(kind, id=kind.name, marks=[pytest.mark.slow] if kind.name in slow else [])
        for kind in kinds
    ]
    return pytest.mark.parametrize("kind", marked)


def starts_of(report: CandidateReport, task: str) -> int:
    return sum(run.task == task for run in report.runs)
