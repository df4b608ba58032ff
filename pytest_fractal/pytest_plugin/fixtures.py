"""Fixtures for the tests of a task package's authors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_fractal.api import Package, PackageServer, TaskRun
    from pytest_fractal.facts import Task
    from pytest_fractal.samples.files import Sample


@pytest.fixture(scope="session")
def fractal_package(pytestconfig: pytest.Config) -> Package:
    """The package of `--fractal-package`: its `wheel`, `manifest`, `tasks` and `environment`."""
    from pytest_fractal.api import Package
    from pytest_fractal.errors import BadInput, HarnessError
    from pytest_fractal.pytest_plugin.suite import only_candidate

    try:
        return Package(only_candidate(pytestconfig))
    except (BadInput, HarnessError) as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


@pytest.fixture(scope="session")
def fractal_samples(fractal_package: Package) -> tuple[Sample, ...]:
    """The package's samples: each with its `name`, `task`, `args` and what it `expect`s."""
    return fractal_package.samples


@pytest.fixture
def fractal_task(request: pytest.FixtureRequest) -> Task:
    """Each task of the manifest in turn: a test that asks for it runs once a task."""
    task: Task | None = request.param
    if task is None:
        request.getfixturevalue("fractal_package")  # tells why, when there is no package
        pytest.fail("no task can be read from the package's manifest", pytrace=False)
    return task


@pytest.fixture(scope="session")
def fractal_server(fractal_package: Package) -> PackageServer:
    """A running fractal-server that has collected the package; skips without --fractal-server."""
    from pytest_fractal.errors import BadInput, HarnessError

    if not fractal_package.asks_server:
        pytest.skip("a real server only runs with --fractal-server")
    try:
        return fractal_package.server
    except (BadInput, HarnessError) as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


@pytest.fixture(scope="session")
def run_fractal_task(fractal_package: Package) -> Callable[..., TaskRun]:
    """Runs a task as Fractal does: `run_fractal_task(task, args, **reserved) -> TaskRun`.

    `task` is a task, its name or its slug; `args` its own arguments. What Fractal supplies
    (`input_paths`, `output_path`, `metadata`, `component`; in generation 2 `zarr_url`,
    `zarr_urls`, `zarr_dir`, `init_args`) is filled in with a fresh folder unless it is given
    by name. Of a compound task both parts run, with `{"init": {...}, "compute": {...}}`, or
    one: `part="init"`.
    """
    from pytest_fractal.errors import BadInput, HarnessError

    def run(
        task: Task | str,
        args: Mapping[str, Any] | None = None,
        /,
        part: str | None = None,
        **reserved: Any,
    ) -> TaskRun:
        if isinstance(task, str):
            named = [
                listed for listed in fractal_package.tasks if task in (listed.name, listed.slug)
            ]
            if not named:
                there = ", ".join(task.slug for task in fractal_package.tasks)
                raise LookupError(f"no task is called {task!r}; there are: {there}")
            task = named[0]
        try:
            return fractal_package.run(task, args or {}, reserved, part)
        except (BadInput, HarnessError) as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None

    return run


@pytest.fixture
def fractal_ome_zarr(tmp_path: Path) -> Path:
    """A folder with a tiny OME-Zarr image and a tiny plate, for this test alone.

    `image.zarr`, and `plate.zarr` with images at `B/03/0` and `B/05/0`, are NGFF 0.4;
    `image_v05.zarr` and `plate_v05.zarr` the same in 0.5. It needs no
    package.
    """
    from pytest_fractal.samples.ome_zarr import unpack_ome_zarr

    return unpack_ome_zarr(tmp_path / "ome_zarr")
