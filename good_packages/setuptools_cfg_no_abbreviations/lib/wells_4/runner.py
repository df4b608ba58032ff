"""The command line that all tasks of the package share."""

import argparse
import json
import sys


def run_fractal_task(task_function):
    """Run `task_function` with the arguments of a file; options must be written in full."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("-j", dest="arguments", type=argparse.FileType("rb"), required=True)
    parser.add_argument("--metadata-out", type=argparse.FileType("w"), default=sys.stdout)
    options = parser.parse_args()
    with options.arguments:
        arguments = json.loads(options.arguments.read().decode("utf-8"))
    update = task_function(**arguments)
    with options.metadata_out:
        json.dump(update, options.metadata_out)
