"""What tasks of generation 2 may write, and how they may end: see `outputs_1.py`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pytest_fractal.environments.wheels import MANIFEST_NAME
from pytest_fractal.samples.files import placed

from .outputs_1 import ENDINGS, WRITTEN, write_package

SCRIPT: Final = '''
"""Writes what its argument spells, then does what the other one says."""

import json
import os
import signal
import sys


def write_output({signature}, hexed=None, text=None, ending=""): pass


options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
if len(options) != 2 or set(options) != {{"--args-json", "--out-json"}}:
    sys.exit("usage: --args-json FILE --out-json FILE")
with open(options["--args-json"]) as file:
    given = json.load(file)
supplied = {{{supplied}}}
if not given.keys() <= {{*supplied, "hexed", "text", "ending"}} or not given.keys() >= supplied:
    sys.exit("unknown or missing arguments")
out = options["--out-json"]
text = given.get("text")
if isinstance(text, dict):
    text = text.get(os.path.basename(given["zarr_url"]))
if text is not None:
    with open(out, "wb") as file:
        file.write(text.encode("utf-8", "surrogateescape"))
if given.get("hexed") is not None:
    with open(out, "wb") as file:
        file.write(bytes.fromhex(given["hexed"]))
exec(given.get("ending", ""))
'''
"""The source of all commands; `ending` is one line of Python."""

_INIT: Final = ("zarr_dir", "zarr_urls")
_PARALLEL: Final = ("zarr_url",)
_COMPUTE: Final = ("zarr_url", "init_args")
_CONVERT: Final = ("zarr_dir",)
_TASKS: Final[Mapping[str, tuple[tuple[str, ...] | None, tuple[str, ...] | None]]] = {
    "non_parallel": (_INIT, None),
    "parallel": (None, _PARALLEL),
    "compound": (_INIT, _COMPUTE),
    "converter_non_parallel": (_CONVERT, None),
    "converter_compound": (_CONVERT, _COMPUTE),
}
"""The types of tasks: what Fractal supplies to their two commands."""
KINDS: Final = tuple(_TASKS)
_AFTER: Final = "after"
_TYPED: Final = ("non_parallel", "parallel", "compound")
"""The types that there are once more, with `output_types`; behind them comes a task that takes
images of these types only."""
_TYPES: Final = {"is_3D": False}

_A: Final = '{"zarr_url": "{tmp}/A"'
_NEW: Final = '{"zarr_url": "{tmp}/new"'


def _updates(*images: str) -> str:
    return '{"image_list_updates": [' + ", ".join(images) + "]}"


_IMAGES: Final[Mapping[str, str]] = {
    "no updates": _updates(),
    "a known image": _updates(_A + "}"),
    "a new image": _updates(_NEW + "}"),
    "a new image with all keys": _updates(
        _NEW + ', "origin": "{tmp}/A", "attributes": {"well": "A1"}, "types": {"is_3D": true}}'
    ),
    "an image with an unknown key": _updates(_NEW + ', "path": "x"}'),
    "an image without zarr_url": _updates('{"attributes": {}}'),
    "zarr_url null": _updates('{"zarr_url": null}'),
    "zarr_url a number": _updates('{"zarr_url": 1}'),
    "zarr_url blank": _updates('{"zarr_url": " "}'),
    "zarr_url relative": _updates('{"zarr_url": "A"}'),
    "zarr_url with ..": _updates('{"zarr_url": "{tmp}/B/../new"}'),
    "zarr_url with .. in a name": _updates('{"zarr_url": "{tmp}/new..old"}'),
    "zarr_url with /./": _updates('{"zarr_url": "{tmp}/./new"}'),
    "zarr_url with blanks around": _updates('{"zarr_url": " {tmp}/new "}'),
    "zarr_url with / behind": _updates('{"zarr_url": "{tmp}/new/"}'),
    "zarr_url with //": _updates('{"zarr_url": "{tmp}//new"}'),
    "zarr_url with // before": _updates('{"zarr_url": "/{tmp}/new"}'),
    "zarr_url of s3": _updates('{"zarr_url": "s3://bucket/new"}'),
    "zarr_url of https": _updates('{"zarr_url": "https://example.org/new"}'),
    "zarr_url of file": _updates('{"zarr_url": "file://{tmp}/new"}'),
    "zarr_url outside": _updates('{"zarr_url": "/elsewhere/new"}'),
    "zarr_url beside": _updates('{"zarr_url": "{tmp}-beside"}'),
    "zarr_url of zarr_dir": _updates('{"zarr_url": "{tmp}"}'),
    "zarr_url of zarr_dir with / behind": _updates('{"zarr_url": "{tmp}/"}'),
    "zarr_url with a blank": _updates('{"zarr_url": "{tmp}/a new one"}'),
    "zarr_url with letters of other scripts": _updates('{"zarr_url": "{tmp}/größe"}'),
    "zarr_url with a NUL": _updates('{"zarr_url": "{tmp}/new\\u0000"}'),
    "zarr_url with half a surrogate pair": _updates('{"zarr_url": "{tmp}/new\\ud800"}'),
    "a new image twice": _updates(_NEW + "}", _NEW + "}"),
    "a new image twice, with / behind": _updates(_NEW + "}", '{"zarr_url": "{tmp}/new/"}'),
    "a new image twice, with other types": _updates(_NEW + "}", _NEW + ', "types": {"m": true}}'),
    "origin null": _updates(_NEW + ', "origin": null}'),
    "origin unknown": _updates(_NEW + ', "origin": "{tmp}/unknown"}'),
    "origin relative": _updates(_NEW + ', "origin": "A"}'),
    "origin of s3": _updates(_NEW + ', "origin": "s3://bucket/A"}'),
    "another origin for a known image": _updates(_A + ', "origin": "{tmp}/B"}'),
    "its own origin for a known image": _updates(_A + ', "origin": "{tmp}/A"}'),
    "updates null": '{"image_list_updates": null}',
    "updates an object": '{"image_list_updates": {"zarr_url": "{tmp}/new"}}',
    "updates of texts": '{"image_list_updates": ["{tmp}/new"]}',
    "updates of null": '{"image_list_updates": [null]}',
    "removal of a known image": '{"image_list_removals": ["{tmp}/A"]}',
    "removal with / behind": '{"image_list_removals": ["{tmp}/A/"]}',
    "removal of an unknown image": '{"image_list_removals": ["{tmp}/unknown"]}',
    "removal twice": '{"image_list_removals": ["{tmp}/A", "{tmp}/A"]}',
    "removal relative": '{"image_list_removals": ["A"]}',
    "removal of an object": '{"image_list_removals": [{"zarr_url": "{tmp}/A"}]}',
    "removals null": '{"image_list_removals": null}',
    "removals a text": '{"image_list_removals": "{tmp}/A"}',
    "updated and removed": '{"image_list_updates": [' + _A + '}], "image_list_removals": '
    '["{tmp}/A"]}',
    "a new one and a removal": '{"image_list_updates": [' + _NEW + '}], "image_list_removals": '
    '["{tmp}/A"]}',
    "a parallelization list": '{"parallelization_list": []}',
    "an unknown key beside": '{"image_list_updates": [], "plate": 1}',
    "filters": '{"filters": {}}',
    "the keys in upper case": '{"IMAGE_LIST_UPDATES": []}',
    **{
        f"attributes {how}": _updates(f'{_NEW}, "attributes": {text}}}')
        for how, text in {
            "null": "null",
            "a list": "[]",
            "a text": '"A1"',
            "of a number": '{"a": 1.5}',
            "of a boolean": '{"a": true}',
            "of null": '{"a": null}',
            "of a list": '{"a": [1]}',
            "of an object": '{"a": {}}',
            "of NaN": '{"a": NaN}',
            "of Infinity": '{"a": Infinity}',
            "of 1e999": '{"a": 1e999}',
            "of a text with a NUL": '{"a": "\\u0000"}',
            "of half a surrogate pair": '{"a": "\\ud800"}',
            "with an empty key": '{"": 1}',
            "with a blank key": '{" ": 1}',
            "with a key with a NUL": '{"a\\u0000": 1}',
            "with blanks around a key": '{" a ": 1}',
            "with a key twice": '{"a": 1, "a": 2}',
            "with two keys that differ by a blank": '{"a": 1, "a ": 2}',
            "of 10 to the 30th": '{"a": 1' + "0" * 30 + "}",
            "of an empty text": '{"a": ""}',
        }.items()
    },
    **{
        f"types {how}": _updates(f'{_NEW}, "types": {text}}}')
        for how, text in {
            "null": "null",
            "a list": "[]",
            "of a boolean": '{"a": false}',
            "of 1": '{"a": 1}',
            "of 0.0": '{"a": 0.0}',
            "of 2": '{"a": 2}',
            "of 1.5": '{"a": 1.5}',
            "of null": '{"a": null}',
            "of true as a text": '{"a": "true"}',
            "of yes": '{"a": "yes"}',
            "of x": '{"a": "x"}',
            "of a list": '{"a": []}',
            "with an empty key": '{"": true}',
            "with a blank key": '{" ": true}',
            "with blanks around a key": '{" a ": true}',
            "with a key with a NUL": '{"a\\u0000": true}',
            "of NaN": '{"a": NaN}',
        }.items()
    },
}

_UNITS: Final[Mapping[str, str]] = {
    how: '{"parallelization_list": ' + text + "}"
    for how, text in {
        "none": "[]",
        "null": "null",
        "an object": "{}",
        "of two": '[{"zarr_url": "{tmp}/A"}, {"zarr_url": "{tmp}/B", "init_args": {"n": 1}}]',
        "of texts": '["{tmp}/A"]',
        "of null": "[null]",
        "without zarr_url": '[{"init_args": {}}]',
        "with an unknown key": '[{"zarr_url": "{tmp}/A", "plate": 1}]',
        "of a new image": '[{"zarr_url": "{tmp}/new"}]',
        "of an image outside": '[{"zarr_url": "/elsewhere/new"}]',
        "of zarr_dir": '[{"zarr_url": "{tmp}"}]',
        "of a relative path": '[{"zarr_url": "A"}]',
        "of s3": '[{"zarr_url": "s3://bucket/A"}]',
        "with ..": '[{"zarr_url": "{tmp}/B/../A"}]',
        "with / behind": '[{"zarr_url": "{tmp}/A/"}]',
        "of blanks": '[{"zarr_url": " "}]',
        "the same twice": '[{"zarr_url": "{tmp}/A"}, {"zarr_url": "{tmp}/A"}]',
        "an image twice with other arguments": '[{"zarr_url": "{tmp}/A"}, '
        '{"zarr_url": "{tmp}/A", "init_args": {"n": 1}}]',
        "init_args null": '[{"zarr_url": "{tmp}/A", "init_args": null}]',
        "init_args a list": '[{"zarr_url": "{tmp}/A", "init_args": []}]',
        "init_args a text": '[{"zarr_url": "{tmp}/A", "init_args": "n"}]',
        "init_args with NaN": '[{"zarr_url": "{tmp}/A", "init_args": {"n": NaN}}]',
        "init_args with a NUL": '[{"zarr_url": "{tmp}/A", "init_args": {"n": "\\u0000"}}]',
        "init_args with half a surrogate pair": '[{"zarr_url": "{tmp}/A", "init_args": '
        '{"n": "\\ud800"}}]',
        "init_args with an empty key": '[{"zarr_url": "{tmp}/A", "init_args": {"": 1}}]',
        "init_args deep": '[{"zarr_url": "{tmp}/A", "init_args": {"n": [[{"m": null}]]}}]',
        "zarr_url with a NUL": '[{"zarr_url": "{tmp}/A\\u0000"}]',
        "of 300 units": json.dumps([{"zarr_url": f"{{tmp}}/{n % 2}"} for n in range(300)]),
    }.items()
}


_MARK_EACH: Final = {
    "text": {
        name: _updates(f'{{"zarr_url": "{{tmp}}/{name}", "attributes": {{"marked": "{name}"}}}}')
        for name in ("A", "B", "new", "other")
    }
}
"""Arguments that leave a mark on each image that a task is given."""


_OF_UNITS: Final[Mapping[str, Mapping[str, str | None]]] = {
    "one writes nothing, the other a new image": {"A": None, "B": _updates(_NEW + "}")},
    "one writes null, the other a new image": {"A": "null", "B": _updates(_NEW + "}")},
    "one writes {}, the other no updates": {"A": "{}", "B": _updates()},
    "one writes no JSON": {"A": "{", "B": "{}"},
    "one writes an unknown key": {"A": '{"plate": 1}', "B": "{}"},
    **{
        f"attributes of {how}": {
            "A": _updates(f'{{"zarr_url": "{{tmp}}/new", "attributes": {{"a": {first}}}}}'),
            "B": _updates(f'{{"zarr_url": "{{tmp}}/other", "attributes": {{"a": {second}}}}}'),
        }
        for how, first, second in (
            ("a number and a text", "1", '"1"'),
            ("a whole number and another", "1", "1.5"),
            ("a boolean and a text", "true", '"true"'),
            ("null and a text", "null", '"A1"'),
        )
    },
    "types that differ": {
        "A": _updates('{"zarr_url": "{tmp}/new", "types": {"a": true}}'),
        "B": _updates('{"zarr_url": "{tmp}/other", "types": {"a": false}}'),
    },
    "the origin of one is what the other makes": {
        "A": _updates(_NEW + "}"),
        "B": _updates('{"zarr_url": "{tmp}/other", "origin": "{tmp}/new"}'),
    },
    "one removes what the other makes": {
        "A": _updates(_NEW + "}"),
        "B": '{"image_list_removals": ["{tmp}/new"]}',
    },
}
"""What each of two units writes, by the name of its image; None is no output at all."""

_SILENCE: Final[Mapping[str, str | None]] = {
    "nothing": None,
    "null": "null",
    "{}": "{}",
    "[]": "[]",
    "updates null": '{"image_list_updates": null}',
    "no updates": _updates(),
    "no removals": '{"image_list_removals": []}',
    "no units": '{"parallelization_list": []}',
    "a known image": _updates(_A + "}"),
    "a known image, of another type": _updates(_A + ', "types": {"is_3D": true}}'),
    "a new image": _updates(_NEW + "}"),
    "removal of a known image": '{"image_list_removals": ["{tmp}/A"]}',
}
"""Outputs after which the server decides itself which images have the `output_types`."""


@dataclass(frozen=True)
class Output:
    """One job with the package: what the commands of a task write, and how they end."""

    what: str
    how: str
    kind: str
    init: Mapping[str, Any] = field(default_factory=dict)
    compute: Mapping[str, Any] = field(default_factory=dict)
    typed: bool = False
    """Whether the task has `output_types`, and a step for images of these types follows."""

    @property
    def images(self) -> list[dict[str, Any]]:
        """The dataset's images before; a converter is given none."""
        if self.kind.startswith("converter"):
            return []
        return [{"zarr_url": f"{{tmp}}/{name}"} for name in "AB"]


