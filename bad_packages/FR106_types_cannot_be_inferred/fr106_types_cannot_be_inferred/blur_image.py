"""Blur one image."""

from pathlib import Path

from fr106_types_cannot_be_inferred.command import run_fractal_task


def blur_image(*, zarr_url, kernel, sigma=1.5):
    """Blur one image."""
    target = Path(zarr_url)
    target.mkdir(parents=True, exist_ok=True)
    (target / "blurred.txt").write_text(f"{kernel} {sigma}")
    return {}


if __name__ == "__main__":
    run_fractal_task(task_function=blur_image)
