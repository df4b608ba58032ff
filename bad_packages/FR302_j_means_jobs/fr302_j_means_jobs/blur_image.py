"""Blur one image."""

import argparse
import json
from pathlib import Path


def blur_image(*, input_paths, output_path, component, metadata, kernel, sigma=1.5):
    """Blur one image."""
    target = Path(output_path, component)
    target.mkdir(parents=True, exist_ok=True)
    (target / "blurred.txt").write_text(f"{kernel} {sigma}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", required=True)
    parser.add_argument("--metadata-out", required=True)
    parser.add_argument("-j", "--jobs", type=int, default=1)
    options = parser.parse_args()
    with open(options.json) as file:
        update = blur_image(**json.load(file))
    with open(options.metadata_out, "w") as file:
        json.dump(update, file)
