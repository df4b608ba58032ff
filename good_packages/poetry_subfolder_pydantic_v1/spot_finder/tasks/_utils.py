"""The command line that all tasks of the package share."""

import json
from argparse import ArgumentParser


def run_fractal_task(*, task_function):
    """Call `task_function` with the arguments in a file, and write what it returns."""
    parser = ArgumentParser()
    parser.add_argument("-j", "--json", required=True)
    parser.add_argument("--metadata-out", required=True)
    args = parser.parse_args()
    with open(args.json) as file:
        arguments = json.load(file)
    update = task_function(**arguments)
    with open(args.metadata_out, "w") as file:
        json.dump(update, file)
