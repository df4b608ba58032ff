"""How to get a manifest into the wheel that lies in the source tree and is lost in between.

This is the mistake that people really make, and its mend differs for every build
backend. A hint names the cause where the candidate's files tell it, and gives the lines
to add, replace or delete; each edit is tried on a copy of the file's text first, and
one that does not read back as intended is described in words instead.
"""

from __future__ import annotations

import ast
import configparser
import copy
import json
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

Keys = tuple[str, ...]

_PYPROJECT: Final = "pyproject.toml"
_CFG: Final = "setup.cfg"
_SETUP: Final = "setup.py"


@dataclass(frozen=True)
class Addition:
    """Lines to add to a file, which is made if it is not there."""

    file: str
    """Relative to the source tree."""
    text: str
    table: str | None = None
    """The line directly below which the text goes, mostly a table's header; None: the end.

    Blanks around it do not count. Where the line is also one to delete, the text
    takes its place.
    """


@dataclass(frozen=True)
class Hint:
    """What to do, in words and as edits: all additions first, then the removals."""

    text: str
    additions: tuple[Addition, ...] = ()
    removals: tuple[tuple[str, str], ...] = ()
    """File and line to delete there."""


def packaging_hint(tree: Path, manifest: PurePosixPath) -> Hint:
    """How to make the candidate's own build backend pack its manifest.

    `tree` is the folder of the source, `manifest` the path of the manifest in it.
    Source: the documentation of each backend, and what its builds were seen to do.
    """
    project = _Project(tree, manifest)
    place = project.place_for_manifest()
    if place != manifest:
        project.manifest, project.moved = place, True
        project.says(f"{manifest} lies outside the package. Move it to {place}.")
    name = _backend(project)
    if name in _BACKENDS:
        _BACKENDS[name](project)
    elif not project.moved:
        project.says(
            f"The build backend {name} leaves it out: look up in its documentation how files "
            "other than Python modules are packed."
        )
    return project.hint()


# --- the candidate's files, and edits to them ----------------------------------------------


@dataclass(frozen=True)
class _Edit:
    file: str
    text: str | None
    """None: the line `below` is deleted."""
    below: str | None = None
    replaces: bool = False


