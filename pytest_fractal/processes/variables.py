"""What each kind of process sees of the caller's environment.

Lists of what is let through, not of what is held back: a CI job's environment is full of
tokens whose names nobody can foresee. Nothing that is started with one of these
environments can find the rest in its own, nor in that of a process around it: the hermetic
command starts itself anew with `command_variables` (see `pytest_fractal.__main__`), and what
it must know besides, such as a password of an index, is kept in memory alone (`caller`).
"""

from __future__ import annotations

import os
import re
from collections import ChainMap
from collections.abc import Mapping
from pathlib import Path
from typing import Final

MARK: Final = "PYTEST_FRACTAL_RUN"
"""The variable that every process of a candidate has: by it those that escaped are found."""

BASIC: Final = re.compile(
    r"PATH|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_\w+|TZ|LD_LIBRARY_PATH"
    r"|DYLD_LIBRARY_PATH|DYLD_FALLBACK_LIBRARY_PATH"
)
"""What any program may need."""

TASK: Final = re.compile(r"CUDA_VISIBLE_DEVICES|CUDA_HOME|CUDA_PATH|OMP_NUM_THREADS")
"""What a task may need besides."""

BUILD: Final = re.compile(
    r"CC|CXX|CPP|FC|F77|F90|AR|AS|LD|NM|RANLIB|STRIP|CFLAGS|CXXFLAGS|CPPFLAGS|FFLAGS|FCFLAGS"
    r"|LDFLAGS|LDSHARED|ARCHFLAGS|MAKEFLAGS|CPATH|C_INCLUDE_PATH|CPLUS_INCLUDE_PATH|LIBRARY_PATH"
    r"|PKG_CONFIG|PKG_CONFIG_PATH|PKG_CONFIG_LIBDIR|CMAKE_(?:PREFIX_PATH|ARGS|GENERATOR)"
    r"|CMAKE_BUILD_(?:TYPE|PARALLEL_LEVEL)|CUDA_HOME|CUDA_PATH|JAVA_HOME|RUSTUP_(?:HOME|TOOLCHAIN)"
    r"|MACOSX_DEPLOYMENT_TARGET|SDKROOT|DEVELOPER_DIR|SOURCE_DATE_EPOCH"
    r"|SETUPTOOLS_SCM_PRETEND_\w+|SETUPTOOLS_SCM_DEBUG|PBR_VERSION|PDM_BUILD_SCM_VERSION"
    r"|POETRY_DYNAMIC_VERSIONING_BYPASS|HATCH_BUILD_\w+|VERSIONEER_OVERRIDE"
)
"""What compilers and backends may need: tools, flags and versions."""

PROXY: Final = re.compile(r"(?i:(?:all|https?|ftp|no)_proxy)")
CERTIFICATES: Final = re.compile(
    r"SSL_CERT_FILE|SSL_CERT_DIR|SSL_CLIENT_CERT|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE"
)
INSTALLER: Final = re.compile(
    r"PIP_\w+|UV_(?!PUBLISH_)(?!\w*_TOKEN$)\w+|HTTP_TIMEOUT|NETRC|XDG_CONFIG_DIRS"
)
"""The settings of pip and uv: only installers get them, for they hold passwords."""

COMMAND: Final = re.compile(
    r"HOME|TMPDIR|TEMP|TMP|TERM|COLUMNS|LINES|NO_COLOR|FORCE_COLOR|PY_COLORS|CI|GITHUB_ACTIONS"
    r"|GITHUB_WORKSPACE|XDG_(?:CACHE|CONFIG|DATA)_HOME|PYTEST_XDIST_AUTO_NUM_WORKERS"
    r"|PYTHON(?!STARTUP|INSPECT|BREAKPOINT)\w+"
)
"""What pytest itself needs besides, in the hermetic command."""

INTERPRETERS: Final = re.compile(
    r"HOME|TMPDIR|PYENV_(?:ROOT|VERSION|DIR)|ASDF_(?:DIR|DATA_DIR)|MISE_DATA_DIR"
    r"|UV_PYTHON_INSTALL_DIR|XDG_(?:CACHE|CONFIG|DATA)_HOME"
)
"""What looking for interpreters takes besides: shims, and uv's own ones."""

DATABASE: Final = re.compile(r"PG(?:HOST|PORT|USER|PASSWORD)")
"""What says where PostgreSQL is; read by the judge, and never handed on."""

