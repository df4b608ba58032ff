"""Copies an image; both the parallel task and the compute part of another run it."""

import shutil

from image_tools.lib.command import run


def copy_image(*, zarr_url, init_args=None, suffix="copy"):
    """Copy one image beside itself, and be done with the old one if told so."""
    target = f"{zarr_url}_{suffix}"
    shutil.copytree(zarr_url, target)
    update = {
        "image_list_updates": [
            {"zarr_url": target, "origin": zarr_url, "attributes": {}, "types": {}}
        ]
    }
    if (init_args or {}).get("replace"):
        update["image_list_removals"] = [zarr_url]
    return update


if __name__ == "__main__":
    run(copy_image)
