"""The main job beside a shell script of the same steps, by stage.

Usage: python bench/main_job.py [--runs N] [--package WHEEL_OR_REQUIREMENT]

The script fetches the wheel, makes an environment, installs into it with uv, and starts
each command once, one after the other; the tool does the same and judges besides, with
the commands overlapped. Both run in turn, with a warm cache; medians are compared.
Needs the network for the first, uncounted turn.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

UV = (sys.executable, "-m", "uv")
STEPS = ("fetch", "environment", "install", "runs")


def script(package: str, folder: Path) -> dict[str, float]:
    """Seconds by stage of the plain steps."""
    seconds: dict[str, float] = {}

    def step(name: str, *argv: str | Path, check: bool = True) -> None:
        started = time.perf_counter()
        subprocess.run([str(word) for word in argv], check=check, capture_output=True, cwd=folder)
        seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - started

    environment = folder / "environment"
    wheel = Path(package)
    if not wheel.is_file():
        step("fetch", sys.executable, "-m", "pip", "download", "--no-deps", "-d", folder, package)
        wheel = next(folder.glob("*.whl"))
    step("environment", *UV, "venv", "--seed", "--python", sys.executable, environment)
    python = environment / "bin" / "python"
    step("install", *UV, "pip", "install", "--python", python, wheel)
    (package_folder,) = environment.glob("lib/*/site-packages/*/__FRACTAL_MANIFEST__.json")
    manifest = json.loads(package_folder.read_text())
    (folder / "arguments.json").write_text("{}")
    for number, task in enumerate(manifest["task_list"]):
        step(
            "runs",
            python,
            package_folder.parent / task["executable"],
            "-j",
            "arguments.json",
            "--metadata-out",
            f"output-{number}.json",
            check=False,
        )
    return seconds


def tool(package: str, folder: Path) -> tuple[dict[str, float], int]:
    """Seconds by stage of the tool, and how many processes it started."""
    report = folder / "report.json"
    subprocess.run(
        [sys.executable, "-m", "pytest_fractal", package, f"--fractal-report={report}"],
        capture_output=True,
        cwd=folder,
        check=False,
    )
    (candidate,) = json.loads(report.read_text())["candidates"]
    timings = candidate["timings"]
    return {"fetch": timings.pop("build"), **timings}, len(candidate["runs"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--package", default="fractal-tasks-core==0.14.3")
    options = parser.parse_args()
    turns: dict[str, list[dict[str, float]]] = {"tool": [], "script": []}
    starts = 0
    for turn in range(options.runs + 1):
        for name in turns:
            with tempfile.TemporaryDirectory() as folder:
                started = time.perf_counter()
                if name == "tool":
                    seconds, starts = tool(options.package, Path(folder))
                else:
                    seconds = script(options.package, Path(folder))
                seconds["whole"] = time.perf_counter() - started
            if turn:  # the first turn warms the caches
                turns[name].append(seconds)
    print(f"{options.package}, {options.runs} runs, {os.cpu_count()} cores, {starts} starts")
    print(f"{'stage':<12} {'tool':>8} {'script':>8} {'ratio':>6}   (median seconds)")
    for stage in (*STEPS, "whole"):
        ours, theirs = (
            statistics.median(run.get(stage, 0.0) for run in turns[name]) for name in turns
        )
        ratio = f"{ours / theirs:6.2f}" if theirs else ""
        print(f"{stage:<12} {ours:8.2f} {theirs:8.2f} {ratio}")


if __name__ == "__main__":
    main()
