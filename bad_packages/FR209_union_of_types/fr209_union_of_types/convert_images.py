"""Convert images to OME-Zarr."""

from pathlib import Path

from fr209_union_of_types.command import run_fractal_task


def convert_images(*, zarr_dir, plate, level=0):
    """Convert images to OME-Zarr."""
    image = Path(zarr_dir, f"{plate}.zarr", "B", "03", "0")
    image.mkdir(parents=True, exist_ok=True)
    return {"image_list_updates": [{"zarr_url": str(image), "attributes": {"well": "B03"}}]}


if __name__ == "__main__":
    run_fractal_task(task_function=convert_images)
