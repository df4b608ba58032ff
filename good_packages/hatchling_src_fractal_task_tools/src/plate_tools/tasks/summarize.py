"""Writes a table of all images."""

from pathlib import Path

from pydantic import validate_call


@validate_call
def summarize(
    *,
    # Fractal managed parameters
    zarr_urls: list[str],
    zarr_dir: str,
    # Task parameters
    table_name: str = "summary.csv",
) -> None:
    """
    Write one table with a line for each image.

    Args:
        zarr_urls: List of paths or urls to the individual OME-Zarr image to be processed.
            (standard argument for Fractal tasks, managed by Fractal server).
        zarr_dir: Path of the directory where the new OME-Zarrs will be created.
            (standard argument for Fractal tasks, managed by Fractal server).
        table_name: Name of the file.
    """
    lines = [
        f"{zarr_url},{Path(zarr_url, 'values.txt').read_text()}" for zarr_url in zarr_urls
    ]
    Path(zarr_dir, table_name).write_text("\n".join(lines))


if __name__ == "__main__":
    from fractal_task_tools.task_wrapper import run_fractal_task

    run_fractal_task(task_function=summarize)
