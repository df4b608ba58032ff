"""The command line that all tasks of the package share."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def run_fractal_task(*, task_function: Callable[..., Any]) -> None:
    """Read the command line word by word, and run `task_function`."""
    arguments = metadata_out = None
    words = sys.argv[1:]
    while words:
        word = words.pop(0)
        if word == "-j" and words:
            arguments = Path(words.pop(0))
        elif word == "--metadata-out" and words:
            metadata_out = Path(words.pop(0))
        else:
            sys.exit(f"do not know what to do with {word}")
    if arguments is None or metadata_out is None:
        sys.exit("-j and --metadata-out are needed")
    update = task_function(**json.loads(arguments.read_bytes()))
    metadata_out.write_text(json.dumps(update))
