"""Make images."""

from pathlib import Path

from fr903_more_memory_than_any_node.command import run_fractal_task


def convert_images(*, zarr_dir, number=2):
    """Make some images."""
    images = [Path(zarr_dir, f"image_{index}.zarr") for index in range(number)]
    for image in images:
        image.mkdir(parents=True)
    return {"image_list_updates": [{"zarr_url": str(image)} for image in images]}


if __name__ == "__main__":
    run_fractal_task(task_function=convert_images)
