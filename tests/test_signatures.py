"""What is read from the source of a task: its function, and the parameters of that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from textwrap import dedent
from typing import Any

import pytest

from pytest_fractal.signatures.sources import Sources, Unreadable
from pytest_fractal.signatures.task_function import Parameter, Signature, Signatures

DEFINED = """
    def demo(*, sigma: float, level: int = 2):
        pass
"""


def read(task: str | bytes, name: str = "tasks/demo.py", **others: str) -> Signature:
    """The signature that `task` has as the executable `name`; in `others`, `__` is a slash."""
    files = {f"pkg/{name}": task if isinstance(task, bytes) else dedent(task).encode()}
    for other, source in others.items():
        files[other.replace("__", "/").replace("/init/", "/__init__") + ".py"] = dedent(
            source
        ).encode()
    return Signatures(Sources(files), "pkg").of(name)


def names(signature: Signature) -> list[str]:
    return [parameter.name for parameter in signature.parameters]


def run(function: str) -> str:
    return f"""
from somewhere import run_fractal_task
if __name__ == "__main__":
    run_fractal_task(task_function={function}, logger_name="x")
"""


# Which function -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        "from lib.utils import run_fractal_task\nrun_fractal_task(task_function=other)",
        "from lib.utils import run_fractal_task\nrun_fractal_task(other)",
        "from lib.utils import run_fractal_task as go\ngo(task_function=other)",
        "import lib.utils as u\nu.run_fractal_task(task_function=other)",
        "import lib.utils\nlib.utils.run_fractal_task(logger_name=1, task_function=other)",
        "from lib.utils import run_fractal_task\ngo = run_fractal_task\ngo(other)",
        "import lib\ngo = lib.run_fractal_task\ngo(other)",
        "def main():\n    from lib import run_fractal_task\n    run_fractal_task(other)\nmain()",
        "def main():\n    task = other\n    return run_fractal_task(task_function=task)",
        "from functools import partial\npartial(run_fractal_task, task_function=other)()",
        "from functools import partial\npartial(run_fractal_task, other)()",
        "run_fractal_task(task_function=other)\nrun_fractal_task(task_function=other)",
        "if __name__ == '__main__':\n    run_fractal_task(task_function=other)",
        "try:\n    pass\nfinally:\n    run_fractal_task(task_function=other)",
    ],
)
def test_the_function_handed_to_run_fractal_task_comes_first(call: str) -> None:
    signature = read(f"def demo(x): pass\ndef other(y): pass\n{call}\n")
    assert (signature.function, names(signature), signature.line) == ("other", ["y"], 2)


@pytest.mark.parametrize(
    "wrapped",
    [
        "pydantic.validate_arguments(other)",
        "pydantic.validate_call(other)",
        "pydantic.validate_call(config={'a': 1})(other)",
        "pydantic.deprecated.decorator.validate_arguments(other)",
        "functools.lru_cache(maxsize=None)(other)",
        "functools.partial(other)",
        "kept(other)",
    ],
)
def test_a_function_in_a_known_wrapper_is_read(wrapped: str) -> None:
    source = "import functools, pydantic\nkept = pydantic.validate_call\ndef other(y): pass\n"
    assert names(read(source + run(wrapped))) == ["y"]


def test_a_wrapped_function_may_keep_its_name() -> None:
    source = "from pydantic import validate_call\ndef demo(y): pass\ndemo = validate_call(demo)\n"
    assert names(read(source + run("demo"))) == ["y"]


@pytest.mark.parametrize("name", ["tasks/demo.py", "demo.py", "a/b/demo.py", "tasks/demo"])
def test_a_function_with_the_name_of_the_file_is_the_task(name: str) -> None:
    signature = read("#!/usr/bin/env python\ndef demo(a): pass\ndef other(b): pass\n", name)
    assert (signature.function, signature.file) == ("demo", f"pkg/{name}")


def test_a_dash_in_the_name_of_the_file_is_an_underscore() -> None:
    assert names(read("def my_task(a): pass", "tasks/my-task.py")) == ["a"]


def test_a_function_with_the_name_of_the_file_may_be_imported() -> None:
    signature = read("from pkg.lib import demo", pkg__lib="def demo(a): pass")
    assert (signature.file, names(signature)) == ("pkg/lib.py", ["a"])


def test_a_runner_of_the_package_may_get_the_function() -> None:
    source = "from pkg.cli import run\ndef demo(a): pass\nrun(demo)"
    assert names(read(source, pkg__cli="def run(f): pass")) == ["a"]


@pytest.mark.parametrize(
    "main",
    [
        "f(**json.load(open(p)))",
        "args = json.load(open(p))\nf(**args)",
        "with open(p) as fh:\n    args: dict = json.load(fh)\nout = f(**args)",
        "from json import loads\ndef main():\n    args = loads(p.read_text())\n    f(**args)",
        "def load():\n    with open(p) as fh:\n        return json.load(fh)\nf(**load())",
        "def main(args):\n    f(**args)\nmain(json.load(open(p)))",
        "def main(args):\n    f(**args)\nmain(args=json.load(open(p)))",
        "class Args: pass\nargs = json.load(open(p))\nprint(Args(**args))\nf(**args)",
        "args = json.load(open(p))\ndict(**args)\nf(**args)",
    ],
)
@pytest.mark.parametrize(
    "given", ["def f(a): pass", "from pkg.lib import f", "import pkg.lib\nf = pkg.lib.f"]
)
def test_a_function_called_with_the_arguments_that_were_read_is_the_task(
    given: str, main: str
) -> None:
    assert names(read(f"import json\n{given}\n{main}", pkg__lib="def f(a): pass")) == ["a"]


def test_a_helper_with_the_name_of_the_file_is_not_taken_for_the_task() -> None:
    source = "import json\ndef demo(image): pass\ndef f(a): demo(a + 1)\nf(**json.load(p))"
    assert read(source).function == "f"


def test_a_constant_with_the_name_of_the_file_is_not_taken_for_the_task() -> None:
    assert read("import json\ndemo = 3\ndef f(a): pass\nf(**json.load(p))").function == "f"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("x = 1", "it cannot be known which function"),
        ("def main(): pass", "no `demo()`"),
        ("def demo(args): pass\ndemo(json.load(p))", "demo.py:2 calls `demo()` with arguments"),
        ("def demo(a): pass\ndemo(a=json.load(p)['a'])", "of its own choice"),
        ("def demo(j): pass\nimport fire\nfire.Fire(demo)", "hands `demo()` to `fire.Fire()`"),
        ("import typer\ndef demo(j): pass\ntyper.run(demo)", "hands `demo()` to `typer.run()`"),
        ("def demo(a): pass\ndemo(**vars(ns))", "something else than the arguments file"),
        ("def demo(a): pass\ndef main(**kw):\n    demo(**kw)", "something else"),
        ("import json\ndef demo(a): pass\nx = json.load(p)\nx.pop('b')\ndemo(**x)", "demo.py:4"),
        ("import json\ndef demo(a): pass\nx = json.load(p)\ndel x['b']\ndemo(**x)", "demo.py:4"),
        ("import json\ndef f(a): pass\nx = json.load(p)\nx['b'] = 1\nf(**x)", "which function"),
        ("import json\nfrom lib import f\nf(**json.load(p))", "`f` comes from `lib`"),
        (
            "import json\ndef f(a): pass\ndef g(b): pass\nx = json.load(p)\nf(**x)\ng(**x)",
            "calls different functions",
        ),
        ("def f(a): pass\ndef g(b): pass" + run("f") + run("g"), "hands different functions"),
        (run("**x").replace("task_function=", ""), "does not tell which function"),
        ("def main(task):" + run("task").replace("\n", "\n    "), "is a parameter of `main()`"),
    ],
)
def test_a_function_that_is_not_known_is_not_guessed(source: str, reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read(source)
    assert reason in str(caught.value)


# Where it is defined ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("imported", "function"),
    [
        ("from pkg.lib.impl import work", "work"),
        ("from pkg.lib.impl import work as f", "f"),
        ("from ..lib.impl import work as f", "f"),
        ("from ..lib import impl", "impl.work"),
        ("from pkg.lib import impl as m", "m.work"),
        ("import pkg.lib.impl as m", "m.work"),
        ("import pkg.lib.impl", "pkg.lib.impl.work"),
        ("from pkg import reexported as f", "f"),
        ("import pkg", "pkg.reexported"),
        ("from pkg.lib.impl import *", "work"),
        ("from numpy import *\nfrom pkg.lib.impl import *", "work"),
        ("import pkg.lib.impl as m\nf = m.work", "f"),
        ("from chained import again as f", "f"),
        ("try:\n    from pkg.lib.impl import work as f\nexcept ImportError:\n    f = None", "f"),
    ],
)
def test_names_are_followed_through_the_files_of_the_wheel(imported: str, function: str) -> None:
    signature = read(
        imported + run(function),
        pkg__init__="from .lib.impl import work as reexported",
        pkg__lib__init__="",
        pkg__lib__impl="def work(a): pass",
        pkg__tasks__chained="from pkg import reexported\nagain = reexported",
    )
    assert (signature.function, signature.file) == ("work", "pkg/lib/impl.py")


def test_a_module_next_to_the_script_is_imported_as_python_does() -> None:
    source = "from helper import work" + run("work")
    signature = read(source, pkg__tasks__helper="def work(a): pass", helper="def work(b): pass")
    assert names(signature) == ["a"]


def test_a_function_named_like_its_module_is_found_in_the_package() -> None:
    source = "from pkg.lib import work" + run("work")
    others = {"pkg__lib__init__": "from .work import work", "pkg__lib__work": "def work(a): pass"}
    assert names(read(source, **others)) == ["a"]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("from numpy.random import work", "`work` comes from `numpy.random`"),
        ("import numpy\nwork = numpy.abs", "`work` comes from `numpy`"),
        ("from numpy import *", "`work` comes from `numpy`"),
        ("from scipy import *\nfrom numpy import *", "may come from `numpy`"),
        ("from pkg.lib import work", "pkg/lib.py does not define `work`"),
        ("from pkg.circle import work", "in a circle"),
        ("from pkg import lib as work", "is a module"),
        ("", "does not define `work`"),
        ("class work: pass", "is a class"),
        ("class Work: pass\nwork = Work()", "what `Work(...)` returns is not known"),
        ("work = lambda a: a", "is not a function by name"),
        ("work = TABLE['x']", "is not a function by name"),
        ("work, other = pair()", "the value of `work` cannot be known"),
        ("for work in functions: pass", "the value of `work` cannot be known"),
        ("from pkg.broken import work", "pkg/broken.py:1 is not Python that can be read"),
        ("if x:\n    def work(a): pass\nelse:\n    def work(b): pass", "one of several"),
        ("def work(a): pass\nif x:\n    def work(a=1): pass", "one of several"),
        ("def work(a=1): pass\nif x:\n    def work(a=True): pass", "one of several"),
        ("try:\n    from lib import work\nexcept ImportError:\n    def work(a): pass", "`lib`"),
    ],
)
def test_a_definition_that_is_not_known_is_not_guessed(source: str, reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read(
            source + run("work"),
            pkg__lib="",
            pkg__broken="def work(:",
            pkg__circle="from pkg.round import work",
            pkg__round="from pkg.circle import work",
        )
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    "source",
    [
        "def demo(b): pass\ndef demo(a): pass",
        "if x:\n    def demo(a): pass\nelse:\n    def demo(a): pass",
        "if x:\n    def demo(a): pass",
        "if TYPE_CHECKING:\n    def demo(b): pass\nelse:\n    def demo(a): pass",
        "if __name__ == '__main__':\n    def demo(a): pass\nelse:\n    def demo(b): pass",
        "if '__main__' != __name__:\n    def demo(b): pass\nelse:\n    def demo(a): pass",
        "try:\n    import x\n    def demo(a): pass\nexcept ImportError:\n    raise",
        "with x:\n    def demo(a): pass",
        "match x:\n    case 1:\n        def demo(a): pass",
        "demo = None\nasync def demo(a): pass",
    ],
)
def test_the_last_definition_counts(source: str) -> None:
    assert names(read(source + run("demo"))) == ["a"]


def test_what_an_imported_module_defines_for_itself_as_a_script_does_not_count() -> None:
    lib = "def work(a): pass\nif __name__ == '__main__':\n    def work(b): pass"
    assert names(read("from pkg.lib import work" + run("work"), pkg__lib=lib)) == ["a"]


# Its parameters -----------------------------------------------------------------------


def test_every_kind_of_parameter() -> None:
    signature = read(
        """
        def demo(p, q=1, /, a=2, *args, b, c: int = 3, **kwargs):
            pass
        """
    )
    assert signature == Signature(
        function="demo",
        file="pkg/tasks/demo.py",
        line=2,
        parameters=(
            Parameter("a", False, True, 2),
            Parameter("b", True, False),
            Parameter("c", False, True, 3),
        ),
        positional_only=("p", "q"),
        takes_any_keyword=True,
    )


@pytest.mark.parametrize(
    ("default", "value"),
    [
        ("None", None),
        ("True", True),
        ("-1", -1),
        ("+2.5", 2.5),
        ("'a' 'b'", "ab"),
        ("('a', 'b')", ["a", "b"]),
        ("[(1, None), []]", [[1, None], []]),
        ("{'a': [1], 'b': {}}", {"a": [1], "b": {}}),
        ("CONSTANT", ["x", -1]),
        ("lib.IMPORTED", 7),
        ("Field(default=3, ge=1)", 3),
        ("Field('x', title='t')", "x"),
        ("pydantic.Field(default=CONSTANT)", ["x", -1]),
        ("Field(default=None)", None),
    ],
)
def test_a_literal_is_a_simple_default(default: str, value: Any) -> None:
    source = "from pydantic import Field\nimport pydantic\nimport pkg.lib as lib\n"
    source += f"CONSTANT = ('x', -1)\ndef demo(a={default}): pass\nCONSTANT = 2"
    (parameter,) = read(source, pkg__lib="IMPORTED = 7").parameters
    assert parameter == Parameter("a", False, True, value)
    assert type(parameter.default) is type(value)


@pytest.mark.parametrize(("factory", "value"), [("list", []), ("dict", {})])
def test_an_empty_default_may_be_made(factory: str, value: Any) -> None:
    source = f"from pydantic import Field\ndef demo(a=Field(default_factory={factory})): pass"
    assert read(source).parameters == (Parameter("a", False, True, value, default_is_made=True),)


@pytest.mark.parametrize(
    "default",
    [
        "Model()",
        "Enum.MEMBER",
        "b'x'",
        "1j",
        "1e999",
        "1 + 1",
        "{1, 2}",
        "{1: 2}",
        "-True",
        "f'{x}'",
        "[*x]",
        "{**x}",
        "x if y else z",
        "lambda: 1",
        "UNKNOWN",
        "TWICE",
        "CHANGED",
        "GROWN",
        "Field(default_factory=make)",
        "Field(**options)",
        "9" * 400,
    ],
)
def test_anything_else_is_a_default_that_is_not_simple(default: str) -> None:
    source = """