def plain() -> Iterator[Output]:
    """For each type of task one that all is well with."""
    new, two = {"text": _IMAGES["a new image"]}, {"text": _UNITS["of two"]}
    yield Output("", "", "non_parallel", init=new)
    yield Output("", "", "parallel", compute={"text": "{}"})
    yield Output("", "", "compound", init=two)
    yield Output("", "", "converter_non_parallel", init=new)
    yield Output("", "", "converter_compound", init=two)


def outputs() -> Iterator[Output]:
    """All of them."""
    bare = {how: content for how, content in WRITTEN.items() if "of the dataset's" not in how}
    endings = {
        how: {"ending": ending} if names is None else {"text": "{}", "ending": ending}
        for how, (names, ending) in ENDINGS.items()
    }
    for kind in ("non_parallel", "parallel"):
        what = f"a {kind.replace('_', '-')} task's output"
        part = "init" if kind == "non_parallel" else "compute"
        for how, content in bare.items():
            given: dict[str, Any] = {part: {"hexed": content.hex()}}
            yield Output(what, how, kind, **given)
        for how, args in endings.items():
            given = {part: args}
            yield Output(what, how, kind, **given)
    for how, text in _IMAGES.items():
        what = "a non-parallel task's images"
        yield Output(what, how, "non_parallel", init={"text": text})
        yield Output("a parallel task's images", how, "parallel", compute={"text": {"A": text}})
    for how, content in bare.items():
        yield Output("an init part's output", how, "compound", init={"hexed": content.hex()})
    for how, text in _UNITS.items():
        yield Output("an init part's units", how, "compound", init={"text": text})
    two = {"text": _UNITS["of two"]}
    for how, text in _IMAGES.items():
        if "a known image" in how or "a new image" in how or "removal" in how or "twice" in how:
            of_a = {"text": {"A": text}}
            yield Output("a compute part's images", how, "compound", init=two, compute=of_a)
    for how, args in endings.items():
        yield Output("a compute part's output", how, "compound", init=two, compute=args)
    for how, texts in {
        "another image from each": {
            "A": _updates(_NEW + "}"),
            "B": _updates('{"zarr_url": "{tmp}/other"}'),
        },
        "the same from each": {"A": _updates(_NEW + "}"), "B": _updates(_NEW + "}")},
        "one image in two ways": {
            "A": _updates(_NEW + "}"),
            "B": _updates(_NEW + ', "types": {"m": true}}'),
        },
        "each updates the other": {
            "A": _updates('{"zarr_url": "{tmp}/B"}'),
            "B": _updates(_A + "}"),
        },
        "one removes what the other updates": {
            "A": _updates(_A + "}"),
            "B": '{"image_list_removals": ["{tmp}/A"]}',
        },
        "both remove one": {
            "A": '{"image_list_removals": ["{tmp}/A"]}',
            "B": '{"image_list_removals": ["{tmp}/A"]}',
        },
    }.items():
        yield Output("a parallel task's images", how, "parallel", compute={"text": texts})
    for how, of_units in _OF_UNITS.items():
        yield Output("a parallel task's units", how, "parallel", compute={"text": of_units})
        what = "a compute part's several units"
        yield Output(what, how, "compound", init=two, compute={"text": of_units})
    for how, silence in _SILENCE.items():
        for kind in _TYPED:
            both: dict[str, Any] = {"text": {"A": silence, "B": silence}}
            init: Mapping[str, Any] = two if kind == "compound" else {}
            if kind == "non_parallel":
                init, both = {"text": silence}, {}
            what = f"a {kind.replace('_', '-')} task with output_types, and the next step"
            yield Output(what, how, kind, init, both, typed=True)
    for how, silence in _SILENCE.items():
        of_one = {"text": {"A": silence, "B": _IMAGES["a new image"]}}
        what = "one of two units with output_types, and the next step"
        yield Output(what, how, "parallel", compute=of_one, typed=True)
    for how in (
        "a new image",
        "a known image",
        "zarr_url outside",
        "removal of a known image",
        "origin unknown",
        "attributes of a list",
        "types of a boolean",
    ):
        what = "a converter's images"
        yield Output(what, how, "converter_non_parallel", init={"text": _IMAGES[how]})
    for how in ("none", "of two", "of a new image", "init_args null"):
        unit = {"text": _UNITS[how]}
        yield Output("a converter's units", how, "converter_compound", init=unit)


