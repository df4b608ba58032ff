"""The command line that the tasks of the package share."""

import argparse
import json
from pathlib import Path


def arguments_and_output():
    """The arguments in the file that `-j` names, and the path of the output."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-j", "--json", type=Path, required=True)
    parser.add_argument("--metadata-out", type=Path, required=True)
    options = parser.parse_args()
    return json.loads(options.json.read_text()), options.metadata_out
