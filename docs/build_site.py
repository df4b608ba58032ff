"""Builds the documentation site, and checks its links.

Usage: python docs/build_site.py [FOLDER]     # default: site/
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urldefrag, urlsplit

import pages
from sphinx.cmd.build import build_main

from pytest_fractal.rules.registry import DOCUMENTATION

DOCS: Final = Path(__file__).parent
ROOT: Final = DOCS.parent
BASE: Final = DOCUMENTATION
"""Where the site is published."""
_RULE_LINK: Final = re.compile(r"\]\((?:docs/)?rules\.md#(fr\d{3})-[\w-]+\)")

_START: Final = "start"
"""The page with which the site begins."""
_FIRST: Final = (
    *("template", "reading", "walkthrough", "samples", "copied-tests", "action", "offline"),
    *("options", "fixtures", "report"),
)
_OPTIONS: Final = (
    "More on running it",
    "Options",
    "Tasks outside any package",
    "An existing environment, and pixi",
)
"""The sections of README that make the page about options: there, all is on one page."""
_LAST: Final = ("agreement", "agreement-2", "performance", "architecture")


def _contents() -> str:
    """The pages in the order in which they are wanted; those that nobody named come between."""
    named = {_START, *_FIRST, *_LAST, "rules"}
    others = sorted(page.stem for page in DOCS.glob("*.md") if page.stem not in named)
    parts = {"": [*_FIRST, *others], "Rules": ["rules", "observed"], "Inside": [*_LAST]}
    return "".join(
        "\n```{toctree}\n:hidden:\n"
        + (f":caption: {caption}\n" if caption else "")
        + "\n"
        + "\n".join(pages)
        + "\n```\n"
        for caption, pages in parts.items()
    )


def stage(folder: Path) -> None:
    """Lay the sources of the site into `folder`: the pages of docs/, README, generated ones."""
    for source in DOCS.iterdir():
        if source.suffix == ".md" and source.stem != _START:
            (folder / source.name).write_text(_linked(source.read_text("utf-8")), "utf-8")
        elif source.is_dir() and source.name == "images":
            shutil.copytree(source, folder / source.name)
    start = _linked((DOCS / f"{_START}.md").read_text("utf-8"))
    (folder / "index.md").write_text(start + _contents(), "utf-8")
    (folder / "options.md").write_text(_options_page(), "utf-8")
    (folder / "rules").mkdir()
    for name, text in pages.generated().items():
        (folder / name).write_text(text, "utf-8")


def _options_page() -> str:
    """How the commands are called: sections of README."""
    readme = _linked((ROOT / "README.md").read_text("utf-8")).replace("](docs/", "](")
    sections = {
        section.partition("\n")[0]: section for section in re.split(r"^## ", readme, flags=re.M)
    }
    return "# Options and commands\n\n" + "".join(f"## {sections[name]}" for name in _OPTIONS)


def _linked(text: str) -> str:
    """What leads to a section about a rule leads to the rule's page, and to README where it is."""
    text = text.replace("](../README.md#", "](options.md#").replace("](../README.md", "](index.md")
    text = text.replace(f"]({_START}.md", "](index.md")
    text = text.replace("](report.schema.json)", f"]({BASE}report.schema.json)")
    return _RULE_LINK.sub(lambda found: f"](rules/{found[1].upper()}.md)", text)


def build(out: Path) -> int:
    """Build the site into `out`; warnings are errors. Returns the exit status."""
    with tempfile.TemporaryDirectory(prefix="site-") as work:
        sources, state = Path(work, "sources"), Path(work, "state")
        sources.mkdir()
        stage(sources)
        status = build_main(
            [
                "--fail-on-warning",
                "--keep-going",
                "--quiet",
                "--nitpicky",
                "--builder=dirhtml",
                f"--conf-dir={DOCS}",
                f"--doctree-dir={state}",
                str(sources),
                str(out),
            ]
        )
    broken = list(broken_links(out))
    for page, link in broken:
        print(f"{page}: {link} leads nowhere", file=sys.stderr)
    return status or bool(broken)


class _Links(HTMLParser):
    """The links of a page, and what can be linked to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what a tag links to, and what it can be linked by."""
        for name, value in attrs:
            if value and name in ("href", "src"):
                self.links.append(value)
            if value and (name == "id" or (tag == "a" and name == "name")):
                self.anchors.add(value)


def broken_links(site: Path) -> Iterator[tuple[str, str]]:
    """Each link within the site that leads to no file, or to no place in it: (page, link)."""
    seen = {page: _Links(page.read_text("utf-8")) for page in sorted(site.rglob("*.html"))}
    for page, found in seen.items():
        for link in found.links:
            address, anchor = urldefrag(link)
            if urlsplit(link).scheme or link.startswith("//"):
                continue
            target = page
            if address:
                target = (page.parent / unquote(urlsplit(address).path)).resolve()
                target = target / "index.html" if target.is_dir() else target
            if not target.is_file() or (
                anchor and target in seen and unquote(anchor) not in seen[target].anchors
            ):
                yield page.relative_to(site).as_posix(), link


def main() -> int:
    """Build into the folder that the command line names, else into site/."""
    out = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "site").resolve()
    status = build(out)
    if not status:
        print(f"{out / 'index.html'}")
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
