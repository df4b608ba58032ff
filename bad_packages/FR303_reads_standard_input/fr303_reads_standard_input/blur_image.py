"""Blur one image."""

import argparse
import json
import sys
from pathlib import Path


def blur_image(*, input_paths, output_path, component, metadata, kernel, sigma=1.5):
    """Blur one image."""
    target = Path(output_path, component)
    target.mkdir(parents=True, exist_ok=True)
    (target / "blurred.txt").write_text(f"{kernel} {sigma}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("-j", "--json", required=True)
    parser.add_argument("--metadata-out", required=True)
    options = parser.parse_args()
    update = blur_image(**json.load(sys.stdin))
    with open(options.metadata_out, "w") as file:
        json.dump(update, file)
