"""Blur one image."""

import argparse
import json
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("-j", "--json", required=True)
parser.add_argument("--metadata-out", required=True)
options = parser.parse_args()
arguments = json.loads(Path(options.json).read_text())
target = Path(arguments.get("output_path", "."), arguments.get("component", "image"))
target.mkdir(parents=True, exist_ok=True)
(target / "blurred.txt").write_text(f"{arguments.get('kernel', 'box')} {arguments.get('sigma', 1.5)}")
Path(options.metadata_out).write_text("{}")
