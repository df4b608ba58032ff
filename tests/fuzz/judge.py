"""Judging one manifest as far as nothing has to be installed, and rendering all reports."""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Final

from pytest_fractal.candidate.packaged import Candidate
from pytest_fractal.candidate.summary import candidate_report
from pytest_fractal.engine import Engine
from pytest_fractal.environments.interpreters import Interpreter, find_interpreter
from pytest_fractal.environments.wheels import MANIFEST_NAME
from pytest_fractal.package_spec import parse_package
from pytest_fractal.processes.executors import LocalExecutor
from pytest_fractal.report import text
from pytest_fractal.report.annotations import workflow_commands
from pytest_fractal.report.formats import FORMATS
from pytest_fractal.report.model import Report
from pytest_fractal.selection import parse_codes
from pytest_fractal.settings import Settings
from pytest_fractal.verdicts import Outcome

from .manifests import SOURCE

SETTINGS: Final = Settings(select=parse_codes("FR1,FR2,FR407"))


class InternalError(Exception):
    """An `error` verdict, which no manifest must bring about."""


def judge(manifest: bytes) -> dict[str, int]:
    """How many verdicts there are of each outcome.

    Raises whatever is raised, and `InternalError` for a verdict `error`.
    """
    folder = Path(tempfile.mkdtemp(prefix="pytest-fractal-fuzz-"))
    try:
        wheel = _wheel(folder, manifest)
        candidate = Candidate(
            parse_package(str(wheel), folder), SETTINGS, folder / "run", LocalExecutor(1)
        )
        candidate.__dict__["interpreter"] = _interpreter()  # not found anew for each manifest
        engine = Engine(candidate)
        verdicts = [engine.verdict(check) for check in engine.plan()]
        engine.close()
        for verdict in verdicts:
            if verdict.outcome is Outcome.ERROR:
                raise InternalError(f"{verdict.code}[{verdict.task}]: {verdict.reason}")
        whole = candidate_report(candidate, verdicts)
        report = Report((whole,))
        for suffix, form in FORMATS.items():
            rendered = form.render(report).encode("utf-8", "backslashreplace")
            if suffix == ".json":
                json.loads(rendered)
        for lines in (
            (text.verdict_text(verdict) for verdict in verdicts),
            text.header_lines(whole),
            text.summary_lines(whole),
            (line.text for line in text.problems_lines(whole, False, 80)),
            (line.text for line in text.conclusion_lines(whole, False, True, 80)),
            text.repeat_lines(whole),
            workflow_commands(whole, strict=False),
        ):
            "\n".join(lines).encode("utf-8", "backslashreplace")
        return whole.summary
    finally:
        shutil.rmtree(folder)


@cache
def _interpreter() -> Interpreter:
    return find_interpreter(None)


def _wheel(folder: Path, manifest: bytes) -> Path:
    info = "fuzzed-1.0.dist-info"
    path = folder / "fuzzed-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("fuzzed/__init__.py", "")
        archive.writestr("fuzzed/task.py", SOURCE)
        archive.writestr(f"fuzzed/{MANIFEST_NAME}", manifest)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: fuzzed\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path
