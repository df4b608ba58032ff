"""The files of Python in a wheel, each read and parsed once, for however many tasks share it."""

from __future__ import annotations

import ast
import threading
import warnings
from collections.abc import Mapping
from functools import cached_property
from pathlib import PurePosixPath

from pytest_fractal.signatures.scopes import PARSING, Module, Scope


class Unreadable(Exception):
    """Something cannot be known from the source; the message is the reason, for a human."""


class Sources:
    """The Python of a wheel. What it gives is shared, and not to be changed.

    `files` are the contents of the wheel by their path below site-packages.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = files
        self._trees: dict[str, ast.Module | str] = {}
        """By their paths; where a file cannot be parsed, why."""
        self._modules: dict[tuple[str, bool], Module] = {}
        self._lock = threading.RLock()

    @cached_property
    def folders(self) -> frozenset[str]:
        """The folders that hold Python, at any depth."""
        return frozenset(
            str(parent)
            for name in self.files
            if name.endswith(".py")
            for parent in PurePosixPath(name).parents
        )

    def tree(self, path: str) -> ast.Module:
        """What the file at this path parses to. Raises `Unreadable` where it does not."""
        with self._lock:
            if path not in self._trees:
                self._trees[path] = parsed(self.files[path], path)
            tree = self._trees[path]
        if isinstance(tree, str):
            raise Unreadable(tree)
        return tree

    def module(self, path: str, *, is_script: bool) -> Module:
        """The file at this path with its names bound, as a script or as it is imported."""
        with self._lock:
            if (path, is_script) not in self._modules:
                module = Module(path, is_script, self.tree(path))
                Scope(module.view, module.names).run(module.tree.body)
                self._modules[path, is_script] = module  # last: it may nest too deeply to be run
            return self._modules[path, is_script]


def parsed(content: bytes, path: str = "it") -> ast.Module | str:
    """The tree of a file's content; where it is not Python, why, with the path as its name."""
    try:
        with PARSING, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(content, path)
    except SyntaxError as error:
        place = f"{path}:{error.lineno}" if error.lineno else path
        return f"{place} is not Python that can be read: {error.msg}"
    except (ValueError, LookupError) as error:
        return f"{path} is not Python that can be read: {error}"
    except (RecursionError, MemoryError):
        return f"{path} is nested too deeply to be read"
