"""What the source of a program says about the exception in its traceback, read and never run.

Two questions: whether the exception was caught where it shows, and whether the program's
input can have had a part in it. Both are answered on the safe side: a traceback is taken
for the end, and an end for one that the input has led to, unless the source says otherwise.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property, lru_cache
from typing import Final

from pytest_fractal.signatures.scopes import CHANGING_METHODS, FunctionNode
from pytest_fractal.signatures.sources import parsed

_ENDING: Final = frozenset({"exit", "_exit", "quit", "abort", "kill"})
_INPUT: Final = frozenset(
    {"FileType", "input", "load", "loads", "open", "read", "read_bytes", "read_text", "stdin"}
)
"""Names of what a program reads its input with. Its command line is none: it is always alike."""
_PARSING: Final = frozenset({"parse_args", "parse_known_args"})
_PLAIN_TYPES: Final = frozenset({"Path", "PurePath", "bool", "float", "int", "str"})
_MOST_ROUNDS: Final = 50


class Influence(Enum):
    """What a program's input can have had to do with the exception that ended it."""

    NONE = "none"
    """It is raised on the way that the program takes with any input, by what is not made of it."""
    HANDED_ON = "handed on"
    """It comes from a call that the program makes with any input, and gives its input to."""
    POSSIBLE = "possible"
    """Whether it is raised, or what it says, may depend on the input."""


@dataclass(frozen=True)
class CallSite:
    """A line of a traceback."""

    file: str
    """Under which the sources have it; anything else for a file that they do not hold."""
    line: int
    function: str
    """The function that the line is in."""


def is_caught(source: bytes, line: int, exception: str) -> bool:
    """Whether an exception of this name that passes through `line` goes no further.

    It does not where the line is in a `try` whose handler takes it and neither raises nor
    ends the program.
    """
    tree = _parsed(source)
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Try | ast.TryStar) and _spans(node.body, line):
            for handler in node.handlers:
                if _takes(handler.type, exception):
                    if not any(map(_ends, ast.walk(handler))):
                        return True
                    break
    return False


def influence(sources: Mapping[str, bytes], places: Sequence[CallSite]) -> Influence:
    """What the input can have had to do with an exception, by the lines of its traceback.

    `places` are all lines, the outermost first; `sources` the program's own files.
    """
    own = [number for number, place in enumerate(places) if place.file in sources]
    if not own:
        return Influence.POSSIBLE
    given = False
    """Whether the call that leads to the next line hands input on."""
    last = Influence.POSSIBLE
    packages = frozenset(path.partition("/")[0].removesuffix(".py") for path in sources)
    for number in own:
        place = places[number]
        tree = _parsed(sources[place.file])
        if tree is None:
            return Influence.POSSIBLE
        module = _Module(tree, frozenset(_own_names(tree, packages)))
        # Who is called by other libraries may be called with anything.
        unknown = number > 0 and number - 1 not in own
        called = places[number + 1].function if number + 1 in own else ""
        last = module.at(place.line, called, given or unknown)
        if last is Influence.POSSIBLE:
            return last
        given = last is Influence.HANDED_ON
    return last


@dataclass(frozen=True)
class _Module:
    tree: ast.Module
    own_names: frozenset[str]
    """The functions, classes and imports of the program's own, which may read its input."""

    @cached_property
    def input(self) -> frozenset[str]:
        """Names by which input comes in: `parse_args`, where an option's type may read a file."""
        for node in ast.walk(self.tree):
            match node:
                case ast.keyword(arg="type", value=ast.Name(id=name)) if name in _PLAIN_TYPES:
                    continue
                case ast.keyword(arg="type"):
                    return _INPUT | _PARSING
        return _INPUT

    def at(self, line: int, called: str, given: bool) -> Influence:
        """The influence at a line of a function whose parameters hold input if `given`.

        The line calls `called`, whose own lines tell whether that reads input.
        """
        way = _way_to(self.tree, line)
        if way is None:
            return Influence.POSSIBLE
        tainted = self._tainted(self.tree, frozenset(_global_names(self.tree)))
        functions = [node for node, _ in way if isinstance(node, FunctionNode)]
        for function in functions:
            # What surrounds a function may have had any input.
            holds = given if function is functions[-1] else True
            tainted = self._tainted(
                function, tainted | set(_parameters(function) if holds else ())
            )
        inner = 0
        for number, (node, _) in enumerate(way):
            if isinstance(node, FunctionNode | ast.ClassDef):
                inner = number
        for node, body in way[inner:]:
            if self._is_guarded(node, body, line, tainted):
                return Influence.POSSIBLE
        statement = way[-1][1][-1]
        if isinstance(statement, ast.Raise | ast.Assert):
            says = self._holds(statement, tainted)
            return Influence.POSSIBLE if says else Influence.NONE
        parts = _expressions(statement)
        hands_on = any(self._holds(part, tainted, called) for part in parts)
        return Influence.HANDED_ON if hands_on else Influence.NONE

    def _is_guarded(
        self, node: ast.AST, body: Sequence[ast.stmt], line: int, tainted: frozenset[str]
    ) -> bool:
        """Whether input may decide that the last statement of `body` below `node` is reached."""
        if isinstance(node, ast.Try | ast.TryStar) and not (
            _spans(node.body, line) or _spans(node.orelse, line)
        ):
            return True
        if self._decides(node, tainted):
            return True
        for before in body[:-1]:
            if isinstance(before, FunctionNode):
                continue
            inside = [before, *_own_nodes(before)]
            if not any(map(_leaves, inside)):
                continue
            for part in inside:
                if isinstance(part, ast.Try | ast.TryStar) or self._decides(part, tainted):
                    return True
        return False

    def _decides(self, node: ast.AST, tainted: frozenset[str]) -> bool:
        match node:
            case ast.If(test=decisive) | ast.While(test=decisive):
                return self._holds(decisive, tainted)
            case ast.For(iter=decisive) | ast.AsyncFor(iter=decisive):
                return self._holds(decisive, tainted)
            case ast.Match(subject=decisive):
                return self._holds(decisive, tainted)
        return False

    def _tainted(self, scope: ast.AST, known: frozenset[str]) -> frozenset[str]:
        """The names that may hold input, those of `scope` beside `known`."""
        names = set(known)
        for _ in range(_MOST_ROUNDS):
            before = len(names)
            for node in _own_nodes(scope):
                for targets, value in _bindings(node):
                    if value is None or self._holds(value, frozenset(names)):
                        names |= {
                            part.id
                            for target in targets
                            for part in ast.walk(target)
                            if isinstance(part, ast.Name)
                        }
            if len(names) == before:
                break
        return frozenset(names)

    def _holds(self, node: ast.AST, tainted: frozenset[str], called: str = "") -> bool:
        """Whether an expression may hold input; what `called` returns is none."""
        for part in ast.walk(node):
            match part:
                case ast.Name(id=name) if name in tainted or name in self.input:
                    return True
                case ast.Attribute(attr=name) if name in self.input:
                    return True
                case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name) as function):
                    if name != called and _root(function) in self.own_names:
                        return True
        return False


