"""Create the wells of a plate."""

from pathlib import Path

from fr403_half_a_surrogate_pair.command import run_fractal_task


def create_plate(input_paths, output_path, metadata, plate, rows=2):
    """Create the wells of a plate."""
    wells = [f"{plate}_{number}" for number in range(rows)]
    for well in wells:
        Path(output_path, well).mkdir(parents=True, exist_ok=True)
    return {"well": wells, "unit": "\ud835m"}


if __name__ == "__main__":
    run_fractal_task(task_function=create_plate)
