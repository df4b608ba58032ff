"""Tasks outside any package: "any other executable command (not necessarily based on Python)"."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from pytest_fractal.candidate.author_files import AuthorFiles
from pytest_fractal.candidate.command_starts import START, launch
from pytest_fractal.candidate.commands import Commands
from pytest_fractal.candidate.packaged import Candidate
from pytest_fractal.candidate.wheel_source import NO_WHEEL, WheelSource
from pytest_fractal.environments.wheels import Wheel
from pytest_fractal.errors import BadInput
from pytest_fractal.facts import Installation, Part, Task
from pytest_fractal.generations import VERSION_1
from pytest_fractal.json_text import read_given_json
from pytest_fractal.processes.probing import UNKNOWN, Probe
from pytest_fractal.processes.sandbox import around
from pytest_fractal.task_lists import CustomTaskList, TaskList


class CustomTasks(Candidate):
    """What one FILE argument of `--fractal-task` describes.

    The file holds the metadata that would be posted to the server, or a list of such.
    Nothing is built or installed: the commands are there already.
    """

    def _own_providers(self) -> Mapping[type[Any], Callable[..., Any]]:
        """What there is without a wheel."""
        return self._common_providers()

    def _server_providers(self) -> Mapping[type[Any], Callable[..., Any]]:
        return {}  # it is asked to collect wheels

    @property
    def wheel_source(self) -> WheelSource:
        """Nothing is built or installed."""
        return NO_WHEEL

    @property
    def has_wheel(self) -> bool:
        """False: the tasks are outside any package."""
        return False

    @cached_property
    def wheel(self) -> Wheel:
        """Raises `BadInput`: the tasks are outside any package."""
        raise BadInput(f"{self.spec.text}: tasks outside any package have no wheel")

    @property
    def home(self) -> Path | None:
        """The folder of the file."""
        assert self.spec.path is not None
        return self.spec.path.parent

    @cached_property
    def author_files(self) -> AuthorFiles:
        """The file of the tasks, and what lies beside it."""
        assert self.spec.path is not None
        return AuthorFiles(self.home, {self.spec.text: self.spec.path.name})

    @cached_property
    def task_list(self) -> TaskList:
        """The file. Raises `BadInput` when it is not JSON, nor an object or a list of some."""
        path = self.spec.path
        assert path is not None
        if path.suffix == ".py":
            raise BadInput(_described(path, self.spec.text))
        text = read_given_json(path, self.spec.text)
        if not isinstance(text.value, dict | list) or text.value == []:
            raise BadInput(
                f"{self.spec.text}: a task is described by an object, with its `command`"
            )
        return CustomTaskList(self.spec.text, text, VERSION_1)

    @cached_property
    def commands(self) -> Commands:
        """Those that the file names."""
        return _CustomCommands(self)

    @property
    def needed_installation(self) -> Installation | None:
        """None: the commands are there already."""
        return None

    @property
    def variables(self) -> Mapping[str, str]:
        """The usual ones; and a script may read what lies beside it."""
        if (walls := around(self.folder)) is not None:
            for task in self.tasks:
                words = [Path(word) for part in task.parts for word in self.commands.argv(part)]
                walls.share(word.parent for word in words if word.is_absolute() and word.is_file())
        return super().variables

    def source_of(self, task: Task, python: str = "") -> str:  # noqa: ARG002
        """The task's own `source`."""
        return str(task.entry.get("source", ""))

    def _task(self, **fields: Any) -> Task:
        return Task(**fields)


class _CustomCommands(Commands):
    """Commands that are there already, each of one task."""

    @property
    def own_folder(self) -> str:
        """None: what a script imports is no part of it."""
        return "\0"

    library_folder = own_folder

    def argv(self, part: Part) -> tuple[str, ...]:
        """The task's command, split as the server splits it."""
        try:
            return tuple(shlex.split(part.script))
        except ValueError:  # a quotation that does not end: FR106 tells, and nothing is started
            return (part.script,)

    def _misplaced(self, part: Part) -> Mapping[str, str]:
        """Files beside the JSON file, whose path is relative."""
        home = self._candidate.home
        assert home is not None
        program, *others = self.argv(part) or ("",)
        # A program without a slash is looked for in PATH.
        words = [*([program] if "/" in program or not shutil.which(program) else []), *others]
        return {
            word: str(home / word)
            for word in words
            if not word.startswith(("-", "/")) and os.path.isfile(home / word)  # noqa: PTH113
        }

    def _probe(self, part: Part) -> Probe:
        """One start is enough to see that a command misses the file that it names."""
        if not self._misplaced(part):
            return super()._probe(part)
        candidate = self._candidate
        folder = candidate.folder / "runs" / part.task.id / "relative"
        first = candidate.store.once(
            START.of("relative", part.task.id),
            lambda: launch(candidate, part, {UNKNOWN: 0}, folder),
        )
        if first.finished.returncode and not first.read:
            return Probe(part.task.generation.flags, first, reads=False)
        return super()._probe(part)


def _described(script: Path, name: str) -> str:
    """What to write instead of giving the script of a task."""
    entry = {
        "name": script.stem.replace("_", " ").capitalize(),
        "command": f"python3 {shlex.quote(str(script))}",
        "input_type": "Any",
        "output_type": "Any",
        "source": script.stem,
        "meta": {},
    }
    file = Path(name).with_suffix(".json")
    return (
        f"{name}: a task is described by a JSON file that names its command; write {file} with "
        f"{json.dumps(entry)} and give --fractal-task={file}"
    )