class _Project:
    """A source tree with its packaging files, and the edits that are to be made."""

    def __init__(self, tree: Path, manifest: PurePosixPath) -> None:
        self.tree = tree
        self.manifest = manifest
        self.moved = False
        """Whether the manifest must first be moved there: then that alone may be the cause."""
        self._texts: dict[str, str] = {}
        self._edits: list[_Edit] = []
        self._said: list[str] = []

    # reading

    def read(self, file: str) -> str:
        """The text of a file with the edits so far; "" when it cannot be read."""
        if file not in self._texts:
            try:
                self._texts[file] = (self.tree / file).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                self._texts[file] = ""
        return self._texts[file]

    def toml(self, *keys: str, default: Any = None) -> Any:
        """A value of pyproject.toml."""
        value = _lookup(_toml(self.read(_PYPROJECT)), keys)
        return default if value is None else value

    def entries(self, *keys: str) -> list[Any]:
        """A list of pyproject.toml; empty when there is none."""
        value = self.toml(*keys)
        return value if isinstance(value, list) else []

    def cfg(self) -> configparser.RawConfigParser:
        """setup.cfg as setuptools reads it."""
        parser = configparser.RawConfigParser()
        parser.optionxform = str  # type: ignore[assignment, method-assign]
        with suppress(configparser.Error):
            parser.read_string(self.read(_CFG))
        return parser

    def setup_call(self) -> ast.Call | None:
        """The call of `setup()` in setup.py."""
        try:
            module = ast.parse(self.read(_SETUP))
        except (SyntaxError, ValueError):
            return None
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "setup":
                return node
        return None

    def setup_argument(self, name: str) -> Any:
        """A literal argument of the call of `setup()`; None when there is none."""
        call = self.setup_call()
        for keyword in call.keywords if call else ():
            if keyword.arg == name:
                with suppress(ValueError):
                    return ast.literal_eval(keyword.value)
        return None

    @property
    def folder(self) -> PurePosixPath:
        """The folder of the manifest."""
        return self.manifest.parent

    def place_for_manifest(self) -> PurePosixPath:
        """Where the manifest must lie: in the folder with the package's name, if there is one."""
        name = (
            self.toml("project", "name")
            or self.toml("tool", "poetry", "name")
            or self.cfg().get("metadata", "name", fallback=None)
            or self.setup_argument("name")
        )
        folder = re.sub(r"[-_.]+", "_", str(name)).lower()
        places = [PurePosixPath(folder), PurePosixPath("src", folder)]
        for place in places if self.folder.name != folder else ():
            if name and (self.tree / place).is_dir():
                return place / self.manifest.name
        return self.manifest

    # editing

    def says(self, sentence: str) -> None:
        """Add a sentence to the hint, in front of the edits."""
        if sentence not in self._said:
            self._said.append(sentence)

    def append(self, file: str, text: str) -> None:
        self._do(_Edit(file, text))

    def insert(self, file: str, below: str, text: str) -> None:
        self._do(_Edit(file, text, below))

    def replace(self, file: str, line: str, text: str) -> None:
        if line.strip() != text.strip():
            self._do(_Edit(file, text, line, replaces=True))

    def delete(self, file: str, line: str) -> None:
        self._do(_Edit(file, None, line))

    def attempt(self, change: Callable[[], None], done: Callable[[], bool]) -> bool:
        """Make edits; take them back unless afterwards all is as it was meant."""
        texts, edits = dict(self._texts), list(self._edits)
        with suppress(ValueError, SyntaxError, LookupError):
            change()
            if done():
                return True
        self._texts, self._edits = texts, edits
        return False

    def _do(self, edit: _Edit) -> None:
        text = self.read(edit.file)
        self._edits.append(edit)
        self._texts[edit.file] = _applied(text, *_as_hint([edit]))

    # the result

    def hint(self) -> Hint:
        """All that was said and done."""
        additions, removals = _as_hint(self._edits)
        for file in dict.fromkeys(edit.file for edit in self._edits):
            edited = self._texts.pop(file)
            original = self.read(file)
            if (
                _applied(
                    original,
                    [addition for addition in additions if addition.file == file],
                    [removal for removal in removals if removal[0] == file],
                )
                != edited
            ):
                # Two equal lines in one file: words are plain enough for people.
                additions, removals = (), ()
            self._texts[file] = original
        words = [*self._said, *(self._words(edit) for edit in self._edits)]
        return Hint("\n".join(words), additions, removals)

    def _words(self, edit: _Edit) -> str:
        if edit.text is None:
            return f"In {edit.file}, delete the line\n{_block(edit.below)}"
        if edit.replaces:
            return (
                f"In {edit.file}, replace the line\n{_block(edit.below)}\nby\n{_block(edit.text)}"
            )
        if edit.below is not None:
            return f"In {edit.file}, add below {edit.below.strip()}\n{_block(edit.text)}"
        if (self.tree / edit.file).exists():
            return f"Add to the end of {edit.file}\n{_block(edit.text)}"
        return f"Create {edit.file} with\n{_block(edit.text)}"


def _block(text: str | None) -> str:
    return "\n".join(f"    {line}" for line in (text or "").strip("\n").splitlines())


def _as_hint(
    edits: Iterable[_Edit],
) -> tuple[tuple[Addition, ...], tuple[tuple[str, str], ...]]:
    additions: list[Addition] = []
    removals: list[tuple[str, str]] = []
    for edit in edits:
        if edit.text is not None:
            below = None if edit.below is None else edit.below.strip()
            additions.append(Addition(edit.file, edit.text, below))
        if edit.text is None or edit.replaces:
            removals.append((edit.file, edit.below or ""))
    return tuple(additions), tuple(removals)


def _applied(text: str, additions: Iterable[Addition], removals: Iterable[tuple[str, str]]) -> str:
    lines = text.splitlines()
    for addition in additions:
        place = len(lines)
        if addition.table is not None:
            place = [line.strip() for line in lines].index(addition.table) + 1
        lines[place:place] = addition.text.splitlines()
    for _, line in removals:
        lines.remove(line)
    return "\n".join(lines) + "\n"


# --- TOML ------------------------------------------------------------------------------


def _toml(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}


