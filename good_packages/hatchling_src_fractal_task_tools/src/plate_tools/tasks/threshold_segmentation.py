"""Finds what is brighter than a threshold."""

import logging
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal, Union

from pydantic import BaseModel, Field, validate_call

logger = logging.getLogger(__name__)


class Connectivity(Enum):
    """Which neighbours of a pixel count."""

    SHARED_FACE = "Shared face"
    ANY = "Any"


class FixedThreshold(BaseModel):
    """
    A threshold that is the same for all images.

    Attributes:
        kind: Which of the thresholds it is.
        value: The threshold.
    """

    kind: Literal["fixed"] = "fixed"
    value: float = Field(2.0, ge=0)


class QuantileThreshold(BaseModel):
    """
    A threshold from the image itself.

    Attributes:
        kind: Which of the thresholds it is.
        quantile: Which part of the pixels lies below.
    """

    kind: Literal["quantile"] = "quantile"
    quantile: float = Field(0.5, ge=0, le=1)


Threshold = Annotated[
    Union[FixedThreshold, QuantileThreshold], Field(discriminator="kind")
]


@validate_call
def threshold_segmentation(
    *,
    # Fractal managed parameters
    zarr_url: str,
    # Task parameters
    threshold: Threshold = FixedThreshold(),
    label_name: str = "nuclei",
    min_size: int | None = None,
    connectivity: Connectivity = Connectivity.ANY,
    overwrite: bool = True,
) -> None:
    """
    Segment an image by a threshold.

    Args:
        zarr_url: Path or url to the individual OME-Zarr image to be processed.
            (standard argument for Fractal tasks, managed by Fractal server).
        threshold: What is an object.
        label_name: Name of the label image.
        min_size: Objects that are smaller are left out.
        connectivity: Which pixels belong together.
        overwrite: Whether to replace a label image of this name.
    """
    values = [float(value) for value in Path(zarr_url, "values.txt").read_text().split()[2:]]
    if isinstance(threshold, FixedThreshold):
        limit = threshold.value
    else:
        limit = sorted(values)[int(threshold.quantile * (len(values) - 1))]
    logger.info("%s: %s from %s, %s", zarr_url, connectivity.value, limit, min_size)
    labels = Path(zarr_url, "labels", label_name)
    labels.mkdir(parents=True, exist_ok=overwrite)
    (labels / "labels.txt").write_text(" ".join(str(value > limit) for value in values))


if __name__ == "__main__":
    from fractal_task_tools.task_wrapper import run_fractal_task

    run_fractal_task(task_function=threshold_segmentation)