def asked(output: Output, folder: Path) -> dict[str, Any]:
    """The job that it is on a server."""
    number = KINDS.index(output.kind)
    if output.typed:
        number = len(KINDS) + _TYPED.index(output.kind)
    steps = [{"task": number, "init": output.init, "compute": output.compute}]
    if output.typed:
        steps.append({"task": len(KINDS) + len(_TYPED), "init": {}, "compute": _MARK_EACH})
    job = {"steps": steps, "zarr_dir": "{tmp}", "images": output.images}
    placed_job: dict[str, Any] = placed(job, {"tmp": str(folder)})
    return placed_job


def make_package(folder: Path, all_of_them: Sequence[Output]) -> tuple[Path, Path]:
    """Write the wheel, and the samples that are these outputs; returns both places."""
    manifest = {
        "manifest_version": "2",
        "has_args_schemas": True,
        "args_schema_version": "pydantic_v2",
        "authors": "A. Nonymous",
        "task_list": [
            *map(_task, KINDS),
            *(
                {**_task(kind), "name": _name(kind, True), "output_types": _TYPES}
                for kind in _TYPED
            ),
            {**_task("parallel"), "name": _AFTER, "input_types": _TYPES},
        ],
    }
    files = {
        "fractal_outputs/__init__.py": "",
        f"fractal_outputs/{MANIFEST_NAME}": json.dumps(manifest),
    }
    for kind, parts in _TASKS.items():
        for name, supplied in zip(("init", "compute"), parts, strict=True):
            if supplied is not None:
                files[f"fractal_outputs/{kind}_{name}.py"] = SCRIPT.format(
                    signature=", ".join(supplied),
                    supplied=", ".join(map(repr, sorted(supplied))),
                )
    wheel = write_package(folder, files)
    samples = folder / "samples"
    samples.mkdir(exist_ok=True)
    for number, output in enumerate(all_of_them):
        init, compute = _TASKS[output.kind]
        both = {"init": output.init, "compute": output.compute}
        args = both if init and compute else output.init if init else output.compute
        sample: dict[str, Any] = {"task": _name(output.kind, output.typed), "args": args}
        if output.images:
            sample["images"] = output.images
        if output.typed:
            sample = {"steps": [sample, {"task": _AFTER, "args": _MARK_EACH}]}
        (samples / f"output-{number:03}.json").write_text(json.dumps(sample))
    return wheel, samples


