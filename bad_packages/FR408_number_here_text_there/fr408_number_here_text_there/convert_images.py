"""Make images."""

from pathlib import Path

from fr408_number_here_text_there.command import run_fractal_task


def convert_images(*, zarr_dir, number=2):
    """Make some images."""
    images = [Path(zarr_dir, f"image_{index}.zarr") for index in range(number)]
    for image in images:
        image.mkdir(parents=True)
    updates = [
        {"zarr_url": str(image), "attributes": {"cycle": index or "reference"}}
        for index, image in enumerate(images)
    ]
    return {"image_list_updates": updates}


if __name__ == "__main__":
    run_fractal_task(task_function=convert_images)