from pydantic import Field
if x:
    TWICE = 1
else:
    TWICE = 2
CHANGED = 1
CHANGED += 1
GROWN = ["a"]
GROWN.append("b")
"""
    assert read(f"{source}\ndef demo(a={default}): pass").parameters == (
        Parameter("a", False, False),
    )


@pytest.mark.parametrize(
    "parameter",
    [
        "a",
        "a: int",
        "a: Annotated[int, Field(ge=1)]",
        "a: int = Field(...)",
        "a: int = Field(ge=1)",
        "a: int = Field(default=...)",
        "a: int = ...",
    ],
)
def test_a_parameter_without_a_default_is_required(parameter: str) -> None:
    source = "from typing import Annotated\nfrom pydantic import Field\n"
    (found,) = read(f"{source}def demo({parameter}): pass").parameters
    assert found == Parameter("a", True, False)


@pytest.mark.parametrize(
    "parameter",
    [
        "a: Annotated[int, Field(default=5)]",
        "a: t.Annotated[int, 'note', Field(5)]",
        "a: Number",
        "a: Annotated[int, Field(default=3)] = 5",
        "a: Annotated[int, Field(ge=3)] = 5",
    ],
)
def test_an_annotation_may_hold_the_default(parameter: str) -> None:
    source = "import typing as t\nfrom typing import Annotated\nfrom pydantic import Field\n"
    source += "Number = Annotated[int, Field(default=5)]\n"
    (found,) = read(f"{source}def demo({parameter}): pass").parameters
    assert found == Parameter("a", False, True, 5)


def test_a_parameter_with_an_alias_is_not_guessed() -> None:
    with pytest.raises(Unreadable, match="another name"):
        read("from pydantic import Field\ndef demo(a=Field(1, alias='b')): pass")


def test_keywords_bound_by_partial_get_that_default() -> None:
    source = "from functools import partial\ndef f(a, b, c=1): pass\ntask = partial(f, b=[2])\n"
    assert read(source + run("task")).parameters == (
        Parameter("a", True, False),
        Parameter("b", False, True, [2], is_bound=True),
        Parameter("c", False, True, 1),
    )
    assert names(read(source + run("partial(f, b=make())"))) == ["a", "b", "c"]


def test_what_partial_binds_by_position_cannot_be_given_by_keyword() -> None:
    source = "from functools import partial\ndef f(p, /, a, b, *, c): pass\n"
    signature = read(source + run("partial(f, 1, 2)"))
    assert (names(signature), signature.positional_only) == (["b", "c"], ())
    assert names(read(source + run("partial(partial(f, 1), 2, 3)"))) == ["c"]


@pytest.mark.parametrize("bound", ["*x", "**x", "unknown=1"])
def test_other_partials_are_not_guessed(bound: str) -> None:
    source = "import functools\ndef f(a, b): pass\n" + run(f"functools.partial(f, {bound})")
    with pytest.raises(Unreadable, match="a `partial` binds"):
        read(source)


# Decorators ---------------------------------------------------------------------------

TRUE_DECORATORS = """
import functools
from functools import wraps
def plain(func):
    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        print("start")
        result = func(*args, **kwargs)
        return result
    return wrapper
