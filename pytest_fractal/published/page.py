"""The page of results: one static HTML file, and a badge for each package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from packaging.version import InvalidVersion, Version

from pytest_fractal.environments.installing import bracketed
from pytest_fractal.published.digest import LIGHTS, Cause, Light, Result, State
from pytest_fractal.published.history import Results
from pytest_fractal.published.packages import NEWEST, Cell, Package, PackageList
from pytest_fractal.report.badge import draw
from pytest_fractal.report.markup import Markup, element, joined
from pytest_fractal.report.overview import pluralize
from pytest_fractal.report.servers import ServerRange
from pytest_fractal.rules import REGISTRY

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8886; --red: #b3261e; --green: #2f6f0b;
  --yellow: #8a6100; --grey: #777; }
@media (prefers-color-scheme: dark) { :root { --red: #ff8a80; --green: #9ccc65;
  --yellow: #ffca4f; --grey: #aaa; } }
body { font: 16px/1.45 system-ui, sans-serif; max-width: 72rem; margin: 0 auto; padding: 1rem; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; }
th, td { border: 1px solid var(--line); padding: .4rem .6rem; text-align: left;
  vertical-align: top; }
thead th { background: #8881; }
td { border-left: .35rem solid var(--grey); }
td.red { border-left-color: var(--red); } td.green { border-left-color: var(--green); }
td.yellow { border-left-color: var(--yellow); } td.grey, .since { color: var(--grey); }
.lights { display: block; font-size: .85rem; }
.lights span { display: inline-block; margin-right: .7em; white-space: nowrap; }
.light.red { color: var(--red); } .light.green { color: var(--green); }
.light.yellow { color: var(--yellow); } .light.grey { color: var(--grey); }
.since { display: block; font-size: .85rem; }
.server { display: block; padding-left: 1em; text-indent: -1em; }
section td { min-width: 8.5rem; }
.cause { display: block; color: var(--red); overflow-wrap: anywhere; }
.cause.warns { color: var(--yellow); }
.scroll { overflow-x: auto; } code { overflow-wrap: anywhere; }
section > h2 { margin: 2rem 0 .2rem; } details { margin: .3rem 0; }
#all { width: auto; } #all th, #all td { padding: .2rem .5rem; font-weight: normal; }
#all thead th, #all td.red { font-weight: bold; }
@media (max-width: 32rem) { body { font-size: 14px; padding: .6rem; }
  #all th, #all td { padding: .2rem .3rem; } }
"""
_SIGNS: Final = {Light.GREEN: "✓", Light.YELLOW: "!", Light.RED: "✗", Light.GREY: "–"}
_MEANT: Final = {
    Light.GREEN: "passes",
    Light.YELLOW: "warns",
    Light.RED: "fails",
    Light.GREY: "not judged",
}
_STATES: Final = {
    State.OTHER_PYTHON: "not for this Python",
    State.NEEDS_PIXI: "needs pixi",
    State.GAVE_UP: "could not be judged",
}
_SHOWN_CAUSES: Final = 3


