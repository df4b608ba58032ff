"""What init parts hand on to compute parts."""

from pydantic import BaseModel


class InitArgsProjection(BaseModel):
    """
    Where a projection comes from.

    Attributes:
        origin_url: The image that is projected.
        method: How to project it.
    """

    origin_url: str
    method: str = "max"
