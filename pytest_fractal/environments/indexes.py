"""Index and proxy settings, for whichever installer is in use.

People write down once where packages come from, for pip or for uv. Each installer
reads its own variables and files; what is made here is the crossing: what was
written for the other one, put into variables that this one reads.

The files are parsed here rather than asked for with `pip config list`: that costs a
process start at every run, a pip where there need not be one, and still leaves the
sections to be merged. The rules are few and documented: the later file wins for each
key, then `[install]` over `[global]`, then the variables over both.

Settings hold credentials: nothing of their values is ever put into a message.
"""

from __future__ import annotations

import configparser
import math
import os
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote, urlsplit, urlunsplit
from urllib.request import url2pathname

from pytest_fractal.errors import BadInput
from pytest_fractal.processes.variables import caller, installer_variables

TARGET_OVERRIDES: Final = frozenset(
    {
        "VIRTUAL_ENV",
        "CONDA_PREFIX",
        "UV_PROJECT_ENVIRONMENT",
        "UV_PYTHON",
        "UV_SYSTEM_PYTHON",
        "UV_PROJECT",
        "UV_WORKING_DIR",
        "UV_WORKING_DIRECTORY",
        "PIP_TARGET",
        "PIP_PREFIX",
        "PIP_ROOT",
        "PIP_USER",
        "PIP_REQUIRE_VIRTUALENV",
        "PIP_PYTHON",
        "PIP_DRY_RUN",
        "PIP_REQUIREMENT",
        "PIP_EDITABLE",
        "PIP_NO_DEPS",
    }
)
"""Variables that would have the installer install elsewhere, or something else."""

_TRUE: Final = frozenset({"1", "y", "yes", "t", "true", "on"})

_PROXIES: Final = ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY")

# uv has no variable for `no-index`. A default index that holds nothing does the same.
EMPTY_INDEX: Final = "file:///no-index"


@dataclass(frozen=True)
class IndexSettings:
    """What a user has set, for one of the installers; empty or None where it is not set."""

    index: str | None = None
    extra: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    no_index: bool = False
    trusted_hosts: tuple[str, ...] = ()
    """Hosts as `host` or `host:port`."""
    certificates: str | None = None
    client_certificate: str | None = None
    http_proxy: str | None = None
    https_proxy: str | None = None
    no_proxy: str | None = None
    timeout: str | None = None
    retries: str | None = None
    keyring: str | None = None

    def without(self, own: IndexSettings) -> IndexSettings:
        """These settings, less those for whose purpose the user has set `own` ones."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        kept = {name: value for name, value in values.items() if not getattr(own, name)}
        if own.index or own.extra:
            kept.pop("no_index", None)
        if own.no_index:
            for name in ("index", "extra"):
                kept.pop(name, None)
        return IndexSettings(**kept)


def installer_environment(
    installer: Literal["uv", "pip"], scratch: Path | None = None
) -> dict[str, str]:
    """All variables for a process of the installer: its own, and the settings that cross over.

    The user's own setting for the installer always wins over one for the other.
    Variables that would have the installer do something else are left out: where it installs to
    is ours to choose. With a folder `scratch`, which must exist, it has its home there: the
    code of dependencies runs within it. Raises `BadInput` for a configuration file that
    cannot be read.
    """
    foreign = "PIP_" if installer == "uv" else "UV_"
    environment = {
        name: value
        for name, value in installer_variables(scratch).items()
        if name not in TARGET_OVERRIDES and not name.startswith(foreign)
    }
    variables = environment | _crossing(installer)
    if installer == "pip":
        # Its `~` is still the user's home.
        variables |= {
            name: re.sub(r"(?<!\S)~(?=/|\s|$)", str(Path.home()), value)
            for name, value in variables.items()
            if name.startswith("PIP_")
        }
    if any(variables.get(f"{name}_KEYRING_PROVIDER") == "subprocess" for name in ("UV", "PIP")):
        variables["HOME"] = str(Path.home())  # where the keyring's own login is
    return variables


def merged_settings(installer: Literal["uv", "pip"]) -> IndexSettings:
    """What comes out for an installer: the user's own settings for it, and what crosses over."""
    pip, uv = _pip_settings(_pip_options()), _uv_settings()
    own, other = (uv, pip) if installer == "uv" else (pip, uv)
    crossing = other.without(own)
    links = tuple(filter(_readable_by_uv, crossing.find_links))
    merged = {f.name: getattr(own, f.name) or getattr(crossing, f.name) for f in fields(own)}
    if installer == "uv" and not own.find_links:
        merged["find_links"] = links
    return IndexSettings(**merged)


