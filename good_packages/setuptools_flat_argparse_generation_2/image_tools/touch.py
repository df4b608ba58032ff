"""Writes into images, and tells nothing."""

from pathlib import Path

from image_tools.lib.command import run


def touch(*, zarr_url):
    """Leave a mark in an image."""
    Path(zarr_url, "touched").touch()
    return "nothing"


if __name__ == "__main__":
    run(touch)
