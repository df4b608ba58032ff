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
    parser.add_argument("arguments", type=Path)
    parser.add_argument("metadata_out", type=Path)
    options = parser.parse_args()
    update = create_plate(**json.loads(options.arguments.read_text()))
    options.metadata_out.write_text(json.dumps(update))
