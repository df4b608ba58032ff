"""A package that is judged as it is installed in an existing environment."""

from __future__ import annotations

import configparser
import os
import tomllib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from pytest_fractal.candidate.packaged import Candidate
from pytest_fractal.environments.building import Built
from pytest_fractal.environments.environments import Environment, unmet_requirements
from pytest_fractal.environments.installed import (
    InstalledWheel,
    editable_sources,
    find_environment,
    find_installed,
)
from pytest_fractal.environments.interpreters import Interpreter
from pytest_fractal.errors import BadInput
from pytest_fractal.facts import Build, Bundle, Installation, TreeBuild
from pytest_fractal.processes.sandbox import around
from pytest_fractal.rules import Rule


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
        return self.store.once("environment", lambda: find_environment(self._place))

    @property
    def environment(self) -> Environment:
        """The same: it is there already."""
        return self.environment_folder

    @property
    def interpreter(self) -> Interpreter:
        """That of the environment."""
        return self.environment_folder.interpreter

    @property
    def build(self) -> Build:
        """There is none."""
        return Build("installed", self.spec.text, Built(None), None)

    @property
    def tree_build(self) -> TreeBuild:
        """There is none."""
        return TreeBuild(None, None, self.wheel, None)

    @property
    def has_wheel(self) -> bool:
        """What is installed stands for it."""
        return True

    @cached_property
    def wheel(self) -> InstalledWheel:
        """What is installed. Raises `BadInput` when it is not."""
        wanted = self._wanted
        return self.store.once("wheel", lambda: find_installed(self.environment, wanted))

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
            )

        return self.store.once("install", gather)

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

    def unsupported_reason(self, rule: Rule) -> str | None:
        """Why nothing that is built can be judged."""
        if Build in rule.subjects or TreeBuild in rule.subjects:
            return f"nothing is built: it is judged as it is installed in {self._place}"
        return None

    @property
    def _wanted(self) -> Requirement:
        text = self.spec.text
        if self.spec.requirement is not None:
            return Requirement(self.spec.requirement)
        assert self.spec.path is not None
        if self.spec.kind == "wheel":
            raise BadInput(
                f"{text}: a wheel gets an environment of its own; with --fractal-environment name "
                "what is installed there: --fractal-package=NAME"
            )
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
    try:
        settings: dict[str, Any] = tomllib.loads((tree / "pyproject.toml").read_text("utf-8"))
    except (OSError, ValueError):
        settings = {}
    for table in (settings.get("project"), settings.get("tool", {}).get("poetry")):
        if isinstance(table, dict) and isinstance(table.get("name"), str):
            return str(table["name"])
    parser = configparser.ConfigParser()
    try:
        parser.read(tree / "setup.cfg", "utf-8")
        return parser.get("metadata", "name", fallback=None)
    except (configparser.Error, ValueError):
        return None
