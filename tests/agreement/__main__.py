"""The whole suite: judges all candidates of a generation, and writes its page in `docs/`.

    python -m tests.agreement 1|2 [--folder=FOLDER] [--server=VERSIONS] [--fully=N] [--workers=N]

What it makes lies in FOLDER, if one is given, and stays there, else in a temporary one: below it
a folder for each VERSION. What a server was asked once in a folder, it is not asked again, and
what the same code has judged is not judged again, be it for another VERSION: a run that was
interrupted goes on. Several VERSIONS have commas between, and each has a column in the page. For
others than those that the page is about (`document.RELEASES`), it is printed instead.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path

from pytest_fractal.server.servers import ServerRelease

from . import document
from .gathering import FAMILIES, gather


def main(words: list[str]) -> int:
    """Judge, write, and say what is at odds; returns 0 if nothing is."""
    parser = argparse.ArgumentParser(prog="python -m tests.agreement")
    parser.add_argument("generation", choices=sorted(FAMILIES))
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--server", default="", metavar="VERSIONS")
    parser.add_argument("--fully", type=int, default=1, metavar="N")
    parser.add_argument("--workers", type=int, default=2, metavar="N")
    given = parser.parse_args(words)
    about = document.RELEASES[given.generation]
    releases = ServerRelease.chosen(given.server or ",".join(about), given.generation)
    with (
        tempfile.TemporaryDirectory(prefix="pytest-fractal-agreement-") as temporary,
        ProcessPoolExecutor(len(releases), get_context("spawn")) as pool,
    ):
        work = (given.folder or Path(temporary)).resolve()
        places = [work / release.version for release in releases]
        several = list(
            pool.map(gather, releases, places, repeat(given.fully), repeat(given.workers))
        )
    if tuple(release.version for release in releases) == about:
        document.write(several)
    else:
        print("\n".join(document.page(several)))
    odd = [f"{code.version}: {line}" for code in several for line in document.complaints(code)]
    print("\n".join(odd))
    return 1 if odd else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
