"""Blur one image."""

import argparse
import json
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("-j", "--json", required=True)
parser.add_argument("--metadata-out", required=True)
options = parser.parse_args()
with open(options.json) as file:
    arguments = json.load(file)
target = Path(arguments["output_path"], arguments["component"])
target.mkdir(parents=True, exist_ok=True)
(target / "blurred.txt").write_text(f"{arguments['kernel']} {arguments.get('sigma', 1.5)}")
Path(options.metadata_out).write_text("{}")
