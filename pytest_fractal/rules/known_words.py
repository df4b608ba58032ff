"""FR118: what people search and read by is written as everybody writes it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Final

from pytest_fractal.facts import PackagedTask
from pytest_fractal.fixes.model import Action, JsonEdit
from pytest_fractal.json_text import shown
from pytest_fractal.rules.cite import Source
from pytest_fractal.rules.registry import rule
from pytest_fractal.verdicts import Finding, NotApplicable, Severity

_FILE: Final = "file:"
_NEAR: Final = 0.9
"""How alike two words are that differ in an ending or a slip of the pen, by difflib's ratio."""


@rule(
    "FR118",
    "known-words",
    severity=Severity.WARNING,
    needs=("FR106",),
    cite=(Source.TASKS, f"{Source.TOOLS} (its `read_docs_info_from_file`)"),
    fix="Write the standard word, and the text itself in `docs_info`.",
    example='"category": "segmentation", "docs_info": "file:docs_info/blur.md"',
)
def known_words(task: PackagedTask) -> Iterator[Finding]:
    """A category or modality that means a standard one is spelled like it; docs are a text.

    The page of all tasks groups and filters by these words: `segmentation` is no
    `Segmentation` there. A word of one's own passes. `docs_info` is shown as Markdown:
    `file:...` is what fractal-task-tools replaces when it makes the manifest.
    """
    standard = task.generation.standard_words
    if not standard:
        raise NotApplicable("tasks of this generation have no category and modality")
    for key, words in standard.items():
        value = task.entry.get(key)
        word = _meant(value, words) if isinstance(value, str) else None
        if word is not None:
            yield task.finding(
                key,
                expected=f'the standard word "{word}"',
                found=shown(value),
                hint=f'write "{key}": "{word}"',
                edits=[JsonEdit(Action.SET, (key,), word)],
            )
    docs = task.entry.get("docs_info")
    if isinstance(docs, str) and docs.strip().startswith(_FILE):
        yield task.finding(
            "docs_info",
            expected="the text itself, as Markdown",
            found=f"{shown(docs)}, which nothing replaces any more",
            hint="write the text of the file here; `fractal-manifest create` does it when "
            "docs_info stands in dev/task_list.py like this",
        )


def _meant(value: str, words: tuple[str, ...]) -> str | None:
    """The standard word that a text means and is not; None where it is one, or none."""
    if value in words:
        return None
    plain: Mapping[str, str] = {_plain(word): word for word in words}
    near = difflib.get_close_matches(_plain(value), plain, 1, cutoff=_NEAR)
    return plain[near[0]] if near else None


def _plain(text: str) -> str:
    return re.sub(r"[\W_]", "", text.casefold())
