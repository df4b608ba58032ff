"""Following names from file to file through a wheel, to what they stand for."""

from __future__ import annotations

import ast
import builtins
import posixpath
from collections.abc import Callable
from typing import Final

from pytest_fractal.signatures.scopes import (
    Binding,
    FunctionNode,
    Import,
    Module,
    ModuleOfWheel,
    Names,
    Opaque,
    Outside,
    Scope,
    Target,
    Value,
    View,
    own_nodes,
    source_text,
)
from pytest_fractal.signatures.sources import Sources, Unreadable

_MOST_STEPS: Final = 20_000
"""More names than that are not followed: branches on branches would take for ever."""


class WheelNames:
    """The names in the files of a wheel, as the script at `path` sees them.

    Every method raises `Unreadable` where the names are too entangled to be followed.
    """

    def __init__(self, sources: Sources, path: str) -> None:
        self._sources = sources
        self._path = path
        # Python puts the script's own folder in front of site-packages.
        self._roots = (posixpath.dirname(path), "")
        self._steps = 0

    def load(self, path: str) -> Module:
        """The file at this path, with its names bound."""
        return self._sources.module(path, is_script=path == self._path)

    def inside(self, node: FunctionNode, outer: View) -> View:
        """The names that the body of a function sees when it has run."""
        arguments = node.args
        plain = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        stars = [("*", arguments.vararg), ("**", arguments.kwarg)]
        names: Names = {}
        for prefix, argument in [*(("", a) for a in plain), *stars]:
            if argument is not None:
                reason = f"`{argument.arg}` is a parameter of `{node.name}()`"
                names[argument.arg] = (Opaque(reason, prefix + argument.arg),)
        foreign = frozenset(
            name
            for part in own_nodes(node)
            if isinstance(part, ast.Global | ast.Nonlocal)
            for name in part.names
        )
        view = View(outer.module, names, outer)
        Scope(view, names, foreign).run(node.body)
        return view

    def _count(self) -> None:
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise Unreadable(f"the names in {self._path} are too entangled to be followed")

    def _find(self, dotted: str) -> str | None:
        for root in self._roots:
            stem = posixpath.join(root, dotted.replace(".", "/"))
            for path in (f"{stem}/__init__.py", f"{stem}.py"):
                if path in self._sources.files:
                    return path
        return None

    def _is_in_wheel(self, dotted: str) -> bool:
        folders = (posixpath.join(root, dotted.replace(".", "/")) for root in self._roots)
        return self._find(dotted) is not None or any(f in self._sources.folders for f in folders)

    def lookup(
        self, view: View, name: str, trail: frozenset[tuple[str, str]] = frozenset()
    ) -> tuple[Binding, ...]:
        """What is bound to a name; nothing where it is not defined, as that of a builtin."""
        self._count()
        scope: View | None = view
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.outer
        unknown = []
        for star in reversed(view.module.stars):
            path = self._find(star)
            if path is None:
                unknown.append(star)
            elif not name.startswith("_") and (path, name) not in trail:
                inner = self.load(path)
                if found := self.lookup(inner.view, name, trail | {(path, name)}):
                    return found
        if not unknown or hasattr(builtins, name):
            return ()
        if len(unknown) == 1:
            return (Import(unknown[0], name),)
        reason = f"`{name}` may come from `{unknown[0]}`, all of which is imported"
        return (Opaque(reason),)

    def targets(
        self, node: ast.expr, view: View, trail: frozenset[tuple[str, str]] = frozenset()
    ) -> list[Target]:
        """All that `node` may stand for, names and attributes followed to their end."""
        self._count()
        match node:
            case ast.Name(id=name):
                bindings = self.lookup(view, name)
                if not bindings:
                    if hasattr(builtins, name):
                        return [Outside(f"builtins.{name}")]
                    return [Opaque(f"{view.module.path} does not define `{name}`")]
                found = [t for b in bindings for t in self._follow(b, trail)]
            case ast.Attribute(value=value, attr=name):
                found = []
                for base in self.targets(value, view, trail):
                    match base:
                        case ModuleOfWheel(dotted=dotted):
                            found += self._follow(Import(dotted, name), trail)
                        case Outside(dotted=dotted):
                            found.append(Outside(f"{dotted}.{name}"))
                        case _:
                            found.append(Opaque(f"`{source_text(node)}` is not a plain name"))
            case _:
                found = [Value(node, view)]
        return list(dict.fromkeys(found))

    def _follow(self, binding: Binding, trail: frozenset[tuple[str, str]]) -> list[Target]:
        match binding:
            case Value(node=ast.Name() | ast.Attribute() as node, view=view):
                return self.targets(node, view, trail)
            case Import(module=module, name=None):
                return [ModuleOfWheel(module) if self._is_in_wheel(module) else Outside(module)]
            case Import(module=module, name=str() as name):
                return self._follow_import(module, name, trail)
            case Import():
                raise AssertionError(binding)
        return [binding]

    def _follow_import(
        self, module: str, name: str, trail: frozenset[tuple[str, str]]
    ) -> list[Target]:
        if (module, name) in trail:
            return [Opaque(f"`{name}` of `{module}` is imported in a circle")]
        trail = trail | {(module, name)}
        path = self._find(module)
        if path is not None:
            # `from . import f` in a package's own __init__.py may mean its module `f`.
            bindings = self.lookup(self.load(path).view, name)
            bindings = tuple(b for b in bindings if not self._is_itself(b, module, name))
            if bindings:
                return [t for b in bindings for t in self._follow(b, trail)]
        if self._is_in_wheel(f"{module}.{name}"):
            return [ModuleOfWheel(f"{module}.{name}")]
        if path is not None:
            return [Opaque(f"{path} does not define `{name}`")]
        return [Outside(f"{module}.{name}")]

    @staticmethod
    def _is_itself(binding: Binding, module: str, name: str) -> bool:
        return isinstance(binding, Import) and (binding.module, binding.name) == (module, name)

    def is_outside(self, node: ast.expr, view: View, test: Callable[[str], bool]) -> bool:
        """Whether `node` stands for something outside the wheel whose name passes `test`."""
        targets = self.targets(node, view)
        return bool(targets) and all(isinstance(t, Outside) and test(t.dotted) for t in targets)

    def is_partial(self, node: ast.Call, view: View) -> bool:
        """Whether a call makes a `functools.partial`."""
        return self.is_outside(node.func, view, "functools.partial".__eq__)