def with_options(name, level=3):
    def decorate(func):
        @wraps(func)
        async def wrapper(*args, **kwargs):
            return await func(*args, **kwargs)
        return wrapper
    return decorate
def register(func):
    TASKS.append(func)
    return func
"""
FALSE_DECORATORS = """
import functools
def unmarked(func):
    def wrapper(*args, **kwargs):
        return func(*args, **kwargs)
    return wrapper
def injecting(func):
    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        return func(*args, logger=1, **kwargs)
    return wrapper
def dropping(func):
    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        kwargs.pop("x")
        return func(*args, **kwargs)
    return wrapper
def narrowing(func):
    @functools.wraps(func)
    def wrapper(a):
        return func(a)
    return wrapper
def replacing(func):
    return print
def nothing(func):
    pass
class instance:
    pass
"""


@pytest.mark.parametrize(
    "decorator",
    [
        "validate_arguments",
        "validate_arguments(config=dict(arbitrary_types_allowed=True))",
        "pydantic.validate_call",
        "pydantic.validate_call(validate_return=True)",
        "pydantic.v1.validate_arguments",
        "v1.decorator.validate_arguments",
        "validated",
        "either",
        "functools.cache",
        "functools.lru_cache(maxsize=1)",
        "plain",
        "decorators.plain",
        "with_options('x')",
        "register",
        "validate_arguments\n@plain",
    ],
)
def test_a_decorator_that_keeps_the_signature(decorator: str) -> None:
    source = """
