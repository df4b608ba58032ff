"""Keeps scratch files in the working directory, as old programs do."""

import json
import os
from pathlib import Path

from close_calls.command import arguments_and_output


def use_working_directory(*, input_paths, output_path, metadata):
    """Work where the command was started, and move the result to where it belongs."""
    scratch = Path("scratch.tmp")
    scratch.write_text("half done")
    os.replace(scratch, "result.txt")
    target = Path(output_path, "result.txt")
    target.write_text(Path("result.txt").read_text())
    return {}


if __name__ == "__main__":
    arguments, output = arguments_and_output()
    # Appears whole or not at all.
    partial = output.with_suffix(".partial")
    partial.write_text(json.dumps(use_working_directory(**arguments)))
    partial.replace(output)
