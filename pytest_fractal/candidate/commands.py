"""The commands of a candidate, and what is learnt by starting them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pytest_fractal.candidate.command_starts import OPTIONS, PROBE, REFUSALS, of_part, prober
from pytest_fractal.candidate.sample_runs import run_fact
from pytest_fractal.candidate.store import Fact
from pytest_fractal.errors import HarnessError
from pytest_fractal.facts import Command, PackagedPart, Part, Task, Validation
from pytest_fractal.processes.probing import OptionProbe, Probe, Prober, Refusals
from pytest_fractal.processes.validation import argument_faults
from pytest_fractal.samples.files import Sample
from pytest_fractal.verdicts import Skipped

if TYPE_CHECKING:
    from pytest_fractal.candidate.packaged import Candidate


class Commands:
    """The commands of a package's tasks, in the environment where it is installed."""

    def __init__(self, candidate: Candidate) -> None:
        self._candidate = candidate
        self._probers: dict[tuple[str, str], Prober] = {}

    def argv(self, part: Part) -> tuple[str, ...]:
        """A command, as the server would make it of its own environment."""
        assert isinstance(part, PackagedPart)
        candidate = self._candidate
        python = candidate.environment_folder.python
        return (str(python), str(candidate.package_root / part.executable))

    @property
    def own_folder(self) -> str:
        """Where the modules of the package are, as the tracebacks of its commands show it."""
        return str(self._candidate.package_root) + os.sep

    @property
    def library_folder(self) -> str:
        """Where the modules are that it requires, in the same way."""
        return str(self._candidate.environment_folder.site_packages) + os.sep

    def started(self, part: Part) -> Command:
        """What the first start of a command shows."""
        candidate = self._candidate
        installation = candidate.needed_installation
        argv = self.argv(part)
        probe = candidate.store.once(of_part(PROBE, part), lambda: self._probe(part))
        candidate.pixi.check("it", probe.first)
        return Command(part, argv, probe, installation, self._misplaced(part))

    def options(self, part: Part) -> OptionProbe:
        """What more starts show of its options, where it takes any."""
        probe = self.started(part).probe
        return self._candidate.store.once(
            of_part(OPTIONS, part),
            lambda: self.prober(part).options(probe),
            {"first": probe.first},
        )

    def refusals(self, part: Part) -> Refusals:
        """What more starts show of arguments that it should refuse."""
        probe = self.started(part).probe
        return self._candidate.store.once(
            of_part(REFUSALS, part), lambda: self.prober(part).refusals(probe)
        )

    def prober(self, part: Part) -> Prober:
        """What starts a command for all these questions."""
        key = part.task.id, part.keys.name
        if key not in self._probers:
            self._probers[key] = prober(self._candidate, part)
        return self._probers[key]

    def validation(self, part: Part) -> Validation:
        """What a task's models say of arguments made from its schema, where it is started.

        Not for its own sake: a run by rules that start nothing shall start nothing.
        """
        unknown = Validation((), {}, command_started=False)
        candidate, task = self._candidate, part.task
        is_started = part in task.run_parts and candidate.is_wanted({Command}, task)
        if candidate.pixi.alone_installs or not is_started:
            return unknown
        try:
            installation = candidate.needed_installation
            if installation and installation.finished and installation.finished.returncode:
                return unknown
            probe = self.started(part).probe
        except (HarnessError, Skipped):
            return unknown  # the rules about the command tell
        return Validation(argument_faults(probe.first, probe.lacks), probe.arguments)

    def _misplaced(self, part: Part) -> Mapping[str, str]:  # noqa: ARG002
        """Files that are named by relative paths: none, the server gives absolute ones."""
        return {}

    def _probe(self, part: Part) -> Probe:
        return self.prober(part).probe()


_FROM_STARTS: Final[Mapping[type[Any], Fact[Any]]] = {
    Command: PROBE,
    OptionProbe: OPTIONS,
    Refusals: REFUSALS,
}


def facts_from_starts(
    task: Task, sample: Sample | None, kinds: Sequence[type[Any]]
) -> Iterator[tuple[str, Fact[Any]]]:
    """The facts of these types that take starts of commands, each with what is started."""
    if sample is not None:
        yield f"{task.id} {sample.name}", run_fact(sample)
        return
    for part in task.run_parts:
        for kind, fact in _FROM_STARTS.items():
            if kind in kinds:
                yield f"{task.id} {part.keys.name}", of_part(fact, part)
