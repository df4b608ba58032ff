"""Make a list of wells."""

from pathlib import Path

from tested_tasks._command import run_fractal_task


def make_wells(input_paths, output_path, metadata, number, prefix="well"):
    """Make a list of wells."""
    if number < 1:
        raise ValueError(f"a plate has at least one well, not {number}")
    wells = [f"{prefix}_{index}" for index in range(number)]
    for well in wells:
        Path(output_path, well).mkdir(parents=True, exist_ok=True)
    return {"well": wells}


if __name__ == "__main__":
    run_fractal_task(task_function=make_wells)
