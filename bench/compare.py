"""The tool beside what one would do without it, on the same package, in one run.

Usage: python bench/compare.py [CASE ...] [--runs N] [--folder FOLDER]

A CASE is `tiny` (two tasks), `fifty` (50 tasks without samples), a release such as
`fractal-tasks-core==0.14.3`, whose sdist is fetched, the folder of a source tree, or `items`
(1,000 tasks by static rules). Everything lies below FOLDER, caches too: one in memory leaves the
disk out. All ways take their turn, one after the other, once more than N times; the first turn
fills the caches of pip and uv, and is not counted. Ratios are those of each turn, then their
median: what else the machine does slows neighbours alike.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
GOOD: Final = ROOT / "good_packages"
KNOWN: Final = {"tiny": "hatchling_src_typer", "fifty": "hatchling_src_fractal_task_tools"}
UV: Final = (sys.executable, "-m", "uv")
Way = Callable[[Path, Path], None]
"""Takes a source tree and an empty folder to work in."""


def by_pip(tree: Path, folder: Path) -> None:
    """As one does by hand: an environment, pip, and each command once."""
    venv.create(folder / "environment", with_pip=True)
    python = folder / "environment" / "bin" / "python"
    call([python, "-m", "pip", "install", "--upgrade", "pip"])
    call([python, "-m", "pip", "install", tree])
    start_each(python, folder, 1)


def by_uv(tree: Path, folder: Path) -> None:
    """The same with uv."""
    start_each(installed_by_uv(tree, folder), folder, 1)


def floor(tree: Path, folder: Path) -> None:
    """The same, with as many commands at a time as there are cores."""
    start_each(installed_by_uv(tree, folder), folder, os.cpu_count() or 1)


def first(tree: Path, folder: Path) -> None:
    """The tool, without anything that it has kept."""
    shutil.rmtree(Path(os.environ["XDG_CACHE_HOME"], "pytest-fractal"), ignore_errors=True)
    judge(tree, folder)


def second(tree: Path, folder: Path) -> None:
    """The tool once more."""
    judge(tree, folder)


def loop(tree: Path, folder: Path) -> None:
    """The tool, after its author has changed a line of each module."""
    for module in tree.rglob("*.py"):
        if module.name != "setup.py":
            module.write_text(f"{module.read_text()}\n# {time.time_ns()}\n")
    judge(tree, folder)


WAYS: Final[Mapping[str, Way]] = {
    "pip": by_pip,
    "uv": by_uv,
    "floor": floor,
    "first": first,
    "second": second,
    "loop": loop,
}


def installed_by_uv(tree: Path, folder: Path) -> Path:
    """The interpreter of an environment in which the tree is installed."""
    python = folder / "environment" / "bin" / "python"
    call([*UV, "venv", "--seed", "--python", sys.executable, folder / "environment"])
    call([*UV, "pip", "install", "--python", python, tree])
    return python


def start_each(python: Path, folder: Path, at_a_time: int) -> None:
    """Start each command once, on arguments that it refuses."""
    site_packages = next((folder / "environment").glob("lib/*/site-packages"))
    (manifest,) = site_packages.glob("*/__FRACTAL_MANIFEST__.json")
    (folder / "arguments.json").write_text("{}")

    def start(number: int, task: Mapping[str, str]) -> None:
        names = ("executable", "executable_non_parallel", "executable_parallel")
        flags = ("-j", "--metadata-out") if names[0] in task else ("--args-json", "--out-json")
        for name in names:
            if task.get(name):
                script = manifest.parent / task[name]
                options = (
                    flags[0],
                    folder / "arguments.json",
                    flags[1],
                    folder / f"{number}.json",
                )
                subprocess.run([python, script, *options], check=False, capture_output=True)

    with ThreadPoolExecutor(at_a_time) as pool:
        tasks = json.loads(manifest.read_text())["task_list"]
        list(pool.map(start, range(len(tasks)), tasks))


def judge(tree: Path, folder: Path, *options: str) -> None:
    """Let the tool judge a tree."""
    call([sys.executable, "-m", "pytest_fractal", tree, *options], folder, check=False)


def call(argv: Sequence[str | Path], folder: Path | None = None, *, check: bool = True) -> str:
    """Run a command, and return what it prints."""
    ran = subprocess.run(argv, cwd=folder, check=False, capture_output=True, text=True)
    if check and ran.returncode:
        sys.exit(f"{argv}: {ran.stdout}{ran.stderr}")
    return ran.stdout


def measured(do: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and seconds of processor time of all processes."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    do()
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def turns(doing: Mapping[str, Callable[[Path], object]], runs: int, folder: Path) -> Iterator[str]:
    """Let all take their turn, and tell what came of it, in the lines of a table."""
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in doing}
    for turn in range(runs + 1):
        for name, do in doing.items():
            with tempfile.TemporaryDirectory(dir=folder) as work:
                took = measured(partial(do, Path(work)))
            if turn:
                seen[name].append(took)
                print(
                    f"  {name} {took[0]:.2f} s, {took[1]:.2f} s CPU", file=sys.stderr, flush=True
                )
    base = "floor" if "floor" in seen else next(iter(seen))
    yield f"| | seconds | CPU seconds | seconds / {base} | CPU / {base} |"
    yield "|---|---|---|---|---|"
    for name, own in seen.items():
        pairs = [*zip(own, seen[base], strict=True)]
        figures = [
            f"{statistics.median(seconds for seconds, _ in own):.1f}",
            f"{statistics.median(cpu for _, cpu in own):.1f}",
            f"{statistics.median(ours[0] / theirs[0] for ours, theirs in pairs):.2f}",
            f"{statistics.median(ours[1] / theirs[1] for ours, theirs in pairs):.2f}",
        ]
        yield f"| {name} | {' | '.join(figures)} |"


def source_tree(case: str, folder: Path) -> Path:
    """A source tree of a case, in a folder of its own."""
    place = folder / "source"
    shutil.rmtree(place, ignore_errors=True)
    if "==" in case:
        place.mkdir(parents=True)
        options = ("--no-deps", "--no-binary", ":all:", "-d", place)
        call([sys.executable, "-m", "pip", "download", *options, case], check=False)
        shutil.unpack_archive(next(place.glob("*.tar.gz")), place)
        return next(path for path in place.iterdir() if path.is_dir())
    shutil.copytree(GOOD / KNOWN[case] if case in KNOWN else Path(case), place)
    if case == "fifty":
        shutil.rmtree(place / "fractal_samples")
        (path,) = place.rglob("__FRACTAL_MANIFEST__.json")
        shutil.rmtree(path.parent / "dev")  # its list of tasks would be another
        manifest = json.loads(path.read_text())
        (task,) = (task for task in manifest["task_list"] if task["type"] == "parallel")
        manifest["task_list"] = list(copies_of_a_task(task, path.parent))
        path.write_text(json.dumps(manifest))
    return place


def copies_of_a_task(task: Mapping[str, Any], package: Path) -> Iterator[Mapping[str, Any]]:
    """The same task 50 times, each with a script and a name of its own."""
    script = package / task["executable_parallel"]
    for number in range(50):
        copy = script.with_name(f"{script.stem}_{number}.py")
        shutil.copy(script, copy)
        executable = str(copy.relative_to(package))
        yield {**task, "name": f"{task['name']} {number}", "executable_parallel": executable}


def items(runs: int, folder: Path) -> Iterator[str]:
    """A package of 1,000 tasks by static rules, beside as many empty items of pytest."""
    tree = source_tree("tiny", folder)
    (path,) = tree.rglob("__FRACTAL_MANIFEST__.json")
    manifest = json.loads(path.read_text())
    (task, *_) = manifest["task_list"]
    manifest["task_list"] = [{**task, "name": f"Task {number}"} for number in range(1000)]
    path.write_text(json.dumps(manifest))
    wheel_folder = folder / "wheel"
    call([*UV, "build", "--wheel", "--out-dir", wheel_folder, tree])
    (wheel,) = wheel_folder.glob("*.whl")
    rules = "--fractal-select=FR1,FR2"
    listed = call(
        [sys.executable, "-m", "pytest_fractal", wheel, rules, "--collect-only", "-qq"],
        check=False,
    )
    count = sum(line.count("::") for line in listed.splitlines()) or int(listed.split(": ")[-1])
    empty = folder / "test_empty.py"
    empty.write_text(
        "import pytest\n"
        f"@pytest.mark.parametrize('number', range({count}))\n"
        "def test_nothing(number): pass\n"
    )
    yield f"{count} items"
    yield from turns(
        {
            "empty items": lambda work: call([sys.executable, "-m", "pytest", "-q", empty], work),
            "the tool": lambda work: judge(wheel, work, rules, "-q"),
            "check_package": lambda work: call(
                [
                    *(sys.executable, "-c"),
                    "import sys; from pytest_fractal import check_package; "
                    "check_package(sys.argv[1], select=['FR1', 'FR2'])",
                    wheel,
                ],
                work,
            ),
        },
        runs,
        folder,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cases", nargs="*", default=["tiny"])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where everything lies; by default, in TMPDIR")
    parser.add_argument("--ways", default=",".join(WAYS), help="some of them, by their names")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.folder) as name:
        folder = Path(name).resolve()
        (folder / "tmp").mkdir()
        os.environ.update(XDG_CACHE_HOME=str(folder / "cache"), TMPDIR=str(folder / "tmp"))
        for variable in ("UV_CACHE_DIR", "PIP_CACHE_DIR", "PYTHONDONTWRITEBYTECODE"):
            os.environ.pop(variable, None)
        for case in options.cases:
            if case == "items":
                lines = items(options.runs, folder)
            else:
                tree = source_tree(case, folder)
                ways = {name: WAYS[name] for name in options.ways.split(",")}
                lines = turns(
                    {name: partial(way, tree) for name, way in ways.items()},
                    options.runs,
                    folder,
                )
            told = "\n".join(lines)
            print(f"\n{case}, {options.runs} runs, {os.cpu_count()} cores\n\n{told}", flush=True)


if __name__ == "__main__":
    main()
