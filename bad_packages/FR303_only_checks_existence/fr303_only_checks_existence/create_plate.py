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
    parser.add_argument("-j", "--json", type=Path, required=True)
    parser.add_argument("--metadata-out", type=Path, required=True)
    options = parser.parse_args()
    if not options.json.is_file():
        parser.error(f"there is no {options.json}")
    update = create_plate([], options.metadata_out.parent, {}, "plate")
    options.metadata_out.write_text(json.dumps(update))
