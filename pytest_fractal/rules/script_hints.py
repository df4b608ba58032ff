"""Edits to a script that does not run its task, takes other options, or imports relatively."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Final

from packaging.utils import canonicalize_name

from pytest_fractal.environments.wheels import Wheel
from pytest_fractal.facts import Command
from pytest_fractal.fixes.lines import line_edits
from pytest_fractal.fixes.model import FileFix, Fix
from pytest_fractal.signatures.scopes import FunctionNode
from pytest_fractal.signatures.sources import Unreadable, parsed

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


def fix_for_main_block(command: Command) -> Fix | None:
    """The script with these lines at its end; None where its function is not known."""
    tree = _script(command)
    name = _function(command)
    if tree is None or not any(isinstance(n, FunctionNode) and n.name == name for n in tree.body):
        return None

    def with_block(text: str) -> str:
        return f"{text.rstrip()}\n\n\n{main_block(command)}"

    return _fix(command, {command.part.script: with_block})


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


def fix_for_options(command: Command, names: Mapping[str, str]) -> Fix | None:
    """The options that a script declares, each with one more name: that behind its own.

    None where one of them is not declared just once in the wheel, with argparse, click or
    typer. The value keeps the name by which the script asks for it: that of the first long
    option.
    """
    if command.installation is None:
        return None
    wheel = command.installation.wheel
    changes: dict[str, dict[str, str]] = {}
    for option, name in names.items():
        declaring = [
            path
            for path in wheel.contents
            if path.endswith(".py")
            for call in _declarations(_tree(wheel, path))
            if option in _option_names(call)
        ]
        taken = [place.rpartition(":")[0] for place in declaring_places(command, name)]
        if len(declaring) != 1 or declaring[0] in taken:
            return None  # a parser refuses a name that two options have
        changes.setdefault(declaring[0], {})[option] = name

    def named(added: Mapping[str, str]) -> Callable[[str], str]:
        return lambda text: with_option_names(text, added)

    return _fix(command, {path: named(added) for path, added in changes.items()})


def declaring_places(command: Command, option: str) -> list[str]:
    """Where the wheel declares an option, as `file:line`."""
    if command.installation is None:
        return []
    wheel = command.installation.wheel
    return [
        f"{path}:{call.lineno}"
        for path, content in wheel.contents.items()
        if path.endswith(".py") and option.encode() in content
        for call in _declarations(_tree(wheel, path))
        if option in _option_names(call)
    ]


def with_option_names(text: str, names: Mapping[str, str]) -> str:
    """A source with one more name for each of these options, behind those that it has."""
    lines = text.splitlines(keepends=True)
    places = []
    tree = parsed(text.encode())
    for call in _declarations(None if isinstance(tree, str) else tree):
        known = _option_names(call)
        for option in known.keys() & names.keys():
            last = list(known.values())[-1]
            added = f', "{names[option]}"'
            has_long = any(name.startswith("--") for name in known)
            is_named = any(keyword.arg == "dest" for keyword in call.keywords)
            if not has_long and not is_named and names[option].startswith("--"):
                added += f', dest="{option.lstrip("-")}"'
            places.append((last.end_lineno or 0, last.end_col_offset or 0, added))
    for line, column, added in sorted(places, reverse=True):
        content = lines[line - 1].encode()
        lines[line - 1] = (content[:column] + added.encode() + content[column:]).decode()
    return "".join(lines)


def _declarations(tree: ast.Module | None) -> Iterator[ast.Call]:
    """The calls by which a script declares options."""
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else ""
            name = function.id if isinstance(function, ast.Name) else name
            if name in ("add_argument", "option", "Option"):
                yield node


def _option_names(call: ast.Call) -> dict[str, ast.Constant]:
    """The options that a call declares, by how they are written there."""
    return {
        argument.value: argument
        for argument in call.args
        if isinstance(argument, ast.Constant)
        and isinstance(argument.value, str)
        and argument.value.startswith("-")
    }


def fix_for_relative_imports(command: Command) -> Fix | None:
    """The script with the package's name in all its imports."""
    tree = _script(command)
    folders = PurePosixPath(command.part.script).parent.parts
    relative = [
        node
        for node in (ast.walk(tree) if tree is not None else ())
        if isinstance(node, ast.ImportFrom) and 0 < node.level <= len(folders)
    ]

    def absolute(text: str) -> str:
        lines = text.splitlines(keepends=True)
        for node in relative:
            within = folders[: len(folders) - node.level + 1]
            written = re.compile(rf"\bfrom\s+\.[.\s]*{re.escape(node.module or '')}\s*import\b")
            whole = ".".join([*within, *filter(None, [node.module])])
            line = lines[node.lineno - 1]
            lines[node.lineno - 1] = written.sub(f"from {whole} import", line, count=1)
        return "".join(lines)

    return _fix(command, {command.part.script: absolute}) if relative else None


def _fix(command: Command, changes: Mapping[str, Callable[[str], str]]) -> Fix | None:
    """Changes to files of the wheel as a fix; None where one of them cannot be read."""
    files = []
    for path, change in changes.items():
        assert command.installation is not None
        content = command.installation.wheel.contents[path]
        try:
            text = content.decode()
            lines = line_edits(text, change(text))
        except ValueError:
            return None
        files.append(FileFix(path, lines=lines, digest=sha256(content).hexdigest()))
    return Fix(tuple(files))


def _script(command: Command) -> ast.Module | None:
    installation, script = command.installation, command.part.script
    if installation is None or not script.endswith(".py"):
        return None
    wheel = installation.wheel
    return _tree(wheel, script) if script in wheel.contents else None


def _tree(wheel: Wheel, path: str) -> ast.Module | None:
    """What a file of a wheel parses to; None where it does not."""
    try:
        return wheel.sources.tree(path)
    except Unreadable:
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
