"""Counts images."""

from pathlib import Path

from image_tools.lib.command import run


def count(*, zarr_urls, zarr_dir):
    """Write how many images there are."""
    Path(zarr_dir, "count.txt").write_text(str(len(zarr_urls)))


if __name__ == "__main__":
    run(count)
