"""The agreement of pytest-fractal with a real server: candidates, both judgements, the law.

The law: what the server refuses, freezes on or breaks on, the tool fails; and what the
tool fails, the server does that to, or there is a ground for it in `grounds.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pytest_fractal.machinery.environments import Environment

from .bases import Base, build_bases, requirements_folders, write_files
from .grounds import GROUNDS
from .mutants import Mutant
from .outputs import Output, make_package
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
        listed = tuple((str(task["name"]), str(task["source"])) for task in self.server.tasks)
        if self.tool.tasks and listed != self.tool.tasks:
            return f"tasks: {self.tool.tasks} here, {listed} there"
        left = self.server.metadata[0] if self.server.metadata else None
        if self.tool.metadata is not None and left != self.tool.metadata:
            return f"metadata: {self.tool.metadata} here, {left} there"
        return ""


def cases_of_mutants(mutants: Iterable[Mutant], work: Path, server: Environment) -> Iterator[Case]:
    """The wheels of mutants, written to `work`."""
    for number, mutant in enumerate(mutants):
        base, folder = mutant.base, work / f"mutant-{number}"
        jobs = base.job_of(mutant.task)
        yield Case(
            mutant.what, mutant.how, base.name,
            write_files(folder / base.wheel.name, mutant.files),
            requirements_folders(base, work, server.interpreter),
            tuple(job.asked(mutant.manifest, folder) for job in jobs),
            base.folder / "fractal_samples",
        )  # fmt: skip


def cases_of_packages(
    what: str, folders: Sequence[Path], work: Path, server: Environment
) -> Iterator[Case]:
    """The wheels of packages as they are, with all their jobs."""
    for base in build_bases(folders, work):
        samples = base.folder / "fractal_samples"
        yield Case(
            what, base.name, base.name, base.wheel,
            requirements_folders(base, work, server.interpreter),
            tuple(
                job.asked(_manifest(base), work / base.name / f"job-{number}")
                for number, job in enumerate(base.jobs)
            ),
            samples if samples.is_dir() else None,
        )  # fmt: skip


def judge_cases(
    cases: Sequence[Case], environment: Environment, work: Path, *, fully: bool = False
) -> list[Row]:
    """Both judgements of wheels.

    The tool's are static ones first. Where those pass and the server does not take the
    wheel, all rules judge it; with `fully`, wherever they pass.
    """
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
        answering = pool.submit(ask_server, environment, asked, work / "server")
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


def judge_outputs(outputs: Sequence[Output], environment: Environment, work: Path) -> list[Row]:
    """Both judgements of what tasks write: here by samples, there by jobs."""
    wheel, samples = make_package(work, outputs)
    jobs = [
        {
            "steps": [
                {"task": task, "args": args}
                for task, args in zip(output.tasks, output.steps, strict=True)
            ],
            "input_paths": [str(work / "input")],
            "output_path": str(work / f"output-{number}"),
            "meta": output.meta,
        }
        for number, output in enumerate(outputs)
    ]
    halves = [range(first, len(jobs), 2) for first in range(2)]
    cases = [
        {"id": str(number), "wheel": str(wheel), "packages": [], "jobs": [jobs[i] for i in half]}
        for number, half in enumerate(halves)
    ]
    judged = judge_samples(wheel, work / "judged", samples)
    answers = ask_server(environment, cases, work / "server")
    rows = []
    for number, half in enumerate(halves):
        facts = answers[str(number)]
        for index, job in zip(half, facts["jobs"], strict=True):
            output, tool = outputs[index], judged[f"output-{index:03}"]
            server = answer({**facts, "jobs": [job]})
            rows.append((index, Row(output.what, output.how, "fractal-outputs", tool, server)))
    return [row for _, row in sorted(rows, key=lambda one: one[0])]


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
