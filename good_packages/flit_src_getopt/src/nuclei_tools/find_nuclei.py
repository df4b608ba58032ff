"""Find the nuclei of one image."""

import json
from pathlib import Path

from nuclei_tools import cli


def find_nuclei(*, input_paths, output_path, component, metadata, channel, diameter=None):
    """Find the nuclei of one image."""
    folder = Path(output_path) / component
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nuclei.json").write_text(json.dumps({"channel": channel, "diameter": diameter}))


if __name__ == "__main__":
    cli.main(find_nuclei)
