"""Projiziert ein Bild entlang z."""

from functools import partial
from pathlib import Path

from zellmessung._befehl import run_fractal_task


def projektion(achse, *, input_paths, output_path, component, metadata, verfahren="Maximum"):
    """Projiziert ein Bild entlang einer Achse."""
    ziel = Path(output_path, component)
    ziel.mkdir(parents=True, exist_ok=True)
    (ziel / "projektion.txt").write_text(f"{achse} {verfahren}", encoding="utf-8")


if __name__ == "__main__":
    run_fractal_task(task_function=partial(projektion, "z"))
