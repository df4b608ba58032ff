"""Where packages come from is written down once, for pip or for uv, and both heed it."""

from __future__ import annotations

import base64
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from zipfile import ZipFile

import pytest
import virtualenv
from uv import find_uv_bin

from pytest_fractal.environments.indexes import installer_environment
from pytest_fractal.environments.logins import installer_start
from pytest_fractal.errors import BadInput
from pytest_fractal.processes import processes

Installer = Literal["uv", "pip"]
Write = Callable[[str], Path]


@pytest.fixture(autouse=True)
def nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user with an empty home, who has no settings of pip or uv."""
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_", "XDG_")) or re.search(
            r"_PROXY$|^SSL_|_CA_BUNDLE$|^HTTP_TIMEOUT$", name.upper()
        ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "etc"))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def writer(path: Path) -> Write:
    def write(text: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


@pytest.fixture
def pip_conf(tmp_path: Path) -> Write:
    return writer(tmp_path / "home" / ".config" / "pip" / "pip.conf")


@pytest.fixture
def uv_toml(tmp_path: Path) -> Write:
    return writer(tmp_path / "home" / ".config" / "uv" / "uv.toml")


def make_wheel(folder: Path, version: str = "1.0") -> Path:
    """A wheel of the package `fractal-tiny`, which is on no index of the world."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"fractal_tiny-{version}-py3-none-any.whl"
    info = f"fractal_tiny-{version}.dist-info"
    with ZipFile(path, "w") as wheel:
        wheel.writestr("fractal_tiny/__init__.py", "")
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: fractal-tiny\nVersion: {version}\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    return path


def make_index(folder: Path, version: str = "1.0") -> Path:
    """The root of a simple index on disk that holds nothing but `fractal-tiny`."""
    wheel = make_wheel(folder / "fractal-tiny", version)
    page = folder / "fractal-tiny" / "index.html"
    page.write_text(f'<!DOCTYPE html><a href="{wheel.name}">{wheel.name}</a>')
    return folder


class _Quiet(SimpleHTTPRequestHandler):
    login: str | None = None

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self.login is not None:
            wanted = f"Basic {base64.b64encode(self.login.encode()).decode()}"
            if self.headers["Authorization"] != wanted:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="index"')
                self.end_headers()
                return
        super().do_GET()


def serve(folder: Path, login: str | None = None) -> Iterator[str]:
    handler = type("Handler", (_Quiet,), {"login": login})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """The address of a simple index on the network."""
    yield from (f"http://{host}/" for host in serve(make_index(tmp_path / "served")))


@pytest.fixture
def private_index(tmp_path: Path) -> Iterator[str]:
    """The host of a simple index that wants the login `me:s/cret`."""
    yield from serve(make_index(tmp_path / "private"), "me:s/cret")


@pytest.fixture(scope="session")
def venv_with_pip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("venv")
    virtualenv.cli_run([str(folder), "--no-setuptools", "--no-periodic-update"])
    return folder / "bin" / "python"


@pytest.fixture
def install(venv_with_pip: Path, tmp_path: Path) -> Callable[[Installer], str]:
    """Really installs `fractal-tiny`, and gives the version that was taken."""

    def run(installer: Installer) -> str:
        target = tmp_path / "target"
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        start = installer_start(installer, scratch)
        command: list[str | Path] = [find_uv_bin(), *start.options, "pip", "install"]
        command += ["--python", venv_with_pip]
        if installer == "pip":
            command = [*start.pip(venv_with_pip), "install"]
        done = processes.run(
            [*command, "--target", target, "fractal-tiny"],
            cwd=Path.cwd(),
            env=start.variables,
            timeout=300,
            room=scratch,
            private=start.private,
        )
        assert done.returncode == 0, done.stderr
        (info,) = target.glob("fractal_tiny-*.dist-info")
        return info.name.removeprefix("fractal_tiny-").removesuffix(".dist-info")

    return run


Install = Callable[[Installer], str]
BOTH = pytest.mark.parametrize("installer", ["uv", "pip"])


# --- pip's settings reach both ---------------------------------------------------------


@BOTH
def test_index_url_of_pip_conf(
    installer: Installer, install: Install, pip_conf: Write, index: str
) -> None:
    pip_conf(f"[global]\nindex-url = {index}\n")
    assert install(installer) == "1.0"


@BOTH
def test_index_with_a_login_in_pip_conf(
    installer: Installer, install: Install, pip_conf: Write, private_index: str
) -> None:
    pip_conf(f"[global]\nindex-url = http://me:s%2Fcret@{private_index}/\n")
    assert install(installer) == "1.0"


