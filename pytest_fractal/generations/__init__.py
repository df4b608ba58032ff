"""What differs between the versions of Fractal's interface, one module a version."""

from __future__ import annotations

from typing import Final

from pytest_fractal.generations.protocol import Generation, ModelFault
from pytest_fractal.generations.v1 import VERSION_1

GENERATIONS: Final[dict[str, Generation]] = {VERSION_1.version: VERSION_1}
"""The generations that can be judged, by the manifest's `manifest_version`."""

__all__ = ["GENERATIONS", "VERSION_1", "Generation", "ModelFault"]
