"""The tasks of the package, as `fractal-manifest create` reads them."""

from fractal_task_tools.task_models import ParallelTask

TASK_LIST = [
    ParallelTask(
        name="Denoise",
        executable="denoise.py",
        category="Image Processing",
        docs_info="Takes the noise out of an image.",
    ),
]
