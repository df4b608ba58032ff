"""Blur one image."""

import os
import time
from pathlib import Path

from fr405_forked_child.command import run_fractal_task


def blur_image(*, input_paths, output_path, component, metadata, kernel, sigma=1.5):
    """Blur one image."""
    target = Path(output_path, component)
    target.mkdir(parents=True, exist_ok=True)
    (target / "blurred.txt").write_text(f"{kernel} {sigma}")
    if os.fork() == 0:
        time.sleep(30)
        (target / "late.txt").write_text("written by a child")
        os._exit(0)


if __name__ == "__main__":
    run_fractal_task(task_function=blur_image)
