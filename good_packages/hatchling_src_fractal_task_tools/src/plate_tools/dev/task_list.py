"""The tasks of the package, as `fractal-manifest create` reads them."""

from fractal_task_tools.task_models import (
    CompoundTask,
    ConverterNonParallelTask,
    NonParallelTask,
    ParallelTask,
)

AUTHORS = "Ada Example, Ben Example"
DOCS_LINK = "https://example.org/plate-tools"

TASK_LIST = [
    ConverterNonParallelTask(
        name="Create Plate (test data)",
        executable="tasks/create_plate.py",
        category="Conversion",
        modality="HCS",
        tags=["Plate converter"],
        output_types={"is_3D": True},
    ),
    ParallelTask(
        name="Threshold Segmentation",
        executable="tasks/threshold_segmentation.py",
        meta={"cpus_per_task": 1, "mem": 4000},
        category="Segmentation",
        tags=["2D", "3D", "Otsu"],
    ),
    CompoundTask(
        name="Project Plate",
        executable_init="tasks/init_projection.py",
        executable="tasks/compute_projection.py",
        meta_init={"cpus_per_task": 1, "mem": 1000},
        meta={"cpus_per_task": 2, "mem": "8G", "needs_gpu": False},
        input_types={"is_3D": True},
        output_types={"is_3D": False},
        category="Image Processing",
    ),
    NonParallelTask(
        name="Summarize",
        executable="tasks/summarize.py",
        docs_info="Writes one table for all images.",
    ),
]
