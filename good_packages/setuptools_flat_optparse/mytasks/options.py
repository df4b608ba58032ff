"""The command line that all tasks of the package share."""

from __future__ import annotations

import json
import optparse
from collections.abc import Callable
from typing import Any


def run_fractal_task(*, task_function: Callable[..., Any]) -> None:
    """Run `task_function` with the arguments of the file that `-j` names."""
    parser = optparse.OptionParser(usage="%prog -j FILE --metadata-out FILE")
    parser.add_option("-j", "--json", metavar="FILE")
    parser.add_option("--metadata-out", metavar="FILE")
    options, rest = parser.parse_args()
    if rest or not options.json or not options.metadata_out:
        parser.error("two files are needed, and nothing else")
    with open(options.json, encoding="utf-8") as source:
        update = task_function(**json.load(source))
    with open(options.metadata_out, "w", encoding="utf-8") as target:
        json.dump(update, target)
