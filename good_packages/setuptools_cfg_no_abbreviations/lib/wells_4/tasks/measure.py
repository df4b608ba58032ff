"""Measure one well."""

from pathlib import Path

from wells_4.runner import run_fractal_task


def measure(input_paths, output_path, component, metadata, features=("area", "intensity")):
    """Measure one well."""
    target = Path(output_path, component, "features.csv")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(",".join(features))
    return None


if __name__ == "__main__":
    run_fractal_task(task_function=measure)
