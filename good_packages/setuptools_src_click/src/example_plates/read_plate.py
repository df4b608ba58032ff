"""Read a plate from a vendor's format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from example_plates import command_line


def read_plate(
    input_paths: list[str],
    output_path: str,
    metadata: dict[str, Any],
    *,
    vendor: str = "yokogawa",
    channels: list[str],
) -> dict[str, Any]:
    """Read a plate from a vendor's format."""
    target = Path(output_path, "plate.zarr")
    target.mkdir(parents=True, exist_ok=True)
    (target / "channels.txt").write_text(",".join([vendor, *channels]))
    return {"plate": [target.name], "well": [f"{target.name}/A/01"]}


if __name__ == "__main__":
    command_line.run(read_plate)
