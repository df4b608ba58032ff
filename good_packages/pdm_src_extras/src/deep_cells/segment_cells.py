"""Segment the cells of one image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deep_cells._run import run_task


def segment_cells(
    input_paths: list[str],
    output_path: str,
    component: str,
    metadata: dict[str, Any],
    model: dict[str, str],
    channels: list[str] | None = None,
    tile: int = 512,
) -> None:
    """Segment the cells of one image."""
    target = Path(output_path, component)
    target.mkdir(parents=True, exist_ok=True)
    (target / "cells.txt").write_text(f"{model['name']} {channels} {tile}")


if __name__ == "__main__":
    run_task(segment_cells)
