"""Keeps what the tool says of one bad package a rule, for the rule's page.

Usage: python docs/kept_findings.py [CODE | PACKAGE ...]

CODE judges the package that is kept for it again, PACKAGE (a folder of bad_packages/) makes
that one the example; without either, all are judged again.

`tests/test_corpora.py` judges all bad packages anyway, and says which texts are stale.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from pytest_fractal import check_package
from pytest_fractal.report.model import CandidateReport
from pytest_fractal.rules import REGISTRY
from pytest_fractal.verdicts import Finding

ROOT: Final = Path(__file__).parent.parent
FILE: Final = Path(__file__).with_name("kept_findings.json")

_PARTS: Final = ("file", "line", "column", "pointer", "task", "expected", "found", "hint")


def _kept() -> dict[str, Any]:
    """By code: the name of the package that shows the rule, and what was said of it."""
    kept: dict[str, Any] = json.loads(FILE.read_text("utf-8")) if FILE.is_file() else {}
    return kept


def _of(code: str) -> Any:
    kept = _kept()
    if code not in kept:
        raise LookupError(f"nothing is kept of {code}: run python docs/kept_findings.py {code}")
    return kept[code]


def example(code: str) -> Path:
    """The bad package on the page of this rule."""
    return ROOT / "bad_packages" / str(_of(code)["package"])


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
    return tuple(Finding(**finding) for finding in _of(code)["findings"])


def stale(folder: Path, report: CandidateReport) -> bool:
    """Whether this report of a bad package says other than is kept of it.

    What was found does not count: it is often in the words of an installer or a library,
    which change with their releases. Nor do numbers, which may be versions.
    """
    one = _kept().get(folder.name.partition("_")[0])
    if one is None or one["package"] != folder.name:
        return False
    return _plain(said(report)) != _plain(one["findings"])


def _plain(findings: list[dict[str, Any]]) -> str:
    own = [{part: finding[part] for part in finding if part != "found"} for finding in findings]
    return re.sub(r"\d+(?:\.\d+)*", "0", json.dumps(own))


def is_kept(code: str) -> bool:
    """Whether there is what the page of this rule shows."""
    return code in _kept()


def keep(words: Iterable[str]) -> None:
    """Judge these packages, or those that are kept for these codes, and write what is said."""
    texts = _kept()
    for word in words:
        code = word.partition("_")[0]
        folders = sorted((ROOT / "bad_packages").glob(f"{code}_*"))
        chosen = word if word != code else texts.get(code, {}).get("package")
        folder = next((folder for folder in folders if folder.name == chosen), folders[0])
        options = tomllib.loads((folder / "expected.toml").read_text("utf-8"))
        for key in ("finding", "slow"):
            options.pop(key, None)
        (report,) = check_package(folder, **options).candidates
        texts[code] = {"package": folder.name, "findings": said(report)}
        print(folder.name, len(texts[code]["findings"]))
    ordered = {code: texts[code] for code in REGISTRY if code in texts}
    FILE.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    keep(sys.argv[1:] or REGISTRY)