def _lookup(value: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _with(document: dict[str, Any], keys: Keys, value: Any) -> dict[str, Any]:
    """A copy of the document with one value set, or taken out for None."""
    document = copy.deepcopy(document)
    inner = document
    for key in keys[:-1]:
        if not isinstance(inner.get(key), dict):
            inner[key] = {}
        inner = inner[key]
    if value is None:
        inner.pop(keys[-1], None)
    else:
        inner[keys[-1]] = value
    return document


def _pruned(value: Any) -> Any:
    """The value without empty tables: it does not matter whether a header stays."""
    if not isinstance(value, dict):
        return value
    inner = {key: _pruned(item) for key, item in value.items()}
    return {key: item for key, item in inner.items() if item != {}}


def _written(value: Any) -> str:
    """A value as TOML, in one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(k)} = {_written(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_written, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _written(key)


def _dotted(keys: Iterable[str]) -> str:
    return ".".join(map(_key, keys))


def _only_path(document: Any) -> Keys:
    keys: Keys = ()
    while isinstance(document, dict) and len(document) == 1:
        ((key, document),) = document.items()
        keys += (key,)
    return keys


def _headers_and_keys(text: str) -> Iterator[tuple[str, Keys, bool]]:
    """The lines that open a table (True) or give a key (False), with the whole path of each."""
    table: Keys = ()
    for line in text.splitlines():
        if re.match(r"\s*\[[^\[]", line) and (header := _only_path(_toml(line))):
            table = header
            yield line, table, True
        elif "=" in line:
            left = line.split("=", 1)[0]
            if path := _only_path(_toml(f"{left} = 0")):
                yield line, table + path, False


def _set_toml(project: _Project, keys: Keys, value: Any) -> bool:
    """Give a key of pyproject.toml a value (None: take it out); False where no line shows how."""
    text = project.read(_PYPROJECT)
    document = _toml(text)
    old = _lookup(document, keys)
    expected = _with(document, keys, value or None)
    results = [expected]
    if isinstance(value, list):  # in a list over several lines the new entries come first
        entries = old or []
        new = [entry for entry in value if entry not in entries]
        results.append(_with(document, keys, new[::-1] + [e for e in value if e in entries]))
    places = list(_headers_and_keys(text))

    def line_of(path: Keys, header: bool) -> str:
        return next(line for line, place, kind in places if (place, kind) == (path, header))

    def on_its_line() -> None:
        line = line_of(keys, False)
        if not _toml(line):
            _edit_list(project, line, old, value)
        elif not value:
            project.delete(_PYPROJECT, line)
        else:
            project.replace(
                _PYPROJECT, line, f"{line.split('=', 1)[0].rstrip()} = {_written(value)}"
            )

    def below_its_header() -> None:
        header = line_of(keys[:-1], True)
        project.insert(_PYPROJECT, header, f"{_key(keys[-1])} = {_written(value)}")

    def in_an_inline_table() -> None:
        inline = keys[:-1]
        line = line_of(inline, False)
        table = _written(_lookup(expected, inline))
        project.replace(_PYPROJECT, line, f"{line.split('=', 1)[0].rstrip()} = {table}")

    def in_a_new_table() -> None:
        gap = "\n" if text else ""
        line = f"{_key(keys[-1])} = {_written(value)}"
        project.append(_PYPROJECT, f"{gap}[{_dotted(keys[:-1])}]\n{line}")

    def as_a_dotted_key() -> None:
        header = line_of(keys[:-2], True)
        project.insert(_PYPROJECT, header, f"{_dotted(keys[-2:])} = {_written(value)}")

    def as_expected() -> bool:
        found = _pruned(tomllib.loads(project.read(_PYPROJECT)))
        return found in map(_pruned, results)

    ways = (on_its_line, below_its_header, in_an_inline_table, in_a_new_table, as_a_dotted_key)
    return any(project.attempt(_no_stop(way), as_expected) for way in ways)


def _no_stop(way: Callable[[], None]) -> Callable[[], None]:
    """A line that is not there is a way that cannot be gone."""

    def going() -> None:
        try:
            way()
        except StopIteration:
            raise LookupError from None

    return going


def _edit_list(project: _Project, opening: str, old: list[Any], new: list[Any]) -> None:
    """Change a list that goes over several lines, one entry a line."""
    for entry in new:
        if entry not in old:
            project.insert(_PYPROJECT, opening, f"    {_written(entry)},")
    lines = project.read(_PYPROJECT).splitlines()
    following = lines[lines.index(opening) + 1 :]
    for entry in old:
        if entry not in new:
            line = next(line for line in following if _toml(f"x = [{line}\n]").get("x") == [entry])
            project.delete(_PYPROJECT, line)


def _drop(project: _Project, keys: Keys, matches: Callable[[str], bool]) -> bool:
    """Take the patterns that match the manifest out of a list; whether there were any."""
    entries = project.entries(*keys)
    texts = {id(e): e.get("path", "") if isinstance(e, dict) else e for e in entries}
    guilty = [e for e in entries if isinstance(texts[id(e)], str) and matches(texts[id(e)])]
    if not guilty:
        return False
    named = ", ".join(json.dumps(texts[id(entry)]) for entry in guilty)
    project.says(
        f"`{keys[-1]}` in [{_dotted(keys[:-1])}] of {_PYPROJECT} leaves it out ({named})."
    )
    if not _set_toml(project, keys, [entry for entry in entries if entry not in guilty]):
        project.says(f"Take {named} out of that list.")
    return True


def _extend(project: _Project, keys: Keys, entries: Sequence[Any]) -> None:
    """Add entries to a list of pyproject.toml."""
    wanted = [*project.entries(*keys), *entries]
    if not _set_toml(project, keys, wanted):
        added = ", ".join(map(_written, entries))
        project.says(f"Add {added} to `{keys[-1]}` in [{_dotted(keys[:-1])}] of {_PYPROJECT}.")


# --- patterns --------------------------------------------------------------------------


def _ignores(pattern: str, path: PurePosixPath) -> bool:
    """Whether a pattern in the manner of gitignore names the path, or a folder around it."""
    names_folder = pattern.endswith("/")
    body = pattern.strip("/")
    anchored = "/" in pattern.rstrip("/")
    regex = "" if anchored else "(?:.*/)?"
    regex += _regex(body) + ("/.*" if names_folder else "(?:/.*)?")
    return re.fullmatch(regex, str(path)) is not None


def _globs(pattern: str, path: PurePosixPath) -> bool:
    """Whether a glob from the root names the path, or a folder around it."""
    return _ignores("/" + pattern.removeprefix("./").lstrip("/"), path)


def _regex(pattern: str) -> str:
    parts = {"**/": "(?:.*/)?", "/**": "/.*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    regex = ""
    for token in re.findall(r"\*\*/|/\*\*$|\*\*|\*|\?|\[[^\]]+\]|\\?.", pattern):
        if token in parts:
            regex += parts[token]
        elif len(token) > 2:
            regex += token.replace("[!", "[^")
        else:
            regex += re.escape(token[-1])
    return regex


def _git_ignored(project: _Project, files: Sequence[str]) -> bool:
    """Unignore the manifest where one of these .gitignore files ignores it."""
    for file in files:
        folder = PurePosixPath(os.path.relpath((project.tree / file).parent, project.tree))
        try:
            path = PurePosixPath(os.path.relpath(str(project.manifest), folder))
        except ValueError:
            continue
        culprit = None
        for line in map(str.strip, project.read(file).splitlines()):
            if not line or line.startswith("#"):
                continue
            if _ignores(line.removeprefix("!"), path):
                culprit = None if line.startswith("!") else line
        if culprit is not None:
            project.says(
                f"{file} ignores it ({culprit}), and the backend leaves out what git ignores."
            )
            project.append(file, f"!{project.manifest.name}")
            return True
    return False


def _git_ignore_files(project: _Project) -> list[str]:
    """The .gitignore files that count for the manifest, the strongest first; none without git."""
    tree = project.tree.absolute()
    top = next((place for place in (tree, *tree.parents) if (place / ".git").exists()), None)
    if top is None:
        return []
    start = tree / project.folder
    places = [place for place in (start, *start.parents) if place.is_relative_to(top)]
    return [
        Path(os.path.relpath(place / ".gitignore", tree)).as_posix()
        for place in places
        if (place / ".gitignore").is_file()
    ]


# --- the backends ----------------------------------------------------------------------


def _backend(project: _Project) -> str:
    """The family of the build backend (PEP 517), or its own name."""
    backend = project.toml("build-system", "build-backend", default="setuptools.build_meta")
    requires = project.entries("build-system", "requires")
    families = {name: name for name in ("setuptools", "hatchling", "poetry", "pdm", "uv_build")}
    families |= {"flit": "flit", "flit_core": "flit"}
    family = families.get(re.split(r"[.:]", str(backend))[0])
    if family is None:  # a backend of the project's own, around one of these
        for requirement in requires:
            name = re.split(r"[^\w-]", str(requirement).strip())[0].replace("-", "_")
            family = family or families.get(name.removesuffix("_core").removesuffix("_backend"))
    return family or str(backend)


def _hatchling(project: _Project) -> None:
    manifest = project.manifest
    build = ("tool", "hatch", "build")
    targets = [(*build, "targets", target) for target in ("sdist", "wheel")]
    places = [build, *targets]
    found = [
        _drop(project, (*keys, "exclude"), lambda p: _ignores(p, manifest)) for keys in places
    ]
    if not project.toml(*build, "ignore-vcs"):
        # hatchling reads the nearest .gitignore, with or without a repository.
        tree = project.tree.absolute()
        for folder in (tree, *tree.parents):
            if (folder / ".gitignore").is_file():
                file = Path(os.path.relpath(folder / ".gitignore", tree)).as_posix()
                found.append(_git_ignored(project, [file]))
            if (folder / ".gitignore").is_file() or (folder / ".git").exists():
                break
    # A target's own list stands in for the one for all targets.
    lists = {
        (*(build if project.toml(*target, name) is None else target), name): None
        for target in targets
        for name in ("include", "only-include")
    }
    for keys in lists:
        patterns = project.entries(*keys)
        if patterns and not any(_ignores(pattern, manifest) for pattern in patterns):
            project.says(
                f"`{keys[-1]}` in [{_dotted(keys[:-1])}] of {_PYPROJECT} does not name it."
            )
            _extend(project, keys, [str(manifest)])
            found.append(True)
    if any(found) or project.moved:
        return
    project.says("Nothing in the project's files tells why hatchling leaves it out.")
    inside = manifest.relative_to("src") if manifest.parts[0] == "src" else manifest
    for target, place in zip(targets, (manifest, inside), strict=True):
        _set_toml(project, (*target, "force-include", str(manifest)), str(place))


def _poetry(project: _Project) -> None:
    manifest = project.manifest
    poetry = ("tool", "poetry")
    found = [_drop(project, (*poetry, "exclude"), lambda p: _globs(p, manifest))]
    found.append(_git_ignored(project, _git_ignore_files(project)))
    packages = project.entries(*poetry, "packages")
    places = [PurePosixPath(p.get("from", ""), p.get("include", "")) for p in packages]
    if packages and not any(_globs(str(place), manifest) for place in places):
        project.says(f"`packages` in [tool.poetry] of {_PYPROJECT} does not name it.")
        _extend(project, (*poetry, "packages"), [_poetry_entry(manifest)])
        found.append(True)
    if any(found) or project.moved:
        return
    # An `include` goes before every exclusion, but into a wheel by its whole path:
    # from `src` only the sdist needs it, since the wheel is made of that, without git.
    project.says("Nothing in the project's files tells why poetry-core leaves it out.")
    formats = ["sdist"] if manifest.parts[0] == "src" else ["sdist", "wheel"]
    _extend(project, (*poetry, "include"), [{"path": str(manifest), "format": formats}])


def _poetry_entry(manifest: PurePosixPath) -> dict[str, str]:
    if manifest.parts[0] == "src":
        return {"include": str(manifest.relative_to("src")), "from": "src"}
    return {"include": str(manifest)}


def _flit(project: _Project) -> None:
    sdist = ("tool", "flit", "sdist", "exclude")
    if not _drop(project, sdist, lambda p: _globs(p, project.manifest)) and not project.moved:
        project.says(
            f"flit packs every file of the module's folder: the name in {_PYPROJECT} "
            f"([project] or [tool.flit.module]) must be that of {project.folder}."
        )


def _pdm(project: _Project) -> None:
    manifest = project.manifest
    build = ("tool", "pdm", "build")
    found = [_drop(project, (*build, "excludes"), lambda p: _globs(p, manifest))]
    includes = project.entries(*build, "includes")
    if includes and not any(_globs(pattern, manifest) for pattern in includes):
        project.says(f"`includes` in [tool.pdm.build] of {_PYPROJECT} does not name it.")
        _extend(project, (*build, "includes"), [str(manifest)])
        found.append(True)
    if not any(found) and not project.moved:
        project.says(
            f"pdm-backend packs every file of a package: {project.folder} must be one, "
            f"with an __init__.py, below `package-dir` in [tool.pdm.build] of {_PYPROJECT}."
        )


def _uv_build(project: _Project) -> None:
    settings = ("tool", "uv", "build-backend")
    found = [
        _drop(project, (*settings, name), lambda p: _ignores(p, project.manifest))
        for name in ("source-exclude", "wheel-exclude")
    ]
    if not any(found) and not project.moved:
        project.says(
            f"uv_build packs every file of the module: `module-name` and `module-root` in "
            f"[tool.uv.build-backend] of {_PYPROJECT} must lead to {project.folder}."
        )


# --- setuptools ------------------------------------------------------------------------


def _setuptools(project: _Project) -> None:
    package = _setuptools_package(project)
    _setuptools_excludes(project, package)
    _manifest_in(project)
    if not _in_package_data(project, package):
        project.says("setuptools packs Python modules, and other files only as package data.")
        _add_package_data(project, package)


def _setuptools_package(project: _Project) -> str:
    """The dotted name of the package in the manifest's folder."""
    tool = ("tool", "setuptools")
    cfg = project.cfg()
    folders = {
        **_assignments(cfg.get("options", "package_dir", fallback="")),
        **(project.setup_argument("package_dir") or {}),
        **project.toml(*tool, "package-dir", default={}),
    }
    roots = [
        *project.entries(*tool, "packages", "find", "where"),
        cfg.get("options.packages.find", "where", fallback="").strip(),
        "src",
    ]
    folders = {"": next((root for root in roots if _is_root(project, root)), "")} | folders
    # The longest folder first: `{"": "src", "pkg": "src/other"}`.
    for name, place in sorted(folders.items(), key=lambda item: -len(item[1])):
        place = "" if place == "." else place.strip("/")
        if project.folder.is_relative_to(place):
            inner = project.folder.relative_to(place).parts
            return ".".join([*([name] if name else []), *inner])
    return ".".join(project.folder.parts)


def _is_root(project: _Project, root: str) -> bool:
    """Whether packages lie in this folder, which is none itself."""
    inside = bool(root) and project.folder != PurePosixPath(root)
    is_package = (project.tree / root / "__init__.py").exists()
    return inside and project.folder.is_relative_to(root) and not is_package


def _assignments(text: str) -> dict[str, str]:
    pairs = (line.split("=", 1) for line in _cfg_list(text) if "=" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def _matched(patterns: Iterable[str], project: _Project) -> list[str]:
    name = PurePosixPath(project.manifest.name)
    return [pattern for pattern in patterns if _globs(pattern, name)]


def _package_data_place(project: _Project) -> str | None:
    """The file whose package data counts: pyproject.toml before setup.py before setup.cfg."""
    if project.toml("tool", "setuptools", "package-data"):
        return _PYPROJECT
    call = project.setup_call()
    if call is not None and any(keyword.arg == "package_data" for keyword in call.keywords):
        return _SETUP
    return _CFG if project.cfg().has_section("options.package_data") else None


def _in_package_data(project: _Project, package: str) -> bool:
    place = _package_data_place(project)
    if place == _PYPROJECT:
        data = project.toml("tool", "setuptools", "package-data")
    elif place == _SETUP:
        data = project.setup_argument("package_data") or {}
    elif place == _CFG:
        data = {
            name: _cfg_list(text) for name, text in project.cfg()["options.package_data"].items()
        }
    else:
        return False
    return any(_matched(data.get(name, ()), project) for name in (package, "", "*"))


def _add_package_data(project: _Project, package: str) -> None:
    name = project.manifest.name
    place = _package_data_place(project)
    if place is None:
        cfg = project.cfg()
        if project.toml("project") or project.toml("tool", "setuptools"):
            place = _PYPROJECT
        elif cfg.has_section("metadata") or cfg.has_section("options"):
            place = _CFG
        elif project.setup_call():
            place = _SETUP
        else:
            place = _PYPROJECT
    if place == _PYPROJECT:
        _extend(project, ("tool", "setuptools", "package-data", package), [name])
    elif place == _SETUP:
        _add_to_setup(project, package)
    else:
        _add_to_cfg(project, package)


def _setuptools_excludes(project: _Project, package: str) -> None:
    names = (package, "", "*")
    for name in names:
        keys = ("tool", "setuptools", "exclude-package-data", name)
        _drop(project, keys, lambda pattern: bool(_matched([pattern], project)))
        section = "options.exclude_package_data"
        text = project.cfg().get(section, name, fallback="") if name else ""
        for pattern in _matched(_cfg_list(text), project):
            project.says(f"[{section}] of {_CFG} leaves it out ({pattern}).")
            if not _drop_from_cfg(project, section, name, pattern):
                project.says(f"Take {pattern} out of that list.")
    excluded = project.setup_argument("exclude_package_data") or {}
    for name in names:
        for pattern in _matched(excluded.get(name, ()), project):
            _drop_from_setup(project, excluded, pattern)


def _manifest_in(project: _Project) -> None:
    """Take out what MANIFEST.in excludes, and no later line includes again."""
    file = "MANIFEST.in"
    path = project.manifest
    guilty: list[str] = []
    for line in project.read(file).splitlines():
        command, *words = line.split("#")[0].split() or [""]
        if _template_matches(command, words, path):
            # The effects of later lines go over those of earlier ones.
            excludes = "exclude" in command or command == "prune"
            guilty = [*guilty, line] if excludes else []
    for line in guilty:
        project.says(
            f"{file} takes it out of the sdist, of which the wheel is made ({line.strip()})."
        )
        command, *words = line.split()
        fixed = 1 if command.startswith("recursive") else 0
        kept = [
            w for w in words[fixed:] if not _template_matches(command, [*words[:fixed], w], path)
        ]
        if kept and command != "prune":
            project.replace(file, line, " ".join([command, *words[:fixed], *kept]))
        else:
            project.delete(file, line)


def _template_matches(command: str, words: Sequence[str], path: PurePosixPath) -> bool:
    """Whether a command of MANIFEST.in is about the path."""
    if command in {"include", "exclude"}:
        return any(_ignores_file("/" + word, path) for word in words)
    if command in {"global-include", "global-exclude"}:
        return any(_ignores_file("**/" + word, path) for word in words)
    if command in {"recursive-include", "recursive-exclude"} and words:
        return any(_ignores_file(f"/{words[0].strip('/')}/**/{word}", path) for word in words[1:])
    return command in {"graft", "prune"} and any(_globs(word.rstrip("/"), path) for word in words)


def _ignores_file(pattern: str, path: PurePosixPath) -> bool:
    return re.fullmatch(_regex(pattern.lstrip("/")), str(path)) is not None


# setup.cfg


def _cfg_list(text: str) -> list[str]:
    """A list of setup.cfg: one entry a line, or separated by commas in one line."""
    parts = text.splitlines() if "\n" in text else text.split(",")
    return [part.strip() for part in parts if part.strip()]


def _cfg_line(project: _Project, section: str, option: str | None = None) -> str:
    """The line that opens a section, or an option in it."""
    inside = False
    for line in project.read(_CFG).splitlines():
        if line.startswith("["):
            inside = line.strip() == f"[{section}]"
            if inside and option is None:
                return line
        elif inside and option and re.match(rf"{re.escape(option)}\s*[=:]", line):
            return line
    raise LookupError(section, option)


def _add_to_cfg(project: _Project, package: str) -> None:
    section, name = "options.package_data", project.manifest.name
    old = project.cfg().get(section, package, fallback=None)

    def change() -> None:
        if not project.cfg().has_section(section):
            gap = "\n" if project.read(_CFG) else ""
            project.append(_CFG, f"{gap}[{section}]\n{package} = {name}")
        elif old is None:
            project.insert(_CFG, _cfg_line(project, section), f"{package} = {name}")
        else:
            line = _cfg_line(project, section, package)
            if "\n" in old:
                project.insert(_CFG, line, f"    {name}")
            else:
                project.replace(_CFG, line, f"{line.rstrip().rstrip(',')}, {name}")

    def done() -> bool:
        new = project.cfg().get(section, package, fallback="")
        return sorted(_cfg_list(new)) == sorted([*_cfg_list(old or ""), name])

    if not project.attempt(change, done):
        project.says(f"Add {name} to {package} in [{section}] of {_CFG}.")


def _drop_from_cfg(project: _Project, section: str, option: str, entry: str) -> bool:
    old = project.cfg().get(section, option)
    rest = [other for other in _cfg_list(old) if other != entry]

    def change() -> None:
        line = _cfg_line(project, section, option)
        if "\n" in old:
            lines = project.read(_CFG).splitlines()
            following = lines[lines.index(line) + 1 :]
            project.delete(_CFG, next(other for other in following if other.strip() == entry))
        elif rest:
            left = re.match(r"[^=:]*[=:]\s*", line)
            project.replace(_CFG, line, f"{left[0] if left else ''}{', '.join(rest)}")
        else:
            project.delete(_CFG, line)

    def done() -> bool:
        return _cfg_list(project.cfg().get(section, option, fallback="")) == rest

    return project.attempt(change, done)


# setup.py


def _add_to_setup(project: _Project, package: str) -> None:
    name = project.manifest.name
    old = project.setup_argument("package_data")
    expected = {**(old or {}), package: [*(old or {}).get(package, ()), name]}

    def change() -> None:
        call = project.setup_call()
        assert call is not None
        keyword = next((k for k in call.keywords if k.arg == "package_data"), None)
        if keyword is None:
            opening = _line(project, call.func.end_lineno or 0)
            indent = " " * (call.keywords[0].col_offset if call.keywords else 4)
            if not opening.rstrip().endswith("("):
                raise LookupError
            entry = f'{indent}package_data={{"{package}": ["{name}"]}},'
            project.insert(_SETUP, opening, entry)
            return
        if not isinstance(keyword.value, ast.Dict):
            raise LookupError
        keys = [getattr(key, "value", None) for key in keyword.value.keys]
        inner: ast.expr = keyword.value
        entry = f'"{package}": ["{name}"]'
        if package in keys:
            inner = keyword.value.values[keys.index(package)]
            entry = f'"{name}"'
        _add_inside(project, inner, entry)

    def done() -> bool:
        new = project.setup_argument("package_data")
        return isinstance(new, dict) and {k: sorted(v) for k, v in new.items()} == {
            k: sorted(v) for k, v in expected.items()
        }

    if project.attempt(change, done):
        return
    call = project.setup_call()
    if old is None and call and not any(k.arg == "package_data" for k in call.keywords):
        _add_to_cfg(project, package)  # setup.cfg adds to what setup.py does not say itself
    else:
        project.says(f'Add "{name}" to package_data["{package}"] in {_SETUP}.')


def _add_inside(project: _Project, literal: ast.expr, entry: str) -> None:
    """Put an entry into the list or dictionary that is written there."""
    opening = _line(project, literal.lineno)
    after = literal.col_offset + 1
    rest = opening.encode()[after:].decode()
    if not rest.strip():
        indent = len(opening) - len(opening.lstrip()) + 4
        project.insert(_SETUP, opening, f"{' ' * indent}{entry},")
    else:
        comma = "" if rest.lstrip().startswith(("]", "}")) else ", "
        project.replace(
            _SETUP, opening, f"{opening.encode()[:after].decode()}{entry}{comma}{rest}"
        )


def _drop_from_setup(project: _Project, excluded: dict[str, list[str]], pattern: str) -> None:
    """Delete `exclude_package_data` where it is one line that says nothing else."""
    project.says(f"exclude_package_data in {_SETUP} leaves it out ({pattern}).")

    def change() -> None:
        if [entry for entries in excluded.values() for entry in entries] != [pattern]:
            raise LookupError
        call = project.setup_call()
        keywords = call.keywords if call else []
        (keyword,) = (k for k in keywords if k.arg == "exclude_package_data")
        if keyword.lineno != keyword.end_lineno:
            raise LookupError
        project.delete(_SETUP, _line(project, keyword.lineno))

    before = project.setup_call()
    names = [keyword.arg for keyword in before.keywords] if before else []

    def done() -> bool:
        call = project.setup_call()
        left = [keyword.arg for keyword in call.keywords] if call else []
        return left == [name for name in names if name != "exclude_package_data"]

    if not project.attempt(change, done):
        project.says(f"Take {json.dumps(pattern)} out of it.")


def _line(project: _Project, number: int) -> str:
    return project.read(_SETUP).splitlines()[number - 1]


_BACKENDS: Final[dict[str, Callable[[_Project], None]]] = {
    "setuptools": _setuptools,
    "hatchling": _hatchling,
    "poetry": _poetry,
    "flit": _flit,
    "pdm": _pdm,
    "uv_build": _uv_build,
}
"""Each tells why its backend loses the manifest, and makes the edits against it."""
