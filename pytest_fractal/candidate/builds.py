"""The builds of a candidate: the wheel as a release has it, and the one made from its tree."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from pytest_fractal.candidate.store import Fact
from pytest_fractal.candidate.wheel_source import Workshop
from pytest_fractal.environments.building import (
    BuildEnvironment,
    BuildFailure,
    Built,
    Plans,
    build_from_tree,
)
from pytest_fractal.environments.environments import Environment, create_bare
from pytest_fractal.environments.installers import INSTALLERS
from pytest_fractal.environments.trees import files_below
from pytest_fractal.environments.wheels import MANIFEST_NAME, read_wheel
from pytest_fractal.facts import Build, TreeBuild

if TYPE_CHECKING:
    from pytest_fractal.candidate.packaged import Candidate

BUILD: Final = Fact[Built]("build", Built)
_ENVIRONMENT: Final = Fact[Environment]("build-environment", Environment)
_TREE_BUILD: Final = Fact[Built]("tree-build", Built)


class Builds:
    """How the wheels of one candidate come about."""

    def __init__(self, candidate: Candidate) -> None:
        self._candidate = candidate
        self.plans: Plans = {}
        """What environments for builds were given; shared by the candidates of the run."""

    @property
    def release(self) -> Build:
        """How the wheel that is judged comes about: built, fetched, or given."""
        candidate = self._candidate
        spec, get = candidate.spec, candidate.wheel_source.get
        assert get is not None, "without a wheel to get, no rule asks how it came about"
        workshop = Workshop(
            spec,
            candidate.folder,
            candidate.interpreter,
            lambda: self._environment,
            candidate.settings.build_timeout,
        )
        built = candidate.store.once(BUILD, lambda: get(workshop))
        manifests = manifests_below(spec.tree) if spec.tree is not None and built.failure else ()
        return Build(spec.kind, spec.text, built, spec.tree, manifests)

    @property
    def failure(self) -> BuildFailure | None:
        """Why no wheel could be built or fetched; None where there is one, or need be none."""
        return self.release.built.failure if self._candidate.installs else None

    @property
    def from_tree(self) -> TreeBuild:
        """The wheel built straight from the source tree."""
        candidate, tree = self._candidate, self._candidate.spec.tree
        if tree is None:
            return TreeBuild(None, None, candidate.wheel, None)
        built = candidate.store.once(_TREE_BUILD, lambda: self._build_from(tree))
        tree_wheel = read_wheel(built.wheel) if built.wheel else None
        return TreeBuild(tree, built, candidate.wheel, tree_wheel)

    def _build_from(self, tree: Path) -> Built:
        candidate, environment = self._candidate, self._environment
        environment.given.update(self.release.built.given)  # maybe by another process
        folder = candidate.folder / "tree-build"
        return build_from_tree(tree, folder, environment, candidate.settings.build_timeout)

    @cached_property
    def _environment(self) -> BuildEnvironment:
        """That of both builds, so the requirements of the project are installed once."""
        candidate = self._candidate
        folder = candidate.folder / "build-environment"
        made = candidate.store.once(
            _ENVIRONMENT, lambda: create_bare(folder, candidate.interpreter)
        )
        return BuildEnvironment(made, INSTALLERS["uv"](), self.plans)


def manifests_below(tree: Path) -> tuple[PurePosixPath, ...]:
    """The manifests in a source tree, less those of tests, builds and environments."""
    elsewhere = {"build", "dist", "tests", "test", "site-packages"}
    found = [
        PurePosixPath(path.relative_to(tree).as_posix())
        for path in files_below(tree)
        if path.name == MANIFEST_NAME
    ]
    return tuple(
        sorted(
            (path for path in found if not elsewhere.intersection(path.parts)),
            key=lambda path: (len(path.parts), str(path)),
        )
    )
