"""Find what to project."""

from fr408_init_args_no_object.command import run_fractal_task


def init_project(*, zarr_urls, zarr_dir, suffix="mip"):
    """Name an image for the projection of each image."""
    return {
        "parallelization_list": [
            {"zarr_url": zarr_url, "init_args": f"{zarr_url}_{suffix}"}
            for zarr_url in zarr_urls
        ]
    }


if __name__ == "__main__":
    run_fractal_task(task_function=init_project)