def uv_tables() -> list[dict[str, Any]]:
    """uv's configuration files of the user and of the system as they are, the strongest first."""
    return [table for table, _ in _uv_configurations()]


def _crossing(installer: Literal["uv", "pip"]) -> dict[str, str]:
    """The settings that this installer would not find by itself."""
    pip_options = _pip_options()
    pip, uv = _pip_settings(pip_options), _uv_settings()
    if installer == "uv":
        crossing = _for_uv(pip.without(uv))
        if "UV_INDEX" in crossing and not _uv_index_strategy():
            # All indexes count and the best version wins, as it does with pip and so on
            # the server; uv by itself looks no further than the first that has the package.
            crossing["UV_INDEX_STRATEGY"] = "unsafe-best-match"
        return crossing
    # pip runs in the candidate's environment, where it would not see the site's file;
    # and a file's `user` or `target` cannot be taken back by a variable. So what the
    # files say comes as variables, and pip has to read no file.
    own = {_pip_variable(name): value for name, value in pip_options.items()}
    own = {name: value for name, value in own.items() if name not in TARGET_OVERRIDES}
    return _for_pip(uv.without(pip)) | own | {"PIP_CONFIG_FILE": os.devnull}


def has_index() -> bool:
    """Whether there is an index to ask, and not only folders with packages."""
    return not (_pip_settings(_pip_options()).no_index or _uv_settings().no_index)


# --- pip ---------------------------------------------------------------------------------


def _pip_options() -> dict[str, str]:
    """What `pip install` of this Python would take from its files and variables."""
    merged: dict[str, dict[str, str]] = {}
    for file in _pip_files():
        # As pip does: a file that may not be opened counts as absent, keys in any spelling.
        parser = configparser.RawConfigParser()
        try:
            parser.read(file)
        except (configparser.Error, UnicodeDecodeError) as error:
            raise BadInput(
                f"pip's configuration file {file} cannot be read{_line(error)}"
            ) from None
        for section in parser.sections():
            for name, value in parser.items(section):
                merged.setdefault(section, {})[_option(name)] = value
    variables = {
        _option(name.removeprefix("PIP_")): value
        for name, value in caller.items()
        if name.startswith("PIP_") and name != "PIP_CONFIG_FILE"
    }
    layers = (merged.get("global", {}), merged.get("install", {}), variables)
    return {name: value for layer in layers for name, value in layer.items() if value.strip()}


def _pip_files() -> Iterator[Path]:
    """pip's configuration files, the weakest first."""
    own = caller.get("PIP_CONFIG_FILE")
    if own == os.devnull:
        return
    home = Path.home()
    user = _config_home() / "pip"
    folders = [folder / "pip" for folder in _config_folders()]
    if sys.platform == "darwin":
        support = Path("Library/Application Support/pip")
        folders = ["/" / support]
        user = home / support if (home / support).is_dir() else home / ".config" / "pip"
    else:
        folders.append(Path("/etc"))
    # As with pip, a file named by the variable stands in for the user's own.
    users = [] if own and Path(own).exists() else [home / ".pip", user]
    for folder in (*folders, *users, Path(sys.prefix)):
        yield folder / "pip.conf"
    if own:
        yield Path(own)


