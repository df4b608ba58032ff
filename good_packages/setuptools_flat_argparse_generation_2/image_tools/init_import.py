"""The init part of an import."""

from pathlib import Path

from image_tools.lib.command import run


def init_import(*, zarr_dir, number=2):
    """Say what is to be imported, the same image twice."""
    images = [f"{zarr_dir}/image_{index}.zarr" for index in range(number)]
    Path(zarr_dir, "imports").mkdir(parents=True)
    return {"parallelization_list": [{"zarr_url": image} for image in [*images, *images]]}


if __name__ == "__main__":
    run(init_import)
