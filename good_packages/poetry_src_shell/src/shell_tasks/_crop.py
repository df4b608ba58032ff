"""Crop one image; the arguments come through standard input."""

import json
import sys
from pathlib import Path


def crop(input_paths, output_path, component, metadata, margin=8):
    """Crop one image."""
    target = Path(output_path, component)
    target.mkdir(parents=True, exist_ok=True)
    (target / "cropped.txt").write_text(str(margin))


crop(**json.load(sys.stdin))
