"""The whole suite: judges all candidates of a generation, and writes its page in `docs/`.

    python -m tests.agreement 1|2 [FOLDER]

It takes half an hour or more on two cores. What it makes lies in FOLDER, if one is given,
and stays there, else in a temporary one. What has been judged once in a folder is not judged
again: a run that was interrupted goes on.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pytest_fractal.candidate.store import Fact, Sharing, Store
from pytest_fractal.environments.environments import Environment
from pytest_fractal.errors import HarnessError
from pytest_fractal.server import version1
from pytest_fractal.server.environment import server_environment
from pytest_fractal.server.servers import ServerRelease

from . import document, mutants, outputs_1, outputs_2, rest
from .bases import BAD, GOOD, Base, build_bases, candidate_of, generation_of, read_base
from .suite import (
    Judge,
    Row,
    cases_of_mutants,
    cases_of_packages,
    judge_cases,
    judge_outputs,
)

T = TypeVar("T")

OLDER = "1.3.14"
"""What else judges mutants of generation 1."""
EVERY = {"1": 1, "2": 3}
"""Of how many mutants one is judged: a collection by a server of generation 2 takes longer."""
NOT_BUILT = ("FR001", "FR002", "FR004", "FR005", "FR006")
"""The rules whose bad packages do not build or install, or whose wheel is a good one."""
FAMILIES = {"1": outputs_1, "2": outputs_2}


def gather(generation: str, work: Path) -> document.Results:
    """Judge all candidates both ways; what that takes lies in `work` afterwards."""
    began = time.monotonic()

    def tell(what: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {what}", flush=True)

    edition = ServerRelease.chosen("", generation)
    server = edition.environment()
    tell(f"fractal-server {edition.version} is installed")
    good = [folder for folder in GOOD if generation_of(folder) == generation]
    bad = [
        folder
        for folder in BAD
        if generation_of(folder) == generation and not folder.name.startswith(NOT_BUILT)
    ]
    packages = [
        *cases_of_packages("good package", good, work / "good", server),
        *cases_of_packages("bad package", bad, work / "bad", server),
    ]
    chosen = mutants.chosen(bases(generation, good, work / "bases"), 1)[:: EVERY[generation]]
    mutated = list(cases_of_mutants(chosen, work / "mutants", server))
    tell(f"{len(packages)} packages and {len(mutated)} mutants are made")

    def judge(name: str, environment: Environment = server) -> Judge:
        return Judge(generation, environment, work / name)

    # Not with a key that only memory holds: the next run goes on with them.
    store = Store(Sharing(work / "results", b"kept between runs"))
    rows: list[Row] = _kept(
        store,
        Fact("packages", list[Row]),
        lambda: judge_cases(packages, judge("packages"), fully=True),
    )
    tell("packages are judged")
    rows = [
        *rows,
        *_kept(store, Fact("mutants", list[Row]), lambda: judge_cases(mutated, judge("judged"))),
    ]
    tell("mutants are judged")
    family = FAMILIES[generation]
    written: list[Row] = _kept(
        store,
        Fact("outputs", list[Row]),
        lambda: judge_outputs(family, list(family.outputs()), judge("outputs")),
    )
    tell(f"{len(written)} outputs are judged")
    sample = rest.chosen([*packages, *mutated], rows)
    asked: list[rest.Asked] = _kept(
        store, Fact("asked", list[rest.Asked]), lambda: rest.ask(generation, sample)
    )
    tell(f"{len(asked)} candidates have been asked of servers behind sockets")
    older_rows: list[Row] = []
    if generation == "1":
        older = server_environment(version1.recipe(OLDER))
        some = mutated[::3]
        older_rows = _kept(
            store, Fact("older", list[Row]), lambda: judge_cases(some, judge("older", older))
        )
        tell(f"fractal-server {OLDER} has judged every third mutant")
    return document.Results(
        generation=generation,
        server=f"fractal-server {edition.version}",
        rows=[*rows, *written],
        asked=asked,
        older=f"fractal-server {OLDER}",
        older_rows=older_rows,
    )


def _kept(store: Store, fact: Fact[T], gather: Callable[[], T]) -> T:
    """What has been judged as `fact`, now or before; a failure of the machine is not kept."""

    def tried() -> T:
        try:
            return gather()
        except HarnessError as error:
            raise RuntimeError(str(error)) from error

    return store.once(fact, tried)


def bases(generation: str, good: list[Path], work: Path) -> list[Base]:
    """What mutants are made of: for generation 2 also the package of outputs, with all types."""
    built = build_bases(good, work)
    if generation == "2":
        kinds = {output.kind: output for output in outputs_2.plain()}
        wheel, samples = outputs_2.make_package(work, list(kinds.values()))
        candidate = candidate_of(wheel, work / "outputs", samples=samples)
        built.insert(0, read_base(candidate, "fractal-outputs"))
    return built


def main(generation: str, work: Path) -> int:
    """Judge, write, and say what is at odds; returns 0 if nothing is."""
    results = gather(generation, work)
    document.write(results)
    print("\n".join(document.complaints(results)))
    return 1 if any(document.complaints(results)) else 0


if __name__ == "__main__":
    if sys.argv[1:2] not in (["1"], ["2"]):
        sys.exit("usage: python -m tests.agreement 1|2 [FOLDER]")
    with tempfile.TemporaryDirectory(prefix="pytest-fractal-agreement-") as temporary:
        sys.exit(main(sys.argv[1], Path(*sys.argv[2:3] or [temporary]).resolve()))
