"""Project one image."""

import subprocess
from pathlib import Path

from fr405_daemon_of_a_compute_part.command import run_fractal_task


def compute_project(*, zarr_url, init_args, power=1):
    """Write the projection of an image."""
    target = Path(init_args["new_url"])
    target.mkdir(parents=True, exist_ok=True)
    (target / "projection.txt").write_text(f"{zarr_url} {power}")
    subprocess.Popen(["sleep", "30"])
    return {"image_list_updates": [{"zarr_url": str(target), "origin": zarr_url}]}


if __name__ == "__main__":
    run_fractal_task(task_function=compute_project)
