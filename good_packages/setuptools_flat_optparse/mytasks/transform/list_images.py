"""List the images of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mytasks.options import run_fractal_task


def list_images(
    *,
    input_paths: list[str],
    output_path: str,
    metadata: dict[str, Any],
    suffixes: list[str] = [".png", ".tif"],
    recursive: bool = False,
) -> dict[str, Any]:
    """List the images of a folder."""
    walk = Path.rglob if recursive else Path.glob
    images = sorted(
        str(path)
        for folder in input_paths
        for path in walk(Path(folder), "*")
        if path.suffix in suffixes
    )
    Path(output_path).mkdir(parents=True, exist_ok=True)
    Path(output_path, "images.txt").write_text("\n".join(images))
    return {"image": images}


if __name__ == "__main__":
    run_fractal_task(task_function=list_images)
