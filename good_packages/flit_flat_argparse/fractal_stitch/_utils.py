"""The command line that all tasks of the package share."""

import json
from argparse import ArgumentParser
from pathlib import Path


def run_fractal_task(*, task_function):
    """Call `task_function` with the arguments in a file, and write what it returns."""
    parser = ArgumentParser()
    parser.add_argument("-j", "--json", help="file with the arguments", required=True)
    parser.add_argument("--metadata-out", help="file for the metadata update", required=False)
    args = parser.parse_args()
    if args.metadata_out and Path(args.metadata_out).exists():
        parser.exit(status=1, message=f"{args.metadata_out} is already there\n")
    with open(args.json, encoding="utf-8") as file:
        arguments = json.load(file)
    update = task_function(**arguments)
    if args.metadata_out:
        with open(args.metadata_out, "w", encoding="utf-8") as file:
            json.dump(update, file)
