"""How a runner of the wheel's own calls the task's function that it is handed.

It may give the function arguments that no user knows of, such as a logger, or keep some of
the task's arguments to itself. What is not plain is said to be a doubt, never guessed.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Final

from pytest_fractal.signatures.names import WheelNames
from pytest_fractal.signatures.parameters import Signature, SignatureReader
from pytest_fractal.signatures.scopes import Class, Function, View, changed_name, source_text

_DEEPEST: Final = 4

IsArguments = Callable[[ast.expr, ast.Call, View, Function], bool]
"""Whether an expression in a function is what was read as JSON."""


@dataclass(frozen=True)
class Handover:
    """What a runner does with the arguments of a task before its function gets them."""

    supplied: frozenset[str] = frozenset()
    """What it adds, or sets."""
    dropped: frozenset[str] = frozenset()
    """What it takes out."""
    doubt: str | None = None
    """Why that is not all that can be known."""

    def __or__(self, other: Handover) -> Handover:
        return Handover(
            self.supplied | other.supplied,
            self.dropped | other.dropped,
            self.doubt or other.doubt,
        )

    def applied(self, signature: Signature) -> Signature:
        """The signature as the arguments of the task meet it."""
        return replace(
            signature,
            parameters=tuple(
                replace(parameter, is_bound=parameter.is_bound or parameter.name in self.supplied)
                for parameter in signature.parameters
            ),
            dropped=signature.dropped | self.dropped,
            doubt=signature.doubt or self.doubt,
        )


def joined(handovers: Iterable[Handover]) -> Handover:
    """All that any of them does."""
    return reduce(Handover.__or__, handovers, Handover())


class RunnerReader:
    """Reads runners among these names."""

    def __init__(
        self, names: WheelNames, signatures: SignatureReader, is_arguments: IsArguments
    ) -> None:
        self._names = names
        self._signatures = signatures
        self._is_arguments = is_arguments

    def read(self, runner: Function, call: ast.Call, handed: ast.expr, depth: int = 0) -> Handover:
        """What `runner` does when `call` hands it the function `handed`."""
        node = runner.node
        place = f"{runner.view.module.path}:{node.lineno}"
        unknown = Handover(doubt=f"how `{node.name}()` calls it is not known ({place})")
        parameter = _parameter(node.args, call, handed)
        if parameter is None or depth > _DEEPEST:
            return unknown
        view = self._names.inside(node, runner.home)
        aliases = {parameter}
        found: list[Handover] = []
        inner = [part for part in ast.walk(node) if isinstance(part, ast.Call | ast.Assign)]
        for part in inner:
            match part:
                case ast.Assign(targets=[ast.Name(id=alias)], value=value):
                    if self._is_it(value, aliases, view):
                        aliases.add(alias)
        for part in inner:
            if not isinstance(part, ast.Call):
                continue
            if self._is_it(part.func, aliases, view):
                found.append(self._called(part, view, runner))
                continue
            given = [*part.args, *(keyword.value for keyword in part.keywords)]
            for value in given:
                if isinstance(value, ast.Name) and value.id in aliases:
                    for target in self._names.targets(part.func, view):
                        if isinstance(target, Function):
                            found.append(self.read(target, part, value, depth + 1))
                        elif isinstance(target, Class):
                            found.append(unknown)
        return joined(found) if found else unknown

    def _is_it(self, node: ast.expr, aliases: set[str], view: View) -> bool:
        """Whether an expression is the function, or one that takes the same arguments."""
        match node:
            case ast.Name(id=name):
                return name in aliases
            case ast.Call(func=decorator, args=[ast.Name(id=name)]) if name in aliases:
                return self._signatures.preserves_signature(decorator, view)
        return False

    def _called(self, call: ast.Call, view: View, runner: Function) -> Handover:
        place = f"{runner.view.module.path}:{call.lineno}"
        if call.args:
            return Handover(doubt=f"{place} calls it with arguments by position")
        supplied = frozenset(k.arg for k in call.keywords if k.arg is not None)
        unpacked = [k.value for k in call.keywords if k.arg is None]
        return joined(
            [Handover(supplied), *(self._unpacked(name, call, view, runner) for name in unpacked)]
        )

    def _unpacked(self, value: ast.expr, call: ast.Call, view: View, runner: Function) -> Handover:
        """What the `x` of a call `function(**x)` holds beside the task's arguments, and lacks."""
        unknown = Handover(
            doubt=f"{runner.view.module.path}:{call.lineno} calls it with "
            f"`**{source_text(value)}`, which may be other arguments than those of the task"
        )
        match value:
            case ast.Dict(keys=keys, values=values):
                return joined(
                    self._unpacked(inner, call, view, runner)
                    if key is None
                    else _supplies(key, unknown)
                    for key, inner in zip(keys, values, strict=True)
                )
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return self._unpacked(left, call, view, runner) | self._unpacked(
                    right, call, view, runner
                )
            case ast.Name(id=name):
                assigned = [
                    part.value
                    for part in ast.walk(runner.node)
                    if isinstance(part, ast.Assign | ast.AnnAssign)
                    and part.value is not None
                    and any(
                        isinstance(target, ast.Name) and target.id == name
                        for target in _targets(part)
                    )
                ]
                if not assigned or not all(
                    self._is_arguments(name, call, view, runner) for name in assigned
                ):
                    return unknown
                return joined(_changes(runner.node, name, unknown))
        return Handover() if self._is_arguments(value, call, view, runner) else unknown


def _targets(node: ast.Assign | ast.AnnAssign) -> Sequence[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target]


def _parameter(arguments: ast.arguments, call: ast.Call, handed: ast.expr) -> str | None:
    """The parameter that gets the function; None where that cannot be known."""
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    for keyword in call.keywords:
        if keyword.value is handed:
            known = keyword.arg in [argument.arg for argument in named]
            return keyword.arg if known else None
    positional = [*arguments.posonlyargs, *arguments.args]
    for index, value in enumerate(call.args):
        if isinstance(value, ast.Starred):
            return None
        if value is handed:
            return positional[index].arg if index < len(positional) else None
    return None


def _supplies(key: ast.expr, unknown: Handover) -> Handover:
    match key:
        case ast.Constant(value=str() as name):
            return Handover(frozenset({name}))
    return unknown


def _changes(function: ast.AST, name: str, unknown: Handover) -> Iterator[Handover]:
    """What is done, in a function, to the dictionary of this name."""
    for node in ast.walk(function):
        match node:
            case ast.Subscript(value=ast.Name(id=found), slice=key) if found == name:
                if isinstance(node.ctx, ast.Store):
                    yield _supplies(key, unknown)
                elif isinstance(node.ctx, ast.Del):
                    yield _drops(key, unknown)
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=found), attr="setdefault"), args=[key, *_]
            ) if found == name:
                yield _supplies(key, unknown)
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=found), attr="pop"), args=[key, *_]
            ) if found == name:
                yield _drops(key, unknown)
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=found), attr="update"),
                args=[],
                keywords=keywords,
            ) if found == name and all(keyword.arg for keyword in keywords):
                yield Handover(frozenset(k.arg for k in keywords if k.arg))
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=found), attr="update"),
                args=[ast.Dict(keys=keys)],
                keywords=[],
            ) if found == name:
                yield from (unknown if k is None else _supplies(k, unknown) for k in keys)
            case _ if changed_name(node) == name:
                yield unknown


def _drops(key: ast.expr, unknown: Handover) -> Handover:
    supplies = _supplies(key, unknown)
    return Handover(dropped=supplies.supplied, doubt=supplies.doubt)
