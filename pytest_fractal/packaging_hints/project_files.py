"""The packaging files of a source tree, and edits to them that are tried before they are shown."""

from __future__ import annotations

import ast
import configparser
import io
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any, Final

from pytest_fractal.files import FILE_LIMIT, read_regular
from pytest_fractal.fixes.lines import line_edits
from pytest_fractal.fixes.model import FileFix, Fix

Keys = tuple[str, ...]

PYPROJECT: Final = "pyproject.toml"
CFG: Final = "setup.cfg"
_HATCH: Final = "hatch.toml"
SETUP: Final = "setup.py"


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
    fix: Fix | None = None
    """The same as a fix of the files; None where it takes more than edits to them."""


@dataclass(frozen=True)
class _Edit:
    file: str
    text: str | None
    """None: the line `below` is deleted."""
    below: str | None = None
    replaces: bool = False


class Project:
    """A source tree with its packaging files, and the edits that are to be made."""

    def __init__(self, tree: Path, manifest: PurePosixPath) -> None:
        self.tree = tree
        self.manifest = manifest
        self.moved = False
        """Whether the manifest must first be moved there: then that alone may be the cause."""
        self._texts: dict[str, str] = {}
        self._contents: dict[str, bytes | None] = {}
        """What each file held when it was read; None for one that is not there."""
        self._needs_hands = False
        self._edits: list[_Edit] = []
        self._said: list[str] = []

    # reading

    def read(self, file: str) -> str:
        """The text of a file with the edits so far; "" when it cannot be read."""
        if file not in self._texts:
            self._contents[file] = None
            try:
                content = self._contents[file] = read_regular(self.tree / file, FILE_LIMIT)
                self._texts[file] = io.StringIO(content.decode(), None).getvalue()
            except (OSError, UnicodeDecodeError):
                self._texts[file] = ""
        return self._texts[file]

    def place_of(self, keys: Keys) -> tuple[str, Keys]:
        """The file that gives a setting of pyproject.toml, and its keys there.

        A table of hatch.toml goes over the one in pyproject.toml.
        """
        if keys[:2] == ("tool", "hatch") and keys[2] in parsed_toml(self.read(_HATCH)):
            return _HATCH, keys[2:]
        return PYPROJECT, keys

    def named(self, keys: Keys) -> str:
        """A setting and its place in words."""
        file, keys = self.place_of(keys)
        return f"`{keys[-1]}` in [{dotted(keys[:-1])}] of {file}"

    def toml(self, *keys: str, default: Any = None) -> Any:
        """A value of pyproject.toml, or of what goes over it."""
        file, place = self.place_of(keys)
        value = looked_up(parsed_toml(self.read(file)), place)
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
            parser.read_string(self.read(CFG))
        return parser

    def setup_call(self) -> ast.Call | None:
        """The call of `setup()` in setup.py."""
        try:
            module = ast.parse(self.read(SETUP).removeprefix("\ufeff"))
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

    @property
    def is_silent(self) -> bool:
        """Whether nothing was said or changed so far."""
        return not self._said and not self._edits

    def asks(self, sentence: str) -> None:
        """Add a sentence that tells what people have to do, since no edit does it."""
        self.says(sentence)
        self.needs_hands()

    def needs_hands(self) -> None:
        """Say that it takes more than the edits."""
        self._needs_hands = True

    def rewrite(self, file: str, text: str) -> None:
        """Give a file another text, as a library that keeps its format writes it.

        What the hint says of it is left to the caller.
        """
        self.read(file)
        self._texts[file] = text

    def append(self, file: str, text: str) -> None:
        """Add lines to the end of a file."""
        self._do(_Edit(file, text))

    def insert(self, file: str, below: str, text: str) -> None:
        """Add lines directly below another one."""
        self._do(_Edit(file, text, below))

    def replace(self, file: str, line: str, text: str) -> None:
        """Put lines in place of another one."""
        if line.strip() != text.strip():
            self._do(_Edit(file, text, line, replaces=True))

    def delete(self, file: str, line: str) -> None:
        """Delete a line."""
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
        fix = None if self._needs_hands or self.moved else self._fix()
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
        return Hint("\n".join(words), additions, removals, fix)

    def _fix(self) -> Fix | None:
        """What the files differ in from what they held; None where nothing does."""
        files = []
        for file, text in self._texts.items():
            content = self._contents[file]
            try:
                before = (content or b"").decode()
            except UnicodeDecodeError:
                continue
            after = text.replace("\n", "\r\n") if "\r\n" in before else text
            is_made = content is None and any(edit.file == file for edit in self._edits)
            if edits := line_edits(before, after) if content is not None or text else ():
                digest = None if content is None else sha256(content).hexdigest()
                files.append(FileFix(file, lines=edits, digest=digest))
            elif is_made:
                files.append(FileFix(file))
        return Fix(tuple(files)) if files else None

    def _words(self, edit: _Edit) -> str:
        if edit.below is not None:
            lines = [line.strip() for line in self.read(edit.file).splitlines()]
            # Of lines that are alike, the first is changed.
            below = edit.below.strip()
            number = f"line {lines.index(below) + 1}" if lines.count(below) > 1 else ""
            if edit.text is None:
                return f"In {edit.file}, delete {number or 'the line'}\n{_block(edit.below)}"
            if edit.replaces:
                return (
                    f"In {edit.file}, replace {number or 'the line'}\n{_block(edit.below)}\n"
                    f"by\n{_block(edit.text)}"
                )
            place = f"{number}, {below}" if number else below
            return f"In {edit.file}, add below {place}\n{_block(edit.text)}"
        if not edit.text:
            return f"Create an empty {edit.file}"
        if (self.tree / edit.file).exists():
            return f"Add to the end of {edit.file}\n{_block(edit.text)}"
        return f"Create {edit.file} with\n{_block(edit.text)}"


def indent_below(text: str, opening: str) -> str:
    """By how much the entries below the line that opens a list are indented."""
    lines = text.splitlines()
    following = "".join(lines[lines.index(opening) + 1 :][:1])
    outer, inner = (line[: len(line) - len(line.lstrip())] for line in (opening, following))
    is_entry = bool(following.strip()) and not following.lstrip().startswith(("]", "}", ")"))
    return inner if is_entry and len(inner) > len(outer) else f"{outer}    "


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


def parsed_toml(text: str) -> dict[str, Any]:
    """The document; an empty one where the text is no TOML."""
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}


def looked_up(value: Any, keys: Sequence[str]) -> Any:
    """What lies below these keys; None where nothing does."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def toml_key(key: str) -> str:
    """A key as TOML writes it, in quotes where it needs them."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml_value(key)


def dotted(keys: Iterable[str]) -> str:
    """Keys as a table's header has them."""
    return ".".join(map(toml_key, keys))


def toml_value(value: Any) -> str:
    """A value as TOML, in one line."""
    if isinstance(value, dict):
        return (
            "{ " + ", ".join(f"{toml_key(k)} = {toml_value(v)}" for k, v in value.items()) + " }"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
