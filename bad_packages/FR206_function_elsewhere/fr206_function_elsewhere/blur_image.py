"""Blur one image."""

from fr206_function_elsewhere.command import run_fractal_task
from fr206_function_elsewhere.filters import blur_image

if __name__ == "__main__":
    run_fractal_task(task_function=blur_image)
