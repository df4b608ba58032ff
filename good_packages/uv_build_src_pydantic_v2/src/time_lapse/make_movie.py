"""Make a movie of all frames."""

from pathlib import Path
from typing import Any, Optional

from pydantic import validate_call

from time_lapse._entry import run_fractal_task


@validate_call
def make_movie(
    *,
    input_paths: list[str],
    output_path: str,
    metadata: dict[str, Any],
    title: str,
    frames_per_second: int = 25,
    watermark: Optional[str] = None,
) -> dict[str, Any]:
    """Make a movie of all frames."""
    Path(output_path).mkdir(parents=True, exist_ok=True)
    movie = Path(output_path, "movie.txt")
    movie.write_text(f"{title} {frames_per_second} {watermark}")
    return {"movie": movie.name}


if __name__ == "__main__":
    run_fractal_task(task_function=make_movie)
