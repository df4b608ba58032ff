"""Take stock of a folder, with the arguments read by a child process."""

import argparse
import json
import subprocess
from pathlib import Path


def take_stock(input_paths, output_path, metadata, depth):
    """Take stock of a folder."""
    Path(output_path).mkdir(parents=True, exist_ok=True)
    Path(output_path, "stock.txt").write_text(f"{input_paths} {depth}")
    return {"stock": "stock.txt"}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("-j", required=True)
    parser.add_argument("--metadata-out", required=True)
    options = parser.parse_args()
    shell = ["/bin/sh", "-c", 'exec cat "$1"', "sh", options.j]
    text = subprocess.run(shell, check=True, stdout=subprocess.PIPE).stdout
    Path(options.metadata_out).write_text(json.dumps(take_stock(**json.loads(text))))
