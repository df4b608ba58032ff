"""Learn the background from all images."""

import json
from pathlib import Path

import typer


def learn_background(*, input_paths, output_path, metadata, sigma: float = 20.0):
    """Learn the background from all images."""
    Path(output_path).mkdir(parents=True, exist_ok=True)
    Path(output_path, "profile.txt").write_text(str(sigma))
    return {"profile": "profile.txt"}


def main(
    arguments: Path = typer.Option(..., "-j", "--json", exists=True, dir_okay=False),
    metadata_out: Path = typer.Option(..., "--metadata-out"),
) -> None:
    """Learn the background from all images."""
    update = learn_background(**json.loads(arguments.read_text()))
    metadata_out.write_text(json.dumps(update))


if __name__ == "__main__":
    typer.run(main)
