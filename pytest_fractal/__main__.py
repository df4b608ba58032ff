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
    from typing import NoReturn

_USAGE = """usage: pytest-fractal PACKAGE [PACKAGE ...] [options]

Judge Fractal task packages: folders, wheels, or requirements such as name==1.2.
The options are those of pytest; of this plugin there are:

"""


def main() -> int:
    """Run the hermetic command; returns the exit status."""
    _forget_folder()
    if _HANDED_OVER not in os.environ:
        _start_anew()
    given = _handed_over()
    import pytest

    packages, others = _split(given)
    if given in (["-h"], ["--help"]):
        print(_USAGE + _options())
        return 0
    if not packages and not any(one.startswith(_NEED_NO_PACKAGE) for one in given):
        print(_USAGE + _options(), file=sys.stderr)
        return 4
    return int(
        pytest.main(
            [
                # An empty configuration: the one of the folder belongs to the candidate.
                f"--config-file={os.path.join(os.path.dirname(__file__), 'hermetic.ini')}",
                f"--rootdir={os.getcwd()}",
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


_HANDED_OVER = "PYTEST_FRACTAL_HANDED_OVER"


def _start_anew() -> NoReturn:
    """Start this command again, by `exec`, with nothing that it does not need.

    What a process was started with, variables and command line, can be read by others of the
    same user, and so by those of the candidate. Therefore it is started with variables that
    are harmless (`command_variables`). What installers must know of the rest comes through a
    file without a name, and stays in memory; so do the arguments, for a URL of a database may
    hold a password.
    """
    import json
    import re
    import tempfile

    from pytest_fractal.processes.variables import command_variables, kept_back

    with tempfile.TemporaryFile("w+", encoding="utf-8") as file:
        json.dump([sys.argv[1:], kept_back()], file)
        file.seek(0)
        os.set_inheritable(file.fileno(), True)
        own = {
            _HANDED_OVER: str(file.fileno()),
            # No plugin that happens to be installed, in the workers of xdist neither; and no
            # folder on the path in which the command was called.
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONSAFEPATH": "1",
        }
        shown = [re.sub(r"://[^/@\s]+@", "://***@", word) for word in sys.orig_argv[1:]]
        os.execve(sys.executable, [sys.executable, *shown], command_variables() | own)


def _handed_over() -> list[str]:
    """The arguments; and the settings are known from now on."""
    import json

    from pytest_fractal.processes.supervisor import hide
    from pytest_fractal.processes.variables import keep_back

    hide()
    with os.fdopen(int(os.environ.pop(_HANDED_OVER)), encoding="utf-8") as file:
        arguments, settings = json.load(file)
    keep_back(settings)
    return [str(argument) for argument in arguments]


def _forget_folder() -> None:
    """`python -m` puts the current folder first on the path: its modules are the candidate's."""
    # Only the first entry is that one: an editable installation may be the same folder.
    if sys.path and sys.path[0] in ("", os.getcwd()):
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
        if argument == "--fractal-fix" and not value_follows:
            argument += "=apply"
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


_FLAGS = frozenset(
    {"--fractal-strict", "--fractal-keep", "--fractal-rules", "--fractal-new-samples"}
)


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
