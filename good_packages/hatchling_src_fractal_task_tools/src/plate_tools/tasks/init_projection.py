"""The init part of the projection of a plate."""

from pathlib import Path
from typing import Any

from pydantic import validate_call

from plate_tools.tasks.init_args import InitArgsProjection


@validate_call
def init_projection(
    *,
    # Fractal managed parameters
    zarr_urls: list[str],
    zarr_dir: str,
    # Task parameters
    method: str = "max",
    suffix: str = "projected",
) -> dict[str, list[dict[str, Any]]]:
    """
    Create the plate for the projections.

    Args:
        zarr_urls: List of paths or urls to the individual OME-Zarr image to be processed.
            (standard argument for Fractal tasks, managed by Fractal server).
        zarr_dir: Path of the directory where the new OME-Zarrs will be created.
            (standard argument for Fractal tasks, managed by Fractal server).
        method: How to project.
        suffix: What to add to the name of the plate.
    """
    parallelization_list = []
    for zarr_url in zarr_urls:
        plate, row, column, number = Path(zarr_url).parts[-4:]
        new_plate = plate.replace(".zarr", f"_{suffix}.zarr")
        parallelization_list.append(
            {
                "zarr_url": f"{zarr_dir}/{new_plate}/{row}/{column}/{number}",
                "init_args": InitArgsProjection(
                    origin_url=zarr_url, method=method
                ).model_dump(),
            }
        )
    return {"parallelization_list": parallelization_list}


if __name__ == "__main__":
    from fractal_task_tools.task_wrapper import run_fractal_task

    run_fractal_task(task_function=init_projection)
