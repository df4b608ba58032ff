"""The mutants of a module: small faults that Cosmic Ray's operators put in."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names


@dataclass(frozen=True)
class Mutant:
    """One fault: the `number`-th place in a module at which an operator applies."""

    module: str
    operator: str
    number: int
    line: int

    @property
    def name(self) -> str:
        """Its name, in this state of the code."""
        return f"{self.module}:{self.line} {self.operator.removeprefix('core/')} #{self.number}"


def mutants_of(module: str, source: str) -> Iterator[Mutant]:
    """The mutants of a module, less those in annotations and lists of parameters."""
    nodes = [*ast_nodes(get_ast(source))]
    annotations = [*_no_code(ast.parse(source))]
    for name in operator_names():
        operator_class = get_operator(name)
        if operator_class.arguments():
            continue
        operator = operator_class()
        places = (place for node in nodes for place in operator.mutation_positions(node))
        for number, (start, _) in enumerate(places):
            if not any(first <= start < last for first, last in annotations):
                yield Mutant(module, name, number, start[0])


def mutated(mutant: Mutant, source: str) -> str:
    """The source with the fault in it."""
    code: str = mutate_code(source, get_operator(mutant.operator)(), mutant.number)
    return code


def changes_nothing(before: str, after: str) -> bool:
    """Whether a comparison that was replaced comes to the same, whatever its operands are.

    Members of an enumeration are the same object where they are equal, and so are the small
    integers of CPython, to which a length is compared.
    """
    both = zip(ast.walk(ast.parse(before)), ast.walk(ast.parse(after)), strict=False)
    for one, other in both:
        if not (isinstance(one, ast.Compare) and isinstance(other, ast.Compare)):
            continue
        for old, new, right in zip(one.ops, other.ops, one.comparators, strict=True):
            kinds = {type(old), type(new)}
            if len(kinds) > 1:
                is_identity = kinds in ({ast.Is, ast.Eq}, {ast.IsNot, ast.NotEq})
                return is_identity and (_is_member(right) or _is_length(one.left, right))
    return False


def _is_member(node: ast.expr) -> bool:
    """Whether it is written as a member of an enumeration is: `Severity.ERROR`."""
    return (
        isinstance(node, ast.Attribute)
        and node.attr.isupper()
        and isinstance(node.value, ast.Name)
        and node.value.id[0].isupper()
    )


def _is_length(left: ast.expr, right: ast.expr) -> bool:
    """Whether a length is compared to a number below 257."""
    return (
        isinstance(left, ast.Call)
        and isinstance(left.func, ast.Name)
        and left.func.id == "len"
        and isinstance(right, ast.Constant)
        and type(right.value) is int
        and 0 <= right.value < 257
    )


def outline(module: Path) -> tuple[frozenset[int], frozenset[int]]:
    """The lines of a module that run when it is imported, and those within functions."""
    within: set[int] = set()
    tree = ast.parse(module.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            body = node.body if isinstance(node.body, list) else [node.body]
            last = node.end_lineno or node.lineno
            within.update(range(body[0].lineno, last + 1))
    lines = range(1, len(module.read_text("utf-8").splitlines()) + 1)
    return frozenset(lines) - within, frozenset(within)


def _no_code(tree: ast.AST) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Where each annotation begins and ends, and each list of parameters, but for its defaults.

    Lines are from 1, columns from 0.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            start = (node.lineno, node.col_offset)
            for default in filter(None, (*node.args.defaults, *node.args.kw_defaults)):
                yield start, _start(default)
                start = _end(default)
            yield start, (node.body[0].lineno, 0)
        found: list[Any] = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        for part in found:
            if isinstance(part, ast.expr):
                yield _start(part), _end(part)


def _start(node: ast.expr) -> tuple[int, int]:
    return node.lineno, node.col_offset


def _end(node: ast.expr) -> tuple[int, int]:
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return node.end_lineno, node.end_col_offset
