"""Create the wells of a plate."""

import os
import signal
from pathlib import Path

from fr401_killed_by_a_signal.command import run_fractal_task


def create_plate(input_paths, output_path, metadata, plate, rows=2):
    """Create the wells of a plate."""
    wells = [f"{plate}_{number}" for number in range(rows)]
    for well in wells:
        Path(output_path, well).mkdir(parents=True, exist_ok=True)
    os.kill(os.getpid(), signal.SIGKILL)
    return {"well": wells}


if __name__ == "__main__":
    run_fractal_task(task_function=create_plate)
