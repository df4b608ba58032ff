"""Show a channel brighter."""

import json
from pathlib import Path

from form_of_every_kind.command import run_fractal_task


def brighten_images(*, zarr_url, channel, end=1000):
    """Lower the end of a channel's window, in NGFF 0.4 or 0.5."""
    file = Path(zarr_url, ".zattrs")
    if not file.exists():
        file = Path(zarr_url, "zarr.json")
    document = json.loads(file.read_text())
    attributes = document.get("attributes", {}).get("ome", document)
    found = [
        one
        for one in attributes["omero"]["channels"]
        if channel.items() <= one.items()
    ]
    if not found:
        raise ValueError(f"{zarr_url} has no channel {channel}")
    for one in found:
        one["window"]["end"] = end
    file.write_text(json.dumps(document))


if __name__ == "__main__":
    run_fractal_task(task_function=brighten_images)
