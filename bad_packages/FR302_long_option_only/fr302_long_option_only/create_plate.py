"""Create the wells of a plate."""

import getopt
import json
import sys
from pathlib import Path


def create_plate(input_paths, output_path, metadata, plate, rows=2):
    """Create the wells of a plate."""
    wells = [f"{plate}_{number}" for number in range(rows)]
    for well in wells:
        Path(output_path, well).mkdir(parents=True, exist_ok=True)
    return {"well": wells}


if __name__ == "__main__":
    options, rest = getopt.gnu_getopt(sys.argv[1:], "", ["json=", "metadata-out="])
    given = dict(options)
    update = create_plate(**json.loads(Path(given["--json"]).read_text()))
    Path(given["--metadata-out"]).write_text(json.dumps(update))
