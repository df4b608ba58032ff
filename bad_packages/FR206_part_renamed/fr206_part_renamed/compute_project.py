"""Project one image."""

from pathlib import Path

from fr206_part_renamed.command import run_fractal_task


def compute_project(*, zarr_url, init_args, powers=1):
    """Write the projection of an image."""
    target = Path(init_args["new_url"])
    target.mkdir(parents=True, exist_ok=True)
    (target / "projection.txt").write_text(f"{zarr_url} {powers}")
    return {"image_list_updates": [{"zarr_url": str(target), "origin": zarr_url}]}


if __name__ == "__main__":
    run_fractal_task(task_function=compute_project)
