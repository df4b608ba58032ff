"""Judging all candidates of a generation, here and by a server of one release."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from pytest_fractal.server.servers import ServerRelease

from . import document, mutants, outputs_1, outputs_2, rest
from .bases import (
    BAD,
    GOOD,
    Base,
    build_bases,
    candidate_of,
    generation_of,
    has_options,
    read_base,
)
from .suite import (
    Case,
    Judge,
    OutputsCase,
    cases_of_mutants,
    cases_of_packages,
    judge_cases,
)
from .tool import KeptSaid

NO_OTHER_WHEEL = ("FR001", "FR005", "FR006", "FR902")
"""The rules whose bad packages do not build, or break them with a wheel that is a good one, or
only where a server is asked."""
OF_PIP = ("FR002", "FR004", "FR117")
"""The rules whose bad packages pip refuses, passes over something odd, or shows oddly."""
FAMILIES = {"1": outputs_1, "2": outputs_2}


def gather(release: ServerRelease, work: Path, fully: int, workers: int) -> document.Results:
    """Judge all candidates both ways; what that takes lies in `work` afterwards.

    Of the mutants that both take, every `fully`-th is installed and run here too.
    """
    generation, began = release.generation, time.monotonic()

    def tell(what: str) -> None:
        print(f"{release.version}: {time.monotonic() - began:6.0f} s  {what}", flush=True)

    server = release.environment()
    tell(f"fractal-server {release.version} is installed")
    judge = Judge(release, server, work, workers, KeptSaid(work.parent / "said"))
    packages = list(packages_of(judge))
    built = bases(generation, good_of(generation), work / "bases")
    mutated = list(cases_of_mutants(mutants.chosen(built, 1), work / "mutants", server))
    tell(f"{len(packages)} packages and {len(mutated)} mutants are made")
    rows = judge_cases(packages, judge, fully=1)
    tell("packages are judged")
    for begin in range(0, len(mutated), 100):
        rows += judge_cases(mutated[begin : begin + 100], judge, fully=fully)
        tell(f"{min(begin + 100, len(mutated))} mutants are judged")
    family = FAMILIES[generation]
    written = OutputsCase(family, list(family.outputs()), judge).rows()
    tell(f"{len(written)} outputs are judged")
    pairs = rest.chosen([*packages, *mutated], rows)
    asked = rest.ask(release, pairs, work / "sockets")
    tell(f"{len(asked)} candidates have been asked of servers behind sockets")
    return document.Results(generation, release.version, [*rows, *written], asked)


def good_of(generation: str) -> list[Path]:
    """The good packages of a generation."""
    return [folder for folder in GOOD if generation_of(folder) == generation]


def packages_of(judge: Judge) -> Iterator[Case]:
    """All packages of a generation, as they are."""
    mine = [folder for folder in BAD if generation_of(folder) == judge.generation]
    bad = [folder for folder in mine if not folder.name.startswith((*NO_OTHER_WHEEL, *OF_PIP))]
    odd = [folder for folder in mine if folder.name.startswith(OF_PIP) and not has_options(folder)]
    good, work, server = good_of(judge.generation), judge.work, judge.environment
    yield from cases_of_packages("good package", good, work / "good", server)
    yield from cases_of_packages("bad package", bad, work / "bad", server)
    yield from cases_of_packages("bad package", odd, work / "odd", server, by_pip=True)


def bases(generation: str, good: list[Path], work: Path) -> list[Base]:
    """What mutants are made of: for generation 2 also the package of outputs, with all types."""
    built = build_bases(good, work)
    if generation == "2":
        kinds = {output.kind: output for output in outputs_2.plain()}
        wheel, samples = outputs_2.make_package(work, list(kinds.values()))
        candidate = candidate_of(wheel, work / "outputs", samples=samples)
        built.insert(0, read_base(candidate, "fractal-outputs"))
    return built
