"""Makes the screenshots of the documentation anew, from real runs, with headless Chromium.

Usage: python docs/screenshots.py        # needs `chromium` in PATH
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Final

import pyte
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
    subprocess.run([*_COMMAND, *_reports(reports)], cwd=package, stdout=subprocess.DEVNULL)
    _render_summary(reports)


_COMMAND: Final = (str(Path(sys.executable).with_name("pytest-fractal")), ".")


def _reports(folder: Path) -> list[str]:
    return [f"--fractal-report={folder / name}" for name in ("report.html", "summary.md")]


_SIGNS: Final = {
    "❌": '<span style="color: #cf222e">✖</span>',
    "✅": '<span style="color: #1a7f37">✔</span>',
    "⚠️": '<span style="color: #9a6700">⚠</span>',
    "⛔": "⊘",
    "⚪": "○",
    "➖": "–",
    "💥": "?",
    "🔕": "~",
}


def _render_summary(reports: Path) -> None:
    text = (reports / "summary.md").read_text("utf-8")
    for sign, drawn in _SIGNS.items():  # which the fonts of a browser without colours lack
        text = text.replace(sign, drawn)
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    (reports / "summary.html").write_text(_PAGE + page, "utf-8")


def _in_terminal(package: Path, columns: int, page: Path, *options: str) -> int:
    """Judge a package in a terminal of that many columns, and write down what stands there then.

    Returns how many lines that are.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _LINES, columns, 0, 0))
    env = {name: value for name, value in os.environ.items() if name not in ("CI", "COLUMNS")}
    command = [*_COMMAND, *options]
    process = subprocess.Popen(
        command, cwd=package, env=env | {"TERM": "xterm"}, stdin=theirs, stdout=theirs
    )
    os.close(theirs)
    screen = pyte.Screen(columns, _LINES)
    stream = pyte.ByteStream(screen)
    shown = b""
    with contextlib.suppress(OSError):  # so it says that nobody writes any more
        while more := os.read(ours, 65536):
            shown += more
    os.close(ours)
    process.wait()
    # Where this machine keeps its files is nobody's business.
    shown = shown.replace(str(package.parent).encode(), b"~")
    stream.feed(re.sub(rb"(configfile: )\S*/", rb"\1", shown))
    last = max(number for number, line in enumerate(screen.display) if line.strip())
    lines = "\n".join(_line(screen, number) for number in range(last + 1))
    prompt = "<b>$</b> pytest-fractal .\n"
    page.write_text(f"{_TERMINAL}<pre style='width: {columns}ch'>{prompt}{lines}</pre>", "utf-8")
    return last + 2


_LINES: Final = 200
_TERMINAL: Final = """<!doctype html><meta charset="utf-8"><style>
body { margin: 0; background: #1e1e1e; } pre { margin: 0; padding: 14px 18px; color: #d4d4d4;
font: 14px/1.35 "DejaVu Sans Mono", monospace; }
</style>"""
_COLORS: Final = {
    "red": "#f47067",
    "green": "#6bc46d",
    "brown": "#daaa3f",
    "yellow": "#daaa3f",
    "cyan": "#56d4dd",
    "blue": "#6cb6ff",
    "magenta": "#dcbdfb",
}


def _line(screen: pyte.Screen, number: int) -> str:
    """A line of the screen as HTML."""
    cells = [screen.buffer[number][column] for column in range(screen.columns)]
    parts = []
    for (color, bold), same in groupby(cells, lambda cell: (cell.fg, cell.bold)):
        text = escape("".join(cell.data for cell in same))
        style = f"color: {_COLORS[color]};" if color in _COLORS else ""
        style += "font-weight: bold" if bold else ""
        parts.append(f'<span style="{style}">{text}</span>' if style else text)
    return "".join(parts).rstrip()


def _shoot(page: Path, name: str, width: int, height: int) -> None:
    """Take a picture of a page."""
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
            f"window-size={width},{height}",
            f"screenshot={IMAGES / name}",
        )
        command = ["chromium", *(f"--{flag}" for flag in flags), page.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)


_RUNS: Final = {
    "red": ROOT / "bad_packages" / "FR206_part_renamed",
    "yellow": ROOT / "bad_packages" / "FR107_keys_of_generation_1",
    "green": ROOT / "good_packages" / "setuptools_flat_argparse_generation_2",
}
"""What a run looks like that has errors, only warnings, or neither."""


_HEIGHTS: Final = {"red": 700, "yellow": 640, "green": 220}
"""Of the job summary, in pixels."""


def _shoot_runs(work: Path) -> None:
    """The pictures of docs/reading.md: each run in terminals of two widths, and its reports."""
    for name, source in _RUNS.items():
        package = fixed(source, "", work / name)
        reports = work / f"{name}-reports"
        reports.mkdir()
        for columns in (80, 120):
            page = reports / f"{columns}.html"
            lines = _in_terminal(package, columns, page, *_reports(reports))
            size = (round(columns * 8.43) + 40, round(lines * 18.9) + 28)
            _shoot(page, f"terminal-{name}-{columns}.png", *size)
        _render_summary(reports)
        _shoot(reports / "summary.html", f"summary-{name}.png", 960, _HEIGHTS[name])
        _shoot(reports / "report.html", f"report-{name}.png", 960, 900)


def main() -> None:
    """Judge the packages of the pages before and after the fix, and take the pictures."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        _shoot_runs(Path(work))
        reports = Path(work, "reports")
        reports.mkdir()
        packages = list(patches())
        (manifest, patch), (imports, _), (schema, _) = packages
        for source, _ in packages:
            # Without expected.toml: that is no file of a task package.
            copy = fixed(source, "", Path(work))
            _judge(copy, reports / source.name)
            shutil.rmtree(copy)
        _judge(fixed(manifest, patch, Path(work)), reports / "fixed")
        _shoot(reports / manifest.name / "summary.html", "summary-manifest.png", 960, 620)
        _shoot(reports / "fixed" / "summary.html", "summary-fixed.png", 960, 450)
        _shoot(reports / imports.name / "summary.html", "summary-import.png", 960, 790)
        _shoot(reports / schema.name / "report.html", "report-schema.png", 960, 900)


if __name__ == "__main__":
    main()
