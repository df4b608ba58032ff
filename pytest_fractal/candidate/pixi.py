"""What a candidate has through pixi alone, which is not run here."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Final

from pytest_fractal.candidate.installation import INSTALLATION
from pytest_fractal.environments.pixi import brought_by_pixi
from pytest_fractal.environments.project_table import is_for_pixi
from pytest_fractal.errors import HarnessError
from pytest_fractal.processes.commands import Start
from pytest_fractal.verdicts import NotChecked

if TYPE_CHECKING:
    from pytest_fractal.candidate.packaged import Candidate

INSTALLS_BY_PIXI: Final = (
    "the package installs only through pixi, which is not run here; install it by `pixi install` "
    "and judge it there: --fractal-environment=.pixi/envs/default, or choose an interpreter "
    "for which it installs: --fractal-python"
)
_PIXI_BRINGS: Final = (
    "Perhaps pixi brings what is missing, and pixi is not run here; install the package by `pixi "
    "install` and judge it there: --fractal-environment=.pixi/envs/default"
)
_MISSING: Final = re.compile(
    r"ModuleNotFoundError: No module named '(?P<module>\w+)|ImportError: \S+\.so\S*: cannot open "
    r"shared object file"
)


class Pixi:
    """What pixi would do for one candidate; nothing for one that this run does not install."""

    def __init__(self, candidate: Candidate) -> None:
        self._candidate = candidate

    @cached_property
    def brings_more(self) -> bool:
        """Whether it would bring more to the environment than is there."""
        candidate, tree = self._candidate, self._candidate.spec.tree
        if tree is None or not candidate.installs:
            return False
        return bool(brought_by_pixi(tree, candidate.wheel.distribution))

    @cached_property
    def alone_installs(self) -> bool:
        """Whether the candidate is a source tree for pixi that does not install without it."""
        candidate, path = self._candidate, self._candidate.spec.path
        is_ours = path is not None and is_for_pixi(path)
        if not is_ours or not candidate.installs or not candidate.has_wheel:
            return False
        try:
            finished = candidate.installation.finished
        except HarnessError:
            return False  # the verdicts on the installation tell
        return finished is not None and finished.returncode != 0

    @property
    def is_needed(self) -> bool:
        """Whether this run has found that pixi alone would bring all that is needed."""
        is_known = self._candidate.store.has(INSTALLATION)
        return is_known and (self.alone_installs or self.brings_more)

    def check(self, what: str, start: Start) -> None:
        """Raise `NotChecked` where a command lacks what pixi, and it alone, may bring.

        `what` is started, in words.
        """
        if not self.brings_more or (crash := start.crash) is None:
            return
        missing = _MISSING.match(crash.headline)
        if missing is not None and missing["module"] != self._candidate.wheel.package:
            raise NotChecked(f"{what} ends with {crash.headline}. {_PIXI_BRINGS}")
