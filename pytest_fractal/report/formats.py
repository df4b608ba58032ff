"""The formats of report files, by the suffix of their names.

The options of pytest name them, in every run of everybody: a module is imported when a
report is written in its format.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pytest_fractal.errors import BadInput

if TYPE_CHECKING:
    from pytest_fractal.report.model import Report


@dataclass(frozen=True)
class Format:
    """A kind of file that a report can be written to."""

    what: str
    module: str
    """The module of this package that knows it."""
    function: str = "render"
    """The function there that makes the content of a file of a report."""

    def render(self, report: Report) -> str:
        """The content of the file."""
        module = import_module(f"pytest_fractal.report.{self.module}")
        text: str = getattr(module, self.function)(report)
        return text


FORMATS: Final[Mapping[str, Format]] = {
    ".badge.json": Format("data for a badge service", "badge", "render_endpoint"),
    ".html": Format("page for a browser", "html_page"),
    ".json": Format("everything, as data", "json_file"),
    ".md": Format("summary of a CI job", "markdown"),
    ".sarif": Format("SARIF 2.1.0, for code scanning", "sarif"),
    ".svg": Format("badge", "badge", "render_image"),
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
