"""Track the cells of one well."""

from pathlib import Path
from typing import Any, Literal, Optional

from pydantic import BaseModel, Field, validate_call

from time_lapse._entry import run_fractal_task


class FrameRange(BaseModel):
    """Which frames to look at."""

    first: int = 0
    last: Optional[int] = None


@validate_call
def track_cells(
    *,
    input_paths: list[str],
    output_path: str,
    component: str,
    metadata: dict[str, Any],
    frames: FrameRange = Field(default_factory=FrameRange),
    max_distance: float = Field(default=20.0, gt=0),
    method: Literal["nearest", "overlap"] = "nearest",
) -> None:
    """Track the cells of one well."""
    target = Path(output_path, component)
    target.mkdir(parents=True, exist_ok=True)
    (target / "tracks.txt").write_text(f"{frames} {max_distance} {method}")


if __name__ == "__main__":
    run_fractal_task(task_function=track_cells)
