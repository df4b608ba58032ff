"""The agreement of pytest-fractal with a real server: candidates, both judgements, the law.

The law: what the server refuses, freezes on or breaks on, the tool fails; and what the
tool fails, the server does that to, or there is a ground for it in `grounds.py`.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from pytest_fractal.environments.environments import Environment
from pytest_fractal.server.comparing import moved

from .bases import Base, build_bases, requirements_folders, write_files
from .grounds import GROUNDS
from .mutants import Mutant
from .server import Answer, Does, answer, ask_server
from .tool import Judged, judge_fully, judge_samples, judge_statically


@dataclass(frozen=True)
class Case:
    """A wheel to judge, and the jobs that a server is to run with it."""

    what: str
    how: str
    of: str
    """The name of the good package that it is made of."""
    wheel: Path
    packages: tuple[str, ...]
    jobs: tuple[Mapping[str, Any], ...]
    samples: Path | None


@dataclass(frozen=True)
class Row:
    """Both judgements of one candidate."""

    what: str
    how: str
    of: str
    tool: Judged
    server: Answer

    @property
    def name(self) -> str:
        """The candidate in words."""
        return f"{self.what}: {self.how} ({self.of})"

    @property
    def is_false_accept(self) -> bool:
        """The tool takes what the server does not."""
        return not self.tool.fails and self.server.does is not Does.TAKES

    @property
    def is_rejection(self) -> bool:
        """The tool fails what the server takes."""
        return bool(self.tool.fails) and self.server.does is Does.TAKES

    @property
    def unexplained(self) -> tuple[str, ...]:
        """Of a rejection, the rules that have no ground to fail it."""
        if not self.is_rejection:
            return ()
        return tuple(code for code in self.tool.fails if code not in GROUNDS)

    @property
    def difference(self) -> str:
        """Where both take a candidate: what they do not tell alike of it; empty for nothing."""
        if self.tool.fails or self.server.does is not Does.TAKES:
            return ""
        listed = tuple((task["name"], task["source"] or "") for task in self.server.tasks)
        if self.tool.tasks and listed != self.tool.tasks:
            return f"tasks: {self.tool.tasks} here, {listed} there"
        left = self.server.left[0] if self.server.left else None
        if self.tool.left is not None and _sorted(left) != _sorted(self.tool.left):
            return f"the dataset: {self.tool.left} here, {left} there"
        return ""


@dataclass(frozen=True)
class Judge:
    """A server of one generation, and where to work."""

    generation: str
    environment: Environment
    work: Path

    def ask(
        self, cases: Sequence[Mapping[str, Any]], work: Path
    ) -> Mapping[str, Mapping[str, Any]]:
        """What the server makes of these."""
        return ask_server(self.environment, self.generation, cases, work / "server")


def cases_of_mutants(mutants: Iterable[Mutant], work: Path, server: Environment) -> Iterator[Case]:
    """The wheels of mutants, written to `work`."""
    for number, mutant in enumerate(mutants):
        base, folder = mutant.base, _fresh(work / f"mutant-{number}")
        jobs = base.job_of(mutant.task)
        yield Case(
            mutant.what,
            mutant.how,
            base.name,
            write_files(folder / "wheel" / base.wheel.name, mutant.files),
            requirements_folders(base, work, server.interpreter),
            tuple(job.asked(mutant.manifest, folder) for job in jobs),
            base.samples,
        )


def cases_of_packages(
    what: str, folders: Sequence[Path], work: Path, server: Environment
) -> Iterator[Case]:
    """The wheels of packages as they are, with all their jobs."""
    for base in build_bases(folders, work):
        yield Case(
            what,
            base.name,
            base.name,
            base.wheel,
            requirements_folders(base, work, server.interpreter),
            tuple(
                job.asked(_manifest(base), _fresh(work / base.name / f"job-{number}"))
                for number, job in enumerate(base.jobs)
            ),
            base.samples if base.samples and base.samples.is_dir() else None,
        )


def judge_cases(cases: Sequence[Case], judge: Judge, *, fully: bool = False) -> list[Row]:
    """Both judgements of wheels.

    The tool's are static ones first. Where those pass and the server does not take the
    wheel, all rules judge it; with `fully`, wherever they pass.
    """
    work = _fresh(judge.work / "cases")
    asked = [
        {
            "id": str(number),
            "wheel": str(case.wheel),
            "packages": list(case.packages),
            "jobs": list(case.jobs),
        }
        for number, case in enumerate(cases)
    ]
    with ThreadPoolExecutor(1) as pool:
        answering = pool.submit(judge.ask, asked, work)
        judged = [
            judge_statically(case.wheel, work / f"static-{number}")
            for number, case in enumerate(cases)
        ]
        answers = answering.result()
    rows = []
    for number, (case, tool) in enumerate(zip(cases, judged, strict=True)):
        server = answer(answers[str(number)])
        if not tool.fails and (fully or server.does is not Does.TAKES):
            settings = {"samples": case.samples} if case.samples else {}
            in_full = judge_fully(case.wheel, work / f"full-{number}", **settings)
            tool = replace(in_full, tasks=tool.tasks)
        rows.append(Row(case.what, case.how, case.of, tool, server))
    return rows


def judge_outputs(family: ModuleType, outputs: Sequence[Any], judge: Judge) -> list[Row]:
    """Both judgements of what tasks write: here by samples, there by jobs.

    `family` is the module that the outputs are of.
    """
    work = _fresh(judge.work / "outputs")
    wheel, samples = family.make_package(work, outputs)
    folders = [work / f"job-{number}" for number in range(len(outputs))]
    jobs = [family.asked(output, folder) for output, folder in zip(outputs, folders, strict=True)]
    halves = [range(first, len(jobs), 2) for first in range(2)]
    cases = [
        {"id": str(number), "wheel": str(wheel), "packages": [], "jobs": [jobs[i] for i in half]}
        for number, half in enumerate(halves)
    ]
    judged = judge_samples(wheel, work / "judged", samples)
    answers = judge.ask(cases, work)
    rows: dict[int, Row] = {}
    for number, half in enumerate(halves):
        facts = answers[str(number)]
        for index, job in zip(half, facts["jobs"], strict=True):
            output, tool = outputs[index], judged[f"output-{index:03}"]
            server = answer({**facts, "jobs": [_without(job, folders[index])]})
            rows[index] = Row(output.what, output.how, "fractal-outputs", tool, server)
    return [rows[index] for index in range(len(outputs))]


def _fresh(folder: Path) -> Path:
    """The folder, without what an interrupted run has left in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _without(job: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
    """What was left, with the folder as the placeholder that it was made of."""
    return {**job, "left": moved(job.get("left"), {str(folder): "{tmp}"})}


def breaches(rows: Iterable[Row]) -> list[str]:
    """Where the law is broken, one line each."""
    found = []
    for row in rows:
        if row.is_false_accept:
            found.append(f"{row.name}: FALSE ACCEPT: {row.server.does}: {short(row.server.words)}")
        if row.unexplained:
            found.append(f"{row.name}: no ground: {', '.join(row.unexplained)}: {row.tool.words}")
        if row.difference:
            found.append(f"{row.name}: DIFFERENCE: {row.difference}")
    return found


def _sorted(left: Mapping[str, Any] | None) -> object:
    """A dataset, with its images in the order of their paths: the server's is that of threads."""
    if (
        left
        and isinstance(left.get("images"), list)
        and all(isinstance(image, dict) for image in left["images"])
    ):
        return sorted(left["images"], key=lambda image: str(image["zarr_url"]))
    return left


def short(words: str) -> str:
    """The last line of what a server or a tool says, without the paths of this machine."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    line = re.sub(r"(?<![\w:/.])/[^\s'\"`,]*/", "…/", lines[-1] if lines else "")
    return line if len(line) <= 110 else f"{line[:107]}..."


def _manifest(base: Base) -> object:
    try:
        return json.loads(base.files[base.manifest_path])
    except (KeyError, ValueError, RecursionError):
        return None
