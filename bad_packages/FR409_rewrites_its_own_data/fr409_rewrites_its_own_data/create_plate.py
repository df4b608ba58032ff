"""Create the wells of a plate."""

import json
from pathlib import Path

from fr409_rewrites_its_own_data.command import run_fractal_task

SEEN = Path(__file__).with_name("plates.json")


def create_plate(input_paths, output_path, metadata, plate, rows=2):
    """Create the wells of a plate."""
    wells = [f"{plate}_{number}" for number in range(rows)]
    for well in wells:
        Path(output_path, well).mkdir(parents=True, exist_ok=True)
    SEEN.write_text(json.dumps([*json.loads(SEEN.read_text()), plate]))
    return {"well": wells}


if __name__ == "__main__":
    run_fractal_task(task_function=create_plate)
