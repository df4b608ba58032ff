"""Tasks outside any package: "any other executable command (not necessarily based on Python)"."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from pytest_fractal.candidate.packaged import Candidate
from pytest_fractal.environments.building import Built
from pytest_fractal.environments.wheels import Wheel
from pytest_fractal.errors import BadInput
from pytest_fractal.facts import (
    Build,
    Command,
    CustomTaskList,
    Installation,
    Part,
    Task,
    TaskList,
)
from pytest_fractal.generations import VERSION_1
from pytest_fractal.json_text import read_given_json
from pytest_fractal.processes.sandbox import around
from pytest_fractal.rules import REGISTRY, Rule
from pytest_fractal.samples.runs import Filled, Run, TaskSamples

_KNOWN = frozenset({TaskList, Task, Part, Command, TaskSamples, Filled, Run})
"""The facts that there are without a wheel."""


class CustomTasks(Candidate):
    """What one FILE argument of `--fractal-task` describes.

    The file holds the metadata that would be posted to the server, or a list of such.
    Nothing is built or installed: the commands are there already.
    """

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules that need no wheel."""
        return tuple(rule for rule in REGISTRY.values() if _KNOWN.issuperset(rule.subjects))

    @property
    def build(self) -> Build:
        """There is none."""
        return Build(self.spec.kind, self.spec.text, Built(None), None)

    @property
    def has_wheel(self) -> bool:
        """There is none."""
        return False

    @cached_property
    def wheel(self) -> Wheel:
        """There is none. Raises `BadInput`."""
        raise BadInput(f"{self.spec.text}: tasks outside any package have no wheel")

    @property
    def home(self) -> Path | None:
        """The folder of the file."""
        assert self.spec.path is not None
        return self.spec.path.parent

    @cached_property
    def task_list(self) -> TaskList:
        """The file. Raises `BadInput` when it is not JSON, nor an object or a list of some."""
        path = self.spec.path
        assert path is not None
        text = read_given_json(path, self.spec.text)
        if not isinstance(text.value, dict | list) or text.value == []:
            raise BadInput(
                f"{self.spec.text}: a task is described by an object, with its `command`"
            )
        return CustomTaskList(self.spec.text, text, VERSION_1)

    def argv(self, part: Part) -> tuple[str, ...]:
        """The task's command, split as the server splits it."""
        try:
            return tuple(shlex.split(part.script))
        except ValueError:  # a quotation that does not end: FR106 tells, and nothing is started
            return (part.script,)

    @property
    def variables(self) -> Mapping[str, str]:
        """The usual ones; and a script may read what lies beside it."""
        if (walls := around(self.folder)) is not None:
            for task in self.tasks:
                words = [Path(word) for part in task.parts for word in self.argv(part)]
                walls.share(word.parent for word in words if word.is_absolute() and word.is_file())
        return super().variables

    def source_of(self, task: Task, python: str = "") -> str:  # noqa: ARG002
        """The task's own `source`."""
        return str(task.entry.get("source", ""))

    @property
    def own_folder(self) -> str:
        """None: what a script imports is no part of it."""
        return "\0"

    def _task(self, **fields: Any) -> Task:
        return Task(**fields)

    def _installed(self) -> Installation | None:
        return None
