"""All that generation 2 says of what tasks write and of the images of samples.

`python tests/test_output_words.py` writes what it says today, for a person to read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_fractal.generations import VERSION_2
from pytest_fractal.generations.images import (
    Dataset,
    image_faults,
    init_output_faults,
    output_faults,
    read_image,
    read_output,
    type_faults,
)
from pytest_fractal.pointers import pointer

WORDS = Path(__file__).with_name("output_words.txt")
BLOCKS = WORDS.read_text("utf-8").strip().split("\n\n")
FAULTS: dict[str, Callable[[Any], Iterable[Any]]] = {
    "output": output_faults,
    "init": init_output_faults,
    "image": image_faults,
    "types": type_faults,
}


def said(kind: str, value: Any) -> list[str]:
    there: list[str] = []
    faults: Iterable[Any]
    if kind in FAULTS:
        faults = FAULTS[kind](value)
    elif kind == "after":
        images = tuple(map(read_image, value["images"]))
        outputs = [read_output(output) for output in value["outputs"]]
        types = value.get("output_types", {})
        after, faults = Dataset("/d", images).after(outputs, inputs=images, output_types=types)
        there = [f"  image: {json.dumps(image.value)}" for image in after.images]
    else:
        faults = VERSION_2.sample_faults(kind, {"zarr_dir": "/d", **value})
    lines = there + [line for fault in faults for line in _lines(fault)]
    return [line.encode(errors="backslashreplace").decode() for line in lines]


def _lines(fault: Any) -> Iterator[str]:
    marks = ("coerced", "releases")
    marked = [f" {mark}={getattr(fault, mark)}" for mark in marks if getattr(fault, mark, None)]
    yield f"{pointer(*fault.keys)}: {fault.found}{''.join(marked)}"
    yield f"  expected: {fault.expected}"
    yield f"  fix: {fault.fix}"


@pytest.mark.parametrize("block", BLOCKS)
def test_all_that_is_said_of_outputs_and_images(block: str) -> None:
    given, *lines = block.splitlines()
    kind, _, text = given.partition(" ")
    assert said(kind, json.loads(text)) == lines


if __name__ == "__main__":
    written = []
    for first in (block.partition("\n")[0] for block in BLOCKS):
        name, _, content = first.partition(" ")
        written.append("\n".join([first, *said(name, json.loads(content))]))
    WORDS.write_text("\n\n".join(written) + "\n", "utf-8")