@BOTH
def test_find_links_of_pip_conf_with_places_that_are_not_there(
    installer: Installer, install: Install, pip_conf: Write, tmp_path: Path
) -> None:
    """pip only warns of a place that is missing; uv alone would stop."""
    make_wheel(tmp_path / "home" / "wheels,mine")
    lone = make_wheel(tmp_path / "lone", "0.5")
    pip_conf(
        "[global]\nno-index = true\n"
        f"[install]\nfind-links = /no/such/folder\n  ~/wheels,mine\n  {lone.as_uri()}\n"
        f"  file:///no/such/page.html {lone}\n"
    )
    assert install(installer) == "1.0"


@BOTH
def test_find_links_may_be_a_page(
    installer: Installer, install: Install, pip_conf: Write, tmp_path: Path
) -> None:
    make_index(tmp_path / "simple")
    page = tmp_path / "simple" / "fractal-tiny" / "index.html"
    pip_conf(f"[global]\nno-index = 1\nfind-links = {page}\n")
    assert install(installer) == "1.0"


@BOTH
def test_extra_indexes_of_pip_conf_count_all_and_the_best_version_wins(
    installer: Installer, install: Install, pip_conf: Write, index: str, tmp_path: Path
) -> None:
    """Also where one of them is not there at all."""
    first, second = make_index(tmp_path / "a", "1.5"), make_index(tmp_path / "b", "2.0")
    pip_conf(
        f"[global]\nindex-url = {index}\n"
        f"extra-index-url =\n  file:///no/such/simple\n  {first.as_uri()}\n  {second.as_uri()}\n"
    )
    assert install(installer) == "2.0"


