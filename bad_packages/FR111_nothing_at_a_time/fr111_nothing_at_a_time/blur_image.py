"""Blur one image."""

from pathlib import Path

from fr111_nothing_at_a_time.command import run_fractal_task


def blur_image(*, input_paths, output_path, component, metadata, kernel, sigma=1.5):
    """Blur one image."""
    target = Path(output_path, component)
    target.mkdir(parents=True, exist_ok=True)
    (target / "blurred.txt").write_text(f"{kernel} {sigma}")


if __name__ == "__main__":
    run_fractal_task(task_function=blur_image)
