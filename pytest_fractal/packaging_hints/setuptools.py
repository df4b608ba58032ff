"""How setuptools loses a manifest, by pyproject.toml, setup.cfg, setup.py and MANIFEST.in."""

from __future__ import annotations

import ast
import configparser
import json
import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from pytest_fractal.packaging_hints.patterns import globs, is_named_by, pattern_regex
from pytest_fractal.packaging_hints.project_files import (
    CFG,
    PYPROJECT,
    SETUP,
    Project,
    indent_below,
)
from pytest_fractal.packaging_hints.toml_edits import drop_patterns, extend_list


def keep_by_setuptools(project: Project) -> None:
    """Tell why setuptools leaves the manifest out, and make the edits against it."""
    package = _setuptools_package(project)
    _unpacked_package(project, package)
    _setuptools_excludes(project, package)
    _manifest_in(project)
    if not _in_package_data(project, package):
        project.says("setuptools packs Python modules, and other files only as package data.")
        _add_package_data(project, package)
    if project.is_silent:
        project.asks(
            "Nothing in the project's files tells why setuptools leaves it out: see what "
            f"`python -m build` prints, and what {SETUP} does besides."
        )


def keep_package_by_setuptools(project: Project) -> None:
    """Tell why setuptools leaves a module's package out, and make the edits against it."""
    _unpacked_package(project, _setuptools_package(project))


def _setuptools_package(project: Project) -> str:
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


def _unpacked_package(project: Project, package: str) -> None:
    """Tell why setuptools does not pack the package at all, where its settings say so."""
    tool, cfg = ("tool", "setuptools", "packages"), project.cfg()
    listed = project.toml(*tool)
    if isinstance(listed, list) and package not in listed:
        project.says(f"{project.named(tool)} does not name the package {package}.")
        extend_list(project, tool, [package])
    find = (*tool, "find")
    drop_patterns(project, (*find, "exclude"), lambda pattern: fnmatchcase(package, pattern))
    includes = project.entries(*find, "include")
    if includes and not any(fnmatchcase(package, pattern) for pattern in includes):
        project.says(f"{project.named((*find, 'include'))} does not name the package {package}.")
        extend_list(project, (*find, "include"), [f"{package}*"])
    section, named = "options.packages.find", cfg.get("options", "packages", fallback="").strip()
    for pattern in _cfg_list(cfg.get(section, "exclude", fallback="")):
        if fnmatchcase(package, pattern):
            project.says(f"[{section}] of {CFG} leaves the package {package} out ({pattern}).")
            if not _drop_from_cfg(project, section, "exclude", pattern):
                project.says(f"Take {pattern} out of that list.")
    literal = project.setup_argument("packages")
    for file, names in ((CFG, _cfg_list(named)), (SETUP, literal)):
        if isinstance(names, list) and names and "find" not in names[0] and package not in names:
            project.says(f"Add {package} to `packages` in {file}: it is not among them.")
            if file == SETUP:
                project.needs_hands()
            else:
                _set_by_configupdater(project, "options", "packages", [*names, package])
    call = project.setup_call()
    words = call.keywords if call else []
    made = [ast.unparse(word.value) for word in words if word.arg == "packages"]
    wants_init = (
        project.toml(*find, "namespaces") is False
        or named == "find:"
        or any("find_packages" in text for text in made)
    )
    if wants_init and not (project.tree / project.folder / "__init__.py").exists():
        project.says(f"setuptools sees no package in {project.folder}: it has no __init__.py.")
        project.append(f"{project.folder}/__init__.py", "")


def _is_root(project: Project, root: str) -> bool:
    """Whether packages lie in this folder, which is none itself."""
    inside = bool(root) and project.folder != PurePosixPath(root)
    is_package = (project.tree / root / "__init__.py").exists()
    return inside and project.folder.is_relative_to(root) and not is_package


