"""What differs between two texts, as lines; and how that reads."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

from pytest_fractal.fixes.model import FileFix, LineEdit


def split_lines(text: str) -> list[str]:
    """The lines of a text without their ends; the last is empty where the text ends a line."""
    return text.split("\r\n" if "\r\n" in text else "\n")


def line_edits(before: str, after: str) -> tuple[LineEdit, ...]:
    """What to change in the lines of one text to get the other."""
    old, new = split_lines(before), split_lines(after)
    # A fix touches a few lines of what may be thousands.
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    old, new = old[start : len(old) - end], new[start : len(new) - end]
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    return tuple(
        LineEdit(start + first + 1, tuple(old[first:last]), tuple(new[first_new:last_new]))
        for tag, first, last, first_new, last_new in matcher.get_opcodes()
        if tag != "equal"
    )


def apply_lines(text: str, edits: Sequence[LineEdit]) -> str:
    """The text with these edits. Raises `LookupError` where other lines stand there."""
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = split_lines(text)
    limit = len(lines) + 1
    for edit in sorted(edits, key=lambda one: one.line, reverse=True):
        start, end = edit.line - 1, edit.line - 1 + len(edit.removed)
        if tuple(lines[start:end]) != edit.removed or end >= limit:
            raise LookupError(edit.line)
        lines[start:end] = edit.added
        limit = start + 1
    return newline.join(lines)


def patch_lines(files: Sequence[FileFix]) -> Iterator[str]:
    """The lines of a fix as a patch has them, without those around."""
    for file in files:
        for edit in file.lines:
            yield f"{file.file}:{edit.line}"
            yield from (f"- {line}" for line in edit.removed)
            yield from (f"+ {line}" for line in edit.added)
