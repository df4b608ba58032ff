"""The types of facts that rules may take, and what a fact of each type is about."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any, Final

from pytest_fractal.environments.pip_show import PipShow
from pytest_fractal.environments.wheels import Wheel
from pytest_fractal.facts import (
    Build,
    Bundle,
    ClusterAnswer,
    Command,
    EnvironmentUse,
    GeneratedManifest,
    Installation,
    PackagedPart,
    PackagedTask,
    Part,
    Task,
    TreeBuild,
    Validation,
)
from pytest_fractal.processes.probing import OptionProbe, Refusals
from pytest_fractal.samples.runs import PackageSamples, ResolvedArguments, Run
from pytest_fractal.server.facts import Collection, ServerRun
from pytest_fractal.task_lists import Manifest, TaskList


class Scope(Enum):
    """What a fact is about. There is one of its type for each of these."""

    PACKAGE = auto()
    TASK = auto()
    PART = auto()
    """A command of a task. All commands of a task are judged in one verdict on the task."""
    SAMPLE = auto()


SCOPES: Final[Mapping[type[Any], Scope]] = {
    **dict.fromkeys(
        (
            Build,
            Bundle,
            Collection,
            GeneratedManifest,
            Installation,
            Manifest,
            PackageSamples,
            PipShow,
            TaskList,
            TreeBuild,
            Wheel,
        ),
        Scope.PACKAGE,
    ),
    **dict.fromkeys((Task, PackagedTask), Scope.TASK),
    **dict.fromkeys(
        (Part, PackagedPart, ClusterAnswer, Command, OptionProbe, Refusals, Validation),
        Scope.PART,
    ),
    **dict.fromkeys((ResolvedArguments, Run, EnvironmentUse, ServerRun), Scope.SAMPLE),
}
"""All types of facts. The candidate's table of providers says how each is gathered."""

OF_SERVERS: Final = frozenset({Collection, ServerRun})
"""Those that a real server has to be asked for: there is one for each release that is asked."""
