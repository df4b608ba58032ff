"""Train a model on all images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deep_cells._run import run_task


def train_model(
    input_paths: list[str],
    output_path: str,
    metadata: dict[str, Any],
    model: dict[str, str],
    epochs: int = 10,
    rate: float = 1e-3,
) -> dict[str, Any]:
    """Train a model on all images."""
    Path(output_path).mkdir(parents=True, exist_ok=True)
    Path(output_path, "model.txt").write_text(f"{model['name']} {epochs} {rate}")
    return {"model": model}


if __name__ == "__main__":
    run_task(train_model)
