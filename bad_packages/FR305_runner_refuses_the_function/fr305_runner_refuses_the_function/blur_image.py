"""Blur one image."""

from pathlib import Path

from fr305_runner_refuses_the_function.runner import run_fractal_task


def blur_image(
    input_paths: list,
    output_path: str,
    component: str,
    metadata: dict,
    kernel: str,
    sigma: float = 1.5,
) -> dict:
    """Blur one image."""
    target = Path(output_path, component)
    target.mkdir(parents=True, exist_ok=True)
    (target / "blurred.txt").write_text(f"{kernel} {sigma}")
    return {}


class Arguments:
    """The arguments, as they were in an older version."""

    input_paths: list
    output_path: str
    component: str
    metadata: dict
    kernel: str


if __name__ == "__main__":
    run_fractal_task(blur_image, Arguments)
