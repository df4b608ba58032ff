"""The agreement of pytest-fractal with a real server: candidates, both judgements, the law.

The law: what the server refuses, freezes on or breaks on, the tool fails; what the tool
fails, the server does that to, or the rejection is accepted for this rule and kind of
candidate (`accepted_rejections.py`); and what both take, both tell of alike.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from pytest_fractal.environments.environments import Environment
from pytest_fractal.server.comparing import differences, moved
from pytest_fractal.server.servers import ServerRelease

from .accepted_rejections import why_accepted
from .bases import Base, Job, build_bases, generation_of, requirements_folders, write_files
from .mutant import Mutant
from .server import Answer, Does, answer, ask_server
from .shared_rules import rule_for
from .tool import Judged, KeptSaid, Said, Written, judge_fully, judge_statically

_GOOD: Final = (Does.TAKES, Does.COLLECTS)


@dataclass(frozen=True)
class CaseJob:
    """A job that a server is to run with a candidate."""

    name: str
    """Of the sample or workflow that it is; empty where it is only a part of that."""
    asked: Mapping[str, Any]
    folder: Path
    """Its `{tmp}`."""


@dataclass(frozen=True)
class Case:
    """A candidate to judge: a wheel and its jobs, or a file of tasks outside any package."""

    what: str
    how: str
    of: str
    """The name of the good package that it is made of."""
    generation: str
    path: Path
    files: Mapping[str, bytes]
    """What the wheel holds."""
    packages: tuple[str, ...] = ()
    jobs: tuple[CaseJob, ...] = ()
    samples: Path | None = None
    by_pip: bool = False
    """Whether the server is to install it by a real pip."""

    @property
    def id(self) -> str:
        """The same for the same candidate in the same folder: it is asked once."""
        asked = (self.path, self.packages, self.jobs, self.by_pip)
        return _digest(repr(asked).encode(), self.files)

    @cached_property
    def content(self) -> str:
        """The same for the same candidate in any folder: it is judged once."""
        own = self.path.read_bytes() if self.path.suffix == ".json" else b""
        said_of = (self.what, self.how, self.of, self.path.name)
        files = dict(self.files)
        if self.samples is not None:
            samples = [path for path in sorted(self.samples.rglob("*")) if path.is_file()]
            files |= {f"{path.relative_to(self.samples)}": path.read_bytes() for path in samples}
        return _digest(repr(said_of).encode(errors="surrogatepass") + own, files)

    @property
    def asked(self) -> dict[str, Any]:
        """As the server's script takes it."""
        return {
            "id": self.id,
            "wheel": str(self.path),
            "packages": list(self.packages),
            "by_pip": self.by_pip,
            "jobs": [job.asked for job in self.jobs],
        }


