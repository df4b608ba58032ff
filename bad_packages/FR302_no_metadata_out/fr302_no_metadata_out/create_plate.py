"""Create the wells of a plate."""

import argparse
import json
from pathlib import Path


def create_plate(input_paths, output_path, metadata, plate, rows=2):
    """Create the wells of a plate."""
    wells = [f"{plate}_{number}" for number in range(rows)]
    for well in wells:
        Path(output_path, well).mkdir(parents=True, exist_ok=True)
    return {"well": wells}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("-j", "--json", required=True)
    options = parser.parse_args()
    with open(options.json) as file:
        create_plate(**json.load(file))
