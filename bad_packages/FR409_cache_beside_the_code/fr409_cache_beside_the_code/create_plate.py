"""Create the wells of a plate."""

import os
import time
from pathlib import Path

from fr405_daemon.command import run_fractal_task


def create_plate(input_paths, output_path, metadata, plate, rows=2):
    """Create the wells of a plate."""
    wells = [f"{plate}_{number}" for number in range(rows)]
    for well in wells:
        Path(output_path, well).mkdir(parents=True, exist_ok=True)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(30)
            Path(output_path, "late.txt").write_text("written by a daemon")
        os._exit(0)
    os.wait()
    return {"well": wells}


if __name__ == "__main__":
    run_fractal_task(task_function=create_plate)
