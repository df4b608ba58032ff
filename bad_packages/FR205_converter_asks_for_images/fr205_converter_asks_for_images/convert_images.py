"""Make images."""

from pathlib import Path

from fr205_converter_asks_for_images.command import run_fractal_task


def convert_images(*, zarr_dir, zarr_urls, number=2):
    """Make some images."""
    images = [Path(zarr_dir, f"image_{index}.zarr") for index in range(number)]
    for image in images:
        image.mkdir(parents=True)
    return {"image_list_updates": [{"zarr_url": str(image)} for image in images]}


if __name__ == "__main__":
    run_fractal_task(task_function=convert_images)
