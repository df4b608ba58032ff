"""Create the wells of a plate."""

from pathlib import Path


def create_plate(input_paths, output_path, metadata, plate, rows=2):
    """Create the wells of a plate."""
    wells = [f"{plate}_{number}" for number in range(rows)]
    for well in wells:
        Path(output_path, well).mkdir(parents=True, exist_ok=True)
    return {"well": wells}
