"""The compute part of an import."""

from pathlib import Path

from image_tools.lib.command import run


def compute_import(*, zarr_url, init_args):
    """Make an image; that there are no init_args does not matter."""
    Path(zarr_url).mkdir()
    update = {
        # Slashes too many do no harm, nor does telling of an image twice.
        "zarr_url": f"{zarr_url}//",
        "attributes": {"number": 1.5, "kept": None, "is_new": True, "label": "ä"},
        "types": {"raw": True},
    }
    return {"image_list_updates": [update, dict(update)], "image_list_removals": []}


if __name__ == "__main__":
    run(compute_import)
