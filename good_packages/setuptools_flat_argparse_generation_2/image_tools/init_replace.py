"""The init part of replacing images by copies."""

from image_tools.lib.command import run


def init_replace(*, zarr_urls, zarr_dir):
    """Hand on each image once."""
    return {
        "parallelization_list": [
            {"zarr_url": zarr_url, "init_args": {"replace": True}}
            for zarr_url in zarr_urls
            if zarr_url.startswith(zarr_dir)
        ]
    }


if __name__ == "__main__":
    run(init_replace)
