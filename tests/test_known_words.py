"""FR118: which words mean a standard one, and which are words of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from wheel_factory import broken, make_wheel


def found(folder: Path, version: str = "2", **task: Any) -> list[str | None]:
    executable = "executable_parallel" if version == "2" else "executable"
    entry = {"name": "Demo task", executable: "task.py", "docs_info": "Does nothing.", **task}
    manifest = {"manifest_version": version, "task_list": [entry]}
    return [pointer for _, _, pointer in broken(make_wheel(folder, manifest=manifest), "FR118")]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("category", "segmentation"),
        ("category", "Segmentations"),
        ("category", "image_processing"),
        ("category", "Mesurement"),
        ("modality", "hcs"),
        ("modality", "Light sheet"),
        ("modality", "Em"),
        ("docs_info", "file:docs_info/task.md"),
    ],
)
def test_a_word_that_means_a_standard_one_is_reported(
    tmp_path: Path, key: str, value: str
) -> None:
    assert found(tmp_path, **{key: value}) == [f"/task_list/0/{key}"]


@pytest.mark.parametrize(
    "task",
    [
        {"category": "Segmentation", "modality": "lightsheet"},
        {"category": "Restoration", "modality": "confocal"},
        {"category": "Feature extraction", "modality": "FISH"},
        {"category": "Image", "modality": "E"},
        {"category": None, "modality": None, "docs_info": None, "docs_link": "https://a.org"},
        {"docs_info": "Reads the file: one image."},
        {},
    ],
)
def test_other_words_and_none_pass(tmp_path: Path, task: dict[str, Any]) -> None:
    assert found(tmp_path, **task) == []


def test_version_1_has_no_such_words(tmp_path: Path) -> None:
    assert found(tmp_path, "1", docs_info="file:task.md") == []