def _digest(words: bytes, files: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256(words)
    for name, content in files.items():
        digest.update(f"{name}\0{len(content)}\0".encode(errors="surrogatepass"))
        digest.update(content)
    return digest.hexdigest()[:24]


@dataclass(frozen=True)
class Row:
    """Both judgements of one candidate."""

    what: str
    how: str
    of: str
    tool: Judged
    server: Answer
    jobs: tuple[str, ...] = ()
    """The names of the jobs that the server ran."""
    generation: str = ""

    @property
    def kind(self) -> str:
        """What the candidate is, whatever package it is made of."""
        return f"{self.what}: {self.how}"

    @property
    def name(self) -> str:
        """The candidate in words."""
        return f"{self.kind} ({self.of})"

    @property
    def is_taken(self) -> bool:
        """The server collects it, and its jobs, if there are any, end well."""
        return self.server.does in _GOOD

    @property
    def is_run(self) -> bool:
        """The server ran a job with it: more is known than that it is collected."""
        return self.server.does is Does.TAKES

    @property
    def is_false_accept(self) -> bool:
        """The tool takes what the server does not."""
        return not self.tool.fails and not self.is_taken

    @property
    def is_rejection(self) -> bool:
        """The tool fails what the server takes."""
        return bool(self.tool.fails) and self.is_taken

    @property
    def unexplained(self) -> tuple[str, ...]:
        """Of a rejection, the rules that are not accepted to fail such a candidate."""
        if not self.is_rejection:
            return ()
        return tuple(code for code in self.tool.fails if not why_accepted(code, self.kind))

    @property
    def other_reason(self) -> str | None:
        """The rule that should have refused what both refuse, where it has not."""
        if not self.generation or self.is_taken or not self.tool.fails:
            return None
        code = rule_for(self.generation, self.kind)
        return code if code not in self.tool.fails else None

    @property
    def difference(self) -> str:
        """Where both take a candidate: what they do not tell alike of it; empty for nothing."""
        if self.tool.fails or not self.is_taken:
            return ""
        listed = tuple((task["name"], task["source"] or "") for task in self.server.tasks)
        if self.tool.tasks and listed != self.tool.tasks:
            return f"tasks: {self.tool.tasks} here, {listed} there"
        for job, left in zip(self.jobs, self.server.left, strict=True):
            if job in self.tool.left:
                ours, theirs = _sorted(self.tool.left[job]), _sorted(left)
                for found in differences(ours, theirs):
                    return (
                        f"the dataset after {job!r} at {found.pointer!r}: {found.here!r} here, "
                        f"{found.there!r} there"
                    )
        return ""


@dataclass(frozen=True)
class Judge:
    """A server of one release, and where to work."""

    release: ServerRelease
    environment: Environment
    work: Path
    workers: int = 1
    """How many servers share the candidates, and how many processes judge them here."""
    kept: KeptSaid | None = None
    """Where to keep what the tool says of each."""

    @property
    def generation(self) -> str:
        """The version of the manifests that it takes."""
        return self.release.generation

    def ask(self, asked: Sequence[Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
        """What the server makes of these."""
        work = self.work / "server"
        return ask_server(self.environment, self.release, asked, work, self.workers)

    def said(self, case: Case, rules: str, judge: Callable[[], Said]) -> Said:
        """What the tool says of a candidate by these rules, now or before."""
        return self.kept.get(f"{case.content}-{rules}", judge) if self.kept else judge()


def cases_of_mutants(mutants: Iterable[Mutant], work: Path, server: Environment) -> Iterator[Case]:
    """The wheels of mutants, written to `work`."""
    for mutant in mutants:
        base = mutant.base
        name = hashlib.sha256(f"{mutant.kind} {base.name}".encode(errors="replace")).hexdigest()
        folder = _fresh(work / name[:16])
        yield Case(
            mutant.what,
            mutant.how,
            base.name,
            base.generation.version,
            write_files(folder / "wheel" / mutant.wheel_name, mutant.files, mutant.record),
            {**mutant.files, "record": mutant.record or b""},
            requirements_folders(base, work, server.interpreter),
            tuple(
                _leaving_out(mutant.leaves_out, _case_job(job, mutant.manifest, folder))
                for job in base.job_of(mutant.task)
                if max(job.tasks) < _listed(mutant.manifest)
            ),
            _samples(base) if _names(mutant.manifest) == _names(base.manifest) else None,
            mutant.by_pip,
        )


def cases_of_packages(
    what: str, folders: Sequence[Path], work: Path, server: Environment, *, by_pip: bool = False
) -> Iterator[Case]:
    """The wheels of packages as they are, with all their jobs.

    `by_pip` says that they are installed by a real pip, with what they require.
    """
    for folder, base in zip(folders, build_bases(folders, work), strict=True):
        yield Case(
            what,
            base.name,
            base.name,
            generation_of(folder),
            base.wheel,
            base.files,
            () if by_pip else requirements_folders(base, work, server.interpreter),
            tuple(
                _case_job(job, _manifest(base), _fresh(work / base.name / f"job-{number}"))
                for number, job in enumerate(base.jobs)
            ),
            _samples(base),
            by_pip,
        )


def _samples(base: Base) -> Path | None:
    return base.samples if base.samples and base.samples.is_dir() else None


def _listed(manifest: Any) -> float:
    """How many tasks it lists: of others a job cannot ask. Infinity where nobody can tell."""
    listed = manifest.get("task_list") if isinstance(manifest, dict) else None
    return len(listed) if isinstance(listed, list) else math.inf


def _names(manifest: Any) -> list[object]:
    """Of the tasks, by which samples name them."""
    try:
        return [task["name"] for task in manifest["task_list"]]
    except (LookupError, TypeError):
        return []


def _leaving_out(argument: str | None, job: CaseJob) -> CaseJob:
    """The job without this argument."""
    if argument is None:
        return job
    steps = [
        {
            key: {name: own for name, own in value.items() if name != argument}
            if isinstance(value, dict)
            else value
            for key, value in step.items()
        }
        for step in job.asked["steps"]
    ]
    return replace(job, asked={**job.asked, "steps": steps})


def _case_job(job: Job, manifest: object, folder: Path) -> CaseJob:
    return CaseJob(job.name, job.asked(manifest, folder), folder)


def ask(cases: Sequence[Case], judge: Judge) -> list[Answer]:
    """What the server does with these candidates."""
    facts = judge.ask([case.asked for case in cases])
    return [_answer(facts[case.id], [job.folder for job in case.jobs]) for case in cases]


def _answer(facts: Mapping[str, Any], folders: Iterable[Path]) -> Answer:
    """With each job's folder as the placeholder that it was made of."""
    jobs = [
        {**job, "left": moved(job.get("left"), {str(folder): "{tmp}"})}
        for job, folder in zip(facts["jobs"], folders, strict=False)
    ]
    return answer({**facts, "jobs": jobs})


def judge_case(
    case: Case, server: Answer, judge: Judge, fully: bool = False, *, statically: bool = False
) -> Row:
    """The row of a candidate that the server has been asked about.

    The tool judges it by static rules first. Where those pass and the server does not take
    the wheel, all rules judge it; with `fully`, wherever they pass; with `statically`, never.
    """
    folder, release = _fresh(judge.work / case.id), judge.release.version
    said = judge.said(case, "static", lambda: judge_statically(case.path, folder / "static"))
    tool = said.for_release(release)
    row = Row(
        case.what,
        case.how,
        case.of,
        tool,
        server,
        tuple(job.name for job in case.jobs),
        case.generation,
    )
    more = (fully or not row.is_taken) and not statically
    if more and not tool.fails and case.path.suffix == ".whl":
        full = folder / "full"
        said = judge.said(case, "full", lambda: judge_fully(case.path, full, case.samples))
        row = replace(row, tool=replace(said.for_release(release), tasks=tool.tasks))
    shutil.rmtree(folder)
    return row


def judge_cases(cases: Sequence[Case], judge: Judge, *, fully: int = 0) -> list[Row]:
    """Both judgements of candidates.

    Of those that both take so far, every `fully`-th is judged by all rules; 0 for none.
    """
    answers = ask(cases, judge)
    in_full = [bool(fully) and number % fully == 0 for number in range(len(cases))]
    with ProcessPoolExecutor(judge.workers, get_context("spawn")) as pool:
        return list(pool.map(judge_case, cases, answers, repeat(judge), in_full))


class OutputsCase:
    """What tasks write: here by samples, there by jobs, of one package; asked and run once."""

    def __init__(self, family: ModuleType, outputs: Sequence[Any], judge: Judge) -> None:
        """`family` is the module that the outputs are of."""
        work = _fresh(judge.work / "outputs")
        self.outputs = outputs
        self._generation = judge.generation
        wheel, samples = family.make_package(work, outputs)
        folders = [work / f"job-{number}" for number in range(len(outputs))]
        jobs = tuple(
            CaseJob(f"output-{number:03}", family.asked(output, folder), folder)
            for number, (output, folder) in enumerate(zip(outputs, folders, strict=True))
        )
        self._judge = judge
        self.case = Case("outputs", "", "fractal-outputs", judge.generation, wheel, {}, jobs=jobs)
        """What the server is asked about."""
        release = judge.release.version
        self._written = Written(wheel, judge.work / "written", samples, release)

    def _answers(self) -> Iterator[Answer]:
        facts = self._judge.ask([self.case.asked])[self.case.id]
        for reported, job in zip(facts["jobs"], self.case.jobs, strict=True):
            yield _answer({**facts, "jobs": [reported]}, [job.folder])

    def rows(self) -> list[Row]:
        """Both judgements."""
        judged = self._written.judged()
        names = [f"output-{number:03}" for number in range(len(self.outputs))]
        return [
            Row(
                output.what,
                output.how,
                "fractal-outputs",
                judged[name],
                server,
                (name,),
                self._generation,
            )
            for output, name, server in zip(self.outputs, names, self._answers(), strict=True)
        ]


def _fresh(folder: Path) -> Path:
    """The folder, without what an interrupted run has left in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def breaches(rows: Iterable[Row]) -> list[str]:
    """Where the law is broken, one line each."""
    found = []
    for row in rows:
        if row.is_false_accept:
            found.append(f"{row.name}: FALSE ACCEPT: {row.server.does}: {short(row.server.words)}")
        if row.unexplained:
            found.append(
                f"{row.name}: FALSE REJECT: {', '.join(row.unexplained)}: {row.tool.words}"
            )
        if row.other_reason:
            fails = ", ".join(row.tool.fails)
            found.append(f"{row.name}: OTHER REASON: {fails}, not {row.other_reason}")
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
