"""Runs a task on the arguments in a file."""

import argparse
import json
from pathlib import Path
from typing import get_type_hints


def run_fractal_task(function, model):
    """Call the function with the arguments, if the model is made for it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-j", "--json", required=True)
    parser.add_argument("--metadata-out", required=True)
    options = parser.parse_args()
    with open(options.json) as file:
        arguments = json.load(file)
    hints, fields = get_type_hints(function), get_type_hints(model)
    hints.pop("return", None)
    if hints != fields:
        raise ValueError(f"{sorted(hints)} are not {sorted(fields)}")
    Path(options.metadata_out).write_text(json.dumps(function(**arguments)))
