"""Collect the measurements of all wells."""

from pathlib import Path

from wells_4.runner import run_fractal_task


def collect(input_paths, output_path, metadata, *, file_name):
    """Collect the measurements of all wells."""
    tables = sorted(str(path) for path in Path(output_path).rglob("features.csv"))
    target = Path(output_path, file_name)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(tables))
    return {"tables": tables}


if __name__ == "__main__":
    run_fractal_task(collect)
