"""Create the folders of a plate."""

from pathlib import Path

from fractal_stitch._utils import run_fractal_task


def create_plate(
    # Supplied by Fractal
    input_paths,
    output_path,
    metadata,
    # Arguments of the task
    plate,
    rows=2,
    columns=3,
):
    """Create the folders of a plate, and tell which wells it has."""
    wells = [f"{plate}.zarr/{chr(65 + row)}/{column}" for row in range(rows) for column in range(columns)]
    for well in wells:
        Path(f"{output_path}/{well}").mkdir(parents=True, exist_ok=True)
    Path(f"{output_path}/{plate}.zarr/sources.txt").write_text("\n".join(input_paths))
    return {"plate": [f"{plate}.zarr"], "well": wells}


if __name__ == "__main__":
    run_fractal_task(task_function=create_plate)
