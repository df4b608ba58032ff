"""Judge manifests that are changed at random, and tell of each internal error.

    python -m tests.fuzz --count 100000 [--seed 0] [--start 0] [--seconds 5] [--keep FOLDER]

A manifest that takes longer than `--seconds` of processor time, is
reported like an internal error. Each is made of the seed and its number, so
`--start NUMBER --count 1` judges one again; with `--keep` those that are reported are kept.
"""

from __future__ import annotations

import argparse
import collections
import os
import resource
import sys
import time
import traceback
from pathlib import Path

from .judge import judge
from .manifests import manifests


def main() -> int:
    """Returns 1 when a manifest has brought about an internal error or took too long."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    for option, default in (("count", 1000), ("seed", 0), ("start", 0)):
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    total: collections.Counter[str] = collections.Counter()
    broken, slowest, began = 0, (0.0, 0), time.monotonic()
    for number, content in manifests(options.seed, options.start, options.count):
        before = _seconds()
        fault = ""
        try:
            total.update(judge(content))
        except Exception:
            fault = traceback.format_exc()
        seconds = _seconds() - before
        slowest = max(slowest, (seconds, number))
        if seconds > options.seconds:
            fault += f"{seconds:.1f} s of processor time\n"
        if fault:
            broken += 1
            print(f"manifest {number}:\n{fault}", flush=True)
            if options.keep:
                options.keep.mkdir(parents=True, exist_ok=True)
                (options.keep / f"{options.seed}-{number}.json").write_bytes(content)
        done = number - options.start + 1
        if done % 1000 == 0:
            print(f"{done} manifests, {broken} reported", flush=True)
    print(
        f"{options.count} manifests in {time.monotonic() - began:.0f} s, {broken} reported; "
        f"the slowest, number {slowest[1]}, took {slowest[0]:.1f} s; verdicts: {dict(total)}"
    )
    return 1 if broken else 0


def _seconds() -> float:
    """Seconds of processor time of this process and its children, whether they have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    ticks = 0
    for children in Path("/proc/self/task").glob("*/children"):  # there on Linux
        for number in children.read_text().split():
            fields = Path(f"/proc/{number}/stat").read_text().rpartition(") ")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return sum(value.ru_utime + value.ru_stime for value in used) + ticks / os.sysconf(
        "SC_CLK_TCK"
    )


sys.exit(main())