def _name(kind: str, typed: bool = False) -> str:
    return f"Write {kind.replace('_', ' ')}{' with types' if typed else ''}"


def _task(kind: str) -> dict[str, Any]:
    task: dict[str, Any] = {
        "name": _name(kind),
        "type": kind,
        "docs_info": "Writes what its arguments spell.",
        "docs_link": "https://example.org/docs",
        "category": "Conversion",
        "modality": "HCS",
        "tags": ["writes", "output"],
        "input_types": {},
        "output_types": {},
    }
    for name, way, supplied in zip(
        ("init", "compute"), ("non_parallel", "parallel"), _TASKS[kind], strict=True
    ):
        if supplied is None:
            continue
        types = {"zarr_urls": "array", "init_args": "object"}
        task[f"executable_{way}"] = f"{kind}_{name}.py"
        task[f"meta_{way}"] = {"cpus_per_task": 1}
        task[f"args_schema_{way}"] = {
            "type": "object",
            "properties": {
                **{key: {"type": types.get(key, "string")} for key in supplied},
                "hexed": {"type": "string", "title": "Hexed"},
                "text": {"title": "Text", "description": "A text, or one for each image."},
                "ending": {"type": "string", "title": "Ending", "default": ""},
            },
            "required": list(supplied),
            "additionalProperties": False,
        }
    return task
