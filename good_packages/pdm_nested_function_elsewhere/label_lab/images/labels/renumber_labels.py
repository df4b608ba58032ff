"""Number the labels of all images anew."""

import sys

from label_lab import core
from label_lab.start import run_fractal_task

if __name__ == "__main__":
    sys.exit(run_fractal_task(task_function=core.renumber))
