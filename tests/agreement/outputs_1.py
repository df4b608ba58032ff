"""What a task may write and how it may end: one package that does as its arguments say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pytest_fractal.environments.wheels import MANIFEST_NAME

from .bases import write_files

SCRIPT: Final = '''
"""Writes the bytes that its argument spells, then does what the other one says."""

import json
import os
import signal
import sys


def write_output(
    input_paths, output_path, metadata, {component}output=None, ending=""
): pass


options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
if len(options) != 2 or set(options) != {{"-j", "--metadata-out"}}:
    sys.exit("usage: -j FILE --metadata-out FILE")
with open(options["-j"]) as file:
    given = json.load(file)
known = {{"input_paths", "output_path", "metadata", "output", "ending", {known}}}
if not given.keys() <= known or not {{"input_paths", "output_path", "metadata"}} <= given.keys():
    sys.exit("unknown or missing arguments")
out = options["--metadata-out"]
output = given.get("output")
if isinstance(output, dict):
    output = output.get(given["component"])
if output is not None:
    with open(out, "wb") as file:
        file.write(bytes.fromhex(output))
exec(given.get("ending", ""))
'''
"""The source of both tasks; `ending` is one line of Python."""

ENDINGS: Final[Mapping[str, tuple[bytes | None, str]]] = {
    "status 0 and nothing written": (None, ""),
    "status 0 and an error on stderr": (b"{}", "sys.stderr.write('Traceback: no error')"),
    "status 0 and no text on stdout": (b"{}", "os.write(1, bytes(range(256)))"),
    "status 1": (b'{"well": ["B"]}', "sys.exit(1)"),
    "status 2": (None, "sys.exit(2)"),
    "status 255": (None, "sys.exit(-1)"),
    "status 1 and no text on stderr": (None, "os.write(2, bytes(range(256))); sys.exit(1)"),
    "an exception": (b"{}", "raise ValueError('no such channel')"),
    "SIGKILL": (b"{}", "os.kill(os.getpid(), signal.SIGKILL)"),
    "SIGTERM": (b"{}", "os.kill(os.getpid(), signal.SIGTERM)"),
    "SIGSEGV": (None, "os.kill(os.getpid(), signal.SIGSEGV)"),
    "SIGHUP": (None, "os.kill(os.getpid(), signal.SIGHUP)"),
    "a folder for the output": (None, "os.mkdir(out)"),
    "a link to nothing for the output": (None, "os.symlink(out + '.real', out)"),
    "a link to the output": (
        None,
        "open(out + '.real', 'w').write('{}'); os.symlink(out + '.real', out)",
    ),
}

TEXTS: Final[Mapping[str, str]] = {
    "null": "null",
    "an empty object": "{}",
    "an object": '{"plate": ["p.zarr"], "number": 1.5, "deep": {"a": [null, true]}}',
    "an object with blanks around": "\n {} \n",
    "an object with a key of the dataset's": '{"image": ["C", "D"]}',
    "an object with an empty key": '{"": 1}',
    "an object with a key twice": '{"plate": 1, "plate": 2}',
    "an object with the keys of arguments": '{"metadata": {}, "output_path": "/", "history": []}',
    "an object with a NUL": '{"plate": "\\u0000"}',
    "an object with half a surrogate pair": '{"plate": "\\ud800"}',
    "an object with letters of other scripts": '{"größe": "測定"}',
    "an object with 10 to the 30th": '{"number": 1' + "0" * 30 + "}",
    "an object with a number of 5000 digits": '{"number": ' + "9" * 5000 + "}",
    "an object with NaN": '{"number": NaN}',
    "an object with Infinity": '{"number": [-Infinity]}',
    "an object with a number above all floats": '{"number": 1e999}',
    "an object nested 200 deep": '{"deep": ' + "[" * 200 + "]" * 200 + "}",
    "an object nested 100000 deep": '{"deep": ' + "[" * 100000 + "]" * 100000 + "}",
    "an object of a megabyte": '{"plate": "' + "p" * 1000000 + '"}',
    "an empty list": "[]",
    "a list of texts": '["p.zarr"]',
    "a list of texts of two letters": '["B3"]',
    "a list of pairs": '[["plate", "p.zarr"]]',
    "a list of an object": '[{"plate": "p.zarr"}]',
    "a list of numbers": "[1, 2]",
    "0": "0",
    "7": "7",
    "1.5": "1.5",
    "an empty text": '""',
    "a text": '"p.zarr"',
    "a text that holds an object": '"{}"',
    "true": "true",
    "false": "false",
    "NaN": "NaN",
    "Infinity": "Infinity",
    "no JSON": "{plate: 1}",
    "Python for JSON": "{'plate': None}",
    "an object that is cut": '{"plate": ',
    "a comma too many": '{"plate": 1,}',
    "a comment": "{} // nothing",
    "two objects": "{}{}",
    "an object and text behind": "{}\nDone",
    "an empty file": "",
    "blanks alone": " \n",
}


WRITTEN: Final[Mapping[str, bytes]] = {
    **{how: text.encode() for how, text in TEXTS.items()},
    "a BOM before an object": b"\xef\xbb\xbf{}",
    "a BOM alone": b"\xef\xbb\xbf",
    "UTF-16": '{"plate": "p.zarr"}'.encode("utf-16"),
    "Latin-1": '{"gr\u00f6\u00dfe": 1}'.encode("latin-1"),
    "a NUL behind": b"{}\0",
}


@dataclass(frozen=True)
class Output:
    """One job with the package: what its tasks write, and how they end."""

    how: str
    parallel: bool
    steps: tuple[Mapping[str, Any], ...]
    """The arguments of each step; the first is of the task that `parallel` says."""
    meta: Mapping[str, Any]

    @property
    def what(self) -> str:
        """What is varied."""
        if len(self.steps) > 1:
            return "components that a non-parallel task names"
        return f"a {'parallel' if self.parallel else 'non-parallel'} task's output"

    @property
    def tasks(self) -> tuple[int, ...]:
        """The positions of the tasks of all steps."""
        return (int(self.parallel), *(1 for _ in self.steps[1:]))


def outputs() -> Iterator[Output]:
    """All of them."""
    for parallel in (False, True):
        meta = {"image": ["A", "B"], "other": 1}
        for how, content in WRITTEN.items():
            yield Output(how, parallel, ({"output": content.hex()},), meta)
        for how, (names, ending) in ENDINGS.items():
            args = {} if names is None else {"output": names.hex()}
            yield Output(how, parallel, ({**args, "ending": ending},), meta)
    for how, each in {
        "another object from each component": {"A": '{"n": 1}', "B": '{"n": 2, "m": 3}'},
        "an object from one component, nothing from the other": {"A": '{"n": 1}'},
        "an object from one component, null from the other": {"A": '{"n": 1}', "B": "null"},
        "an object from one component, a list from the other": {"A": "{}", "B": "[]"},
        "the level's own key from each component": {"A": '{"image": "A"}', "B": '{"image": "B"}'},
    }.items():
        hexed = {component: text.encode().hex() for component, text in each.items()}
        yield Output(how, True, ({"output": hexed},), {"image": ["A", "B"]})
    yield Output(
        "status 1 for one component",
        True,
        ({"ending": "sys.exit(given['component'] == 'B')"},),
        {"image": ["A", "B"]},
    )
    for how, text in {
        "two": '{"image": ["A", "B"]}',
        "none: an empty list": '{"image": []}',
        "none: no such key": "{}",
        "none: null for a list": '{"image": null}',
        "a text for a list": '{"image": "AB"}',
        "an object for a list": '{"image": {"A": 1}}',
        "a number for a list": '{"image": 1}',
        "numbers": '{"image": [1, 2]}',
        "null among them": '{"image": [null]}',
        "a list among them": '{"image": [["A"]]}',
        "an empty text among them": '{"image": [""]}',
        "blanks in them": '{"image": ["a b", "a  b"]}',
        "one twice": '{"image": ["A", "A"]}',
        "two that collide in file names": '{"image": ["a.b", "a/b"]}',
        "letters of other scripts": '{"image": ["größe/測定"]}',
        "a path": '{"image": ["/p.zarr/B/03/0/"]}',
        "a NUL in one": '{"image": ["A\\u0000"]}',
        "a name of 300 characters": '{"image": ["' + "A" * 300 + '"]}',
        "a quote in one": '{"image": ["it\'s"]}',
        "a semicolon in one": '{"image": ["A;B"]}',
        "a star in one": '{"image": ["*"]}',
        "a backslash in one": '{"image": ["A\\\\B"]}',
    }.items():
        yield Output(how, False, ({"output": text.encode().hex()}, {}), {})


def asked(output: Output, folder: Path) -> dict[str, Any]:
    """The job that it is on a server."""
    return {
        "steps": [
            {"task": task, "args": args}
            for task, args in zip(output.tasks, output.steps, strict=True)
        ],
        "input_paths": [str(folder / "input")],
        "output_path": str(folder / "output"),
        "meta": output.meta,
    }


def make_package(folder: Path, all_of_them: Sequence[Output]) -> tuple[Path, Path]:
    """Write the wheel, and the samples that are these outputs; returns both places.

    The sample of an output is called `output-` and its position.
    """
    manifest = {
        "manifest_version": "1",
        "has_args_schemas": True,
        "args_schema_version": "hand",
        "task_list": [_task("Write alone", {}), _task("Write each", {"component": "string"})],
    }
    files = {
        "fractal_outputs/__init__.py": "",
        "fractal_outputs/write_alone.py": SCRIPT.format(component="", known=""),
        "fractal_outputs/write_each.py": SCRIPT.format(
            component="component, ", known='"component"'
        ),
        f"fractal_outputs/{MANIFEST_NAME}": json.dumps(manifest),
    }
    wheel = write_package(folder, files)
    samples = folder / "samples"
    samples.mkdir(exist_ok=True)
    for number, output in enumerate(all_of_them):
        steps = [
            {"task": ("write_alone", "write_each")[task], "args": args}
            for task, args in zip(output.tasks, output.steps, strict=True)
        ]
        first = {**steps[0], "metadata": output.meta}
        sample = first if len(steps) == 1 else {"steps": [first, *steps[1:]]}
        (samples / f"output-{number:03}.json").write_text(json.dumps(sample))
    return wheel, samples


def write_package(folder: Path, files: Mapping[str, str]) -> Path:
    """Write a wheel of `fractal-outputs` with these files."""
    about = "fractal_outputs-1.0.dist-info"
    files = {
        **files,
        f"{about}/METADATA": "Metadata-Version: 2.1\nName: fractal-outputs\nVersion: 1.0\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    content = {path: text.lstrip().encode() for path, text in files.items()}
    wheel = folder / "fractal_outputs-1.0-py3-none-any.whl"
    return write_files(wheel, {**content, f"{about}/RECORD": b""})


def _task(name: str, more: Mapping[str, str]) -> dict[str, Any]:
    own = {"output": {}, "ending": {"type": "string"}}
    given = {"input_paths": "array", "output_path": "string", "metadata": "object", **more}
    return {
        "name": name,
        "executable": f"{name.lower().replace(' ', '_')}.py",
        "input_type": "Any",
        "output_type": "Any",
        "meta": {"parallelization_level": "image"} if more else {},
        "args_schema": {
            "type": "object",
            "properties": {**{key: {"type": kind} for key, kind in given.items()}, **own},
            "required": list(given),
            "additionalProperties": False,
        },
        "docs_info": "Writes what its arguments spell.",
    }