def _pip_settings(options: Mapping[str, str]) -> IndexSettings:
    def words(name: str) -> tuple[str, ...]:
        return tuple(options.get(name, "").split())

    proxy = options.get("proxy")
    if proxy and "://" not in proxy:
        proxy = f"http://{proxy}"
    keyring = options.get("keyring-provider")
    return IndexSettings(
        index=_location(options.get("index-url")),
        extra=_locations(words("extra-index-url")),
        find_links=_locations(words("find-links")),
        no_index=options.get("no-index", "").lower() in _TRUE,
        trusted_hosts=words("trusted-host"),
        certificates=options.get("cert") or _variable("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
        client_certificate=options.get("client-cert"),
        http_proxy=proxy,
        https_proxy=proxy,
        timeout=options.get("timeout"),
        retries=options.get("retries"),
        keyring="subprocess" if keyring == "subprocess" else None,
    )


def _for_pip(settings: IndexSettings) -> dict[str, str]:
    variables = {
        "PIP_INDEX_URL": settings.index,
        "PIP_EXTRA_INDEX_URL": " ".join(settings.extra),
        "PIP_FIND_LINKS": " ".join(settings.find_links),
        "PIP_NO_INDEX": "1" if settings.no_index else None,
        "PIP_TRUSTED_HOST": " ".join(settings.trusted_hosts),
        # pip stops at a file of certificates that is not there, uv warns.
        "PIP_CERT": _existing(settings.certificates),
        "PIP_CLIENT_CERT": _existing(settings.client_certificate),
        "PIP_TIMEOUT": settings.timeout,
        "PIP_RETRIES": settings.retries,
        "PIP_KEYRING_PROVIDER": settings.keyring,
    }
    return {name: value for name, value in variables.items() if value} | _proxies(settings)


def _option(name: str) -> str:
    """The one name of an option, which pip knows in several spellings."""
    option = name.lower().replace("_", "-").removeprefix("--")
    return {"default-timeout": "timeout", "pypi-url": "index-url"}.get(option, option)


def _pip_variable(option: str) -> str:
    return "PIP_" + option.upper().replace("-", "_")


# --- uv ----------------------------------------------------------------------------------


def _uv_files() -> Iterator[dict[str, Any]]:
    """uv's configuration files of the user and of the system, the strongest first."""
    for table, folder in _uv_configurations():
        yield _resolved(table, folder)


def _uv_configurations() -> Iterator[tuple[dict[str, Any], Path]]:
    """The same files as they are, and where they lie.

    A project's own file (`[tool.uv]`) says how that project is developed, and is for
    the uv that runs there.
    """
    own = caller.get("UV_CONFIG_FILE")
    files = [Path(own)] if own else []
    if not own and caller.get("UV_NO_CONFIG", "").lower() not in _TRUE:
        system = [folder / "uv" / "uv.toml" for folder in (*_config_folders(), Path("/etc"))]
        files = [_config_home() / "uv" / "uv.toml", *filter(Path.is_file, system)][:2]
    for file in files:
        try:
            table = tomllib.loads(file.read_text())
        except OSError:
            continue
        except ValueError as error:
            raise BadInput(
                f"uv's configuration file {file} cannot be read{_line(error)}"
            ) from None
        yield table, file.parent


def _resolved(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A file's settings with `[pip]` over the others, and places as URLs."""
    merged: dict[str, Any] = table | table.get("pip", {})
    indexes = [dict(index) for index in table.get("index", ()) if not index.get("explicit")]
    for index in indexes:
        index["url"] = _location(index.get("url"), folder)
    merged["index"] = [index for index in indexes if index["url"]]
    merged["index-url"] = _location(merged.get("index-url"), folder)
    for name in ("extra-index-url", "find-links"):
        merged[name] = _locations(merged.get(name, ()), folder)
    return merged


def _uv_index_strategy() -> bool:
    """Whether the user has set how uv chooses between indexes."""
    name = "index-strategy"
    return bool(_variable("UV_INDEX_STRATEGY")) or any(file.get(name) for file in _uv_files())


def _uv_settings() -> IndexSettings:
    files = list(_uv_files())

    def option(name: str) -> str | None:
        return next((str(file[name]) for file in files if file.get(name)), None)

    def options(name: str) -> tuple[str, ...]:
        return tuple(value for file in files for value in file.get(name, ()))

    def words(name: str, separator: str | None = None) -> list[str]:
        return [word for word in caller.get(name, "").split(separator) if word.strip()]

    indexes = [index for file in files for index in file["index"]]
    flat = [index["url"] for index in indexes if index.get("format") == "flat"]
    simple = [index for index in indexes if index.get("format") != "flat"]
    defaults = [
        *map(_named, filter(None, [_variable("UV_DEFAULT_INDEX", "UV_INDEX_URL")])),
        *(_with_login(index) for index in simple if index.get("default")),
        option("index-url"),
    ]
    return IndexSettings(
        index=defaults[0],
        extra=_unique(
            *map(_named, words("UV_INDEX")),
            *(_with_login(index) for index in simple if not index.get("default")),
            *_locations(words("UV_EXTRA_INDEX_URL")),
            *options("extra-index-url"),
        ),
        find_links=_unique(
            *_locations(words("UV_FIND_LINKS", ",")), *options("find-links"), *flat
        ),
        no_index=option("no-index") is not None,
        trusted_hosts=_unique(*words("UV_INSECURE_HOST"), *options("allow-insecure-host")),
        certificates=_variable("SSL_CERT_FILE", "SSL_CERT_DIR"),
        client_certificate=_variable("SSL_CLIENT_CERT"),
        http_proxy=option("http-proxy"),
        https_proxy=option("https-proxy"),
        no_proxy=",".join(options("no-proxy")),
        timeout=_variable("UV_HTTP_TIMEOUT", "UV_REQUEST_TIMEOUT", "HTTP_TIMEOUT"),
        retries=_variable("UV_HTTP_RETRIES"),
        keyring=_variable("UV_KEYRING_PROVIDER") or option("keyring-provider"),
    )


def _for_uv(settings: IndexSettings) -> dict[str, str]:
    certificates = settings.certificates
    folder = bool(certificates) and Path(str(certificates)).is_dir()
    variables = {
        "UV_DEFAULT_INDEX": EMPTY_INDEX if settings.no_index else settings.index,
        "UV_INDEX": "" if settings.no_index else " ".join(settings.extra),
        "UV_FIND_LINKS": ",".join(filter(_readable_by_uv, settings.find_links)),
        "UV_INSECURE_HOST": " ".join(settings.trusted_hosts),
        "SSL_CERT_DIR" if folder else "SSL_CERT_FILE": certificates,
        "SSL_CLIENT_CERT": settings.client_certificate,
        "UV_HTTP_TIMEOUT": _whole_seconds(settings.timeout),
        "UV_HTTP_RETRIES": settings.retries,
        "UV_KEYRING_PROVIDER": settings.keyring,
    }
    return {name: value for name, value in variables.items() if value} | _proxies(settings)


def _readable_by_uv(link: str) -> bool:
    """Whether uv can use a place that pip, at worst, warns of and passes over.

    uv stops at a folder or page that is not there, and at a single package.
    """
    if not link.startswith("file:"):
        return True
    path = Path(url2pathname(urlsplit(link).path))
    return path.is_dir() or (path.is_file() and path.suffix in {".html", ".htm"})


def _whole_seconds(timeout: str | None) -> str | None:
    try:
        return str(math.ceil(float(timeout))) if timeout else None
    except (ValueError, OverflowError):
        return None


def _named(text: str) -> str | None:
    """The URL of an index as a variable gives it: `URL` or `name=URL`."""
    name, sign, url = text.partition("=")
    if sign and re.fullmatch(r"[\w.-]+", name):
        return _with_login({"name": name, "url": _location(url) or ""})
    return _location(text)


def _with_login(index: Mapping[str, Any]) -> str:
    """The URL of an index, with the login that uv takes from variables of the index's name."""
    url = str(index["url"])
    variable = "UV_INDEX_" + re.sub(r"[^A-Z0-9]", "_", str(index.get("name", "")).upper())
    user, password = (caller.get(f"{variable}_{part}") for part in ("USERNAME", "PASSWORD"))
    parts = urlsplit(url)
    if (user or password) and parts.netloc and "@" not in parts.netloc:
        login = quote(user or "", safe="") + (f":{quote(password, safe='')}" if password else "")
        return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc}"))
    return url


# --- both --------------------------------------------------------------------------------


def _variable(*names: str) -> str | None:
    """The first of these variables that is set and not empty."""
    return next(filter(None, map(caller.get, names)), None)


def _config_home() -> Path:
    return Path(caller.get("XDG_CONFIG_HOME") or "~/.config").expanduser()


def _config_folders() -> list[Path]:
    """The system's folders for configuration, by the XDG base directory specification."""
    folders = caller.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    return [Path(folder) for folder in folders.split(os.pathsep) if folder]


def _location(text: str | None, folder: Path | None = None) -> str | None:
    """A place of packages as a URL, which has no blank and no comma for a list to break at.

    A path may begin with `~`, and is relative to `folder`, by default the current one.
    """
    if not text or "://" in text or text.startswith("file:"):
        return text or None
    path = (folder or Path.cwd()) / Path(text.strip()).expanduser()
    return path.absolute().as_uri()


def _locations(texts: Any, folder: Path | None = None) -> tuple[str, ...]:
    return tuple(filter(None, (_location(text, folder) for text in texts)))


def _proxies(settings: IndexSettings) -> dict[str, str]:
    """Both installers heed the usual proxy variables; where the user has set one, they stand."""
    if any(caller.get(name) or caller.get(name.lower()) for name in _PROXIES):
        return {}
    variables = {
        "HTTP_PROXY": settings.http_proxy,
        "HTTPS_PROXY": settings.https_proxy,
        "NO_PROXY": caller.get("NO_PROXY") or caller.get("no_proxy") or settings.no_proxy,
    }
    proxies = {name: value for name, value in variables.items() if value}
    # Some libraries know the one spelling only, some the other.
    return proxies | {name.lower(): value for name, value in proxies.items()}


def _existing(path: str | None) -> str | None:
    return path if path and Path(path).expanduser().exists() else None


def _unique(*values: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, values)))


def _line(error: Exception) -> str:
    """Where a file cannot be read, without its text: there may be passwords in it."""
    if isinstance(error, configparser.ParsingError) and error.errors:
        return f": line {error.errors[0][0]}"
    number = getattr(error, "lineno", None)
    if number is None and (match := re.search(r"\(at line (\d+)", str(error))):
        number = match[1]
    return f": line {number}" if number else ""
