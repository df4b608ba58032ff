"""Keeps what the tool says of one bad package a rule, for the rule's page.

Usage: python docs/kept_findings.py [CODE ...]     # really judge them again, and write

`tests/test_corpora.py` judges all bad packages anyway, and says which texts are stale.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from pytest_fractal import check_package
from pytest_fractal.report.model import CandidateReport
from pytest_fractal.rules import REGISTRY
from pytest_fractal.verdicts import Finding

ROOT: Final = Path(__file__).parent.parent
FILE: Final = Path(__file__).with_name("kept_findings.json")

CHOSEN: Final = {
    "FR001": "FR001_backend_not_required",
    "FR002": "FR002_no_release_is_new_enough",
    "FR101": "FR101_setuptools_pyproject",
    "FR110": "FR110_file_missing",
    "FR206": "FR206_property_renamed",
    "FR301": "FR301_missing_module",
    "FR401": "FR401_one_component_of_three",
    "FR405": "FR405_popen_not_waited_for",
    "FR902": "FR902_depends_on_working_directory",
}
"""The package that shows a rule best, where that is not the first by its name."""

_PARTS: Final = ("file", "line", "column", "pointer", "task", "expected", "found", "hint")


def example(code: str) -> Path:
    """The bad package on the page of this rule."""
    folders = sorted((ROOT / "bad_packages").glob(f"{code}_*"))
    return next((one for one in folders if one.name == CHOSEN.get(code)), folders[0])


def said(report: CandidateReport) -> list[dict[str, Any]]:
    """The findings of a report, less what changes from machine to machine."""
    return [
        {
            part: _anywhere(value)
            for part, value in asdict(found).items()
            if part in _PARTS and value
        }
        for _, found in report.findings
    ]


def _anywhere(value: Any) -> Any:
    """A text without the folders of this run."""
    if not isinstance(value, str):
        return value
    return re.sub(r"[^\s'\"]*pytest-fractal-[^/\s]+/package-0", "...", value)


def kept(code: str) -> tuple[Finding, ...]:
    """The findings on the page of this rule."""
    return tuple(Finding(**one) for one in json.loads(FILE.read_text("utf-8"))[code])


def stale(folder: Path, report: CandidateReport) -> bool:
    """Whether this report of a bad package says other than is kept of it.

    Numbers do not count: they are versions, of the interpreter or of what is on the index.
    Nor do blanks: installers fill lines as wide as the terminal.
    """
    code = folder.name.partition("_")[0]
    if folder != example(code):
        return False
    now, before = said(report), json.loads(FILE.read_text("utf-8")).get(code)
    return _plain(now) != _plain(before)


def _plain(findings: object) -> str:
    text = re.sub(r"\d+(?:\.\d+)*", "0", json.dumps(findings))
    return re.sub(r"(?:\\n|\s)+", " ", text)


def main() -> None:
    """Judge the packages of the rules named, else of all, and write what was said."""
    texts = json.loads(FILE.read_text("utf-8")) if FILE.is_file() else {}
    for code in sys.argv[1:] or REGISTRY:
        folder = example(code)
        options = tomllib.loads((folder / "expected.toml").read_text("utf-8"))
        for key in ("finding", "slow"):
            options.pop(key, None)
        (report,) = check_package(folder, **options).candidates
        texts[code] = said(report)
        print(code, folder.name, len(texts[code]))
    ordered = {code: texts[code] for code in REGISTRY if code in texts}
    FILE.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
