"""The command line that all tasks of the package share."""

import argparse
import json


def run_fractal_task(*, task_function):
    """Call `task_function` with the arguments in a file, and write what it returns."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-j", "--json", required=True)
    parser.add_argument("--metadata-out", required=True)
    options = parser.parse_args()
    with open(options.json, encoding="utf-8") as file:
        arguments = json.load(file)
    update = task_function(**arguments)
    with open(options.metadata_out, "w", encoding="utf-8") as file:
        json.dump(update, file)
