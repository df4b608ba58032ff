"""Correct the background of one image."""

import json
from pathlib import Path

import typer


def correct_background(
    *, input_paths, output_path, component, metadata, profile, strength: float = 1.0
):
    """Correct the background of one image."""
    target = Path(output_path, component)
    target.mkdir(parents=True, exist_ok=True)
    (target / "background.txt").write_text(f"{profile} {strength}")


def main(
    arguments: Path = typer.Option(..., "-j", "--json", exists=True, dir_okay=False),
    metadata_out: Path = typer.Option(..., "--metadata-out"),
) -> None:
    """Correct the background of one image."""
    correct_background(**json.loads(arguments.read_text()))
    metadata_out.write_text("null")


if __name__ == "__main__":
    typer.run(main)
