"""Create the wells of a plate."""

import subprocess
import sys
from pathlib import Path

from fr405_popen_not_waited_for.command import run_fractal_task


def create_plate(input_paths, output_path, metadata, plate, rows=2):
    """Create the wells of a plate."""
    wells = [f"{plate}_{number}" for number in range(rows)]
    for well in wells:
        Path(output_path, well).mkdir(parents=True, exist_ok=True)
    late = str(Path(output_path, "late.txt"))
    subprocess.Popen([sys.executable, "-c", f"import time; time.sleep(30); open({late!r}, 'w')"])
    return {"well": wells}


if __name__ == "__main__":
    run_fractal_task(task_function=create_plate)
