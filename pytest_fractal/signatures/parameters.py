"""The parameters of a function in a wheel, read from its source and never by importing it.

Decorators and `partial` are followed, defaults are read where they are literals. Where
the source does not tell for certain, the answer is `Unreadable` with a reason.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pytest_fractal.signatures.names import WheelNames
from pytest_fractal.signatures.scopes import (
    Class,
    Function,
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
from pytest_fractal.signatures.sources import Unreadable


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
    """A `partial` or a runner gives it: the schema need not have it."""
    is_keyword_only: bool = field(default=False, compare=False, repr=False)
    choices: tuple[str | int | None, ...] = field(default=(), compare=False, repr=False)
    """The values of a `Literal[...]` that annotates it; empty for any other annotation."""


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
    dropped: frozenset[str] = frozenset()
    """Arguments that a runner takes out before it calls the function."""
    doubt: str | None = None
    """Why the function may be called with other arguments than those of the task."""


_PYDANTIC_DECORATORS: Final = ("validate_arguments", "validate_call")
_HARMLESS: Final = frozenset(
    {
        "functools.cache",
        "functools.lru_cache",
        "typing.no_type_check",
        "typing_extensions.deprecated",
        "warnings.deprecated",
        "torch.no_grad",
        "torch.inference_mode",
    }
)


class SignatureReader:
    """Reads the signatures of functions among these names."""

    def __init__(self, names: WheelNames) -> None:
        self._names = names

    def read(self, node: ast.expr, view: View) -> Signature:
        """The signature of the function that `node` stands for, or raises `Unreadable`."""
        targets = self._names.targets(node, view)
        # `try: import ... except ImportError: f = None`: a task that runs has its function.
        real = [t for t in targets if not (isinstance(t, Value) and _is_none(t.node))]
        found = [self._signature_of(target, node) for target in real or targets]
        name = source_text(node)
        signature = only_one(found, f"`{name}` may be one of several functions that differ")
        if signature is None:
            raise Unreadable(f"it cannot be known what `{name}` is")
        return signature

    def _signature_of(self, target: Target, node: ast.expr) -> Signature:
        name = source_text(node)
        match target:
            case Function():
                return self.read_function(target)
            case Value(node=ast.Call() as call, view=view):
                return self._signature_of_call(call, view)
            case Outside(dotted=dotted):
                module = dotted.rpartition(".")[0]
                raise Unreadable(
                    f"`{name}` comes from `{module}`, which the wheel holds no source of"
                )
            case Opaque(reason=reason):
                raise Unreadable(reason)
            case Class(view=view):
                raise Unreadable(f"`{name}` is a class ({view.module.path}:{target.node.lineno})")
            case ModuleOfWheel():
                raise Unreadable(f"`{name}` is a module")
            case Value(view=view):
                place = f"{view.module.path}:{target.node.lineno}"
                raise Unreadable(
                    f"`{source_text(target.node)}` is not a function by name ({place})"
                )

    def _signature_of_call(self, call: ast.Call, view: View) -> Signature:
        place = f"{view.module.path}:{call.lineno}"
        if self._names.is_partial(call, view):
            return self._signature_of_partial(call, view)
        match call.args:
            case [function] if self.preserves_signature(call.func, view):
                return self.read(function, view)
        raise Unreadable(f"what `{source_text(call.func)}(...)` returns is not known ({place})")

    def _signature_of_partial(self, call: ast.Call, view: View) -> Signature:
        place = f"{view.module.path}:{call.lineno}"
        bound = {keyword.arg: keyword.value for keyword in call.keywords}
        unpacks = None in bound or any(isinstance(a, ast.Starred) for a in call.args)
        if not call.args or unpacks:
            raise Unreadable(f"it cannot be known what a `partial` binds ({place})")
        signature = self.read(call.args[0], view)
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

    def read_function(self, function: Function) -> Signature:
        """The signature of this very function, or raises `Unreadable`."""
        node, view = function.node, function.view
        for decorator in reversed(node.decorator_list):
            if not self.preserves_signature(decorator, view):
                raise Unreadable(
                    f"the decorator `{source_text(decorator)}` may change what `{node.name}()` "
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
                    self.parameter(argument, default, view),
                    is_keyword_only=argument in arguments.kwonlyargs,
                )
                for argument, default in pairs[len(arguments.posonlyargs) :]
            ),
            positional_only=tuple(argument.arg for argument in arguments.posonlyargs),
            takes_any_keyword=arguments.kwarg is not None,
        )

    # Decorators -------------------------------------------------------------------

    def preserves_signature(self, decorator: ast.expr, view: View, called: bool = False) -> bool:
        """Whether what `decorator` makes of a function takes the same arguments.

        `called`: the decorator is what a call of `decorator` returns.
        """
        if isinstance(decorator, ast.Call):
            if self._names.is_partial(decorator, view) and decorator.args:
                return self.preserves_signature(decorator.args[0], view)
            return not called and self.preserves_signature(decorator.func, view, called=True)
        targets = self._names.targets(decorator, view)
        return bool(targets) and all(self._target_keeps(target, called) for target in targets)

    def _target_keeps(self, target: Target, called: bool) -> bool:
        match target:
            case Outside(dotted=dotted):
                package, _, rest = dotted.partition(".")
                name = rest.rpartition(".")[2]
                is_pydantic = package == "pydantic" and name in _PYDANTIC_DECORATORS
                return is_pydantic or dotted in _HARMLESS
            case Function():
                return self.is_transparent(target, called)
            case Value(node=ast.Call() as node, view=view):
                return not called and self.preserves_signature(node, view)
        return False

    def is_transparent(self, decorator: Function, called: bool) -> bool:
        """Whether a decorator of the wheel returns the function, or a wrapper that is true to it.

        Such a wrapper is marked by `functools.wraps`, takes `*args, **kwargs` and calls
        the function with just these. `called`: `decorator` makes the decorator.
        """
        node = decorator.node
        results = list(returned(node))
        given = [*node.args.posonlyargs, *node.args.args]
        if node.decorator_list or not results or not (given or called):
            return False
        view = self._names.inside(node, decorator.home)
        targets = [target for result in results for target in self._names.targets(result, view)]
        if called:
            return all(
                isinstance(target, Function) and self.is_transparent(target, called=False)
                for target in targets
            )
        function = given[0].arg
        return all(
            (isinstance(target, Opaque) and target.parameter == function)
            or (isinstance(target, Function) and self._is_true_wrapper(target, function))
            for target in targets
        )

    def _is_true_wrapper(self, wrapper: Function, function: str) -> bool:
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
            ) if wrapped == function and self._names.is_outside(
                wraps, wrapper.view, "functools.wraps".__eq__
            ):
                calls = {
                    source_text(part)
                    for part in ast.walk(node)
                    if isinstance(part, ast.Call)
                    and isinstance(part.func, ast.Name)
                    and part.func.id == function
                }
                changes = any(changed_name(part) == kwargs for part in ast.walk(node))
                return calls == {f"{function}(*{args}, **{kwargs})"} and not changes
        return False

    # Defaults ---------------------------------------------------------------------

    def _fields(self, argument: ast.arg, view: View) -> list[tuple[ast.Call, View]]:
        """The `Field(...)` of an annotation `Annotated[X, Field(...)]`."""
        if argument.annotation is None:
            return []
        fields = []
        for target in self._names.targets(argument.annotation, view):
            match target:
                case Value(
                    node=ast.Subscript(value=kind, slice=ast.Tuple(elts=[_, *notes])), view=seen
                ) if self._names.is_outside(
                    kind, seen, lambda dotted: dotted.endswith(".Annotated")
                ):
                    fields += [(n, seen) for n in notes if self._is_field(n, seen)]
        return [(node, seen) for node, seen in fields if isinstance(node, ast.Call)]

    def _is_field(self, node: ast.expr, view: View) -> bool:
        return isinstance(node, ast.Call) and self._names.is_outside(
            node.func,
            view,
            lambda dotted: dotted.startswith("pydantic.") and dotted.endswith(".Field"),
        )

    def parameter(self, argument: ast.arg, default: ast.expr | None, view: View) -> Parameter:
        """One parameter of a function or field of a class, or raises `Unreadable`."""
        parameter = self._parameter(argument.arg, default, self._fields(argument, view), view)
        return replace(parameter, choices=self._choices(argument, view))

    def _choices(self, argument: ast.arg, view: View) -> tuple[str | int | None, ...]:
        if argument.annotation is None:
            return ()
        match self._names.targets(argument.annotation, view):
            case [Value(node=ast.Subscript(value=kind, slice=inner), view=seen)] if (
                self._names.is_outside(kind, seen, lambda dotted: dotted.endswith(".Literal"))
            ):
                elements = inner.elts if isinstance(inner, ast.Tuple) else [inner]
                values = [e.value for e in elements if isinstance(e, ast.Constant)]
                plain = [v for v in values if v is None or isinstance(v, str | int)]
                return tuple(plain) if len(plain) == len(elements) else ()
        return ()

    def _parameter(
        self,
        name: str,
        default: ast.expr | None,
        fields: Sequence[tuple[ast.Call, View]],
        view: View,
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

    def _with_default(self, name: str, node: ast.expr, view: View) -> Parameter:
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
                    if self._names.is_outside(factory, view, f"builtins.{builtin}".__eq__):
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

    def _literal(self, node: ast.expr, view: View) -> Any:
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
                match self._names.targets(node, view):
                    case [Value() as constant]:
                        return self._literal(constant.node, constant.view)
        raise _NotSimple


class _NotSimple(Exception):
    """A default that is no literal."""


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def only_one(signatures: Sequence[Signature], otherwise: str) -> Signature | None:
    """The one signature, or the first of several that are alike; None if there is none."""
    if not signatures:
        return None
    first = signatures[0]
    for signature in signatures[1:]:
        alike = replace(signature, function=first.function, file=first.file, line=first.line)
        if repr(alike) != repr(first):  # not `==`, for which 1 is True
            raise Unreadable(
                f"{otherwise} ({first.file}:{first.line}, {signature.file}:{signature.line})"
            )
    return first
