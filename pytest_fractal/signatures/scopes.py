"""Which name stands for what in one file of Python, read from its source.

Where the source branches and the branch cannot be known, a name stands for several things.
"""

from __future__ import annotations

import ast
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

PARSING: Final = threading.Lock()
"""Held while Python is parsed: two threads that do it at once can break CPython 3.11 off, with
"AST constructor recursion depth mismatch"; and warnings are ignored in the whole process."""

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, eq=False)
class View:
    """The names that an expression sees at the time when it is evaluated."""

    module: Module
    names: Mapping[str, tuple[Binding, ...]]
    outer: View | None = None


@dataclass(frozen=True, eq=False)
class Function:
    """A function that is defined in the source."""

    node: FunctionNode
    view: View
    """What its decorators, defaults and annotations see."""
    home: View
    """What surrounds its body."""


@dataclass(frozen=True, eq=False)
class Class:
    """A class that is defined in the source."""

    node: ast.ClassDef
    view: View
    """What it sees when it is made."""


@dataclass(frozen=True, eq=False)
class Value:
    """An expression, and the names that it sees."""

    node: ast.expr
    view: View


@dataclass(frozen=True, eq=False)
class Import:
    """What is imported, not yet looked for."""

    module: str
    name: str | None
    """None for `import module`."""


@dataclass(frozen=True, eq=False)
class ModuleOfWheel:
    """A module or a folder of the wheel."""

    dotted: str


@dataclass(frozen=True, eq=False)
class Outside:
    """Something that the wheel holds no source of, such as `pydantic.validate_call`."""

    dotted: str


@dataclass(frozen=True, eq=False)
class Opaque:
    """A name whose value cannot be known, and why."""

    reason: str
    parameter: str | None = None
    """It is this parameter of a function: `x`, or `**x`."""


Binding = Function | Class | Value | Import | Opaque
Target = Function | Class | Value | ModuleOfWheel | Outside | Opaque
Names = dict[str, tuple[Binding, ...]]


@dataclass(eq=False)
class Module:
    """One file of Python."""

    path: str
    is_script: bool
    tree: ast.Module
    stars: list[str] = field(default_factory=list)
    """The modules of `from module import *`."""
    names: Names = field(default_factory=dict)

    @property
    def view(self) -> View:
        """What its top level sees."""
        return View(self, self.names)

    def absolute(self, statement: ast.ImportFrom) -> str:
        """The dotted name of the module that `statement` imports from."""
        if not statement.level:
            return statement.module or ""
        folder = PurePosixPath(self.path).parts[: -statement.level]
        return ".".join([*folder, *([statement.module] if statement.module else [])])


CHANGING_METHODS: Final = frozenset(
    {
        "append",
        "extend",
        "insert",
        "remove",
        "pop",
        "popitem",
        "clear",
        "update",
        "setdefault",
        "add",
        "discard",
        "sort",
        "reverse",
    }
)


