"""`pytest-fractal PACKAGE ...`: the suite, and nothing of the folder it is called in.

The same options as pytest's, but the candidate's `addopts`, `conftest.py` and the
plugins that happen to be installed have no say.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

# All else is imported once the current folder is off the path.
if TYPE_CHECKING:
    from collections.abc import Sequence

_USAGE = """usage: pytest-fractal PACKAGE [PACKAGE ...] [options]

Judge Fractal task packages: folders, wheels, or requirements such as name==1.2.
The options are those of pytest; of this plugin there are:

"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the hermetic command; returns the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    _forget_folder()
    import tempfile
    from pathlib import Path

    import pytest

    packages, others = _split(given)
    if given in (["-h"], ["--help"]):
        print(_USAGE + _options())
        return 0
    if not packages and not any(one.startswith(_NEED_NO_PACKAGE) for one in given):
        print(_USAGE + _options(), file=sys.stderr)
        return 4
    # An empty configuration: the one of the folder belongs to the candidate.
    with tempfile.TemporaryDirectory(prefix="pytest-fractal-") as folder:
        configuration = Path(folder, "pytest.ini")
        configuration.write_text("[pytest]\n")
        foreign = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS")
        # The second keeps the folder off the path of xdist's workers too.
        own = ("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "PYTHONSAFEPATH")
        before = {name: os.environ.pop(name) for name in (*foreign, *own) if name in os.environ}
        os.environ |= dict.fromkeys(own, "1")
        try:
            return int(
                pytest.main(
                    [
                        f"--config-file={configuration}",
                        f"--rootdir={Path.cwd()}",
                        "--noconftest",
                        "-p",
                        "pytest_fractal.plugin",
                        *(["-p", "xdist.plugin"] if _wants_workers(others) else []),
                        "-p",
                        "no:cacheprovider",
                        *(f"--fractal-package={package}" for package in packages),
                        *others,
                    ]
                )
            )
        finally:
            for name in own:
                del os.environ[name]
            os.environ |= before


def _forget_folder() -> None:
    """`python -m` puts the current folder first on the path: its modules are the candidate's."""
    # Only the first entry is that one: an editable installation may be the same folder.
    if sys.path and sys.path[0] in ("", os.getcwd()):  # noqa: PTH109
        del sys.path[0]


_WITH_VALUE = frozenset(
    {
        "-k",
        "-m",
        "-n",
        "-o",
        "-p",
        "-r",
        "-W",
        "-c",
        "--tb",
        "--maxfail",
        "--durations",
        "--junit-xml",
        "--junitxml",
        "--color",
        "--dist",
        "--verbosity",
        "--basetemp",
        "--capture",
        "--numprocesses",
        "--deselect",
        "--override-ini",
        "--show-capture",
        "--durations-min",
        "--junit-prefix",
        "--pythonwarnings",
        "--log-level",
    }
)


_NEED_NO_PACKAGE = (
    "--fractal-package",
    "--fractal-task",
    "--fractal-rules",
    "--fractal-explain",
    "--version",
    "-V",
    "--help",
    "-h",
    "--markers",
    "--fixtures",
)


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The packages, and the options with their values."""
    packages: list[str] = []
    others: list[str] = []
    value_follows = False
    for argument in arguments:
        if argument == "--fractal-server" and not value_follows:
            argument += "="  # else pytest would take the next one for its version
        if value_follows or argument.startswith("-"):
            others.append(argument)
            own = argument.startswith("--fractal-") and "=" not in argument
            value_follows = not value_follows and (
                argument in _WITH_VALUE or (own and argument not in _FLAGS)
            )
        elif "::" in argument:
            others.append(argument)
        else:
            packages.append(argument)
    return packages, others


_FLAGS = frozenset({"--fractal-strict", "--fractal-keep", "--fractal-rules"})


def _wants_workers(arguments: Sequence[str]) -> bool:
    return any(one.startswith("-n") or one.startswith("--numprocesses") for one in arguments)


def _options() -> str:
    import pytest

    from pytest_fractal import plugin

    parser = pytest.Parser(_ispytest=True)
    plugin.pytest_addoption(parser)
    lines = []
    for option in parser.getgroup("fractal").options:
        lines.append(f"  {', '.join(option.names())}\n      {option.attrs().get('help', '')}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
