"""FR206 where a task's own pydantic models refuse what the schema of its arguments promises.

The tasks are started: a wheel made by hand for each version of pydantic holds them all.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from wheel_factory import make_wheel

from pytest_fractal import check_package
from pytest_fractal.processes.commands import Start
from pytest_fractal.processes.processes import Finished
from pytest_fractal.processes.validation import disputed_arguments
from pytest_fractal.report.model import CandidateReport

RUN = """
import json, sys
from typing import Any, Dict, List, Literal, Optional, Tuple, Union
from enum import Enum
from pathlib import Path
import pydantic
from pydantic import BaseModel, Field
check = getattr(pydantic, "validate_call", None) or pydantic.validate_arguments
class Strict(BaseModel):
    class Config:
        extra = "forbid"
"""
MAIN = """
if __name__ == "__main__":
    words = sys.argv
    task(**json.load(open(words[words.index("--args-json") + 1])))
"""

TEXTURE = {
    "type": "object",
    "title": "Texture",
    "properties": {
        "features": {"type": "array", "items": {"type": "string"}},
        "clip": {"type": "integer", "default": 5000},
    },
    "required": ["features"],
    "additionalProperties": False,
}


def schema(definitions: dict[str, Any], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"zarr_url": {"type": "string"}, **properties},
        "required": ["zarr_url"],
        "additionalProperties": False,
        "$defs": definitions,
    }


OF_TEXTURE = {"$ref": "#/$defs/Texture"}
BY_KIND = {
    "propertyName": "kind",
    "mapping": {"circle": "#/$defs/Circle", "box": "#/$defs/Box"},
}


@dataclass(frozen=True)
class Case:
    """A task, the schema of its arguments, and where FR206 finds them to disagree."""

    name: str
    script: str
    schema: dict[str, Any]
    pointers: tuple[str, ...] = ()
    says: str = ""


SAME = """
class Texture(Strict):
    features: List[str]
    clip: int = 5000
