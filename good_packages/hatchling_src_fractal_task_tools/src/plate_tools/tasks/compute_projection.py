"""The compute part of the projection of a plate."""

from pathlib import Path
from typing import Any

from pydantic import validate_call

from plate_tools.tasks.init_args import InitArgsProjection


@validate_call
def compute_projection(
    *,
    # Fractal managed parameters
    zarr_url: str,
    init_args: InitArgsProjection,
) -> dict[str, Any]:
    """
    Project one image.

    Args:
        zarr_url: Path or url to the individual OME-Zarr image to be processed.
            (standard argument for Fractal tasks, managed by Fractal server).
        init_args: Initialization arguments provided by `init_projection`.
    """
    *_, first, second, third = Path(init_args.origin_url, "values.txt").read_text().split()
    projected = {"max": max, "min": min}[init_args.method]((first, second, third))
    target = Path(zarr_url)
    target.mkdir(parents=True)
    (target / "values.txt").write_text(f"x y {projected}")
    return {
        "image_list_updates": [
            {
                "zarr_url": zarr_url,
                "origin": init_args.origin_url,
                "attributes": {"plate": target.parts[-4]},
                "types": {"is_3D": False},
            }
        ]
    }


if __name__ == "__main__":
    from fractal_task_tools.task_wrapper import run_fractal_task

    run_fractal_task(task_function=compute_projection)
