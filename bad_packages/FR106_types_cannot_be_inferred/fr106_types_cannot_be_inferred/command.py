"""The command line that all tasks of the package share."""

import argparse
import json


def run_fractal_task(*, task_function):
    """Call `task_function` with the arguments in a file, and write what it returns."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--args-json", required=True)
    parser.add_argument("--out-json", required=True)
    options = parser.parse_args()
    with open(options.args_json, encoding="utf-8") as file:
        arguments = json.load(file)
    update = task_function(**arguments)
    with open(options.out_json, "w", encoding="utf-8") as file:
        json.dump(update, file)
