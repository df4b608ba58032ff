"""Find the spots of one image."""

from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from pydantic import BaseModel
from pydantic.decorator import validate_arguments

from spot_finder.tasks._utils import run_fractal_task


class Spot(BaseModel):
    """What a spot looks like."""

    sigma: float = 1.5
    threshold: float


@validate_arguments
def find_spots(
    *,
    # Supplied by Fractal
    input_paths: Sequence[str],
    output_path: str,
    component: str,
    metadata: Dict[str, Any],
    # Arguments of the task
    spots: List[Spot],
    label: str = "spots",
    limit: Optional[int] = None,
) -> Dict[str, Any]:
    """Find the spots of one image."""
    target = Path(output_path, component, label)
    target.mkdir(parents=True, exist_ok=True)
    (target / "spots.txt").write_text(f"{[spot.dict() for spot in spots]} {limit}")
    return {}


if __name__ == "__main__":
    run_fractal_task(task_function=find_spots)
