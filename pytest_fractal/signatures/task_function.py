"""The arguments that a task's function takes, read from its source and never by importing it.

Importing a task package takes seconds, needs all that the package depends on, and runs
the candidate's code. The source in the wheel tells nearly as much: which function the
executable runs, what its parameters are called, which ones have a default. Where it
does not tell for certain, the answer is `Unreadable` with a reason, never a guess.
"""

from __future__ import annotations

import ast
import posixpath
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import PurePosixPath
from typing import Final

from pytest_fractal.signatures.constructors import ConstructorReader
from pytest_fractal.signatures.names import WheelNames
from pytest_fractal.signatures.parameters import (
    Parameter,
    Signature,
    SignatureReader,
    only_one,
)
from pytest_fractal.signatures.runners import Handover, RunnerReader, joined
from pytest_fractal.signatures.scopes import (
    Binding,
    Class,
    Function,
    FunctionNode,
    Module,
    ModuleOfWheel,
    Opaque,
    Outside,
    Target,
    Value,
    View,
    changed_name,
    returned,
    source_text,
)
from pytest_fractal.signatures.sources import Sources, Unreadable

__all__ = ["Parameter", "Signature", "Signatures", "Unreadable"]


class Signatures:
    """The signatures of the functions that the executables of a package run.

    `package` is the import folder of the wheel that holds the sources. Each executable is read
    once: tasks may share it.
    """

    def __init__(self, sources: Sources, package: str) -> None:
        self._sources = sources
        self._package = package
        self._known: dict[str, Signature | str] = {}
        """By the paths of the executables; where one cannot be read, why."""
        self._lock = threading.Lock()

    def of(self, executable: str) -> Signature:
        """The signature of the function that `executable`, a path inside the package, runs.

        The function is, in this order: the one handed to `run_fractal_task`; the one with
        the executable's name; the one that is called with what the script read as JSON, as
        in `f(**args)`; the class that is made of it, if it takes what Fractal supplies.

        Raises `Unreadable`, and nothing else, when the function or its parameters cannot
        be known from the source alone.
        """
        path = posixpath.normpath(f"{self._package}/{executable}")
        with self._lock:
            if path not in self._known:
                self._known[path] = self._read(path)
            known = self._known[path]
        if isinstance(known, str):
            raise Unreadable(known)
        return known

    def _read(self, path: str) -> Signature | str:
        """The signature, or why it cannot be known."""
        try:
            return _Script(self._sources, path).signature()
        except Unreadable as reason:
            return str(reason)
        except RecursionError:
            return f"{path} is nested too deeply to be read"


class _Origin(IntEnum):
    """Where the `x` of a call `f(**x)` comes from."""

    ELSEWHERE = 0
    """Certainly not from the arguments file: a parsed command line, a `**kwargs`."""
    UNKNOWN = 1
    JSON = 2


@dataclass(frozen=True)
class _Call:
    node: ast.Call
    view: View
    inside: FunctionNode | ast.Module
    """The function that makes the call, or the module."""

    @property
    def unpacked(self) -> ast.expr | None:
        """The `x` of a call `f(**x)` that has no other argument."""
        match self.node:
            case ast.Call(args=[], keywords=[ast.keyword(arg=None, value=value)]):
                return value
        return None


_KNOWN_RUNNERS: Final = frozenset({"fractal_task_tools", "fractal_tasks_core"})
"""Packages whose `run_fractal_task` hands the arguments over as they are."""
_JSON_READERS: Final = frozenset(
    f"{module}.{name}"
    for module in ("json", "simplejson", "ujson", "orjson")
    for name in ("load", "loads")
)


_SUPPLIED: Final = frozenset(
    {"input_paths", "output_path", "metadata", "zarr_url", "zarr_urls", "zarr_dir"}
)
"""Some of what Fractal gives each task."""


