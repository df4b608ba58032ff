"""Writes its output in a `finally`, also when it fails."""

import json
from pathlib import Path

from close_calls.command import arguments_and_output


done = []


def write_in_finally(*, input_paths, output_path, metadata, wells):
    """Make some wells, and note which ones there are."""
    for number in range(wells):
        Path(output_path, f"well_{number}").mkdir(parents=True)
        done.append(f"well_{number}")


if __name__ == "__main__":
    arguments, output = arguments_and_output()
    try:
        write_in_finally(**arguments)
    finally:
        output.write_text(json.dumps({"well": done}))
