"""Changes of the TOML files of a project, which keep what their authors wrote."""

from __future__ import annotations

import copy
import json
import re
import tomllib
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from typing import Any

from pytest_fractal.packaging_hints.project_files import (
    Keys,
    Project,
    dotted,
    indent_below,
    looked_up,
    parsed_toml,
    toml_key,
    toml_value,
)


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
        if re.match(r"\s*\[[^\[]", line) and (header := _only_path(parsed_toml(line))):
            table = header
            yield line, table, True
        elif "=" in line:
            left = line.split("=", 1)[0]
            if path := _only_path(parsed_toml(f"{left} = 0")):
                yield line, table + path, False


def set_toml(project: Project, keys: Keys, value: Any) -> bool:
    """Give a setting a value (None: take it out); False where people must be shown words.

    That is so where no line shows how, although tomlkit may have made the edit.
    """
    file, keys = project.place_of(keys)
    text = project.read(file)
    document = parsed_toml(text)
    old = looked_up(document, keys)
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
        if not parsed_toml(line):
            _edit_list(project, file, line, old, value)
        elif not value:
            project.delete(file, line)
        else:
            project.replace(file, line, _edited_line(line, (), value))

    def below_its_header() -> None:
        header = line_of(keys[:-1], True)
        project.insert(file, header, f"{toml_key(keys[-1])} = {toml_value(value)}")

    def in_an_inline_table() -> None:
        line = line_of(keys[:-1], False)
        project.replace(file, line, _edited_line(line, keys[-1:], value))

    def in_a_new_table() -> None:
        gap = "\n" if text else ""
        line = f"{toml_key(keys[-1])} = {toml_value(value)}"
        project.append(file, f"{gap}[{dotted(keys[:-1])}]\n{line}")

    def as_a_dotted_key() -> None:
        header = line_of(keys[:-2], True)
        project.insert(file, header, f"{dotted(keys[-2:])} = {toml_value(value)}")

    def as_expected() -> bool:
        found = _pruned(tomllib.loads(project.read(file)))
        return found in map(_pruned, results)

    ways = (on_its_line, below_its_header, in_an_inline_table, in_a_new_table, as_a_dotted_key)
    if any(project.attempt(_no_stop(way), as_expected) for way in ways):
        return True
    if not project.attempt(lambda: _set_by_tomlkit(project, file, keys, value), as_expected):
        project.needs_hands()
    return False


def _set_by_tomlkit(project: Project, file: str, keys: Keys, value: Any) -> None:
    """Give a setting a value, in a file of whatever form; only what changes is written anew."""
    project.rewrite(file, _with_tomlkit(project.read(file), keys, value))


def _edited_line(line: str, below: Keys, value: Any) -> str:
    """A line that gives a setting, with a value for what it gives, or for keys below that.

    What it keeps of a list, and a comment behind it, stay as they were written.
    """
    keys = _only_path(parsed_toml(f"{line.split('=', 1)[0]} = 0"))
    return _with_tomlkit(line, (*keys, *below), value)


def _with_tomlkit(text: str, keys: Keys, value: Any) -> str:
    """TOML with one value set, or taken out. Raises `LookupError` where that cannot be."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(text)
        inner: Any = document
        for key in keys[:-1]:
            inner = inner.setdefault(key, tomlkit.table())
            if not isinstance(inner, MutableMapping):
                raise LookupError(key)
        old = inner.get(keys[-1])
        if isinstance(value, list) and value and isinstance(old, list):
            for index in reversed(range(len(old))):
                if old[index] not in value:
                    del old[index]
            for entry in value:
                if entry not in old:
                    old.append(entry)
        elif value:
            inner[keys[-1]] = value
        else:
            del inner[keys[-1]]
        return tomlkit.dumps(document)
    except TOMLKitError as error:
        raise LookupError(str(error)) from None


def _no_stop(way: Callable[[], None]) -> Callable[[], None]:
    """A line that is not there is a way that cannot be gone."""

    def going() -> None:
        try:
            way()
        except StopIteration:
            raise LookupError from None

    return going


def _edit_list(project: Project, file: str, opening: str, old: list[Any], new: list[Any]) -> None:
    """Change a list that goes over several lines, one entry a line."""
    indent = indent_below(project.read(file), opening)
    for entry in new:
        if entry not in old:
            project.insert(file, opening, f"{indent}{toml_value(entry)},")
    lines = project.read(file).splitlines()
    following = lines[lines.index(opening) + 1 :]
    for entry in old:
        if entry not in new:
            line = next(
                line for line in following if parsed_toml(f"x = [{line}\n]").get("x") == [entry]
            )
            project.delete(file, line)


def drop_patterns(project: Project, keys: Keys, matches: Callable[[str], bool]) -> bool:
    """Take the patterns that match the manifest out of a list; whether there were any."""
    entries = project.entries(*keys)
    texts = {id(e): e.get("path", "") if isinstance(e, dict) else e for e in entries}
    guilty = [e for e in entries if isinstance(texts[id(e)], str) and matches(texts[id(e)])]
    if not guilty:
        return False
    named = ", ".join(json.dumps(texts[id(entry)]) for entry in guilty)
    project.says(f"{project.named(keys)} leaves it out ({named}).")
    if not set_toml(project, keys, [entry for entry in entries if entry not in guilty]):
        project.says(f"Take {named} out of that list.")
    return True


def extend_list(project: Project, keys: Keys, entries: Sequence[Any]) -> None:
    """Add entries to a list of pyproject.toml."""
    wanted = [*project.entries(*keys), *entries]
    if not set_toml(project, keys, wanted):
        added = ", ".join(map(toml_value, entries))
        project.says(f"Add {added} to {project.named(keys)}.")
