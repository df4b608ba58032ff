"""Create the wells of a plate."""

from pathlib import Path

from fr207_default_for_what_fractal_supplies.command import run_fractal_task


def create_plate(input_paths, output_path, metadata={}, plate="first", rows=2):
    """Create the wells of a plate."""
    wells = [f"{plate}_{number}" for number in range(int(rows))]
    for well in wells:
        Path(output_path, well).mkdir(parents=True, exist_ok=True)
    return {"well": wells}


if __name__ == "__main__":
    run_fractal_task(task_function=create_plate)
