"""All that static rules say of a manifest: blocks of what is changed in a good one, and findings.

`python tests/test_manifest_words.py` writes what they say today, for a person to read.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from wheel_factory import TASK_SOURCE, good_manifest, make_wheel, verdicts

from pytest_fractal.verdicts import Finding, Verdict

WORDS = Path(__file__).with_name("manifest_words.txt")
BLOCKS = WORDS.read_text("utf-8").strip().split("\n\n")
CODES = "FR10,FR110,FR111,FR112,FR113,FR114,FR115,FR116,FR118,FR20"
EACH = {
    "name": "Each",
    "executable_parallel": "task.py",
    "args_schema_parallel": {
        "type": "object",
        "properties": {"zarr_url": {"type": "string"}, "sigma": {"type": "number"}},
        "required": ["zarr_url", "sigma"],
    },
    "docs_info": "Does nothing.",
    "docs_link": "https://example.org/demo",
}

OF_VERSION_2 = """
from fractal_task_tools.task_wrapper import run_fractal_task

def main(*, zarr_url: str, sigma: float): ...

if __name__ == "__main__":
    run_fractal_task(task_function=main)
"""


def manifest_of(change: dict[str, Any]) -> Any:
    """The good manifest of a version, with keys of it and of its task replaced; null drops one."""
    manifest = good_manifest()
    if change.get("version") == "2":
        manifest |= {"manifest_version": "2", "args_schema_version": "pydantic_v2"}
        manifest["task_list"] = [json.loads(json.dumps(EACH))]
    entry = manifest["task_list"][0]
    for key, value in change.get("schema", {}).items():
        of_entry = "args_schema_parallel" if "args_schema_parallel" in entry else "args_schema"
        entry[of_entry]["properties"][key] = value
    entry.update(change.get("task", {}))
    for key in change.get("without", ()):
        entry.pop(key)
    manifest["task_list"] += change.get("more", [])
    return {**manifest, **change.get("top", {})}


def said(change: dict[str, Any], folder: Path) -> list[str]:
    files = {
        "__init__.py": "",
        "task.py": TASK_SOURCE,
        **dict.fromkeys(change.get("files", ()), ""),
    }
    if change.get("version") == "2":
        files["task.py"] = OF_VERSION_2
    if "source" in change:
        files["task.py"] = change["source"]
    wheel = make_wheel(folder, files=files, manifest=manifest_of(change))
    return [
        line
        for verdict in verdicts(wheel, change.get("codes", CODES))
        for line in [
            *_reason(verdict),
            *(line for found in verdict.findings for line in _lines(verdict.code, found)),
        ]
    ]


def _reason(verdict: Verdict) -> Iterator[str]:
    if verdict.skip == "not-checked" and verdict.code != "FR208":
        yield f"{verdict.code} {verdict.skip}: {verdict.reason}"


def _lines(code: str, found: Finding) -> Iterator[str]:
    weight = f" {found.severity}" if found.severity else ""
    concerned = f" {found.releases}" if found.releases else ""
    yield f"{code}{weight}{concerned} {found.pointer}: {found.found}".replace("\n", "\\n")
    yield f"  expected: {found.expected}".replace("\n", "\\n")
    yield f"  fix: {found.hint}".replace("\n", "\\n")
    for file in found.fix.files if found.fix else ():
        for edit in file.json:
            value = json.dumps(edit.value)
            yield f"  edit: {edit.action.value} {'/'.join(map(str, edit.keys))} {value}"


@pytest.mark.parametrize("block", BLOCKS)
def test_all_that_is_said_of_a_manifest(tmp_path: Path, block: str) -> None:
    change, *lines = block.splitlines()
    assert said(json.loads(change), tmp_path) == lines


if __name__ == "__main__":
    written = []
    for block in (text.partition("\n")[0] for text in BLOCKS):
        with TemporaryDirectory() as temporary:
            written.append("\n".join([block, *said(json.loads(block), Path(temporary))]))
    WORDS.write_text("\n\n".join(written) + "\n", "utf-8")
    sys.exit(0)
