"""Grow the labels of one image."""

import sys

from label_lab.core import grow
from label_lab.start import run_fractal_task

if __name__ == "__main__":
    sys.exit(run_fractal_task(task_function=grow))