def changed_name(node: ast.AST) -> str | None:
    """The name whose list or dictionary `node` changes in place, as `x["a"] = 1` does."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)):
            return name if method in CHANGING_METHODS else None
        case ast.Subscript(value=ast.Name(id=name), ctx=ast.Store() | ast.Del()):
            return name
        case ast.AugAssign(target=ast.Name(id=name)):
            return name
    return None


class Scope:
    """Runs the statements of one module or function in mind: which name stands for what.

    Where the source branches and the branch cannot be known, a name stands for several
    things.
    """

    def __init__(self, view: View, names: Names, foreign: frozenset[str] = frozenset()) -> None:
        """`view` shows `names` to the bodies of functions; `foreign` are not bound here."""
        self._home = view
        self._module = view.module
        self._names = names
        self._foreign = foreign

    def run(self, body: Iterable[ast.stmt]) -> None:
        """Add to the names what the statements of `body` bind."""
        self._run(body, self._names)

    def _run(self, body: Iterable[ast.stmt], names: Names) -> None:
        for statement in body:
            self._step(statement, names)

    def _step(self, statement: ast.stmt, names: Names) -> None:
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                seen = self._view(names, *statement.decorator_list, statement.args)
                self._bind(names, statement.name, Function(statement, seen, self._home))
            case ast.ClassDef():
                self._bind(names, statement.name, Class(statement, self._view(names, statement)))
            case ast.Import():
                for alias in statement.names:
                    whole = alias.name if alias.asname else alias.name.partition(".")[0]
                    self._bind(names, alias.asname or whole, Import(whole, None))
            case ast.ImportFrom():
                module = self._module.absolute(statement)
                for alias in statement.names:
                    if alias.name == "*":
                        self._module.stars.append(module)
                    else:
                        name = alias.asname or alias.name
                        self._bind(names, name, Import(module, alias.name))
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._assign(names, target, value)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._assign(names, target, value)
            case ast.Delete(targets=targets):
                for target in targets:
                    if isinstance(target, ast.Name):
                        names.pop(target.id, None)
            case ast.If(test=test, body=body, orelse=orelse):
                truth = _truth(test, self._module.is_script)
                if truth is None:
                    self._branches(names, body, orelse)
                else:
                    self._run(body if truth else orelse, names)
            case ast.With(items=items, body=body) | ast.AsyncWith(items=items, body=body):
                for item in items:
                    if item.optional_vars is not None:
                        self._assign(names, item.optional_vars, None)
                self._run(body, names)
            case ast.For() | ast.AsyncFor():
                self._assign(names, statement.target, None)
                self._branches(names, statement.body, [])
                self._run(statement.orelse, names)
            case ast.While(body=body, orelse=orelse):
                self._branches(names, body, [])
                self._run(orelse, names)
            case ast.Try() | ast.TryStar():
                self._try(names, statement)
            case ast.Match(cases=cases):
                self._branches(names, *(case.body for case in cases), [])
        if not hasattr(statement, "body"):
            for name in filter(None, map(changed_name, ast.walk(statement))):
                if any(isinstance(binding, Value) for binding in names.get(name, ())):
                    self._bind(names, name, Opaque(f"`{name}` is changed after it was made"))

    def _try(self, names: Names, statement: ast.Try | ast.TryStar) -> None:
        before = dict(names)
        self._run(statement.body, names)
        # A handler starts from anywhere between the start and the end of the body.
        broken = _either(before, names)
        self._run(statement.orelse, names)
        ends = [names.copy()]
        for handler in statement.handlers:
            end = dict(broken)
            self._run(handler.body, end)
            if not isinstance(handler.body[-1], ast.Raise):
                ends.append(end)
        names.clear()
        names.update(_either(*ends))
        self._run(statement.finalbody, names)

    def _branches(self, names: Names, *bodies: Sequence[ast.stmt]) -> None:
        ends = []
        for body in bodies:
            end = dict(names)
            self._run(body, end)
            ends.append(end)
        names.clear()
        names.update(_either(*ends))

    def _assign(self, names: Names, target: ast.expr, value: ast.expr | None) -> None:
        if isinstance(target, ast.Name):
            binding: Binding = Opaque(f"the value of `{target.id}` cannot be known")
            if value is not None:
                binding = Value(value, self._view(names, value))
            self._bind(names, target.id, binding)
        elif isinstance(target, ast.Tuple | ast.List):
            for element in target.elts:
                self._assign(names, element, None)
        elif isinstance(target, ast.Starred):
            self._assign(names, target.value, None)

    def _bind(self, names: Names, name: str, binding: Binding) -> None:
        if name not in self._foreign:
            names[name] = (binding,)

    def _view(self, names: Mapping[str, tuple[Binding, ...]], *nodes: ast.AST) -> View:
        mentioned = {
            node.id for part in nodes for node in ast.walk(part) if isinstance(node, ast.Name)
        }
        seen = {name: names[name] for name in mentioned if name in names}
        return View(self._module, seen, self._home.outer)


def _either(*ends: Mapping[str, tuple[Binding, ...]]) -> Names:
    first, *others = ends
    merged = dict(first)
    for end in others:
        for name, bindings in end.items():
            known = merged.get(name, ())
            if bindings is not known:
                merged[name] = tuple(dict.fromkeys((*known, *bindings)))
    return merged


def _truth(test: ast.expr, is_script: bool) -> bool | None:
    """Whether the condition of a module-level `if` holds at run time; None: not known."""
    match test:
        case ast.Constant(value=value):
            return bool(value)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            truth = _truth(operand, is_script)
            return None if truth is None else not truth
        case ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"):
            return False
        case ast.Compare(left=left, ops=[ast.Eq() | ast.NotEq() as op], comparators=[right]):
            match (left, right) if isinstance(left, ast.Name) else (right, left):
                case ast.Name(id="__name__"), ast.Constant(value="__main__"):
                    return is_script == isinstance(op, ast.Eq)
    return None


def source_text(node: ast.AST) -> str:
    """The source of `node`, for a message."""
    try:
        text = ast.unparse(node)
    except ValueError:  # an integer with more digits than Python will print
        return "..."
    return text if len(text) <= 100 else f"{text[:97]}..."


def own_nodes(function: FunctionNode) -> Iterator[ast.AST]:
    """The nodes of a function's body, without those of the functions inside it."""
    waiting: list[ast.AST] = list(reversed(function.body))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, FunctionNode | ast.ClassDef | ast.Lambda):
            waiting += reversed(list(ast.iter_child_nodes(node)))


def returned(function: FunctionNode) -> Iterator[ast.expr]:
    """What a function returns."""
    for node in own_nodes(function):
        if isinstance(node, ast.Return):
            yield node.value or ast.Constant(None)
