"""Create the wells of a plate."""

from pathlib import Path

from fr401_component_with_a_quote.command import run_fractal_task


def create_plate(input_paths, output_path, metadata, plate, rows=2):
    """Create the wells of a plate."""
    wells = [f"{plate}_{number}" for number in range(rows)]
    wells += ["the cell's"]
    for well in wells:
        Path(output_path, well).mkdir(parents=True, exist_ok=True)
    return {"well": wells}


if __name__ == "__main__":
    run_fractal_task(task_function=create_plate)
