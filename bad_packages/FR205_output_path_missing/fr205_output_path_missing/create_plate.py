"""Create the wells of a plate."""

from pathlib import Path
from tempfile import gettempdir

from fr205_output_path_missing.command import run_fractal_task


def create_plate(input_paths, metadata, plate, rows=2, **others):
    """Create the wells of a plate."""
    wells = [f"{plate}_{number}" for number in range(rows)]
    for well in wells:
        Path(gettempdir(), well).mkdir(parents=True, exist_ok=True)
    return {"well": wells}


if __name__ == "__main__":
    run_fractal_task(task_function=create_plate)
