"""The arguments that a task's function takes, read from its source and never by importing it.

Importing a task package takes seconds, needs all that the package depends on, and runs
the candidate's code. The source in the wheel tells nearly as much: which function the
executable runs, what its parameters are called, which ones have a default. Where it
does not tell for certain, the answer is `Unreadable` with a reason, never a guess.
"""

from __future__ import annotations

import ast
import builtins
import posixpath
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import PurePosixPath
from typing import Any, Final


@dataclass(frozen=True)
class Parameter:
    """One parameter that can be given by keyword, as the arguments of a task are."""

    name: str
    required: bool
    """It has no default."""
    has_simple_default: bool
    """Its default is a literal that JSON can hold."""
    default: Any = None
    """The default in JSON form, a tuple as a list; only with `has_simple_default`."""
    default_is_made: bool = False
    """A `default_factory` makes the default: pydantic writes none into the schema."""
    is_bound: bool = False
    """A `partial` gives it: the schema need not have it."""
    is_keyword_only: bool = field(default=False, compare=False, repr=False)


@dataclass(frozen=True)
class Signature:
    """What the function of a task takes."""

    function: str
    file: str
    """The path in the wheel of the file that defines the function."""
    line: int
    parameters: tuple[Parameter, ...]
    """The parameters that can be given by keyword, in their order."""
    positional_only: tuple[str, ...] = ()
    """Those that cannot: a mistake, since Fractal gives every argument by keyword."""
    takes_any_keyword: bool = False
    """It has a `**kwargs`."""


class Unreadable(Exception):
    """The signature cannot be told; the message is the reason, for a human."""


def read_signature(files: Mapping[str, bytes], package: str, executable: str) -> Signature:
    """The signature of the function that `executable` runs.

    `files` are the contents of the wheel by their path below site-packages, `package`
    is its import folder and `executable` a path inside that folder. The function is,
    in this order: the one handed to `run_fractal_task`; the one with the executable's
    name; the one that is called with what the script read as JSON, as in `f(**args)`.

    Raises `Unreadable`, and nothing else, when the function or its parameters cannot
    be told from the source alone.
    """
    path = posixpath.normpath(f"{package}/{executable}")
    try:
        return _Reader(files, path).signature()
    except RecursionError:
        raise Unreadable(f"{path} is nested too deeply to be read") from None


# What names stand for -----------------------------------------------------------------

_FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, eq=False)
class _View:
    """The names that an expression sees at the time when it is evaluated."""

    module: _Module
    names: Mapping[str, tuple[_Binding, ...]]
    outer: _View | None = None


@dataclass(frozen=True, eq=False)
class _Function:
    node: _FunctionNode
    view: _View
    """What its decorators, defaults and annotations see."""
    home: _View
    """What surrounds its body."""


@dataclass(frozen=True, eq=False)
class _Class:
    node: ast.ClassDef
    view: _View


@dataclass(frozen=True, eq=False)
class _Value:
    node: ast.expr
    view: _View


@dataclass(frozen=True, eq=False)
class _Import:
    module: str
    name: str | None
    """None for `import module`."""


@dataclass(frozen=True, eq=False)
class _ModuleOfWheel:
    dotted: str


@dataclass(frozen=True, eq=False)
class _Outside:
    """Something that the wheel holds no source of, such as `pydantic.validate_call`."""

    dotted: str


@dataclass(frozen=True, eq=False)
class _Opaque:
    """A name whose value cannot be told, and why."""

    reason: str
    parameter: str | None = None
    """It is this parameter of a function: `x`, or `**x`."""


_Binding = _Function | _Class | _Value | _Import | _Opaque
_Target = _Function | _Class | _Value | _ModuleOfWheel | _Outside | _Opaque
_Names = dict[str, tuple[_Binding, ...]]


@dataclass(eq=False)
class _Module:
    path: str
    is_script: bool
    tree: ast.Module
    stars: list[str] = field(default_factory=list)
    """The modules of `from module import *`."""
    names: _Names = field(default_factory=dict)

    @property
    def view(self) -> _View:
        return _View(self, self.names)

    def absolute(self, statement: ast.ImportFrom) -> str:
        """The dotted name of the module that `statement` imports from."""
        if not statement.level:
            return statement.module or ""
        folder = PurePosixPath(self.path).parts[: -statement.level]
        return ".".join([*folder, *([statement.module] if statement.module else [])])