"""
CASES = [
    Case(
        "same_model",
        SAME + "@check\ndef task(*, zarr_url: str, texture: Texture): pass\n",
        {
            **schema({"Texture": TEXTURE}, texture=OF_TEXTURE),
            "required": ["zarr_url", "texture"],
        },
    ),
    Case(
        "field_lost",
        "class Texture(Strict):\n    features: List[str]\n"
        "@check\ndef task(*, zarr_url: str, texture: Texture): pass\n",
        {
            **schema({"Texture": TEXTURE}, texture=OF_TEXTURE),
            "required": ["zarr_url", "texture"],
        },
        ("/$defs/Texture/properties/clip",),
        "`Texture` (models/field_lost.py:",
    ),
    Case(
        "field_gained_in_a_list",
        "class Texture(Strict):\n    features: List[str]\n    clip: int = 1\n    size: int\n"
        "@check\ndef task(*, zarr_url: str, textures: List[Texture] = []): pass\n",
        schema(
            {"Texture": TEXTURE},
            textures={"type": "array", "items": OF_TEXTURE, "default": []},
        ),
        ("/$defs/Texture/properties/size",),
        "a property `size`, which `Texture`",
    ),
    Case(
        "type_changed",
        "class Texture(Strict):\n    features: List[str]\n    clip: Dict[str, int]\n"
        "@check\ndef task(*, zarr_url: str, texture: Optional[Texture] = None): pass\n",
        schema(
            {"Texture": TEXTURE},
            texture={"anyOf": [OF_TEXTURE, {"type": "null"}], "default": None},
        ),
        ("/$defs/Texture/properties/clip",),
        "a schema that allows a value which is refused",
    ),
    Case(
        "choice_lost",
        "class Mode(Enum):\n    fast = 'fast'\n    best = 'best'\n"
        "class Options(Strict):\n    mode: Mode = Mode.fast\n"
        "@check\ndef task(*, zarr_url: str, options: Options = Options()): pass\n",
        schema(
            {
                "Mode": {"enum": ["slow", "fast", "best"], "type": "string"},
                "Options": {"type": "object", "properties": {"mode": {"$ref": "#/$defs/Mode"}}},
            },
            options={"$ref": "#/$defs/Options"},
        ),
        ("/$defs/Options/properties/mode",),
    ),
    Case(
        "field_gained_in_a_dictionary",
        "class Texture(Strict):\n    features: List[str]\n    clip: int = 1\n    size: int\n"
        "@check\ndef task(*, zarr_url: str, textures: Dict[str, Texture]): pass\n",
        {
            **schema(
                {"Texture": TEXTURE},
                textures={"type": "object", "additionalProperties": OF_TEXTURE},
            ),
            "required": ["zarr_url", "textures"],
        },
        ("/$defs/Texture/properties/size",),
    ),
    Case(
        "keys_of_a_dictionary_of_which_the_schema_says_nothing",
        "class Mode(Enum):\n    fast = 'fast'\n"
        "@check\ndef task(*, zarr_url: str, speeds: Dict[Mode, int] = {}): pass\n",
        schema({}, speeds={"type": "object", "additionalProperties": {"type": "integer"}}),
    ),
    Case(
        "choice_lost_of_an_argument_of_the_function_itself",
        "class Mode(Enum):\n    fast = 'fast'\n"
        "@check\ndef task(*, zarr_url: str, mode: Mode): pass\n",
        {
            **schema({}, mode={"enum": ["slow", "fast"], "type": "string"}),
            "required": ["zarr_url", "mode"],
        },
        ("/properties/mode",),
        "which is refused",
    ),
    Case(
        "argument_of_another_type_of_a_function_that_cannot_be_read",
        "class Arguments(Strict):\n    zarr_url: str\n    number: List[int]\n"
        "def task(**arguments):\n    Arguments(**arguments)\ntask = globals()['task']\n",
        schema({}, number={"type": "integer"}),
        ("/properties/number",),
    ),
    Case(
        "field_gained_in_a_tuple",
        "class Texture(Strict):\n    features: List[str]\n    clip: int = 1\n    size: int\n"
        "Pair = Tuple[int, Texture]\n"
        "@check\ndef task(*, zarr_url: str, textures: Optional[Pair] = None): pass\n",
        schema(
            {"Texture": TEXTURE},
            textures={"type": "array", "prefixItems": [{"type": "integer"}, OF_TEXTURE]},
        ),
        ("/$defs/Texture/properties/size",),
    ),
    Case(
        "field_gained_in_a_list_that_the_default_of_a_model_leaves_empty",
        "class Texture(Strict):\n    features: List[str]\n    clip: int = 1\n    size: int\n"
        "class Options(Strict):\n    level: int = 1\n    textures: List[Texture] = []\n"
        "@check\ndef task(*, zarr_url: str, options: Options = Options()): pass\n",
        schema(
            {
                "Texture": TEXTURE,
                "Options": {
                    "type": "object",
                    "properties": {
                        "level": {"type": "integer", "default": 1},
                        "textures": {"type": "array", "items": OF_TEXTURE, "default": []},
                    },
                },
            },
            options={"$ref": "#/$defs/Options", "default": {"level": 1, "textures": []}},
        ),
        ("/$defs/Texture/properties/size",),
    ),
    Case(
        "choice_lost_that_is_not_the_first",
        "class Mode(Enum):\n    fast = 'fast'\n"
        "@check\ndef task(*, zarr_url: str, modes: List[Mode] = []): pass\n",
        schema({}, modes={"type": "array", "items": {"enum": ["fast", "best"]}, "default": []}),
        ("/properties/modes/items",),
    ),
    Case(
        "tag_lost_and_field_gained_in_the_models_of_a_list",
        "class Circle(Strict):\n    kind: Literal['round'] = 'round'\n"
        "class Box(Strict):\n    kind: Literal['box'] = 'box'\n    width: int\n"
        "class Shape(Strict):\n    shape: Union[Circle, Box] = Field(..., discriminator='kind')\n"
        "@check\ndef task(\n"
        "    *, zarr_url: str, shapes: List[Shape] = [], box: Optional[Shape] = None\n"
        "): pass\n",
        schema(
            {
                "Circle": {"type": "object", "properties": {"kind": {"const": "circle"}}},
                "Box": {"type": "object", "properties": {"kind": {"const": "box"}}},
            },
            shapes={
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "shape": {
                            "oneOf": [{"$ref": "#/$defs/Circle"}, {"$ref": "#/$defs/Box"}],
                            "discriminator": BY_KIND,
                        }
                    },
                },
            },
            box={
                "type": "object",
                "properties": {
                    "shape": {
                        "oneOf": [{"$ref": "#/$defs/Box"}, {"$ref": "#/$defs/Circle"}],
                        "discriminator": BY_KIND,
                    }
                },
            },
        ),
        ("/properties/shapes/items/properties/shape", "/$defs/Box/properties/width"),
    ),
    Case(
        "own_validator_and_bounds",
        "class Options(Strict):\n    number: int = Field(7, gt=5)\n    name: str = 'x'\n"
        "    def __init__(self, **given):\n"
        "        super().__init__(**given)\n"
        "        if self.name == 'text':\n            raise ValueError('no text')\n"
        "@check\ndef task(*, zarr_url: str, options: Optional[Options] = None): pass\n",
        schema(
            {
                "Options": {
                    "type": "object",
                    "properties": {"number": {"type": "integer"}, "name": {"type": "string"}},
                }
            },
            options={"$ref": "#/$defs/Options"},
        ),
    ),
    Case(
        "models_of_the_data_not_of_the_arguments",
        "class Image(Strict):\n    zarr_url: str\n    size: int\n"
        "def task(**arguments):\n    Image(zarr_url='x', depth=3, **{})\n",
        schema({}, depth={"type": "integer"}),
    ),
    Case(
        "schema_that_refuses_its_own_default",
        SAME + "@check\ndef task(*, zarr_url: str, texture: Optional[Texture] = None): pass\n",
        schema(
            {"Texture": TEXTURE},
            texture={"anyOf": [OF_TEXTURE, {"type": "null"}], "default": {"other": 1}},
        ),
    ),
]


def judged(folder: Path, pydantic: str) -> CandidateReport:
    manifest = {
        "manifest_version": "2",
        "has_args_schemas": True,
        "args_schema_version": "pydantic_v2",
        "task_list": [
            {
                "name": case.name,
                "type": "parallel",
                "executable_parallel": f"{case.name}.py",
                "args_schema_parallel": copy.deepcopy(case.schema),
            }
            for case in CASES
        ],
    }
    files = {f"{case.name}.py": RUN + case.script + MAIN for case in CASES}
    wheel = make_wheel(
        folder,
        "models",
        files={"__init__.py": "", **files},
        manifest=manifest,
        metadata=f"Requires-Dist: pydantic{pydantic}",
    )
    (report,) = check_package(wheel, select=["FR206", "FR303"]).candidates
    return report


@pytest.fixture(scope="module", params=["<2", ">=2"])
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return judged(tmp_path_factory.mktemp("models"), request.param)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_the_models_refuse_by_type_or_field_disagrees(
    report: CandidateReport, case: Case
) -> None:
    found = [
        finding
        for code, finding in report.findings
        if finding.task == case.name and code == "FR206"
    ]
    way = f"/task_list/{CASES.index(case)}/args_schema_parallel"
    reported = "\n".join(
        f"{finding.expected} | {finding.found} | {finding.hint}" for finding in found
    )
    assert [finding.pointer for finding in found] == [
        f"{way}{place}" for place in case.pointers
    ], reported
    assert case.says in reported


def test_a_run_by_static_rules_alone_starts_nothing(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path)
    (report,) = check_package(wheel, select=["FR206"]).candidates
    assert not report.runs
    assert [str(verdict.outcome) for verdict in report.verdicts] == ["pass"]


@pytest.mark.parametrize(
    ("crash", "names"),
    [
        ("TypeError: blur() got an unexpected keyword argument 'sigma'", {"sigma"}),
        ("TypeError: blur() missing 1 required positional argument: 'kernel'", {"kernel"}),
        ("TypeError: blur() missing 2 required keyword-only arguments: 'a' and 'b'", {"a", "b"}),
        (
            "pydantic_core._pydantic_core.ValidationError: 2 validation errors for blur\nsigma\n"
            "  Unexpected keyword argument [type=unexpected_keyword_argument, input_value=1]\n"
            "texture.clip\n  Extra inputs are not permitted [type=extra_forbidden, input_value=1]",
            {"sigma"},
        ),
        (
            "pydantic.error_wrappers.ValidationError: 1 validation error for Blur\nkernel\n"
            "  field required (type=value_error.missing)",
            {"kernel"},
        ),
        ("TypeError: unsupported operand type(s) for +: 'int' and 'str'", set()),
        ("ValueError: sigma must be positive", set()),
    ],
)
def test_the_arguments_at_which_a_function_ends_are_read_from_its_exception(
    crash: str, names: set[str]
) -> None:
    stderr = f'Traceback (most recent call last):\n  File "t.py", line 9, in <module>\n{crash}\n'
    finished = Finished(("python", "t.py"), 1, "", stderr, 1.0)
    assert disputed_arguments(Start(finished, True, None, "args.json", "out.json")) == names
