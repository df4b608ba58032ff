"""Write down whatever arguments there are, for one component."""

import json
import sys
from pathlib import Path


def pass_on_each(input_paths, output_path, component, metadata, program="cat", **options):
    """Write down whatever arguments there are, for one component."""
    target = Path(output_path, component)
    target.mkdir(parents=True, exist_ok=True)
    (target / "call.json").write_text(json.dumps([program, options]))


if __name__ == "__main__":
    try:
        _, j, source, metadata_out, target = sys.argv
        assert [j, metadata_out] == ["-j", "--metadata-out"]
    except (AssertionError, ValueError):
        sys.exit("usage: pass_on_each.py -j FILE --metadata-out FILE")
    pass_on_each(**json.loads(Path(source).read_text()))
