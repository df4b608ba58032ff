"""Create the wells of a plate."""

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
    given = {}
    for word in sys.argv[1:]:
        name, equals, value = word.partition("=")
        if not equals or name not in ("--json", "--metadata-out"):
            sys.exit(f"what is {word}?")
        given[name] = value
    if len(given) < 2:
        sys.exit("--json=FILE and --metadata-out=FILE are needed")
    update = create_plate(**json.loads(Path(given["--json"]).read_text()))
    Path(given["--metadata-out"]).write_text(json.dumps(update))
