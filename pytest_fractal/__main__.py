"""`pytest-fractal PACKAGE ...`: the suite, and nothing of the folder it is called in.

The same options as pytest's, but the candidate's `addopts`, `conftest.py` and the
plugins that happen to be installed have no say.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

_USAGE = """usage: pytest-fractal PACKAGE [PACKAGE ...] [options]

Judge Fractal task packages: folders, wheels, or requirements such as name==1.2.
The options are those of pytest; of this plugin there are:

"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the hermetic command; returns the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    _forget_folder()
    import pytest

    if not given or given in (["-h"], ["--help"]):
        print(_USAGE + _options())
        return 0 if given else 4
    packages, others = _split(given)
    # An empty configuration: the one of the folder belongs to the candidate.
    with tempfile.TemporaryDirectory(prefix="pytest-fractal-") as folder:
        configuration = Path(folder, "pytest.ini")
        configuration.write_text("[pytest]\n")
        environment = {
            name: os.environ.pop(name)
            for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS")
            if name in os.environ
        }
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        try:
            return int(
                pytest.main(
                    [
                        f"--config-file={configuration}",
                        f"--rootdir={Path.cwd()}",
                        "--noconftest",
                        "-p", "pytest_fractal.plugin",
                        *(["-p", "xdist.plugin"] if _wants_workers(others) else []),
                        "-p", "no:cacheprovider",
                        *(f"--fractal-package={package}" for package in packages),
                        *others,
                    ]
                )
            )  # fmt: skip
        finally:
            os.environ.pop("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
            os.environ.update(environment)


def _forget_folder() -> None:
    """`python -m` puts the current folder first on the path: its modules are the candidate's."""
    here = str(Path.cwd())
    sys.path[:] = [entry for entry in sys.path if entry not in ("", here)]


_WITH_VALUE = frozenset({"-k", "-m", "-n", "-o", "-p", "-r", "-W", "-c", "--tb", "--maxfail",
                         "--durations", "--junit-xml", "--junitxml", "--color", "--dist",
                         "--verbosity", "--basetemp", "--capture", "--numprocesses"})  # fmt: skip


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The packages, and the options with their values."""
    packages: list[str] = []
    others: list[str] = []
    value_follows = False
    for argument in arguments:
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
