"""Installing a candidate into an environment of its own, as the servers would."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_fractal.candidate.dependency_lines import dependency_lines
from pytest_fractal.candidate.store import Fact
from pytest_fractal.environments.environments import Environment, requires_anything
from pytest_fractal.environments.installers import INSTALLERS, Installer
from pytest_fractal.environments.installing import unmet_requirements
from pytest_fractal.environments.pip_show import (
    PipShow,
    expected_pip_show,
    is_predictable,
    run_pip_show,
)
from pytest_fractal.environments.wheels import Wheel
from pytest_fractal.errors import HarnessError
from pytest_fractal.facts import Command, Installation
from pytest_fractal.samples.runs import Run

if TYPE_CHECKING:
    from pytest_fractal.candidate.packaged import Candidate

ENVIRONMENT: Final = Fact[Environment]("environment", Environment)
INSTALLATION: Final = Fact[Installation]("install", Installation)
_PIP_SHOW: Final = Fact[PipShow]("pip-show", PipShow)


def make_environment(candidate: Candidate, place: Environment) -> Environment:
    """A fresh environment at this place, with what a server puts there first."""
    return _installer(candidate).create(place.folder, place.interpreter)


def install(candidate: Candidate, environment: Environment, wheel: Wheel) -> Installation:
    """Install the wheel by its file, with its extras, and then the pins."""
    installer, home = _installer(candidate), candidate.home
    extras, pins = candidate.spec.extras, candidate.settings.pins
    finished = installer.install_wheel(environment, wheel, extras)
    # One by one, a pin may break what was installed before it.
    at_once = pins and candidate.generation.pins_at_once
    for group in [pins] if at_once else [(pin,) for pin in pins]:
        if finished.returncode:
            break
        finished = installer.install(environment, group)
    requirements = environment.requirements()
    if finished.returncode == 0:
        candidate.between_runs.bring_bytecode()
    are_checked = finished.returncode == 0 and requires_anything(requirements)
    unmet = unmet_requirements(environment) if are_checked else ()
    return Installation(
        environment,
        wheel,
        finished,
        extras,
        pins,
        environment.versions(),
        unmet,
        requirements,
        dependency_lines(home) if home is not None else {},
    )


def pip_show(candidate: Candidate) -> PipShow:
    """What `pip show` prints of the package.

    pip is asked where the package is installed in this run, a rule that was selected needs that,
    and it might print something else than follows from the wheel; by the installer pip, always.
    """
    wheel = candidate.wheel
    if not candidate.is_wanted({Installation, Command, Run}, None):
        return expected_pip_show(wheel)
    try:
        installation = candidate.installation
    except HarnessError:  # reported by the rules that cannot do without
        return expected_pip_show(wheel)
    if installation.finished is None or installation.finished.returncode:
        return expected_pip_show(wheel)
    environment = installation.environment
    expected = expected_pip_show(wheel)
    if candidate.settings.installer == "uv" and is_predictable(environment, expected):
        return expected
    return candidate.store.once(_PIP_SHOW, lambda: run_pip_show(environment, wheel))


def _installer(candidate: Candidate) -> Installer:
    make = INSTALLERS[candidate.settings.installer]
    return make(candidate.generation.upgraded_first, caches=not candidate.settings.no_cache)
