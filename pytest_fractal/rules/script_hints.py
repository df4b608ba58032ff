"""Lines for a script that does not run its task, or that takes other options."""

from __future__ import annotations

import ast
from pathlib import PurePosixPath
from typing import Final

from packaging.utils import canonicalize_name

from pytest_fractal.facts import Command
from pytest_fractal.signatures.scopes import PARSING, FunctionNode

_QUIET: Final = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Import,
    ast.ImportFrom,
    ast.Assign,
    ast.AnnAssign,
)


def has_no_main_block(command: Command) -> bool:
    """Whether a script of the wheel is Python that only defines and imports."""
    tree = _script(command)
    return tree is not None and all(
        isinstance(statement, _QUIET)
        or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        for statement in tree.body
    )


def main_block(command: Command) -> str:
    """The lines at the end of a script that run its task, as Fractal starts it."""
    function = _function(command)
    flag, option = command.part.task.generation.flags
    installation = command.installation
    names = (
        {canonicalize_name(requirement.name) for requirement in installation.wheel.requirements}
        if (installation)
        else set()
    )
    for runner, module in command.part.task.generation.runners.items():
        if runner in names:
            return (
                'if __name__ == "__main__":\n'
                f"    from {module} import run_fractal_task\n\n"
                f"    run_fractal_task(task_function={function})\n"
            )
    return (
        'if __name__ == "__main__":\n'
        "    import argparse\n"
        "    import json\n\n"
        "    parser = argparse.ArgumentParser()\n"
        f'    parser.add_argument("{flag}", dest="arguments", required=True)\n'
        f'    parser.add_argument("{option}", dest="output", required=True)\n'
        "    paths = parser.parse_args()\n"
        "    with open(paths.arguments) as file:\n"
        f"        output = {function}(**json.load(file))\n"
        '    with open(paths.output, "w") as file:\n'
        "        json.dump(output, file)\n"
    )


def where_written(command: Command, *options: str) -> str:
    """Where the wheel writes such options, to be put behind a hint; empty where it does not."""
    if command.installation is None:
        return ""
    places = {
        f"{path}:{number}"
        for path, content in command.installation.wheel.contents.items()
        if path.endswith(".py")
        for number, line in enumerate(content.splitlines(), 1)
        for option in options
        if f'"{option}"'.encode() in line or f"'{option}'".encode() in line
    }
    if not places:
        return ", in whatever the script leaves its options to"
    return f" ({', '.join(sorted(places)[:4])})"


def _script(command: Command) -> ast.Module | None:
    installation, script = command.installation, command.part.script
    content = installation.wheel.contents.get(script) if installation else None
    if content is None or not script.endswith(".py"):
        return None
    try:
        with PARSING:
            return ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _function(command: Command) -> str:
    """The name of the function that is most likely the task's."""
    tree = _script(command)
    functions = [n for n in tree.body if isinstance(n, FunctionNode)] if tree else []
    stem = PurePosixPath(command.part.script).stem.replace("-", "_")
    reserved = {*command.part.reserved.names}
    named = [function.name for function in functions if function.name == stem]
    fitting = [
        function.name
        for function in functions
        if reserved <= {a.arg for a in (*function.args.args, *function.args.kwonlyargs)}
    ]
    public = [function.name for function in functions if not function.name.startswith("_")]
    return next(iter([*named, *fitting, *public]), stem)
