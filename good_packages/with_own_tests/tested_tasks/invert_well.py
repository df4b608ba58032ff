"""Invert one well."""

from pathlib import Path

from tested_tasks._command import run_fractal_task


def invert_well(input_paths, output_path, component, metadata, maximum=255):
    """Invert one well."""
    target = Path(output_path, component, "inverted.txt")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(str(maximum))


if __name__ == "__main__":
    run_fractal_task(task_function=invert_well)
