"""The whole suite: judges all candidates, and writes `docs/agreement.md`.

    python -m tests.agreement [FOLDER]

It takes about twenty minutes on two cores. What it makes lies in FOLDER, if one is given,
and stays there; else in a temporary one.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from pytest_fractal.server import version1
from pytest_fractal.server.environment import server_environment

from . import document, mutants, rest
from .bases import BAD, GOOD, build_bases
from .outputs import outputs
from .suite import cases_of_mutants, cases_of_packages, judge_cases, judge_outputs

OLDER = "1.3.14"
NOT_BUILT = ("FR001", "FR002", "FR004", "FR005", "FR006")
"""The rules whose bad packages do not build or install, or whose wheel is a good one."""


def gather(work: Path) -> document.Results:
    """Judge all candidates both ways; what that takes lies in `work` afterwards."""
    began = time.monotonic()

    def tell(what: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {what}", flush=True)

    server = server_environment(version1.recipe(version1.DEFAULT))
    older = server_environment(version1.recipe(OLDER))
    tell("servers are installed")
    bad = [folder for folder in BAD if not folder.name.startswith(NOT_BUILT)]
    packages = [
        *cases_of_packages("good package", GOOD, work / "good", server),
        *cases_of_packages("bad package", bad, work / "bad", server),
    ]
    chosen = mutants.chosen(build_bases(GOOD, work / "bases"), 1)
    mutated = list(cases_of_mutants(chosen, work / "mutants", server))
    tell(f"{len(packages)} packages and {len(mutated)} mutants are made")
    rows = judge_cases(packages, server, work / "packages", fully=True)
    tell("packages are judged")
    rows += judge_cases(mutated, server, work / "judged")
    tell("mutants are judged")
    written = judge_outputs(list(outputs()), server, work / "outputs")
    tell(f"{len(written)} outputs are judged")
    older_rows = judge_cases(mutated, older, work / "older")
    tell(f"fractal-server {OLDER} has judged the mutants")
    asked = rest.ask(rest.chosen([*packages, *mutated], rows))
    tell(f"{len(asked)} candidates have been asked of servers behind sockets")
    return document.Results(
        server=f"fractal-server {version1.DEFAULT}",
        rows=[*rows, *written],
        asked=asked,
        older=f"fractal-server {OLDER}",
        older_rows=older_rows,
    )


def main(work: Path) -> int:
    """Judge, write, and say what is at odds; returns 0 if nothing is."""
    results = gather(work)
    document.write(results)
    print("\n".join(document.complaints(results)))
    return 1 if any(document.complaints(results)) else 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="pytest-fractal-agreement-") as temporary:
        sys.exit(main(Path(*sys.argv[1:2] or [temporary]).resolve()))
