"""Each kind of process sees these variables of the caller's, and not one more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_fractal.processes import variables


def names(text: str) -> set[str]:
    return set(text.split())


BASIC = names(
    "PATH USER LOGNAME SHELL LANG LANGUAGE LC_ALL LC_CTYPE TZ LD_LIBRARY_PATH DYLD_LIBRARY_PATH "
    "DYLD_FALLBACK_LIBRARY_PATH"
)
TASK = names("CUDA_VISIBLE_DEVICES CUDA_HOME CUDA_PATH OMP_NUM_THREADS")
BUILD = names(
    "CC CXX CPP FC F77 F90 AR AS LD NM RANLIB STRIP CFLAGS CXXFLAGS CPPFLAGS FFLAGS FCFLAGS "
    "LDFLAGS LDSHARED ARCHFLAGS MAKEFLAGS CPATH C_INCLUDE_PATH CPLUS_INCLUDE_PATH LIBRARY_PATH "
    "PKG_CONFIG PKG_CONFIG_PATH PKG_CONFIG_LIBDIR CMAKE_PREFIX_PATH CMAKE_ARGS CMAKE_GENERATOR "
    "CMAKE_BUILD_TYPE CMAKE_BUILD_PARALLEL_LEVEL CUDA_HOME CUDA_PATH JAVA_HOME RUSTUP_HOME "
    "RUSTUP_TOOLCHAIN MACOSX_DEPLOYMENT_TARGET SDKROOT DEVELOPER_DIR SOURCE_DATE_EPOCH "
    "SETUPTOOLS_SCM_PRETEND_VERSION SETUPTOOLS_SCM_DEBUG PBR_VERSION PDM_BUILD_SCM_VERSION "
    "POETRY_DYNAMIC_VERSIONING_BYPASS HATCH_BUILD_CLEAN VERSIONEER_OVERRIDE"
)
CERTIFICATES = names(
    "SSL_CERT_FILE SSL_CERT_DIR SSL_CLIENT_CERT REQUESTS_CA_BUNDLE CURL_CA_BUNDLE"
)
PROXY = {"http_proxy", "HTTPS_PROXY", "all_proxy", "NO_PROXY", "ftp_proxy"}
INSTALLER = {"PIP_INDEX_URL", "UV_INDEX", "HTTP_TIMEOUT", "NETRC", "XDG_CONFIG_DIRS"}
INTERPRETERS = names(
    "HOME TMPDIR PYENV_ROOT PYENV_VERSION PYENV_DIR ASDF_DIR ASDF_DATA_DIR MISE_DATA_DIR "
    "UV_PYTHON_INSTALL_DIR XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME"
)
COMMAND = names(
    "HOME TMPDIR TEMP TMP TERM COLUMNS LINES NO_COLOR FORCE_COLOR PY_COLORS CI GITHUB_ACTIONS "
    "GITHUB_WORKSPACE XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME PYTEST_XDIST_AUTO_NUM_WORKERS "
    "PYTHONPATH PYTHONDONTWRITEBYTECODE PYTHONWARNINGS"
)
DATABASE = {"PGHOST", "PGPORT", "PGUSER", "PGPASSWORD"}
NEVER = names(
    "GITHUB_TOKEN ACTIONS_RUNTIME_TOKEN AWS_SECRET_ACCESS_KEY PASSWORD UV_PUBLISH_TOKEN "
    "UV_PUBLISH_PASSWORD UV_SOMETHING_TOKEN TWINE_PASSWORD SSH_AUTH_SOCK VIRTUAL_ENV "
    "PYTHONSTARTUP PYTHONINSPECT PYTHONBREAKPOINT PYTEST_ADDOPTS BASH_ENV LD_PRELOAD XPATH PATHX "
    "PGDATABASE PGPASSFILE CMAKE_BUILD_TOKEN HATCH_TOKEN SETUPTOOLS_SCM_TOKEN"
)


@pytest.fixture(autouse=True)
def _caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller that has a variable of every name."""
    for listed in (BASIC, TASK, BUILD, CERTIFICATES, PROXY, INSTALLER, INTERPRETERS):
        for name in listed:
            monkeypatch.setitem(variables._kept_back, name, "here")
    for name in (*COMMAND, *DATABASE, *NEVER):
        monkeypatch.setitem(variables._kept_back, name, "here")
    monkeypatch.setattr(variables, "caller", variables._kept_back)


@pytest.mark.parametrize(
    ("see", "expected"),
    [
        (variables.basic_variables, BASIC),
        (lambda: variables.task_variables(Path("/room")), BASIC | TASK | {"HOME", "TMPDIR"}),
        (
            lambda: variables.build_variables(Path("/room")),
            BASIC | BUILD | CERTIFICATES | PROXY | {"HOME", "TMPDIR"},
        ),
        (
            lambda: variables.installer_variables(None),
            BASIC | BUILD | CERTIFICATES | PROXY | INSTALLER | {"HOME", "UV_PYTHON_INSTALL_DIR"},
        ),
        (variables.interpreter_variables, BASIC | INTERPRETERS),
        (variables.command_variables, BASIC | COMMAND),
    ],
    ids=["basic", "task", "build", "installer", "interpreters", "command"],
)
def test_the_whole_set_is_what_is_listed(
    see: Callable[[], dict[str, str]], expected: set[str]
) -> None:
    assert set(see()) == expected


def test_a_proxy_with_a_password_is_for_installers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "http://me:hush@proxy:3128"
    monkeypatch.setitem(variables._kept_back, "http_proxy", url)
    assert "http_proxy" not in variables.build_variables(Path("/room"))
    assert variables.installer_variables(None)["http_proxy"] == url
