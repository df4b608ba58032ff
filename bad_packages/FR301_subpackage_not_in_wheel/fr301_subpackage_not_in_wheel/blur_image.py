"""Blur one image."""

from pathlib import Path

from fr301_subpackage_not_in_wheel.command import run_fractal_task
from fr301_subpackage_not_in_wheel.filters import KERNELS


def blur_image(*, input_paths, output_path, component, metadata, kernel, sigma=1.5):
    """Blur one image."""
    assert kernel in KERNELS
    target = Path(output_path, component)
    target.mkdir(parents=True, exist_ok=True)
    (target / "blurred.txt").write_text(f"{kernel} {sigma}")


if __name__ == "__main__":
    run_fractal_task(task_function=blur_image)
