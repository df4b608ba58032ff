"""What differs between the versions of Fractal's interface, one module a version."""

from __future__ import annotations

from typing import Final

from pytest_fractal.generations.protocol import (
    Call,
    CallResult,
    ExecutionResult,
    Generation,
    Misreading,
    ModelFault,
    ModelFaultKind,
    PartKeys,
    Reserved,
    RunBlocked,
    SampleFault,
    State,
    TaskExecution,
)
from pytest_fractal.generations.v1 import VERSION_1
from pytest_fractal.generations.v2 import VERSION_2

GENERATIONS: Final[dict[str, Generation]] = {
    generation.version: generation for generation in (VERSION_1, VERSION_2)
}
"""The generations that can be judged, by the manifest's `manifest_version`."""

STATES: Final[tuple[type[State], ...]] = tuple(
    generation.state for generation in GENERATIONS.values()
)
"""The states that the generations hand on from step to step: dataclasses of JSON."""

NEWEST: Final = [*GENERATIONS.values()][-1]
"""The generation of the servers that are in use, for what tells none."""

__all__ = [
    "GENERATIONS",
    "NEWEST",
    "STATES",
    "VERSION_1",
    "VERSION_2",
    "Call",
    "CallResult",
    "ExecutionResult",
    "Generation",
    "Misreading",
    "ModelFault",
    "ModelFaultKind",
    "PartKeys",
    "Reserved",
    "RunBlocked",
    "SampleFault",
    "State",
    "TaskExecution",
]
