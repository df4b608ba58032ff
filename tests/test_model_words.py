"""FR206: what is said where a task's own models refuse what its schema allows, by their faults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from wheel_factory import candidate_of, good_manifest, make_wheel

from pytest_fractal.facts import PackagedPart, Validation
from pytest_fractal.processes.validation import FaultKind, ValidationFault
from pytest_fractal.rules.model_match import compare_models

SOURCE = """
class Inner: ...


class Window: ...


def main(*, window, sizes, options, mode): ...


if __name__ == "__main__":
    from fractal_tasks_core.tasks._utils import run_fractal_task

    run_fractal_task(task_function=main)
"""
REF = {"$ref": "#/$defs/Window"}
SCHEMA = {
    "type": "object",
    "properties": {
        "window": REF,
        "all_of": {"allOf": [REF], "title": "x"},
        "maybe": {"anyOf": [{"type": "null"}, REF]},
        "either": {"anyOf": [REF, {"$ref": "#/$defs/Inner"}]},
        "sizes": {"type": "array", "items": REF},
        "options": {"type": "object", "additionalProperties": {"type": "integer"}},
        "free": {"type": "object", "additionalProperties": True},
        "mode": {"type": "string"},
        "lost": {"$ref": "#/$defs/Lost"},
        "away": {"$ref": "other.json"},
        "odd": {"$ref": "#/$defs/a~1b~0c"},
        "loop": {"$ref": "#/$defs/Loop"},
    },
    "$defs": {
        "Window": {
            "type": "object",
            "properties": {"start": {"type": "integer"}, "in": {"$ref": "#/$defs/Inner"}},
        },
        "Inner": {"type": "object", "properties": {"x": {"type": "integer"}}},
        "a/b~c": {"type": "object", "properties": {"y": {"type": "integer"}}},
        "Loop": {"$ref": "#/$defs/Loop"},
    },
}


def part_of(folder: Path, source: str = SOURCE, **files: str) -> PackagedPart:
    manifest = good_manifest()
    manifest["task_list"][0]["args_schema"] = SCHEMA
    inside = {"__init__.py": "", "task.py": source, **files}
    (task,) = candidate_of(make_wheel(folder, files=inside, manifest=manifest)).tasks
    (part,) = task.run_parts
    assert isinstance(part, PackagedPart)
    return part


def reported(part: PackagedPart, kind: FaultKind, *path: str, **more: Any) -> Any:
    """Where, what is expected, found and to be done; None where nothing is said."""
    fault = ValidationFault(path, kind, "no good")
    known = {"invalid": frozenset(), "names_are_known": False, **more}
    found = [
        *compare_models(
            part,
            Validation((fault, fault), {}),
            known["invalid"],
            names_are_known=known["names_are_known"],
        )
    ]
    assert len(found) <= 1, "each place once"
    return next(((f.pointer, f.expected, f.found, f.hint) for f in found), None)


WINDOW = "`Window` (demo/task.py:5)"
INNER = "`Inner` (demo/task.py:2)"
MAIN = "`main()` (demo/task.py:8)"
ANEW = "best make the schema anew from the function"


@pytest.mark.parametrize(
    ("path", "place", "owner"),
    [
        (("window", "end"), "/$defs/Window/properties/end", WINDOW),
        (("all_of", "end"), "/$defs/Window/properties/end", WINDOW),
        (("maybe", "end"), "/$defs/Window/properties/end", WINDOW),
        (("sizes", "0", "end"), "/$defs/Window/properties/end", WINDOW),
        (("window", "in", "y"), "/$defs/Inner/properties/y", INNER),
        (("either", "end"), "/properties/either/properties/end", MAIN),
        (("lost", "end"), "/properties/lost/properties/end", MAIN),
        (("away", "end"), "/properties/away/properties/end", MAIN),
        (("odd", "z"), "/$defs/a~1b~0c/properties/z", "`a/b~c`"),
        (("loop", "z"), "/properties/loop/properties/z", "`Loop`"),
        (("gone",), "/properties/gone", MAIN),
    ],
)
def test_a_field_that_a_model_requires(
    tmp_path: Path, path: tuple[str, ...], place: str, owner: str
) -> None:
    assert reported(part_of(tmp_path), FaultKind.MISSING, *path) == (
        place,
        f"a property `{path[-1]}`, which {owner} requires",
        "no such property; without it: no good",
        f"add the property `{path[-1]}` to the schema, and to its `required`; {ANEW}",
    )


@pytest.mark.parametrize(
    ("path", "place", "owner"),
    [
        (("window", "start"), "/$defs/Window/properties/start", WINDOW),
        (("window", "in", "x"), "/$defs/Inner/properties/x", INNER),
        (("window", "in"), "/$defs/Window/properties/in", WINDOW),
        (("mode",), "/properties/mode", MAIN),
        (("options", "a"), "/properties/options/additionalProperties", MAIN),
    ],
)
def test_a_field_that_a_model_does_not_know(
    tmp_path: Path, path: tuple[str, ...], place: str, owner: str
) -> None:
    assert reported(part_of(tmp_path), FaultKind.EXTRA, *path) == (
        place,
        f"only properties that {owner} takes",
        f"a property `{path[-1]}`, which is refused: no good",
        f"remove the property `{path[-1]}` from the schema, or add it to {owner}; {ANEW}",
    )


@pytest.mark.parametrize(
    ("path", "place", "owner", "name"),
    [
        (("window", "start"), "/$defs/Window/properties/start", WINDOW, "window.start"),
        (("window", "start", "deep"), "/$defs/Window/properties/start", WINDOW, "window.start"),
        (("sizes", "3", "start"), "/$defs/Window/properties/start", WINDOW, "sizes.3.start"),
        (("window", "in"), "/$defs/Window/properties/in", WINDOW, "window.in"),
        (("mode",), "/properties/mode", MAIN, "mode"),
        (("mode", "str"), "/properties/mode", MAIN, "mode"),
        (("free", "a"), "/properties/free", MAIN, "free"),
    ],
)
def test_a_type_that_a_model_does_not_take(
    tmp_path: Path, path: tuple[str, ...], place: str, owner: str, name: str
) -> None:
    assert reported(part_of(tmp_path), FaultKind.TYPE, *path) == (
        place,
        f"the type that {owner} takes for `{name}`",
        "a schema that allows a value which is refused: no good",
        "make the schema anew from the function, or correct the type there",
    )


def test_what_proves_nothing_is_passed_over(tmp_path: Path) -> None:
    part = part_of(tmp_path)
    assert reported(part, FaultKind.OTHER, "mode") is None
    assert reported(part, FaultKind.TYPE, "mode", invalid=frozenset({"mode"})) is None
    assert reported(part, FaultKind.TYPE, "gone") is None
    assert reported(part, FaultKind.EXTRA, "gone") is None
    assert reported(part, FaultKind.MISSING, "gone", "deep") is None
    assert reported(part, FaultKind.MISSING, "window", "gone", "deep") is None
    assert reported(part, FaultKind.EXTRA, "window", "gone") is None
    assert reported(part, FaultKind.TYPE, "options", "a", "[key]") is None
    for kind in (FaultKind.EXTRA, FaultKind.MISSING):
        assert (
            reported(
                part, kind, "mode" if kind is FaultKind.EXTRA else "gone", names_are_known=True
            )
            is None
        )
    assert reported(part, FaultKind.TYPE, "mode", names_are_known=True) is not None
    assert reported(part, FaultKind.EXTRA, "window", "start", names_are_known=True) is not None


def owner_of_window(part: PackagedPart) -> str:
    expected = str(reported(part, FaultKind.MISSING, "window", "end")[1])
    return expected.removeprefix("a property `end`, which ").removesuffix(" requires")


def test_a_model_is_named_where_it_is_defined(tmp_path: Path) -> None:
    """The one beside the function, or in the script, before others; of several others none."""
    plain = SOURCE.replace("class Window: ...", "")
    model = "\nclass Window(BaseModel): ...\n"
    assert owner_of_window(part_of(tmp_path / "1", plain)) == "`Window`"
    one = part_of(tmp_path / "2", plain, **{"models.py": model, "b.txt": model})
    assert owner_of_window(one) == "`Window` (demo/models.py:2)"
    two = part_of(tmp_path / "3", plain, **{"models.py": model, "other.py": model})
    assert owner_of_window(two) == "`Window`"
    beside = part_of(tmp_path / "4", **{"models.py": model})
    assert owner_of_window(beside) == WINDOW
    elsewhere = "import json\nfrom demo.function import main\n\n\nclass Window: ...\n"
    elsewhere += SOURCE.partition("): ...")[2].replace("class Window: ...", "")
    function = "class Window: ...\n\n\ndef main(*, window): ...\n"
    both = part_of(tmp_path / "5", elsewhere, **{"function.py": function})
    assert owner_of_window(both) == "`Window` (demo/function.py:1)"


def test_a_function_that_is_not_known_is_that_of_the_script(tmp_path: Path) -> None:
    part = part_of(tmp_path, "import unknown\nunknown.run()\n")
    (_, expected, _, _) = reported(part, FaultKind.EXTRA, "mode")
    assert expected == "only properties that the function of demo/task.py takes"
