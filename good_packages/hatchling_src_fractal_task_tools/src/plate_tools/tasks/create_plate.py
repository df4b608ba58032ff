"""Makes a plate, so that there is something to work on."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, validate_call


class Acquisition(BaseModel):
    """
    One pass of the microscope.

    Attributes:
        name: What it is called.
        wells: The wells that it saw.
    """

    name: str
    wells: list[str] = Field(default_factory=lambda: ["B03"], min_length=1)


@validate_call
def create_plate(
    *,
    # Fractal managed parameters
    zarr_dir: str,
    # Task parameters
    acquisitions: list[Acquisition],
    plate_name: str = "plate",
    overwrite: bool = False,
) -> dict[str, Any]:
    """
    Create a plate with an image for each well of each acquisition.

    Args:
        zarr_dir: Path of the directory where the new OME-Zarrs will be created.
            (standard argument for Fractal tasks, managed by Fractal server).
        acquisitions: What the microscope has seen.
        plate_name: Name of the plate, without its suffix.
        overwrite: Whether a plate that is there already may be replaced.
    """
    updates = []
    for number, acquisition in enumerate(acquisitions):
        for well in acquisition.wells:
            image = Path(zarr_dir, f"{plate_name}.zarr", well[0], well[1:], str(number))
            image.mkdir(parents=True, exist_ok=overwrite)
            (image / "values.txt").write_text(f"{number} {well} 3 1 2")
            updates.append(
                {
                    # A Path: the wrapper writes it as a text.
                    "zarr_url": image,
                    "attributes": {
                        "plate": f"{plate_name}.zarr",
                        "well": well,
                        "acquisition": number,
                    },
                    "types": {"is_3D": True},
                }
            )
    return {"image_list_updates": updates}


if __name__ == "__main__":
    from fractal_task_tools.task_wrapper import run_fractal_task

    run_fractal_task(task_function=create_plate)