@BOTH
def test_pip_variables(
    installer: Installer, install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_wheel(tmp_path / "wheels")
    monkeypatch.setenv("PIP_NO_INDEX", "yes")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    assert install(installer) == "1.0"


@BOTH
def test_the_site_file_of_the_python_that_runs_us(
    installer: Installer, install: Install, index: str
) -> None:
    """`pip config --site` writes it into our environment, not into the candidate's."""
    writer(Path(sys.prefix) / "pip.conf")(f"[global]\nindex-url = {index}\n")
    assert install(installer) == "1.0"


def test_pips_files_in_their_order(
    tmp_path: Path, pip_conf: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Global, legacy user, user, site, PIP_CONFIG_FILE, variables; `[install]` over `[global]`."""

    def index_url() -> str:
        return installer_environment("uv")["UV_DEFAULT_INDEX"]

    def text(name: str, section: str = "global") -> str:
        return f"[{section}]\nIndex_URL = https://{name}/\n"

    writer(tmp_path / "etc" / "pip" / "pip.conf")(text("global"))
    assert index_url() == "https://global/"
    writer(tmp_path / "home" / ".pip" / "pip.conf")(text("legacy"))
    assert index_url() == "https://legacy/"
    pip_conf(text("user"))
    assert index_url() == "https://user/"
    site = writer(Path(sys.prefix) / "pip.conf")(text("site"))
    assert index_url() == "https://site/"
    pip_conf(text("user-install", "install"))
    assert index_url() == "https://user-install/"
    monkeypatch.setenv("PIP_CONFIG_FILE", str(writer(tmp_path / "own.conf")("[global]\n")))
    assert index_url() == "https://site/"  # the user's file is no longer read
    writer(tmp_path / "own.conf")(text("own"))
    assert index_url() == "https://own/"
    site.write_text(text("site-install", "install"))
    assert index_url() == "https://site-install/"
    monkeypatch.setenv("PIP_INDEX_URL", "https://variable/")
    assert index_url() == "https://variable/"
    monkeypatch.delenv("PIP_INDEX_URL")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    assert "UV_DEFAULT_INDEX" not in installer_environment("uv")


def test_the_other_settings_of_pip_for_uv(pip_conf: Write, tmp_path: Path) -> None:
    certificates = writer(tmp_path / "ca.pem")("")
    pip_conf(
        "[global]\nproxy = me:secret@proxy:3128\ntrusted-host = a.example\n  b.example:8080\n"
        f"cert = {certificates}\nclient-cert = {certificates}\ntimeout = 7.5\nretries = 2\n"
        "keyring-provider = subprocess\n"
    )
    found = installer_environment("uv")
    expected = {
        "HTTP_PROXY": "http://me:secret@proxy:3128",
        "HTTPS_PROXY": "http://me:secret@proxy:3128",
        "https_proxy": "http://me:secret@proxy:3128",
        "UV_INSECURE_HOST": "a.example b.example:8080",
        "SSL_CERT_FILE": str(certificates),
        "SSL_CLIENT_CERT": str(certificates),
        "UV_HTTP_TIMEOUT": "8",
        "UV_HTTP_RETRIES": "2",
        "UV_KEYRING_PROVIDER": "subprocess",
    }
    assert {name: found.get(name) for name in expected} == expected


def test_uvs_own_settings_win(
    pip_conf: Write, uv_toml: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pip_conf(
        "[global]\nindex-url = https://pip/\nextra-index-url = https://pip-more/\n"
        "proxy = http://pip-proxy\ntimeout = 5\nno-index = true\ncert = /pip.pem\n"
    )
    uv_toml('index-strategy = "first-index"\n[[index]]\nurl = "https://uv/"\ndefault = true\n')
    monkeypatch.setenv("HTTPS_PROXY", "http://own-proxy")
    monkeypatch.setenv("UV_HTTP_TIMEOUT", "60")
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    found = installer_environment("uv")
    assert "UV_DEFAULT_INDEX" not in found
    assert found["UV_INDEX"] == "https://pip-more/"
    assert "UV_INDEX_STRATEGY" not in found
    assert (found["HTTPS_PROXY"], found.get("HTTP_PROXY")) == ("http://own-proxy", None)
    assert found["UV_HTTP_TIMEOUT"] == "60"
    assert "SSL_CERT_FILE" not in found


# --- uv's settings reach pip -----------------------------------------------------------


@BOTH
def test_uv_index_variables(
    installer: Installer, install: Install, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", index)
    assert install(installer) == "1.0"


@BOTH
def test_a_named_uv_index_with_its_login_in_variables(
    installer: Installer, install: Install, private_index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"our-index=http://{private_index}/")
    monkeypatch.setenv("UV_INDEX_OUR_INDEX_USERNAME", "me")
    monkeypatch.setenv("UV_INDEX_OUR_INDEX_PASSWORD", "s/cret")
    assert install(installer) == "1.0"


@BOTH
def test_uv_find_links_variable_with_a_blank_in_the_path(
    installer: Installer, install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_wheel(tmp_path / "my wheels")
    (tmp_path / "others").mkdir()
    monkeypatch.setenv("UV_FIND_LINKS", f"{tmp_path / 'others'},{tmp_path / 'my wheels'}")
    monkeypatch.setenv("UV_DEFAULT_INDEX", tmp_path.as_uri())
    assert install(installer) == "1.0"


@BOTH
@pytest.mark.parametrize(
    "text",
    [
        '[[index]]\nurl = "{index}"\ndefault = true\n',
        'index-url = "{index}"\n',
        '[pip]\nindex-url = "{index}"\n',
        'index-url = "{empty}"\n[[index]]\nname = "ours"\nurl = "{index}"\n',
        'index-url = "{empty}"\n[pip]\nextra-index-url = ["{index}"]\n',
        'no-index = true\nfind-links = ["../wheels"]\n',
        '[pip]\nno-index = true\nfind-links = ["{wheels}"]\n',
        'index-url = "{empty}"\n[[index]]\nname = "x"\nurl = "{wheels}"\nformat = "flat"\n',
    ],
)
def test_uv_toml(
    installer: Installer,
    install: Install,
    uv_toml: Write,
    index: str,
    tmp_path: Path,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wheels = tmp_path / "home" / ".config" / "wheels"
    make_wheel(wheels)
    (tmp_path / "empty").mkdir()
    empty = (tmp_path / "empty").as_uri()
    uv_toml(text.format(index=index, empty=empty, wheels=wheels))
    if '"../wheels"' in text:  # relative to the file, for uv as for us
        monkeypatch.chdir(tmp_path / "home" / ".config" / "uv")
    assert install(installer) == "1.0"


@BOTH
def test_uv_config_file(
    installer: Installer,
    install: Install,
    uv_toml: Write,
    index: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It stands in for all of uv's files."""
    uv_toml('index-url = "https://nowhere.invalid/"\n')
    own = writer(tmp_path / "own.toml")(f'index-url = "{index}"\n')
    monkeypatch.setenv("UV_CONFIG_FILE", str(own))
    assert install(installer) == "1.0"


def test_uvs_files_in_their_order(
    uv_toml: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's single values over the system's, lists of both; variables over all."""
    system = writer(tmp_path / "etc" / "uv" / "uv.toml")
    system('index-url = "https://system/"\nextra-index-url = ["https://system-more/"]\n')
    uv_toml(
        'index-url = "https://user/"\n[pip]\nextra-index-url = ["https://user-more/"]\n'
        '[[index]]\nname = "private"\nurl = "https://only-for-one-package/"\nexplicit = true\n'
    )
    found = installer_environment("pip")
    assert found["PIP_INDEX_URL"] == "https://user/"
    assert found["PIP_EXTRA_INDEX_URL"] == "https://user-more/ https://system-more/"
    monkeypatch.setenv("UV_INDEX_URL", "https://variable/")
    monkeypatch.setenv("UV_INDEX", "https://one/ two=https://two/?a=b")
    found = installer_environment("pip")
    assert found["PIP_INDEX_URL"] == "https://variable/"
    assert found["PIP_EXTRA_INDEX_URL"] == (
        "https://one/ https://two/?a=b https://user-more/ https://system-more/"
    )
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    assert installer_environment("pip")["PIP_EXTRA_INDEX_URL"] == "https://one/ https://two/?a=b"


def test_the_other_settings_of_uv_for_pip(
    uv_toml: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    certificates = writer(tmp_path / "ca.pem")("")
    uv_toml(
        'allow-insecure-host = ["a.example"]\nkeyring-provider = "subprocess"\n'
        'https-proxy = "http://proxy:3128"\nno-proxy = ["localhost"]\n'
    )
    monkeypatch.setenv("UV_INSECURE_HOST", "b.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates))
    monkeypatch.setenv("SSL_CLIENT_CERT", str(tmp_path / "not-there.pem"))
    monkeypatch.setenv("UV_HTTP_TIMEOUT", "60")
    monkeypatch.setenv("UV_HTTP_RETRIES", "9")
    found = installer_environment("pip")
    expected = {
        "PIP_TRUSTED_HOST": "b.example a.example",
        "PIP_CERT": str(certificates),
        "PIP_CLIENT_CERT": None,
        "PIP_TIMEOUT": "60",
        "PIP_RETRIES": "9",
        "PIP_KEYRING_PROVIDER": "subprocess",
        "HTTPS_PROXY": "http://proxy:3128",
        "HTTP_PROXY": None,
        "NO_PROXY": "localhost",
    }
    assert {name: found.get(name) for name in expected} == expected


def test_pips_own_settings_win(
    pip_conf: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pip_conf("[global]\nindex-url = https://pip/\ndefault-timeout = 5\n")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://uv/")
    monkeypatch.setenv("UV_INDEX", "https://uv-more/")
    monkeypatch.setenv("UV_HTTP_TIMEOUT", "60")
    found = installer_environment("pip")
    assert found["PIP_INDEX_URL"] == "https://pip/"
    assert found["PIP_EXTRA_INDEX_URL"] == "https://uv-more/"
    assert found["PIP_TIMEOUT"] == "5"


# --- both ------------------------------------------------------------------------------


@BOTH
def test_what_would_lead_the_installer_astray_is_left_out(
    installer: Installer, monkeypatch: pytest.MonkeyPatch
) -> None:
    astray = ("VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT", "UV_PYTHON", "PIP_TARGET", "PIP_PREFIX")
    for name in (*astray, "PIP_USER", "PIP_REQUIRE_VIRTUALENV", "PIP_PYTHON"):
        monkeypatch.setenv(name, "1")
    own = {"pip": "PIP_CONSTRAINT", "uv": "UV_CONSTRAINT"}
    for name in own.values():
        monkeypatch.setenv(name, "constraints.txt")
    found = installer_environment(installer)
    assert not {*astray, "PIP_USER", "PIP_REQUIRE_VIRTUALENV", "PIP_PYTHON"} & found.keys()
    assert found.keys() & {*own.values()} == {own[installer]}


def test_a_pip_conf_that_installs_elsewhere_has_no_say_in_that(
    install: Install, pip_conf: Write, tmp_path: Path
) -> None:
    """`user` would refuse every environment, and no variable can take a `prefix` back."""
    make_wheel(tmp_path / "wheels")
    pip_conf(
        f"[global]\nno-index = true\nfind-links = {tmp_path / 'wheels'}\n"
        f"[install]\nuser = true\nprefix = {tmp_path / 'elsewhere'}\n"
    )
    assert install("pip") == "1.0"
    assert not (tmp_path / "elsewhere").exists()


@BOTH
@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_a_broken_file_is_reported_by_its_name_and_line_and_never_quoted(
    installer: Installer, tool: str, pip_conf: Write, uv_toml: Write
) -> None:
    write = {"pip": pip_conf, "uv": uv_toml}[tool]
    path = write('[global]\nfine = "1"\ns3cret-token\n')
    with pytest.raises(BadInput) as caught:
        installer_environment(installer)
    assert str(caught.value) == f"{tool}'s configuration file {path} cannot be read: line 3"
    assert caught.value.__cause__ is None