CLUSTER: Final = re.compile(r"SLURM_CONF|SLURM_CLUSTERS|SLURM_JWT")
"""What SLURM's programs have to know; never handed on to a task."""

_kept_back: Final[dict[str, str]] = {}

caller: Final[Mapping[str, str]] = ChainMap(_kept_back, os.environ)
"""All that is known of the caller's environment, also what this process was not started with."""


def basic_variables() -> dict[str, str]:
    """What any program may see."""
    return _let_through(BASIC)


def task_variables(scratch: Path) -> dict[str, str]:
    """The environment of a command of the candidate's.

    Its home is `scratch`, which must exist, and so is the place of its temporary files.
    """
    return _let_through(BASIC, TASK) | _own(scratch)


def build_variables(scratch: Path) -> dict[str, str]:
    """The environment of a build's hooks: neither index settings nor a proxy's password."""
    proxies = {name: url for name, url in _let_through(PROXY).items() if "@" not in url}
    return {
        **_let_through(BASIC, BUILD, CERTIFICATES),
        **proxies,
        **_toolchains(),
        **_own(scratch),
    }


def installer_variables(scratch: Path | None) -> dict[str, str]:
    """The environment of pip and uv, with the caller's settings for them.

    The code of dependencies that come as source archives runs in it, so the home is
    `scratch` as well, unless there is none; caches stay where they are.
    """
    allowed = _let_through(BASIC, BUILD, PROXY, CERTIFICATES, INSTALLER)
    if scratch is None:
        return allowed | {"HOME": str(_home())}
    return _toolchains() | _places() | allowed | _own(scratch)


def git_variables() -> dict[str, str]:
    """The environment of git: it asks nobody, knows no login, and reads others' repositories."""
    return basic_variables() | {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
        "GIT_TERMINAL_PROMPT": "0",
    }


def cluster_variables() -> dict[str, str]:
    """The environment of SLURM's programs, which hand it on to the scripts of jobs."""
    return _let_through(BASIC, CLUSTER)


def interpreter_variables() -> dict[str, str]:
    """The environment in which interpreters are looked for."""
    return _let_through(BASIC, INTERPRETERS)


def command_variables() -> dict[str, str]:
    """The environment with which the hermetic command starts itself anew."""
    return _let_through(BASIC, COMMAND)


def kept_back() -> dict[str, str]:
    """What this process knows besides its own environment, to tell another one of the run."""
    return dict(_kept_back) or _let_through(
        TASK, BUILD, PROXY, CERTIFICATES, INSTALLER, INTERPRETERS, DATABASE, CLUSTER
    )


def keep_back(settings: Mapping[str, str]) -> None:
    """Know these settings of the caller's, though the environment does not have them."""
    _kept_back.update(settings)


def _let_through(*lists: re.Pattern[str]) -> dict[str, str]:
    return {
        name: value
        for name, value in caller.items()
        if any(pattern.fullmatch(name) for pattern in lists)
    }


def _own(scratch: Path) -> dict[str, str]:
    return {"HOME": str(scratch), "TMPDIR": str(scratch)}


def _toolchains() -> dict[str, str]:
    """Where compilers that are looked for in the home are: no login lies there."""
    return _existing({"RUSTUP_HOME": ".rustup"})


def _places() -> dict[str, str]:
    """Where pip and uv find what they otherwise look for in the home."""
    cache = Path(caller.get("XDG_CACHE_HOME") or _home() / ".cache")
    configuration = Path(caller.get("XDG_CONFIG_HOME") or _home() / ".config")
    data = Path(caller.get("XDG_DATA_HOME") or _home() / ".local" / "share")
    places = {"UV_CACHE_DIR": str(cache / "uv"), "PIP_CACHE_DIR": str(cache / "pip")}
    if (configuration / "uv" / "uv.toml").is_file():
        places["XDG_CONFIG_HOME"] = str(configuration)
    if (data / "uv" / "credentials").is_dir():
        places["UV_CREDENTIALS_DIR"] = str(data / "uv" / "credentials")
    return _existing({"NETRC": ".netrc"}) | places


def _existing(wanted: Mapping[str, str]) -> dict[str, str]:
    found = {name: _home() / path for name, path in wanted.items()}
    return {name: str(path) for name, path in found.items() if path.exists()}


def _home() -> Path:
    return Path(caller.get("HOME") or "~").expanduser()
