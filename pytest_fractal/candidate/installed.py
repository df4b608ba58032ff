"""A package that is judged as it is installed in an existing environment."""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from packaging.requirements import InvalidRequirement, Requirement

from pytest_fractal.candidate.installation import ENVIRONMENT, INSTALLATION
from pytest_fractal.candidate.packaged import Candidate
from pytest_fractal.candidate.store import Fact
from pytest_fractal.candidate.wheel_source import NO_WHEEL, WheelSource
from pytest_fractal.environments.environments import Environment
from pytest_fractal.environments.installed import (
    InstalledWheel,
    editable_sources,
    find_environment,
    find_installed,
)
from pytest_fractal.environments.installing import unmet_requirements
from pytest_fractal.environments.interpreters import Interpreter
from pytest_fractal.environments.project_table import BadTable, read_project_table
from pytest_fractal.errors import BadInput
from pytest_fractal.facts import Build, Bundle, EnvironmentUse, Installation, TreeBuild
from pytest_fractal.files import FILE_LIMIT, read_regular
from pytest_fractal.processes.sandbox import around
from pytest_fractal.verdicts import NotApplicable, NotChecked, Skipped

_WHEEL: Final = Fact[InstalledWheel]("wheel", InstalledWheel, shared=False)


class InstalledPackage(Candidate):
    """What a PACKAGE argument names, in the environment of `--fractal-environment`.

    A requirement names it, or a source tree whose project has that name. Nothing is
    built, installed or written there.
    """

    @property
    def _place(self) -> Path:
        assert self.settings.environment is not None
        return self.settings.environment

    @cached_property
    def environment_folder(self) -> Environment:
        """The existing environment."""
        return self.store.once(ENVIRONMENT, lambda: find_environment(self._place))

    @property
    def environment(self) -> Environment:
        """The same: it is there already."""
        return self.environment_folder

    @property
    def interpreter(self) -> Interpreter:
        """That of the environment."""
        return self.environment_folder.interpreter

    @property
    def wheel_source(self) -> WheelSource:
        """Nothing is built or installed."""
        return NO_WHEEL

    @property
    def has_wheel(self) -> bool:
        """What is installed stands for it."""
        return True

    @cached_property
    def wheel(self) -> InstalledWheel:
        """What is installed. Raises `BadInput` when it is not."""
        wanted = self._wanted
        return self.store.once(_WHEEL, lambda: find_installed(self.environment, wanted))

    @property
    def bundle(self) -> Bundle:
        """Without the source tree: packaging lines are not what is asked for."""
        return Bundle(self.wheel, None, ())

    @property
    def installation(self) -> Installation:
        """Made by somebody else."""
        environment, wheel = self.environment, self.wheel

        def gather() -> Installation:
            return Installation(
                environment,
                wheel,
                None,
                self.spec.extras,
                (),
                environment.versions(),
                unmet_requirements(environment),
                environment.requirements(),
            )

        given = {"environment": environment, "wheel": wheel}
        return self.store.once(INSTALLATION, gather, given)

    @property
    def package_root(self) -> Path:
        """Where the package's folder is; of an editable installation, in a source tree."""
        return self.wheel.package_root

    @property
    def variables(self) -> Mapping[str, str]:
        """So that nothing is written there, and its programs are found first."""
        if (walls := around(self.folder)) is not None:
            walls.share([self.package_root, *editable_sources(self.environment)])
        path = f"{self.environment.scripts}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        return {**super().variables, "PYTHONDONTWRITEBYTECODE": "1", "PATH": path}

    def lacking(self, fact: type[Any]) -> Skipped | None:
        """Why facts about a build, or about changes in the environment, cannot be gathered."""
        if fact in (Build, TreeBuild):
            return NotApplicable(
                f"nothing is built: it is judged as it is installed in {self._place}"
            )
        if fact is EnvironmentUse:
            return NotChecked(
                f"{self._place} is not this run's own: others may change it meanwhile"
            )
        return super().lacking(fact)

    @property
    def _wanted(self) -> Requirement:
        text = self.spec.text
        if self.spec.requirement is not None:
            return Requirement(self.spec.requirement)
        if self.spec.kind in ("wheel", "url"):
            raise BadInput(
                f"{text}: a wheel gets an environment of its own; with --fractal-environment name "
                "what is installed there: --fractal-package=NAME"
            )
        assert self.spec.path is not None
        name = _project_name(self.spec.path)
        try:
            return Requirement(name or "")
        except InvalidRequirement:
            raise BadInput(
                f"{text}: neither pyproject.toml nor setup.cfg tells the project's name, under "
                "which it is installed; give it: --fractal-package=NAME"
            ) from None


def _project_name(tree: Path) -> str | None:
    """The name of a source tree's project; None where only the build backend knows it."""
    settings: Mapping[str, Any] = {}
    with suppress(BadTable):
        settings = read_project_table(tree)
    tools = settings.get("tool")
    poetry = tools.get("poetry") if isinstance(tools, dict) else None
    for table in (settings.get("project"), poetry):
        if isinstance(table, dict) and isinstance(table.get("name"), str):
            return str(table["name"])
    parser = configparser.ConfigParser()
    try:
        parser.read_string(read_regular(tree / "setup.cfg", FILE_LIMIT).decode())
        return parser.get("metadata", "name", fallback=None)
    except (OSError, configparser.Error, ValueError):
        return None
