"""Create the wells of a plate."""

from pathlib import Path

from fr902_depends_on_working_directory.command import run_fractal_task


def create_plate(input_paths, output_path, metadata, plate, rows=2):
    """Create the wells of a plate."""
    wells = [f"{plate}_{number}" for number in range(rows)]
    for well in wells:
        Path(output_path, well).mkdir(parents=True, exist_ok=True)
    return {"well": wells, "log": str(Path("create_plate.log").resolve())}


if __name__ == "__main__":
    run_fractal_task(task_function=create_plate)
