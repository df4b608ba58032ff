"""Stitch the tiles of one well."""

from pathlib import Path

from fractal_stitch._utils import run_fractal_task


def stitch_tiles(input_paths, output_path, component, metadata, overlap=0.1, blend="linear"):
    """Stitch the tiles of one well."""
    if blend not in ("linear", "none"):
        raise ValueError(f"cannot blend by {blend!r}")
    well = Path(output_path, component)
    well.mkdir(parents=True, exist_ok=True)
    (well / "stitched.txt").write_text(f"{overlap} {blend}")
    return {}


if __name__ == "__main__":
    run_fractal_task(task_function=stitch_tiles)
