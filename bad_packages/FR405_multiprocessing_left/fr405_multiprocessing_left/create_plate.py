"""Create the wells of a plate."""

import multiprocessing
import time
from pathlib import Path

from fr405_multiprocessing_left.command import run_fractal_task


def write_later(folder):
    """Write to one well, when it is too late."""
    time.sleep(30)
    Path(folder, "late.txt").write_text("written by another process")


def create_plate(input_paths, output_path, metadata, plate, rows=2):
    """Create the wells of a plate."""
    wells = [f"{plate}_{number}" for number in range(rows)]
    for well in wells:
        Path(output_path, well).mkdir(parents=True, exist_ok=True)
    for well in wells:
        multiprocessing.Process(target=write_later, args=[Path(output_path, well)]).start()
    return {"well": wells}


if __name__ == "__main__":
    run_fractal_task(task_function=create_plate)
