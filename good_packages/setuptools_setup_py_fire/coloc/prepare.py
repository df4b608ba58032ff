"""Note which channels are to be compared."""

import json
from pathlib import Path

import fire


def prepare(input_paths, output_path, metadata, first, second):
    """Note which channels are to be compared."""
    Path(output_path).mkdir(parents=True, exist_ok=True)
    Path(output_path, "channels.json").write_text(json.dumps([first, second]))
    return {"channels": [first, second]}


def main(j, metadata_out):
    """Fire makes `-j` and `--metadata-out` of these two names."""
    update = prepare(**json.loads(Path(j).read_text()))
    Path(metadata_out).write_text(json.dumps(update))


if __name__ == "__main__":
    fire.Fire(main)
