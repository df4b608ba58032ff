"""Compare two channels of one image."""

import json
from pathlib import Path

import fire


def compare(input_paths, output_path, metadata, component, method="pearson"):
    """Compare two channels of one image."""
    target = Path(output_path, component)
    target.mkdir(parents=True, exist_ok=True)
    (target / "coefficient.txt").write_text(f"{method} 0.5")


def main(j, metadata_out=None):
    """Fire makes `-j` and `--metadata-out` of these two names."""
    with open(j) as file:
        compare(**json.load(file))


if __name__ == "__main__":
    fire.Fire(main)
