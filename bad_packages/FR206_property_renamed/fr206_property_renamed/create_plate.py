"""Create the wells of a plate."""

from pathlib import Path

from fr206_property_renamed.command import run_fractal_task


def create_plate(input_paths, output_path, metadata, plate, number_of_rows=2):
    """Create the wells of a plate."""
    wells = [f"{plate}_{number}" for number in range(number_of_rows)]
    for well in wells:
        Path(output_path, well).mkdir(parents=True, exist_ok=True)
    return {"well": wells}


if __name__ == "__main__":
    run_fractal_task(task_function=create_plate)