@lru_cache(8)  # one file has several lines of a traceback
def _parsed(source: bytes) -> ast.Module | None:
    tree = parsed(source)
    return None if isinstance(tree, str) else tree


def _spans(body: Sequence[ast.stmt], line: int) -> bool:
    return bool(body) and body[0].lineno <= line <= (body[-1].end_lineno or 0)


def _takes(handler: ast.expr | None, exception: str) -> bool:
    """Whether `except HANDLER` takes an exception of this name."""
    if handler is None:
        return True
    kinds = handler.elts if isinstance(handler, ast.Tuple) else [handler]
    raised = getattr(builtins, exception, None)
    for kind in kinds:
        name = kind.attr if isinstance(kind, ast.Attribute) else getattr(kind, "id", "")
        wider = getattr(builtins, name, None)
        if name in (exception, "Exception", "BaseException"):
            return True
        if isinstance(raised, type) and isinstance(wider, type) and issubclass(raised, wider):
            return True
    return False


def _ends(node: ast.AST) -> bool:
    match node:
        case ast.Raise():
            return True
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name in _ENDING
    return False


def _leaves(node: ast.AST) -> bool:
    return isinstance(node, ast.Return | ast.Break | ast.Continue) or _ends(node)


def _own_names(tree: ast.Module, packages: frozenset[str]) -> Iterator[str]:
    """What a file defines, or imports from these packages."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.Import(names=names):
                for alias in names:
                    if alias.name.partition(".")[0] in packages:
                        yield alias.asname or alias.name.partition(".")[0]
            case ast.ImportFrom(module=module, level=level, names=names):
                if level or (module or "").partition(".")[0] in packages:
                    yield from (alias.asname or alias.name for alias in names)


def _global_names(tree: ast.Module) -> Iterator[str]:
    """Names of the file that functions change."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Global | ast.Nonlocal):
            yield from node.names


def _parameters(function: FunctionNode) -> Iterator[str]:
    arguments = function.args
    stars = [argument for argument in (arguments.vararg, arguments.kwarg) if argument is not None]
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *stars):
        yield argument.arg


def _own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes in a scope or a statement, less those in functions inside it."""
    waiting = list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, FunctionNode | ast.Lambda):
            waiting += ast.iter_child_nodes(node)


def _bindings(node: ast.AST) -> Iterator[tuple[list[ast.expr], ast.expr | None]]:
    """What a node binds to which value; None for one that may be anything."""
    match node:
        case ast.Assign(targets=targets, value=value):
            yield targets, value
        case (
            ast.AnnAssign(target=target, value=ast.expr() as value)
            | ast.AugAssign(target=target, value=value)
        ):
            yield [target], value
        case ast.NamedExpr(target=target, value=value):
            yield [target], value
        case ast.For(target=target, iter=value) | ast.AsyncFor(target=target, iter=value):
            yield [target], value
        case ast.withitem(context_expr=value, optional_vars=ast.expr() as target):
            yield [target], value
        case ast.ExceptHandler(name=str() as name):
            yield [ast.Name(name)], None
        case ast.Call(func=ast.Attribute(value=target, attr=name), args=[*given]):
            # `found.append(text)`, `options.update(arguments)`
            for value in given if name in CHANGING_METHODS else ():
                yield [target], value


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _way_to(tree: ast.Module, line: int) -> list[tuple[ast.AST, list[ast.stmt]]] | None:
    """From the module to the statement at a line: each node, and its statements up to there."""
    way: list[tuple[ast.AST, list[ast.stmt]]] = []
    node: ast.AST = tree
    while True:
        for body in _bodies(node):
            index = next((i for i, statement in enumerate(body) if _has(statement, line)), None)
            if index is not None:
                way.append((node, body[: index + 1]))
                node = body[index]
                break
        else:
            return way or None


def _has(statement: ast.stmt, line: int) -> bool:
    return statement.lineno <= line <= (statement.end_lineno or statement.lineno)


def _bodies(node: ast.AST) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        body = getattr(node, name, None)
        if isinstance(body, list):
            yield body
    for inner in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
        yield from _bodies(inner)


def _expressions(statement: ast.stmt) -> Iterator[ast.expr]:
    """The expressions of a statement, less those of the statements inside it."""
    for child in ast.iter_child_nodes(statement):
        if isinstance(child, ast.expr):
            yield child
        elif isinstance(child, ast.withitem):
            yield child.context_expr
