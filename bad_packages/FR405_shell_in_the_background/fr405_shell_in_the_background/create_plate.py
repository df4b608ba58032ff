"""Create the wells of a plate."""

import subprocess
from pathlib import Path

from fr405_shell_in_the_background.command import run_fractal_task


def create_plate(input_paths, output_path, metadata, plate, rows=2):
    """Create the wells of a plate."""
    wells = [f"{plate}_{number}" for number in range(rows)]
    for well in wells:
        Path(output_path, well).mkdir(parents=True, exist_ok=True)
    subprocess.run("(sleep 30; touch late.txt) > /dev/null 2>&1 &", shell=True, check=True, cwd=output_path)
    return {"well": wells}


if __name__ == "__main__":
    run_fractal_task(task_function=create_plate)
