"""Write a small picture of each well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from example_plates import command_line


def write_thumbnails(
    input_paths: list[str],
    output_path: str,
    component: str,
    metadata: dict[str, Any],
    width: int = 128,
) -> None:
    """Write a small picture of each well."""
    target = Path(output_path, "thumbnails", component)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.with_suffix(".pgm").write_bytes(b"P5 %d 1 255\n" % width + bytes(width))


if __name__ == "__main__":
    command_line.run(write_thumbnails)
