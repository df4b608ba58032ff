"""The options of a run, checked."""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from packaging.requirements import InvalidRequirement, Requirement

from pytest_fractal.environments.building import BUILD_LIMIT
from pytest_fractal.environments.installers import INSTALLERS
from pytest_fractal.environments.installing import InstallerName
from pytest_fractal.errors import BadInput
from pytest_fractal.generations.slurm_jobs import (
    NO_SETTINGS,
    ClusterSettings,
    read_cluster_settings,
)
from pytest_fractal.processes.executors import EXECUTORS, ExecutorName
from pytest_fractal.processes.sandbox import Mode, check_mode
from pytest_fractal.processes.slurm_programs import check_installed
from pytest_fractal.rules import REGISTRY, Rule
from pytest_fractal.selection import CodePattern


@dataclass(frozen=True)
class Settings:
    """The options of a run, with their defaults."""

    python: str | None = None
    pins: tuple[str, ...] = ()
    installer: InstallerName = "uv"
    select: tuple[CodePattern, ...] = ()
    ignore: tuple[CodePattern, ...] = ()
    strict: bool = False
    timeout: float = 300.0
    """Seconds, for each process of the candidate."""
    build_timeout: float = BUILD_LIMIT
    """Seconds, for each hook of the candidate's build backend."""
    jobs: int = 0
    """How many commands run at the same time."""
    program: Literal["pytest", "pytest-fractal"] = "pytest"
    """The command by which the run was started, and can be repeated."""
    keep: bool = False
    no_cache: bool = False
    """Whether nothing of earlier runs is used, and nothing kept for later ones."""
    fix: Literal["apply", "diff"] | None = None
    """Whether fixes are applied to the package's files, or only shown."""
    find_pins: float | None = None
    """Seconds for a search for pins with which tasks start again; None for no search."""
    new_samples: bool = False
    """Whether the run only writes first samples: their folder need not be there."""
    reports: tuple[Path, ...] = ()
    samples: Path | None = None
    """Where the samples lie; None for `fractal_samples` in the candidate's folder."""
    environment: Path | None = None
    """An existing environment, in which packages are judged as they are installed."""
    server: str | None = None
    """The versions of fractal-server to ask, with commas between; "" for the newest, None for
    none."""
    database: str | None = None
    """Where fractal-server 2.x is given a database: a URL of PostgreSQL's."""
    sandbox: Mode = "auto"
    """Whether walls stand around the candidate's processes: where they can, or must, or not."""

    executor: ExecutorName = "local"
    """Where commands run."""
    slurm_config: Path | None = None
    """The file of the cluster's own settings for jobs."""
    folder: Path | None = None
    """Below which the run's folder is made; None for that of temporary files."""

    def __post_init__(self) -> None:
        if self.samples is not None and not (self.samples.is_dir() or self.new_samples):
            raise BadInput(f"{self.samples}: no such folder, from which samples could be read")
        if self.environment is not None:
            for option, given in (
                ("python", self.python is not None),
                ("pin", bool(self.pins)),
                ("server", self.server is not None),
                ("find-pins", self.find_pins is not None),
            ):
                if given:
                    raise BadInput(
                        f"--fractal-environment and --fractal-{option} exclude each other: "
                        "nothing is installed into an environment that is there"
                    )
            if not self.environment.is_dir():
                raise BadInput(
                    f"{self.environment}: no such folder, in which a package could be installed"
                )
        if self.installer not in INSTALLERS:
            raise BadInput(f"{self.installer}: no such installer; choose uv or pip")
        limit_of_search = 1.0 if self.find_pins is None else self.find_pins
        for limit in (self.timeout, self.build_timeout, limit_of_search):
            if not (limit > 0 and math.isfinite(limit)):
                raise BadInput(f"a time limit of {limit:g} s is of no use; give more than 0")
        check_mode(self.sandbox)
        if self.fix not in (None, "apply", "diff"):
            raise BadInput(
                f"--fractal-fix={self.fix}: choose apply, which is what it does without a value, "
                "or diff"
            )
        if self.jobs < 0:
            raise BadInput(f"{self.jobs} jobs cannot run; give 1 or more")
        for pin in self.pins:
            _check_pin(pin)
        if self.folder is not None and not self.folder.is_dir():
            raise BadInput(f"--fractal-folder={self.folder}: no such folder")
        self._check_executor()
        if self.server is None:
            for pattern in self.select:
                if all(rule.asks_server for rule in REGISTRY.values() if pattern.means(rule)):
                    raise BadInput(f"{pattern.code} is only judged with --fractal-server")
        elif importlib.util.find_spec("urllib3") is None:
            raise BadInput(
                "--fractal-server needs a library that is not installed: "
                "pip install pytest-fractal[server]"
            )

    def _check_executor(self) -> None:
        if self.executor not in EXECUTORS:
            raise BadInput(
                f"--fractal-executor={self.executor}: choose one of {', '.join(EXECUTORS)}"
            )
        if self.executor == "slurm":
            check_installed()
            _ = self.cluster  # bad input is reported at once
            return
        if self.slurm_config is not None:
            raise BadInput("--fractal-slurm-config is only of use with --fractal-executor=slurm")
        for pattern in self.select:
            if all(rule.asks_cluster for rule in REGISTRY.values() if pattern.means(rule)):
                raise BadInput(f"{pattern.code} is only judged with --fractal-executor=slurm")

    @cached_property
    def cluster(self) -> ClusterSettings:
        """What the cluster's own settings ask for. Raises `BadInput` for a file without any."""
        return read_cluster_settings(self.slurm_config) if self.slurm_config else NO_SETTINGS

    @property
    def width(self) -> int:
        """How many commands run at the same time: what was asked for, or the number of cores."""
        if self.jobs:
            return self.jobs
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1

    def selects(self, rule: Rule, *tasks: str | None) -> bool:
        """Whether the rule is to be judged at all."""
        return not self.select or any(pattern.matches(rule, *tasks) for pattern in self.select)

    def ignored(self, rule: Rule, *tasks: str | None) -> str | None:
        """Why the rule is not judged although it could be; None when it is."""
        for pattern in self.ignore:
            if pattern.matches(rule, *tasks):
                return pattern.reason or "on the command line"
        return None

    def check_tasks(self, tasks: Sequence[str]) -> None:
        """Raise `BadInput` for a pattern with a task that there is not among `tasks`."""
        for pattern in (*self.select, *self.ignore):
            if pattern.task is not None and pattern.task not in tasks:
                there = ", ".join(dict.fromkeys(tasks))
                raise BadInput(
                    f"{pattern.code}[{pattern.task}]: no task has this slug; there are: {there}"
                )


def _check_pin(pin: str) -> None:
    try:
        requirement = Requirement(pin)
    except InvalidRequirement:
        operators = []
    else:
        bare = not (requirement.extras or requirement.marker)
        operators = [clause.operator for clause in requirement.specifier] if bare else []
    if operators != ["=="]:
        raise BadInput(f"{pin}: a pin has the form name==version")
