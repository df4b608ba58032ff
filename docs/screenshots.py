"""Makes the screenshots of docs/walkthrough.md anew, from real runs, with headless Chromium.

Usage: python docs/screenshots.py        # needs `chromium` in PATH
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt

ROOT: Final = Path(__file__).parent.parent
IMAGES: Final = Path(__file__).with_name("images")
WALK: Final = Path(__file__).with_name("walkthrough.md")

# A job summary has GitHub's look: what it is written for.
_PAGE: Final = """<!doctype html><meta charset="utf-8"><style>
body { font: 15px/1.5 "DejaVu Sans", sans-serif; color: #1f2328; margin: 18px 26px; }
h2, h3 { border-bottom: 1px solid #d1d9e0; padding-bottom: .3em; margin: .6em 0; }
code, pre { font: 12.5px "DejaVu Sans Mono", monospace; background: #f0f2f4; border-radius: 6px; }
code { padding: .15em .35em; } pre { padding: 12px; } pre code { padding: 0; }
table { border-collapse: collapse; } td, th { border: 1px solid #d1d9e0; padding: 5px 12px; }
a { color: #0969da; }
</style>"""


def patches() -> Iterator[tuple[Path, str]]:
    """Each bad package of the walk-through, with the patch that fixes it."""
    text = WALK.read_text("utf-8")
    for found in re.finditer(r"`bad_packages/(\w+)`:\n\n```diff\n(.*?)^```", text, re.M | re.S):
        yield ROOT / "bad_packages" / found[1], found[2]


def fixed(source: Path, patch: str, folder: Path) -> Path:
    """A copy of the package in `folder`, with the patch applied."""
    copy = folder / source.name
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("expected.toml"))
    if patch:
        subprocess.run(["git", "apply", "-"], input=patch, text=True, cwd=copy, check=True)
    return copy


def _judge(package: Path, reports: Path) -> None:
    """Judge a package as CI does; the reports go into a folder."""
    reports.mkdir()
    names = [f"--fractal-report={reports / name}" for name in ("report.html", "summary.md")]
    command = Path(sys.executable).with_name("pytest-fractal")
    subprocess.run([command, ".", *names], cwd=package, stdout=subprocess.DEVNULL)
    text = (reports / "summary.md").read_text("utf-8")
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    (reports / "summary.html").write_text(_PAGE + page, "utf-8")


def _shoot(page: Path, name: str, height: int) -> None:
    """Take a picture of a page, 960 wide."""
    with tempfile.TemporaryDirectory() as profile:
        flags = (
            "headless",
            "no-sandbox",
            "disable-gpu",
            "disable-quic",
            "no-first-run",
            "disable-background-networking",
            "disable-component-update",
            "disable-sync",
            "hide-scrollbars",
            f"user-data-dir={profile}",
            f"window-size=960,{height}",
            f"screenshot={IMAGES / name}",
        )
        command = ["chromium", *(f"--{flag}" for flag in flags), page.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)


def main() -> None:
    """Judge the packages of the walk-through before and after the fix, and take the pictures."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        reports = Path(work, "reports")
        reports.mkdir()
        packages = list(patches())
        (manifest, patch), (imports, _), (schema, _) = packages
        for source, _ in packages:
            # Without expected.toml: that is no file of a task package.
            copy = fixed(source, "", Path(work))
            _judge(copy, reports / source.name)
            shutil.rmtree(copy)
        _judge(fixed(manifest, patch, Path(work)), reports / "green")
        _shoot(reports / manifest.name / "summary.html", "summary-manifest.png", 620)
        _shoot(reports / "green" / "summary.html", "summary-green.png", 450)
        _shoot(reports / imports.name / "summary.html", "summary-import.png", 660)
        _shoot(reports / schema.name / "report.html", "report-schema.png", 900)


if __name__ == "__main__":
    main()
