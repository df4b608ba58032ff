"""Telling an installer its logins so that the code that it runs cannot find them.

pip and uv run the setup code of dependencies that come as source archives: as their
children, with their variables. So what holds a password, the URL of an index or of a proxy,
is in no variable, on no command line and in no file, but comes through a pipe, which the
installer has emptied before it begins. uv reads its configuration file from there, and pip
is given options by a few lines of Python. Where no setting has a login, nothing is changed.

What stays within reach: pip hands the URLs of indexes to another pip, on its command line,
while that installs what a build requires; uv's own store of logins, if there is one; and
whatever a keyring answers to all programs of the user.
"""

from __future__ import annotations

import json
import netrc
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, time
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote, urlsplit, urlunsplit
from urllib.request import url2pathname

from pytest_fractal.environments.indexes import (
    EMPTY_INDEX,
    IndexSettings,
    installer_environment,
    merged_settings,
    uv_tables,
)
from pytest_fractal.processes.processes import PRIVATE
from pytest_fractal.processes.variables import PROXY, caller

_WITH_LOGIN: Final = re.compile(r"://[^/\s]*@")
_INDEXES: Final = frozenset(
    {
        "index",
        "index-url",
        "extra-index-url",
        "find-links",
        "no-index",
        "http-proxy",
        "https-proxy",
    }
)
"""What uv's configuration says about where packages come from."""
_PLACES: Final = re.compile(
    r"UV_(DEFAULT_INDEX|INDEX_URL|INDEX|EXTRA_INDEX_URL|FIND_LINKS|CONFIG_FILE)"
    r"|UV_INDEX_\w+_(USERNAME|PASSWORD)"
    r"|PIP_(INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS|NO_INDEX|PROXY)|NETRC|XDG_CONFIG_(HOME|DIRS)"
)
"""The variables that say it."""
_PIP: Final = (
    "import json, runpy, sys, urllib.request; sys.path.pop(0); "
    "given = json.load(open(sys.argv.pop(1))); "
    "asks = sys.argv[1] in ('install', 'download', 'wheel', 'index'); "
    "sys.argv[2:2] = given['options'] if asks else []; "
    "found = urllib.request.getproxies(); "
    "urllib.request.getproxies = lambda: found | given['proxies']; "
    "runpy.run_module('pip', run_name='__main__', alter_sys=True)"
)


@dataclass(frozen=True)
class InstallerStart:
    """How an installer is started."""

    variables: Mapping[str, str]
    options: tuple[str, ...] = ()
    """Of uv: to be put before its command."""
    private: bytes = b""
    """What only the installer is given."""
    places: tuple[Path, ...] = ()
    """The folders and files of packages that this names."""

    def pip(self, python: Path) -> list[str | Path]:
        """The beginning of a command line of pip's, with the pip that `python` has."""
        return [python, "-c", _PIP, PRIVATE] if self.private else [python, "-m", "pip"]


def installer_start(installer: Literal["uv", "pip"], scratch: Path) -> InstallerStart:
    """The start of an installer that has its home in the folder `scratch`.

    Raises `BadInput` for a configuration file that cannot be read.
    """
    variables = installer_environment(installer, scratch)
    settings = _with_netrc(merged_settings(installer))
    tables = uv_tables() if installer == "uv" else []
    proxies = _proxies(variables)
    own = variables.get("PIP_PROXY", "")
    texts = (*_urls(settings), *proxies.values(), own, *map(_toml, tables))
    if not any(map(_WITH_LOGIN.search, texts)):
        return InstallerStart({**variables, "NETRC": ""} if "NETRC" in variables else variables)
    kept = {
        name: value
        for name, value in variables.items()
        if not _PLACES.fullmatch(name) and not (PROXY.fullmatch(name) and "@" in value)
    }
    files = (urlsplit(url).path for url in _urls(settings) if url.startswith("file:"))
    places = tuple(Path(url2pathname(path)) for path in files)
    if installer == "pip":
        options = [*_pip_options(settings), *(("--proxy", own) if own else ())]
        private = {"options": options, "proxies": proxies}
        return InstallerStart(kept, (), json.dumps(private).encode(), places)
    table = _uv_table(settings, proxies, tables)
    return InstallerStart(kept, ("--config-file", PRIVATE), _toml(table).encode(), places)


def _urls(settings: IndexSettings) -> Iterable[str]:
    return filter(None, (settings.index, *settings.extra, *settings.find_links))


def _proxies(variables: Mapping[str, str]) -> dict[str, str]:
    """The proxies by the scheme that they serve."""
    known = {name.lower(): value for name, value in variables.items() if PROXY.fullmatch(name)}
    everything = known.get("all_proxy")
    found = {scheme: known.get(f"{scheme}_proxy") or everything for scheme in ("http", "https")}
    return {scheme: url for scheme, url in found.items() if url}


def _with_netrc(settings: IndexSettings) -> IndexSettings:
    """The settings, with the logins for their hosts that the user keeps in a `.netrc`."""
    known = known_logins()
    if known is None:
        return settings

    def complete(url: str) -> str:
        parts = urlsplit(url)
        login = known.authenticators(parts.hostname or "") if parts.netloc else None
        if login is None or "@" in parts.netloc:
            return url
        user, password = quote(login[0], safe=""), quote(login[2] or "", safe="")
        return urlunsplit(parts._replace(netloc=f"{user}:{password}@{parts.netloc}"))

    return replace(
        settings,
        index=complete(settings.index) if settings.index else None,
        extra=tuple(map(complete, settings.extra)),
        find_links=tuple(map(complete, settings.find_links)),
    )


def known_logins() -> netrc.netrc | None:
    """The logins that the user keeps in a `.netrc`; None without one that can be read."""
    named = caller.get("NETRC")
    home = Path.home()
    files = [Path(named)] if named else [home / ".netrc", home / "_netrc"]
    try:
        return netrc.netrc(str(next(filter(Path.is_file, files))))
    except (OSError, StopIteration, netrc.NetrcParseError):
        return None


def _pip_options(settings: IndexSettings) -> list[str]:
    options = [] if settings.index is None else ["--index-url", settings.index]
    for option, urls in (
        ("--extra-index-url", settings.extra),
        ("--find-links", settings.find_links),
    ):
        for url in urls:
            options += [option, url]
    if settings.no_index:
        options.append("--no-index")
    return options


def _uv_table(
    settings: IndexSettings, proxies: Mapping[str, str], tables: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """The user's configuration of uv, with all settings about indexes as they come out."""
    table: dict[str, Any] = {}
    for given in reversed([*tables]):
        table |= {name: value for name, value in given.items() if name not in _INDEXES}
    if isinstance(table.get("pip"), dict):
        table["pip"] = {k: v for k, v in table["pip"].items() if k not in _INDEXES}
    default = EMPTY_INDEX if settings.no_index else settings.index
    extra = () if settings.no_index else settings.extra
    indexes: list[dict[str, Any]] = [{"url": url} for url in extra]
    if default:
        indexes.append({"url": default, "default": True})
    if indexes:
        table["index"] = indexes
    if settings.find_links:
        table["find-links"] = list(settings.find_links)
    return table | {f"{scheme}-proxy": url for scheme, url in proxies.items() if "@" in url}


def _toml(table: Mapping[str, Any]) -> str:
    return "".join(f"{json.dumps(name)} = {_value(value)}\n" for name, value in table.items())


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        inside = ", ".join(f"{json.dumps(k)} = {_value(v)}" for k, v in value.items())
        return f"{{{inside}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, date | time):
        return value.isoformat()
    return json.dumps(value)
