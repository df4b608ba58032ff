"""The arguments that a class takes, as in `Arguments(**json.load(file))`.

Of classes that say so plainly: dataclasses, pydantic models, and those with an `__init__` of
their own. Where the source does not tell for certain, the answer is `Unreadable`.
"""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import Final

from pytest_fractal.signatures.names import WheelNames
from pytest_fractal.signatures.parameters import Parameter, Signature, SignatureReader
from pytest_fractal.signatures.scopes import Class, Function, FunctionNode, View, source_text
from pytest_fractal.signatures.sources import Unreadable

_DATACLASS: Final = frozenset({"dataclasses.dataclass", "pydantic.dataclasses.dataclass"})
_MODEL: Final = "pydantic.BaseModel"
_HARMLESS: Final = frozenset(
    {
        "arbitrary_types_allowed",
        "extra",
        "frozen",
        "protected_namespaces",
        "title",
        "validate_default",
    }
)
"""Settings of a pydantic model that change no name."""
_MOST_BASES: Final = 20


class ConstructorReader:
    """Reads what the classes among these names take."""

    def __init__(self, names: WheelNames, signatures: SignatureReader) -> None:
        self._names = names
        self._signatures = signatures

    def read(self, made: Class) -> Signature:
        """What `made(...)` takes, or raises `Unreadable`."""
        node = made.node
        own = next((m for m in node.body if _is_method(m, "__init__")), None)
        if isinstance(own, FunctionNode):
            if node.bases or node.keywords or node.decorator_list:
                raise self._unreadable(made, "has more than an `__init__` of its own")
            return self._of_init(made, own)
        fields: dict[str, Parameter] = {}
        kinds = self._collect(made, fields, _MOST_BASES)
        return Signature(
            function=node.name,
            file=made.view.module.path,
            line=node.lineno,
            parameters=tuple(fields.values()),
            # A model ignores what it does not know, unless it says otherwise.
            takes_any_keyword=kinds == "model" and not self._forbids(made),
        )

    def _of_init(self, made: Class, init: FunctionNode) -> Signature:
        if init.decorator_list or not (init.args.posonlyargs or init.args.args):
            raise self._unreadable(made, "has an `__init__` of an unusual form")
        signature = self._signatures.read_function(Function(init, made.view, made.view))
        if init.args.posonlyargs:
            signature = replace(signature, positional_only=signature.positional_only[1:])
        else:
            signature = replace(signature, parameters=signature.parameters[1:])
        return replace(signature, function=made.node.name)

    def _collect(self, made: Class, fields: dict[str, Parameter], left: int) -> str:
        """Add the fields of a class and of those that it is made of; returns its kind."""
        node, view = made.node, made.view
        if not left or any(_is_method(m, "__init__", "__new__") for m in node.body):
            raise self._unreadable(made, "has a constructor that cannot be followed")
        kind = self._kind_by_decorator(made)
        for base in node.bases:
            match self._names.targets(base, view):
                case [Class() as inherited]:
                    found = self._collect(inherited, fields, left - 1)
                case _ if self._names.is_outside(base, view, _MODEL.__eq__):
                    found = "model"
                case _:
                    raise self._unreadable(made, f"is made of `{source_text(base)}`")
            if kind not in ("", found):
                raise self._unreadable(made, "is made of classes of several kinds")
            kind = found
        if not kind:
            raise self._unreadable(made, "does not say what it takes")
        for statement in node.body:
            match statement:
                case ast.AnnAssign(target=ast.Name(id=name)):
                    if not self._is_for_the_class(statement.annotation, view):
                        self._add_field(made, kind, name, statement, fields)
                case ast.FunctionDef(name=name) if _changes_arguments(statement):
                    raise self._unreadable(made, f"changes its arguments in `{name}()`")
        if kind == "model" and not _HARMLESS.issuperset(self._settings(made)):
            raise self._unreadable(made, "has settings that may give its fields other names")
        return kind

    def _kind_by_decorator(self, made: Class) -> str:
        match made.node.decorator_list:
            case []:
                return ""
            case [ast.Call(func=decorator, keywords=options)]:
                if any(option.arg in ("init", None) for option in options):
                    raise self._unreadable(made, "may have no `__init__`")
            case [decorator]:
                pass
            case _:
                raise self._unreadable(made, "has several decorators")
        if not self._names.is_outside(decorator, made.view, _DATACLASS.__contains__):
            raise self._unreadable(made, f"is decorated by `{source_text(decorator)}`")
        return "dataclass"

    def _is_for_the_class(self, annotation: ast.expr, view: View) -> bool:
        """Whether an annotation is one of no field: `ClassVar[...]` or `KW_ONLY`."""
        if isinstance(annotation, ast.Constant):
            return "ClassVar" in str(annotation.value) or "KW_ONLY" in str(annotation.value)
        whole = annotation.value if isinstance(annotation, ast.Subscript) else annotation
        return self._names.is_outside(
            whole, view, lambda dotted: dotted.endswith((".ClassVar", ".KW_ONLY"))
        )

    def _add_field(
        self,
        made: Class,
        kind: str,
        name: str,
        statement: ast.AnnAssign,
        fields: dict[str, Parameter],
    ) -> None:
        default, view = statement.value, made.view
        if kind == "model" and name.startswith("_"):
            return
        if kind == "model" and default is None and _may_be_none(statement.annotation):
            raise self._unreadable(made, f"may need no `{name}`")  # pydantic 1 makes it None
        if (
            kind == "dataclass"
            and isinstance(default, ast.Call)
            and self._names.is_outside(default.func, view, "dataclasses.field".__eq__)
        ):
            options = {keyword.arg: keyword.value for keyword in default.keywords}
            if "init" in options:
                raise self._unreadable(made, f"may not take `{name}`")
            if "default_factory" in options:
                fields[name] = Parameter(name, required=False, has_simple_default=False)
                return
            default = options.get("default")
        argument = ast.arg(name, statement.annotation)
        fields[name] = replace(
            self._signatures.parameter(argument, default, view), is_keyword_only=True
        )

    def _forbids(self, made: Class) -> bool:
        extra = self._settings(made).get("extra")
        if extra is not None:
            return "forbid" in source_text(extra)
        inherited = [t for base in made.node.bases for t in self._names.targets(base, made.view)]
        return any(self._forbids(base) for base in inherited if isinstance(base, Class))

    def _settings(self, made: Class) -> dict[str | None, ast.expr]:
        """Settings of a pydantic model: in its class line, `model_config` or `class Config`."""
        found: dict[str | None, ast.expr] = {k.arg: k.value for k in made.node.keywords}
        for statement in made.node.body:
            match statement:
                case (
                    ast.Assign(targets=[ast.Name(id="model_config")], value=value)
                    | ast.AnnAssign(target=ast.Name(id="model_config"), value=value)
                ):
                    if isinstance(value, ast.Call) and not value.args:
                        found |= {keyword.arg: keyword.value for keyword in value.keywords}
                    elif isinstance(value, ast.Dict):
                        for key, setting in zip(value.keys, value.values, strict=True):
                            name = str(key.value) if isinstance(key, ast.Constant) else None
                            found[name] = setting
                    else:
                        found[None] = ast.Constant(None)
                case ast.ClassDef(name="Config", body=body):
                    for line in body:
                        match line:
                            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                                found[name] = value
        return found

    @staticmethod
    def _unreadable(made: Class, reason: str) -> Unreadable:
        place = f"{made.view.module.path}:{made.node.lineno}"
        return Unreadable(f"the class `{made.node.name}` {reason} ({place})")


def _is_method(statement: ast.stmt, *names: str) -> bool:
    return isinstance(statement, FunctionNode) and statement.name in names


def _changes_arguments(method: ast.FunctionDef) -> bool:
    """Whether a validator sees the arguments before the fields are looked for."""
    for decorator in method.decorator_list:
        text = source_text(decorator)
        if "root_validator" in text or ("model_validator" in text and "after" not in text):
            return True
    return False


def _may_be_none(annotation: ast.expr) -> bool:
    return any(
        (
            isinstance(part, ast.Constant)
            and (part.value is None or "None" in str(part.value) or "Optional" in str(part.value))
        )
        or (
            isinstance(part, ast.Name | ast.Attribute)
            and source_text(part).endswith(("Optional", "Any"))
        )
        for part in ast.walk(annotation)
    )
