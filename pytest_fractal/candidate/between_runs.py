"""What is kept of a candidate from one run to the next."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from pytest_fractal.candidate.installation import INSTALLATION
from pytest_fractal.candidate.start_seconds import StartSeconds
from pytest_fractal.environments.bytecode import DependencyBytecode
from pytest_fractal.errors import HarnessError

if TYPE_CHECKING:
    from pytest_fractal.candidate.packaged import Candidate


class BetweenRuns:
    """The bytecode of a candidate's dependencies, and how long its commands took."""

    def __init__(self, candidate: Candidate) -> None:
        self._candidate = candidate

    @property
    def last_seconds(self) -> Mapping[str, float]:
        """How long the commands of its tasks took last time, by their ids, where that is known."""
        candidate = self._candidate
        if candidate.settings.no_cache or not candidate.installs or not candidate.has_wheel:
            return {}
        return StartSeconds(self._owner).read()

    def bring_bytecode(self) -> None:
        """Put into its environment what was compiled of its dependencies in earlier runs."""
        if not self._candidate.settings.no_cache:
            self._bytecode.bring()

    def keep(self) -> None:
        """Keep what its processes have compiled of its dependencies, and how long they took.

        Called when none of them runs any more.
        """
        candidate = self._candidate
        is_installed = candidate.installs and candidate.store.has(INSTALLATION)
        if candidate.settings.no_cache or not is_installed:
            return
        StartSeconds(self._owner).keep(
            (task, start.finished.seconds) for task, _, start in candidate.starts()
        )
        with contextlib.suppress(OSError, HarnessError):
            finished = candidate.installation.finished
            if finished is not None and finished.returncode == 0:
                self._bytecode.keep()

    @property
    def _bytecode(self) -> DependencyBytecode:
        candidate = self._candidate
        return DependencyBytecode(
            self._owner, candidate.wheel.distribution, candidate.environment_folder
        )

    @property
    def _owner(self) -> str:
        """Whose is what is kept for the next run on the same package."""
        spec, name = self._candidate.spec, canonicalize_name(self._candidate.wheel.distribution)
        return f"{spec.kind}\n{spec.tree or ''}\n{name}"
