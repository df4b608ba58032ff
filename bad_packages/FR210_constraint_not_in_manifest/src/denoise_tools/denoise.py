"""Takes the noise out of an image."""

from pathlib import Path

from pydantic import Field, validate_call


@validate_call
def denoise(*, zarr_url: str, strength: float = Field(1.0, gt=0), rounds: int = 1) -> None:
    """
    Take the noise out of an image.

    Args:
        zarr_url: Path or url to the individual OME-Zarr image to be processed.
        strength: How much of the noise goes.
        rounds: How often it is done.
    """
    Path(zarr_url).mkdir(parents=True, exist_ok=True)
    (Path(zarr_url) / "denoised.txt").write_text(f"{strength} {rounds}")


if __name__ == "__main__":
    from fractal_task_tools.task_wrapper import run_fractal_task

    run_fractal_task(task_function=denoise)
