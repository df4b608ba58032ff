"""Shift one image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Optional

from mytasks.options import run_fractal_task


def shift(
    *,
    input_paths: list[str],
    output_path: str,
    component: str,
    metadata: dict[str, Any],
    by: dict[str, float],
    order: Optional[int] = 1,
) -> dict[str, Any]:
    """Shift one image."""
    folder = Path(output_path) / component
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "shift.json").write_text(json.dumps({"by": by, "order": order}))
    return {}


if __name__ == "__main__":
    run_fractal_task(task_function=shift)
