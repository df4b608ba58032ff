"""What `pip show --files` prints of a package: both servers read its place there.

It is worked out from the wheel where that is enough, and asked of pip elsewhere.
"""

from __future__ import annotations

import csv
import email
import string
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from pathlib import PurePosixPath
from typing import Final, Literal

from packaging.utils import canonicalize_name

from pytest_fractal.environments.environments import Environment
from pytest_fractal.environments.installing import run_pip
from pytest_fractal.environments.wheels import Wheel, installed_path
from pytest_fractal.processes.processes import last_lines

LOCATION: Final = "/site-packages"
"""What stands for the place of the package, which differs from environment to environment."""

_FILES: Final = "Files:"


@dataclass(frozen=True)
class PipShow:
    """What `pip show --files NAME` prints, line by line."""

    about: tuple[str, ...]
    """The lines about the package, as they are also without `--files`."""
    files: tuple[str, ...]
    """The paths of its files below site-packages, by RECORD."""
    strange: tuple[str, ...] = ()
    """The lines in `about` that METADATA does not explain: something else has printed them."""
    failure: str | None = None
    """The last words of a `pip show` that failed; both servers then give up."""

    def origin(self, line: str) -> Literal["METADATA", "pip show"]:
        """Where a line in `about` comes from: or that something else has printed it."""
        return "pip show" if line in self.strange else "METADATA"


_FIELDS: Final = 8
"""What `pip show` prints of METADATA: as many lines, if no field is continued on another."""
_OWN_START: Final = frozenset({"_virtualenv.pth", "distutils-precedence.pth"})
"""What makes Python run code when it starts, in a fresh environment: virtualenv's, setuptools'."""


def is_predictable(environment: Environment, expected: PipShow) -> bool:
    """Whether pip prints what is `expected` of a wheel that it has just installed.

    That is so where METADATA has nothing odd and nothing but pip prints: no code of the
    candidate, or of what it requires, runs when Python starts.
    """
    if expected.failure is not None or len(expected.about) != _FIELDS:
        return False
    if any("\n" in path or path != path.strip() for path in expected.files):
        return False
    names = {path.name for path in environment.site_packages.iterdir()}
    starting = {name for name in names if name.endswith(".pth")} - _OWN_START
    customized = {name.partition(".")[0] for name in names} & {"sitecustomize", "usercustomize"}
    return not starting and not customized


def run_pip_show(environment: Environment, wheel: Wheel) -> PipShow:
    """Run `pip show --files` on what was installed from a wheel.

    Raises `HarnessError` when the machine is to blame for its failure.
    """
    finished = run_pip(environment, "show", "--files", canonicalize_name(wheel.distribution))
    if finished.returncode:
        reason = last_lines(finished.stderr or finished.stdout, 1) or finished.ending
        return PipShow((), (), failure=reason)
    # The servers' folders have no blanks, no colons, and none of the manifest's letters.
    # Split as grep does, not at all that Unicode takes for the end of a line.
    shown = finished.stdout.replace(str(environment.site_packages), LOCATION).split("\n")
    last = max((at for at, line in enumerate(shown) if line == _FILES), default=len(shown))
    about, files = shown[:last], [line.strip() for line in shown[last + 1 :]]
    expected = expected_pip_show(wheel).about
    strange = tuple(line for line in about if line not in expected)
    return PipShow(tuple(about), tuple(filter(None, files)), strange)


def expected_pip_show(wheel: Wheel) -> PipShow:
    """What `pip show --files` would print of a wheel that pip has installed.

    Of its requirements, which no server reads there, nothing is said; see pip's
    `commands/show.py`, and `operations/install/wheel.py` for what it makes of RECORD.
    """
    message = email.message_from_string(wheel.raw_metadata.decode(errors="replace"))
    try:
        homepage = _homepage(message)
        written = message["Metadata-Version"] or ""
        version = tuple(map(int, written.split("."))) if written else ()
    except ValueError as error:
        return PipShow((), (), failure=f"ValueError: {error}")
    expression = message.get("License-Expression", "")
    is_expression = bool(version >= (2, 4) and expression)
    about = (
        ("Name", message.get("Name", "")),
        ("Version", message.get("Version", "")),
        ("Summary", message.get("Summary", "")),
        ("Home-page", homepage),
        ("Author", message.get("Author", "")),
        ("Author-email", message.get("Author-email", "")),
        ("License-Expression", expression)
        if is_expression
        else ("License", message.get("License", "")),
        ("Location", LOCATION),
    )
    lines = (f"{field}: {_unfolded(value)}" for field, value in about)
    return PipShow(
        tuple(line for text in lines for line in text.split("\n")),
        tuple(sorted(_recorded(wheel))),
    )


def _homepage(message: Message) -> str:
    if given := message.get("Home-page", ""):
        return str(given)
    removed = str.maketrans("", "", string.punctuation + string.whitespace)
    for text in message.get_all("Project-URL", []):
        label, url = str(text).split(",", maxsplit=1)
        if label.translate(removed).lower() == "homepage":
            return str(url.strip())
    return ""


def _unfolded(value: object) -> str:
    """A field as Python's `importlib.metadata` gives it: continued lines lose their indent."""
    text = str(value)
    return textwrap.dedent(" " * 8 + text) if "\n" in text else text


def _recorded(wheel: Wheel) -> Iterator[str]:
    """The paths in the RECORD that pip writes: those in the wheel's own, and what it installs."""
    if wheel.path.suffix == ".dist-info":
        yield from wheel.entries  # they are read from the RECORD of what is installed
        return
    installed = {entry: installed_path(entry) or entry for entry in wheel.entries}
    for row in csv.reader(wheel.record.splitlines()):
        if row:
            yield str(PurePosixPath(installed.pop(row[0], row[0])))
    yield from installed.values()