def render_page(listed: PackageList, results: Results) -> str:
    """The page as HTML, which needs neither a network nor a script."""
    body = element(
        "body",
        element("h1", "Published Fractal task packages"),
        element(
            "p",
            "Every package of the list is installed anew, as fractal-server does it, with the "
            "dependencies that the index has on that day; then each of its tasks is started. ",
            f"Last run: {results.day or 'none'}. {_counted(listed, results)}",
        ),
        element(
            "p",
            "Lights: ",
            "collectable (a server collects it), starts (each command starts and reads its "
            "arguments), schema and form (the arguments fit, and the web form can draw them). ",
            *(
                element("span", f"{_SIGNS[light]} {_MEANT[light]}  ", class_=f"light {light}")
                for light in Light
            ),
        ),
        _overview(listed, results),
        _shared(listed, results),
        [_package(package, listed, results) for package in listed.package],
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", "Published Fractal task packages"),
        element("style", Markup(_STYLE)),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def badges(listed: PackageList, results: Results) -> Mapping[str, str]:
    """A badge for each package as SVG: of its newest release, on the Python it does worst on."""
    return {
        package.name: draw(*_badge(_newest(package, listed, results)))
        for package in listed.package
    }


def _badge(found: Sequence[Result]) -> tuple[str, str]:
    judged = [result for result in found if result.state is State.JUDGED]
    if not judged:
        return "not judged", "lightgrey"
    started = [result for result in judged if result.starts_known]
    worst = min(
        started or judged, key=lambda result: (result.starting - result.tasks, result.cell.python)
    )
    lights = {light for result in judged for light in result.lights.values()}
    color = "red" if Light.RED in lights else "yellow" if Light.YELLOW in lights else "brightgreen"
    if not worst.starts_known:
        return "starts not judged", color if color == "red" else "lightgrey"
    return f"{worst.starting} of {worst.tasks} tasks start", color


def _newest(package: Package, listed: PackageList, results: Results) -> list[Result]:
    cells = [*package.cells(listed.pythons)]
    first = cells[0].release
    wanted = [cell for cell in cells if cell.release == first and cell.extras == cells[0].extras]
    return [results.cells[cell.key] for cell in wanted if cell.key in results.cells]


def _counted(listed: PackageList, results: Results) -> str:
    judged = whole = 0
    for package in listed.package:
        found = [result for result in _newest(package, listed, results) if result.starts_known]
        judged += bool(found)
        whole += any(result.tasks and result.starting == result.tasks for result in found)
    return (
        f"Of {pluralize(len(listed.package), 'package')}, {judged} were judged in their newest "
        f"release, and {whole} of these start all their tasks on some Python."
    )


def _overview(listed: PackageList, results: Results) -> Markup:
    """The newest release of each package on each Python, with a link to the rest."""
    pythons = sorted({cell.python for cell in listed.cells()}, key=_order)
    rows = []
    for package in listed.package:
        found = {result.cell.python: result for result in _newest(package, listed, results)}
        cells = [_short(found.get(python)) for python in pythons]
        name = element("th", _link(f"#{package.name}", package.name))
        rows.append(element("tr", name, cells))
    head = [element("th", text) for text in ("Newest release", *pythons)]
    table = element(
        "table", element("thead", element("tr", head)), element("tbody", rows), id="all"
    )
    return element("div", table, class_="scroll")


def _short(result: Result | None) -> Markup:
    if result is None:
        return element("td", "–", class_="grey", title="not judged")
    if result.state is not State.JUDGED:
        return element("td", _STATES[result.state], class_="grey")
    known = f"{result.starting} of {result.tasks}" if result.starts_known else "not started"
    return element("td", known, class_=_worst(result))


def _shared(listed: PackageList, results: Results) -> Markup | None:
    """The causes that several packages have in common, those of most packages first."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    for cell in listed.cells():
        result = results.cells.get(cell.key)
        for cause in result.causes if result and result.state is State.JUDGED else ():
            if cause.fails:
                found.setdefault((cause.code, cause.text), {})[cell.package] = None
    several = [(cause, names) for cause, names in found.items() if len(names) > 1]
    if not several:
        return None
    rows = [
        element(
            "tr",
            element("td", text, class_="red"),
            element("td", _rule(code)),
            element("td", joined([[_link(f"#{name}", name), " "] for name in names])),
        )
        for (code, text), names in sorted(several, key=lambda item: -len(item[1]))
    ]
    head = element("tr", [element("th", text) for text in ("Cause", "Rule", "Packages")])
    return element(
        "section",
        element("h2", "Causes that several packages share"),
        element("table", element("thead", head), element("tbody", rows)),
    )


def _package(package: Package, listed: PackageList, results: Results) -> Markup:
    cells = [*package.cells(listed.pythons)]
    pythons = list(dict.fromkeys(cell.python for cell in cells))
    rows: dict[tuple[str, tuple[str, ...]], dict[str, Cell]] = {}
    for cell in cells:
        rows.setdefault((cell.release, cell.extras), {})[cell.python] = cell
    head = element(
        "tr",
        element("th", "Release"),
        [element("th", f"Python {python}") for python in pythons],
        element("th", "fractal-server"),
    )
    found = [results.cells[cell.key] for cell in cells if cell.key in results.cells]
    return element(
        "section",
        element("h2", package.name),
        element(
            "p",
            f"by {package.author}",
            [" · ", _link(package.home, package.home)] if package.home else None,
            " · ",
            element("img", src=f"badges/{package.name}.svg", alt=f"badge of {package.name}"),
        ),
        element(
            "div",
            element(
                "table",
                element("thead", head),
                element(
                    "tbody",
                    [
                        element(
                            "tr",
                            element("th", _release(row, _version(row, results))),
                            [
                                _cell(row[python], results, _version(row, results))
                                for python in pythons
                                if python in row
                            ],
                            _servers(row, results),
                        )
                        for row in rows.values()
                    ],
                ),
            ),
            class_="scroll",
        ),
        _details("What fails and warns, and how to fix it", _causes(found)),
        _details("Dependencies that are others than in the run before", _changes(found)),
        _details("Wheels and routes", _wheels(found)),
        id=package.name,
    )


def _version(row: Mapping[str, Cell], results: Results) -> str:
    """The newest version that a row is about: an index may have an older one for some Python."""
    keys = [cell.key for cell in row.values()]
    versions = [results.cells[key].version for key in keys if key in results.cells]
    return max(filter(None, versions), key=_order, default="")


def _order(version: str) -> Version:
    try:
        return Version(version)
    except InvalidVersion:
        return Version("0")


def _release(row: Mapping[str, Cell], version: str) -> str:
    cell = next(iter(row.values()))
    shown = f"{NEWEST} ({version})" if cell.release == NEWEST and version else cell.release
    return f"{shown} [{', '.join(cell.extras)}]" if cell.extras else shown


def _servers(row: Mapping[str, Cell], results: Results) -> Markup:
    """Which servers take a release; by Python only where that makes a difference."""
    answers: dict[tuple[ServerRange, ...], list[str]] = {}
    for python, cell in row.items():
        result = results.cells.get(cell.key)
        if result is not None and result.state is not State.GAVE_UP and result.servers:
            answers.setdefault(result.servers, []).append(python)
    if not answers:
        return element("td", "not judged", class_="grey")
    lines = []
    for servers, pythons in answers.items():
        where = f" (Python {', '.join(pythons)})" if len(answers) > 1 else ""
        lines += [f"{server.words}{where}" for server in servers]
    is_taken = all(any(server.takes for server in servers) for servers in answers)
    return element(
        "td",
        [element("span", line, class_="server") for line in lines],
        class_="green" if is_taken else "red",
    )


def _cell(cell: Cell, results: Results, version: str) -> Markup:
    result = results.cells.get(cell.key)
    if result is None:
        return element("td", "not judged yet", class_="grey")
    since = element("span", f"since {result.since or result.day}", class_="since")
    if result.state is not State.JUDGED:
        said = f": {result.said}" if result.said else ""
        return element("td", f"{_STATES[result.state]}{said}", since, class_="grey")
    starts = "not started in this run"
    if result.starts_known:
        starts = f"{result.starting} of {pluralize(result.tasks, 'task')} start"
    lights = [
        element(
            "span",
            f"{_SIGNS[result.lights[name]]} {name}",
            class_=f"light {result.lights[name]}",
            title=f"{name}: {_MEANT[result.lights[name]]}",
        )
        for name in LIGHTS
    ]
    failures = (f"{cause.code}: {cause.text}" for cause in result.causes if cause.fails)
    fails = list(dict.fromkeys(failures))
    more = len(fails) - _SHOWN_CAUSES
    return element(
        "td",
        element("strong", starts),
        f" ({result.version} is the newest for this Python)"
        if cell.release == NEWEST and result.version != version
        else None,
        element("span", lights, class_="lights"),
        [element("span", text, class_="cause") for text in fails[:_SHOWN_CAUSES]],
        element("span", f"and {pluralize(more, 'more cause')}", class_="cause")
        if more > 0
        else None,
        since,
        class_=_worst(result),
    )


def _worst(result: Result) -> str:
    worst = (Light.RED, Light.GREY, Light.YELLOW, Light.GREEN)
    return min(result.lights.values(), key=worst.index, default=Light.GREY).value


def _details(summary: str, content: Sequence[Markup]) -> Markup | None:
    if not content:
        return None
    return element("details", element("summary", summary), element("ul", content))


def _causes(found: Sequence[Result]) -> list[Markup]:
    seen: dict[Cause, list[str]] = {}
    for result in found:
        for cause in result.causes if result.state is State.JUDGED else ():
            seen.setdefault(cause, []).append(_where(result))
    return [
        element(
            "li",
            element("span", cause.text, class_="cause" if cause.fails else "cause warns"),
            _rule(cause.code),
            f": {cause.hint}. ",
            f"Tasks: {', '.join(cause.tasks)}. " if cause.tasks else None,
            f"In {'; '.join(places)}.",
        )
        for cause, places in seen.items()
    ]


def _changes(found: Sequence[Result]) -> list[Markup]:
    return [
        element("li", f"{_where(result)}: {', '.join(_changed(result))}")
        for result in found
        if result.changed
    ]


def _changed(result: Result) -> Iterator[str]:
    for name, (then, now) in result.changed.items():
        yield f"{name} {then} → {now}"


def _wheels(found: Sequence[Result]) -> list[Markup]:
    return [
        element(
            "li",
            f"{_where(result)}: {result.wheel}, ",
            element("code", f"sha256={result.sha256}"),
            f", {result.cell.route}: ",
            element("code", result.cell.source),
        )
        for result in found
        if result.sha256
    ]


def _where(result: Result) -> str:
    cell = result.cell
    return f"{result.version or cell.release}{bracketed(cell.extras)} on Python {cell.python}"


def _rule(code: str) -> Markup:
    known = REGISTRY.get(code)
    return _link(known.page, f"{code} {known.name}") if known else element("span", code)


def _link(address: str, text: str) -> Markup:
    if address.startswith("#") or urlsplit(address).scheme in ("http", "https"):
        return element("a", text, href=address)
    return element("span", text)
