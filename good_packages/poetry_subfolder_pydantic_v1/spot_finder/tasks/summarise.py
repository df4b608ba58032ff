"""Sum up how many spots there are."""

from pathlib import Path
from typing import Any, Dict, Sequence

import pydantic

from spot_finder.tasks._utils import run_fractal_task


@pydantic.validate_arguments
def summarise(
    input_paths: Sequence[str],
    output_path: str,
    metadata: Dict[str, Any],
    unit: str,
) -> Dict[str, Any]:
    """Sum up how many spots there are."""
    number = len(list(Path(output_path).rglob("spots.txt")))
    Path(output_path).mkdir(parents=True, exist_ok=True)
    Path(output_path, "summary.txt").write_text(f"{number} {unit}")
    return {"summary": {"number": number, "unit": unit}}


if __name__ == "__main__":
    run_fractal_task(task_function=summarise)
