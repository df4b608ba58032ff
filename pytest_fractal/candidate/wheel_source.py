"""Where the wheel of a PACKAGE argument comes from: a build, a file, a URL, or an index."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pytest_fractal.environments.building import (
    BuildEnvironment,
    BuildFailure,
    Built,
    build_release,
)
from pytest_fractal.environments.downloads import fetch_wheel
from pytest_fractal.environments.environments import create_bare
from pytest_fractal.environments.installing import check_index, download
from pytest_fractal.environments.interpreters import Interpreter
from pytest_fractal.environments.wheels import check_whole
from pytest_fractal.errors import BadInput
from pytest_fractal.package_spec import PackageSpec
from pytest_fractal.processes.processes import last_lines


@dataclass(frozen=True)
class Workshop:
    """What getting a wheel takes."""

    spec: PackageSpec
    folder: Path
    """Below which everything is put."""
    interpreter: Interpreter
    build_environment: Callable[[], BuildEnvironment]
    """Makes the environment in which hooks of build backends run, or returns the one there is."""
    build_timeout: float
    """Seconds, for each hook."""


@dataclass(frozen=True)
class WheelSource:
    """One way to get a wheel."""

    get: Callable[[Workshop], Built] | None
    """Raises `BadInput` for an argument of no use, and `HarnessError`; None where there is no
    wheel to get, nor to install."""
    doing: str
    """What is being done meanwhile: `building`."""
    stage: str | None
    """What that is called among the stages of a run; None where it takes no time."""
    from_index: bool = False


def build(workshop: Workshop) -> Built:
    """Build the wheel of a source tree as a release is built."""
    spec = workshop.spec
    assert spec.path is not None
    return build_release(
        spec.path,
        workshop.folder / "build",
        workshop.build_environment(),
        workshop.build_timeout,
    )


def take(workshop: Workshop) -> Built:
    """Take a wheel file as it is. Raises `BadInput` when it is broken off."""
    assert workshop.spec.path is not None
    check_whole(workshop.spec.path)
    return Built(workshop.spec.path)


def fetch(workshop: Workshop) -> Built:
    """Download a wheel from the package index. Raises `BadInput` when it has no such release."""
    requirement, interpreter = workshop.spec.requirement, workshop.interpreter
    assert requirement is not None
    folder = workshop.folder / "download"
    environment = create_bare(workshop.folder / "download-environment", interpreter, pip=True)
    finished = download(environment, requirement, folder)
    if re.search("requires? a different python", finished.stderr, re.IGNORECASE):
        # Whether it installs is for FR002 to say.
        finished = download(environment, requirement, folder, "--ignore-requires-python")
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    if finished.returncode or not files:
        said = check_index(environment, requirement).stderr
        if "no wheels with a matching" in said:
            return Built(None, BuildFailure("wheel", last_lines(said, 4)))
        said = finished.stderr or finished.stdout
        errors = [line for line in said.splitlines() if line.startswith("ERROR: ")]
        reason = " ".join(error.removeprefix("ERROR: ") for error in errors[-2:])
        raise BadInput(
            f"{workshop.spec.text}: the package index has nothing for this: "
            f"{reason or last_lines(said, 2)}"
        )
    if files[0].suffix != ".whl":
        return Built(None, BuildFailure("wheel", f"the index has only {files[0].name}"))
    return Built(files[0])


def fetch_from_url(workshop: Workshop) -> Built:
    """Fetch a wheel from where a URL says. Raises `BadInput` when there is none."""
    url = workshop.spec.url
    assert url is not None
    wheel = fetch_wheel(url, workshop.folder / "download")
    try:
        check_whole(wheel)
    except BadInput:
        raise BadInput(f"{url.shown}: the file there is no readable wheel") from None
    return Built(wheel)


NO_WHEEL: Final = WheelSource(None, "reading", None)
"""Of what is installed already, or is no package."""

WHEEL_SOURCES: Final[Mapping[str, WheelSource]] = {
    "source": WheelSource(build, "building", "build"),
    "wheel": WheelSource(take, "reading", None),
    "url": WheelSource(fetch_from_url, "fetching", "download"),
    "requirement": WheelSource(fetch, "fetching", "download", from_index=True),
}
"""The ways to get a wheel, by the kind of PACKAGE argument."""
