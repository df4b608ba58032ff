"""`python -m pytest_fractal.published`: judge published packages, and make the page of results."""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from pytest_fractal.errors import BadInput
from pytest_fractal.files import FILE_LIMIT, MEBIBYTE
from pytest_fractal.published.history import (
    Results,
    merged,
    read_result,
    read_results,
    results_json,
)
from pytest_fractal.published.judging import Limits, judge_all
from pytest_fractal.published.packages import PackageList, read_packages
from pytest_fractal.published.page import badges, render_page

RESULTS = "results.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; the status is 4 for what cannot be used."""
    parsed = _parser().parse_args(arguments)
    try:
        listed = read_packages(parsed.packages)
        match parsed.command:
            case "names":
                print(json.dumps([package.name for package in listed.package]))
            case "judge":
                _judge(listed, parsed)
            case "page":
                _page(listed, parsed)
    except (BadInput, OSError) as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 4
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pytest_fractal.published")
    parser.add_argument(
        "--packages", type=Path, default=Path("published/packages.toml"), help="the list (TOML)"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("names", help="print the names of the packages, as JSON")
    judge = commands.add_parser("judge", help="judge what FOLDER has no results of")
    judge.add_argument("folder", type=Path, help="where results lie, one file for each")
    judge.add_argument("--only", action="append", default=[], metavar="NAME")
    judge.add_argument("--python", action="append", default=[], metavar="VERSION")
    judge.add_argument("--newest", action="store_true", help="no older releases")
    judge.add_argument("--jobs", type=int, default=1, help="how many at the same time")
    judge.add_argument("--seconds", type=float, default=3600, help="for each")
    judge.add_argument("--megabytes", type=int, default=20 * 1024, help="on disk, for each")
    judge.add_argument("--select", default="", metavar="CODES", help="the rules; default: all")
    judge.add_argument(
        "--server",
        nargs="?",
        const="",
        metavar="VERSIONS",
        help="ask real servers too: these, or the newest that reads the package's manifest",
    )
    judge.add_argument(
        "--slurm",
        nargs="?",
        const="",
        metavar="OPTIONS",
        help="judge each as a job of the SLURM cluster, with these options of srun; "
        "its nodes must see FOLDER",
    )
    judge.add_argument(
        "--as-of",
        default="",
        metavar="DAY",
        help="judge with what the index had on this day (2026-05-31), if it tells when files came",
    )
    page = commands.add_parser("page", help="make the page of what FOLDER has")
    page.add_argument("folder", type=Path)
    page.add_argument("out", type=Path, help="where the page is written")
    page.add_argument(
        "--before", default="", metavar="FILE|URL", help="results.json of the run before"
    )
    return parser


def _judge(listed: PackageList, parsed: argparse.Namespace) -> None:
    cells = [
        cell
        for cell in listed.cells(parsed.only)
        if (not parsed.python or cell.python in parsed.python)
        and not (parsed.newest and _is_older(listed, cell.package, cell.release))
    ]
    limits = Limits(
        max(1, parsed.jobs),
        parsed.seconds,
        parsed.megabytes * MEBIBYTE,
        parsed.select,
        parsed.server,
        None if parsed.slurm is None else tuple(shlex.split(parsed.slurm)),
        _day(parsed.as_of) if parsed.as_of else None,
    )
    if limits.slurm is not None and shutil.which("srun") is None:
        raise BadInput("--slurm: there is no srun here, by which jobs reach SLURM")
    judge_all(cells, parsed.folder, limits, lambda line: print(line, flush=True))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadInput(f"--as-of={text}: this is no day such as 2026-05-31") from None


def _is_older(listed: PackageList, name: str, release: str) -> bool:
    (package,) = (entry for entry in listed.package if entry.name == name)
    return next(package.cells(listed.pythons)).release != release


def _page(listed: PackageList, parsed: argparse.Namespace) -> None:
    known = [cell.key for cell in listed.cells()]
    there = (parsed.folder / f"{key}.json" for key in known)
    found = [read_result(path) for path in there if path.is_file()]
    results = merged(_before(parsed.before), found, known)
    folder: Path = parsed.out
    (folder / "badges").mkdir(parents=True, exist_ok=True)
    (folder / RESULTS).write_bytes(results_json(results))
    (folder / "index.html").write_text(render_page(listed, results), "utf-8")
    for name, badge in badges(listed, results).items():
        (folder / "badges" / f"{name}.svg").write_text(badge, "utf-8")
    print(folder / "index.html")


def _before(place: str) -> Results:
    """The results of the run before; none where there has been none."""
    if not place:
        return Results()
    if not place.startswith(("http://", "https://")):
        path = Path(place)
        return read_results(path.read_bytes(), place) if path.is_file() else Results()
    try:
        with urllib.request.urlopen(place, timeout=60) as response:
            return read_results(response.read(FILE_LIMIT), place)
    except urllib.error.HTTPError as error:
        if error.code == 404:  # the first run
            return Results()
        raise BadInput(f"{place}: the server answers {error.code}") from None


if __name__ == "__main__":
    sys.exit(main())