_CHANGING_METHODS: Final = frozenset(
    {"append", "extend", "insert", "remove", "pop", "popitem", "clear", "update",
     "setdefault", "add", "discard", "sort", "reverse"}
)  # fmt: skip


def _changed_name(node: ast.AST) -> str | None:
    """The name whose list or dictionary `node` changes in place, as `x["a"] = 1` does."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)):
            return name if method in _CHANGING_METHODS else None
        case ast.Subscript(value=ast.Name(id=name), ctx=ast.Store() | ast.Del()):
            return name
        case ast.AugAssign(target=ast.Name(id=name)):
            return name
    return None


class _Scope:
    """Runs the statements of one module or function in mind: which name stands for what.

    Where the source branches and the branch cannot be told, a name stands for several
    things.
    """

    def __init__(self, view: _View, names: _Names, foreign: frozenset[str] = frozenset()) -> None:
        """`view` shows `names` to the bodies of functions; `foreign` are not bound here."""
        self._home = view
        self._module = view.module
        self._names = names
        self._foreign = foreign

    def run(self, body: Iterable[ast.stmt]) -> None:
        """Add to the names what the statements of `body` bind."""
        self._run(body, self._names)

    def _run(self, body: Iterable[ast.stmt], names: _Names) -> None:
        for statement in body:
            self._step(statement, names)

    def _step(self, statement: ast.stmt, names: _Names) -> None:
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                seen = self._view(names, *statement.decorator_list, statement.args)
                self._bind(names, statement.name, _Function(statement, seen, self._home))
            case ast.ClassDef():
                seen = self._view(names, *statement.decorator_list)
                self._bind(names, statement.name, _Class(statement, seen))
            case ast.Import():
                for alias in statement.names:
                    whole = alias.name if alias.asname else alias.name.partition(".")[0]
                    self._bind(names, alias.asname or whole, _Import(whole, None))
            case ast.ImportFrom():
                module = self._module.absolute(statement)
                for alias in statement.names:
                    if alias.name == "*":
                        self._module.stars.append(module)
                    else:
                        name = alias.asname or alias.name
                        self._bind(names, name, _Import(module, alias.name))
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
            for name in filter(None, map(_changed_name, ast.walk(statement))):
                if any(isinstance(binding, _Value) for binding in names.get(name, ())):
                    self._bind(names, name, _Opaque(f"`{name}` is changed after it was made"))

    def _try(self, names: _Names, statement: ast.Try | ast.TryStar) -> None:
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

    def _branches(self, names: _Names, *bodies: Sequence[ast.stmt]) -> None:
        ends = []
        for body in bodies:
            end = dict(names)
            self._run(body, end)
            ends.append(end)
        names.clear()
        names.update(_either(*ends))

    def _assign(self, names: _Names, target: ast.expr, value: ast.expr | None) -> None:
        if isinstance(target, ast.Name):
            binding: _Binding = _Opaque(f"the value of `{target.id}` cannot be told")
            if value is not None:
                binding = _Value(value, self._view(names, value))
            self._bind(names, target.id, binding)
        elif isinstance(target, ast.Tuple | ast.List):
            for element in target.elts:
                self._assign(names, element, None)
        elif isinstance(target, ast.Starred):
            self._assign(names, target.value, None)

    def _bind(self, names: _Names, name: str, binding: _Binding) -> None:
        if name not in self._foreign:
            names[name] = (binding,)

    def _view(self, names: Mapping[str, tuple[_Binding, ...]], *nodes: ast.AST) -> _View:
        mentioned = {
            node.id for part in nodes for node in ast.walk(part) if isinstance(node, ast.Name)
        }
        seen = {name: names[name] for name in mentioned if name in names}
        return _View(self._module, seen, self._home.outer)


def _either(*ends: Mapping[str, tuple[_Binding, ...]]) -> _Names:
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


# Following names through the wheel ----------------------------------------------------

_MOST_STEPS: Final = 20_000
"""More names than that are not followed: branches on branches would take for ever."""

_PARSING: Final = threading.Lock()
"""`warnings.catch_warnings` changes the whole process, so one thread at a time."""


def _parse(path: str, content: bytes) -> ast.Module:
    try:
        with _PARSING, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(content, path)
    except SyntaxError as error:
        place = f"{path}:{error.lineno}" if error.lineno else path
        raise Unreadable(f"{place} is not Python that can be read: {error.msg}") from None
    except (ValueError, LookupError) as error:
        raise Unreadable(f"{path} is not Python that can be read: {error}") from None
    except (RecursionError, MemoryError):
        raise Unreadable(f"{path} is nested too deeply to be read") from None


class _Origin(IntEnum):
    """Where the `x` of a call `f(**x)` comes from."""

    ELSEWHERE = 0
    """Certainly not from the arguments file: a parsed command line, a `**kwargs`."""
    UNKNOWN = 1
    JSON = 2


@dataclass(frozen=True)
class _Call:
    node: ast.Call
    view: _View
    inside: _FunctionNode | ast.Module
    """The function that makes the call, or the module."""

    @property
    def unpacked(self) -> ast.expr | None:
        """The `x` of a call `f(**x)` that has no other argument."""
        match self.node:
            case ast.Call(args=[], keywords=[ast.keyword(arg=None, value=value)]):
                return value
        return None


_PYDANTIC_DECORATORS: Final = ("validate_arguments", "validate_call")
_HARMLESS: Final = frozenset(
    {
        "functools.cache", "functools.lru_cache",
        "typing.no_type_check", "typing_extensions.deprecated", "warnings.deprecated",
        "torch.no_grad", "torch.inference_mode",
    }
)  # fmt: skip
_JSON_READERS: Final = frozenset(
    f"{module}.{name}"
    for module in ("json", "simplejson", "ujson", "orjson")
    for name in ("load", "loads")
)


class _Reader:
    def __init__(self, files: Mapping[str, bytes], path: str) -> None:
        self._files = files
        self._path = path
        # Python puts the script's own folder in front of site-packages.
        self._roots = (posixpath.dirname(path), "")
        self._folders = {
            str(parent)
            for name in files
            if name.endswith(".py")
            for parent in PurePosixPath(name).parents
        }
        self._modules: dict[str, _Module] = {}
        self._steps = 0

    # Which function ---------------------------------------------------------------

    def signature(self) -> Signature:
        """The signature of the function that the executable runs."""
        if self._path not in self._files:
            raise Unreadable(f"{self._path} is not in the wheel")
        content = self._files[self._path]
        is_python = self._path.endswith(".py") or b"python" in content.split(b"\n", 1)[0]
        if not is_python:
            raise Unreadable(f"{self._path} is not a Python file")
        script = self._load(self._path)
        calls = list(self._calls(script.tree, script.view, script.tree))
        return (
            self._handed_to_runner(script, calls)
            or self._called_as_the_file(script, calls)
            or self._called_with_json(calls)
            or self._not_found(script)
        )

    def _not_found(self, script: _Module) -> Signature:
        raise Unreadable(
            f"it cannot be told which function {script.path} runs: it hands none to "
            f"run_fractal_task, defines no `{_stem(script)}()` and calls none with the "
            "arguments that it read"
        )

    def _handed_to_runner(self, script: _Module, calls: Sequence[_Call]) -> Signature | None:
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
            if arguments and is_runner(arguments[0]) and self._is_partial(call.node, call.view):
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
            found.append(self._signature(handed[0], call.view))
        return _only(found, f"{script.path} hands different functions to run_fractal_task")

    def _called_as_the_file(self, script: _Module, calls: Sequence[_Call]) -> Signature | None:
        name = ast.Name(_stem(script), ast.Load())
        if not self._lookup(script.view, name.id):
            return None
        targets = self._targets(name, script.view)
        if all(self._is_no_function(target) for target in targets):
            return None
        doubt = self._doubt(name.id, calls)
        if doubt is not None:
            # A helper may be called like the file; the task is then another function.
            if (other := self._called_with_json(calls)) is not None:
                return other
            raise Unreadable(doubt)
        return self._signature(name, script.view)

    def _doubt(self, name: str, calls: Sequence[_Call]) -> str | None:
        """Why the function called `name` may not get the arguments of the task by keyword."""
        otherwise = handed = None
        unpacked = []
        for call in calls:
            node = call.node
            place = f"{call.view.module.path}:{node.lineno}"
            if isinstance(call.inside, _FunctionNode) and call.inside.name == name:
                continue
            if isinstance(node.func, ast.Name) and node.func.id == name:
                if call.unpacked is None:
                    otherwise = f"{place} calls `{name}()` with arguments of its own choice"
                else:
                    unpacked.append((call, call.unpacked))
            elif any(isinstance(argument, ast.Name) and argument.id == name
                     for argument in (*node.args, *(k.value for k in node.keywords))):  # fmt: skip
                # A runner of the wheel's own is trusted to hand over what it reads as JSON.
                targets = self._targets(node.func, call.view)
                is_own = all(isinstance(target, _Function | _Class) for target in targets)
                if not (
                    is_own
                    or self._keeps(node.func, call.view)
                    or self._is_partial(node, call.view)
                ):
                    handed = f"{place} hands `{name}()` to `{_text(node.func)}()`"
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
            targets = self._targets(call.node.func, call.view)
            if all(self._is_no_function(target) for target in targets):
                continue
            if (change := _change(value, call.inside)) is not None:
                raise Unreadable(
                    f"{call.view.module.path}:{change} changes the arguments for "
                    f"`{_text(call.node.func)}()`"
                )
            try:
                found.append(self._signature(call.node.func, call.view))
            except Unreadable as reason:
                if not any(isinstance(target, _Outside) for target in targets):
                    raise
                outside = reason
        if outside is not None and not found:
            raise outside
        return _only(found, f"{self._path} calls different functions with its arguments")

    @staticmethod
    def _is_no_function(target: _Target) -> bool:
        match target:
            case _Class() | _ModuleOfWheel():
                return True
            case _Value(node=node):
                return not isinstance(node, ast.Call | ast.Lambda | ast.IfExp)
            case _Outside(dotted=dotted):
                return dotted.startswith("builtins.")
        return False

    def _origin(self, value: ast.expr, call: _Call, calls: Sequence[_Call]) -> _Origin:
        match value:
            case ast.Call():
                return self._origin_of_call(value, call)
            case ast.Name(id=name):
                bindings = self._lookup(call.view, name)
                origins = [self._origin_of_name(name, b, call, calls) for b in bindings]
                return min(origins, default=_Origin.UNKNOWN)
        return _Origin.ELSEWHERE

    def _origin_of_call(self, value: ast.Call, call: _Call) -> _Origin:
        origins = []
        for target in self._targets(value.func, call.view):
            match target:
                case _Outside(dotted=dotted) if dotted in _JSON_READERS:
                    origins.append(_Origin.JSON)
                case _Function(node=node, home=home):
                    view = self._inside(node, home)
                    returned = [
                        self._origin(result, _Call(value, view, node), ())
                        for result in _returned(node)
                    ]
                    all_json = returned and min(returned) is _Origin.JSON
                    origins.append(_Origin.JSON if all_json else _Origin.UNKNOWN)
                case _:
                    origins.append(_Origin.ELSEWHERE)
        return min(origins, default=_Origin.UNKNOWN)

    def _origin_of_name(
        self, name: str, binding: _Binding, call: _Call, calls: Sequence[_Call]
    ) -> _Origin:
        match binding:
            case _Value(node=node, view=view):
                return self._origin(node, replace(call, view=view), calls)
            case _Opaque(parameter=str() as parameter):
                if parameter.startswith("**"):
                    return _Origin.ELSEWHERE
                return self._origin_of_parameter(name, call, calls)
        return _Origin.UNKNOWN

    def _origin_of_parameter(self, name: str, call: _Call, calls: Sequence[_Call]) -> _Origin:
        """The origin of a parameter, from the calls of its function in the same file."""
        function = call.inside
        if not isinstance(function, _FunctionNode):
            return _Origin.UNKNOWN
        names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
        origins = []
        for other in calls:
            if other.inside is function or not (
                isinstance(other.node.func, ast.Name) and other.node.func.id == function.name
            ):
                continue
            given = dict(zip(names, other.node.args, strict=False))
            given |= {k.arg: k.value for k in other.node.keywords if k.arg is not None}
            # Without `calls`: one step back is enough, and two could go in a circle.
            origins.append(
                self._origin(given[name], other, ()) if name in given else _Origin.UNKNOWN
            )
        return min(origins, default=_Origin.UNKNOWN)

    def _calls(
        self, node: ast.AST, view: _View, inside: _FunctionNode | ast.Module
    ) -> Iterator[_Call]:
        """All calls below `node`, each with the names that it sees."""
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Call):
                yield _Call(child, view, inside)
            if isinstance(child, _FunctionNode):
                yield from self._calls(child, self._inside(child, view), child)
            else:
                yield from self._calls(child, view, inside)

    # What a name or an expression stands for --------------------------------------

    def _load(self, path: str) -> _Module:
        if path not in self._modules:
            tree = _parse(path, self._files[path])
            module = self._modules[path] = _Module(path, path == self._path, tree)
            _Scope(module.view, module.names).run(tree.body)
        return self._modules[path]

    def _inside(self, node: _FunctionNode, outer: _View) -> _View:
        """The names that the body of a function sees when it has run."""
        arguments = node.args
        plain = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        stars = [("*", arguments.vararg), ("**", arguments.kwarg)]
        names: _Names = {}
        for prefix, argument in [*(("", a) for a in plain), *stars]:
            if argument is not None:
                reason = f"`{argument.arg}` is a parameter of `{node.name}()`"
                names[argument.arg] = (_Opaque(reason, prefix + argument.arg),)
        foreign = frozenset(
            name
            for part in _own_nodes(node)
            if isinstance(part, ast.Global | ast.Nonlocal)
            for name in part.names
        )
        view = _View(outer.module, names, outer)
        _Scope(view, names, foreign).run(node.body)
        return view

    def _count(self) -> None:
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise Unreadable(f"the names in {self._path} are too entangled to be followed")

    def _find(self, dotted: str) -> str | None:
        for root in self._roots:
            stem = posixpath.join(root, dotted.replace(".", "/"))
            for path in (f"{stem}/__init__.py", f"{stem}.py"):
                if path in self._files:
                    return path
        return None

    def _is_in_wheel(self, dotted: str) -> bool:
        folders = (posixpath.join(root, dotted.replace(".", "/")) for root in self._roots)
        return self._find(dotted) is not None or any(f in self._folders for f in folders)

    def _lookup(
        self, view: _View, name: str, trail: frozenset[tuple[str, str]] = frozenset()
    ) -> tuple[_Binding, ...]:
        self._count()
        scope: _View | None = view
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
                inner = self._load(path)
                if found := self._lookup(inner.view, name, trail | {(path, name)}):
                    return found
        if not unknown or hasattr(builtins, name):
            return ()
        if len(unknown) == 1:
            return (_Import(unknown[0], name),)
        reason = f"`{name}` may come from `{unknown[0]}`, all of which is imported"
        return (_Opaque(reason),)

    def _targets(
        self, node: ast.expr, view: _View, trail: frozenset[tuple[str, str]] = frozenset()
    ) -> list[_Target]:
        """All that `node` may stand for, names and attributes followed to their end."""
        self._count()
        match node:
            case ast.Name(id=name):
                bindings = self._lookup(view, name)
                if not bindings:
                    if hasattr(builtins, name):
                        return [_Outside(f"builtins.{name}")]
                    return [_Opaque(f"{view.module.path} does not define `{name}`")]
                found = [t for b in bindings for t in self._follow(b, trail)]
            case ast.Attribute(value=value, attr=name):
                found = []
                for base in self._targets(value, view, trail):
                    match base:
                        case _ModuleOfWheel(dotted=dotted):
                            found += self._follow(_Import(dotted, name), trail)
                        case _Outside(dotted=dotted):
                            found.append(_Outside(f"{dotted}.{name}"))
                        case _:
                            found.append(_Opaque(f"`{_text(node)}` is not a plain name"))
            case _:
                found = [_Value(node, view)]
        return list(dict.fromkeys(found))

    def _follow(self, binding: _Binding, trail: frozenset[tuple[str, str]]) -> list[_Target]:
        match binding:
            case _Value(node=ast.Name() | ast.Attribute() as node, view=view):
                return self._targets(node, view, trail)
            case _Import(module=module, name=None):
                return [_ModuleOfWheel(module) if self._is_in_wheel(module) else _Outside(module)]
            case _Import(module=module, name=str() as name):
                return self._follow_import(module, name, trail)
            case _Import():
                raise AssertionError(binding)
        return [binding]

    def _follow_import(
        self, module: str, name: str, trail: frozenset[tuple[str, str]]
    ) -> list[_Target]:
        if (module, name) in trail:
            return [_Opaque(f"`{name}` of `{module}` is imported in a circle")]
        trail = trail | {(module, name)}
        path = self._find(module)
        if path is not None:
            # `from . import f` in a package's own __init__.py may mean its module `f`.
            bindings = self._lookup(self._load(path).view, name)
            bindings = tuple(b for b in bindings if not self._is_itself(b, module, name))
            if bindings:
                return [t for b in bindings for t in self._follow(b, trail)]
        if self._is_in_wheel(f"{module}.{name}"):
            return [_ModuleOfWheel(f"{module}.{name}")]
        if path is not None:
            return [_Opaque(f"{path} does not define `{name}`")]
        return [_Outside(f"{module}.{name}")]

    @staticmethod
    def _is_itself(binding: _Binding, module: str, name: str) -> bool:
        return isinstance(binding, _Import) and (binding.module, binding.name) == (module, name)

    def _is(self, node: ast.expr, view: _View, test: Callable[[str], bool]) -> bool:
        """Whether `node` stands for something outside the wheel whose name passes `test`."""
        targets = self._targets(node, view)
        return bool(targets) and all(isinstance(t, _Outside) and test(t.dotted) for t in targets)

    def _is_partial(self, node: ast.Call, view: _View) -> bool:
        return self._is(node.func, view, "functools.partial".__eq__)

    # The signature of what was found ----------------------------------------------

    def _signature(self, node: ast.expr, view: _View) -> Signature:
        targets = self._targets(node, view)
        # `try: import ... except ImportError: f = None`: a task that runs has its function.
        real = [t for t in targets if not (isinstance(t, _Value) and _is_none(t.node))]
        found = [self._signature_of(target, node) for target in real or targets]
        name = _text(node)
        signature = _only(found, f"`{name}` may be one of several functions that differ")
        if signature is None:
            raise Unreadable(f"it cannot be told what `{name}` is")
        return signature

    def _signature_of(self, target: _Target, node: ast.expr) -> Signature:
        name = _text(node)
        match target:
            case _Function():
                return self._read(target)
            case _Value(node=ast.Call() as call, view=view):
                return self._signature_of_call(call, view)
            case _Outside(dotted=dotted):
                module = dotted.rpartition(".")[0]
                raise Unreadable(
                    f"`{name}` comes from `{module}`, which the wheel holds no source of"
                )
            case _Opaque(reason=reason):
                raise Unreadable(reason)
            case _Class(view=view):
                raise Unreadable(f"`{name}` is a class ({view.module.path}:{target.node.lineno})")
            case _ModuleOfWheel():
                raise Unreadable(f"`{name}` is a module")
            case _Value(view=view):
                place = f"{view.module.path}:{target.node.lineno}"
                raise Unreadable(f"`{_text(target.node)}` is not a function by name ({place})")

    def _signature_of_call(self, call: ast.Call, view: _View) -> Signature:
        place = f"{view.module.path}:{call.lineno}"
        if self._is_partial(call, view):
            return self._signature_of_partial(call, view)
        match call.args:
            case [function] if self._keeps(call.func, view):
                return self._signature(function, view)
        raise Unreadable(f"what `{_text(call.func)}(...)` returns is not known ({place})")

    def _signature_of_partial(self, call: ast.Call, view: _View) -> Signature:
        place = f"{view.module.path}:{call.lineno}"
        bound = {keyword.arg: keyword.value for keyword in call.keywords}
        unpacks = None in bound or any(isinstance(a, ast.Starred) for a in call.args)
        if not call.args or unpacks:
            raise Unreadable(f"it cannot be told what a `partial` binds ({place})")
        signature = self._signature(call.args[0], view)
        # What is bound by position cannot be given by keyword any more.
        positional = (p.name for p in signature.parameters if not p.is_keyword_only)
        gone = [*signature.positional_only, *positional][: len(call.args) - 1]
        parameters = {p.name: p for p in signature.parameters if p.name not in gone}
        for name, value in bound.items():
            assert name is not None
            if name in parameters:
                keyword_only = parameters[name].is_keyword_only
                parameter = self._parameter(name, value, [], view)
                parameters[name] = replace(parameter, is_bound=True, is_keyword_only=keyword_only)
            elif not signature.takes_any_keyword:
                raise Unreadable(
                    f"a `partial` binds `{name}`, which `{signature.function}()` does not take "
                    f"({place})"
                )
        return replace(
            signature,
            parameters=tuple(parameters.values()),
            positional_only=tuple(n for n in signature.positional_only if n not in gone),
        )

    def _read(self, function: _Function) -> Signature:
        node, view = function.node, function.view
        for decorator in reversed(node.decorator_list):
            if not self._keeps(decorator, view):
                raise Unreadable(
                    f"the decorator `{_text(decorator)}` may change what `{node.name}()` "
                    f"takes ({view.module.path}:{decorator.lineno})"
                )
        arguments = node.args
        positional = [*arguments.posonlyargs, *arguments.args]
        defaults: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
        pairs = [
            *zip(positional, [*defaults, *arguments.defaults], strict=True),
            *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
        ]
        return Signature(
            function=node.name,
            file=view.module.path,
            line=node.lineno,
            parameters=tuple(
                replace(
                    self._parameter(argument.arg, default, self._fields(argument, view), view),
                    is_keyword_only=argument in arguments.kwonlyargs,
                )
                for argument, default in pairs[len(arguments.posonlyargs) :]
            ),
            positional_only=tuple(argument.arg for argument in arguments.posonlyargs),
            takes_any_keyword=arguments.kwarg is not None,
        )

    # Decorators -------------------------------------------------------------------

    def _keeps(self, decorator: ast.expr, view: _View, called: bool = False) -> bool:
        """Whether what `decorator` makes of a function takes the same arguments.

        `called`: the decorator is what a call of `decorator` returns.
        """
        if isinstance(decorator, ast.Call):
            if self._is_partial(decorator, view) and decorator.args:
                return self._keeps(decorator.args[0], view)
            return not called and self._keeps(decorator.func, view, called=True)
        targets = self._targets(decorator, view)
        return bool(targets) and all(self._target_keeps(target, called) for target in targets)

    def _target_keeps(self, target: _Target, called: bool) -> bool:
        match target:
            case _Outside(dotted=dotted):
                package, _, rest = dotted.partition(".")
                name = rest.rpartition(".")[2]
                is_pydantic = package == "pydantic" and name in _PYDANTIC_DECORATORS
                return is_pydantic or dotted in _HARMLESS
            case _Function():
                return self._passes_on(target, called)
            case _Value(node=ast.Call() as node, view=view):
                return not called and self._keeps(node, view)
        return False

    def _passes_on(self, decorator: _Function, called: bool) -> bool:
        """Whether a decorator of the wheel returns the function, or a wrapper that is true to it.

        Such a wrapper is marked by `functools.wraps`, takes `*args, **kwargs` and calls
        the function with just these. `called`: `decorator` makes the decorator.
        """
        node = decorator.node
        results = list(_returned(node))
        given = [*node.args.posonlyargs, *node.args.args]
        if node.decorator_list or not results or not (given or called):
            return False
        view = self._inside(node, decorator.home)
        targets = [target for result in results for target in self._targets(result, view)]
        if called:
            return all(
                isinstance(target, _Function) and self._passes_on(target, called=False)
                for target in targets
            )
        function = given[0].arg
        return all(
            (isinstance(target, _Opaque) and target.parameter == function)
            or (isinstance(target, _Function) and self._is_true_wrapper(target, function))
            for target in targets
        )

    def _is_true_wrapper(self, wrapper: _Function, function: str) -> bool:
        node = wrapper.node
        match node.decorator_list, node.args:
            case (
                [ast.Call(func=wraps, args=[ast.Name(id=wrapped)])],
                ast.arguments(
                    posonlyargs=[],
                    args=[],
                    kwonlyargs=[],
                    vararg=ast.arg(arg=args),
                    kwarg=ast.arg(arg=kwargs),
                ),
            ) if wrapped == function and self._is(wraps, wrapper.view, "functools.wraps".__eq__):
                calls = {
                    _text(part)
                    for part in ast.walk(node)
                    if isinstance(part, ast.Call)
                    and isinstance(part.func, ast.Name)
                    and part.func.id == function
                }
                changes = any(_changed_name(part) == kwargs for part in ast.walk(node))
                return calls == {f"{function}(*{args}, **{kwargs})"} and not changes
        return False

    # Defaults ---------------------------------------------------------------------

    def _fields(self, argument: ast.arg, view: _View) -> list[tuple[ast.Call, _View]]:
        """The `Field(...)` of an annotation `Annotated[X, Field(...)]`."""
        if argument.annotation is None:
            return []
        fields = []
        for target in self._targets(argument.annotation, view):
            match target:
                case _Value(
                    node=ast.Subscript(value=kind, slice=ast.Tuple(elts=[_, *notes])), view=seen
                ) if self._is(kind, seen, lambda dotted: dotted.endswith(".Annotated")):
                    fields += [(n, seen) for n in notes if self._is_field(n, seen)]
        return [(node, seen) for node, seen in fields if isinstance(node, ast.Call)]

    def _is_field(self, node: ast.expr, view: _View) -> bool:
        return isinstance(node, ast.Call) and self._is(
            node.func,
            view,
            lambda dotted: dotted.startswith("pydantic.") and dotted.endswith(".Field"),
        )

    def _parameter(
        self,
        name: str,
        default: ast.expr | None,
        fields: Sequence[tuple[ast.Call, _View]],
        view: _View,
    ) -> Parameter:
        given = [*([(default, view)] if default is not None else []), *fields]
        for node, _ in given:
            if isinstance(node, ast.Call) and {"alias", "validation_alias"} & {
                keyword.arg for keyword in node.keywords
            }:
                raise Unreadable(
                    f"the parameter `{name}` has another name by its `Field(alias=...)`"
                )
        for node, seen in given:
            parameter = self._with_default(name, node, seen)
            if not parameter.required:
                return parameter
        return Parameter(name, required=True, has_simple_default=False)

    def _with_default(self, name: str, node: ast.expr, view: _View) -> Parameter:
        required = Parameter(name, required=True, has_simple_default=False)
        opaque = Parameter(name, required=False, has_simple_default=False)
        if isinstance(node, ast.Constant) and node.value is ...:
            return required
        if isinstance(node, ast.Call) and self._is_field(node, view):
            named = {keyword.arg: keyword.value for keyword in node.keywords}
            if None in named or any(isinstance(argument, ast.Starred) for argument in node.args):
                return opaque
            if (factory := named.get("default_factory")) is not None:
                for builtin, value in (("list", []), ("dict", {})):
                    if self._is(factory, view, f"builtins.{builtin}".__eq__):
                        return replace(
                            opaque, has_simple_default=True, default=value, default_is_made=True
                        )
                return opaque
            default = [*node.args, *([named["default"]] if "default" in named else [])]
            return self._with_default(name, default[0], view) if default else required
        try:
            return replace(opaque, has_simple_default=True, default=self._literal(node, view))
        except _NotSimple:
            return opaque

    def _literal(self, node: ast.expr, view: _View) -> Any:
        match node:
            case ast.Constant(value=None | bool() | str() as value):
                return value
            # Neither 1e999, which is infinite, nor an integer too long to be printed.
            case ast.Constant(value=int() | float() as value) if abs(value) < 1e300:
                return value
            case ast.UnaryOp(
                op=ast.USub() | ast.UAdd() as sign, operand=ast.Constant() as operand
            ):
                value = self._literal(operand, view)
                if isinstance(value, int | float) and not isinstance(value, bool):
                    return -value if isinstance(sign, ast.USub) else value
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                return [self._literal(element, view) for element in elements]
            case ast.Dict(keys=keys, values=values):
                names = [None if key is None else self._literal(key, view) for key in keys]
                if all(isinstance(name, str) for name in names):
                    return dict(zip(names, (self._literal(v, view) for v in values), strict=True))
            case ast.Name() | ast.Attribute():
                match self._targets(node, view):
                    case [_Value() as constant]:
                        return self._literal(constant.node, constant.view)
        raise _NotSimple


class _NotSimple(Exception):
    """A default that is no literal."""


def _text(node: ast.AST) -> str:
    """The source of `node`, for a message."""
    try:
        text = ast.unparse(node)
    except ValueError:  # an integer with more digits than Python will print
        return "..."
    return text if len(text) <= 100 else f"{text[:97]}..."


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _stem(module: _Module) -> str:
    return PurePosixPath(module.path).stem.replace("-", "_")


def _only(signatures: Sequence[Signature], otherwise: str) -> Signature | None:
    """The one signature, or the first of several that are alike; None if there is none."""
    if not signatures:
        return None
    first = signatures[0]
    for other in signatures[1:]:
        alike = replace(other, function=first.function, file=first.file, line=first.line)
        if repr(alike) != repr(first):  # not `==`, for which 1 is True
            raise Unreadable(f"{otherwise} ({first.file}:{first.line}, {other.file}:{other.line})")
    return first


def _own_nodes(function: _FunctionNode) -> Iterator[ast.AST]:
    """The nodes of a function's body, without those of the functions inside it."""
    waiting: list[ast.AST] = list(reversed(function.body))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, _FunctionNode | ast.ClassDef | ast.Lambda):
            waiting += reversed(list(ast.iter_child_nodes(node)))


def _returned(function: _FunctionNode) -> Iterator[ast.expr]:
    for node in _own_nodes(function):
        if isinstance(node, ast.Return):
            yield node.value or ast.Constant(None)


def _change(value: ast.expr, inside: _FunctionNode | ast.Module) -> int | None:
    """The line that changes the dictionary `value` in place, if any does."""
    if isinstance(value, ast.Name):
        for node in ast.walk(inside):
            if _changed_name(node) == value.id:
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
