"""The two ways of filling an environment.

pip decides what can be installed, for it is what fractal-server runs. `uv`, the default,
has pip install the candidate's own wheel, and brings what that requires itself, which is
much faster; what uv refuses, or takes although pip would not, is left to pip. `pip` does
what the server does, to the letter: `python -m venv`, an upgrade of pip and, in 2.x, of
setuptools, `pip install WHEEL[extras]`, then the pinned versions
(`_create_venv_install_package` of 1.4.10, the script 2_pip_install.sh of 2.18.5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from pytest_fractal.environments.bytecode import bring_bytecode
from pytest_fractal.environments.environments import (
    Environment,
    create_bare,
    make_by_venv,
    nothing_yet,
    reason_of,
)
from pytest_fractal.environments.install_errors import (
    FailureKind,
    explain,
)
from pytest_fractal.environments.installing import (
    InstallerName,
    bracketed,
    pip_install,
    pip_would_refuse,
    run_pip,
    uv_install,
    uv_pip,
    with_whole_reason,
)
from pytest_fractal.environments.interpreters import Interpreter
from pytest_fractal.environments.wheels import Wheel
from pytest_fractal.errors import HarnessError
from pytest_fractal.processes.processes import Finished

_SECOND_OPINION_LIMIT: Final = 600.0
"""Seconds that pip gets for what uv refuses: its search may take hours where there is none."""


class Installer(Protocol):
    """Makes environments and installs into them."""

    def create(self, folder: Path, interpreter: Interpreter) -> Environment:
        """Make a fresh environment as the server would, with what it upgrades in there.

        Raises `HarnessError` when that fails.
        """

    def install(self, environment: Environment, requirements: Sequence[str]) -> Finished:
        """Install what the requirements say; the caller looks at how it ended.

        Raises `HarnessError` when the machine, the network or the index is to blame.
        """

    def install_wheel(
        self, environment: Environment, wheel: Wheel, extras: Sequence[str]
    ) -> Finished:
        """Install the candidate's wheel with its extras into a fresh environment; the same."""


class UvInstaller:
    """Has pip install the wheel, and uv what it requires; environments are virtualenv's.

    `upgraded` is what a server upgrades in a fresh environment before it installs; with
    `caches`, pip gets the bytecode that earlier runs have made of it.
    """

    def __init__(self, upgraded: Sequence[str] = (), *, caches: bool = True) -> None:
        self._upgraded = tuple(upgraded)
        self._caches = caches

    def create(self, folder: Path, interpreter: Interpreter) -> Environment:
        """Make one with virtualenv, and with the setuptools that the server's would have."""
        environment = create_bare(folder, interpreter)
        tools = [name for name in self._upgraded if name != "pip"]
        if interpreter.setuptools and "setuptools" not in tools:
            # The server's `python -m venv` brings the setuptools that is bundled with the
            # interpreter, often one that still has `pkg_resources`; packages rely on it.
            tools.append(f"setuptools=={interpreter.setuptools}")
        finished = self._upgrade(environment, ["pip", *tools])
        if finished.returncode:
            # An index of its own may have no pip; the one that virtualenv brings is as new.
            environment = create_bare(folder, interpreter, pip=True)
            finished = self._upgrade(environment, tools)
        if finished.returncode:
            raise HarnessError(
                f"{' and '.join(tools)}, which the server's environments begin with, cannot be "
                f"installed: {reason_of(finished)}"
            )
        if self._caches:
            bring_bytecode(environment.python, interpreter, environment.site_packages)
        return environment

    def _upgrade(self, environment: Environment, requirements: Sequence[str]) -> Finished:
        if not requirements:
            return Finished((), 0, "", "", 0.0)
        wanted = ("--upgrade", "--", *requirements)
        # pip and setuptools have wheels, but for an index of somebody's own: then no plan is
        # needed to tell whether code of others would run.
        tried = uv_pip(
            environment,
            "install",
            "--no-build",
            "--python",
            environment.python,
            *wanted,
            walled=False,
            asks_index=True,
        )
        return with_whole_reason(uv_install(environment, *wanted) if tried.returncode else tried)

    def install(self, environment: Environment, requirements: Sequence[str]) -> Finished:
        """Let uv install; see `Installer` for what it raises."""
        return with_whole_reason(uv_install(environment, "--", *requirements))

    def install_wheel(
        self, environment: Environment, wheel: Wheel, extras: Sequence[str]
    ) -> Finished:
        """Let pip install the wheel alone, uv what it requires; pip has the last word."""
        own = pip_install(environment, "--no-deps", "--no-compile", str(wheel.path), alone=True)
        if not own.returncode and any(path.startswith("pip/") for path in wheel.contents):
            own = run_pip(environment, "--version")  # it may have replaced pip itself
        if own.returncode or not wheel.requires_anything:
            return own
        wanted = f"{wheel.name}{bracketed(extras)}=={wheel.version}"
        rest = uv_install(environment, "--", wanted)
        if not rest.returncode and not pip_would_refuse(environment):
            return rest
        self.create(environment.folder, environment.interpreter)
        decided = pip_install(
            environment,
            "--no-compile",
            f"{wheel.path}{bracketed(extras)}",
            limit=_SECOND_OPINION_LIMIT,
        )
        if decided.returncode and rest.returncode:
            kind = explain(decided, environment.interpreter.version).kind
            if decided.timed_out or kind in (FailureKind.REQUIREMENTS, FailureKind.OTHER):
                return rest  # uv says better which requirements exclude each other
        return decided


class PipInstaller:
    """Installs as fractal-server does: with the environment's own, upgraded pip.

    `upgraded` is what the server upgrades in a fresh environment before it installs.
    """

    def __init__(self, upgraded: Sequence[str] = (), *, caches: bool = True) -> None:  # noqa: ARG002
        self._upgraded = tuple(upgraded)

    def create(self, folder: Path, interpreter: Interpreter) -> Environment:
        """Make one by `python -m venv`, and upgrade in it what the server does."""
        environment = nothing_yet(folder, interpreter)
        make_by_venv(environment, pip=True)
        if self._upgraded:
            finished = pip_install(environment, "--upgrade", *self._upgraded)
            if finished.returncode:
                raise HarnessError(
                    f"{' and '.join(self._upgraded)}, which the server upgrades first, cannot be "
                    f"installed: {reason_of(finished)}"
                )
        return environment

    def install(self, environment: Environment, requirements: Sequence[str]) -> Finished:
        """Let pip install; see `Installer` for what it raises."""
        return pip_install(environment, *requirements)

    def install_wheel(
        self, environment: Environment, wheel: Wheel, extras: Sequence[str]
    ) -> Finished:
        """Let pip install the wheel and what it requires, in one call."""
        finished = self.install(environment, [f"{wheel.path}{bracketed(extras)}"])
        return finished if finished.returncode else run_pip(environment, "--version")


INSTALLERS: Final[Mapping[InstallerName, type[UvInstaller] | type[PipInstaller]]] = {
    "uv": UvInstaller,
    "pip": PipInstaller,
}
