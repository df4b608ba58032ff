"""`pytest-fractal PACKAGE ...`: the suite, and nothing of the folder it is called in.

The same options as pytest's, but the candidate's `addopts`, `conftest.py` and the
plugins that happen to be installed have no say.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from typing import TYPE_CHECKING

# All else is imported once the current folder is off the path.
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

_USAGE = """usage: pytest-fractal [PACKAGE ...] [options]

Judge Fractal task packages: folders, wheels, or requirements such as name==1.2; without
one, the folder in which it is called.
The options are those of pytest; of this plugin there are:

"""


def main() -> int:
    """Run the hermetic command; returns the exit status."""
    _forget_folder()
    if _HANDED_OVER not in os.environ:
        _start_anew()
    given = _handed_over()
    import pytest

    if given in (["-h"], ["--help"]):
        print(_USAGE + _options())
        return 0
    if given in (["-V"], ["--version"]):
        from importlib.metadata import version

        print(f"pytest-fractal {version('pytest-fractal')} (pytest {pytest.__version__})")
        return 0
    packages, others = _split(given)
    plugins = _plugins(others)
    if not packages and not any(argument.startswith(_NEED_NO_PACKAGE) for argument in given):
        packages = ["."]
    return int(
        pytest.main(
            [
                # An empty configuration: the one of the folder belongs to the candidate.
                f"--config-file={os.path.join(os.path.dirname(__file__), 'hermetic.ini')}",
                f"--rootdir={os.getcwd()}",
                "--noconftest",
                *(f"-p{name}" for name in (*plugins, "no:cacheprovider")),
                *(f"--fractal-package={package}" for package in packages),
                *others,
            ],
            # `-p` alone would warn of those that are imported already; the workers of xdist are
            # given `-p` only.
            plugins=[sys.modules[name] for name in plugins if name in sys.modules],
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
        words = [re.sub(r"://[^/@\s]+@", "://***@", word) for word in sys.orig_argv[1:]]
        shown = [re.sub(r"(https?://[^\s?#]+\?)[^\s#]+", r"\1***", word) for word in words]
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


_NEED_NO_PACKAGE = (
    "--fractal-package",
    "--fractal-task",
    "--fractal-rules",
    "--fractal-explain",
    "--help",
    "-h",
    "--markers",
    "--fixtures",
)


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The packages, and the options with their values; pytest's parser says which those are."""
    packages: list[str] = []
    others: list[str] = []
    value_follows = False
    for number, argument in enumerate(arguments, 1):
        if value_follows or (argument.startswith("-") and argument != "-"):
            if argument in ("--fractal-server", "--fractal-find-pins") and not value_follows:
                argument += "="  # else pytest would take the next one for its version
            if argument == "--fractal-fix" and not value_follows:
                argument += "=apply"
            others.append(argument)
            # The parser takes its time, and where no word follows, it is not asked.
            is_open = not value_follows and number < len(arguments)
            value_follows = is_open and _awaits_value(argument, _plugins(arguments))
        elif "::" in argument:
            others.append(argument)
        else:
            packages.append(argument)
    return packages, others


@functools.cache
def _options_with_value(plugins: tuple[str, ...]) -> frozenset[str]:
    """The options of pytest and of these plugins that take the next word."""
    from _pytest.config import get_config

    config = get_config()
    for plugin in plugins:
        with contextlib.suppress(ImportError):
            config.pluginmanager.import_plugin(plugin)
    actions = config._parser.optparser._option_string_actions
    return frozenset(name for name, action in actions.items() if action.nargs is None)


def _awaits_value(argument: str, plugins: tuple[str, ...]) -> bool:
    """Whether the next word belongs to this one: `--tb`, `-k`, or `-qk`, but not `-kx`."""
    if argument.startswith("--"):
        return "=" not in argument and argument in _options_with_value(plugins)
    takes_value = _options_with_value(plugins)
    first = next(
        (n for n, letter in enumerate(argument[1:], 1) if f"-{letter}" in takes_value), None
    )
    return first is not None and first == len(argument) - 1


def _plugins(arguments: Sequence[str]) -> tuple[str, ...]:
    """The plugins of a run: this one, and xdist where its workers are asked for."""
    workers = any(argument.startswith(("-n", "--numprocesses")) for argument in arguments)
    return ("pytest_fractal.plugin", *(("xdist.plugin",) if workers else ()))


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
