"""Blur one image."""

from pathlib import Path


def blur_image(*, input_paths, output_path, component, metadata, kernel, sigma=2.5):
    """Blur one image."""
    target = Path(output_path, component)
    target.mkdir(parents=True, exist_ok=True)
    (target / "blurred.txt").write_text(f"{kernel} {sigma}")