def _assignments(text: str) -> dict[str, str]:
    pairs = (line.split("=", 1) for line in _cfg_list(text) if "=" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def _matched(patterns: Iterable[str], project: Project) -> list[str]:
    name = PurePosixPath(project.manifest.name)
    return [pattern for pattern in patterns if globs(pattern, name)]


def _package_data_place(project: Project) -> str | None:
    """The file whose package data counts: pyproject.toml before setup.py before setup.cfg."""
    if project.toml("tool", "setuptools", "package-data"):
        return PYPROJECT
    call = project.setup_call()
    if call is not None and any(keyword.arg == "package_data" for keyword in call.keywords):
        return SETUP
    return CFG if project.cfg().has_section("options.package_data") else None


def _in_package_data(project: Project, package: str) -> bool:
    place = _package_data_place(project)
    if place == PYPROJECT:
        data = project.toml("tool", "setuptools", "package-data")
    elif place == SETUP:
        data = project.setup_argument("package_data") or {}
    elif place == CFG:
        data = {
            name: _cfg_list(text) for name, text in project.cfg()["options.package_data"].items()
        }
    else:
        return False
    return any(_matched(data.get(name, ()), project) for name in (package, "", "*"))


def _add_package_data(project: Project, package: str) -> None:
    name = project.manifest.name
    place = _package_data_place(project)
    if place is None:
        cfg = project.cfg()
        if project.toml("project") or project.toml("tool", "setuptools"):
            place = PYPROJECT
        elif cfg.has_section("metadata") or cfg.has_section("options"):
            place = CFG
        elif project.setup_call():
            place = SETUP
        else:
            place = PYPROJECT
    if place == PYPROJECT:
        extend_list(project, ("tool", "setuptools", "package-data", package), [name])
    elif place == SETUP:
        _add_to_setup(project, package)
    else:
        _add_to_cfg(project, package)


def _setuptools_excludes(project: Project, package: str) -> None:
    names = (package, "", "*")
    for name in names:
        keys = ("tool", "setuptools", "exclude-package-data", name)
        drop_patterns(project, keys, lambda pattern: bool(_matched([pattern], project)))
        section = "options.exclude_package_data"
        text = project.cfg().get(section, name, fallback="") if name else ""
        for pattern in _matched(_cfg_list(text), project):
            project.says(f"[{section}] of {CFG} leaves it out ({pattern}).")
            if not _drop_from_cfg(project, section, name, pattern):
                project.says(f"Take {pattern} out of that list.")
    excluded = project.setup_argument("exclude_package_data") or {}
    for name in names:
        for pattern in _matched(excluded.get(name, ()), project):
            _drop_from_setup(project, excluded, pattern)


def _manifest_in(project: Project) -> None:
    """Take out what MANIFEST.in excludes, and no later line includes again."""
    file = "MANIFEST.in"
    path = project.manifest
    guilty: list[str] = []
    # A command goes on in the next line behind a backslash.
    for line in project.read(file).replace("\\\n", "\0").splitlines():
        command, *words = re.split(r"[\s\0]+", line.split("#")[0].strip())
        if _template_matches(command, words, path):
            # The effects of later lines go over those of earlier ones.
            excludes = "exclude" in command or command == "prune"
            guilty = [*guilty, line] if excludes else []
    for line in guilty:
        shown = re.sub(r"\s*\0\s*", " ", line.strip())
        project.says(f"{file} takes it out of the sdist, of which the wheel is made ({shown}).")
        command, *words = line.split("#")[0].split()
        fixed = 1 if command.startswith("recursive") else 0
        guilty_words = [
            w for w in words[fixed:] if _template_matches(command, [*words[:fixed], w], path)
        ]
        if "\0" in line:
            project.append(file, f"include {path}")
        elif len(guilty_words) < len(words) - fixed and command != "prune":
            text, hash_, comment = line.partition("#")
            for word in guilty_words:
                text = re.sub(rf"\s+{re.escape(word)}(?=\s|$)", "", text)
            project.replace(file, line, f"{text}{hash_}{comment}")
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
    return command in {"graft", "prune"} and any(globs(word.rstrip("/"), path) for word in words)


def _ignores_file(pattern: str, path: PurePosixPath) -> bool:
    return is_named_by(path, pattern_regex(pattern.lstrip("/")))


# setup.cfg


def _cfg_list(text: str) -> list[str]:
    """A list of setup.cfg: one entry a line, or separated by commas in one line."""
    parts = text.splitlines() if "\n" in text else text.split(",")
    return [part.strip() for part in parts if part.strip()]


def _cfg_line(project: Project, section: str, option: str | None = None) -> str:
    """The line that opens a section, or an option in it."""
    inside = False
    for line in project.read(CFG).splitlines():
        if line.startswith("["):
            inside = line.strip() == f"[{section}]"
            if inside and option is None:
                return line
        elif inside and option and re.match(rf"{re.escape(option)}\s*[=:]", line):
            return line
    raise LookupError(section, option)


def _add_to_cfg(project: Project, package: str) -> None:
    section, name = "options.package_data", project.manifest.name
    old = project.cfg().get(section, package, fallback=None)

    def change() -> None:
        if not project.cfg().has_section(section):
            gap = "\n" if project.read(CFG) else ""
            project.append(CFG, f"{gap}[{section}]\n{package} = {name}")
        elif old is None:
            project.insert(CFG, _cfg_line(project, section), f"{package} = {name}")
        else:
            line = _cfg_line(project, section, package)
            if "\n" in old:
                project.insert(CFG, line, f"{indent_below(project.read(CFG), line)}{name}")
            else:
                project.replace(CFG, line, f"{line.rstrip().rstrip(',')}, {name}")

    def done() -> bool:
        new = project.cfg().get(section, package, fallback="")
        return sorted(_cfg_list(new)) == sorted([*_cfg_list(old or ""), name])

    if not project.attempt(change, done):
        project.says(f"Add {name} to {package} in [{section}] of {CFG}.")
        _set_by_configupdater(project, section, package, [*_cfg_list(old or ""), name])


def _drop_from_cfg(project: Project, section: str, option: str, entry: str) -> bool:
    old = project.cfg().get(section, option)
    rest = [line for line in _cfg_list(old) if line != entry]

    def change() -> None:
        line = _cfg_line(project, section, option)
        if "\n" in old:
            lines = project.read(CFG).splitlines()
            following = lines[lines.index(line) + 1 :]
            project.delete(CFG, next(line for line in following if line.strip() == entry))
        elif rest:
            left = re.match(r"[^=:]*[=:]\s*", line)
            project.replace(CFG, line, f"{left[0] if left else ''}{', '.join(rest)}")
        else:
            project.delete(CFG, line)

    def done() -> bool:
        return _cfg_list(project.cfg().get(section, option, fallback="")) == rest

    if project.attempt(change, done):
        return True
    _set_by_configupdater(project, section, option, rest)
    return False


def _set_by_configupdater(
    project: Project, section: str, option: str, entries: Sequence[str]
) -> None:
    """Give a list of setup.cfg these entries where no line shows how; comments stay."""
    import configupdater

    def change() -> None:
        updater = configupdater.ConfigUpdater()
        updater.optionxform = str  # type: ignore[method-assign, assignment]
        try:
            updater.read_string(project.read(CFG))
            if not updater.has_section(section):
                updater.add_section(section)
            if entries:
                updater.set(section, option)
                updater[section][option].set_values(list(entries))
            else:
                updater.remove_option(section, option)
        except (configupdater.NoConfigFileReadError, configparser.Error, ValueError) as error:
            raise LookupError(str(error)) from None
        project.rewrite(CFG, str(updater))

    def done() -> bool:
        return _cfg_list(project.cfg().get(section, option, fallback="")) == list(entries)

    if not project.attempt(change, done):
        project.needs_hands()


# setup.py


def _add_to_setup(project: Project, package: str) -> None:
    name = project.manifest.name
    old = project.setup_argument("package_data")
    expected = {**(old or {}), package: [*(old or {}).get(package, ()), name]}

    def change() -> None:
        call = project.setup_call()
        assert call is not None
        keyword = next((k for k in call.keywords if k.arg == "package_data"), None)
        if keyword is None:
            opening = _line(project, call.func.end_lineno or 0)
            if not opening.split("#")[0].rstrip().endswith("("):
                raise LookupError
            indent = indent_below(project.read(SETUP), opening)
            entry = f'{indent}package_data={{"{package}": ["{name}"]}},'
            project.insert(SETUP, opening, entry)
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
        project.asks(f'Add "{name}" to package_data["{package}"] in {SETUP}.')


def _add_inside(project: Project, literal: ast.expr, entry: str) -> None:
    """Put an entry into the list or dictionary that is written there."""
    opening = _line(project, literal.lineno)
    after = literal.col_offset + 1
    rest = opening.encode()[after:].decode()
    if not rest.strip():
        project.insert(SETUP, opening, f"{indent_below(project.read(SETUP), opening)}{entry},")
    else:
        comma = "" if rest.lstrip().startswith(("]", "}")) else ", "
        project.replace(SETUP, opening, f"{opening.encode()[:after].decode()}{entry}{comma}{rest}")


def _drop_from_setup(project: Project, excluded: dict[str, list[str]], pattern: str) -> None:
    """Delete `exclude_package_data` where it is one line that says nothing else."""
    project.says(f"exclude_package_data in {SETUP} leaves it out ({pattern}).")

    def change() -> None:
        if [entry for entries in excluded.values() for entry in entries] != [pattern]:
            raise LookupError
        call = project.setup_call()
        keywords = call.keywords if call else []
        (keyword,) = (k for k in keywords if k.arg == "exclude_package_data")
        if keyword.lineno != keyword.end_lineno:
            raise LookupError
        project.delete(SETUP, _line(project, keyword.lineno))

    before = project.setup_call()
    names = [keyword.arg for keyword in before.keywords] if before else []

    def done() -> bool:
        call = project.setup_call()
        left = [keyword.arg for keyword in call.keywords] if call else []
        return left == [name for name in names if name != "exclude_package_data"]

    if not project.attempt(change, done):
        project.asks(f"Take {json.dumps(pattern)} out of it.")


def _line(project: Project, number: int) -> str:
    return project.read(SETUP).splitlines()[number - 1]
