"""The manifest of a wheel, and the tasks that a list holds."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from pytest_fractal.environments.wheels import MANIFEST_NAME, Wheel, installed_path
from pytest_fractal.facts import Task
from pytest_fractal.generations import GENERATIONS
from pytest_fractal.json_text import MOST_BYTES, MOST_LEVELS, read_json, too_large
from pytest_fractal.task_lists import Generator, Manifest, TaskList

_GENERATES: Final = ("task_list", "create_manifest")
"""The modules in a package's `dev` that are about its manifest."""


def find_manifest(wheel: Wheel, located: Callable[[str], str]) -> Manifest | None:
    """The manifest at the package root, else the first that the server would find.

    `located` says where the author knows a file of the wheel.
    """
    if not (found := wheel.manifests):
        return None
    root = f"{wheel.package}/{MANIFEST_NAME}"
    path = next((entry for entry in found if installed_path(entry) == root), found[0])
    size = wheel.size(path)
    text = too_large(size) if size > MOST_BYTES else read_json(wheel.read(path), MOST_LEVELS)
    version = text.value.get("manifest_version") if isinstance(text.value, dict) else None
    known = isinstance(version, str | int) and not isinstance(version, bool)
    generation = GENERATIONS.get(str(version)) if known else None
    return Manifest(path, text, generation, find_generator(wheel, located))


def find_generator(wheel: Wheel, located: Callable[[str], str]) -> Generator | None:
    """What generates the manifest, where the package has what that takes.

    Source: fractal-task-tools 0.5.1 (`fractal-manifest create`, which reads the module
    `dev.task_list`), and the script of packages that use fractal_tasks_core.dev.
    """
    package = wheel.package
    task_list, script = (f"{package}/dev/{name}.py" for name in _GENERATES)
    if task_list not in wheel.contents:
        return None
    if script in wheel.contents:
        return Generator(f"python {located(script)}", located(task_list), script)
    return Generator(f"fractal-manifest create --package {package}", located(task_list))


def listed_tasks(listed: TaskList | None, make: Callable[..., Task]) -> tuple[Task, ...]:
    """The tasks that are listed: entries that are objects. None where there is no list.

    `make` makes one of the fields of `Task`.
    """
    if listed is None or listed.generation is None:
        return ()
    tasks: list[Task] = []
    taken: dict[str, int] = {}
    for index, entry in enumerate(listed.entries):
        if isinstance(entry, dict):
            name, slug = entry.get("name"), listed.slug(index)
            name = str(name).strip() if isinstance(name, str | int | float) else ""
            tasks.append(
                make(
                    index=index,
                    id=_node_name(slug, taken),
                    slug=slug,
                    name=name or slug,
                    entry=entry,
                    listed=listed,
                    generation=listed.generation,
                )
            )
    return tuple(tasks)


def _node_name(slug: str, taken: dict[str, int]) -> str:
    """A name for node ids that is not yet `taken`, to which it is added.

    With each taken name stands the number from which to look for the next one like it.
    """
    # Cut as a file system counts: folders are named like this too.
    safe = re.sub(r"[^\w.+()=@-]", "_", slug).encode()[:100].decode(errors="ignore")
    name, number = safe, taken.get(safe, 2)
    while name in taken:
        name, number = f"{safe}-{number}", number + 1
    taken[safe] = number
    taken.setdefault(name, 2)
    return name
