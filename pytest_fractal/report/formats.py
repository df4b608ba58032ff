"""The formats of report files, by the suffix of their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pytest_fractal.errors import BadInput
from pytest_fractal.report import badge, html_page, json_file, markdown, sarif
from pytest_fractal.report.model import Report


@dataclass(frozen=True)
class Format:
    """A kind of file that a report can be written to."""

    what: str
    render: Callable[[Report], str]
    """Makes the content of the file."""


FORMATS: Final[Mapping[str, Format]] = {
    ".badge.json": Format("data for a badge service", badge.render_endpoint),
    ".html": Format("page for a browser", html_page.render),
    ".json": Format("everything, as data", json_file.render),
    ".md": Format("summary of a CI job", markdown.render),
    ".sarif": Format("SARIF 2.1.0, for code scanning", sarif.render),
    ".svg": Format("badge", badge.render_image),
}
"""All formats; a suffix that ends like another one stands before it."""


def format_of(path: Path) -> Format:
    """The format of a file with this name. Raises `BadInput` when its suffix is none of ours."""
    for suffix, known in FORMATS.items():
        if path.name.lower().endswith(suffix) and path.name.lower() != suffix:
            return known
    listed = ", ".join(f"{suffix} ({known.what})" for suffix, known in FORMATS.items())
    also = "; JUnit XML is pytest's own: --junit-xml=FILE" if path.suffix == ".xml" else ""
    raise BadInput(f"{path}: the suffix tells the format, one of {listed}{also}")


def check_file(path: Path) -> None:
    """Raise `BadInput` when no report can be written to `path`: wrong suffix, or a folder."""
    format_of(path)
    if path.is_dir():
        raise BadInput(f"{path}: this is a folder; a report is written to a file")


def write(report: Report, path: Path) -> None:
    """Write the report to `path` in UTF-8, in the format of its suffix; replaces it at once.

    A folder that is missing is made. Raises `OSError`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    # Half of a surrogate pair, as a broken manifest may have it, becomes a JSON escape.
    partial.write_text(format_of(path).render(report), "utf-8", "backslashreplace")
    partial.replace(path)