class _Script:
    """The executable of a task, and the function that it runs."""

    def __init__(self, sources: Sources, path: str) -> None:
        self._files = sources.files
        self._path = path
        self._names = WheelNames(sources, path)
        self._signatures = SignatureReader(self._names)
        self._runners = RunnerReader(self._names, self._signatures, self._is_json)

    def signature(self) -> Signature:
        """The signature of the function that the executable runs."""
        if self._path not in self._files:
            raise Unreadable(f"{self._path} is not in the wheel")
        if not self._path.endswith(".py") and not self._names_python():
            raise Unreadable(f"{self._path} is not a Python file")
        script = self._names.load(self._path)
        calls = list(self._calls(script.tree, script.view, script.tree))
        return (
            self._handed_to_runner(script, calls)
            or self._called_as_the_file(script, calls)
            or self._called_with_json(calls)
            or self._made_of_json(calls)
            or self._not_found(script)
        )

    def _names_python(self) -> bool:
        return b"python" in self._files[self._path].split(b"\n", 1)[0]

    def _not_found(self, script: Module) -> Signature:
        raise Unreadable(
            f"it cannot be known which function {script.path} runs: it hands none to "
            f"run_fractal_task, defines no `{_stem(script)}()` and calls none with the "
            "arguments that it read"
        )

    def _handed_to_runner(self, script: Module, calls: Sequence[_Call]) -> Signature | None:
        runners = _names_of_runner(script.tree)

        def is_runner(node: ast.expr) -> bool:
            match node:
                case ast.Name(id=name):
                    return name in runners
                case ast.Attribute(attr="run_fractal_task"):
                    return True
            return False

        found = []
        for call in calls:
            arguments = call.node.args
            if (
                arguments
                and is_runner(arguments[0])
                and self._names.is_partial(call.node, call.view)
            ):
                arguments = arguments[1:]
            elif not is_runner(call.node.func):
                continue
            named = [k.value for k in call.node.keywords if k.arg == "task_function"]
            handed = [*named, *arguments][:1]
            if not handed or isinstance(handed[0], ast.Starred):
                raise Unreadable(
                    f"{script.path}:{call.node.lineno} does not tell which function it hands "
                    "to run_fractal_task"
                )
            signature = self._signatures.read(handed[0], call.view)
            found.append(self._handover(call, handed[0]).applied(signature))
        return only_one(found, f"{script.path} hands different functions to run_fractal_task")

    def _handover(self, call: _Call, handed: ast.expr) -> Handover:
        """What becomes of the arguments between the file and the function that `call` hands on."""
        node = call.node
        if self._names.is_partial(node, call.view):
            runner, *given = node.args
            node = ast.Call(runner, given, node.keywords)
        found = []
        for target in self._names.targets(node.func, call.view):
            match target:
                case Function():
                    found.append(self._runners.read(target, node, handed))
                case Outside(dotted=dotted) if dotted.partition(".")[0] in _KNOWN_RUNNERS:
                    found.append(Handover())
                case _:
                    runner_name = source_text(node.func)
                    found.append(Handover(doubt=f"how `{runner_name}()` calls it is not known"))
        return joined(found)

    def _is_json(self, value: ast.expr, call: ast.Call, view: View, inside: Function) -> bool:
        return self._origin(value, _Call(call, view, inside.node), ()) is _Origin.JSON

    def _called_as_the_file(self, script: Module, calls: Sequence[_Call]) -> Signature | None:
        name = ast.Name(_stem(script), ast.Load())
        if not self._names.lookup(script.view, name.id):
            return None
        targets = self._names.targets(name, script.view)
        if all(self._is_no_function(target) for target in targets):
            return None
        doubt = self._doubt(name.id, calls)
        if doubt is not None:
            # A helper may be called like the file; the task is then another function.
            if other := self._called_with_json(calls) or self._made_of_json(calls):
                return other
            raise Unreadable(doubt)
        signature = self._signatures.read(name, script.view)
        for call in calls:
            for handed in (*call.node.args, *(k.value for k in call.node.keywords)):
                if not (isinstance(handed, ast.Name) and handed.id == name.id):
                    continue
                targets = self._names.targets(call.node.func, call.view)
                is_own = any(isinstance(target, Function | Class) for target in targets)
                if is_own and not self._signatures.preserves_signature(call.node.func, call.view):
                    signature = self._handover(call, handed).applied(signature)
        return signature

    def _doubt(self, name: str, calls: Sequence[_Call]) -> str | None:
        """Why the function called `name` may not get the arguments of the task by keyword."""
        otherwise = handed = None
        unpacked = []
        for call in calls:
            node = call.node
            place = f"{call.view.module.path}:{node.lineno}"
            if isinstance(call.inside, FunctionNode) and call.inside.name == name:
                continue
            if isinstance(node.func, ast.Name) and node.func.id == name:
                if call.unpacked is None:
                    otherwise = f"{place} calls `{name}()` with arguments of its own choice"
                else:
                    unpacked.append((call, call.unpacked))
            elif any(
                isinstance(argument, ast.Name) and argument.id == name
                for argument in (*node.args, *(k.value for k in node.keywords))
            ):
                # A runner of the wheel's own is trusted to hand over what it reads as JSON.
                targets = self._names.targets(node.func, call.view)
                is_own = all(isinstance(target, Function | Class) for target in targets)
                if not (
                    is_own
                    or self._signatures.preserves_signature(node.func, call.view)
                    or self._names.is_partial(node, call.view)
                ):
                    handed = f"{place} hands `{name}()` to `{source_text(node.func)}()`"
        for call, value in unpacked:
            place = f"{call.view.module.path}:{call.node.lineno}"
            if self._origin(value, call, calls) is _Origin.ELSEWHERE:
                return f"{place} calls `{name}()` with something else than the arguments file"
            if (change := _change(value, call.inside)) is not None:
                return f"{call.view.module.path}:{change} changes the arguments for `{name}()`"
        return None if unpacked else otherwise or handed

    def _called_with_json(self, calls: Sequence[_Call]) -> Signature | None:
        found: list[Signature] = []
        outside: Unreadable | None = None
        for call in calls:
            value = call.unpacked
            if value is None or self._origin(value, call, calls) is not _Origin.JSON:
                continue
            targets = self._names.targets(call.node.func, call.view)
            if all(self._is_no_function(target) for target in targets):
                continue
            if (change := _change(value, call.inside)) is not None:
                raise Unreadable(
                    f"{call.view.module.path}:{change} changes the arguments for "
                    f"`{source_text(call.node.func)}()`"
                )
            try:
                found.append(self._signatures.read(call.node.func, call.view))
            except Unreadable as reason:
                if not any(isinstance(target, Outside) for target in targets):
                    raise
                outside = reason
        if outside is not None and not found:
            raise outside
        return only_one(found, f"{self._path} calls different functions with its arguments")

    def _made_of_json(self, calls: Sequence[_Call]) -> Signature | None:
        """What a class takes that is made of the arguments, as in `Arguments(**args)`."""
        constructors = ConstructorReader(self._names, self._signatures)
        found = []
        for call in calls:
            made, value, is_text = call.node.func, call.unpacked, False
            match call.node:
                case ast.Call(func=ast.Attribute(value=model, attr=by), args=[given], keywords=[]):
                    if by in ("model_validate", "parse_obj"):
                        made, value = model, given
                    elif by in ("model_validate_json", "parse_raw"):
                        made, value, is_text = model, given, True
            if value is None:
                continue
            if not is_text and self._origin(value, call, calls) is not _Origin.JSON:
                continue
            match self._names.targets(made, call.view):
                case [Class() as target]:
                    if (change := _change(value, call.inside)) is not None:
                        raise Unreadable(
                            f"{call.view.module.path}:{change} changes the arguments for "
                            f"`{source_text(made)}()`"
                        )
                    found.append(constructors.read(target))
        # Settings may be read as JSON as well.
        found = [s for s in found if any(p.name in _SUPPLIED for p in s.parameters)]
        return only_one(found, f"{self._path} makes different classes of its arguments")

    @staticmethod
    def _is_no_function(target: Target) -> bool:
        match target:
            case Class() | ModuleOfWheel():
                return True
            case Value(node=node):
                return not isinstance(node, ast.Call | ast.Lambda | ast.IfExp)
            case Outside(dotted=dotted):
                return dotted.startswith("builtins.")
        return False

    def _origin(self, value: ast.expr, call: _Call, calls: Sequence[_Call]) -> _Origin:
        match value:
            case ast.Call():
                return self._origin_of_call(value, call)
            case ast.Name(id=name):
                bindings = self._names.lookup(call.view, name)
                origins = [self._origin_of_name(name, b, call, calls) for b in bindings]
                return min(origins, default=_Origin.UNKNOWN)
        return _Origin.ELSEWHERE

    def _origin_of_call(self, value: ast.Call, call: _Call) -> _Origin:
        origins = []
        for target in self._names.targets(value.func, call.view):
            match target:
                case Outside(dotted=dotted) if dotted in _JSON_READERS:
                    origins.append(_Origin.JSON)
                case Function(node=node, home=home):
                    view = self._names.inside(node, home)
                    ends = [
                        self._origin(result, _Call(value, view, node), ())
                        for result in returned(node)
                    ]
                    all_json = ends and min(ends) is _Origin.JSON
                    origins.append(_Origin.JSON if all_json else _Origin.UNKNOWN)
                case _:
                    origins.append(_Origin.ELSEWHERE)
        return min(origins, default=_Origin.UNKNOWN)

    def _origin_of_name(
        self, name: str, binding: Binding, call: _Call, calls: Sequence[_Call]
    ) -> _Origin:
        match binding:
            case Value(node=node, view=view):
                return self._origin(node, replace(call, view=view), calls)
            case Opaque(parameter=str() as parameter):
                if parameter.startswith("**"):
                    return _Origin.ELSEWHERE
                return self._origin_of_parameter(name, call, calls)
        return _Origin.UNKNOWN

    def _origin_of_parameter(self, name: str, call: _Call, calls: Sequence[_Call]) -> _Origin:
        """The origin of a parameter, from the calls of its function in the same file."""
        function = call.inside
        if not isinstance(function, FunctionNode):
            return _Origin.UNKNOWN
        names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
        origins = []
        for call in calls:
            if call.inside is function or not (
                isinstance(call.node.func, ast.Name) and call.node.func.id == function.name
            ):
                continue
            given = dict(zip(names, call.node.args, strict=False))
            given |= {k.arg: k.value for k in call.node.keywords if k.arg is not None}
            # Without `calls`: one step back is enough, and two could go in a circle.
            origins.append(
                self._origin(given[name], call, ()) if name in given else _Origin.UNKNOWN
            )
        return min(origins, default=_Origin.UNKNOWN)

    def _calls(
        self, node: ast.AST, view: View, inside: FunctionNode | ast.Module
    ) -> Iterator[_Call]:
        """All calls below `node`, each with the names that it sees."""
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Call):
                yield _Call(child, view, inside)
            if isinstance(child, FunctionNode):
                yield from self._calls(child, self._names.inside(child, view), child)
            else:
                yield from self._calls(child, view, inside)


def _stem(module: Module) -> str:
    return PurePosixPath(module.path).stem.replace("-", "_")


def _change(value: ast.expr, inside: FunctionNode | ast.Module) -> int | None:
    """The line that changes the dictionary `value` in place, if any does."""
    if isinstance(value, ast.Name):
        for node in ast.walk(inside):
            if changed_name(node) == value.id:
                return getattr(node, "lineno", None)
    return None


def _names_of_runner(tree: ast.Module) -> set[str]:
    """All names that a file gives to `run_fractal_task`."""
    names = {"run_fractal_task"}
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom():
                names |= {
                    alias.asname
                    for alias in node.names
                    if alias.name == "run_fractal_task" and alias.asname
                }
            case ast.Assign(targets=[ast.Name(id=alias)], value=ast.Name(id=name)):
                if name in names:
                    names.add(alias)
            case ast.Assign(
                targets=[ast.Name(id=alias)], value=ast.Attribute(attr="run_fractal_task")
            ):
                names.add(alias)
    return names