import functools
import pydantic
from pydantic import validate_arguments, v1
from pkg import decorators
from pkg.decorators import plain, register, with_options
try:
    from pydantic import validate_call as either
except ImportError:
    from pydantic import validate_arguments as either
validated = pydantic.validate_call(config={})
"""
    task = f"{source}\n@{decorator}\ndef demo(a): pass\n"
    assert names(read(task + run("demo"), pkg__decorators=TRUE_DECORATORS)) == ["a"]


@pytest.mark.parametrize(
    "decorator",
    [
        "click.command()",
        "unknown",
        "app.task",
        "unmarked",
        "injecting",
        "dropping",
        "narrowing",
        "replacing",
        "nothing",
        "instance",
        "instance()",
        "unmarked()",
        "functools.wraps(other)",
        "functools.singledispatch",
    ],
)
def test_a_decorator_that_may_change_the_signature_is_named(decorator: str) -> None:
    source = f"import click\n{FALSE_DECORATORS}\n@{decorator}\ndef demo(a): pass\n"
    with pytest.raises(Unreadable) as caught:
        read(source + run("demo"))
    assert f"the decorator `{decorator}`" in str(caught.value)


# Files that cannot be read ------------------------------------------------------------


def test_the_declared_encoding_counts() -> None:
    source = "# -*- coding: latin-1 -*-\ndef demo(a='é'): pass\n".encode("latin-1")
    assert read(source).parameters[0].default == "é"
    assert names(read(b"\xef\xbb\xbfdef demo(a): pass")) == ["a"]


@pytest.mark.parametrize(
    "content",
    [
        b"def demo(a='\xe9'): pass",
        b"# coding: no-such-encoding\ndef demo(a): pass",
        b"def demo(a): print a",
        b"def demo(a: pass",
        b"def demo(a):\x00 pass",
        b"\xff\xfe\x00",
        b"x = " + b"(" * 5000 + b")" * 5000,
        b"x = " + b"-" * 50_000 + b"1",
        b"x = " + b"+".join([b"y()"] * 5000) + b"\ndef demo(a): pass",
        b"def demo(a=" + b"9" * 6000 + b"): pass",
    ],
    ids=lambda content: repr(content[:20]),
)
def test_a_file_that_cannot_be_parsed_is_unreadable_and_nothing_else(content: bytes) -> None:
    with pytest.raises(Unreadable, match=r"pkg/tasks/demo\.py"):
        read(content)


def test_the_line_of_a_syntax_error_is_reported() -> None:
    with pytest.raises(Unreadable, match=r"pkg/tasks/demo\.py:2 "):
        read("x = 1\nprint 'python 2'\n")


def test_an_integer_too_long_to_print_does_no_harm() -> None:
    assert names(read(b"def demo(a=0x" + b"f" * 5000 + b"): pass")) == ["a"]
    with pytest.raises(Unreadable, match="the decorator"):
        read(b"@unknown(0x" + b"f" * 5000 + b")\ndef demo(a): pass")


def test_an_executable_that_is_no_python_or_not_there() -> None:
    with pytest.raises(Unreadable, match="not a Python file"):
        read("#!/bin/sh\necho", "run.sh")
    with pytest.raises(Unreadable, match="not in the wheel"):
        Signatures(Sources({}), "pkg").of("../demo.py")


class Counted(dict[str, bytes]):
    """Files that count how often each is read."""

    def __init__(self, files: Mapping[str, str]) -> None:
        super().__init__({path: dedent(text).encode() for path, text in files.items()})
        self.reads: Counter[str] = Counter()

    def __getitem__(self, path: str) -> bytes:
        self.reads[path] += 1
        return super().__getitem__(path)


def test_a_file_is_read_once_however_many_tasks_share_it() -> None:
    """Scripts that many tasks name, and a module that several scripts import."""
    import_demo = "from pkg.shared import demo\nrun_fractal_task(task_function=demo)\n"
    files = Counted(
        {
            "pkg/first.py": import_demo,
            "pkg/second.py": import_demo,
            "pkg/shared.py": "def demo(a, b=1): pass\nrun_fractal_task(task_function=demo)\n",
            "pkg/broken.py": "def demo(",
        }
    )
    signatures = Signatures(Sources(files), "pkg")
    for _ in range(3):
        for script in ("first.py", "second.py", "shared.py", "./first.py"):
            assert names(signatures.of(script)) == ["a", "b"]
        with pytest.raises(Unreadable, match=r"^pkg/broken.py:1 is not Python that can be read"):
            signatures.of("broken.py")
    assert files.reads == dict.fromkeys(files, 1)


def test_a_script_that_is_imported_too_has_the_names_of_both() -> None:
    """Below `if __name__ == "__main__"` it binds other names when it is started."""
    files = {
        "pkg/other.py": "from pkg.demo import demo\nrun_fractal_task(task_function=demo)\n",
        "pkg/demo.py": """\
            def demo(a): pass
            if __name__ == "__main__":
                def demo(b): pass
                run_fractal_task(task_function=demo)
            """,
    }
    for order in (["demo.py", "other.py"], ["other.py", "demo.py"]):
        signatures = Signatures(
            Sources({path: dedent(text).encode() for path, text in files.items()}), "pkg"
        )
        found = {script: names(signatures.of(script)) for script in order}
        assert found == {"demo.py": ["b"], "other.py": ["a"]}


def test_invalid_escapes_do_not_warn() -> None:
    assert names(read(r"def demo(a): '\d'")) == ["a"]


def test_names_that_branch_for_ever_are_given_up() -> None:
    branches = "x = f\n" + "".join(
        f"if c:\n    y{i} = x\nelse:\n    y{i} = x\nx = y{i}\n" for i in range(60)
    )
    with pytest.raises(Unreadable, match="too entangled"):
        read("def f(a): pass\n" + branches + run("x"))


def test_modules_that_import_all_of_each_other_end() -> None:
    stars = "\n".join(f"from pkg.m{i} import *" for i in range(12))
    with pytest.raises(Unreadable, match="entangled"):
        read(stars + run("work"), **{f"pkg__m{i}": stars for i in range(12)})


def test_nothing_of_the_candidate_is_run() -> None:
    assert names(read("raise SystemExit\ndef demo(a=exit()): pass")) == ["a"]


MADE = """
    import json
    from dataclasses import KW_ONLY, dataclass, field
    from typing import ClassVar, Optional
    from pydantic import BaseModel, ConfigDict, Field
    {arguments}
    with open("args.json") as file:
        {use}
    """


@pytest.mark.parametrize("use", ["Args(**json.load(file)).run()", "run(Args(**json.load(file)))"])
@pytest.mark.parametrize(
    ("arguments", "takes_any"),
    [
        ("@dataclass\n    class Args:\n        zarr_url: str\n        sigma: int = 3", False),
        (
            "@dataclass(frozen=True)\n    class Base:\n        zarr_url: str\n"
            "    @dataclass(kw_only=True)\n    class Args(Base):\n        K: ClassVar[int] = 1\n"
            "        _: KW_ONLY\n        sigma: int = field(default=3)",
            False,
        ),
        (
            "class Args(BaseModel):\n        zarr_url: str\n        sigma: int = Field(3, gt=0)",
            True,
        ),
        (
            "class Args(BaseModel, extra='forbid'):\n        _own: int = 1\n"
            "        zarr_url: str\n        sigma: int = 3",
            False,
        ),
        (
            "class Strict(BaseModel):\n        model_config = ConfigDict(extra='forbid')\n"
            "        zarr_url: str\n    class Args(Strict):\n        sigma: int = 3",
            False,
        ),
        ("class Args:\n        def __init__(self, zarr_url, sigma=3): pass", False),
    ],
)
def test_a_class_that_is_made_of_the_arguments(arguments: str, takes_any: bool, use: str) -> None:
    signature = read(MADE.format(arguments=arguments, use=use))
    assert (signature.function, signature.takes_any_keyword) == ("Args", takes_any)
    assert [(p.name, p.required, p.default) for p in signature.parameters] == [
        ("zarr_url", True, None),
        ("sigma", False, 3),
    ]


@pytest.mark.parametrize(
    "use", ["Args.model_validate(json.load(file))", "Args.model_validate_json(file.read())"]
)
def test_a_model_that_validates_the_arguments(use: str) -> None:
    arguments = "class Args(BaseModel):\n        zarr_url: str"
    signature = read(MADE.format(arguments=arguments, use=use))
    assert names(signature) == ["zarr_url"]


@pytest.mark.parametrize(
    "arguments",
    [
        "from lib import Base\n    class Args(Base):\n        zarr_url: str",
        "@dataclass(init=False)\n    class Args:\n        zarr_url: str",
        "@dataclass\n    class Args:\n        zarr_url: str\n        x: int = field(init=False)",
        "class Args(BaseModel):\n        zarr_url: str = Field(alias='url')",
        "class Args(BaseModel):\n        zarr_url: str\n        x: Optional[int]",
        "class Args(BaseModel):\n        model_config = ConfigDict(alias_generator=camel)\n"
        "        zarr_url: str",
        "class Args(BaseModel):\n        model_config = CONFIG\n        zarr_url: str",
        "class Args(BaseModel):\n        zarr_url: str\n"
        "        @model_validator(mode='before')\n        def first(cls, values): pass",
        "class Args(BaseModel):\n        zarr_url: str\n        def __init__(self, **k): pass",
        "class Settings(BaseModel):\n        colour: str\n    Args = Settings",
    ],
)
def test_a_class_that_may_take_something_else(arguments: str) -> None:
    with pytest.raises(Unreadable):
        read(MADE.format(arguments=arguments, use="Args(**json.load(file))"))


def test_a_function_goes_before_a_class_that_checks_its_arguments() -> None:
    arguments = "class Args(BaseModel):\n        zarr_url: str\n    def f(zarr_url, more): pass"
    use = "args = json.load(file); Args(**args); f(**args)"
    assert names(read(MADE.format(arguments=arguments, use=use))) == ["zarr_url", "more"]
