"""The command line that the tasks share."""

import argparse
import json
import sys
from pathlib import Path


def run(task_function):
    """Call a function with the arguments in a file, and write what it returns, if anything."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--args-json", type=Path, required=True)
    parser.add_argument("--out-json", type=Path, required=True)
    options = parser.parse_args()
    try:
        update = task_function(**json.loads(options.args_json.read_text()))
    except Exception as error:
        sys.exit(f"{task_function.__name__}: {error}")
    if update != "nothing":
        options.out_json.write_text(json.dumps(update))
