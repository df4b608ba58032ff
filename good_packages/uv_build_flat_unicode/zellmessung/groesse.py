"""Misst, wie groß die Zellen sind."""

from functools import partial
from pathlib import Path

from zellmessung._befehl import run_fractal_task


def groesse(*, input_paths, output_path, metadata, kanal, einheit="µm", stellen):
    """Misst, wie groß die Zellen sind."""
    Path(output_path).mkdir(parents=True, exist_ok=True)
    Path(output_path, "größe.txt").write_text(f"{kanal} {0:.{stellen}f} {einheit}", encoding="utf-8")
    return {"Größe": f"größe.txt in {einheit}"}


if __name__ == "__main__":
    run_fractal_task(task_function=partial(groesse, stellen=2))
